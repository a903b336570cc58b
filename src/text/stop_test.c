#include <string.h>

#include "base/str.h"
#include "quern/tokenizer.h"
#include "support/testing.h"

static struct qn_stop *make(const char *a, const char *b, const char *c)
{
    const char *strings[3] = {a, b, c};
    struct qn_stop *stop;
    qn_assert_ok(qn_stop_create(strings, c ? 3 : b ? 2 : a ? 1 : 0, NULL, &stop));
    return stop;
}

static int32_t push(struct qn_stop *stop, const char *text, const char *expected)
{
    const char *out;
    size_t size;
    int32_t hit;
    qn_assert_ok(qn_stop_push(stop, text, strlen(text), &out, &size, &hit));
    assert_string_equal(out, expected);
    assert_int_equal(size, strlen(expected));
    return hit;
}

static void finish(struct qn_stop *stop, const char *expected)
{
    const char *out;
    size_t size;
    qn_stop_finish(stop, &out, &size);
    assert_string_equal(out, expected);
    assert_int_equal(size, strlen(expected));
}

static void holds_back_what_may_be_a_beginning(void **state)
{
    (void)state;
    struct qn_stop *stop = make("\nUser:", "END", NULL);
    assert_int_equal(push(stop, "Hi E", "Hi "), -1);
    assert_int_equal(push(stop, "N", ""), -1);
    assert_int_equal(push(stop, "x\nUs", "ENx"), -1);
    assert_int_equal(push(stop, "er: more", ""), 0);
    assert_int_equal(push(stop, "nothing", ""), -1);
    finish(stop, "");
    assert_int_equal(push(stop, "aE", "a"), -1); /* as new */
    finish(stop, "E");
    assert_int_equal(push(stop, "END", ""), 1);
    qn_stop_free(stop);
    stop = make(NULL, NULL, NULL); /* none at all */
    assert_int_equal(push(stop, "END", "END"), -1);
    finish(stop, "");
    qn_stop_free(stop);
}

static void overlaps(void **state)
{
    (void)state;
    struct qn_stop *stop = make("aab", NULL, NULL);
    assert_int_equal(push(stop, "aaaa", "aa"), -1);
    assert_int_equal(push(stop, "b", ""), 0);
    qn_stop_free(stop);
    stop = make("abcd", "bc", NULL); /* the one that is complete first */
    assert_int_equal(push(stop, "xabc", "xa"), 1);
    qn_stop_free(stop);
    stop = make("b", "ab", NULL); /* complete together: the one that begins first */
    assert_int_equal(push(stop, "xab", "x"), 1);
    qn_stop_free(stop);
}

/* However the text is cut, what comes out is the text before the first stop string. */
static void cuts_do_not_matter(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 3000; round++) {
        char text[24];
        for (int i = 0; i < 24; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[i] = (char)('a' + (seed >> 40) % 2);
        }
        const char *strings[] = {"abba", "aabab", "bbb"};
        size_t expected = 24;
        for (size_t end = 1; end <= 24 && expected == 24; end++)
            for (int k = 0; k < 3; k++) {
                size_t size = strlen(strings[k]);
                if (end >= size && memcmp(text + end - size, strings[k], size) == 0 && end - size < expected)
                    expected = end - size;
            }
        struct qn_stop *stop = make(strings[0], strings[1], strings[2]);
        struct qn_strbuf got;
        qn_strbuf_init(&got, NULL);
        const char *out;
        size_t size;
        int32_t hit = -1;
        for (size_t at = 0; at < 24 && hit < 0;) {
            size_t part = 1 + (seed >> (at % 40)) % 5;
            part = part > 24 - at ? 24 - at : part;
            qn_assert_ok(qn_stop_push(stop, text + at, part, &out, &size, &hit));
            qn_strbuf_append(&got, out, size);
            at += part;
        }
        qn_stop_finish(stop, &out, &size);
        qn_strbuf_append(&got, out, size);
        assert_int_equal(got.size, expected);
        if (expected)
            assert_memory_equal(got.data, text, expected);
        assert_int_equal(hit >= 0, expected < 24);
        qn_strbuf_deinit(&got);
        qn_stop_free(stop);
    }
}

static void empty_strings_are_refused(void **state)
{
    (void)state;
    const char *strings[] = {"a", ""};
    struct qn_stop *stop;
    qn_assert_fails(qn_stop_create(strings, 2, NULL, &stop), QN_INVALID_ARGUMENT, "stop string 1 is empty");
}

static qn_status use(const struct qn_allocator *allocator, void *context)
{
    (void)context;
    const char *strings[] = {"abc", "b"}, *out;
    struct qn_stop *stop = NULL;
    size_t size;
    int32_t hit;
    qn_status status = qn_stop_create(strings, 2, allocator, &stop);
    if (!status)
        status = qn_stop_push(stop, "xa", 2, &out, &size, &hit);
    qn_stop_free(stop);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(use, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_back_what_may_be_a_beginning),
        cmocka_unit_test(overlaps),
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(empty_strings_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("stop", tests, NULL, NULL);
}

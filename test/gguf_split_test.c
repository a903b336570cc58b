/* Models split over several GGUF files: parts that are missing, swapped or contradict each other. The split that is
 * right, as the `gguf` package writes it, is in gguf_sample_test.c. */
#include <stdio.h>

#include "gguf_build.h"

struct part {
    uint32_t number, count;
    uint32_t tensors; /* what split.tensors.count says */
    const char *tensor;
};

static void write_part(const char *path, const struct part *part)
{
    struct gguf_bytes b = {.size = 0};
    put_header(&b, 3, 1, 4);
    put_key(&b, "split.no", QN_GGUF_U16);
    put_uint(&b, part->number, 2);
    put_key(&b, "split.count", QN_GGUF_U16);
    put_uint(&b, part->count, 2);
    put_key(&b, "split.tensors.count", QN_GGUF_I32);
    put_u32(&b, part->tensors);
    put_kv_u32(&b, "general.alignment", 64u << part->number); /* each part may have its own */
    put_f32_tensor(&b, part->tensor, 2, 0);
    put_padding(&b, (size_t)64 << part->number);
    put_u32(&b, 0x3f800000 + part->number);
    put_u32(&b, 0);
    qn_test_write_file(path, b.data, b.size);
}

/* Writes parts under the given stem and opens the one at `opened`. */
static qn_status open_parts(const char *stem, const struct part *parts, size_t count, size_t opened,
                            struct qn_gguf **out)
{
    char name[128];
    const char *path = NULL;
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s-%05zu-of-%05zu.gguf", stem, i + 1, count);
        const char *at = qn_test_temp(name);
        if (parts[i].tensor)
            write_part(at, &parts[i]);
        if (i == opened)
            path = at;
    }
    return qn_gguf_open(path, NULL, out);
}

static void test_whole(void **state)
{
    (void)state;
    static const struct part parts[] = {{0, 3, 3, "a"}, {1, 3, 3, "b"}, {2, 3, 3, "c"}};
    struct qn_gguf *gguf;
    qn_assert_ok(open_parts("whole", parts, 3, 0, &gguf));
    assert_int_equal(gguf->file_count, 3);
    assert_int_equal(gguf->tensor_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct qn_gguf_tensor *tensor = qn_gguf_tensor(gguf, qn_str_from(parts[i].tensor));
        assert_non_null(tensor);
        assert_int_equal(tensor->file, i);
        assert_int_equal(tensor->offset % (64u << i), 0);
        uint32_t word;
        memcpy(&word, qn_gguf_tensor_data(gguf, tensor), sizeof word);
        assert_int_equal(word, 0x3f800000 + i);
    }
    qn_gguf_close(gguf);
}

static void test_other_part(void **state)
{
    (void)state;
    static const struct part parts[] = {{0, 2, 2, "a"}, {1, 2, 2, "b"}};
    struct qn_gguf *gguf;
    qn_assert_fails(open_parts("other", parts, 2, 1, &gguf), QN_INVALID_ARGUMENT, "other-00001-of-00002.gguf'");
    assert_null(gguf);
}

static void test_missing(void **state)
{
    (void)state;
    static const struct part parts[] = {{0, 4, 4, "a"}, {0}, {2, 4, 4, "c"}, {0}};
    struct qn_gguf *gguf;
    qn_assert_fails(open_parts("missing", parts, 4, 0, &gguf), QN_NOT_FOUND, "missing-00002-of-00004.gguf', '");
    qn_assert_fails(open_parts("missing", parts, 4, 0, &gguf), QN_NOT_FOUND, "missing-00004-of-00004.gguf'");
}

/* A count that only the first part believes in costs neither memory nor time. */
static void test_absurd_count(void **state)
{
    (void)state;
    const char *path = qn_test_temp("absurd-00001-of-65535.gguf");
    const struct part part = {0, 65535, 65535, "a"};
    struct qn_test_allocator allocator;
    struct qn_gguf *gguf;
    write_part(path, &part);
    qn_test_allocator_init(&allocator, 0);
    qn_assert_fails(qn_gguf_open(path, &allocator.allocator, &gguf), QN_NOT_FOUND, "and perhaps more");
    assert_true(allocator.largest <= 8192);
    qn_test_allocator_done(&allocator);
}

static void test_renamed(void **state)
{
    (void)state;
    const char *path = qn_test_temp("renamed.gguf");
    const struct part part = {0, 2, 2, "a"};
    struct qn_gguf *gguf;
    write_part(path, &part);
    qn_assert_fails(qn_gguf_open(path, NULL, &gguf), QN_INVALID_FILE, "'-00001-of-00002.gguf'");
}

static void test_contradictions(void **state)
{
    (void)state;
    struct qn_gguf *gguf;
    static const struct part swapped[] = {{0, 3, 3, "a"}, {2, 3, 3, "b"}, {1, 3, 3, "c"}};
    qn_assert_fails(open_parts("swapped", swapped, 3, 0, &gguf), QN_INVALID_FILE,
                    "swapped-00002-of-00003.gguf: key 'split.no' is 2, expected 1");
    static const struct part count[] = {{0, 2, 2, "a"}, {1, 5, 2, "b"}};
    qn_assert_fails(open_parts("count", count, 2, 0, &gguf), QN_INVALID_FILE,
                    "count-00002-of-00002.gguf: key 'split.count' is 5");
    static const struct part tensors[] = {{0, 2, 2, "a"}, {1, 2, 7, "b"}};
    qn_assert_fails(open_parts("tensors", tensors, 2, 0, &gguf), QN_INVALID_FILE,
                    "tensors-00002-of-00002.gguf: key 'split.tensors.count' is 7");
    static const struct part sum[] = {{0, 2, 3, "a"}, {1, 2, 3, "b"}};
    qn_assert_fails(open_parts("sum", sum, 2, 0, &gguf), QN_INVALID_FILE,
                    "sum-00001-of-00002.gguf: key 'split.tensors.count' is 3, but the parts have 2");
    static const struct part twice[] = {{0, 2, 2, "same"}, {1, 2, 2, "same"}};
    qn_assert_fails(open_parts("twice", twice, 2, 0, &gguf), QN_INVALID_FILE, "tensor 'same' occurs more than once");
    assert_null(gguf);
}

static void test_damaged_part(void **state)
{
    (void)state;
    static const struct part parts[] = {{0, 2, 2, "a"}, {1, 2, 2, "b"}};
    struct qn_gguf *gguf;
    qn_assert_ok(open_parts("damaged", parts, 2, 0, &gguf));
    qn_gguf_close(gguf);
    const char *first = qn_test_temp("damaged-00001-of-00002.gguf");
    qn_test_write_file(qn_test_temp("damaged-00002-of-00002.gguf"), "GGUF", 4);
    qn_assert_fails(qn_gguf_open(first, NULL, &gguf), QN_INVALID_FILE, "damaged-00002-of-00002.gguf: the file ends");
    qn_test_write_file(qn_test_temp("damaged-00002-of-00002.gguf"), "", 0);
    qn_assert_fails(qn_gguf_open(first, NULL, &gguf), QN_INVALID_FILE, "damaged-00002-of-00002.gguf: the file ends");
}

static void test_memory(void **state)
{
    (void)state;
    struct gguf_bytes b = {.size = 0};
    struct qn_gguf *gguf;
    put_header(&b, 3, 0, 2);
    put_kv_u32(&b, "split.no", 0);
    put_kv_u32(&b, "split.count", 2);
    qn_assert_fails(qn_gguf_open_memory(b.data, b.size, "m-00001-of-00002.gguf", NULL, &gguf), QN_INVALID_ARGUMENT,
                    "only be opened by path");
    assert_null(gguf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),        cmocka_unit_test(test_other_part), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_absurd_count), cmocka_unit_test(test_renamed),    cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_damaged_part), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("gguf_split", tests, NULL, NULL);
}

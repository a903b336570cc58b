#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "support/testing.h"

/* Reads a text from a block of its exact size, so that a sanitizer sees a read past its end. */
static qn_status read_exact(struct qn_str text, const struct qn_json_options *options, struct qn_arena *arena,
                            const struct qn_json **root)
{
    char *copy = qn_arena_alloc(arena, text.size, 1);
    memcpy(copy, text.data, text.size);
    return qn_json_read((struct qn_str){copy, text.size}, options, arena, root);
}

static const struct qn_json *read_text(const char *text, struct qn_arena *arena)
{
    const struct qn_json *root;
    qn_assert_ok(read_exact(qn_str_from(text), NULL, arena, &root));
    return root;
}

static void scalars(void **state)
{
    (void)state;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    assert_int_equal(read_text(" null ", &arena)->kind, QN_JSON_NULL);
    assert_true(read_text("true", &arena)->boolean);
    assert_false(read_text("\t\r\nfalse", &arena)->boolean);
    static const struct {
        const char *text;
        int64_t value;
    } integers[] = {
        {"0", 0}, {"-1", -1}, {"42", 42}, {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN},
    };
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        const struct qn_json *value = read_text(integers[i].text, &arena);
        assert_int_equal(value->kind, QN_JSON_INT);
        assert_int_equal(value->integer, integers[i].value);
    }
    qn_arena_deinit(&arena);
}

/* The C library's strtod is the judge; the process runs in the C locale. */
static void doubles_are_exact(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.1",
        "-0",
        "-0.0",
        "1e22",
        "1e23",
        "1E+2",
        "123456789012345678",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "-9.12345678901234567",
        "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899",
        "2.2250738585072011e-308",
        "4.9e-324",
        "1e-400",
        "1.7976931348623157e308",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000001",
        "9007199254740993",
        "9007199254740993.0",
        "8.5e-22",
    };
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct qn_json *value = read_text(texts[i], &arena);
        double got = value->kind == QN_JSON_INT ? (double)value->integer : value->number;
        double expected = strtod(texts[i], NULL);
        if (memcmp(&got, &expected, sizeof got) != 0)
            fail_msg("%s reads as %.17g", texts[i], got);
    }
    char text[64];
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        snprintf(text, sizeof text, "%llu.%03llue%d", (unsigned long long)(random >> 40),
                 (unsigned long long)(random >> 20 & 511), (int)(random >> 10 & 63) - 32);
        double expected = strtod(text, NULL);
        assert_memory_equal(&read_text(text, &arena)->number, &expected, sizeof expected);
    }
    qn_arena_deinit(&arena);
}

static void strings(void **state)
{
    (void)state;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    static const struct {
        const char *text;
        struct qn_str value;
    } cases[] = {
        {"\"\"", {"", 0}},
        {"\"plain\"", {"plain", 5}},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", {"\"\\/\b\f\n\r\t", 8}},
        {"\"a\\u0000b\"", {"a\0b", 3}},
        {"\"\\u00e9\\u20AC\"", {"\xc3\xa9\xe2\x82\xac", 5}},
        {"\"\\ud83d\\ude00!\"", {"\xf0\x9f\x98\x80!", 5}},
        {"\"\xc4\xa0the\"", {"\xc4\xa0the", 5}},
        {"\"\x7f\"", {"\x7f", 1}},
        {"\"tail\\n\"", {"tail\n", 5}},
        {"\"\\\\\"", {"\\", 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct qn_json *value = read_text(cases[i].text, &arena);
        assert_int_equal(value->kind, QN_JSON_STRING);
        if (!qn_str_eq(qn_json_str(value), cases[i].value))
            fail_msg("%s reads as '%.*s'", cases[i].text, (int)value->size, value->text);
    }
    qn_arena_deinit(&arena);
}

static void containers(void **state)
{
    (void)state;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    const struct qn_json *root = read_text("{\"a\":[1,[2,3],{}],\"b\":{\"c\":[]} , \"a\":7,\"d\" :\"x\"}", &arena);
    assert_int_equal(root->kind, QN_JSON_OBJECT);
    assert_int_equal(root->size, 4);
    assert_int_equal(root->span, 16);
    const struct qn_json *a = qn_json_member(root, "a");
    assert_int_equal(a->size, 3);
    const struct qn_json *item = qn_json_first(a);
    assert_int_equal(item->integer, 1);
    item = qn_json_next(item);
    assert_int_equal(item->size, 2);
    assert_int_equal(qn_json_next(qn_json_first(item))->integer, 3);
    item = qn_json_next(item);
    assert_int_equal(item->kind, QN_JSON_OBJECT);
    assert_int_equal(item->size, 0);
    assert_int_equal(qn_json_member(qn_json_member(root, "b"), "c")->kind, QN_JSON_ARRAY);
    assert_true(qn_str_is(qn_json_str(qn_json_member(root, "d")), "x"));
    assert_null(qn_json_member(root, "e"));
    assert_null(qn_json_member(a, "e"));
    assert_null(qn_json_member(NULL, "e"));
    assert_string_equal(qn_json_kind_name(root->kind), "object");
    assert_string_equal(qn_json_kind_name((enum qn_json_kind)0), "?");
    qn_arena_deinit(&arena);
}

static void refuses_what_is_not_json(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "byte 0: the text ends"},
        {"  ", "byte 2: the text ends"},
        {"nul", "byte 0: expected a value"},
        {"tru", "expected a value"},
        {"True", "expected a value"},
        {"'a'", "expected a value"},
        {"1 2", "byte 2: more text"},
        {"null,", "byte 4: more text"},
        {"[1,]", "byte 3: expected a value"},
        {"[1 2]", "byte 3: expected ',' or ']'"},
        {"[1}", "byte 2: expected ',' or ']'"},
        {"[", "byte 1: the text ends"},
        {"[1", "expected ',' or ']'"},
        {"]", "expected a value"},
        {"{", "expected a key"},
        {"{1:2}", "byte 1: expected a key"},
        {"{\"a\"}", "byte 4: expected ':'"},
        {"{\"a\":}", "byte 5: expected a value"},
        {"{\"a\":1,}", "byte 7: expected a key"},
        {"{\"a\":1 \"b\":2}", "expected ',' or '}'"},
        {"{\"a\":1]", "expected ',' or '}'"},
        {"-", "expected a digit"},
        {"+1", "expected a value"},
        {"01", "leading zero"},
        {"-012", "leading zero"},
        {"1.", "after the point"},
        {".5", "expected a value"},
        {"1e", "in the exponent"},
        {"1e+", "in the exponent"},
        {"1e400", "byte 0: number too large"},
        {"1e99999999999999999999", "too large"},
        {"NaN", "expected a value"},
        {"Infinity", "expected a value"},
        {"\"", "the text ends in a string"},
        {"\"abc", "the text ends in a string"},
        {"\"\\", "ends in an escape"},
        {"\"\\\"", "the text ends in a string"},
        {"\"\\x\"", "byte 1: unknown escape"},
        {"\"\\u12\"", "hexadecimal"},
        {"\"\\u12g4\"", "hexadecimal"},
        {"\"\\ud800\"", "without the second"},
        {"\"\\ud800\\n\"", "without the second"},
        {"\"\\ud800\\u0041\"", "expected the second half"},
        {"\"\\udc00\"", "without the first"},
        {"\"a\nb\"", "byte 2: control character 0x0a"},
        {"\"\xff\"", "byte 1: not UTF-8"},
        {"\"\xc0\x80\"", "not UTF-8"},
        {"\"\xed\xa0\x80\"", "not UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "not UTF-8"},
        {"\"\xe2\x82\"", "not UTF-8"},
        {"\xef\xbb\xbf{}", "expected a value"}, /* a byte order mark is not white space */
        {"// c\n1", "expected a value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qn_arena arena;
        const struct qn_json *root;
        qn_arena_init(&arena, NULL);
        struct qn_json_options options = {.name = "config.json"};
        qn_assert_fails(read_exact(qn_str_from(cases[i].text), &options, &arena, &root), QN_INVALID_FILE,
                        cases[i].words);
        assert_null(root);
        qn_arena_deinit(&arena);
    }
    struct qn_arena arena;
    const struct qn_json *root;
    qn_arena_init(&arena, NULL);
    qn_assert_fails(qn_json_read((struct qn_str){"1\0", 2}, NULL, &arena, &root), QN_INVALID_FILE, "JSON: byte 1");
    qn_assert_fails(qn_json_read((struct qn_str){NULL, 0}, NULL, &arena, &root), QN_INVALID_FILE, "byte 0");
    qn_arena_deinit(&arena);
}

/* Every beginning of a valid text is refused, and never read past its end. */
static void every_truncation_is_refused(void **state)
{
    (void)state;
    const char *text = "{\"a\":[-1.5e+3,\"\\ud83d\\ude00\xe2\x82\xac\"],\"b\":{\"c\":[true,null]}}";
    for (size_t size = 0; size < strlen(text); size++) {
        struct qn_arena arena;
        const struct qn_json *root;
        qn_arena_init(&arena, NULL);
        qn_assert_fails(read_exact((struct qn_str){text, size}, NULL, &arena, &root), QN_INVALID_FILE, NULL);
        qn_arena_deinit(&arena);
    }
}

static void depth_is_limited(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    char *text = malloc(2 * DEEP);
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    const struct qn_json *root;
    qn_assert_fails(qn_json_read((struct qn_str){text, 2 * DEEP}, NULL, &arena, &root), QN_INVALID_FILE,
                    "byte 256: more than 256 levels deep");
    qn_assert_ok(qn_json_read((struct qn_str){text + DEEP - 256, 512}, NULL, &arena, &root));
    struct qn_json_options options = {.max_depth = DEEP};
    qn_assert_ok(qn_json_read((struct qn_str){text, 2 * DEEP}, &options, &arena, &root)); /* no recursion */
    assert_int_equal(root->span, DEEP);
    qn_arena_deinit(&arena);
    free(text);
}

static void duplicate_keys(void **state)
{
    (void)state;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    struct qn_json_options options = {.unique_keys = true};
    const struct qn_json *root;
    qn_assert_ok(read_exact(QN_STR("[{\"a\":1,\"b\":{\"a\":2}},{\"a\":3}]"), &options, &arena, &root));
    qn_assert_fails(read_exact(QN_STR("{\"x\":{\"a\":[1],\"b\":2,\"\\u0061\":3}}"), &options, &arena, &root),
                    QN_INVALID_FILE, "key 'a' stands twice");
    qn_arena_deinit(&arena);
}

static qn_status read_with(const struct qn_allocator *allocator, void *context)
{
    struct qn_arena arena;
    qn_arena_init(&arena, allocator);
    struct qn_json_options options = {.unique_keys = true};
    const struct qn_json *root;
    qn_status status = qn_json_read(qn_str_from(context), &options, &arena, &root);
    qn_arena_deinit(&arena);
    return status;
}

static void lack_of_memory(void **state)
{
    (void)state;
    char text[] = "{\"a\\n\":[1,2,3,4,5,6,7,8,9],\"b\":\"\\u0041\","
                  "\"c\":1.234567890123456789012345678901234567890123456789012345678901234567890}";
    assert_true(qn_test_every_allocation(read_with, text) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(doubles_are_exact),
        cmocka_unit_test(strings),
        cmocka_unit_test(containers),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(duplicate_keys),
        cmocka_unit_test(lack_of_memory),
    };
    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}

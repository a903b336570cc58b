#include <float.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "support/testing.h"

static void write_sample(struct qn_json_writer *w)
{
    qn_json_begin_object(w);
    qn_json_key(w, "name");
    qn_json_write_text(w, "stories");
    qn_json_key(w, "none");
    qn_json_write_text(w, NULL);
    qn_json_key(w, "dims");
    qn_json_begin_array(w);
    qn_json_write_int(w, INT64_MIN);
    qn_json_write_uint(w, UINT64_MAX);
    qn_json_begin_array(w);
    qn_json_end_array(w);
    qn_json_end_array(w);
    qn_json_key(w, "ok");
    qn_json_write_bool(w, true);
    qn_json_key(w, "empty");
    qn_json_begin_object(w);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

static void layouts(void **state)
{
    (void)state;
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, NULL);
    struct qn_json_writer compact = {.out = &buf};
    write_sample(&compact);
    assert_string_equal(buf.data, "{\"name\":\"stories\",\"none\":null,"
                                  "\"dims\":[-9223372036854775808,18446744073709551615,[]],\"ok\":true,\"empty\":{}}");
    qn_strbuf_clear(&buf);
    struct qn_json_writer indented = {.out = &buf, .indent = 2};
    write_sample(&indented);
    assert_string_equal(buf.data, "{\n"
                                  "  \"name\": \"stories\",\n"
                                  "  \"none\": null,\n"
                                  "  \"dims\": [\n"
                                  "    -9223372036854775808,\n"
                                  "    18446744073709551615,\n"
                                  "    []\n"
                                  "  ],\n"
                                  "  \"ok\": true,\n"
                                  "  \"empty\": {}\n"
                                  "}");
    qn_strbuf_deinit(&buf);
}

static const char *written(struct qn_strbuf *buf, struct qn_str text)
{
    qn_strbuf_clear(buf);
    struct qn_json_writer writer = {.out = buf};
    qn_json_write_str(&writer, text);
    return buf->data;
}

static void strings_are_escaped(void **state)
{
    (void)state;
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, NULL);
    assert_string_equal(written(&buf, QN_STR("a\"b\\c/\b\f\n\r\t")), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\"");
    assert_string_equal(written(&buf, QN_STR("\0\x1f\x7f")), "\"\\u0000\\u001f\\u007f\"");
    assert_string_equal(written(&buf, QN_STR("\xe2\x82\xac\xf0\x9f\x98\x80")), "\"\xe2\x82\xac\xf0\x9f\x98\x80\"");
    /* one replacement a bad byte: cut sequence, lone continuation, surrogate */
    assert_string_equal(written(&buf, QN_STR("x\xe2\x82")), "\"x\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string_equal(written(&buf, QN_STR("\x80y")), "\"\xef\xbf\xbdy\"");
    assert_string_equal(written(&buf, QN_STR("")), "\"\"");
    qn_strbuf_deinit(&buf);
}

/* Whatever bytes come in, what comes out is JSON; and text comes back as it was. */
static void the_reader_takes_what_the_writer_gives(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int i = 0; i < 3000; i++) {
        char bytes[24];
        struct qn_str text = {bytes, (size_t)i % sizeof bytes};
        for (size_t k = 0; k < text.size; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[k] = (char)(random >> (i % 2 ? 57 : 56)); /* every other one plain ASCII */
        }
        struct qn_strbuf buf;
        struct qn_arena arena;
        const struct qn_json *root;
        qn_strbuf_init(&buf, NULL);
        qn_arena_init(&arena, NULL);
        written(&buf, text);
        qn_assert_ok(qn_json_read(qn_strbuf_view(&buf), NULL, &arena, &root));
        if (i % 2)
            assert_true(qn_str_eq(qn_json_str(root), text));
        qn_arena_deinit(&arena);
        qn_strbuf_deinit(&buf);
    }
}

static void doubles_come_back(void **state)
{
    (void)state;
    static const double values[] = {0.0, -0.0, 0.1, 1.0 / 3, 1e300, DBL_MIN, DBL_MAX, DBL_TRUE_MIN, 123456.789, 2e15};
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, NULL);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        qn_strbuf_clear(&buf);
        struct qn_json_writer writer = {.out = &buf};
        struct qn_arena arena;
        const struct qn_json *root;
        qn_arena_init(&arena, NULL);
        qn_json_write_double(&writer, values[i]);
        qn_assert_ok(qn_json_read(qn_strbuf_view(&buf), NULL, &arena, &root));
        double got = root->kind == QN_JSON_INT ? (double)root->integer : root->number;
        assert_memory_equal(&got, &values[i], sizeof got);
        qn_arena_deinit(&arena);
    }
    qn_strbuf_clear(&buf);
    struct qn_json_writer writer = {.out = &buf};
    qn_json_begin_array(&writer);
    qn_json_write_double(&writer, 0.1);
    qn_json_write_double(&writer, (double)NAN);
    qn_json_write_double(&writer, -(double)INFINITY);
    qn_json_write_null(&writer);
    qn_json_end_array(&writer);
    assert_string_equal(buf.data, "[0.1,null,null,null]");
    qn_strbuf_deinit(&buf);
}

static void bytes_and_ready_values(void **state)
{
    (void)state;
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, NULL);
    struct qn_json_writer writer = {.out = &buf};
    qn_json_begin_object(&writer);
    qn_json_key_str(&writer, (struct qn_str){"a\"b", 3});
    qn_json_begin_array(&writer);
    for (size_t size = 0; size < 5; size++)
        qn_json_write_base64(&writer, (const uint8_t[]){255, 0, 97, 98}, size);
    qn_json_write_json(&writer, QN_STR("{\"x\": 1}"));
    qn_json_write_int(&writer, 2);
    qn_json_end_array(&writer);
    qn_json_key(&writer, "c");
    qn_json_write_json(&writer, QN_STR("null"));
    qn_json_end_object(&writer);
    assert_string_equal(buf.data,
                        "{\"a\\\"b\":[\"\",\"/w==\",\"/wA=\",\"/wBh\",\"/wBhYg==\",{\"x\": 1},2],\"c\":null}");
    qn_strbuf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(the_reader_takes_what_the_writer_gives),
        cmocka_unit_test(doubles_come_back),
        cmocka_unit_test(bytes_and_ready_values),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}

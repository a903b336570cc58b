#include "base/str.h"

#include "support/testing.h"

static void views_compare(void **state)
{
    (void)state;
    assert_true(qn_str_is(QN_STR("llama"), "llama"));
    assert_false(qn_str_is(QN_STR("llama"), "llam"));
    assert_false(qn_str_is(QN_STR("llam"), "llama"));
    assert_true(qn_str_eq((struct qn_str){NULL, 0}, QN_STR("")));
    assert_true(qn_str_starts(QN_STR("blk.0.attn"), QN_STR("blk.")));
    assert_false(qn_str_starts(QN_STR("bl"), QN_STR("blk.")));
    assert_true(qn_str_ends(QN_STR("x.weight"), QN_STR(".weight")));
    assert_false(qn_str_ends(QN_STR("weight"), QN_STR(".weight")));
    assert_true(qn_str_ends(QN_STR("x"), (struct qn_str){0}));
    assert_int_equal(qn_str_from(NULL).size, 0);
}

static void buffer_grows(void **state)
{
    (void)state;
    struct qn_test_allocator counted;
    qn_test_allocator_init(&counted, 0);
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, &counted.allocator);
    assert_string_equal(qn_strbuf_view(&buf).data, "");
    for (int i = 0; i < 1000; i++)
        qn_strbuf_printf(&buf, "%03d,", i);
    assert_int_equal(buf.size, 4000);
    assert_memory_equal(buf.data + 4 * 567, "567,", 4);
    qn_strbuf_append(&buf, "\0x", 2);
    qn_strbuf_add(&buf, "end");
    assert_string_equal(buf.data + 4001, "xend");
    qn_strbuf_clear(&buf);
    assert_int_equal(buf.size, 0);
    assert_string_equal(qn_strbuf_view(&buf).data, "");
    assert_false(buf.failed);
    qn_strbuf_deinit(&buf);
    qn_test_allocator_done(&counted);
}

static void failure_sticks(void **state)
{
    (void)state;
    struct qn_test_allocator counted;
    qn_test_allocator_init(&counted, 2);
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, &counted.allocator);
    qn_strbuf_add(&buf, "kept");
    qn_strbuf_printf(&buf, "%500d", 1);
    assert_true(buf.failed);
    counted.fail_at = 0;
    qn_strbuf_add(&buf, "dropped");
    assert_true(buf.failed);
    assert_string_equal(buf.data, "kept");
    qn_strbuf_deinit(&buf);
    qn_test_allocator_done(&counted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare),
        cmocka_unit_test(buffer_grows),
        cmocka_unit_test(failure_sticks),
    };
    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}

#include "quern/dtype.h"

#include <ctype.h>
#include <string.h>

#include "support/testing.h"

static void names_go_both_ways(void **state)
{
    (void)state;
    int named = 0;
    for (int i = 0; i < QN_DTYPE_LIMIT; i++) {
        const char *name = qn_dtype_info((qn_dtype)i)->name;
        if (!name)
            continue;
        named++;
        char upper[32];
        size_t length = strlen(name);
        for (size_t c = 0; c <= length; c++)
            upper[c] = (char)toupper((unsigned char)name[c]);
        assert_int_equal(qn_dtype_from_name(name, length), i);
        assert_int_equal(qn_dtype_from_name(upper, length), i);
        assert_int_equal(qn_dtype_from_name(name, length - 1) == (qn_dtype)i, false);
        assert_string_equal(qn_dtype_name((qn_dtype)i), name);
    }
    assert_true(named >= 20);
    assert_int_equal(qn_dtype_from_name("q4_9", 4), QN_DTYPE_NONE);
    assert_int_equal(qn_dtype_from_name("", 0), QN_DTYPE_NONE);
    assert_int_equal(qn_dtype_from_name("f32x", 3), QN_DTYPE_F32); /* the length counts, not the end */
    assert_string_equal(qn_dtype_name((qn_dtype)63), "?");
    assert_null(qn_dtype_info((qn_dtype)1000)->name);
}

static void gguf_numbers_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < QN_DTYPE_LIMIT; i++) {
        const struct qn_dtype_info *info = qn_dtype_info((qn_dtype)i);
        if (info->name && info->gguf >= 0)
            assert_int_equal(qn_dtype_from_gguf((uint32_t)info->gguf), i);
    }
    assert_int_equal(qn_dtype_from_gguf(2), QN_DTYPE_Q4_0);
    assert_int_equal(qn_dtype_from_gguf(14), QN_DTYPE_Q6_K);
    assert_int_equal(qn_dtype_from_gguf(4), QN_DTYPE_NONE); /* withdrawn from the format */
    assert_int_equal(qn_dtype_from_gguf(UINT32_MAX), QN_DTYPE_NONE);
}

static void row_bytes(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_true(qn_dtype_row_bytes(QN_DTYPE_F32, 7, &bytes));
    assert_int_equal(bytes, 28);
    assert_true(qn_dtype_row_bytes(QN_DTYPE_Q4_0, 64, &bytes));
    assert_int_equal(bytes, 36);
    assert_true(qn_dtype_row_bytes(QN_DTYPE_Q6_K, 512, &bytes));
    assert_int_equal(bytes, 420);
    assert_false(qn_dtype_row_bytes(QN_DTYPE_Q4_0, 33, &bytes));
    assert_false(qn_dtype_row_bytes(QN_DTYPE_F64, UINT64_MAX, &bytes));
    assert_false(qn_dtype_row_bytes(QN_DTYPE_NONE, 1, &bytes));
    assert_true(qn_dtype_is_block(QN_DTYPE_Q8_0));
    assert_false(qn_dtype_is_block(QN_DTYPE_BF16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(gguf_numbers_are_unique),
        cmocka_unit_test(row_bytes),
    };
    return cmocka_run_group_tests_name("dtype", tests, NULL, NULL);
}

#include "base/checked.h"

#include "support/testing.h"

static void sums_and_products(void **state)
{
    (void)state;
    uint64_t wide;
    size_t size;
    assert_true(qn_add_u64(UINT64_MAX - 1, 1, &wide));
    assert_int_equal(wide, UINT64_MAX);
    assert_false(qn_add_u64(UINT64_MAX, 1, &wide));
    assert_true(qn_mul_u64(1ull << 32, (1ull << 32) - 1, &wide));
    assert_int_equal(wide, 0xffffffff00000000ull);
    assert_false(qn_mul_u64(1ull << 32, 1ull << 32, &wide));
    assert_true(qn_mul_u64(0, UINT64_MAX, &wide));
    assert_false(qn_add_size(SIZE_MAX, 1, &size));
    assert_false(qn_mul_size(SIZE_MAX / 2, 3, &size));
    assert_true(qn_mul_size(SIZE_MAX / 3, 3, &size));
}

static void alignment(void **state)
{
    (void)state;
    uint64_t value;
    for (uint64_t align = 1; align <= 4096; align *= 2) {
        assert_true(qn_align_u64(0, align, &value));
        assert_int_equal(value, 0);
        assert_true(qn_align_u64(1, align, &value));
        assert_int_equal(value, align);
        assert_true(qn_align_u64(align, align, &value));
        assert_int_equal(value, align);
    }
    assert_false(qn_align_u64(UINT64_MAX, 2, &value));
    assert_true(qn_align_u64(UINT64_MAX - 31, 32, &value));
    assert_int_equal(value, UINT64_MAX - 31);
    assert_false(qn_align_u64(UINT64_MAX - 30, 32, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_products),
        cmocka_unit_test(alignment),
    };
    return cmocka_run_group_tests_name("checked", tests, NULL, NULL);
}

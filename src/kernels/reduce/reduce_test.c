#include "kernels/reduce/reduce.h"

#include <math.h>

#include "conformance/conformance.h"
#include "ir/ir.h"
#include "support/testing.h"

static void reduce(const struct qn_kernel *kernel, uint16_t op, qn_dtype dtype, void *x, int64_t n, void *y)
{
    struct qn_reduce_params p = {.op = op, .axes = 1};
    p.x = (struct qn_view){.data = x, .dtype = dtype, .rank = 1, .dims = {n}, .strides = {1}};
    p.y = p.x;
    p.y.data = y;
    p.y.dims[0] = 1;
    cf_run_all(kernel, &p);
}

static void test_nothing_to_reduce(void **state)
{
    (void)state;
    float y = 5;
    int8_t i = 5;
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_REDUCE, &at));) {
        reduce(kernel, QN_OP_reduce_sum, QN_DTYPE_F32, &y, 0, &y);
        assert_true(y == 0);
        reduce(kernel, QN_OP_reduce_mean, QN_DTYPE_F32, &y, 0, &y);
        assert_true(isnan(y));
        reduce(kernel, QN_OP_reduce_max, QN_DTYPE_F32, &y, 0, &y);
        assert_true(y == -INFINITY);
        reduce(kernel, QN_OP_reduce_max, QN_DTYPE_I8, &i, 0, &i);
        assert_true(i == INT8_MIN);
    }
}

static void test_values(void **state)
{
    (void)state;
    float nan[] = {1, NAN, 3, 2}, small[1000], y;
    int32_t wide[] = {INT32_MAX, 1, 1}, mean[] = {-7, 2, 0}, i;
    uint64_t natural[] = {UINT64_MAX, 3}, u;
    for (int j = 0; j < 1000; j++)
        small[j] = j == 0 ? 1e8f : 1; /* one float sum would lose the ones */
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_REDUCE, &at));) {
        reduce(kernel, QN_OP_reduce_max, QN_DTYPE_F32, nan, 4, &y);
        assert_true(isnan(y));
        reduce(kernel, QN_OP_reduce_sum, QN_DTYPE_F32, small, 1000, &y);
        assert_true(fabsf(y - 100000999.0f) <= (kernel->needs ? 128.0f : 0)); /* vectors: short runs in f32 */
        reduce(kernel, QN_OP_reduce_sum, QN_DTYPE_I32, wide, 3, &i);
        assert_int_equal(i, INT32_MIN + 1);
        reduce(kernel, QN_OP_reduce_mean, QN_DTYPE_I32, mean, 3, &i);
        assert_int_equal(i, -1);
        reduce(kernel, QN_OP_reduce_max, QN_DTYPE_U64, natural, 2, &u);
        assert_true(u == UINT64_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_to_reduce), cmocka_unit_test(test_values)};
    return cmocka_run_group_tests_name("kernels/reduce", tests, NULL, NULL);
}

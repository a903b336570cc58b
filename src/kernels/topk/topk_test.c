#include "kernels/topk/topk.h"

#include <math.h>

#include "conformance/conformance.h"
#include "support/testing.h"

static void test_order(void **state)
{
    (void)state;
    float x[] = {1, NAN, -0.0f, 7, 0, 7, -INFINITY, NAN}, values[8];
    int32_t indices[8];
    static const int32_t want[] = {1, 7, 3, 5, 0, 2, 4, 6}; /* NaN first, equals by index, -0 equals 0 */
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_TOPK, &at));) {
        for (int64_t k = 0; k <= 8; k++) {
            struct qn_topk_params p = {.k = k};
            p.x = (struct qn_view){.data = x, .dtype = QN_DTYPE_F32, .rank = 1, .dims = {8}, .strides = {1}};
            p.values = (struct qn_view){.data = values, .dtype = QN_DTYPE_F32, .rank = 1, .dims = {k}, .strides = {1}};
            p.indices =
                (struct qn_view){.data = indices, .dtype = QN_DTYPE_I32, .rank = 1, .dims = {k}, .strides = {1}};
            cf_run_all(kernel, &p);
            for (int64_t i = 0; i < k; i++) {
                assert_int_equal(indices[i], want[i]);
                assert_memory_equal(&values[i], &x[want[i]], sizeof(float));
            }
        }
    }
}

static void test_large_integers(void **state)
{
    (void)state;
    int64_t x[] = {INT64_MAX - 1, INT64_MAX, INT64_MIN, INT64_MAX - 2}, values[2],
            indices[2]; /* one double for three */
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_TOPK, &at));) {
        struct qn_topk_params p = {.k = 2};
        p.x = (struct qn_view){.data = x, .dtype = QN_DTYPE_I64, .rank = 1, .dims = {4}, .strides = {1}};
        p.values = (struct qn_view){.data = values, .dtype = QN_DTYPE_I64, .rank = 1, .dims = {2}, .strides = {1}};
        p.indices = (struct qn_view){.data = indices, .dtype = QN_DTYPE_I64, .rank = 1, .dims = {2}, .strides = {1}};
        cf_run_all(kernel, &p);
        assert_true(values[0] == INT64_MAX && values[1] == INT64_MAX - 1 && indices[0] == 1 && indices[1] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_large_integers)};
    return cmocka_run_group_tests_name("kernels/topk", tests, NULL, NULL);
}

#include "kernels/softmax/softmax.h"

#include <math.h>
#include <string.h>

#include "conformance/conformance.h"
#include "support/testing.h"

enum { ROWS = 7, MOST = 200 };

static struct qn_softmax_params params_of(float *x, float *y, int64_t rows, int64_t n)
{
    struct qn_softmax_params p = {.axis = 1};
    p.x = (struct qn_view){.data = x, .dtype = QN_DTYPE_F32, .rank = 2, .dims = {rows, n}, .strides = {n, 1}};
    p.y = p.x;
    p.y.data = y;
    return p;
}

static void test_bits_do_not_depend_on_rows(void **state)
{
    (void)state;
    static float x[ROWS * MOST], all[ROWS * MOST], one[MOST], column[MOST * 3];
    for (int i = 0; i < ROWS * MOST; i++)
        x[i] = (float)cf_uniform(-9, 9);
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_SOFTMAX, &at));) {
        for (int64_t n = 1; n <= MOST; n += 1 + n / 3) {
            struct qn_softmax_params p = params_of(x, all, ROWS, n);
            cf_run_all(kernel, &p);
            for (int64_t row = 0; row < ROWS; row++) {
                p = params_of(x + row * n, one, 1, n);
                cf_run_all(kernel, &p);
                assert_memory_equal(one, all + row * n, sizeof(float) * (size_t)n);
                memcpy(one, x + row * n, sizeof(float) * (size_t)n);
                p = params_of(one, one, 1, n); /* in place */
                cf_run_all(kernel, &p);
                assert_memory_equal(one, all + row * n, sizeof(float) * (size_t)n);
                for (int64_t i = 0; i < n; i++) /* along another axis */
                    column[i * 3] = x[row * n + i];
                struct qn_view view = {
                    .data = column, .dtype = QN_DTYPE_F32, .rank = 2, .dims = {n, 1}, .strides = {3, 1}};
                p = (struct qn_softmax_params){view, view, 0};
                cf_run_all(kernel, &p);
                for (int64_t i = 0; i < n; i++)
                    assert_memory_equal(&column[i * 3], &all[row * n + i], sizeof(float));
            }
        }
    }
}

static void test_extremes(void **state)
{
    (void)state;
    float x[20], y[20];
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_SOFTMAX, &at));) {
        struct qn_softmax_params p = params_of(x, y, 1, 20);
        for (int i = 0; i < 20; i++)
            x[i] = i == 17 ? 3e38f : -3e38f;
        cf_run_all(kernel, &p);
        for (int i = 0; i < 20; i++)
            assert_true(y[i] == (i == 17 ? 1.0f : 0.0f));
        for (int i = 0; i < 20; i++)
            x[i] = i == 17 ? 0.25f : -INFINITY;
        cf_run_all(kernel, &p);
        for (int i = 0; i < 20; i++)
            assert_true(y[i] == (i == 17 ? 1.0f : 0.0f));
        for (int i = 0; i < 20; i++)
            x[i] = -INFINITY;
        cf_run_all(kernel, &p);
        for (int i = 0; i < 20; i++)
            assert_true(isnan(y[i]));
        for (int i = 0; i < 20; i++)
            x[i] = i == 2 ? NAN : 1;
        cf_run_all(kernel, &p);
        for (int i = 0; i < 20; i++)
            assert_true(isnan(y[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_do_not_depend_on_rows),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests_name("kernels/softmax", tests, NULL, NULL);
}

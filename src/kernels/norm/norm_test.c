#include "kernels/norm/norm.h"

#include <math.h>
#include <string.h>

#include "conformance/conformance.h"
#include "ir/ir.h"
#include "support/testing.h"

enum { ROWS = 9, MOST = 300 };

static struct qn_view matrix(float *data, int64_t rows, int64_t d, int64_t stride)
{
    return (struct qn_view){.data = data, .dtype = QN_DTYPE_F32, .rank = 2, .dims = {rows, d}, .strides = {stride, 1}};
}

static struct qn_view vector(float *data, int64_t d)
{
    return (struct qn_view){.data = data, .dtype = QN_DTYPE_F32, .rank = 1, .dims = {d}, .strides = {1}};
}

/* A row alone, beside others, in place and with its rows apart: the same bits. */
static void test_bits_do_not_depend_on_rows(void **state)
{
    (void)state;
    static float x[ROWS * MOST], all[ROWS * MOST], other[ROWS * (MOST + 7)], w[MOST], b[MOST];
    static const uint16_t ops[] = {QN_OP_rms_norm, QN_OP_layer_norm};
    for (int i = 0; i < ROWS * MOST; i++)
        x[i] = (float)cf_uniform(-2, 3);
    for (int i = 0; i < MOST; i++) {
        w[i] = (float)cf_uniform(0, 2);
        b[i] = (float)cf_uniform(-1, 1);
    }
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_NORM, &at));) {
        for (int64_t d = 1; d <= MOST; d += 1 + d / 3) {
            for (int o = 0; o < 2; o++) {
                struct qn_norm_params p = {
                    .op = ops[o], .epsilon = 1e-6f, .weight = vector(w, d), .bias = vector(b, d)};
                p.x = matrix(x, ROWS, d, d);
                p.y = matrix(all, ROWS, d, d);
                cf_run_all(kernel, &p);
                for (int64_t row = 0; row < ROWS; row++) {
                    struct qn_norm_params q = p;
                    q.x = matrix(x + row * d, 1, d, d);
                    q.y = matrix(other, 1, d, d);
                    cf_run_all(kernel, &q);
                    assert_memory_equal(other, all + row * d, sizeof(float) * (size_t)d);
                }
                for (int64_t row = 0; row < ROWS; row++)
                    memcpy(other + row * (d + 7), x + row * d, sizeof(float) * (size_t)d);
                p.x = p.y = matrix(other, ROWS, d, d + 7);
                cf_run_all(kernel, &p);
                for (int64_t row = 0; row < ROWS; row++)
                    assert_memory_equal(other + row * (d + 7), all + row * d, sizeof(float) * (size_t)d);
            }
        }
    }
}

/* A large mean must not swallow the variance. */
static void test_layer_norm_with_a_large_mean(void **state)
{
    (void)state;
    float x[64], y[64], w[64], b[64] = {0};
    for (int i = 0; i < 64; i++) {
        x[i] = 4096.0f + (i & 1 ? 0.5f : -0.5f);
        w[i] = 1;
    }
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_NORM, &at));) {
        struct qn_norm_params p = {.op = QN_OP_layer_norm, .weight = vector(w, 64), .bias = vector(b, 64)};
        p.x = matrix(x, 1, 64, 64);
        p.y = matrix(y, 1, 64, 64);
        cf_run_all(kernel, &p);
        for (int i = 0; i < 64; i++)
            assert_true(fabsf(y[i] - (i & 1 ? 1.0f : -1.0f)) < 1e-6f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_do_not_depend_on_rows),
        cmocka_unit_test(test_layer_norm_with_a_large_mean),
    };
    return cmocka_run_group_tests_name("kernels/norm", tests, NULL, NULL);
}

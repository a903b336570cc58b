#include "kernels/unary/unary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "ir/ir.h"
#include "kernels/element.h"
#include "support/testing.h"

static struct qn_view floats(float *data, int64_t n)
{
    return (struct qn_view){.data = data, .dtype = QN_DTYPE_F32, .rank = 1, .dims = {n}, .strides = {1}};
}

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double silu(double x)
{
    return x * sigmoid(x);
}

static double gelu_tanh(double x)
{
    return x * sigmoid(2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
}

static double gelu_erf(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

/* Worst error of every kernel over many floats, in float ulps of the true value (above the smallest normal). The tails
 * of gelu carry the error of their argument. */
static void test_accuracy(void **state)
{
    (void)state;
    static const struct {
        uint16_t op;
        double (*f)(double);
        float low, high;
        double most;
    } functions[] = {
        {QN_OP_exp, exp, -87.0f, 88.7f, 2},   {QN_OP_tanh, tanh, -10, 10, 2},
        {QN_OP_tanh, tanh, -0.7f, 0.7f, 2},   {QN_OP_sigmoid, sigmoid, -87, 87, 2.5},
        {QN_OP_erf, erf, -5, 5, 2},           {QN_OP_erf, erf, -1e-3f, 1e-3f, 2},
        {QN_OP_silu, silu, -80, 80, 3},       {QN_OP_gelu_tanh, gelu_tanh, -2, 9, 8},
        {QN_OP_gelu_erf, gelu_erf, -1, 9, 8}, {QN_OP_log, log, 1e-3f, 1e3f, 2},
        {QN_OP_sin, sin, -1e6f, 1e6f, 2},     {QN_OP_cos, cos, -1e6f, 1e6f, 2},
    };
    enum { N = 1 << 17 };
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_UNARY, &at));) {
        for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
            for (int j = 0; j < N; j++)
                x[j] = functions[i].low + (functions[i].high - functions[i].low) * ((float)j / (N - 1));
            struct qn_unary_params p = {.op = functions[i].op, .x = floats(x, N), .y = floats(y, N)};
            cf_run_all(kernel, &p);
            double worst = 0;
            float where = 0;
            for (int j = 0; j < N; j++) {
                double want = functions[i].f((double)x[j]);
                float size = fmaxf(fabsf((float)want), 0x1p-126f);
                double error = fabs((double)y[j] - want) / (double)(nextafterf(size, INFINITY) - size);
                if (error > worst) {
                    worst = error;
                    where = x[j];
                }
            }
            print_message("%-13s %-9s %.2f ulp at %.9g\n", kernel->name, qn_op_info(functions[i].op)->name, worst,
                          (double)where);
            if (worst > functions[i].most)
                fail_msg("%s %s: %g ulp at %.9g", kernel->name, qn_op_info(functions[i].op)->name, worst,
                         (double)where);
        }
    }
    free(x);
    free(y);
}

static void test_special_values(void **state)
{
    (void)state;
    float x[8] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f, 1000, -1000}, y[8];
    static const struct {
        uint16_t op;
        float want[8];
    } cases[] = {
        {QN_OP_exp, {1, 1, INFINITY, 0, NAN, 1, INFINITY, 0}},
        {QN_OP_tanh, {0, -0.0f, 1, -1, NAN, 1e-40f, 1, -1}},
        {QN_OP_sigmoid, {0.5f, 0.5f, 1, 0, NAN, 0.5f, 1, 0}},
        {QN_OP_erf, {0, -0.0f, 1, -1, NAN, 1.12838e-40f, 1, -1}},
        {QN_OP_relu, {0, -0.0f, INFINITY, 0, NAN, 1e-40f, 1000, 0}},
        {QN_OP_abs, {0, 0, INFINITY, INFINITY, NAN, 1e-40f, 1000, 1000}},
        {QN_OP_neg, {-0.0f, 0, -INFINITY, INFINITY, NAN, -1e-40f, -1000, 1000}},
        {QN_OP_rsqrt, {INFINITY, -INFINITY, 0, NAN, NAN, 1e20f, 0.0316227766f, NAN}},
    };
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_UNARY, &at));) {
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            struct qn_unary_params p = {.op = cases[c].op, .x = floats(x, 8), .y = floats(y, 8)};
            cf_run_all(kernel, &p);
            for (int i = 0; i < 8; i++) {
                float want = cases[c].want[i];
                bool same = isnan(want)   ? isnan(y[i])
                            : isinf(want) ? y[i] == want
                                          : fabsf(y[i] - want) <= 2e-5f * fabsf(want);
                if (!same || (!isnan(want) && signbit(want) != signbit(y[i])))
                    fail_msg("%s %s(%g) is %g, not %g", kernel->name, qn_op_info(cases[c].op)->name, (double)x[i],
                             (double)y[i], (double)want);
            }
        }
    }
}

/* An element's bits depend neither on its place in the tensor nor on strides, tiles or whether y is x. */
static void test_bits_do_not_depend_on_place(void **state)
{
    (void)state;
    enum { N = 9000 };
    static const uint16_t ops[] = {QN_OP_exp,  QN_OP_tanh,      QN_OP_sigmoid, QN_OP_erf,
                                   QN_OP_silu, QN_OP_gelu_tanh, QN_OP_gelu_erf};
    static float x[N], whole[N], one[N], strided_x[3 * N], strided_y[3 * N];
    for (int i = 0; i < N; i++)
        strided_x[3 * i] = x[i] = (float)cf_uniform(-6, 6);
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_UNARY, &at));) {
        for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
            struct qn_unary_params p = {.op = ops[o], .x = floats(x, N), .y = floats(whole, N)};
            cf_run_all(kernel, &p);
            for (int i = 0; i < N; i += 1 + i % 37) { /* each alone */
                struct qn_unary_params q = {.op = ops[o], .x = floats(x + i, 1), .y = floats(one + i, 1)};
                cf_run_all(kernel, &q);
                assert_memory_equal(&one[i], &whole[i], sizeof(float));
            }
            struct qn_unary_params s = p;
            s.x.data = strided_x;
            s.y.data = strided_y;
            s.x.strides[0] = s.y.strides[0] = 3;
            for (int64_t tile = kernel->tiles(&s); tile-- > 0;)
                cf_run_tiles(kernel, &s, tile, tile + 1);
            for (int i = 0; i < N; i++)
                assert_memory_equal(&strided_y[3 * i], &whole[i], sizeof(float));
            memcpy(one, x, sizeof one);
            p.x.data = p.y.data = one;
            cf_run_all(kernel, &p);
            assert_memory_equal(one, whole, sizeof one);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_bits_do_not_depend_on_place),
    };
    return cmocka_run_group_tests_name("kernels/unary", tests, NULL, NULL);
}

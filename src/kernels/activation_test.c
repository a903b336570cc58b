#include "support/testing.h"

#include <math.h>

#include "kernels/activation.h"

static void expect(int32_t kind, double alpha, double beta, double x, double want)
{
    double got = qn_activate(kind, alpha, beta, x);
    if (!(fabs(got - want) <= 1e-12))
        fail_msg("kind %d of %g is %.17g, not %.17g", kind, x, got, want);
}

static void test_values(void **state)
{
    (void)state;
    for (double x = -6; x <= 6; x += 0.375) {
        expect(QN_ACTIVATION_RELU, 0, 0, x, fmax(x, 0));
        expect(QN_ACTIVATION_CLIP, -1, 2, x, fmin(fmax(x, -1), 2));
        expect(QN_ACTIVATION_LEAKY_RELU, 0.1, 0, x, x < 0 ? 0.1 * x : x);
        expect(QN_ACTIVATION_SILU, 0, 0, x, x / (1 + exp(-x)));
        expect(QN_ACTIVATION_GELU_ERF, 0, 0, x, 0.5 * x * (1 + erf(x / sqrt(2))));
        expect(QN_ACTIVATION_HARD_SIGMOID, 0.2, 0.5, x, fmin(fmax(0.2 * x + 0.5, 0), 1));
        expect(QN_ACTIVATION_HARD_SWISH, 0, 0, x, x * fmin(fmax(x / 6 + 0.5, 0), 1));
        expect(QN_ACTIVATION_ELU, 1.5, 0, x, x < 0 ? 1.5 * expm1(x) : x);
        expect(QN_ACTIVATION_SOFTPLUS, 0, 0, x, log1p(exp(x)));
        expect(QN_ACTIVATION_SOFTSIGN, 0, 0, x, x / (1 + fabs(x)));
        expect(QN_ACTIVATION_AFFINE, 2, 3, x, 2 * x + 3);
        expect(QN_ACTIVATION_SCALED_TANH, 1.5, 0.5, x, 1.5 * tanh(0.5 * x));
        expect(QN_ACTIVATION_THRESHOLDED_RELU, 1, 0, x, x > 1 ? x : 0);
    }
    assert_true(isnan(qn_activate(QN_ACTIVATION_RELU, 0, 0, NAN)));
    assert_true(isnan(qn_activate(QN_ACTIVATION_CLIP, 0, 1, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values)};
    return cmocka_run_group_tests_name("activation", tests, NULL, NULL);
}

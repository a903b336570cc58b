#include "kernels/math.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/testing.h"

/* Error of a double result in units of the last place of the true one. */
static double ulps(double got, long double want)
{
    if (got == (double)want || (isnan(got) && isnan((double)want)))
        return 0;
    double near = fabs((double)want), unit = nextafter(near, INFINITY) - near;
    return (double)(fabsl((long double)got - want) / (long double)unit);
}

/* And of a float. */
static double float_ulps(float got, double want)
{
    if (got == (float)want || (isnan(got) && isnan(want)))
        return 0;
    float near = fabsf((float)want);
    return fabs((double)got - want) / (double)(nextafterf(near, INFINITY) - near);
}

struct function {
    const char *name;
    double (*mine)(double);
    long double (*theirs)(long double);
    double low, high;
    double most; /* ulps of double */
};

static long double sigmoid_long(long double x)
{
    return 1 / (1 + expl(-x));
}

static void test_accuracy(void **state)
{
    enum { POINTS = 25000 }; /* the true values take long where long doubles are made by software */
    (void)state;
    static const struct function functions[] = {
        {"exp", qn_exp, expl, -708, 709, 2},     {"exp near 0", qn_exp, expl, -1, 1, 2},
        {"log", qn_log, logl, 1e-150, 1e150, 2}, {"log near 1", qn_log, logl, 0.5, 2, 2},
        {"tanh", qn_tanh, tanhl, -20, 20, 4},    {"tanh near 0", qn_tanh, tanhl, -0.4, 0.4, 4},
        {"erf", qn_erf, erfl, -6, 6, 16},        {"sigmoid", qn_sigmoid, sigmoid_long, -300, 300, 4},
        {"sin", qn_sin, sinl, -7, 7, 4},         {"cos", qn_cos, cosl, -7, 7, 4},
        {"sin far", qn_sin, sinl, -1e6, 1e6, 4}, {"cos far", qn_cos, cosl, -1e6, 1e6, 4},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        const struct function *f = &functions[i];
        double worst = 0, worst_float = 0, at = 0;
        bool logarithmic = f->low > 0 && f->high / f->low > 1e6;
        for (int j = 0; j <= POINTS; j++) {
            double t = (double)j / POINTS;
            double x = logarithmic ? f->low * pow(f->high / f->low, t) : f->low + (f->high - f->low) * t;
            long double want = f->theirs((long double)x);
            double error = ulps(f->mine(x), want);
            if (error > worst) {
                worst = error;
                at = x;
            }
            float xf = (float)x;
            error = float_ulps((float)f->mine((double)xf), (double)f->theirs((long double)xf));
            worst_float = error > worst_float ? error : worst_float;
        }
        print_message("%-12s %5.2f ulp of double at %.17g, %.3f ulp of float\n", f->name, worst, at, worst_float);
        if (worst > f->most || worst_float > 0.51)
            fail_msg("%s: %g ulp at %.17g, %g ulp of float", f->name, worst, at, worst_float);
    }
}

static void test_pow(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < 300; i++) {
        for (int j = 0; j < 300; j++) {
            double x = exp(-20 + 40 * i / 299.0), y = -30 + 60 * j / 299.0;
            double error = ulps(qn_pow(x, y), powl((long double)x, (long double)y));
            worst = error > worst ? error : worst;
        }
    }
    print_message("pow          %5.2f ulp of double\n", worst);
    assert_true(worst <= 16);
}

static void test_special_values(void **state)
{
    (void)state;
    static const double values[] = {0.0,
                                    -0.0,
                                    1,
                                    -1,
                                    2,
                                    -2,
                                    3,
                                    -3,
                                    0.5,
                                    -0.5,
                                    INFINITY,
                                    -INFINITY,
                                    NAN,
                                    1e300,
                                    -1e300,
                                    1e-320,
                                    4503599627370497.0,
                                    -4503599627370497.0,
                                    710,
                                    -746,
                                    1e-8};
    static const struct {
        const char *name;
        double (*mine)(double), (*theirs)(double);
    } functions[] = {{"exp", qn_exp, exp}, {"log", qn_log, log}, {"tanh", qn_tanh, tanh}, {"erf", qn_erf, erf}};
    enum { COUNT = sizeof values / sizeof values[0] };
    for (int i = 0; i < COUNT; i++) {
        for (int f = 0; f < 4; f++) {
            double got = functions[f].mine(values[i]), want = functions[f].theirs(values[i]);
            if (ulps(got, (long double)want) > 4 || signbit(got) != signbit(want))
                if (!isnan(want))
                    fail_msg("%s(%g) is %g, not %g", functions[f].name, values[i], got, want);
        }
        for (int j = 0; j < COUNT; j++) {
            double got = qn_pow(values[i], values[j]), want = pow(values[i], values[j]);
            if (ulps(got, (long double)want) > 16 || (!isnan(want) && signbit(got) != signbit(want)))
                fail_msg("pow(%g, %g) is %g, not %g", values[i], values[j], got, want);
        }
    }
    assert_true(isnan(qn_sin(INFINITY)) && isnan(qn_cos(NAN)) && isnan(qn_sigmoid(NAN)));
    assert_true(qn_sigmoid(-1e9) == 0 && qn_sigmoid(1e9) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_pow),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests_name("kernels/math", tests, NULL, NULL);
}

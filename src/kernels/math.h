/* The functions that kernels may not take from libc, in double: exp, log, tanh, the other hyperbolic and the inverse
 * ones within 4 ulp of double, erf, sin, cos within 1e-15 absolute (sin, cos and tan for |x| below 1e8, worse beyond),
 * pow within 16 ulp. Rounded to float they are correct to within one float ulp. Only +, -, *, / and square root are
 * used, so every machine gives the same bits.
 */
#ifndef QN_KERNELS_MATH_H
#define QN_KERNELS_MATH_H

#include <stdbool.h>
#include <stdint.h>

union qn_f64_bits {
    double f;
    uint64_t u;
};

static inline double qn_abs(double x)
{
    return __builtin_fabs(x);
}

/* Nearest integer, ties to even, for |x| < 2^51. */
static inline double qn_nearest(double x)
{
    return x + 0x1.8p52 - 0x1.8p52;
}

/* 2^n for -1022 <= n <= 1023. */
static inline double qn_power_of_two(int64_t n)
{
    union qn_f64_bits bits = {.u = (uint64_t)(n + 1023) << 52};
    return bits.f;
}

/* exp(x + tail), |tail| far below |x|'s ulp times 2. r stays within ln(2)/2, where the series to r^13 is exact. */
static inline double qn_exp_sum(double x, double tail)
{
    if (!(x > -745.2 && x < 709.8))
        return x != x ? x : x < 0 ? 0 : __builtin_inf();
    double n = qn_nearest(x * 1.4426950408889634);
    double r = x - n * 0x1.62e42feep-1 - n * 0x1.a39ef35793c76p-33 + tail;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    double e = 1.0 + (r + r * r * p);
    int64_t whole = (int64_t)n, half = whole / 2;
    return e * qn_power_of_two(half) * qn_power_of_two(whole - half);
}

static inline double qn_exp(double x)
{
    return qn_exp_sum(x, 0);
}

/* a * b as a sum of two doubles: the halves of 26 bits multiply exactly. */
static inline double qn_product(double a, double b, double *low)
{
    double p = a * b, sa = a * 134217729.0, sb = b * 134217729.0;
    double a1 = sa - (sa - a), a2 = a - a1, b1 = sb - (sb - b), b2 = b - b1;
    *low = a1 * b1 - p + a1 * b2 + a2 * b1 + a2 * b2;
    return p;
}

/* log(x) as a sum of two doubles for finite x > 0: with x = 2^e m, s = (m - 1) / (m + 1), log m = 2 artanh(s). */
static inline double qn_log_sum(double x, double *low)
{
    union qn_f64_bits bits = {.f = x};
    int64_t e = 0;
    if (bits.u < 1ull << 52) { /* subnormal */
        bits.f = x * 0x1p54;
        e = -54;
    }
    e += (int64_t)(bits.u >> 52) - 1023;
    bits.u = (bits.u & 0xfffffffffffffull) | 0x3ffull << 52;
    double m = bits.f;
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    double f = m - 1, t = m + 1, t_low = m - (t - 1), s = f / t, product_low;
    double product = qn_product(s, t, &product_low);
    double s_low = (f - product - product_low - s * t_low) / t;
    double z = s * s, p = 0;
    for (int k = 23; k >= 3; k -= 2)
        p = (p + 2.0 / k) * z;
    double n = (double)e, high = n * 0x1.62e42feep-1, main = high + 2 * s;
    /* whichever of the two is larger, main - larger is exact */
    double lost = e ? 2 * s - (main - high) : high - (main - 2 * s);
    double tail = lost + (n * 0x1.a39ef35793c76p-33 + 2 * s_low + s * p);
    double sum = main + tail;
    *low = tail - (sum - main);
    return sum;
}

static inline double qn_log(double x)
{
    if (!(x > 0) || x == __builtin_inf())
        return x == 0 ? -__builtin_inf() : x > 0 ? x : __builtin_nan("");
    double low;
    return qn_log_sum(x, &low);
}

/* C99's pow, special cases included. */
static inline double qn_pow(double x, double y)
{
    if (y == 0 || x == 1)
        return 1;
    if (x != x || y != y)
        return __builtin_nan("");
    bool whole = qn_abs(y) >= 0x1p52 || (double)(int64_t)y == y;
    bool odd = whole && qn_abs(y) < 0x1p53 && ((int64_t)y & 1);
    double size = qn_abs(x), sign = __builtin_signbit(x) && odd ? -1 : 1;
    if (qn_abs(y) == __builtin_inf())
        return size == 1 ? 1 : (size > 1) == (y > 0) ? __builtin_inf() : 0;
    if (size == 0 || size == __builtin_inf())
        return sign * ((size == 0) == (y > 0) ? 0 : __builtin_inf());
    if (x < 0 && !whole)
        return __builtin_nan("");
    if (size == 1)
        return sign;
    double low, log = qn_log_sum(size, &low), product_low;
    if (qn_abs(y * log) > 800 || qn_abs(y) > 0x1p960)
        return sign * (y * log > 0 ? __builtin_inf() : 0);
    double product = qn_product(y, log, &product_low);
    return sign * qn_exp_sum(product, product_low + y * low);
}

/* tanh(x) = expm1(2x) / (expm1(2x) + 2); for small x the series of expm1 keeps what exp would lose. */
static inline double qn_tanh(double x)
{
    double a = qn_abs(x);
    if (!(a < 20))
        return x != x ? x : x < 0 ? -1 : 1;
    double r = 2 * a, e;
    if (r < 0.35) {
        double p = 0;
        for (int k = 15; k >= 2; k--)
            p = (p + 1) * r / k;
        e = r + r * p;
    } else {
        e = qn_exp(r) - 1;
    }
    double t = e / (e + 2);
    return __builtin_copysign(t, x);
}

static inline double qn_sigmoid(double x)
{
    double e = qn_exp(-qn_abs(x));
    return x != x ? x : x < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* Below 2.5 the series 2/sqrt(pi) x exp(-x^2) sum (2 x^2)^n / (1 3 5 ... (2n + 1)), whose terms are all positive;
 * beyond it the continued fraction of erfc. */
static inline double qn_erf(double x)
{
    double a = qn_abs(x), z = a * a, y;
    if (!(a < 6))
        return x != x ? x : x < 0 ? -1 : 1;
    if (a < 2.5) {
        double term = 1, sum = 1;
        for (int n = 1; n < 64 && term > sum * 1e-17; n++) {
            term *= 2 * z / (2 * n + 1);
            sum += term;
        }
        y = 1.1283791670955126 * a * qn_exp(-z) * sum;
    } else {
        double fraction = a;
        for (int n = 48; n >= 1; n--)
            fraction = a + 0.5 * n / fraction;
        y = 1 - qn_exp(-z) * 0.5641895835477563 / fraction;
    }
    return __builtin_copysign(y, x);
}

/* x - k pi/2 in [-pi/4, pi/4], and k mod 4. pi/2 is four pieces of 27 bits or less each, so that their products with
 * k below 2^26 are exact. */
static inline double qn_quarter_turns(double x, int *quadrant)
{
    double k = qn_nearest(x * 0.6366197723675814);
    double r = x - k * 0x1.921fb5p+0 - k * 0x1.110b46p-26 - k * 0x1.1a6263p-54 - k * 0x1.8a2e03707344ap-81;
    *quadrant = (int)(k - 4 * qn_nearest(k * 0.25)) & 3;
    return r;
}

static inline double qn_sin_kernel(double r)
{
    double z = r * r, p = 0;
    for (int n = 18; n >= 2; n -= 2)
        p = (1 + p) * -z / (n * (n + 1));
    return r + r * p;
}

static inline double qn_cos_kernel(double r)
{
    double z = r * r, p = 0;
    for (int n = 17; n >= 1; n -= 2)
        p = (1 + p) * -z / (n * (n + 1));
    return 1 + p;
}

static inline double qn_sin(double x)
{
    if (!(qn_abs(x) < 0x1p51))
        return qn_abs(x) <= 1.7976931348623157e308 ? 0 : __builtin_nan("");
    int quadrant;
    double r = qn_quarter_turns(x, &quadrant);
    double y = quadrant & 1 ? qn_cos_kernel(r) : qn_sin_kernel(r);
    return quadrant & 2 ? -y : y;
}

static inline double qn_cos(double x)
{
    if (!(qn_abs(x) < 0x1p51))
        return qn_abs(x) <= 1.7976931348623157e308 ? 1 : __builtin_nan("");
    int quadrant;
    double r = qn_quarter_turns(x, &quadrant);
    double y = quadrant & 1 ? qn_sin_kernel(r) : qn_cos_kernel(r);
    return quadrant == 1 || quadrant == 2 ? -y : y;
}

/* 0.5 x (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3), as x sigmoid(2u), which keeps the negative tail. */
static inline double qn_gelu_tanh(double x)
{
    return x * qn_sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x));
}

static inline double qn_gelu_erf(double x)
{
    return 0.5 * x * (1 + qn_erf(x * 0.7071067811865476));
}

/* exp(x) - 1; for small x the series keeps what exp would lose. */
static inline double qn_expm1(double x)
{
    if (!(qn_abs(x) < 0.35))
        return qn_exp(x) - 1;
    double p = 0;
    for (int k = 16; k >= 2; k--)
        p = (p + 1) * x / k;
    return x + x * p;
}

/* log(1 + x): what the sum 1 + x lost is put back as the slope times it. */
static inline double qn_log1p(double x)
{
    double u = 1 + x;
    if (x != x || u == __builtin_inf())
        return x;
    return u <= 0 ? qn_log(u) : qn_log(u) + (x - (u - 1)) / u;
}

static inline double qn_tan(double x)
{
    if (!(qn_abs(x) < 0x1p51))
        return qn_abs(x) <= 1.7976931348623157e308 ? 0 : __builtin_nan("");
    int quadrant;
    double r = qn_quarter_turns(x, &quadrant), s = qn_sin_kernel(r), c = qn_cos_kernel(r);
    return quadrant & 1 ? -c / s : s / c;
}

/* The series up to tan(pi/8), reached from 1 by a turn of pi/4 and from infinity by one of pi/2. */
static inline double qn_atan(double x)
{
    double a = qn_abs(x), base = 0;
    if (x != x)
        return x;
    if (a > 2.414213562373095) {
        base = 1.5707963267948966;
        a = -1 / a;
    } else if (a > 0.41421356237309503) {
        base = 0.7853981633974483;
        a = (a - 1) / (a + 1);
    }
    double z = a * a, p = 0;
    for (int k = 45; k >= 3; k -= 2)
        p = (1.0 / k - p) * z;
    return __builtin_copysign(base + (a - a * p), x);
}

/* asin for 0 <= a <= 1/2 */
static inline double qn_asin_half(double a)
{
    return qn_atan(a / __builtin_sqrt((1 - a) * (1 + a)));
}

static inline double qn_asin(double x)
{
    double a = qn_abs(x);
    if (!(a <= 1))
        return __builtin_nan("");
    double y = a <= 0.5 ? qn_asin_half(a) : 1.5707963267948966 - 2 * qn_asin_half(__builtin_sqrt((1 - a) * 0.5));
    return __builtin_copysign(y, x);
}

static inline double qn_acos(double x)
{
    double a = qn_abs(x);
    if (!(a <= 1))
        return __builtin_nan("");
    if (a <= 0.5)
        return 1.5707963267948966 - __builtin_copysign(qn_asin_half(a), x);
    double y = 2 * qn_asin_half(__builtin_sqrt((1 - a) * 0.5));
    return x < 0 ? 3.141592653589793 - y : y;
}

static inline double qn_sinh(double x)
{
    double a = qn_abs(x), y;
    if (a < 700) {
        double e = qn_expm1(a);
        y = 0.5 * (e + e / (e + 1));
    } else {
        double half = qn_exp(0.5 * a);
        y = 0.5 * half * half;
    }
    return __builtin_copysign(y, x);
}

static inline double qn_cosh(double x)
{
    double a = qn_abs(x), half = qn_exp(0.5 * a);
    return a < 700 ? 0.5 * (half * half + 1 / (half * half)) : 0.5 * half * half;
}

static inline double qn_asinh(double x)
{
    double a = qn_abs(x);
    double y = a > 1e9 ? qn_log(a) + 0.6931471805599453 : qn_log1p(a + a * a / (1 + __builtin_sqrt(1 + a * a)));
    return __builtin_copysign(y, x);
}

static inline double qn_acosh(double x)
{
    double t = x - 1;
    return x > 1e9 ? qn_log(x) + 0.6931471805599453 : qn_log1p(t + __builtin_sqrt(2 * t + t * t));
}

static inline double qn_atanh(double x)
{
    double a = qn_abs(x);
    return __builtin_copysign(0.5 * qn_log1p(2 * a / (1 - a)), x);
}

/* The nearest whole number, halves to even; keeps the sign of zero. */
static inline double qn_round(double x)
{
    double y = qn_abs(x) < 0x1p51 ? qn_nearest(qn_abs(x)) : qn_abs(x);
    return __builtin_copysign(y, x);
}

static inline double qn_floor(double x)
{
    double y = qn_round(x);
    return y > x ? y - 1 : y;
}

static inline double qn_ceil(double x)
{
    return -qn_floor(-x);
}

static inline double qn_sign(double x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

/* C99's fmod: exact, by long division of the fractions. */
static inline double qn_rem(double x, double y)
{
    union qn_f64_bits a = {.f = qn_abs(x)}, b = {.f = qn_abs(y)};
    if (x != x || y != y || a.f == __builtin_inf() || b.f == 0)
        return __builtin_nan("");
    if (a.f < b.f)
        return x;
    const uint64_t hidden = 1ull << 52;
    int64_t ea = (int64_t)(a.u >> 52), eb = (int64_t)(b.u >> 52);
    uint64_t fa = ea ? (a.u & (hidden - 1)) | hidden : a.u, fb = eb ? (b.u & (hidden - 1)) | hidden : b.u;
    ea += ea == 0;
    eb += eb == 0;
    for (; !(fa & hidden); ea--)
        fa <<= 1;
    for (; !(fb & hidden); eb--)
        fb <<= 1;
    for (; ea > eb; ea--) {
        fa -= fa >= fb ? fb : 0;
        fa <<= 1;
    }
    fa -= fa >= fb ? fb : 0;
    for (; fa && !(fa & hidden) && ea > 1; ea--)
        fa <<= 1;
    for (; ea < 1; ea++)
        fa >>= 1;
    a.u = fa & hidden ? (fa & (hidden - 1)) | (uint64_t)ea << 52 : fa;
    return __builtin_copysign(a.f, x);
}

/* Python's remainder: it has the divisor's sign. */
static inline double qn_mod(double x, double y)
{
    double r = qn_rem(x, y);
    return r == 0 ? __builtin_copysign(r, y) : (r < 0) != (y < 0) ? r + y : r;
}

#endif

/* exp, tanh, erf (within 1.3 ulp), sigmoid (2.1 ulp) and what activations are made of, on the vectors of vec.h; the
 * gelus have the absolute error of their argument's rounding in the negative tail. NaN stays NaN.
 *
 * The polynomials are minimax fits made for this file with a Remez exchange in 50 digits, rounded to float.
 */
#ifndef QN_SIMD_VEC_MATH_H
#define QN_SIMD_VEC_MATH_H

#include "kernels/simd/vec.h"

/* e^x as *n and p with |r| <= ln(2)/2 for 2^n p; p = e^r = 1 + r + r^2 P(r), P fitted to 7.5e-9. */
QN_INLINE vf vf_exp_parts(vf x, vf *n)
{
    *n = vf_nearest(vf_mul(x, vf_set(1.44269504f)));
    vf r = vf_fnma(*n, vf_set(0x1.62e400p-1f), x);
    r = vf_fnma(*n, vf_set(0x1.7f7d1cp-20f), r);
    vf p = vf_fma(vf_set(0x1.6a5500p-10f), r, vf_set(0x1.120944p-7f));
    p = vf_fma(p, r, vf_set(0x1.5557b8p-5f));
    p = vf_fma(p, r, vf_set(0x1.5554e0p-3f));
    p = vf_fma(p, r, vf_set(0x1.fffffep-2f));
    p = vf_fma(vf_mul(r, r), p, r);
    return vf_add(p, vf_set(1.0f));
}

QN_INLINE vf vf_exp(vf x)
{
    vf n, p = vf_exp_parts(vf_min(vf_set(89.0f), vf_max(vf_set(-104.0f), x)), &n);
    return vf_scale(p, n);
}

/* exp(x), x <= 0, to be summed with an exp(0): below 2^-126 it is 0. Numbers so small are slow, where they are made and
 * in every product that they are part of, and what a mask hides comes to them. NaN stays NaN. */
QN_INLINE vf vf_exp_share(vf x)
{
    vf least = vf_set(-87.3f), n, p = vf_exp_parts(vf_max(least, x), &n);
    return vf_select(vf_less(x, least), vf_zero(), vf_scale_normal(p, n));
}

/* log(x) for x = 2^e m as e ln 2 + 2 artanh(s), s = (m - 1) / (m + 1), |s| <= 0.172; what s lost in rounding stays in
 * s (m - 1). */
QN_INLINE vf vf_log(vf x)
{
    vf e, m = vf_split(x, &e), one = vf_set(1.0f);
    vf f = vf_sub(m, one), s = vf_div(f, vf_add(f, vf_set(2.0f))), z = vf_mul(s, s);
    vf p = vf_fma(vf_set(0x1.745d18p-3f), z, vf_set(0x1.c71c72p-3f)); /* 2/11, 2/9, 2/7, 2/5, 2/3 */
    p = vf_fma(p, z, vf_set(0x1.249250p-2f));
    p = vf_fma(p, z, vf_set(0x1.99999ap-2f));
    p = vf_fma(p, z, vf_set(0x1.555556p-1f));
    /* 2 s = f - s f, so that log m = f - s (f - z p) */
    vf rest = vf_mul(s, vf_fnma(z, p, f));
    vf low = vf_fma(e, vf_set(0x1.7f7d1cp-20f), vf_sub(vf_zero(), rest));
    vf y = vf_fma(e, vf_set(0x1.62e400p-1f), vf_add(f, low));
    vf infinity = vf_set(__builtin_inff());
    y = vf_select(vf_less(x, infinity), y, x); /* infinity, NaN */
    y = vf_select(vf_less(x, vf_zero()), vf_set(__builtin_nanf("")), y);
    return vf_select(vf_equal(x, vf_zero()), vf_sub(vf_zero(), infinity), y);
}

/* log(1 + x): what the sum lost is put back as the slope times it. */
QN_INLINE vf vf_log1p(vf x)
{
    vf one = vf_set(1.0f), u = vf_add(one, x), lost = vf_sub(x, vf_sub(u, one));
    vf y = vf_add(vf_log(u), vf_div(lost, u));
    vm usual = vf_less(vf_zero(), u);
    y = vf_select(usual, y, vf_log(u));
    return vf_select(vf_less(u, vf_set(__builtin_inff())), y, vf_select(vf_nan(x), x, u));
}

/* 2^n (e^r - 1) + (2^n - 1), so that small x keep their digits; beyond 80 the 1 is lost anyway. */
QN_INLINE vf vf_expm1(vf x)
{
    vf c = vf_min(vf_set(81.0f), vf_max(vf_set(-104.0f), x));
    vf n = vf_nearest(vf_mul(c, vf_set(1.44269504f)));
    vf r = vf_fnma(n, vf_set(0x1.62e400p-1f), c);
    r = vf_fnma(n, vf_set(0x1.7f7d1cp-20f), r);
    vf p = vf_fma(vf_set(0x1.6a5500p-10f), r, vf_set(0x1.120944p-7f));
    p = vf_fma(p, r, vf_set(0x1.5557b8p-5f));
    p = vf_fma(p, r, vf_set(0x1.5554e0p-3f));
    p = vf_fma(p, r, vf_set(0x1.fffffep-2f));
    p = vf_fma(vf_mul(r, r), p, r);
    vf one = vf_set(1.0f), base = vf_scale(one, n);
    vf y = vf_fma(base, p, vf_sub(base, one));
    y = vf_select(vf_equal(x, vf_zero()), x, y);
    y = vf_select(vf_less(vf_set(80.0f), x), vf_exp(x), y);
    return vf_select(vf_nan(x), x, y);
}

QN_INLINE vf vf_copysign(vf size, vf sign)
{
    return vf_xor(size, vf_sign(sign)); /* size >= 0 */
}

/* x + x^3 P(x^2) up to 0.625, 1 - 2 / (e^2x + 1) beyond. */
QN_INLINE vf vf_tanh(vf x)
{
    vf a = vf_abs(x), z = vf_mul(x, x), one = vf_set(1.0f);
    vf p = vf_fma(vf_set(0x1.2a4ef4p-9f), z, vf_set(-0x1.10f1d6p-7f));
    p = vf_fma(p, z, vf_set(0x1.649802p-6f));
    p = vf_fma(p, z, vf_set(-0x1.ba07c6p-5f));
    p = vf_fma(p, z, vf_set(0x1.1110e6p-3f));
    p = vf_fma(p, z, vf_set(-0x1.555556p-2f));
    vf near = vf_fma(vf_mul(a, z), p, a);
    vf e = vf_exp(vf_add(a, a));
    vf far = vf_sub(one, vf_div(vf_set(2.0f), vf_add(e, one)));
    return vf_copysign(vf_select(vf_less(a, vf_set(0.625f)), near, far), x);
}

/* With e = exp(-|x|): 1 / (1 + e), or e / (1 + e) for negative x, which keeps the tail. */
QN_INLINE vf vf_sigmoid(vf x)
{
    vf one = vf_set(1.0f), e = vf_exp(vf_sub(vf_zero(), vf_abs(x)));
    vf top = vf_select(vf_less(x, vf_zero()), e, one);
    return vf_div(top, vf_add(one, e));
}

/* erf(a) for 0 <= a < 1 as a + a P(a^2). */
QN_INLINE vf vf_erf_near(vf a)
{
    vf z = vf_mul(a, a);
    vf p = vf_fma(vf_set(0x1.4ae4d0p-14f), z, vf_set(-0x1.a485ecp-11f));
    p = vf_fma(p, z, vf_set(0x1.5419f6p-8f));
    p = vf_fma(p, z, vf_set(-0x1.b7fbb4p-6f));
    p = vf_fma(p, z, vf_set(0x1.ce2d20p-4f));
    p = vf_fma(p, z, vf_set(-0x1.81273ep-2f));
    p = vf_fma(p, z, vf_set(0x1.06eba8p-3f));
    return vf_fma(a, p, a);
}

/* erfc(a) for a >= 1 as exp(-Q(a)): Q is fitted up to 4, where erfc is 1.5e-8, and keeps rising beyond. */
QN_INLINE vf vf_erfc_far(vf a)
{
    vf q = vf_fma(vf_set(0x1.6c0692p-16f), a, vf_set(-0x1.ceeaf0p-12f));
    q = vf_fma(q, a, vf_set(0x1.1398fap-8f));
    q = vf_fma(q, a, vf_set(-0x1.9d0bd6p-6f));
    q = vf_fma(q, a, vf_set(0x1.bc18d0p-4f));
    q = vf_fma(q, a, vf_set(0x1.4434f0p-1f));
    q = vf_fma(q, a, vf_set(0x1.212c2cp+0f));
    q = vf_fma(q, a, vf_set(-0x1.8b3f24p-13f));
    return vf_exp(vf_sub(vf_zero(), q));
}

QN_INLINE vf vf_erf(vf x)
{
    vf a = vf_abs(x), one = vf_set(1.0f);
    vf far = vf_copysign(vf_sub(one, vf_erfc_far(a)), x);
    vf near = vf_copysign(vf_erf_near(a), x);
    return vf_select(vf_nan(x), x, vf_select(vf_less(a, one), near, far));
}

QN_INLINE vf vf_relu(vf x)
{
    return vf_select(vf_less(x, vf_zero()), vf_zero(), x);
}

QN_INLINE vf vf_silu(vf x)
{
    return vf_mul(x, vf_sigmoid(x));
}

/* 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
QN_INLINE vf vf_gelu_tanh(vf x)
{
    vf cube = vf_mul(vf_mul(x, x), x);
    vf u = vf_mul(vf_set(1.59576912f), vf_fma(vf_set(0.044715f), cube, x));
    return vf_mul(x, vf_sigmoid(u));
}

/* x (1 - erfc/2) for x >= 0 and x erfc/2 for x < 0, with erfc of |x| / sqrt(2) */
QN_INLINE vf vf_gelu_erf(vf x)
{
    vf one = vf_set(1.0f), half = vf_set(0.5f), a = vf_mul(vf_abs(x), vf_set(0.707106781f));
    vf near = vf_sub(one, vf_erf_near(a));
    vf tail = vf_mul(half, vf_select(vf_less(a, one), near, vf_erfc_far(a)));
    return vf_mul(x, vf_select(vf_less(x, vf_zero()), tail, vf_sub(one, tail)));
}

#endif

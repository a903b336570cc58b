/* Floats of eight bits and less, a byte an element, one number at a time: float8 in its four signed kinds, the
 * exponent-only e8m0, and e2m1. Exact both ways: storing rounds once, to nearest even. */
#ifndef QN_QUANT_NARROW_H
#define QN_QUANT_NARROW_H

#include <stdbool.h>

#include "quant/half.h"
#include "quern/dtype.h"

struct qn_narrow_kind {
    int exponent_bits, mantissa_bits, bias;
    unsigned largest;   /* code of the largest finite value */
    int nan;            /* code of the (positive) NaN, -1: none */
    int infinity;       /* code of positive infinity, -1: none */
    bool unsigned_zero; /* FNUZ: the code of minus zero is the NaN */
};

static const struct qn_narrow_kind qn_narrow_e4m3fn = {4, 3, 7, 0x7e, 0x7f, -1, false};
static const struct qn_narrow_kind qn_narrow_e4m3fnuz = {4, 3, 8, 0x7f, 0x80, -1, true};
static const struct qn_narrow_kind qn_narrow_e5m2 = {5, 2, 15, 0x7b, 0x7e, 0x7c, false};
static const struct qn_narrow_kind qn_narrow_e5m2fnuz = {5, 2, 16, 0x7f, 0x80, -1, true};
static const struct qn_narrow_kind qn_narrow_e2m1 = {2, 1, 1, 0x7, -1, -1, false};

/* 2^n for -126 <= n <= 127 */
static inline float qn_narrow_power(int n)
{
    return qn_bits_f32((uint32_t)(n + 127) << 23);
}

static inline float qn_narrow_load(const struct qn_narrow_kind *kind, unsigned code)
{
    int bits = kind->exponent_bits + kind->mantissa_bits;
    unsigned magnitude = code & ((1u << bits) - 1), sign = (code >> bits & 1) << 31;
    if (kind->unsigned_zero ? code == (unsigned)kind->nan : magnitude > kind->largest)
        return qn_bits_f32(sign | ((int)magnitude == kind->infinity ? 0x7f800000u : 0x7fc00000u));
    unsigned exponent = magnitude >> kind->mantissa_bits;
    float mantissa = (float)(magnitude & ((1u << kind->mantissa_bits) - 1));
    float hidden = exponent ? (float)(1 << kind->mantissa_bits) : 0;
    float unit = qn_narrow_power((exponent ? (int)exponent : 1) - kind->bias - kind->mantissa_bits);
    return qn_bits_f32(qn_f32_bits((mantissa + hidden) * unit) | sign);
}

/* What is out of range becomes the largest finite value, or with `wrap` infinity or NaN where the kind has one. */
static inline uint8_t qn_narrow_store(const struct qn_narrow_kind *kind, float value, bool wrap)
{
    unsigned sign_bit = 1u << (kind->exponent_bits + kind->mantissa_bits);
    unsigned sign = qn_f32_bits(value) >> 31 ? sign_bit : 0, rest = qn_f32_bits(value) & 0x7fffffff;
    if (rest > 0x7f800000u) /* e2m1 has no NaN: minus zero */
        return (uint8_t)(kind->nan < 0 ? sign_bit : (unsigned)kind->nan | (kind->unsigned_zero ? 0 : sign));
    unsigned code = kind->largest + 1;
    float magnitude = qn_bits_f32(rest);
    if (magnitude < 0x1p17f) {
        int exponent = (int)(rest >> 23) - 127;
        exponent = exponent < 1 - kind->bias ? 1 - kind->bias : exponent;
        /* steps of the last mantissa bit at this exponent; rounding up may carry into the next one, as it should */
        float steps = magnitude * qn_narrow_power(kind->mantissa_bits - exponent) + 0x1p23f - 0x1p23f;
        code = (unsigned)steps + ((unsigned)(exponent + kind->bias - 1) << kind->mantissa_bits);
    }
    if (code > kind->largest) {
        if (wrap && kind->unsigned_zero)
            return (uint8_t)kind->nan;
        code = !wrap || kind->nan < 0 ? kind->largest
               : kind->infinity >= 0  ? (unsigned)kind->infinity
                                      : (unsigned)kind->nan;
    }
    return (uint8_t)(code == 0 && kind->unsigned_zero ? 0 : code | sign);
}

/* e8m0: a power of two, 255 is NaN. */
static inline float qn_e8m0_load(unsigned code)
{
    return code == 255 ? qn_bits_f32(0x7fc00000u) : code == 0 ? 0x1p-127f : qn_narrow_power((int)code - 127);
}

enum qn_e8m0_rounding { QN_E8M0_UP = 0, QN_E8M0_DOWN, QN_E8M0_NEAREST /* halves up */ };

/* Signs are dropped. Out of range: the nearest end, or with `wrap` NaN. */
static inline uint8_t qn_e8m0_store(float value, enum qn_e8m0_rounding rounding, bool wrap)
{
    uint32_t rest = qn_f32_bits(value) & 0x7fffffff;
    if (rest > 0x7f800000u || (wrap && (rest == 0 || rest == 0x7f800000u)))
        return 255;
    uint32_t code = rest >> 23, fraction = rest & 0x7fffff;
    if (code == 0) { /* subnormal: 2^-127 is 0x400000 */
        bool up = rounding == QN_E8M0_UP ? rest > 0x400000 : rounding == QN_E8M0_NEAREST && rest >= 0x600000;
        if (wrap && (rounding == QN_E8M0_DOWN ? rest < 0x400000 : rest < 0x200000))
            return 255;
        return up;
    }
    code += rounding == QN_E8M0_UP ? fraction != 0 : rounding == QN_E8M0_NEAREST && fraction >= 0x400000;
    if (code > 254)
        return wrap ? 255 : 254;
    return (uint8_t)code;
}

/* The kind of a dtype; NULL for e8m0 and for dtypes that are none of these. */
static inline const struct qn_narrow_kind *qn_narrow_kind(qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_F8E4M3FN:
        return &qn_narrow_e4m3fn;
    case QN_DTYPE_F8E4M3FNUZ:
        return &qn_narrow_e4m3fnuz;
    case QN_DTYPE_F8E5M2:
        return &qn_narrow_e5m2;
    case QN_DTYPE_F8E5M2FNUZ:
        return &qn_narrow_e5m2fnuz;
    case QN_DTYPE_F4E2M1:
        return &qn_narrow_e2m1;
    default:
        return NULL;
    }
}

#endif

/* IEEE half and bfloat16 conversions, inline for loops over blocks; quant.h declares the same as functions. */
#ifndef QN_QUANT_HALF_H
#define QN_QUANT_HALF_H

#include <stdint.h>

static inline float qn_bits_f32(uint32_t u)
{
    union {
        uint32_t u;
        float f;
    } bits = {u};
    return bits.f;
}

static inline uint32_t qn_f32_bits(float f)
{
    union {
        float f;
        uint32_t u;
    } bits = {f};
    return bits.u;
}

/* Exact: the exponent moves by a multiplication with 2^112, which also brings subnormals to their value. */
static inline float qn_half_load(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t rest = (uint32_t)(half & 0x7fff) << 13;
    if (rest >= 0x0f800000u) /* infinity and NaN */
        return qn_bits_f32(sign | rest | 0x7f800000u);
    return qn_bits_f32(sign | qn_f32_bits(qn_bits_f32(rest) * 0x1p112f));
}

/* Rounds to nearest even; a NaN stays one and becomes quiet. */
static inline uint16_t qn_half_store(float value)
{
    uint32_t bits = qn_f32_bits(value);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t rest = bits & 0x7fffffff;
    if (rest > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
    if (rest >= 0x477ff000u) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000u) { /* below 2^-14: adding 0.5 leaves the subnormal's integer in the low bits, rounded */
        uint32_t low = qn_f32_bits(qn_bits_f32(rest) + 0.5f) - 0x3f000000u;
        return (uint16_t)(sign | low);
    }
    uint32_t even = rest >> 13 & 1;
    return (uint16_t)(sign | (rest - 0x38000000u + 0xfff + even) >> 13);
}

static inline uint16_t qn_bfloat_store(float value)
{
    uint32_t bits = qn_f32_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif

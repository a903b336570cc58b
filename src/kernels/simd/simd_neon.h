/* NEON of 64-bit ARM, floats alone: see simd.h. */
#ifndef QN_SIMD_NEON_H
#define QN_SIMD_NEON_H

#include <arm_neon.h>
#include <stdint.h>

#include "kernels/simd/simd.h"

typedef float32x4_t vf;
enum { VF_LANES = 4 };

QN_INLINE vf vf_zero(void)
{
    return vdupq_n_f32(0);
}
QN_INLINE vf vf_set(float value)
{
    return vdupq_n_f32(value);
}
QN_INLINE vf vf_load(const float *p)
{
    return vld1q_f32(p);
}
QN_INLINE void vf_store(float *p, vf v)
{
    vst1q_f32(p, v);
}
QN_INLINE vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
QN_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
QN_INLINE vf vf_load_part(const float *p, int64_t n)
{
    float all[4] = {0};
    for (int64_t i = 0; i < n; i++)
        all[i] = p[i];
    return vld1q_f32(all);
}
QN_INLINE uint16x4_t vf_first_halves(const uint16_t *p, int64_t n)
{
    uint16_t all[4] = {0};
    for (int64_t i = 0; i < n; i++)
        all[i] = p[i];
    return vld1_u16(all);
}
QN_INLINE vf vf_from_f16(uint16x4_t v)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(v));
}
QN_INLINE vf vf_load_f16(const uint16_t *p)
{
    return vf_from_f16(vld1_u16(p));
}
QN_INLINE vf vf_load_f16_part(const uint16_t *p, int64_t n)
{
    return vf_from_f16(vf_first_halves(p, n));
}
QN_INLINE vf vf_from_bf16(uint16x4_t v)
{
    return vreinterpretq_f32_u32(vshll_n_u16(v, 16));
}
QN_INLINE vf vf_load_bf16(const uint16_t *p)
{
    return vf_from_bf16(vld1_u16(p));
}
QN_INLINE vf vf_load_bf16_part(const uint16_t *p, int64_t n)
{
    return vf_from_bf16(vf_first_halves(p, n));
}
QN_INLINE vf vf_keep(vf c, vf old, int64_t n)
{
    const uint32_t lanes[4] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_u32(vld1q_u32(lanes), vdupq_n_u32((uint32_t)n)), c, old);
}

/* Rows in v: v[i] lane j becomes v[j] lane i. */
QN_INLINE void vf_transpose(vf v[4])
{
    float32x4x2_t a = vtrnq_f32(v[0], v[1]), b = vtrnq_f32(v[2], v[3]);
    v[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    v[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    v[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    v[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

#endif

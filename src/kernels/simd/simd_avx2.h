/* AVX2 with FMA and F16C: see simd.h. */
#ifndef QN_SIMD_AVX2_H
#define QN_SIMD_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/simd/simd.h"

typedef __m256 vf;
enum { VF_LANES = 8 };

QN_INLINE vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
QN_INLINE vf vf_set(float value)
{
    return _mm256_set1_ps(value);
}
QN_INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
QN_INLINE void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}
QN_INLINE vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
QN_INLINE vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
QN_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
/* All bits of the first n lanes. */
QN_INLINE __m256i vf_first(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
QN_INLINE vf vf_load_part(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, vf_first(n));
}
/* Masked loads know no 16-bit elements. */
QN_INLINE __m128i vf_half_part(const uint16_t *p, int64_t n)
{
    uint16_t part[8] = {0};
    for (int64_t i = 0; i < n; i++)
        part[i] = p[i];
    return _mm_loadu_si128((const __m128i *)(const void *)part);
}
QN_INLINE vf vf_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
QN_INLINE vf vf_load_f16_part(const uint16_t *p, int64_t n)
{
    return _mm256_cvtph_ps(vf_half_part(p, n));
}
QN_INLINE vf vf_from_bf16(__m128i v)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
QN_INLINE vf vf_load_bf16(const uint16_t *p)
{
    return vf_from_bf16(_mm_loadu_si128((const __m128i *)(const void *)p));
}
QN_INLINE vf vf_load_bf16_part(const uint16_t *p, int64_t n)
{
    return vf_from_bf16(vf_half_part(p, n));
}
QN_INLINE vf vf_keep(vf c, vf old, int64_t n)
{
    return _mm256_blendv_ps(old, c, _mm256_castsi256_ps(vf_first(n)));
}

/* Rows in v: v[i] lane j becomes v[j] lane i. */
QN_INLINE void vf_transpose(vf v[8])
{
    vf a[8];
    QN_UNROLL
    for (int i = 0; i < 8; i += 4) { /* 4x4 within each 128-bit lane */
        vf p = _mm256_unpacklo_ps(v[i], v[i + 1]), q = _mm256_unpackhi_ps(v[i], v[i + 1]);
        vf r = _mm256_unpacklo_ps(v[i + 2], v[i + 3]), s = _mm256_unpackhi_ps(v[i + 2], v[i + 3]);
        a[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(p), _mm256_castps_pd(r)));
        a[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(p), _mm256_castps_pd(r)));
        a[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(q), _mm256_castps_pd(s)));
        a[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(q), _mm256_castps_pd(s)));
    }
    QN_UNROLL
    for (int i = 0; i < 4; i++) { /* then those lanes */
        v[i] = _mm256_permute2f128_ps(a[i], a[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(a[i], a[i + 4], 0x31);
    }
}

#endif

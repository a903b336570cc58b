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
QN_INLINE __m256i vf_first(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
QN_INLINE vf vf_load_part(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, vf_first(n));
}
QN_INLINE __m128i vf_first_halves(const uint16_t *p, int64_t n)
{
    uint16_t all[8] = {0};
    for (int64_t i = 0; i < n; i++)
        all[i] = p[i];
    return _mm_loadu_si128((const __m128i *)(const void *)all);
}
QN_INLINE vf vf_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
QN_INLINE vf vf_load_f16_part(const uint16_t *p, int64_t n)
{
    return _mm256_cvtph_ps(vf_first_halves(p, n));
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
    return vf_from_bf16(vf_first_halves(p, n));
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
    for (int i = 0; i < 4; i++) { /* then 2x2 of those lanes */
        v[i] = _mm256_permute2f128_ps(a[i], a[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(a[i], a[i + 4], 0x31);
    }
}

/* ---- integers ------------------------------------------------------------------------------------------------- */

typedef __m256i vi;

QN_INLINE vi vi_set(int32_t value)
{
    return _mm256_set1_epi32(value);
}
QN_INLINE vi vi_load(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
QN_INLINE void vi_store(int32_t *p, vi v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}
QN_INLINE vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}
QN_INLINE vi vi_or(vi a, vi b)
{
    return _mm256_or_si256(a, b);
}
QN_INLINE vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
QN_INLINE vi vi_left(vi a, unsigned bits)
{
    return _mm256_slli_epi32(a, (int)bits);
}
QN_INLINE vi vi_right(vi a, unsigned bits)
{
    return _mm256_srli_epi32(a, (int)bits);
}
QN_INLINE vi vi_right_signed(vi a, unsigned bits)
{
    return _mm256_srai_epi32(a, (int)bits);
}
QN_INLINE vf vi_float(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
QN_INLINE vi vi_set4(const uint8_t *p)
{
    int32_t value;
    __builtin_memcpy(&value, p, 4);
    return _mm256_set1_epi32(value);
}
QN_INLINE vf vi_half_float(vi a)
{
    vi low = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
    low = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(low));
}
QN_INLINE void vi_transpose(vi v[8])
{
    vf f[8];
    QN_UNROLL
    for (int i = 0; i < 8; i++)
        f[i] = _mm256_castsi256_ps(v[i]);
    vf_transpose(f);
    QN_UNROLL
    for (int i = 0; i < 8; i++)
        v[i] = _mm256_castps_si256(f[i]);
}

enum { VI_WIDE_SHIFT = 0 };

/* Pairs of products stay below 2 * 127 * 128 and fit 16 bits. */
QN_INLINE vi vi_dot(vi sum, vi u, vi s)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1)));
}
QN_INLINE vi vi_wide(vi w)
{
    return w;
}
QN_INLINE vi vi_dot_wide(vi sum, vi w, vi s)
{
    return vi_dot(sum, _mm256_abs_epi8(w), _mm256_sign_epi8(s, w));
}

/* ---- blocks --------------------------------------------------------------------------------------------------- */

enum { VI_BLOCKS = 1 };

QN_INLINE __m128i vi_16_bytes(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
QN_INLINE vi vi_bytes(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
QN_INLINE vi vi_blocks(const uint8_t *p, int64_t stride)
{
    (void)stride;
    return vi_bytes(p);
}
QN_INLINE vi vi_nibbles(const uint8_t *p, int64_t stride)
{
    (void)stride;
    vi both = _mm256_broadcastsi128_si256(vi_16_bytes(p));
    both = _mm256_srlv_epi32(both, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}
QN_INLINE vi vi_bits(const uint8_t *p, int shift, int step)
{
    (void)step;
    return _mm256_srli_epi32(vi_bytes(p), shift);
}
QN_INLINE vi vi_flags(const uint8_t *p, int64_t stride)
{
    (void)stride;
    const vi of_byte = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, /**/
                                        2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const vi bit = _mm256_set1_epi64x((int64_t)0x8040201008040201ull);
    vi bytes = _mm256_and_si256(_mm256_shuffle_epi8(vi_set4(p), of_byte), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(bytes, bit), _mm256_set1_epi8(16));
}
QN_INLINE __m128i vi_four_heads(const uint8_t *p, const int stride)
{
    int32_t a, b, c, d;
    __builtin_memcpy(&a, p, 4);
    __builtin_memcpy(&b, p + stride, 4);
    __builtin_memcpy(&c, p + 2 * stride, 4);
    __builtin_memcpy(&d, p + 3 * stride, 4);
    return _mm_insert_epi32(_mm_insert_epi32(_mm_insert_epi32(_mm_cvtsi32_si128(a), b, 1), c, 2), d, 3);
}
QN_INLINE vi vi_heads(const uint8_t *p, const int stride)
{
    return _mm256_set_m128i(vi_four_heads(p + 4 * stride, stride), vi_four_heads(p, stride));
}
QN_INLINE vi vi_eight_words(const uint8_t *p, int64_t stride)
{
    (void)stride;
    return _mm256_cvtepu16_epi32(vi_16_bytes(p));
}
QN_INLINE vi vi_eight_bytes(const uint64_t bytes[1])
{
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)bytes[0]));
}
QN_INLINE vi vi_eight_pairs(const uint64_t bytes[2])
{
    return _mm256_cvtepu16_epi32(_mm_set_epi64x((int64_t)bytes[1], (int64_t)bytes[0]));
}
QN_INLINE vf vf_eight_halves(const uint8_t *p, int64_t stride)
{
    (void)stride;
    int16_t half;
    __builtin_memcpy(&half, p, 2);
    return _mm256_cvtph_ps(_mm_set1_epi16(half));
}

/* Each step adds the halves of two vectors into one. */
QN_INLINE vi vi_fold_two(vi a, vi b)
{
    return _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}
QN_INLINE vi vi_fold_four(const vi s[4])
{
    vi a = vi_fold_two(s[0], s[1]), b = vi_fold_two(s[2], s[3]);
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}
QN_INLINE void vi_fold(const vi sums[8], vi *first, vi *second)
{
    vi a = vi_fold_four(sums), b = vi_fold_four(sums + 4); /* 128-bit lane l: half l of each of four vectors */
    *first = _mm256_permute2x128_si256(a, b, 0x20);
    *second = _mm256_permute2x128_si256(a, b, 0x31);
}

#endif

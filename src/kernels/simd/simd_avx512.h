/* AVX-512 (F, BW, DQ, VL): see simd.h. */
#ifndef QN_SIMD_AVX512_H
#define QN_SIMD_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/simd/simd.h"

typedef __m512 vf;
enum { VF_LANES = 16 };

QN_INLINE vf vf_zero(void)
{
    return _mm512_setzero_ps();
}
QN_INLINE vf vf_set(float value)
{
    return _mm512_set1_ps(value);
}
QN_INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
QN_INLINE void vf_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}
QN_INLINE vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
QN_INLINE vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
QN_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
QN_INLINE __mmask16 vf_first(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}
QN_INLINE vf vf_load_part(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(vf_first(n), p);
}
QN_INLINE vf vf_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
QN_INLINE vf vf_load_f16_part(const uint16_t *p, int64_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(vf_first(n), p));
}
QN_INLINE vf vf_from_bf16(__m256i v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
QN_INLINE vf vf_load_bf16(const uint16_t *p)
{
    return vf_from_bf16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
QN_INLINE vf vf_load_bf16_part(const uint16_t *p, int64_t n)
{
    return vf_from_bf16(_mm256_maskz_loadu_epi16(vf_first(n), p));
}
QN_INLINE vf vf_keep(vf c, vf old, int64_t n)
{
    return _mm512_mask_mov_ps(old, vf_first(n), c);
}

/* Rows in v: v[i] lane j becomes v[j] lane i. */
QN_INLINE void vf_transpose(vf v[16])
{
    vf a[16];
    QN_UNROLL
    for (int i = 0; i < 16; i += 4) { /* 4x4 within each 128-bit lane */
        vf p = _mm512_unpacklo_ps(v[i], v[i + 1]), q = _mm512_unpackhi_ps(v[i], v[i + 1]);
        vf r = _mm512_unpacklo_ps(v[i + 2], v[i + 3]), s = _mm512_unpackhi_ps(v[i + 2], v[i + 3]);
        a[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(p), _mm512_castps_pd(r)));
        a[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(p), _mm512_castps_pd(r)));
        a[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(q), _mm512_castps_pd(s)));
        a[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(q), _mm512_castps_pd(s)));
    }
    QN_UNROLL
    for (int i = 0; i < 4; i++) { /* then 4x4 of those lanes */
        vf p = _mm512_shuffle_f32x4(a[i], a[i + 4], 0x88), q = _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd);
        vf r = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0x88), s = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0xdd);
        v[i] = _mm512_shuffle_f32x4(p, r, 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(p, r, 0xdd);
        v[i + 4] = _mm512_shuffle_f32x4(q, s, 0x88);
        v[i + 12] = _mm512_shuffle_f32x4(q, s, 0xdd);
    }
}

/* ---- integers ------------------------------------------------------------------------------------------------- */

typedef __m512i vi;

QN_INLINE vi vi_set(int32_t value)
{
    return _mm512_set1_epi32(value);
}
QN_INLINE vi vi_load(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}
QN_INLINE void vi_store(int32_t *p, vi v)
{
    _mm512_storeu_si512(p, v);
}
QN_INLINE vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}
QN_INLINE vi vi_or(vi a, vi b)
{
    return _mm512_or_si512(a, b);
}
QN_INLINE vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
QN_INLINE vi vi_left(vi a, unsigned bits)
{
    return _mm512_slli_epi32(a, bits);
}
QN_INLINE vi vi_right(vi a, unsigned bits)
{
    return _mm512_srli_epi32(a, bits);
}
QN_INLINE vf vi_float(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
QN_INLINE vi vi_set4(const uint8_t *p)
{
    int32_t value;
    __builtin_memcpy(&value, p, 4);
    return _mm512_set1_epi32(value);
}
QN_INLINE vf vi_half_float(vi a)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a));
}
QN_INLINE vi vi_right_signed(vi a, unsigned bits)
{
    return _mm512_srai_epi32(a, bits);
}
QN_INLINE void vi_transpose(vi v[16])
{
    vf f[16];
    QN_UNROLL
    for (int i = 0; i < 16; i++)
        f[i] = _mm512_castsi512_ps(v[i]);
    vf_transpose(f);
    QN_UNROLL
    for (int i = 0; i < 16; i++)
        v[i] = _mm512_castps_si512(f[i]);
}

/* ---- blocks --------------------------------------------------------------------------------------------------- */

enum { VI_BLOCKS = 2 };

QN_INLINE __m128i vi_16_bytes(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
QN_INLINE __m256i vi_32_bytes(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
QN_INLINE vi vi_bytes(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}
QN_INLINE vi vi_blocks(const uint8_t *p, int64_t stride)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(vi_32_bytes(p)), vi_32_bytes(p + stride), 1);
}
QN_INLINE vi vi_nibbles(const uint8_t *p, int64_t stride)
{
    vi both = _mm512_broadcast_i32x4(vi_16_bytes(p));
    both = _mm512_mask_broadcast_i32x4(both, 0xff00, vi_16_bytes(p + stride));
    both = _mm512_srlv_epi32(both, _mm512_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0, 4, 4, 4, 4));
    return _mm512_and_si512(both, _mm512_set1_epi8(15));
}
QN_INLINE vi vi_bits(const uint8_t *p, int shift, int step)
{
    vi both = _mm512_broadcast_i64x4(vi_32_bytes(p));
    return _mm512_srlv_epi32(both, _mm512_inserti64x4(_mm512_set1_epi32(shift), _mm256_set1_epi32(shift + step), 1));
}
QN_INLINE vi vi_flags(const uint8_t *p, int64_t stride)
{
    uint32_t low, high;
    __builtin_memcpy(&low, p, 4);
    __builtin_memcpy(&high, p + stride, 4);
    return _mm512_maskz_set1_epi8((__mmask64)high << 32 | low, 16);
}

/* Two or four of the 16 lie in 64 bytes; the words of a pair or a group stand at the same places. stride is even. */
QN_INLINE vi vi_heads(const uint8_t *p, const int stride)
{
    const int group = stride <= 20 ? 4 : 2;
    int16_t words[32];
    QN_UNROLL
    for (int i = 0; i < 32; i++)
        words[i] = (int16_t)(i / 2 % group * stride / 2 + i % 2);
    vi places = _mm512_loadu_si512(words), heads = _mm512_setzero_si512();
    QN_UNROLL
    for (int i = 0; i < 16 / group; i++) {
        __mmask32 mask = ((1u << 2 * group) - 1) << 2 * group * i;
        const uint8_t *at = p + i * group * stride;
        /* no more bytes than the blocks have: the last ones may end the file's mapping */
        vi bytes = group == 2 && stride <= 28 ? _mm512_zextsi256_si512(_mm256_loadu_si256((const __m256i *)at))
                                              : _mm512_loadu_si512(at);
        heads = _mm512_mask_permutexvar_epi16(heads, mask, places, bytes);
    }
    return heads;
}
QN_INLINE vi vi_eight_words(const uint8_t *p, int64_t stride)
{
    return _mm512_cvtepu16_epi32(
        _mm256_inserti128_si256(_mm256_castsi128_si256(vi_16_bytes(p)), vi_16_bytes(p + stride), 1));
}
QN_INLINE vi vi_eight_bytes(const uint64_t bytes[2])
{
    return _mm512_cvtepu8_epi32(_mm_set_epi64x((int64_t)bytes[1], (int64_t)bytes[0]));
}
QN_INLINE vi vi_eight_pairs(const uint64_t bytes[4])
{
    return _mm512_cvtepu16_epi32(
        _mm256_set_epi64x((int64_t)bytes[3], (int64_t)bytes[2], (int64_t)bytes[1], (int64_t)bytes[0]));
}
QN_INLINE vf vf_eight_halves(const uint8_t *p, int64_t stride)
{
    int16_t low, high;
    __builtin_memcpy(&low, p, 2);
    __builtin_memcpy(&high, p + stride, 2);
    return _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_set1_epi16(low), _mm_set1_epi16(high), 1));
}

/* Each step adds the halves of two vectors into one. */
QN_INLINE vi vi_fold_two(vi a, vi b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}
QN_INLINE vi vi_fold_four(const vi s[4])
{
    vi a = vi_fold_two(s[0], s[1]), b = vi_fold_two(s[2], s[3]);
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}
QN_INLINE void vi_fold(const vi sums[8], vi *first, vi *second)
{
    vi a = vi_fold_four(sums), b = vi_fold_four(sums + 4); /* 128-bit lane l: quarter l of each of four vectors */
    const vi order = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    *first = _mm512_permutexvar_epi32(order, _mm512_shuffle_i32x4(a, b, 0x88));
    *second = _mm512_permutexvar_epi32(order, _mm512_shuffle_i32x4(a, b, 0xdd));
}

#if defined(__AVX512VNNI__)
enum { VI_WIDE_SHIFT = 7 };

QN_INLINE vi vi_dot(vi sum, vi u, vi s)
{
    return _mm512_dpbusd_epi32(sum, u, s);
}
QN_INLINE vi vi_wide(vi w)
{
    return _mm512_xor_si512(w, _mm512_set1_epi8(-128));
}
QN_INLINE vi vi_dot_wide(vi sum, vi w, vi s)
{
    return _mm512_dpbusd_epi32(sum, w, s);
}
#endif

#endif

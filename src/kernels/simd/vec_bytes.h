/* Vectors of 32-bit integers from and to bytes, and what quantisation needs beside: more words of the vocabulary of
 * vec.h.
 *
 *   vi_sub, vi_mul, vi_xor     of 32-bit lanes
 *   vi_as_float                the same bits
 *   vi_nearest(x)              to the nearest integer, ties to even; |x| < 2^31
 *   vi_load_bytes(p, signed)   VF_LANES bytes, widened
 *   vi_store_bytes(p, v)       the low byte of each lane
 *   vi_store_saturated(p, v, zero, floor, signed)   4 VF_LANES bytes: v + zero, saturated, at least floor
 */
#ifndef QN_SIMD_VEC_BYTES_H
#define QN_SIMD_VEC_BYTES_H

#include <stdbool.h>

#include "kernels/simd/vec.h"

#if defined(__AVX512F__)
QN_INLINE vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
QN_INLINE vi vi_mul(vi a, vi b)
{
    return _mm512_mullo_epi32(a, b);
}
QN_INLINE vi vi_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}
QN_INLINE vf vi_as_float(vi a)
{
    return _mm512_castsi512_ps(a);
}
QN_INLINE vi vi_nearest(vf x)
{
    return _mm512_cvtps_epi32(x);
}
QN_INLINE vi vi_load_bytes(const void *p, bool is_signed)
{
    __m128i v = _mm_loadu_si128(p);
    return is_signed ? _mm512_cvtepi8_epi32(v) : _mm512_cvtepu8_epi32(v);
}
QN_INLINE void vi_store_bytes(void *p, vi v)
{
    _mm_storeu_si128(p, _mm512_cvtepi32_epi8(v));
}
QN_INLINE void vi_store_saturated(void *p, const vi v[4], int32_t zero, int32_t floor, bool is_signed)
{
    __m512i shift = _mm512_set1_epi16((short)zero), least = _mm512_set1_epi8((char)floor);
    __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), shift);
    __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), shift);
    __m512i bytes = is_signed ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b);
    bytes = is_signed ? _mm512_max_epi8(bytes, least) : _mm512_max_epu8(bytes, least);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, bytes));
}
#else
QN_INLINE vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}
QN_INLINE vi vi_mul(vi a, vi b)
{
    return _mm256_mullo_epi32(a, b);
}
QN_INLINE vi vi_xor(vi a, vi b)
{
    return _mm256_xor_si256(a, b);
}
QN_INLINE vf vi_as_float(vi a)
{
    return _mm256_castsi256_ps(a);
}
QN_INLINE vi vi_nearest(vf x)
{
    return _mm256_cvtps_epi32(x);
}
QN_INLINE vi vi_load_bytes(const void *p, bool is_signed)
{
    __m128i v = _mm_loadl_epi64(p);
    return is_signed ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v);
}
QN_INLINE void vi_store_bytes(void *p, vi v)
{
    v = _mm256_and_si256(v, _mm256_set1_epi32(0xff));
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64(p, _mm_packus_epi16(words, words));
}
QN_INLINE void vi_store_saturated(void *p, const vi v[4], int32_t zero, int32_t floor, bool is_signed)
{
    __m256i shift = _mm256_set1_epi16((short)zero), least = _mm256_set1_epi8((char)floor);
    __m256i a = _mm256_adds_epi16(_mm256_packs_epi32(v[0], v[1]), shift);
    __m256i b = _mm256_adds_epi16(_mm256_packs_epi32(v[2], v[3]), shift);
    __m256i bytes = is_signed ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b);
    bytes = is_signed ? _mm256_max_epi8(bytes, least) : _mm256_max_epu8(bytes, least);
    _mm256_storeu_si256(p, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}
#endif

/* The first `left` lanes (all, when there are as many) as bytes of nearest(v) + zero; v is brought into [low, high]
 * first, the limits of the byte less the zero point. NaN: the lowest. */
QN_INLINE void vi_quantise(char *to, vf v, vf low, vf high, vi zero, int64_t left)
{
    v = vf_min(vf_max(v, low), high);
    vi bytes = vi_add(vi_nearest(v), zero);
    if (left >= VF_LANES) {
        vi_store_bytes(to, bytes);
        return;
    }
    char all[VF_LANES];
    vi_store_bytes(all, bytes);
    for (int64_t i = 0; i < left; i++)
        to[i] = all[i];
}

#endif

/* Vectors of 32-bit integers from and to bytes, and what quantisation needs beside: more words of the vocabulary of
 * vec.h.
 *
 *   vi_sub, vi_mul, vi_xor     of 32-bit lanes
 *   vi_as_float                the same bits
 *   vi_nearest(x)              to the nearest integer, ties to even; |x| < 2^31
 *   vi_load_bytes(p, signed)   VF_LANES bytes, widened
 *   vi_store_bytes(p, v)       the low byte of each lane
 *   vi_load_words, vi_store_words   the same for 16 bits
 *   vi_saturation(zero, floor, signed)   how vi_saturate adds zero, saturates and takes at least floor
 *   vi_saturate(a, b, c, d, s) the bytes of four vectors, in their order
 *   vi_store_half(p, v, upper, n)        the first n, at most 2 VF_LANES, bytes of half a vector
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
QN_INLINE vi vi_load_words(const void *p, bool is_signed)
{
    __m256i v = _mm256_loadu_si256(p);
    return is_signed ? _mm512_cvtepi16_epi32(v) : _mm512_cvtepu16_epi32(v);
}
QN_INLINE void vi_store_words(void *p, vi v)
{
    _mm256_storeu_si256(p, _mm512_cvtepi32_epi16(v));
}
QN_INLINE vi vi_set_bytes(int32_t byte)
{
    return _mm512_set1_epi8((char)byte);
}
QN_INLINE vi vi_set_words(int32_t word)
{
    return _mm512_set1_epi16((short)word);
}
/* Each 128 bits of the results hold those of a, then those of b. */
QN_INLINE vi vi_pack_words(vi a, vi b, vi zero)
{
    return _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
}
QN_INLINE vi vi_pack_bytes(vi a, vi b, vi floor)
{
    return _mm512_max_epu8(_mm512_packus_epi16(a, b), floor);
}
QN_INLINE vi vi_order_bytes(vi a)
{
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), a);
}
QN_INLINE void vi_store_half(void *p, vi v, const bool upper, int64_t n)
{
    __m256i half = upper ? _mm512_extracti64x4_epi64(v, 1) : _mm512_castsi512_si256(v);
    if (n >= 32)
        _mm256_storeu_si256(p, half);
    else
        _mm256_mask_storeu_epi8(p, (__mmask32)((1u << n) - 1), half);
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
QN_INLINE vi vi_load_words(const void *p, bool is_signed)
{
    __m128i v = _mm_loadu_si128(p);
    return is_signed ? _mm256_cvtepi16_epi32(v) : _mm256_cvtepu16_epi32(v);
}
QN_INLINE void vi_store_words(void *p, vi v)
{
    v = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    _mm_storeu_si128(p, _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}
QN_INLINE vi vi_set_bytes(int32_t byte)
{
    return _mm256_set1_epi8((char)byte);
}
QN_INLINE vi vi_set_words(int32_t word)
{
    return _mm256_set1_epi16((short)word);
}
QN_INLINE vi vi_pack_words(vi a, vi b, vi zero)
{
    return _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero);
}
QN_INLINE vi vi_pack_bytes(vi a, vi b, vi floor)
{
    return _mm256_max_epu8(_mm256_packus_epi16(a, b), floor);
}
QN_INLINE vi vi_order_bytes(vi a)
{
    return _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
QN_INLINE void vi_store_half(void *p, vi v, const bool upper, int64_t n)
{
    __m128i half = upper ? _mm256_extracti128_si256(v, 1) : _mm256_castsi256_si128(v);
    if (n >= 16) {
        _mm_storeu_si128(p, half);
        return;
    }
    char bytes[16];
    _mm_storeu_si128((__m128i *)(void *)bytes, half);
    for (int64_t i = 0; i < n; i++)
        ((char *)p)[i] = bytes[i];
}
#endif

/* Signed bytes are counted from -128 until the last step, which lets one instruction saturate both kinds. */
struct vi_saturation {
    vi zero, floor, flip;
};

QN_INLINE struct vi_saturation vi_saturation(int32_t zero, int32_t floor, bool is_signed)
{
    int32_t shift = is_signed ? 128 : 0;
    return (struct vi_saturation){vi_set_words(zero + shift), vi_set_bytes(floor + shift), vi_set_bytes(shift)};
}

/* Saturated twice, which is clamping; |v| of any size. */
QN_INLINE vi vi_saturate(vi a, vi b, vi c, vi d, const struct vi_saturation *s)
{
    return vi_xor(vi_order_bytes(vi_pack_bytes(vi_pack_words(a, b, s->zero), vi_pack_words(c, d, s->zero), s->floor)),
                  s->flip);
}

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

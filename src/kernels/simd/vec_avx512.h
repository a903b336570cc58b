/* AVX-512: the rest of the vocabulary of simd_avx512.h, for activations, norms, softmax and attention. What each word
 * means stands in vec.h. */
#ifndef QN_SIMD_VEC_AVX512_H
#define QN_SIMD_VEC_AVX512_H

#include "kernels/simd/simd_avx512.h"

typedef __mmask16 vm; /* one truth a lane */

QN_INLINE void vf_store_part(float *p, vf x, int64_t n)
{
    _mm512_mask_storeu_ps(p, vf_first(n), x);
}

QN_INLINE vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
QN_INLINE vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
QN_INLINE vf vf_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}

QN_INLINE vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

QN_INLINE vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

QN_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
QN_INLINE vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}
QN_INLINE vf vf_xor(vf a, vf b)
{
    return _mm512_xor_ps(a, b);
}
QN_INLINE vf vf_sign(vf a)
{
    return _mm512_and_ps(a, _mm512_set1_ps(-0.0f));
}
QN_INLINE vf vf_nearest(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
QN_INLINE vf vf_floor(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
QN_INLINE vf vf_split(vf a, vf *exponent)
{
    __mmask16 small = _mm512_cmp_ps_mask(a, _mm512_set1_ps(0x1p-126f), _CMP_LT_OQ);
    __m512i bits = _mm512_castps_si512(_mm512_mask_mul_ps(a, small, a, _mm512_set1_ps(0x1p24f)));
    /* from sqrt(1/2): the bits above it, less those of the fraction */
    __m512i above = _mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f3504f3)), e = _mm512_srai_epi32(above, 23);
    *exponent = _mm512_sub_ps(_mm512_cvtepi32_ps(e), _mm512_maskz_mov_ps(small, _mm512_set1_ps(24.0f)));
    return _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(e, 23)));
}
/* a 2^n, |n| <= 252 */
QN_INLINE vf vf_scale(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}
QN_INLINE vf vf_scale_normal(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}

QN_INLINE vm vf_less(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
QN_INLINE vm vf_equal(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
QN_INLINE vm vf_less_equal(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
QN_INLINE vm vf_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}

QN_INLINE vf vf_select(vm m, vf a, vf b)
{
    return _mm512_mask_blend_ps(m, b, a);
}
/* Lanes i with low <= i < high. */
QN_INLINE vm vf_range(int64_t low, int64_t high)
{
    low = low < 0 ? 0 : low > 16 ? 16 : low;
    high = high < 0 ? 0 : high > 16 ? 16 : high;
    return (vm)(((1u << high) - 1) & ~((1u << low) - 1));
}

QN_INLINE void vf_store_f16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
QN_INLINE void vf_store_bf16(uint16_t *p, vf x)
{
    __m512i bits = _mm512_castps_si512(x), high = _mm512_srli_epi32(bits, 16);
    __m512i even = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
    __m512i out = _mm512_mask_blend_epi32(vf_nan(x), _mm512_srli_epi32(rounded, 16), quiet);
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(out));
}
QN_INLINE vf vf_load_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
/* Lanes 2i and 2i + 1 change places. */
QN_INLINE vf vf_swap_pairs(vf a)
{
    return _mm512_permute_ps(a, 0xb1);
}
QN_INLINE float vf_sum(vf a)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
/* The sum of v[i]'s lanes in lane i. */
QN_INLINE vf vf_sums(const vf *v)
{
    vf four[4];
    QN_UNROLL
    for (int i = 0; i < 4; i++) {
        vf ab = _mm512_add_ps(_mm512_unpacklo_ps(v[4 * i], v[4 * i + 1]), _mm512_unpackhi_ps(v[4 * i], v[4 * i + 1]));
        vf cd = _mm512_add_ps(_mm512_unpacklo_ps(v[4 * i + 2], v[4 * i + 3]),
                              _mm512_unpackhi_ps(v[4 * i + 2], v[4 * i + 3]));
        __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
        __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
        four[i] = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    }
    vf first =
        _mm512_add_ps(_mm512_shuffle_f32x4(four[0], four[1], 0x44), _mm512_shuffle_f32x4(four[0], four[1], 0xee));
    vf last = _mm512_add_ps(_mm512_shuffle_f32x4(four[2], four[3], 0x44), _mm512_shuffle_f32x4(four[2], four[3], 0xee));
    return _mm512_add_ps(_mm512_shuffle_f32x4(first, last, 0x88), _mm512_shuffle_f32x4(first, last, 0xdd));
}
QN_INLINE float vf_largest(vf a)
{
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#endif

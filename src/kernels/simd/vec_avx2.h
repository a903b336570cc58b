/* AVX2: the rest of the vocabulary of simd_avx2.h, for activations, norms, softmax and attention. What each word
 * means stands in vec.h. */
#ifndef QN_SIMD_VEC_AVX2_H
#define QN_SIMD_VEC_AVX2_H

#include "kernels/simd/simd_avx2.h"

typedef __m256 vm; /* all bits of a lane, or none */

QN_INLINE void vf_store_part(float *p, vf x, int64_t n)
{
    _mm256_maskstore_ps(p, vf_first(n), x);
}

QN_INLINE vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
QN_INLINE vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
QN_INLINE vf vf_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}

QN_INLINE vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

QN_INLINE vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
/* a b + c */

QN_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
QN_INLINE vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
QN_INLINE vf vf_xor(vf a, vf b)
{
    return _mm256_xor_ps(a, b);
}
QN_INLINE vf vf_sign(vf a)
{
    return _mm256_and_ps(a, _mm256_set1_ps(-0.0f));
}
QN_INLINE vf vf_nearest(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
QN_INLINE vf vf_floor(vf a)
{
    return _mm256_floor_ps(a);
}
QN_INLINE vf vf_split(vf a, vf *exponent)
{
    vf small = _mm256_cmp_ps(a, _mm256_set1_ps(0x1p-126f), _CMP_LT_OQ);
    __m256i bits = _mm256_castps_si256(_mm256_blendv_ps(a, _mm256_mul_ps(a, _mm256_set1_ps(0x1p24f)), small));
    /* from sqrt(1/2): the bits above it, less those of the fraction */
    __m256i above = _mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f3504f3)), e = _mm256_srai_epi32(above, 23);
    vf lift = _mm256_and_ps(small, _mm256_set1_ps(24.0f));
    *exponent = _mm256_sub_ps(_mm256_cvtepi32_ps(e), lift);
    return _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(e, 23)));
}
/* a 2^n, |n| <= 252: in two steps, so that results below the normal range round as one product would */
QN_INLINE vf vf_scale(vf a, vf n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
    vf first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    vf second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(a, first), second);
}
QN_INLINE vf vf_scale_normal(vf a, vf n)
{
    __m256i bits = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), bits));
}

QN_INLINE vm vf_less(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
QN_INLINE vm vf_equal(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
QN_INLINE vm vf_less_equal(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}
QN_INLINE vm vf_nan(vf a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}

QN_INLINE vf vf_select(vm m, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, m);
}
/* Lanes i with low <= i < high. */
QN_INLINE vm vf_range(int64_t low, int64_t high)
{
    low = low < 0 ? 0 : low > 8 ? 8 : low;
    high = high < 0 ? 0 : high > 8 ? 8 : high;
    return _mm256_castsi256_ps(_mm256_andnot_si256(vf_first(low), vf_first(high)));
}

QN_INLINE void vf_store_f16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
QN_INLINE void vf_store_bf16(uint16_t *p, vf x)
{
    __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
    __m256i even = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    __m256i out = _mm256_blendv_epi8(_mm256_srli_epi32(rounded, 16), quiet, _mm256_castps_si256(vf_nan(x)));
    out = _mm256_permute4x64_epi64(_mm256_packus_epi32(out, out), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(out));
}
QN_INLINE vf vf_load_i8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
/* Lanes 2i and 2i + 1 change places. */
QN_INLINE vf vf_swap_pairs(vf a)
{
    return _mm256_permute_ps(a, 0xb1);
}
QN_INLINE float vf_sum(vf a)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
/* The sum of v[i]'s lanes in lane i. */
QN_INLINE vf vf_sums(const vf *v)
{
    vf four[2];
    QN_UNROLL
    for (int i = 0; i < 2; i++) {
        vf ab = _mm256_add_ps(_mm256_unpacklo_ps(v[4 * i], v[4 * i + 1]), _mm256_unpackhi_ps(v[4 * i], v[4 * i + 1]));
        vf cd = _mm256_add_ps(_mm256_unpacklo_ps(v[4 * i + 2], v[4 * i + 3]),
                              _mm256_unpackhi_ps(v[4 * i + 2], v[4 * i + 3]));
        __m256d low = _mm256_unpacklo_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd));
        __m256d high = _mm256_unpackhi_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd));
        four[i] = _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
    }
    return _mm256_add_ps(_mm256_permute2f128_ps(four[0], four[1], 0x20),
                         _mm256_permute2f128_ps(four[0], four[1], 0x31));
}
QN_INLINE float vf_largest(vf a)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#endif

/* What activations, norms, softmax and attention need beside multiply-add: more words of the vocabulary of simd.h. A
 * file for an instruction set includes vec_<isa>.h and then the header that holds the body of its family.
 *
 *   vf_sub, vf_div, vf_sqrt, vf_abs
 *   vf_max, vf_min             the second where one is NaN
 *   vf_fnma(a, b, c)           c - a * b, one rounding
 *   vf_sign, vf_xor            the sign bit alone; bits
 *   vf_nearest                 to an integer, ties to even
 *   vf_floor
 *   vf_scale(a, n)             a * 2^n, |n| <= 252
 *   vf_scale_normal(a, n)      the same where a and the result are normal numbers
 *   vf_split(a, &e)            the fraction f in [sqrt(1/2), sqrt(2)) and e of a = f 2^e, for a > 0 and finite
 *   vm                         one truth a lane: vf_less, vf_less_equal, vf_equal, vf_nan,
 *                              vf_range(low, high): lanes low <= i < high
 *   vf_select(m, a, b)         m ? a : b
 *   vf_store_part(p, v, n)     the first n < VF_LANES elements
 *   vf_load_up_to(p, n)        the first n elements, all of them where there are as many, none below 1; zero behind
 *   vf_store_up_to(p, v, n)    the same
 *   vf_store_f16, vf_store_bf16, vf_load_i8
 *   vf_swap_pairs              lanes 2i and 2i + 1 change places
 *   vf_sum, vf_largest         over the lanes, folding halves until one is left
 *   vf_sums(v)                 lane i: the sum over the lanes of v[i]; in one order, but not that of vf_sum
 *
 * An element's bits never depend on its lane.
 */
#ifndef QN_SIMD_VEC_H
#define QN_SIMD_VEC_H

#if defined(__AVX512F__)
#include "kernels/simd/vec_avx512.h"
#elif defined(__AVX2__)
#include "kernels/simd/vec_avx2.h"
#else
#error "no vectors for this instruction set"
#endif

QN_INLINE vf vf_load_up_to(const float *p, int64_t n)
{
    return n >= VF_LANES ? vf_load(p) : n > 0 ? vf_load_part(p, n) : vf_zero();
}

QN_INLINE void vf_store_up_to(float *p, vf v, int64_t n)
{
    if (n >= VF_LANES)
        vf_store(p, v);
    else if (n > 0)
        vf_store_part(p, v, n);
}

#endif

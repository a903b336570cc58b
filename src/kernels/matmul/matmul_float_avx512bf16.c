/* BF16 weights by BF16 activations with the dot product of AVX512_BF16: a unit of K is a pair. */
#include "kernels/simd/simd_avx512.h"

#include "platform/cpu.h"

/* The instruction adds the two products one after the other, rounding to nearest each time, and flushes subnormals. */
QN_INLINE vf multiply_add_pairs(vf a, vf b, vf c)
{
    return _mm512_dpbf16_ps(c, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
}

/* The first `elements` < 32 bfloats at p as pairs, zero behind. */
QN_INLINE vf load_pairs_part(const uint16_t *p, int64_t elements)
{
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16((1u << elements) - 1, p));
}

#define QN_MULTIPLY_ADD multiply_add_pairs
#define QN_UNIT_ELEMENTS 2
#define COLUMN_VECTORS 4
#define NEEDS (QN_CPU_AVX512 | QN_CPU_AVX512BF16)
#define RANK 30
#include "kernels/matmul/matmul_float.h"

QN_MATMUL_KERNEL(114, bf16_avx512bf16, SOURCE_PAIRS, QN_DTYPE_BF16, QN_ACT_BF16);

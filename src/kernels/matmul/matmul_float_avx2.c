/* Float matmul with AVX2: weights in F32, F16, BF16, and through dequantisation in every other dtype. */
#include "kernels/simd/vec.h"

#include "platform/cpu.h"

/* 8 codes of 8 or 4 bits; of these the even ones lie in the low halves of their bytes. */
QN_INLINE vi load_8_codes(int bits, const uint8_t *bytes)
{
    if (bits == 8)
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)bytes));
    return vi_and(_mm256_srlv_epi32(vi_set4(bytes), _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28)), vi_set(15));
}

#define QN_LOAD_CODES load_8_codes
#define COLUMN_VECTORS 2
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/matmul/matmul_float.h"

QN_MATMUL_KERNEL(130, f32_avx2, SOURCE_F32, QN_DTYPE_F32, QN_ACT_F32);
QN_MATMUL_KERNEL(131, f16_avx2, SOURCE_F16, QN_DTYPE_F16, QN_ACT_F32);
QN_MATMUL_KERNEL(132, bf16_avx2, SOURCE_BF16, QN_DTYPE_BF16, QN_ACT_F32);
QN_MATMUL_KERNEL(133, generic_avx2, SOURCE_GENERIC, QN_DTYPE_NONE, QN_ACT_F32);

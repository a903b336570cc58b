/* Float matmul with AVX-512: weights in F32, F16, BF16, and through dequantisation in every other dtype. */
#include "kernels/simd/simd_avx512.h"

#include "platform/cpu.h"

#define COLUMN_VECTORS 4
#define NEEDS (QN_CPU_AVX2 | QN_CPU_AVX512)
#define RANK 20
#include "kernels/matmul/matmul_float.h"

QN_MATMUL_KERNEL(110, f32_avx512, SOURCE_F32, QN_DTYPE_F32, QN_ACT_F32);
QN_MATMUL_KERNEL(111, f16_avx512, SOURCE_F16, QN_DTYPE_F16, QN_ACT_F32);
QN_MATMUL_KERNEL(112, bf16_avx512, SOURCE_BF16, QN_DTYPE_BF16, QN_ACT_F32);
QN_MATMUL_KERNEL(113, generic_avx512, SOURCE_GENERIC, QN_DTYPE_NONE, QN_ACT_F32);

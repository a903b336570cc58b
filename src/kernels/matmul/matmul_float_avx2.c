/* Float matmul with AVX2: weights in F32, F16, BF16, and through dequantisation in every other dtype. */
#include "kernels/simd/simd_avx2.h"

#include "platform/cpu.h"

#define COLUMN_VECTORS 2
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/matmul/matmul_float.h"

QN_MATMUL_KERNEL(130, f32_avx2, SOURCE_F32, QN_DTYPE_F32, QN_ACT_F32);
QN_MATMUL_KERNEL(131, f16_avx2, SOURCE_F16, QN_DTYPE_F16, QN_ACT_F32);
QN_MATMUL_KERNEL(132, bf16_avx2, SOURCE_BF16, QN_DTYPE_BF16, QN_ACT_F32);
QN_MATMUL_KERNEL(133, generic_avx2, SOURCE_GENERIC, QN_DTYPE_NONE, QN_ACT_F32);

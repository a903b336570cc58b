/* Float matmul with NEON: weights in F32, F16, BF16, and through dequantisation in every other dtype. */
#include "kernels/simd/simd_neon.h"

#include "platform/cpu.h"

#define COLUMN_VECTORS 4
#define NEEDS QN_CPU_NEON
#define RANK 10
#include "kernels/matmul/matmul_float.h"

QN_MATMUL_KERNEL(150, f32_neon, SOURCE_F32, QN_DTYPE_F32, QN_ACT_F32);
QN_MATMUL_KERNEL(151, f16_neon, SOURCE_F16, QN_DTYPE_F16, QN_ACT_F32);
QN_MATMUL_KERNEL(152, bf16_neon, SOURCE_BF16, QN_DTYPE_BF16, QN_ACT_F32);
QN_MATMUL_KERNEL(153, generic_neon, SOURCE_GENERIC, QN_DTYPE_NONE, QN_ACT_F32);

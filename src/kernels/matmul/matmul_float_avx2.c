/* Float matmul with AVX2: weights in F32, F16, BF16, and through dequantisation in every other dtype. */
#include "kernels/simd/simd_avx2.h"

#include "platform/cpu.h"

#define COLUMN_VECTORS 2
#include "kernels/matmul/matmul_float.h"

static void run_f32(const void *params, int64_t begin, int64_t end, void *scratch)
{
    float_run(SOURCE_F32, params, begin, end, scratch);
}

static void run_f16(const void *params, int64_t begin, int64_t end, void *scratch)
{
    float_run(SOURCE_F16, params, begin, end, scratch);
}

static void run_bf16(const void *params, int64_t begin, int64_t end, void *scratch)
{
    float_run(SOURCE_BF16, params, begin, end, scratch);
}

static void run_generic(const void *params, int64_t begin, int64_t end, void *scratch)
{
    float_run(SOURCE_GENERIC, params, begin, end, scratch);
}

#define KERNEL(number, type, source_dtype)             \
    const struct qn_kernel qn_matmul_##type##_avx2 = { \
        .serial = number,                              \
        .name = "matmul_" #type "_avx2",               \
        .family = QN_FAMILY_MATMUL,                    \
        .needs = QN_CPU_AVX2,                          \
        .dtype = source_dtype,                         \
        .act = QN_ACT_F32,                             \
        .rank = 10,                                    \
        .tiles = float_tiles,                          \
        .scratch = float_scratch,                      \
        .run = run_##type,                             \
    }

KERNEL(130, f32, QN_DTYPE_F32);
KERNEL(131, f16, QN_DTYPE_F16);
KERNEL(132, bf16, QN_DTYPE_BF16);
KERNEL(133, generic, QN_DTYPE_NONE);

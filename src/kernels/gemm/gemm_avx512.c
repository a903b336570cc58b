#include "kernels/gemm/gemm_vec.h"

#include "platform/cpu.h"

#define KERNEL(type, number, source, form)             \
    const struct qn_kernel qn_gemm_##type##_avx512 = { \
        .serial = number,                              \
        .name = "gemm_" #type "_avx512",               \
        .family = QN_FAMILY_GEMM,                      \
        .needs = QN_CPU_AVX512,                        \
        .dtype = source,                               \
        .rank = 20,                                    \
        .tiles = tiles,                                \
        .scratch = scratch_bytes,                      \
        .run = run_##type,                             \
        .pack = form,                                  \
    }

KERNEL(f32, 2620, QN_DTYPE_F32, QN_PACK_PANELS_F32);
KERNEL(f16, 2621, QN_DTYPE_F16, QN_PACK_PANELS_16);
KERNEL(bf16, 2622, QN_DTYPE_BF16, QN_PACK_PANELS_16);

#include "kernels/gemm/gemm_vec.h"

#include "platform/cpu.h"

#define KERNEL(type, number, source, form)           \
    const struct qn_kernel qn_gemm_##type##_avx2 = { \
        .serial = number,                            \
        .name = "gemm_" #type "_avx2",               \
        .family = QN_FAMILY_GEMM,                    \
        .needs = QN_CPU_AVX2,                        \
        .dtype = source,                             \
        .rank = 10,                                  \
        .tiles = tiles,                              \
        .scratch = scratch_bytes,                    \
        .run = run_##type,                           \
        .pack = form,                                \
    }

KERNEL(f32, 2610, QN_DTYPE_F32, QN_PACK_PANELS_F32);
KERNEL(f16, 2611, QN_DTYPE_F16, QN_PACK_PANELS_16);
KERNEL(bf16, 2612, QN_DTYPE_BF16, QN_PACK_PANELS_16);

#include "kernels/pool/pool_bytes_vec.h"

#include "platform/cpu.h"

#define KERNEL(type, number, element)                \
    const struct qn_kernel qn_pool_##type##_avx2 = { \
        .serial = number,                            \
        .name = "pool_" #type "_avx2",               \
        .family = QN_FAMILY_POOL,                    \
        .needs = QN_CPU_AVX2,                        \
        .dtype = element,                            \
        .rank = 10,                                  \
        .tiles = tiles,                              \
        .run = run_##type,                           \
        .fits = fits,                                \
    }

KERNEL(u8, 2430, QN_DTYPE_U8);
KERNEL(i8, 2431, QN_DTYPE_I8);

#include "kernels/pool/pool_bytes_vec.h"

#include "platform/cpu.h"

#define KERNEL(type, number, element)                  \
    const struct qn_kernel qn_pool_##type##_avx512 = { \
        .serial = number,                              \
        .name = "pool_" #type "_avx512",               \
        .family = QN_FAMILY_POOL,                      \
        .needs = QN_CPU_AVX512,                        \
        .dtype = element,                              \
        .rank = 20,                                    \
        .tiles = tiles,                                \
        .run = run_##type,                             \
        .fits = fits,                                  \
    }

KERNEL(u8, 2440, QN_DTYPE_U8);
KERNEL(i8, 2441, QN_DTYPE_I8);

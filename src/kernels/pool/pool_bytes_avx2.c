#include "platform/cpu.h"

#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/pool/pool_bytes_vec.h"

POOL_BYTES_KERNEL(qn_pool_u8_avx2, 2430, QN_DTYPE_U8, u8);
POOL_BYTES_KERNEL(qn_pool_i8_avx2, 2431, QN_DTYPE_I8, i8);

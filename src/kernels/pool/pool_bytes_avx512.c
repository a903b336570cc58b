#include "platform/cpu.h"

#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/pool/pool_bytes_vec.h"

POOL_BYTES_KERNEL(qn_pool_u8_avx512, 2440, QN_DTYPE_U8, u8);
POOL_BYTES_KERNEL(qn_pool_i8_avx512, 2441, QN_DTYPE_I8, i8);

#include "platform/cpu.h"

#define KERNEL qn_pool_f32_avx512
#define NAME "pool_f32_avx512"
#define SERIAL 2420
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/pool/pool_vec.h"

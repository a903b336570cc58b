#include "platform/cpu.h"

#define KERNEL qn_pool_f32_avx2
#define NAME "pool_f32_avx2"
#define SERIAL 2410
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/pool/pool_vec.h"

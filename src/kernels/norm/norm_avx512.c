#include "platform/cpu.h"

#define KERNEL qn_norm_avx512
#define SERIAL 420
#define NAME "norm_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/norm/norm_vec.h"

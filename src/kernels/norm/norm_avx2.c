#include "platform/cpu.h"

#define KERNEL qn_norm_avx2
#define SERIAL 410
#define NAME "norm_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/norm/norm_vec.h"

#include "platform/cpu.h"

#define KERNEL qn_reduce_avx2
#define SERIAL 1010
#define NAME "reduce_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/reduce/reduce_vec.h"

#include "platform/cpu.h"

#define KERNEL qn_reduce_avx512
#define SERIAL 1020
#define NAME "reduce_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/reduce/reduce_vec.h"

#include "platform/cpu.h"

#define KERNEL qn_unary_avx2
#define SERIAL 710
#define NAME "unary_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/unary/unary_vec.h"

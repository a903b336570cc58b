#include "platform/cpu.h"

#define KERNEL qn_unary_avx512
#define SERIAL 720
#define NAME "unary_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/unary/unary_vec.h"

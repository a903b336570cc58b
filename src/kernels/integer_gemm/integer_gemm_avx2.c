#include "platform/cpu.h"

#define KERNEL qn_integer_gemm_avx2
#define NAME "integer_gemm_avx2"
#define SERIAL 2710
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/integer_gemm/integer_gemm_vec.h"

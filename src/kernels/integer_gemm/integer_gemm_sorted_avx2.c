#include "platform/cpu.h"

#define QN_INT_SORTED 1
#define KERNEL qn_integer_gemm_sorted_avx2
#define NAME "integer_gemm_sorted_avx2"
#define SERIAL 2712
#define NEEDS QN_CPU_AVX2
#define RANK 15
#include "kernels/integer_gemm/integer_gemm_vec.h"

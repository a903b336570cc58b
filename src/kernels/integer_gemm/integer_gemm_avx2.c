#include "platform/cpu.h"

#define ISA avx2
#define SERIAL 2710
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/integer_gemm/integer_gemm_vec.h"

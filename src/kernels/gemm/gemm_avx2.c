#include "platform/cpu.h"

#define ISA avx2
#define SERIAL 2610
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/gemm/gemm_vec.h"

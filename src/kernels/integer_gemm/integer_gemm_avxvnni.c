#include "platform/cpu.h"

#define KERNEL qn_integer_gemm_avxvnni
#define NAME "integer_gemm_avxvnni"
#define SERIAL 2711
#define NEEDS (QN_CPU_AVX2 | QN_CPU_AVXVNNI)
#define RANK 20
#include "kernels/integer_gemm/integer_gemm_vec.h"

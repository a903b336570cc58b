#include "platform/cpu.h"

#define KERNEL qn_integer_gemm_avx512vnni
#define NAME "integer_gemm_avx512vnni"
#define SERIAL 2720
#define NEEDS (QN_CPU_AVX512 | QN_CPU_AVX512VNNI)
#define RANK 30
#include "kernels/integer_gemm/integer_gemm_vec.h"

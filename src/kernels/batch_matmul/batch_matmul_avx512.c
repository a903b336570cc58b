#include "platform/cpu.h"

#define KERNEL qn_batch_matmul_avx512
#define SERIAL 220
#define NAME "batch_matmul_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/batch_matmul/batch_matmul_vec.h"

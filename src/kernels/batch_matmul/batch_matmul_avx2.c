#include "platform/cpu.h"

#define KERNEL qn_batch_matmul_avx2
#define SERIAL 210
#define NAME "batch_matmul_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/batch_matmul/batch_matmul_vec.h"

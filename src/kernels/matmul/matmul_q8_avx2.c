/* Block types with AVX2. */
#include "kernels/simd/simd_avx2.h"

#include "platform/cpu.h"

#define COLUMN_VECTORS 2
#define ROWS 2
#define ROWS_HALVES 2
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/matmul/matmul_q8.h"

QN_MATMUL_KERNEL(140, q4_0_avx2, Q4_0);
QN_MATMUL_KERNEL(141, q4_1_avx2, Q4_1);
QN_MATMUL_KERNEL(142, q5_0_avx2, Q5_0);
QN_MATMUL_KERNEL(143, q5_1_avx2, Q5_1);
QN_MATMUL_KERNEL(144, q8_0_avx2, Q8_0);
QN_MATMUL_KERNEL(145, q2_k_avx2, Q2_K);
QN_MATMUL_KERNEL(146, q3_k_avx2, Q3_K);
QN_MATMUL_KERNEL(147, q4_k_avx2, Q4_K);
QN_MATMUL_KERNEL(148, q5_k_avx2, Q5_K);
QN_MATMUL_KERNEL(149, q6_k_avx2, Q6_K);

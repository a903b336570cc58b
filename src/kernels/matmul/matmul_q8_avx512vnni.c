/* Block types with AVX-512 and its dot product of bytes (VNNI). */
#include "kernels/simd/simd_avx512.h"

#include "platform/cpu.h"

#define COLUMN_VECTORS 2
#define ROWS 6
#define ROWS_HALVES 4
#define NEEDS (QN_CPU_AVX512 | QN_CPU_AVX512VNNI)
#define RANK 30
#include "kernels/matmul/matmul_q8.h"

QN_MATMUL_KERNEL(120, q4_0_avx512vnni, Q4_0);
QN_MATMUL_KERNEL(121, q4_1_avx512vnni, Q4_1);
QN_MATMUL_KERNEL(122, q5_0_avx512vnni, Q5_0);
QN_MATMUL_KERNEL(123, q5_1_avx512vnni, Q5_1);
QN_MATMUL_KERNEL(124, q8_0_avx512vnni, Q8_0);
QN_MATMUL_KERNEL(125, q2_k_avx512vnni, Q2_K);
QN_MATMUL_KERNEL(126, q3_k_avx512vnni, Q3_K);
QN_MATMUL_KERNEL(127, q4_k_avx512vnni, Q4_K);
QN_MATMUL_KERNEL(128, q5_k_avx512vnni, Q5_K);
QN_MATMUL_KERNEL(129, q6_k_avx512vnni, Q6_K);

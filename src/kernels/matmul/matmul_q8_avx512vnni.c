/* Block types with AVX-512 and its dot product of bytes (VNNI). */
#include "kernels/simd/simd_avx512.h"

#include "platform/cpu.h"

#define COLUMN_VECTORS 2
#define ROWS 6
#define ROWS_HALVES 4
#include "kernels/matmul/matmul_q8.h"

static void run_q4_0(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q4_0, params, begin, end, scratch);
}

static void run_q4_1(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q4_1, params, begin, end, scratch);
}

static void run_q5_0(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q5_0, params, begin, end, scratch);
}

static void run_q5_1(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q5_1, params, begin, end, scratch);
}

static void run_q8_0(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q8_0, params, begin, end, scratch);
}

static void run_q2_k(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q2_K, params, begin, end, scratch);
}

static void run_q3_k(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q3_K, params, begin, end, scratch);
}

static void run_q4_k(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q4_K, params, begin, end, scratch);
}

static void run_q5_k(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q5_K, params, begin, end, scratch);
}

static void run_q6_k(const void *params, int64_t begin, int64_t end, void *scratch)
{
    q8_run(Q6_K, params, begin, end, scratch);
}

#define KERNEL(number, type, TYPE)                           \
    const struct qn_kernel qn_matmul_##type##_avx512vnni = { \
        .serial = number,                                    \
        .name = "matmul_" #type "_avx512vnni",               \
        .family = QN_FAMILY_MATMUL,                          \
        .needs = QN_CPU_AVX512 | QN_CPU_AVX512VNNI,          \
        .dtype = QN_DTYPE_##TYPE,                            \
        .act = QN_ACT_Q8_32,                                 \
        .rank = 30,                                          \
        .tiles = q8_tiles,                                   \
        .scratch = q8_scratch,                               \
        .run = run_##type,                                   \
    }

KERNEL(120, q4_0, Q4_0);
KERNEL(121, q4_1, Q4_1);
KERNEL(122, q5_0, Q5_0);
KERNEL(123, q5_1, Q5_1);
KERNEL(124, q8_0, Q8_0);
KERNEL(125, q2_k, Q2_K);
KERNEL(126, q3_k, Q3_K);
KERNEL(127, q4_k, Q4_K);
KERNEL(128, q5_k, Q5_K);
KERNEL(129, q6_k, Q6_K);

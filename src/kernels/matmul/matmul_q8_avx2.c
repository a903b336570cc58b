/* Block types with AVX2. */
#include "kernels/simd/simd_avx2.h"

#include "platform/cpu.h"

#define COLUMN_VECTORS 2
#define ROWS 2
#define ROWS_HALVES 2
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

#define KERNEL(number, type, TYPE)                     \
    const struct qn_kernel qn_matmul_##type##_avx2 = { \
        .serial = number,                              \
        .name = "matmul_" #type "_avx2",               \
        .family = QN_FAMILY_MATMUL,                    \
        .needs = QN_CPU_AVX2,                          \
        .dtype = QN_DTYPE_##TYPE,                      \
        .act = QN_ACT_Q8_32,                           \
        .rank = 10,                                    \
        .tiles = q8_tiles,                             \
        .scratch = q8_scratch,                         \
        .run = run_##type,                             \
    }

KERNEL(140, q4_0, Q4_0);
KERNEL(141, q4_1, Q4_1);
KERNEL(142, q5_0, Q5_0);
KERNEL(143, q5_1, Q5_1);
KERNEL(144, q8_0, Q8_0);
KERNEL(145, q2_k, Q2_K);
KERNEL(146, q3_k, Q3_K);
KERNEL(147, q4_k, Q4_K);
KERNEL(148, q5_k, Q5_K);
KERNEL(149, q6_k, Q6_K);

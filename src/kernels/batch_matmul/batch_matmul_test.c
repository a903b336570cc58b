#include "kernels/batch_matmul/batch_matmul.h"

#include <string.h>

#include "conformance/conformance.h"
#include "support/testing.h"

enum { M = 101, N = 300, K = 530 };

static struct qn_view matrix(float *data, int64_t rows, int64_t columns, int64_t row, int64_t column)
{
    return (struct qn_view){
        .data = data, .dtype = QN_DTYPE_F32, .rank = 2, .dims = {rows, columns}, .strides = {row, column}};
}

/* Rows alone, columns alone, b transposed in memory: the same bits. */
static void test_bits_do_not_depend_on_company(void **state)
{
    (void)state;
    static float a[M * K], b[K * N], bt[N * K], all[M * N], other[M * N];
    for (int i = 0; i < M * K; i++)
        a[i] = (float)cf_uniform(-1, 1);
    for (int i = 0; i < K * N; i++)
        bt[i % N * K + i / N] = b[i] = (float)cf_uniform(-1, 1);
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_BATCH_MATMUL, &at));) {
        struct qn_batch_matmul_params p = {matrix(a, M, K, K, 1), matrix(b, K, N, N, 1), matrix(all, M, N, N, 1)};
        cf_run_all(kernel, &p);
        p.b = matrix(bt, K, N, 1, K);
        p.y.data = other;
        for (int64_t tile = kernel->tiles(&p); tile-- > 0;)
            cf_run_tiles(kernel, &p, tile, tile + 1);
        assert_memory_equal(other, all, sizeof all);
        for (int64_t m = 1, first = 0; first + m <= M; first += m, m = m * 2 + 1) {
            p = (struct qn_batch_matmul_params){matrix(a + first * K, m, K, K, 1), matrix(b, K, N, N, 1),
                                                matrix(other, m, N, N, 1)};
            cf_run_all(kernel, &p);
            assert_memory_equal(other, all + first * N, sizeof(float) * (size_t)(m * N));
        }
        for (int64_t column = 0; column < N; column += 47) {
            p = (struct qn_batch_matmul_params){matrix(a, M, K, K, 1), matrix(b + column, K, 1, N, 1),
                                                matrix(other, M, 1, 1, 1)};
            cf_run_all(kernel, &p);
            for (int64_t r = 0; r < M; r++)
                assert_memory_equal(&other[r], &all[r * N + column], sizeof(float));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits_do_not_depend_on_company)};
    return cmocka_run_group_tests_name("kernels/batch_matmul", tests, NULL, NULL);
}

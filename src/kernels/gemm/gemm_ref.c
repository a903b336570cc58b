#include "kernels/activation.h"
#include "kernels/element.h"
#include "kernels/gemm/gemm.h"

/* A tile is one row of y; its columns are taken COLUMNS at a time, summed in double. */
enum { COLUMNS = 64 };

static int64_t tiles(const void *params)
{
    return ((const struct qn_gemm_params *)params)->m;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_gemm_params *p = params;
    for (int64_t row = begin; row < end; row++) {
        const float *a = p->a + row * p->a_stride;
        float *y = p->y + row * p->y_stride;
        for (int64_t j = 0; j < p->n; j += COLUMNS) {
            int64_t n = p->n - j < COLUMNS ? p->n - j : COLUMNS;
            double sums[COLUMNS] = {0}, b[COLUMNS];
            for (int64_t k = 0; k < p->k; k++) {
                qn_load_f64(b, (const char *)p->b + k * p->b_k + j * p->b_n, p->b_n, p->b_dtype, n);
                for (int64_t i = 0; i < n; i++)
                    sums[i] += (double)a[k] * b[i];
            }
            for (int64_t i = 0; i < n; i++) {
                sums[i] += p->bias ? (double)p->bias[j + i] : 0;
                sums[i] += p->residual ? (double)p->residual[row * p->y_stride + j + i] : 0;
                y[j + i] = (float)qn_activate(p->activation, (double)p->alpha, (double)p->beta, sums[i]);
            }
        }
    }
}

const struct qn_kernel qn_gemm_ref = {
    .serial = 2600,
    .name = "gemm_ref",
    .family = QN_FAMILY_GEMM,
    .tiles = tiles,
    .run = run,
};

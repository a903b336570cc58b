/* The reference matmul: dequantise a row of weights, then one sum in double precision an output. Serves every dtype
 * that can be turned into floats; the fast kernels are tested against it. */
#include "kernels/matmul/matmul.h"
#include "quant/quant.h"

int64_t qn_act_row_bytes(enum qn_act act, int64_t k)
{
    int64_t bytes = 4 * k;
    if (act == QN_ACT_BF16)
        bytes = 2 * k;
    else if (act == QN_ACT_Q8_32)
        bytes = (k + QN_Q8_STEP - 1) / QN_Q8_STEP * QN_Q8_STEP / 2 * 3;
    return (bytes + 63) & ~(int64_t)63;
}

/* A tile is one row of weights. */
static int64_t tiles(const void *params)
{
    return ((const struct qn_matmul_params *)params)->n;
}

static int64_t scratch_bytes(const void *params)
{
    return ((const struct qn_matmul_params *)params)->k * (int64_t)sizeof(float);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_matmul_params *p = params;
    const struct qn_quant *quant = qn_quant(p->w_dtype);
    float *w = scratch;
    for (int64_t n = begin; n < end; n++) {
        quant->dequantise((const uint8_t *)p->w + n * p->w_stride, w, p->k);
        for (int64_t m = 0; m < p->m; m++) {
            const float *x = qn_matmul_x(p, m);
            double sum = 0;
            for (int64_t k = 0; k < p->k; k++)
                sum += (double)x[k] * w[k];
            qn_matmul_store(p, m, n, (float)sum);
        }
    }
}

const struct qn_kernel qn_matmul_ref = {
    .serial = 100,
    .name = "matmul_ref",
    .family = QN_FAMILY_MATMUL,
    .act = QN_ACT_F32,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};

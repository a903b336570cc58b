#include "kernels/math.h"
#include "kernels/softmax/softmax.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    const struct qn_softmax_params *p = params;
    int64_t rows = 1;
    for (uint32_t i = 0; i < p->x.rank; i++)
        rows *= i == p->axis ? 1 : p->x.dims[i];
    return rows;
}

struct row {
    const char *x;
    char *y;
    int64_t x_step, y_step, n;
    qn_dtype dtype;
};

/* Three passes in runs: maximum, sum, quotients. The exponentials are taken twice, so that no row needs a buffer. */
static void softmax_row(const struct row *row)
{
    double v[QN_ELEMENT_RUN], max = -__builtin_inf(), sum = 0;
    for (int pass = 0; pass < 3; pass++) {
        for (int64_t i = 0, n; i < row->n; i += n) {
            n = row->n - i < QN_ELEMENT_RUN ? row->n - i : QN_ELEMENT_RUN;
            qn_load_f64(v, row->x + i * row->x_step, row->x_step, row->dtype, n);
            for (int64_t j = 0; j < n; j++) {
                if (pass == 0)
                    max = v[j] > max || v[j] != v[j] ? v[j] : max;
                else if (pass == 1)
                    sum += qn_exp(v[j] - max);
                else
                    v[j] = qn_exp(v[j] - max) / sum;
            }
            if (pass == 2)
                qn_store_f64(row->y + i * row->y_step, row->y_step, row->dtype, v, n);
        }
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_softmax_params *p = params;
    int64_t bytes = qn_element_bytes(p->x.dtype);
    struct row row = {
        .x_step = p->x.strides[p->axis] * bytes,
        .y_step = p->y.strides[p->axis] * bytes,
        .n = p->x.dims[p->axis],
        .dtype = p->x.dtype,
    };
    for (int64_t tile = begin; tile < end; tile++) {
        row.x = qn_view_row(&p->x, p->axis, tile, bytes);
        row.y = qn_view_row(&p->y, p->axis, tile, bytes);
        softmax_row(&row);
    }
}

const struct qn_kernel qn_softmax_ref = {
    .serial = 600,
    .name = "softmax_ref",
    .family = QN_FAMILY_SOFTMAX,
    .tiles = tiles,
    .run = run,
};

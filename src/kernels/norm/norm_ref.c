#include "ir/ir.h"
#include "kernels/norm/norm.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    const struct qn_norm_params *p = params;
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < p->x.rank; i++)
        rows *= p->x.dims[i];
    return rows;
}

/* Sum of x, or of (x - mean)^2, over a row. */
static double row_sum(const struct qn_norm_params *p, const char *x, double mean, bool squares)
{
    uint32_t axis = p->x.rank - 1;
    int64_t d = p->x.dims[axis], step = p->x.strides[axis] * qn_element_bytes(p->x.dtype);
    double v[QN_ELEMENT_RUN], sum = 0;
    for (int64_t i = 0, n; i < d; i += n) {
        n = d - i < QN_ELEMENT_RUN ? d - i : QN_ELEMENT_RUN;
        qn_load_f64(v, x + i * step, step, p->x.dtype, n);
        for (int64_t j = 0; j < n; j++)
            sum += squares ? (v[j] - mean) * (v[j] - mean) : v[j];
    }
    return sum;
}

static void load_parameter(const struct qn_view *view, int64_t first, int64_t n, double *out)
{
    int64_t step = view->strides[0] * qn_element_bytes(view->dtype);
    qn_load_f64(out, (const char *)view->data + first * step, step, view->dtype, n);
}

static void norm_row(const struct qn_norm_params *p, const char *x, char *y)
{
    uint32_t axis = p->x.rank - 1;
    int64_t d = p->x.dims[axis], bytes = qn_element_bytes(p->x.dtype);
    int64_t x_step = p->x.strides[axis] * bytes, y_step = p->y.strides[axis] * bytes;
    double mean = p->op == QN_OP_layer_norm ? row_sum(p, x, 0, false) / (double)d : 0;
    double scale = 1 / __builtin_sqrt(row_sum(p, x, mean, true) / (double)d + (double)p->epsilon);
    double v[QN_ELEMENT_RUN], w[QN_ELEMENT_RUN];
    for (int64_t i = 0, n; i < d; i += n) {
        n = d - i < QN_ELEMENT_RUN ? d - i : QN_ELEMENT_RUN;
        qn_load_f64(v, x + i * x_step, x_step, p->x.dtype, n);
        for (int64_t j = 0; j < n; j++)
            v[j] = (v[j] - mean) * scale;
        if (p->weight.data) {
            load_parameter(&p->weight, i, n, w);
            for (int64_t j = 0; j < n; j++)
                v[j] *= w[j];
        }
        if (p->bias.data) {
            load_parameter(&p->bias, i, n, w);
            for (int64_t j = 0; j < n; j++)
                v[j] += w[j];
        }
        qn_store_f64(y + i * y_step, y_step, p->y.dtype, v, n);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_norm_params *p = params;
    int64_t bytes = qn_element_bytes(p->x.dtype);
    for (int64_t row = begin; row < end; row++)
        norm_row(p, qn_view_row(&p->x, p->x.rank - 1, row, bytes), qn_view_row(&p->y, p->y.rank - 1, row, bytes));
}

const struct qn_kernel qn_norm_ref = {
    .serial = 400,
    .name = "norm_ref",
    .family = QN_FAMILY_NORM,
    .tiles = tiles,
    .run = run,
};

/* Inverses of small matrices, by elimination with the largest pivot of each column. */
#include <math.h>

#include "host/host_call.h"

/* m [n, 2 n]: a matrix and beside it the unit matrix, which becomes the inverse. */
static qn_status eliminate(const struct qn_host_call *c, double *m, int64_t n)
{
    const int64_t width = 2 * n;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        QN_TRY(qn_host_go_on(c));
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(m[i * width + k]) > fabs(m[best * width + k]))
                best = i;
        for (int64_t j = 0; j < width && best != k; j++) {
            double old = m[k * width + j];
            m[k * width + j] = m[best * width + j];
            m[best * width + j] = old;
        }
        double pivot = 1 / m[k * width + k];
        for (int64_t j = 0; j < width; j++)
            m[k * width + j] *= pivot;
        for (int64_t i = 0; i < n; i++) {
            double factor = m[i * width + k];
            for (int64_t j = 0; j < width && i != k; j++)
                m[i * width + j] -= factor * m[k * width + j];
        }
    }
    return NULL;
}

static double load(const struct qn_view *x, int64_t i)
{
    return x->dtype == QN_DTYPE_F64 ? ((const double *)x->data)[i] : (double)((const float *)x->data)[i];
}

static void store(const struct qn_view *y, int64_t i, double value)
{
    if (y->dtype == QN_DTYPE_F64)
        ((double *)y->data)[i] = value;
    else
        ((float *)y->data)[i] = (float)value;
}

qn_status qn_host_inverse(const struct qn_host_call *c)
{
    struct qn_view x;
    QN_TRY(qn_host_tensor(c, 0, &x));
    if ((x.dtype != QN_DTYPE_F32 && x.dtype != QN_DTYPE_F64) || x.rank < 2 || x.dims[x.rank - 1] != x.dims[x.rank - 2])
        return QN_ERROR(QN_INVALID_ARGUMENT, "expected square matrices of f32 or f64");
    QN_TRY(qn_object_tensor(c->store, x.dtype, x.rank, x.dims, &c->out[0]));
    const int64_t n = x.dims[x.rank - 1], elems = qn_view_elems(&x);
    uint64_t bytes;
    if (!qn_mul_u64((uint64_t)n * 2 * sizeof(double), (uint64_t)n, &bytes))
        return QN_OOM();
    double *m = qn_store_take(c->store, bytes + 1);
    qn_status status = m ? NULL : QN_OOM();
    for (int64_t at = 0; at < elems && !status; at += n * n) {
        for (int64_t i = 0; i < n * n; i++) {
            m[i / n * 2 * n + i % n] = load(&x, at + i);
            m[i / n * 2 * n + n + i % n] = i / n == i % n;
        }
        status = eliminate(c, m, n);
        for (int64_t i = 0; i < n * n && !status; i++)
            store(&c->out[0]->tensor, at + i, m[i / n * 2 * n + n + i % n]);
    }
    qn_store_give(c->store, m);
    return status;
}

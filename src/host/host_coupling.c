/* Pairwise coupling: probabilities of k classes from those of each pair (Wu, Lin, Weng: "Probability estimates for
 * multi-class classification by pairwise coupling", 2004, their second method), by the iteration, bounds and tolerance
 * that LIBSVM made usual, so that results are its own. */
#include <math.h>

#include "host/host_call.h"
#include "ir/ir.h"

struct coupling {
    int64_t k;
    double *q;  /* [k, k]: the p wanted makes p q p least */
    double *qp; /* [k]: q p */
    double *p;  /* [k] */
};

/* r_ij, the probability of i against j > i, is `pairs` in the order (0, 1), (0, 2), ..., (k - 2, k - 1). */
static void set_up(const struct coupling *s, const float *pairs)
{
    int64_t k = s->k;
    for (int64_t i = 0; i < k; i++) {
        s->p[i] = 1.0 / (double)k;
        s->q[i * k + i] = 0;
    }
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = i + 1; j < k; j++) {
            double first = (double)*pairs++, second = 1 - first;
            s->q[i * k + i] += second * second;
            s->q[j * k + j] += first * first;
            s->q[i * k + j] = s->q[j * k + i] = -first * second;
        }
    }
}

/* q p and p q p; the largest distance of an element of q p from it. */
static double residual(const struct coupling *s, double *pqp)
{
    double most = 0;
    *pqp = 0;
    for (int64_t i = 0; i < s->k; i++) {
        s->qp[i] = 0;
        for (int64_t j = 0; j < s->k; j++)
            s->qp[i] += s->q[i * s->k + j] * s->p[j];
        *pqp += s->p[i] * s->qp[i];
    }
    for (int64_t i = 0; i < s->k; i++)
        most = fmax(most, fabs(s->qp[i] - *pqp));
    return most;
}

/* Moves p_i to where its own condition holds, then all of p back to a sum of 1. */
static void step(const struct coupling *s, int64_t i, double *pqp)
{
    const double *row = s->q + i * s->k;
    double by = (*pqp - s->qp[i]) / row[i], scale = 1 / (1 + by);
    s->p[i] += by;
    *pqp = (*pqp + by * (by * row[i] + 2 * s->qp[i])) * scale * scale;
    for (int64_t j = 0; j < s->k; j++) {
        s->qp[j] = (s->qp[j] + by * row[j]) * scale;
        s->p[j] *= scale;
    }
}

static void couple(const struct coupling *s, const float *pairs, float *y)
{
    int64_t rounds = s->k > 100 ? s->k : 100;
    double pqp;
    set_up(s, pairs);
    for (int64_t round = 0; round < rounds && residual(s, &pqp) >= 0.005 / (double)s->k; round++)
        for (int64_t i = 0; i < s->k; i++)
            step(s, i, &pqp);
    for (int64_t i = 0; i < s->k; i++)
        y[i] = (float)s->p[i];
}

qn_status qn_host_pair_coupling(const struct qn_host_call *c)
{
    const struct qn_attr_classes *attr = c->attr;
    struct coupling s = {.k = attr->classes};
    struct qn_view x;
    QN_TRY(qn_host_tensor(c, 0, &x));
    if (x.dtype != QN_DTYPE_F32 || x.rank != 2 || s.k < 2 || x.dims[1] != s.k * (s.k - 1) / 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the pairs do not fit %" PRId64 " classes", s.k);
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_F32, 2, (int64_t[]){x.dims[0], s.k}, &c->out[0]));
    double *memory = qn_store_take(c->store, (uint64_t)(s.k + 2) * (uint64_t)s.k * sizeof *memory);
    if (!memory)
        return QN_OOM();
    s.q = memory;
    s.qp = s.q + s.k * s.k;
    s.p = s.qp + s.k;
    qn_status status = NULL;
    for (int64_t i = 0; i < x.dims[0] && !(status = qn_host_go_on(c)); i++)
        couple(&s, (const float *)x.data + i * x.dims[1], (float *)c->out[0]->tensor.data + i * s.k);
    qn_store_give(c->store, memory);
    return status;
}

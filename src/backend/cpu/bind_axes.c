/* Binding of ops that work along axes: reductions, norms, softmax, sorting, running sums, rotations. */
#include "backend/cpu/bind.h"
#include "kernels/arg/arg.h"
#include "kernels/cumulate/cumulate.h"
#include "kernels/norm/norm.h"
#include "kernels/reduce/reduce.h"
#include "kernels/rope/rope.h"
#include "kernels/softmax/softmax.h"
#include "kernels/topk/topk.h"

/* The contiguous result y of a reduction of x with all of x's axes: those in the set have size 1. */
static struct qn_view reduced(const struct qn_view *x, uint32_t axes, const struct qn_view *y)
{
    struct qn_view view = *x;
    int64_t stride = 1;
    view.data = y->data;
    view.dtype = y->dtype;
    for (uint32_t i = x->rank; i-- > 0;) {
        if (axes >> i & 1)
            view.dims[i] = 1;
        view.strides[i] = stride;
        stride *= view.dims[i];
    }
    return view;
}

void qn_bind_reduce(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_reduce *attr = b->attr;
    struct qn_reduce_params *p = QN_PARAMS(qn_reduce_params, params);
    p->op = b->op;
    p->x = b->in[0];
    for (uint32_t i = 0; i < attr->axes.count; i++)
        p->axes |= 1u << qn_bind_axis(attr->axes.items[i], p->x.rank);
    if (attr->axes.count == 0)
        p->axes = (1u << p->x.rank) - 1;
    p->y = reduced(&p->x, p->axes, &b->out[0]);
}

void qn_bind_arg(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_arg *attr = b->attr;
    struct qn_arg_params *p = QN_PARAMS(qn_arg_params, params);
    p->op = b->op;
    p->last = attr->last;
    p->axis = qn_bind_axis(attr->axis, b->in[0].rank);
    p->x = b->in[0];
    p->y = reduced(&p->x, 1u << p->axis, &b->out[0]);
}

void qn_bind_cumulate(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_cumulate *attr = b->attr;
    struct qn_cumulate_params *p = QN_PARAMS(qn_cumulate_params, params);
    p->op = b->op;
    p->exclusive = attr->exclusive;
    p->reverse = attr->reverse;
    p->axis = qn_bind_axis(attr->axis, b->in[0].rank);
    p->x = b->in[0];
    p->y = b->out[0];
}

void qn_bind_softmax(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_softmax_params *p = QN_PARAMS(qn_softmax_params, params);
    p->x = b->in[0];
    p->y = b->out[0];
    p->axis = qn_bind_axis(((const struct qn_attr_axis *)b->attr)->axis, p->x.rank);
}

void qn_bind_topk(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_topk_params *p = QN_PARAMS(qn_topk_params, params);
    p->x = b->in[0];
    p->values = b->out[0];
    p->indices = b->out[1];
    p->k = ((const struct qn_attr_topk *)b->attr)->k;
    p->smallest = ((const struct qn_attr_topk *)b->attr)->smallest;
}

void qn_bind_norm(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_norm_params *p = QN_PARAMS(qn_norm_params, params);
    p->op = b->op;
    p->x = b->in[0];
    p->y = b->out[0];
    p->weight = b->in[1];
    if (b->in_count > 2)
        p->bias = b->in[2];
    p->epsilon = ((const struct qn_attr_norm *)b->attr)->epsilon;
}

void qn_bind_rope(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_rope_params *p = QN_PARAMS(qn_rope_params, params);
    p->x = b->in[0];
    p->cos = b->in[1];
    p->sin = b->in[2];
    p->y = b->out[0];
    p->interleaved = ((const struct qn_attr_rope *)b->attr)->interleaved;
}

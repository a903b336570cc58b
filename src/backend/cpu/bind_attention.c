/* Binding of attention, dense and paged. */
#include "backend/cpu/bind.h"
#include "kernels/attention/attention.h"
#include "quant/quant.h"

/* [..., tokens, heads, d] as [..., heads, tokens, d]. */
static struct qn_view straight(const struct qn_view *view, bool turned)
{
    struct qn_view out = *view;
    if (turned) {
        out.dims[view->rank - 3] = view->dims[view->rank - 2];
        out.dims[view->rank - 2] = view->dims[view->rank - 3];
        out.strides[view->rank - 3] = view->strides[view->rank - 2];
        out.strides[view->rank - 2] = view->strides[view->rank - 3];
    }
    return out;
}

/* [..., heads, m, d] as [..., groups, heads / groups, m, d]; an axis of one head becomes two of one. */
static struct qn_view grouped(const struct qn_view *view, int64_t groups)
{
    struct qn_view out = *view;
    uint32_t at = view->rank - 3;
    if (!view->data && view->dtype == QN_DTYPE_NONE)
        return out;
    out.rank++;
    for (uint32_t i = view->rank; i > at + 1; i--) {
        out.dims[i] = view->dims[i - 1];
        out.strides[i] = view->strides[i - 1];
    }
    bool one = view->dims[at] == 1;
    out.dims[at] = one ? 1 : groups;
    out.dims[at + 1] = one ? 1 : view->dims[at] / groups;
    out.strides[at] = view->strides[at] * out.dims[at + 1];
    out.strides[at + 1] = view->strides[at];
    return out;
}

void qn_bind_attention(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_attention_params *p = QN_PARAMS(qn_attention_params, params);
    const struct qn_attr_attention *attr = b->attr;
    struct qn_view views[5] = {straight(&b->in[0], attr->turned & 1), straight(&b->in[1], attr->turned & 2),
                               straight(&b->in[2], attr->turned & 4)};
    struct qn_view y = straight(&b->out[0], attr->turned & 8), batch = y;
    bool has_mask = qn_bind_operand(b, 3) != NULL;
    bool has_sinks = qn_bind_operand(b, 4) != NULL;
    uint32_t rank = y.rank;
    int64_t groups = rank > 2 ? views[1].dims[rank - 3] : 0;
    batch.dims[rank - 2] = views[0].dims[rank - 2];
    batch.dims[rank - 1] = views[1].dims[rank - 2];
    views[3] = has_mask ? qn_view_broadcast(&b->in[3], &batch) : (struct qn_view){0};
    batch.dims[rank - 1] = 1;
    views[4] = has_sinks ? qn_view_broadcast(&b->in[4], &batch) : (struct qn_view){0};
    if (rank > 2 && groups != y.dims[rank - 3] && rank < QN_MAX_RANK) {
        for (uint32_t i = 0; i < 5; i++)
            views[i] = grouped(&views[i], groups);
        y = grouped(&y, groups);
        rank++;
    }
    batch = y;
    struct qn_view *targets[5] = {&p->q, &p->k, &p->v, &p->mask, &p->sinks};
    for (uint32_t i = 0; i < 5; i++) {
        batch.dims[rank - 2] = views[i].dims[rank - 2];
        batch.dims[rank - 1] = views[i].dims[rank - 1];
        *targets[i] = i < 3 || views[i].dtype != QN_DTYPE_NONE ? qn_view_broadcast(&views[i], &batch) : views[i];
    }
    p->y = y;
    p->scale = attr->scale;
    p->cap = attr->cap;
    p->fault = b->fault;
}

void qn_bind_paged_attention(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_attention_params *p = QN_PARAMS(qn_attention_params, params);
    const struct qn_attr_attention *attr = b->attr;
    p->paged = true;
    p->scale = attr->scale;
    p->cap = attr->cap;
    p->window = attr->window;
    p->q = b->in[0];
    p->k = b->in[1];
    p->v = b->in[2];
    p->rows = b->in[3];
    p->seq = b->in[4];
    p->pos = b->in[5];
    p->y = b->out[0];
    if (attr->value_dim)
        p->v.dims[2] = attr->value_dim;
    if (qn_bind_operand(b, 6)) {
        struct qn_view column = p->y;
        column.dims[3] = 1;
        p->sinks = qn_view_broadcast(&b->in[6], &column);
    }
    p->dequantise = qn_quant(p->k.dtype)->dequantise;
    p->shared = b->shared;
    p->fault = b->fault;
}

int64_t qn_paged_shared_bytes(const struct qn_bind *b)
{
    const struct qn_view *q = &b->in[0];
    return qn_attention_shared_bytes(q->dims[0], q->dims[1], q->dims[2], b->out[0].dims[3], b->in[3].dims[1]);
}

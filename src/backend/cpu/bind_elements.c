/* Binding of ops whose elements are made one by one: of their operands' elements, or of nothing. */
#include "backend/cpu/bind.h"
#include "kernels/binary/binary.h"
#include "kernels/chain/chain_program.h"
#include "kernels/iota/iota.h"
#include "kernels/random/random.h"
#include "kernels/unary/unary.h"
#include "kernels/where/where.h"

void qn_bind_unary(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_unary_params *p = QN_PARAMS(qn_unary_params, params);
    *p = (struct qn_unary_params){.op = b->op, .x = b->in[0], .y = b->out[0]};
}

void qn_bind_is_inf(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_is_inf *attr = b->attr;
    struct qn_unary_params *p = QN_PARAMS(qn_unary_params, params);
    *p = (struct qn_unary_params){.op = b->op, .x = b->in[0], .y = b->out[0]};
    p->signs = attr->positive == attr->negative ? 0 : attr->positive ? 1 : 2;
}

void qn_bind_binary(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_binary_params *p = QN_PARAMS(qn_binary_params, params);
    p->op = b->op;
    if (b->op == QN_OP_glu)
        p->kind = (int32_t)((const struct qn_attr_glu *)b->attr)->kind;
    p->a = qn_view_broadcast(&b->in[0], &b->out[0]);
    p->b = qn_view_broadcast(&b->in[1], &b->out[0]);
    p->y = b->out[0];
}

void qn_bind_where(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_where_params *p = QN_PARAMS(qn_where_params, params);
    p->condition = qn_view_broadcast(&b->in[0], &b->out[0]);
    p->a = qn_view_broadcast(&b->in[1], &b->out[0]);
    p->b = qn_view_broadcast(&b->in[2], &b->out[0]);
    p->y = b->out[0];
}

void qn_bind_chain(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_chain *attr = b->attr;
    struct qn_chain_params *p = QN_PARAMS(qn_chain_params, params);
    p->length = (uint32_t)attr->length;
    p->code = attr->code;
    p->input_count = b->in_count;
    p->y = b->out[0];
    for (uint32_t i = 0; i < b->in_count; i++)
        p->in[i] = qn_view_broadcast(&b->in[i], &p->y);
}

void qn_bind_random(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_random *attr = b->attr;
    struct qn_random_params *p = QN_PARAMS(qn_random_params, params);
    p->op = b->op;
    p->seed = (uint64_t)attr->seed;
    p->low = (double)attr->low;
    p->high = (double)attr->high;
    p->y = b->out[0];
}

void qn_bind_iota(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    QN_PARAMS(qn_iota_params, params)->y = b->out[0];
}

void qn_bind_dims(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_dims *attr = b->attr;
    struct qn_iota_params *p = QN_PARAMS(qn_iota_params, params);
    p->y = b->out[0];
    p->y.rank = 1; /* a single number may have rank 0 */
    p->y.dims[0] = attr->dims.count;
    p->y.strides[0] = 1;
    p->listed = true;
    for (uint32_t i = 0; i < attr->dims.count && i < 8; i++)
        p->numbers[i] = attr->dims.items[i];
}

/* The CPU backend: which kernel family computes each op, and how a step's tensors become its parameters. */
#include <assert.h>

#include "backend/backend.h"
#include "backend/cpu/bind_image.h"
#include "backend/cpu/bind_moves.h"
#include "backend/cpu/bind_quant.h"
#include "backend/cpu/bind_recurrent.h"
#include "kernels/attention/attention.h"
#include "kernels/batch_matmul/batch_matmul.h"
#include "kernels/binary/binary.h"
#include "kernels/copy/copy.h"
#include "kernels/gather/gather.h"
#include "kernels/iota/iota.h"
#include "kernels/matmul/matmul.h"
#include "kernels/norm/norm.h"
#include "kernels/reduce/reduce.h"
#include "kernels/rope/rope.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "kernels/softmax/softmax.h"
#include "kernels/topk/topk.h"
#include "kernels/unary/unary.h"
#include "kernels/where/where.h"
#include "quant/quant.h"

static void *zeroed(struct qn_params *params, size_t size)
{
    assert(size <= sizeof params->bytes);
    return memset(params->bytes, 0, size);
}

/* The family's struct inside the parameter buffer, zeroed. */
#define PARAMS(type, params) ((struct type *)zeroed((params), sizeof(struct type)))

/* x seen under y's dims: numpy broadcasting by stride 0, missing leading axes added. */
static struct qn_view broadcast(const struct qn_view *x, const struct qn_view *y)
{
    struct qn_view view = {.data = x->data, .dtype = x->dtype, .rank = y->rank};
    uint32_t lead = y->rank - x->rank;
    for (uint32_t i = 0; i < y->rank; i++) {
        view.dims[i] = y->dims[i];
        view.strides[i] = i < lead || x->dims[i - lead] == 1 ? 0 : x->strides[i - lead];
    }
    return view;
}

static void *advance(const struct qn_view *view, int64_t units)
{
    return view->data ? (char *)view->data + units * qn_dtype_info(view->dtype)->block_bytes : NULL;
}

static uint32_t axis_of(int64_t axis, uint32_t rank)
{
    return (uint32_t)(axis < 0 ? axis + rank : axis);
}

static void bind_unary(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_unary_params *p = PARAMS(qn_unary_params, params);
    *p = (struct qn_unary_params){.op = b->op, .x = b->in[0], .y = b->out[0]};
}

static void bind_binary(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_binary_params *p = PARAMS(qn_binary_params, params);
    p->op = b->op;
    if (b->op == QN_OP_glu)
        p->kind = (int32_t)((const struct qn_attr_glu *)b->attr)->kind;
    p->a = broadcast(&b->in[0], &b->out[0]);
    p->b = broadcast(&b->in[1], &b->out[0]);
    p->y = b->out[0];
}

static void bind_where(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_where_params *p = PARAMS(qn_where_params, params);
    p->condition = broadcast(&b->in[0], &b->out[0]);
    p->a = broadcast(&b->in[1], &b->out[0]);
    p->b = broadcast(&b->in[2], &b->out[0]);
    p->y = b->out[0];
}

static void bind_copy(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_copy_params *p = PARAMS(qn_copy_params, params);
    p->x = broadcast(&b->in[0], &b->out[0]); /* cast: same dims; expand: stride 0 */
    p->y = b->out[0];
    p->dequantise = qn_quant(p->x.dtype)->dequantise;
    p->quantise = qn_quant(p->y.dtype)->quantise;
    if (b->op == QN_OP_cast) {
        const struct qn_attr_cast *attr = b->attr;
        bool narrow =
            qn_dtype_info(p->y.dtype)->class_ == QN_DTYPE_CLASS_FLOAT && qn_dtype_info(p->y.dtype)->block_bytes == 1;
        p->wrap = narrow && attr->wrap;
        p->rounding = narrow ? (uint8_t)attr->rounding : 0;
    }
}

static void bind_transpose(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_transpose *attr = b->attr;
    struct qn_copy_params *p = PARAMS(qn_copy_params, params);
    p->x = p->y = b->out[0];
    p->x.data = b->in[0].data;
    for (uint32_t i = 0; i < p->x.rank; i++)
        p->x.strides[i] = b->in[0].strides[axis_of(attr->perm.items[i], p->x.rank)];
}

/* The output's dims say how much is taken; the executor has resolved start to a number. */
static void bind_slice(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_slice *attr = b->attr;
    struct qn_copy_params *p = PARAMS(qn_copy_params, params);
    uint32_t axis = axis_of(attr->axis, b->in[0].rank);
    p->y = b->out[0];
    p->x = b->in[0];
    for (uint32_t i = 0; i < p->x.rank; i++)
        p->x.dims[i] = p->y.dims[i];
    p->x.data = advance(&b->in[0], attr->start * b->in[0].strides[axis]);
    p->x.strides[axis] *= attr->step ? attr->step : 1;
}

static int64_t concat_calls(const struct qn_bind *b)
{
    return b->in_count;
}

static void bind_concat(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    const struct qn_attr_axis *attr = b->attr;
    struct qn_copy_params *p = PARAMS(qn_copy_params, params);
    uint32_t axis = axis_of(attr->axis, b->out[0].rank);
    int64_t before = 0;
    for (int64_t i = 0; i < call; i++)
        before += b->in[i].dims[axis];
    p->x = b->in[call];
    p->y = b->out[0];
    p->y.dims[axis] = p->x.dims[axis];
    p->y.data = advance(&b->out[0], before * b->out[0].strides[axis]);
}

static void bind_gather(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_gather *attr = b->attr;
    struct qn_gather_params *p = PARAMS(qn_gather_params, params);
    p->data = b->in[0];
    p->indices = b->in[1];
    p->y = b->out[0];
    p->axis = axis_of(attr->axis, b->in[0].rank);
    p->from_end = attr->from_end;
    p->dequantise = qn_quant(b->in[0].dtype)->dequantise;
    p->fault = b->fault;
}

static void bind_scatter_rows(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_scatter_rows_params *p = PARAMS(qn_scatter_rows_params, params);
    p->state = b->in[0];
    p->indices = b->in[1];
    p->rows = b->in[2];
    p->quantise = qn_quant(b->in[0].dtype)->quantise;
    p->fault = b->fault;
}

static void bind_iota(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    PARAMS(qn_iota_params, params)->y = b->out[0];
}

static void bind_dims(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_dims *attr = b->attr;
    struct qn_iota_params *p = PARAMS(qn_iota_params, params);
    p->y = b->out[0];
    p->y.rank = 1; /* a single number may have rank 0 */
    p->y.dims[0] = attr->dims.count;
    p->y.strides[0] = 1;
    p->listed = true;
    for (uint32_t i = 0; i < attr->dims.count && i < 8; i++)
        p->numbers[i] = attr->dims.items[i];
}

static void bind_reduce(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_reduce *attr = b->attr;
    struct qn_reduce_params *p = PARAMS(qn_reduce_params, params);
    p->op = b->op;
    p->x = p->y = b->in[0];
    p->y.data = b->out[0].data;
    p->y.dtype = b->out[0].dtype;
    for (uint32_t i = 0; i < attr->axes.count; i++)
        p->axes |= 1u << axis_of(attr->axes.items[i], p->x.rank);
    if (attr->axes.count == 0)
        p->axes = (1u << p->x.rank) - 1;
    int64_t stride = 1; /* y is contiguous: its strides follow from the dims that are left */
    for (uint32_t i = p->x.rank; i-- > 0;) {
        if (p->axes >> i & 1)
            p->y.dims[i] = 1;
        p->y.strides[i] = stride;
        stride *= p->y.dims[i];
    }
}

static void bind_softmax(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_softmax_params *p = PARAMS(qn_softmax_params, params);
    p->x = b->in[0];
    p->y = b->out[0];
    p->axis = axis_of(((const struct qn_attr_axis *)b->attr)->axis, p->x.rank);
}

static void bind_topk(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_topk_params *p = PARAMS(qn_topk_params, params);
    p->x = b->in[0];
    p->values = b->out[0];
    p->indices = b->out[1];
    p->k = ((const struct qn_attr_topk *)b->attr)->k;
    p->smallest = ((const struct qn_attr_topk *)b->attr)->smallest;
}

static void bind_norm(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_norm_params *p = PARAMS(qn_norm_params, params);
    p->op = b->op;
    p->x = b->in[0];
    p->y = b->out[0];
    p->weight = b->in[1];
    if (b->in_count > 2)
        p->bias = b->in[2];
    p->epsilon = ((const struct qn_attr_norm *)b->attr)->epsilon;
}

static void bind_rope(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_rope_params *p = PARAMS(qn_rope_params, params);
    p->x = b->in[0];
    p->cos = b->in[1];
    p->sin = b->in[2];
    p->y = b->out[0];
    p->interleaved = ((const struct qn_attr_rope *)b->attr)->interleaved;
}

/* Rows of a tensor seen as a matrix: everything but its last axis. */
static int64_t matrix_rows(const struct qn_view *view)
{
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < view->rank; i++)
        rows *= view->dims[i];
    return rows;
}

/* in[0] is x in the kernel's activation form: f32 [..., k], or bytes [rows, row bytes]. */
static void bind_matmul(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_matmul_params *p = PARAMS(qn_matmul_params, params);
    const struct qn_view *w = &b->in[1], *y = &b->out[0];
    p->n = w->dims[0];
    p->k = w->dims[1];
    p->m = matrix_rows(y);
    p->x = b->in[0].data;
    p->x_stride = b->kernel->act == QN_ACT_F32 ? p->k * (int64_t)sizeof(float) : qn_act_row_bytes(b->kernel->act, p->k);
    p->w = w->data;
    p->w_dtype = w->dtype;
    p->w_stride = w->strides[0] * qn_dtype_info(w->dtype)->block_bytes;
    p->c = y->data;
    p->c_stride = p->n;
    p->bias = b->in_count > 2 ? b->in[2].data : NULL;
    p->residual = b->in_count > 3 ? b->in[3].data : NULL;
}

static bool is_weight_matmul(const struct qn_graph *g, qn_node node)
{
    const struct qn_node_info *info = qn_graph_node(g, node);
    const struct qn_type *x = &qn_graph_value(g, qn_graph_input_of(g, node, 0))->type;
    const struct qn_type *w = &qn_graph_value(g, qn_graph_input_of(g, node, 1))->type;
    const void *attr = qn_graph_attr(g, node);
    bool transposed = info->op == QN_OP_linear ? !((const struct qn_attr_linear *)attr)->plain_b
                                               : ((const struct qn_attr_matmul *)attr)->trans_b;
    return transposed && w->rank == 2 && x->rank >= 1 && x->dtype == QN_DTYPE_F32;
}

static void bind_batch_matmul(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_batch_matmul_params *p = PARAMS(qn_batch_matmul_params, params);
    bool transposed = ((const struct qn_attr_matmul *)b->attr)->trans_b;
    const struct qn_view *y = &b->out[0];
    uint32_t rank = y->rank;
    p->y = *y;
    struct qn_view batch = *y; /* leading axes to broadcast to, matrices of any size */
    batch.dims[rank - 2] = b->in[0].dims[b->in[0].rank - 2];
    batch.dims[rank - 1] = b->in[0].dims[b->in[0].rank - 1];
    p->a = broadcast(&b->in[0], &batch);
    const struct qn_view *w = &b->in[1];
    batch.dims[rank - 2] = w->dims[w->rank - 2];
    batch.dims[rank - 1] = w->dims[w->rank - 1];
    p->b = broadcast(w, &batch);
    if (transposed) {
        int64_t dim = p->b.dims[rank - 1], stride = p->b.strides[rank - 1];
        p->b.dims[rank - 1] = p->b.dims[rank - 2];
        p->b.strides[rank - 1] = p->b.strides[rank - 2];
        p->b.dims[rank - 2] = dim;
        p->b.strides[rank - 2] = stride;
    }
}

static bool is_plain_matmul(const struct qn_graph *g, qn_node node)
{
    const struct qn_type *a = &qn_graph_value(g, qn_graph_input_of(g, node, 0))->type;
    const struct qn_type *w = &qn_graph_value(g, qn_graph_input_of(g, node, 1))->type;
    return a->rank >= 2 && w->rank >= 2 && !qn_dtype_is_block(a->dtype) && !qn_dtype_is_block(w->dtype);
}

/* The rows of an expert_matmul by expert, so that each expert's matrix is read once for all its rows. A call is an
 * expert that was chosen. In memory that the calls share. */
struct expert_order {
    int32_t *x_rows, *c_rows; /* [rows]: of x and of the result, expert after expert */
    int32_t *first;           /* [experts + 1]: where a call's rows begin */
    int32_t *expert;          /* [experts]: of a call, -1 behind the last */
    int32_t *next;            /* [experts] */
};

static int64_t expert_rows(const struct qn_bind *b)
{
    return b->out[0].dims[0] * b->out[0].dims[1];
}

static int64_t expert_shared_bytes(const struct qn_bind *b)
{
    return (2 * expert_rows(b) + 3 * b->in[1].dims[0] + 1) * (int64_t)sizeof(int32_t);
}

static int64_t expert_calls(const struct qn_bind *b)
{
    return b->in[1].dims[0] < expert_rows(b) ? b->in[1].dims[0] : expert_rows(b);
}

static struct expert_order expert_places(const struct qn_bind *b)
{
    int64_t rows = expert_rows(b), experts = b->in[1].dims[0];
    int32_t *at = b->shared;
    return (struct expert_order){at, at + rows, at + 2 * rows, at + 2 * rows + experts + 1,
                                 at + 2 * rows + 2 * experts + 1};
}

/* Rows keep their order within an expert. x has a row for each of the result, or one for all experts of a token. */
static void order_by_expert(const struct qn_bind *b, const struct expert_order *o, bool shared_x)
{
    const int32_t *ids = b->in[2].data;
    int64_t rows = expert_rows(b), experts = b->in[1].dims[0];
    int32_t at = 0, calls = 0, per_token = (int32_t)b->out[0].dims[1];
    for (int64_t e = 0; e < experts; e++)
        o->next[e] = 0;
    for (int64_t i = 0; i < rows; i++) {
        bool known = ids[i] >= 0 && ids[i] < experts;
        if (!known)
            *b->fault = QN_FAULT_INDEX;
        o->next[known ? ids[i] : 0]++;
    }
    for (int32_t e = 0; e < experts; e++) {
        int32_t count = o->next[e];
        o->next[e] = o->first[calls] = at;
        o->expert[calls] = e;
        at += count;
        calls += count != 0;
    }
    o->first[calls] = at;
    for (int64_t c = calls; c < experts; c++)
        o->expert[c] = -1;
    for (int32_t i = 0; i < rows; i++) {
        int32_t to = o->next[ids[i] >= 0 && ids[i] < experts ? ids[i] : 0]++;
        o->c_rows[to] = i;
        o->x_rows[to] = shared_x ? i / per_token : i;
    }
}

static void bind_expert_matmul(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    static const int32_t any = 0; /* while a plan is made, without memory */
    struct qn_matmul_params *p = PARAMS(qn_matmul_params, params);
    const struct qn_view *w = &b->in[1], *y = &b->out[0];
    p->n = w->dims[1];
    p->k = w->dims[2];
    p->m = expert_rows(b);
    p->x_rows = p->c_rows = &any;
    p->x_stride = b->kernel->act == QN_ACT_F32 ? p->k * (int64_t)sizeof(float) : qn_act_row_bytes(b->kernel->act, p->k);
    p->x = b->in[0].data;
    p->w = w->data;
    p->w_dtype = w->dtype;
    p->w_stride = w->strides[1] * qn_dtype_info(w->dtype)->block_bytes;
    p->c = y->data;
    p->c_stride = p->n;
    if (!b->shared || !b->in[2].data)
        return;
    struct expert_order o = expert_places(b);
    int64_t x_rows = b->kernel->act == QN_ACT_F32 ? matrix_rows(&b->in[0]) : b->in[0].dims[0];
    if (call == 0)
        order_by_expert(b, &o, x_rows == y->dims[0]);
    p->x_rows = o.x_rows + o.first[call];
    p->c_rows = o.c_rows + o.first[call];
    p->m = o.expert[call] < 0 ? 0 : o.first[call + 1] - o.first[call];
    if (p->m == 0)
        p->n = 0; /* fewer experts were chosen than there might have been */
    else
        p->w = advance(w, o.expert[call] * w->strides[0]);
}

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

static void bind_attention(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_attention_params *p = PARAMS(qn_attention_params, params);
    const struct qn_attr_attention *attr = b->attr;
    struct qn_view views[5] = {straight(&b->in[0], attr->turned & 1), straight(&b->in[1], attr->turned & 2),
                               straight(&b->in[2], attr->turned & 4)};
    struct qn_view y = straight(&b->out[0], attr->turned & 8), batch = y;
    bool has_mask = b->in_count > 3 && b->in[3].dtype != QN_DTYPE_NONE;
    bool has_sinks = b->in_count > 4 && b->in[4].dtype != QN_DTYPE_NONE;
    uint32_t rank = y.rank;
    int64_t groups = rank > 2 ? views[1].dims[rank - 3] : 0;
    batch.dims[rank - 2] = views[0].dims[rank - 2];
    batch.dims[rank - 1] = views[1].dims[rank - 2];
    views[3] = has_mask ? broadcast(&b->in[3], &batch) : (struct qn_view){0};
    batch.dims[rank - 1] = 1;
    views[4] = has_sinks ? broadcast(&b->in[4], &batch) : (struct qn_view){0};
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
        *targets[i] = i < 3 || views[i].dtype != QN_DTYPE_NONE ? broadcast(&views[i], &batch) : views[i];
    }
    p->y = y;
    p->scale = attr->scale;
    p->cap = attr->cap;
    p->fault = b->fault;
}

static void bind_paged_attention(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_attention_params *p = PARAMS(qn_attention_params, params);
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
    if (b->in_count > 6 && b->in[6].dtype != QN_DTYPE_NONE) {
        struct qn_view column = p->y;
        column.dims[3] = 1;
        p->sinks = broadcast(&b->in[6], &column);
    }
    p->dequantise = qn_quant(p->k.dtype)->dequantise;
    p->shared = b->shared;
    p->fault = b->fault;
}

static int64_t paged_shared_bytes(const struct qn_bind *b)
{
    const struct qn_view *q = &b->in[0];
    return qn_attention_shared_bytes(q->dims[0], q->dims[1], q->dims[2], b->out[0].dims[3], b->in[3].dims[1]);
}

enum { ANY = 255 };
#define UNARY(op)                                                    \
    {                                                                \
        QN_OP_##op, QN_FAMILY_UNARY, 0, NULL, NULL, bind_unary, NULL \
    }
#define BINARY(op)                                                     \
    {                                                                  \
        QN_OP_##op, QN_FAMILY_BINARY, 0, NULL, NULL, bind_binary, NULL \
    }

#define HOST(name)                                                       \
    {                                                                    \
        .op = QN_OP_##name, .dtype_operand = ANY, .host = qn_host_##name \
    }

static const struct qn_backend_row rows[] = {
    UNARY(neg),
    UNARY(abs),
    UNARY(exp),
    UNARY(log),
    UNARY(sqrt),
    UNARY(rsqrt),
    UNARY(sin),
    UNARY(cos),
    UNARY(tanh),
    UNARY(sigmoid),
    UNARY(erf),
    UNARY(relu),
    UNARY(floor),
    UNARY(ceil),
    UNARY(round),
    UNARY(sign),
    UNARY(tan),
    UNARY(asin),
    UNARY(acos),
    UNARY(atan),
    UNARY(sinh),
    UNARY(cosh),
    UNARY(asinh),
    UNARY(acosh),
    UNARY(atanh),
    UNARY(log1p),
    UNARY(expm1),
    UNARY(reciprocal),
    UNARY(bit_not),
    UNARY(is_nan),
    {QN_OP_is_inf, QN_FAMILY_UNARY, 0, NULL, NULL, qn_bind_is_inf, NULL},
    UNARY(not ),
    UNARY(silu),
    UNARY(gelu_tanh),
    UNARY(gelu_erf),
    BINARY(add),
    BINARY(sub),
    BINARY(mul),
    BINARY(div),
    BINARY(pow),
    BINARY(max),
    BINARY(min),
    BINARY(mod),
    BINARY(rem),
    BINARY(bit_and),
    BINARY(bit_or),
    BINARY(bit_xor),
    BINARY(shift_left),
    BINARY(shift_right),
    BINARY(equal),
    BINARY(less),
    BINARY(less_equal),
    BINARY(and),
    BINARY(or),
    BINARY(xor),
    BINARY(glu),
    {QN_OP_where, QN_FAMILY_WHERE, 1, NULL, NULL, bind_where, NULL},
    {QN_OP_cast, QN_FAMILY_COPY, 0, NULL, NULL, bind_copy, NULL},
    {QN_OP_transpose, QN_FAMILY_COPY, 0, NULL, NULL, bind_transpose, NULL},
    {QN_OP_slice, QN_FAMILY_COPY, 0, NULL, NULL, bind_slice, NULL},
    {QN_OP_concat, QN_FAMILY_COPY, 0, NULL, concat_calls, bind_concat, NULL},
    {QN_OP_expand, QN_FAMILY_COPY, 0, NULL, NULL, bind_copy, NULL},
    {QN_OP_gather, QN_FAMILY_GATHER, 0, NULL, NULL, bind_gather, NULL},
    {QN_OP_scatter_rows, QN_FAMILY_SCATTER_ROWS, 0, NULL, NULL, bind_scatter_rows, NULL},
    {QN_OP_iota, QN_FAMILY_IOTA, ANY, NULL, NULL, bind_iota, NULL},
    {QN_OP_dims, QN_FAMILY_IOTA, ANY, NULL, NULL, bind_dims, NULL},
    {QN_OP_pad, QN_FAMILY_MOVE, 0, NULL, NULL, qn_bind_pad, NULL},
    {QN_OP_reverse, QN_FAMILY_COPY, 0, NULL, NULL, qn_bind_reverse, NULL},
    {QN_OP_gather_elements, QN_FAMILY_MOVE, 0, NULL, NULL, qn_bind_gather_elements, NULL},
    {QN_OP_gather_nd, QN_FAMILY_MOVE, 0, NULL, NULL, qn_bind_gather_nd, NULL},
    {QN_OP_scatter_elements, QN_FAMILY_MOVE, 0, NULL, qn_scatter_calls, qn_bind_scatter, NULL},
    {QN_OP_scatter_nd, QN_FAMILY_MOVE, 0, NULL, qn_scatter_calls, qn_bind_scatter, NULL},
    {QN_OP_cumsum, QN_FAMILY_SCAN, 0, NULL, NULL, qn_bind_cumulate, NULL},
    {QN_OP_cumprod, QN_FAMILY_SCAN, 0, NULL, NULL, qn_bind_cumulate, NULL},
    {QN_OP_argmax, QN_FAMILY_ARG, 0, NULL, NULL, qn_bind_arg, NULL},
    {QN_OP_argmin, QN_FAMILY_ARG, 0, NULL, NULL, qn_bind_arg, NULL},
    {QN_OP_random_uniform, QN_FAMILY_RANDOM, ANY, NULL, NULL, qn_bind_random, NULL},
    {QN_OP_random_normal, QN_FAMILY_RANDOM, ANY, NULL, NULL, qn_bind_random, NULL},
    {QN_OP_chain, QN_FAMILY_CHAIN, 0, NULL, NULL, qn_bind_chain, NULL},
    {QN_OP_matmul, QN_FAMILY_GEMM, 1, qn_takes_gemm, NULL, qn_bind_gemm, NULL, 1, qn_gemm_bind_packed_bytes,
     qn_bind_gemm_pack},
    {QN_OP_linear, QN_FAMILY_GEMM, 1, qn_takes_gemm, NULL, qn_bind_gemm, NULL, 1, qn_gemm_bind_packed_bytes,
     qn_bind_gemm_pack},
    {QN_OP_matmul_integer, QN_FAMILY_INTEGER_GEMM, 1, NULL, qn_matmul_integer_calls, qn_bind_matmul_integer, NULL, 1,
     qn_matmul_integer_packed_bytes, qn_bind_matmul_integer_pack},
    {QN_OP_q_linear, QN_FAMILY_INTEGER_GEMM, 3, NULL, NULL, qn_bind_q_linear, NULL, 3, qn_q_linear_packed_bytes,
     qn_bind_q_linear_pack},
    {QN_OP_conv_integer, QN_FAMILY_INTEGER_CONV, 1, NULL, NULL, qn_bind_conv_integer, NULL, 1,
     qn_conv_integer_packed_bytes, qn_bind_conv_integer_pack},
    {QN_OP_q_conv, QN_FAMILY_INTEGER_CONV, 3, NULL, NULL, qn_bind_q_conv, NULL, 3, qn_q_conv_packed_bytes,
     qn_bind_q_conv_pack},
    {QN_OP_quantize, QN_FAMILY_QUANTIZE, 0, NULL, NULL, qn_bind_quantize, NULL},
    {QN_OP_dequantize, QN_FAMILY_QUANTIZE, 0, NULL, NULL, qn_bind_quantize, NULL},
    {QN_OP_dynamic_quantize, QN_FAMILY_QUANTIZE, 0, NULL, qn_dynamic_quantize_calls, qn_bind_dynamic_quantize,
     qn_dynamic_quantize_shared},
    {QN_OP_q_add, QN_FAMILY_Q_ADD, 0, NULL, NULL, qn_bind_q_add, NULL},
    {QN_OP_matmul, QN_FAMILY_MATMUL, 1, is_weight_matmul, NULL, bind_matmul, NULL},
    {QN_OP_matmul, QN_FAMILY_BATCH_MATMUL, 1, is_plain_matmul, NULL, bind_batch_matmul, NULL},
    {QN_OP_linear, QN_FAMILY_MATMUL, 1, is_weight_matmul, NULL, bind_matmul, NULL},
    {QN_OP_expert_matmul, QN_FAMILY_MATMUL, 1, NULL, expert_calls, bind_expert_matmul, expert_shared_bytes},
    {QN_OP_reduce_sum, QN_FAMILY_REDUCE, 0, NULL, NULL, bind_reduce, NULL},
    {QN_OP_reduce_mean, QN_FAMILY_REDUCE, 0, NULL, NULL, bind_reduce, NULL},
    {QN_OP_reduce_max, QN_FAMILY_REDUCE, 0, NULL, NULL, bind_reduce, NULL},
    {QN_OP_reduce_min, QN_FAMILY_REDUCE, 0, NULL, NULL, bind_reduce, NULL},
    {QN_OP_reduce_prod, QN_FAMILY_REDUCE, 0, NULL, NULL, bind_reduce, NULL},
    {QN_OP_softmax, QN_FAMILY_SOFTMAX, 0, NULL, NULL, bind_softmax, NULL},
    {QN_OP_topk, QN_FAMILY_TOPK, 0, NULL, NULL, bind_topk, NULL},
    {QN_OP_rms_norm, QN_FAMILY_NORM, 0, NULL, NULL, bind_norm, NULL},
    {QN_OP_layer_norm, QN_FAMILY_NORM, 0, NULL, NULL, bind_norm, NULL},
    {QN_OP_rope, QN_FAMILY_ROPE, 0, NULL, NULL, bind_rope, NULL},
    {QN_OP_attention, QN_FAMILY_ATTENTION, 1, NULL, NULL, bind_attention, NULL},
    {QN_OP_paged_attention, QN_FAMILY_ATTENTION, 1, NULL, NULL, bind_paged_attention, paged_shared_bytes},
    {QN_OP_conv, QN_FAMILY_CONV, 0, NULL, NULL, qn_bind_conv, NULL, 1, qn_conv_bind_packed_bytes, qn_bind_conv_pack},
    {QN_OP_conv_transpose, QN_FAMILY_CONV, 0, NULL, NULL, qn_bind_conv_transpose, NULL, 1, qn_conv_bind_packed_bytes,
     qn_bind_conv_pack},
    {QN_OP_deform_conv, QN_FAMILY_CONV, 0, NULL, NULL, qn_bind_deform_conv, NULL},
    {QN_OP_col2im, QN_FAMILY_CONV, 0, NULL, NULL, qn_bind_col2im, NULL},
    {QN_OP_max_pool, QN_FAMILY_POOL, 0, NULL, NULL, qn_bind_pool, NULL},
    {QN_OP_max_pool_indices, QN_FAMILY_POOL, 0, NULL, NULL, qn_bind_pool, NULL},
    {QN_OP_avg_pool, QN_FAMILY_POOL, 0, NULL, NULL, qn_bind_pool, NULL},
    {QN_OP_lp_pool, QN_FAMILY_POOL, 0, NULL, NULL, qn_bind_pool, NULL},
    {QN_OP_resize, QN_FAMILY_IMAGE, 0, NULL, NULL, qn_bind_resize, NULL},
    {QN_OP_grid_sample, QN_FAMILY_IMAGE, 0, NULL, NULL, qn_bind_grid_sample, NULL},
    {QN_OP_roi_align, QN_FAMILY_IMAGE, 0, NULL, NULL, qn_bind_roi_align, NULL},
    {QN_OP_group_norm, QN_FAMILY_GROUP_NORM, 0, NULL, NULL, qn_bind_group_norm, NULL},
    {QN_OP_causal_conv, QN_FAMILY_STATE_SPACE, 0, NULL, NULL, qn_bind_state_space, NULL},
    {QN_OP_selective_scan, QN_FAMILY_STATE_SPACE, 0, NULL, NULL, qn_bind_state_space, NULL},
    {QN_OP_lstm, QN_FAMILY_RECURRENT, 0, NULL, NULL, qn_bind_recurrent, NULL},
    {QN_OP_gru, QN_FAMILY_RECURRENT, 0, NULL, NULL, qn_bind_recurrent, NULL},
    {QN_OP_rnn, QN_FAMILY_RECURRENT, 0, NULL, NULL, qn_bind_recurrent, NULL},
    {QN_OP_fft, QN_FAMILY_SIGNAL, 0, NULL, NULL, qn_bind_fft, NULL},
    {QN_OP_det, QN_FAMILY_SIGNAL, 0, NULL, NULL, qn_bind_det, NULL},
    {QN_OP_tree_ensemble, QN_FAMILY_TREES, 0, NULL, NULL, qn_bind_trees, NULL},
    HOST(custom),
    HOST(nonzero),
    HOST(nms),
    HOST(unique),
    HOST(compress),
    HOST(seq_construct),
    HOST(seq_insert),
    HOST(seq_erase),
    HOST(seq_at),
    HOST(seq_length),
    HOST(seq_split),
    HOST(seq_concat),
    HOST(optional),
    HOST(optional_has),
    HOST(optional_get),
    HOST(object_tensor),
    HOST(map),
    HOST(map_sequence),
    HOST(map_lookup),
    HOST(map_values),
    HOST(string_concat),
    HOST(string_split),
    HOST(string_normalize),
    HOST(regex_match),
    HOST(to_string),
    HOST(from_string),
    HOST(label_encode),
    HOST(tfidf),
    HOST(image_decode),
};

const struct qn_backend qn_backend_cpu = {"cpu", rows, sizeof rows / sizeof rows[0]};

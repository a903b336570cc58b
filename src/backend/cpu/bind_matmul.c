/* Binding of products of matrices of floats: weights as they lie, packed weights, batches, experts. */
#include "backend/cpu/bind.h"
#include "kernels/batch_matmul/batch_matmul.h"
#include "kernels/fault.h"
#include "kernels/gemm/gemm.h"
#include "kernels/matmul/matmul.h"

/* Rows of a tensor seen as a matrix: everything but its last axis. */
static int64_t rows_of(const struct qn_view *view)
{
    return view->rank ? qn_dims_product(view->dims, view->rank - 1) : 1;
}

/* Whether the second operand of a linear or matmul is [n, k]. */
static bool is_transposed(uint32_t op, const void *attr)
{
    return op == QN_OP_linear ? !((const struct qn_attr_linear *)attr)->plain_b
                              : ((const struct qn_attr_matmul *)attr)->trans_b;
}

/* ---- rows by weights as they lie ------------------------------------------------------------------------------ */

bool qn_takes_matmul(const struct qn_graph *g, qn_node node)
{
    const struct qn_type *x = qn_graph_type(g, qn_graph_input_of(g, node, 0));
    const struct qn_type *w = qn_graph_type(g, qn_graph_input_of(g, node, 1));
    return is_transposed(qn_graph_node(g, node)->op, qn_graph_attr(g, node)) && w->rank == 2 && x->rank >= 1 &&
           x->dtype == QN_DTYPE_F32;
}

/* in[0] is x in the kernel's activation form: f32 [..., k], or bytes [rows, row bytes]. */
void qn_bind_matmul(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_matmul_params *p = QN_PARAMS(qn_matmul_params, params);
    const struct qn_view *w = &b->in[1], *y = &b->out[0];
    p->n = w->dims[0];
    p->k = w->dims[1];
    p->m = rows_of(y);
    p->x = b->in[0].data;
    p->x_stride = b->kernel->act == QN_ACT_F32 ? p->k * (int64_t)sizeof(float) : qn_act_row_bytes(b->kernel->act, p->k);
    p->w = w->data;
    p->w_dtype = w->dtype;
    p->w_stride = w->strides[0] * qn_dtype_info(w->dtype)->block_bytes;
    p->c = y->data;
    p->c_stride = p->n;
    p->bias = qn_bind_data(b, 2);
    p->residual = qn_bind_data(b, 3);
}

/* ---- packed weights ------------------------------------------------------------------------------------------- */

/* One row by weights that lie as [n, k] reads them as they lie: to pack them would take longer than the product. */
static bool reads_once(const struct qn_graph *g, qn_node node)
{
    const struct qn_node_info *info = qn_graph_node(g, node);
    const void *attr = qn_graph_attr(g, node);
    const struct qn_type *x = qn_graph_type(g, qn_graph_input_of(g, node, 0));
    const struct qn_value_info *w = qn_graph_value(g, qn_graph_input_of(g, node, 1));
    bool plain = info->op != QN_OP_linear || ((const struct qn_attr_linear *)attr)->activation == QN_ACTIVATION_NONE;
    bool one = is_transposed(info->op, attr) && plain && w->kind == QN_VALUE_CONSTANT && w->type.dtype == QN_DTYPE_F32;
    for (uint32_t i = 0; i + 1 < x->rank; i++)
        one &= x->dims[i] == 1;
    return one;
}

bool qn_takes_gemm(const struct qn_graph *g, qn_node node)
{
    const struct qn_node_info *info = qn_graph_node(g, node);
    const struct qn_type *x = qn_graph_type(g, qn_graph_input_of(g, node, 0));
    const struct qn_value_info *w = qn_graph_value(g, qn_graph_input_of(g, node, 1));
    const void *attr = qn_graph_attr(g, node);
    bool plain = !is_transposed(info->op, attr);
    bool packs = info->op == QN_OP_linear ? ((const struct qn_attr_linear *)attr)->packs
                                          : ((const struct qn_attr_matmul *)attr)->packs;
    qn_dtype dtype = w->type.dtype;
    if (info->op == QN_OP_matmul && w->kind != QN_VALUE_CONSTANT)
        return false;
    return (plain || packs) && !reads_once(g, node) && x->dtype == QN_DTYPE_F32 && x->rank >= 1 && w->type.rank == 2 &&
           !w->type.encoding && (dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F16 || dtype == QN_DTYPE_BF16);
}

void qn_bind_gemm(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_gemm_params *p = QN_PARAMS(qn_gemm_params, params);
    const struct qn_view *x = &b->in[0], *w = &b->in[1], *y = &b->out[0];
    bool transposed = is_transposed(b->op, b->attr);
    int64_t bytes = qn_dtype_info(w->dtype)->block_bytes;
    p->m = rows_of(y);
    p->n = y->dims[y->rank - 1];
    p->k = x->dims[x->rank - 1];
    p->a = x->data;
    p->a_stride = p->k;
    p->b = w->data;
    p->b_dtype = w->dtype;
    p->b_k = transposed ? bytes : p->n * bytes;
    p->b_n = transposed ? p->k * bytes : bytes;
    p->y = y->data;
    p->y_stride = p->n;
    p->bias = qn_bind_data(b, 2);
    p->residual = qn_bind_data(b, 3);
    if (b->op == QN_OP_linear) {
        const struct qn_attr_linear *attr = b->attr;
        p->activation = (int32_t)attr->activation;
        p->alpha = attr->alpha;
        p->beta = attr->beta;
    }
}

int64_t qn_bind_gemm_bytes(const struct qn_bind *b)
{
    const struct qn_view *w = &b->in[1];
    bool transposed = is_transposed(b->op, b->attr);
    return qn_gemm_packed_bytes(w->dims[transposed ? 1 : 0], w->dims[transposed ? 0 : 1],
                                qn_dtype_info(w->dtype)->block_bytes);
}

void qn_bind_gemm_pack(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_gemm_pack_params *p = QN_PARAMS(qn_gemm_pack_params, params);
    const struct qn_view *w = &b->in[1];
    bool transposed = is_transposed(b->op, b->attr);
    p->b = w->data;
    p->element_bytes = qn_dtype_info(w->dtype)->block_bytes;
    p->k = w->dims[transposed ? 1 : 0];
    p->n = w->dims[transposed ? 0 : 1];
    p->b_k = (transposed ? 1 : p->n) * p->element_bytes;
    p->b_n = (transposed ? p->k : 1) * p->element_bytes;
    p->out = b->out[0].data;
}

/* ---- batches -------------------------------------------------------------------------------------------------- */

bool qn_takes_batch_matmul(const struct qn_graph *g, qn_node node)
{
    const struct qn_type *a = qn_graph_type(g, qn_graph_input_of(g, node, 0));
    const struct qn_type *w = qn_graph_type(g, qn_graph_input_of(g, node, 1));
    return a->rank >= 2 && w->rank >= 2 && !qn_dtype_is_block(a->dtype) && !qn_dtype_is_block(w->dtype);
}

void qn_bind_batch_matmul(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_batch_matmul_params *p = QN_PARAMS(qn_batch_matmul_params, params);
    bool transposed = ((const struct qn_attr_matmul *)b->attr)->trans_b;
    const struct qn_view *y = &b->out[0];
    uint32_t rank = y->rank;
    p->y = *y;
    struct qn_view batch = *y; /* leading axes to broadcast to, matrices of any size */
    batch.dims[rank - 2] = b->in[0].dims[b->in[0].rank - 2];
    batch.dims[rank - 1] = b->in[0].dims[b->in[0].rank - 1];
    p->a = qn_view_broadcast(&b->in[0], &batch);
    const struct qn_view *w = &b->in[1];
    batch.dims[rank - 2] = w->dims[w->rank - 2];
    batch.dims[rank - 1] = w->dims[w->rank - 1];
    p->b = qn_view_broadcast(w, &batch);
    if (transposed) {
        int64_t dim = p->b.dims[rank - 1], stride = p->b.strides[rank - 1];
        p->b.dims[rank - 1] = p->b.dims[rank - 2];
        p->b.strides[rank - 1] = p->b.strides[rank - 2];
        p->b.dims[rank - 2] = dim;
        p->b.strides[rank - 2] = stride;
    }
}

/* ---- experts -------------------------------------------------------------------------------------------------- */

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

int64_t qn_expert_shared_bytes(const struct qn_bind *b)
{
    return (2 * expert_rows(b) + 3 * b->in[1].dims[0] + 1) * (int64_t)sizeof(int32_t);
}

int64_t qn_expert_calls(const struct qn_bind *b)
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

void qn_bind_expert_matmul(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    static const int32_t any = 0; /* while a plan is made, without memory */
    struct qn_matmul_params *p = QN_PARAMS(qn_matmul_params, params);
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
    int64_t x_rows = b->kernel->act == QN_ACT_F32 ? rows_of(&b->in[0]) : b->in[0].dims[0];
    if (call == 0)
        order_by_expert(b, &o, x_rows == y->dims[0]);
    p->x_rows = o.x_rows + o.first[call];
    p->c_rows = o.c_rows + o.first[call];
    p->m = o.expert[call] < 0 ? 0 : o.first[call + 1] - o.first[call];
    if (p->m == 0)
        p->n = 0; /* fewer experts were chosen than there might have been */
    else
        p->w = qn_view_advance(w, o.expert[call] * w->strides[0]);
}

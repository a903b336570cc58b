/* Binding of ops that move elements: copies and casts, by index, padding. */
#include "backend/cpu/bind.h"
#include "kernels/copy/copy.h"
#include "kernels/element.h"
#include "kernels/gather/gather.h"
#include "kernels/move/move.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "quant/quant.h"

/* ---- copies --------------------------------------------------------------------------------------------------- */

void qn_bind_copy(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_copy_params *p = QN_PARAMS(qn_copy_params, params);
    p->x = qn_view_broadcast(&b->in[0], &b->out[0]); /* cast: same dims; expand: stride 0 */
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

void qn_bind_transpose(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_transpose *attr = b->attr;
    struct qn_copy_params *p = QN_PARAMS(qn_copy_params, params);
    p->x = p->y = b->out[0];
    p->x.data = b->in[0].data;
    for (uint32_t i = 0; i < p->x.rank; i++)
        p->x.strides[i] = b->in[0].strides[qn_bind_axis(attr->perm.items[i], p->x.rank)];
}

/* The output's dims say how much is taken; the executor has resolved start to a number. */
void qn_bind_slice(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_slice *attr = b->attr;
    struct qn_copy_params *p = QN_PARAMS(qn_copy_params, params);
    uint32_t axis = qn_bind_axis(attr->axis, b->in[0].rank);
    p->y = b->out[0];
    p->x = b->in[0];
    for (uint32_t i = 0; i < p->x.rank; i++)
        p->x.dims[i] = p->y.dims[i];
    p->x.data = qn_view_advance(&b->in[0], attr->start * b->in[0].strides[axis]);
    if (p->y.dims[axis] > 1) /* a step may be larger than any axis when one element is taken */
        p->x.strides[axis] *= attr->step ? attr->step : 1;
}

/* A copy that starts at the far end of the axes and walks back. */
void qn_bind_reverse(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_axes *attr = b->attr;
    struct qn_copy_params *p = QN_PARAMS(qn_copy_params, params);
    p->x = b->in[0];
    p->y = b->out[0];
    for (uint32_t i = 0; i < attr->axes.count; i++) {
        uint32_t axis = qn_bind_axis(attr->axes.items[i], p->x.rank);
        int64_t along = p->x.dims[axis] > 0 ? p->x.dims[axis] - 1 : 0;
        if (p->x.data)
            p->x.data = (char *)p->x.data + along * p->x.strides[axis] * qn_element_bytes(p->x.dtype);
        p->x.strides[axis] = -p->x.strides[axis];
    }
}

int64_t qn_concat_calls(const struct qn_bind *b)
{
    return b->in_count;
}

void qn_bind_concat(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    const struct qn_attr_axis *attr = b->attr;
    struct qn_copy_params *p = QN_PARAMS(qn_copy_params, params);
    uint32_t axis = qn_bind_axis(attr->axis, b->out[0].rank);
    int64_t before = 0;
    for (int64_t i = 0; i < call; i++)
        before += b->in[i].dims[axis];
    p->x = b->in[call];
    p->y = b->out[0];
    p->y.dims[axis] = p->x.dims[axis];
    p->y.data = qn_view_advance(&b->out[0], before * b->out[0].strides[axis]);
}

/* ---- by index ------------------------------------------------------------------------------------------------- */

void qn_bind_gather(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_gather *attr = b->attr;
    struct qn_gather_params *p = QN_PARAMS(qn_gather_params, params);
    p->data = b->in[0];
    p->indices = b->in[1];
    p->y = b->out[0];
    p->axis = qn_bind_axis(attr->axis, b->in[0].rank);
    p->from_end = attr->from_end;
    p->dequantise = qn_quant(b->in[0].dtype)->dequantise;
    p->fault = b->fault;
}

void qn_bind_scatter_rows(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_scatter_rows_params *p = QN_PARAMS(qn_scatter_rows_params, params);
    p->state = b->in[0];
    p->indices = b->in[1];
    p->rows = b->in[2];
    p->quantise = qn_quant(b->in[0].dtype)->quantise;
    p->fault = b->fault;
}

static struct qn_move_params *bind_indices(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_move_params *p = QN_PARAMS(qn_move_params, params);
    p->op = b->op;
    p->x = b->in[0];
    p->indices = b->in[1];
    p->y = b->out[0];
    p->fault = b->fault;
    return p;
}

void qn_bind_gather_elements(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    bind_indices(b, params)->axis = qn_bind_axis(((const struct qn_attr_axis *)b->attr)->axis, b->in[0].rank);
}

void qn_bind_gather_nd(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    bind_indices(b, params)->batch = (uint32_t)((const struct qn_attr_gather_nd *)b->attr)->batch_dims;
}

/* ---- padding and scattering ------------------------------------------------------------------------------------ */

/* Axes that nothing is added to become one with the axis before them, up to rows of PAD_ROW elements: a row is what
 * the kernel moves at once. */
enum { PAD_ROW = 1 << 16 };

static void merge_pad_axes(struct qn_move_params *p)
{
    for (uint32_t i = p->x.rank; i-- > 1;) {
        struct qn_view *x = &p->x, *y = &p->y;
        bool plain = p->begin[i] == 0 && x->dims[i] == y->dims[i] && x->dims[i] > 0 && y->dims[i] <= PAD_ROW;
        bool joined =
            x->strides[i - 1] == x->dims[i] * x->strides[i] && y->strides[i - 1] == y->dims[i] * y->strides[i];
        if (!plain || !joined || y->dims[i - 1] > PAD_ROW / y->dims[i])
            return;
        p->begin[i - 1] *= x->dims[i];
        x->strides[i - 1] = x->strides[i];
        y->strides[i - 1] = y->strides[i];
        x->dims[i - 1] *= x->dims[i];
        y->dims[i - 1] *= y->dims[i];
        x->rank = y->rank = i;
    }
}

void qn_bind_pad(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_pad *attr = b->attr;
    struct qn_move_params *p = QN_PARAMS(qn_move_params, params);
    p->op = b->op;
    p->mode = (int32_t)attr->mode;
    p->x = b->in[0];
    p->y = b->out[0];
    if (b->in_count > 1)
        p->updates = b->in[1];
    for (uint32_t i = 0; i < p->x.rank; i++)
        p->begin[i] = attr->begin.items[i];
    if (p->mode == QN_PAD_CONSTANT)
        merge_pad_axes(p);
}

int64_t qn_scatter_calls(const struct qn_bind *b)
{
    (void)b;
    return 2;
}

void qn_bind_scatter(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    const struct qn_attr_scatter *attr = b->attr;
    struct qn_move_params *p = bind_indices(b, params);
    if (call == 0) { /* padding by nothing is a copy */
        p->op = QN_OP_pad;
        merge_pad_axes(p);
        return;
    }
    p->updates = b->in[2];
    p->mode = (int32_t)attr->reduction;
    p->axis = qn_bind_axis(attr->axis, b->in[0].rank);
}

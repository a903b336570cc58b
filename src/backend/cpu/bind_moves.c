#include "backend/cpu/bind_moves.h"

#include <assert.h>
#include <string.h>

#include "kernels/arg/arg.h"
#include "kernels/chain/chain_program.h"
#include "kernels/copy/copy.h"
#include "kernels/cumulate/cumulate.h"
#include "kernels/element.h"
#include "kernels/move/move.h"
#include "kernels/random/random.h"
#include "kernels/unary/unary.h"

static void *zeroed(struct qn_params *params, size_t size)
{
    assert(size <= sizeof params->bytes);
    return memset(params->bytes, 0, size);
}

#define PARAMS(type, params) ((struct type *)zeroed((params), sizeof(struct type)))

static uint32_t axis_of(int64_t axis, uint32_t rank)
{
    return (uint32_t)(axis < 0 ? axis + rank : axis);
}

void qn_bind_is_inf(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_is_inf *attr = b->attr;
    struct qn_unary_params *p = PARAMS(qn_unary_params, params);
    *p = (struct qn_unary_params){.op = b->op, .x = b->in[0], .y = b->out[0]};
    p->signs = attr->positive == attr->negative ? 0 : attr->positive ? 1 : 2;
}

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
    struct qn_move_params *p = PARAMS(qn_move_params, params);
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

/* A copy that starts at the far end of the axes and walks back. */
void qn_bind_reverse(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_axes *attr = b->attr;
    struct qn_copy_params *p = PARAMS(qn_copy_params, params);
    p->x = b->in[0];
    p->y = b->out[0];
    for (uint32_t i = 0; i < attr->axes.count; i++) {
        uint32_t axis = axis_of(attr->axes.items[i], p->x.rank);
        int64_t along = p->x.dims[axis] > 0 ? p->x.dims[axis] - 1 : 0;
        if (p->x.data)
            p->x.data = (char *)p->x.data + along * p->x.strides[axis] * qn_element_bytes(p->x.dtype);
        p->x.strides[axis] = -p->x.strides[axis];
    }
}

static struct qn_move_params *bind_indices(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_move_params *p = PARAMS(qn_move_params, params);
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
    bind_indices(b, params)->axis = axis_of(((const struct qn_attr_axis *)b->attr)->axis, b->in[0].rank);
}

void qn_bind_gather_nd(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    bind_indices(b, params)->batch = (uint32_t)((const struct qn_attr_gather_nd *)b->attr)->batch_dims;
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
    p->axis = axis_of(attr->axis, b->in[0].rank);
}

void qn_bind_cumulate(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_cumulate *attr = b->attr;
    struct qn_cumulate_params *p = PARAMS(qn_cumulate_params, params);
    p->op = b->op;
    p->exclusive = attr->exclusive;
    p->reverse = attr->reverse;
    p->axis = axis_of(attr->axis, b->in[0].rank);
    p->x = b->in[0];
    p->y = b->out[0];
}

void qn_bind_arg(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_arg *attr = b->attr;
    struct qn_arg_params *p = PARAMS(qn_arg_params, params);
    p->op = b->op;
    p->last = attr->last;
    p->axis = axis_of(attr->axis, b->in[0].rank);
    p->x = p->y = b->in[0];
    p->y.data = b->out[0].data;
    p->y.dtype = b->out[0].dtype;
    p->y.dims[p->axis] = 1;
    int64_t stride = 1; /* y is contiguous: its strides follow from the dims that are left */
    for (uint32_t i = p->y.rank; i-- > 0; stride *= p->y.dims[i])
        p->y.strides[i] = stride;
}

void qn_bind_random(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_random *attr = b->attr;
    struct qn_random_params *p = PARAMS(qn_random_params, params);
    p->op = b->op;
    p->seed = (uint64_t)attr->seed;
    p->low = (double)attr->low;
    p->high = (double)attr->high;
    p->y = b->out[0];
}

/* x seen under y's dims. */
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

void qn_bind_chain(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_chain *attr = b->attr;
    struct qn_chain_params *p = PARAMS(qn_chain_params, params);
    p->length = (uint32_t)attr->length;
    p->code = attr->code;
    p->input_count = b->in_count;
    p->y = b->out[0];
    for (uint32_t i = 0; i < b->in_count; i++)
        p->in[i] = broadcast(&b->in[i], &p->y);
}

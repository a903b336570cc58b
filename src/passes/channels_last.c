/* Channels last: convolutions, pooling and their neighbours work on [n, spatial..., c].
 *
 * Each of them becomes: transpose, the op channels last, transpose back. A value that a transposition back has made is
 * known in both forms; what reads it takes the form channels last straight away, and the transposition goes when nobody
 * reads it any more. Elementwise ops, concat, reductions, slices, padding and resizing follow the form of their inputs,
 * so that a network of convolutions is left with transpositions at its borders alone.
 *
 * f16 and bf16 ops compute in f32, between casts; weights of convolutions stay halves, which the kernels take. */
#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

/* ---- the two forms ----------------------------------------------------------------------------------------------- */

/* Position in [n, spatial..., c] of an axis of [n, c, spatial...]. */
static int64_t moved_axis(int64_t axis, uint32_t rank)
{
    return axis == 0 ? 0 : axis == 1 ? (int64_t)rank - 1 : axis - 1;
}

static void back_perm(uint32_t rank, int64_t *perm) /* channels last to channels first */
{
    for (uint32_t i = 0; i < rank; i++)
        perm[i] = moved_axis(i, rank);
}

static void last_perm(uint32_t rank, int64_t *perm)
{
    for (uint32_t i = 0; i < rank; i++)
        perm[moved_axis(i, rank)] = i;
}

/* v as it was before a transposition back; 0 when nothing of the kind has made it. */
static qn_value known_last(const struct qn_graph *g, qn_value v)
{
    const struct qn_value_info *value = qn_graph_value(g, v);
    if (v == 0 || value->kind != QN_VALUE_NODE || value->type.rank < 3 ||
        qn_graph_node(g, value->producer)->op != QN_OP_transpose ||
        qn_match_may_change(g, qn_graph_input_of(g, value->producer, 0)))
        return 0;
    const struct qn_attr_transpose *attr = qn_graph_attr(g, value->producer);
    int64_t perm[QN_MAX_RANK];
    back_perm(value->type.rank, perm);
    bool same = memcmp(perm, attr->perm.items, value->type.rank * sizeof perm[0]) == 0;
    return same ? qn_graph_input_of(g, value->producer, 0) : 0;
}

static qn_value to_last(struct qn_build *b, qn_value v)
{
    if (b->status || v == 0)
        return 0;
    int64_t perm[QN_MAX_RANK];
    qn_value known = known_last(b->graph, v);
    uint32_t rank = qn_graph_type(b->graph, v)->rank;
    last_perm(rank, perm);
    return known ? known : qn_build_transpose(b, v, rank, perm);
}

static qn_value to_first(struct qn_build *b, qn_value v)
{
    if (b->status)
        return 0;
    int64_t perm[QN_MAX_RANK];
    uint32_t rank = qn_graph_type(b->graph, v)->rank;
    back_perm(rank, perm);
    return qn_build_transpose(b, v, rank, perm);
}

/* ---- ops that have channels_last in their record ----------------------------------------------------------------- */

static bool is_half(qn_dtype dtype)
{
    return dtype == QN_DTYPE_F16 || dtype == QN_DTYPE_BF16;
}

static qn_value emit_image(struct qn_build *b, uint16_t op, const qn_value *inputs, uint32_t count, void *attr,
                           struct qn_str name)
{
    qn_value operands[QN_MATCH_INPUTS] = {0}, y;
    qn_dtype dtype = qn_graph_type(b->graph, inputs[0])->dtype;
    bool widen = is_half(dtype), weights = op == QN_OP_conv || op == QN_OP_conv_transpose;
    for (uint32_t i = 0; i < count; i++) {
        bool image = i == 0 || (op == QN_OP_conv && i == 3);
        operands[i] = inputs[i] && image ? to_last(b, inputs[i]) : inputs[i];
        if (widen && operands[i] && !(weights && i == 1))
            operands[i] = qn_build_cast(b, operands[i], QN_DTYPE_F32);
    }
    switch (op) {
    case QN_OP_conv:
    case QN_OP_q_conv:
    case QN_OP_conv_integer:
        ((struct qn_attr_conv *)attr)->channels_last = true;
        break;
    case QN_OP_conv_transpose:
        ((struct qn_attr_conv_transpose *)attr)->channels_last = true;
        break;
    case QN_OP_group_norm:
        ((struct qn_attr_group_norm *)attr)->channels_last = true;
        break;
    default:
        ((struct qn_attr_pool *)attr)->channels_last = true;
    }
    if (b->status)
        return 0;
    b->status = qn_graph_add_node(b->graph, op, operands, count, attr, name, &y);
    if (b->status)
        return 0;
    return to_first(b, widen ? qn_build_cast(b, y, dtype) : y);
}

static bool is_channels_last(uint16_t op, const void *attr)
{
    return op == QN_OP_conv || op == QN_OP_q_conv || op == QN_OP_conv_integer
               ? ((const struct qn_attr_conv *)attr)->channels_last
           : op == QN_OP_conv_transpose ? ((const struct qn_attr_conv_transpose *)attr)->channels_last
           : op == QN_OP_group_norm     ? ((const struct qn_attr_group_norm *)attr)->channels_last
                                        : ((const struct qn_attr_pool *)attr)->channels_last;
}

static bool is_image_op(uint16_t op)
{
    return op == QN_OP_conv || op == QN_OP_conv_transpose || op == QN_OP_group_norm || op == QN_OP_max_pool ||
           op == QN_OP_avg_pool || op == QN_OP_lp_pool || op == QN_OP_q_conv || op == QN_OP_conv_integer;
}

/* ---- ops that follow --------------------------------------------------------------------------------------------- */

static void move_list(struct qn_ints *list, uint32_t rank)
{
    struct qn_ints moved = {.count = list->count};
    for (uint32_t i = 0; i < list->count; i++)
        moved.items[moved_axis(i, rank)] = list->items[i];
    if (list->count == rank)
        *list = moved;
}

static void move_floats(struct qn_floats *list, uint32_t rank)
{
    struct qn_floats moved = {.count = list->count};
    for (uint32_t i = 0; i < list->count; i++)
        moved.items[moved_axis(i, rank)] = list->items[i];
    if (list->count == rank)
        *list = moved;
}

static void move_axes(struct qn_ints *axes, uint32_t rank)
{
    for (uint32_t i = 0; i < axes->count; i++)
        axes->items[i] = moved_axis(axes->items[i], rank);
    for (uint32_t i = 1; i < axes->count; i++) /* in rising order, as records have them */
        for (uint32_t k = i; k > 0 && axes->items[k - 1] > axes->items[k]; k--) {
            int64_t axis = axes->items[k];
            axes->items[k] = axes->items[k - 1];
            axes->items[k - 1] = axis;
        }
}

/* The record of an op over [n, c, spatial...] for [n, spatial..., c]; false when the op cannot follow. */
static bool move_attr(uint16_t op, void *attr, uint32_t rank)
{
    switch (op) {
    case QN_OP_concat:
    case QN_OP_softmax: {
        struct qn_attr_axis *a = attr;
        a->axis = moved_axis(a->axis, rank);
        return true;
    }
    case QN_OP_quantize:
    case QN_OP_dequantize: {
        struct qn_attr_quantize *a = attr;
        a->axis = moved_axis(a->axis, rank);
        return true;
    }
    case QN_OP_q_add:
        return true;
    case QN_OP_slice: {
        struct qn_attr_slice *a = attr;
        a->axis = moved_axis(a->axis, rank);
        return true;
    }
    case QN_OP_pad: {
        struct qn_attr_pad *a = attr;
        move_list(&a->begin, rank);
        move_list(&a->end, rank);
        return true;
    }
    case QN_OP_resize: {
        struct qn_attr_resize *a = attr;
        move_list(&a->dims, rank);
        move_floats(&a->scales, rank);
        move_floats(&a->roi_begin, rank);
        move_floats(&a->roi_end, rank);
        return true;
    }
    case QN_OP_reduce_sum:
    case QN_OP_reduce_mean:
    case QN_OP_reduce_max:
    case QN_OP_reduce_min:
    case QN_OP_reduce_prod: {
        struct qn_attr_reduce *a = attr;
        move_axes(&a->axes, rank);
        return true;
    }
    default:
        return (qn_op_info(op)->traits & QN_OP_ELEMENTWISE) != 0;
    }
}

static bool is_reduction(uint16_t op)
{
    return op == QN_OP_reduce_sum || op == QN_OP_reduce_mean || op == QN_OP_reduce_max || op == QN_OP_reduce_min ||
           op == QN_OP_reduce_prod;
}

/* Without its axes, the reduced tensor has the rest in one order either way. */
static bool keeps_order(const struct qn_attr_reduce *a, uint32_t rank)
{
    bool channels = false, all_spatial = true;
    for (uint32_t axis = 1; axis < rank; axis++) {
        bool reduced = false;
        for (uint32_t i = 0; i < a->axes.count; i++)
            reduced |= a->axes.items[i] == axis;
        if (axis == 1)
            channels = reduced;
        else
            all_spatial &= reduced;
    }
    return channels || all_spatial;
}

/* An operand that is broadcast, seen in the other form; 0 when that is not simple. */
static qn_value operand_last(struct qn_build *b, qn_value v, uint32_t rank)
{
    const struct qn_type *type = qn_graph_type(b->graph, v);
    qn_dim dims[QN_MAX_RANK];
    if (type->rank == rank && known_last(b->graph, v))
        return known_last(b->graph, v);
    bool single = true, wide = false;
    uint32_t lead = rank - type->rank;
    for (uint32_t i = 0; i < rank; i++) {
        qn_dim dim = i < lead ? 1 : type->dims[i - lead];
        dims[moved_axis(i, rank)] = dim;
        single &= dim == 1;
        wide |= i >= 2 && dim != 1;
    }
    if (single)
        return v;
    if (!wide) /* only axes of size 1 change places */
        return qn_build_reshape(b, v, rank, dims);
    if (type->rank < rank) {
        for (uint32_t i = 0; i < rank; i++)
            dims[i] = i < lead ? 1 : type->dims[i - lead];
        v = qn_build_reshape(b, v, rank, dims);
    }
    return to_last(b, v);
}

/* ---- reshapes ---------------------------------------------------------------------------------------------------- */

/* [n, c, 1...] to anything: the bytes are the same in both forms. [n, c, spatial...] to [n, c, all of it]: channels
 * last as well, [n, all of it, c]. */
static qn_value emit_reshape(struct qn_build *b, qn_value x, const struct qn_attr_reshape *attr)
{
    qn_value last = known_last(b->graph, x);
    struct qn_type type = *qn_graph_type(b->graph, x);
    bool single = true;
    qn_dim all = 1;
    if (!last)
        return 0;
    for (uint32_t i = 2; i < type.rank; i++) {
        single &= type.dims[i] == 1;
        all = qn_build_expr(b, QN_EXPR_MUL, all, type.dims[i]);
    }
    if (single)
        return qn_build_reshape(b, last, attr->dims.count, attr->dims.items);
    if (attr->dims.count != 3 || attr->dims.items[0] != type.dims[0] || attr->dims.items[1] != type.dims[1] ||
        attr->dims.items[2] != all)
        return 0;
    qn_dim dims[3] = {type.dims[0], all, type.dims[1]};
    return to_first(b, qn_build_reshape(b, last, 3, dims));
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

/* Operands that do not have the shape of the others. */
static bool is_parameter(uint16_t op, uint32_t i)
{
    return ((op == QN_OP_pad || op == QN_OP_quantize || op == QN_OP_dequantize) && i > 0) ||
           (op == QN_OP_q_add && i != 0 && i != 3);
}

/* 0 when the node stays as it is. */
static qn_value emit_following(struct qn_build *b, uint16_t op, const qn_value *inputs, uint32_t count, void *attr,
                               uint32_t rank, struct qn_str name)
{
    qn_value operands[QN_MATCH_INPUTS], y;
    bool any = false, reduction = is_reduction(op);
    for (uint32_t i = 0; i < count; i++)
        any |= inputs[i] && !is_parameter(op, i) && qn_graph_type(b->graph, inputs[i])->rank == rank &&
               known_last(b->graph, inputs[i]);
    if (!any || rank < 3)
        return 0;
    bool keepdims = !reduction || ((const struct qn_attr_reduce *)attr)->keepdims;
    if ((!keepdims && !keeps_order(attr, rank)) || !move_attr(op, attr, rank))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        operands[i] = inputs[i] && !is_parameter(op, i) ? operand_last(b, inputs[i], rank) : inputs[i];
    }
    if (b->status)
        return 0;
    b->status = qn_graph_add_node(b->graph, op, operands, count, attr, name, &y);
    if (b->status)
        return 0;
    return keepdims ? to_first(b, y) : y;
}

static qn_status emit_layout(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                             qn_value *outs)
{
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    struct qn_build b = {.graph = r->to};
    _Alignas(8) uint8_t attr[QN_MATCH_ATTR];
    uint16_t op = node->op;
    QN_TRY(qn_rewrite_attr(r, op, qn_graph_attr(r->from, root), attr));
    uint32_t rank = qn_match_type(r, node->first_output)->rank;
    if (is_reduction(op))
        rank = qn_graph_type(r->to, inputs[0])->rank;
    if (is_image_op(op)) {
        bool starts = op != QN_OP_group_norm || known_last(r->to, inputs[0]);
        outs[0] = starts ? emit_image(&b, op, inputs, match->input_count, attr, node->name) : 0;
    } else if (op == QN_OP_reshape) {
        outs[0] = emit_reshape(&b, inputs[0], (const struct qn_attr_reshape *)attr);
    } else {
        outs[0] = emit_following(&b, op, inputs, match->input_count, attr, rank, node->name);
    }
    QN_TRY(b.status);
    return outs[0] ? NULL : qn_rewrite_copy(r, root, inputs, outs);
}

static bool match_layout(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    if (node->output_count != 1 || node->input_count == 0 || node->input_count > QN_MATCH_INPUTS)
        return false;
    const struct qn_type *x = qn_match_type(r, qn_match_input(r, root, 0));
    bool follows = (qn_op_info(node->op)->traits & QN_OP_ELEMENTWISE) || is_reduction(node->op) ||
                   node->op == QN_OP_concat || node->op == QN_OP_softmax || node->op == QN_OP_slice ||
                   node->op == QN_OP_pad || node->op == QN_OP_resize || node->op == QN_OP_reshape ||
                   node->op == QN_OP_quantize || node->op == QN_OP_dequantize || node->op == QN_OP_q_add;
    if (is_image_op(node->op)) {
        bool bytes = x->dtype == QN_DTYPE_U8 || x->dtype == QN_DTYPE_I8;
        bool fast = x->dtype == QN_DTYPE_F32 || is_half(x->dtype) || bytes;
        if (!fast || is_channels_last(node->op, qn_graph_attr(r->from, root)))
            return false;
    } else if (!follows) {
        return false;
    }
    for (uint32_t i = 0; i < node->input_count; i++)
        match->inputs[i] = qn_match_input(r, root, i);
    match->input_count = node->input_count;
    match->emit = emit_layout;
    return true;
}

qn_status qn_pass_layout(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_layout);
}

/* Padding, cropping, and moves by index. */
#include "format/onnx/ops/elementwise.h"

/* ---- pad ------------------------------------------------------------------------------------------------------ */

/* begins, then ends, of all axes of x */
struct pads {
    struct qn_size begin[QN_MAX_RANK], end[QN_MAX_RANK];
};

/* Pads that are not known at load may turn out negative, which no size can be: those are waited for. */
static bool read_pads_input(struct qn_lower *l, struct qn_sizes *out)
{
    struct qn_ints pads;
    if (qn_onnx_try_sizes(l, 1, out))
        return true;
    if (!qn_onnx_known(l, 1, &pads))
        return false;
    for (out->count = 0; out->count < pads.count; out->count++)
        out->items[out->count] = (struct qn_size){.number = pads.items[out->count]};
    return true;
}

static bool read_pads(struct qn_lower *l, uint32_t rank, struct pads *out)
{
    struct qn_sizes sizes = {0};
    struct qn_ints axes = {0};
    if (l->opset < 11) {
        uint64_t count;
        const int64_t *pads = qn_onnx_attr_i64s(l, l->opset < 2 ? "paddings" : "pads", &count);
        sizes.count = (uint32_t)(count < QN_MAX_RANK * 2 ? count : QN_MAX_RANK * 2);
        for (uint32_t i = 0; i < sizes.count; i++)
            sizes.items[i].number = pads[i];
    } else if (!read_pads_input(l, &sizes) || (qn_onnx_has(l, 3) && !qn_onnx_known(l, 3, &axes))) {
        return false;
    }
    if (!qn_onnx_has(l, 3))
        for (; axes.count < rank; axes.count++)
            axes.items[axes.count] = axes.count;
    if (sizes.count != 2 * axes.count) {
        qn_onnx_fail(l, "%u pads for %u axes", sizes.count, axes.count);
        return false;
    }
    for (uint32_t i = 0; i < axes.count; i++) {
        int64_t axis = qn_onnx_axis(l, axes.items[i], rank, 0);
        if (l->b->status)
            return false;
        out->begin[axis] = sizes.items[i];
        out->end[axis] = sizes.items[i + axes.count];
    }
    return true;
}

/* A negative pad cuts off. */
static qn_value cut(struct qn_lower *l, qn_value x, const struct pads *pads)
{
    uint32_t rank = qn_onnx_rank(l, x);
    for (uint32_t i = 0; i < rank && !l->b->status; i++) {
        int64_t begin = pads->begin[i].symbolic ? 0 : pads->begin[i].number;
        int64_t end = pads->end[i].symbolic ? 0 : pads->end[i].number;
        if (begin >= 0 && end >= 0)
            continue;
        qn_dim stop = qn_build_dim(l->b, x, i);
        if (end < 0)
            stop = qn_build_expr(l->b, QN_EXPR_SUB, stop, end == INT64_MIN ? INT64_MAX : -end);
        x = qn_build_slice(l->b, x, i, begin < 0 ? (begin == INT64_MIN ? INT64_MAX : -begin) : 0, stop);
    }
    return x;
}

static qn_value pad(struct qn_lower *l, qn_value x, const struct pads *pads, int64_t mode, qn_value value)
{
    uint32_t rank = qn_onnx_rank(l, x);
    struct qn_attr_pad attr = {.mode = mode};
    bool any = false;
    x = cut(l, x, pads);
    attr.begin.count = attr.end.count = rank;
    for (uint32_t i = 0; i < rank; i++) {
        const struct qn_size *ends[2] = {&pads->begin[i], &pads->end[i]};
        for (int k = 0; k < 2; k++) {
            int64_t n = ends[k]->symbolic ? ends[k]->dim : ends[k]->number < 0 ? 0 : ends[k]->number;
            (k ? &attr.end : &attr.begin)->items[i] = n;
            any |= n != 0;
        }
    }
    return any ? qn_build_node(l->b, QN_OP_pad, (qn_value[]){x, value}, value ? 2 : 1, &attr, NULL) : x;
}

QN_ONNX_LOWER(pad)
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
    int64_t mode = qn_onnx_attr_choice(l, "mode", 0, modes);
    qn_value x = qn_onnx_in(l, 0), value = 0;
    struct pads pads = {0};
    if (l->b->status || !read_pads(l, qn_onnx_rank(l, x), &pads))
        return;
    if (mode == 0 && l->opset < 11) {
        if (qn_onnx_has_attr(l, "value"))
            value = qn_onnx_number(l, qn_onnx_type_of(l, x)->dtype, (double)qn_onnx_attr_f(l, "value", 0));
    } else if (mode == 0 && qn_onnx_has(l, 2)) {
        value = qn_onnx_in(l, 2);
        const struct qn_type *type = qn_onnx_type_of(l, value);
        if (type->rank == 1 && type->dims[0] == 0)
            value = 0;
        else if (type->rank > 0)
            value = qn_build_reshape(l->b, value, 0, NULL);
    }
    qn_onnx_out(l, 0, pad(l, x, &pads, mode, value));
}

/* Crop: border (left, top, right, bottom), or left and top with scale (height, width), of [n, c, h, w] */
QN_ONNX_LOWER(crop)
{
    struct qn_ints border, scale;
    qn_value x = qn_onnx_in(l, 0);
    qn_onnx_attr_ints(l, "border", &border);
    bool sized = qn_onnx_attr_ints(l, "scale", &scale);
    if (l->b->status)
        return;
    if (border.count != 4 || (sized && scale.count != 2) || qn_onnx_rank(l, x) != 4) {
        qn_onnx_fail(l, "border has %u and scale %u elements, expected 4 and 2, for an input of rank 4", border.count,
                     scale.count);
        return;
    }
    for (uint32_t i = 0; i < 2; i++) { /* height, width */
        int64_t first = border.items[1 - i];
        qn_dim stop = sized ? first + scale.items[i]
                            : qn_build_expr(l->b, QN_EXPR_SUB, qn_build_dim(l->b, x, 2 + i), border.items[3 - i]);
        x = qn_build_slice(l->b, x, 2 + i, first, stop);
    }
    qn_onnx_out(l, 0, x);
}

/* ---- by index ------------------------------------------------------------------------------------------------- */

/* Scatter is the first name of ScatterElements. */
QN_ONNX_LOWER(gather_elements)
{
    qn_value in[2] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1)};
    struct qn_attr_axis attr = {.axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, in[0]), 0)};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_gather_elements, in, 2, &attr, NULL));
}

QN_ONNX_LOWER(gather_nd)
{
    qn_value in[2] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1)};
    struct qn_attr_gather_nd attr = {.batch_dims = qn_onnx_attr_i(l, "batch_dims", 0)};
    uint32_t rank = qn_onnx_rank(l, in[1]);
    if (rank && qn_build_dim(l->b, in[1], rank - 1) < 0)
        qn_onnx_defer(l, "the length of the coordinates is not known");
    else
        qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_gather_nd, in, 2, &attr, NULL));
}

QN_ONNX_LOWER(scatter)
{
    static const char *const reductions[] = {"none", "add", "mul", "max", "min", NULL};
    bool nd = qn_str_is(l->node->op_type, "ScatterND");
    qn_value in[3] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1), qn_onnx_in(l, 2)};
    uint32_t rank = qn_onnx_rank(l, in[1]);
    struct qn_attr_scatter attr = {.reduction = qn_onnx_attr_choice(l, "reduction", 0, reductions)};
    if (l->b->status)
        return;
    if (!nd)
        attr.axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, in[0]), 0);
    qn_dtype dtype = qn_onnx_type_of(l, in[0])->dtype;
    bool bools = dtype == QN_DTYPE_BOOL && attr.reduction != 0; /* add is or, mul is and */
    if (bools) {
        in[0] = qn_build_cast(l->b, in[0], QN_DTYPE_U8);
        in[2] = qn_build_cast(l->b, in[2], QN_DTYPE_U8);
        attr.reduction = attr.reduction == 1 ? 3 : attr.reduction == 2 ? 4 : attr.reduction;
    }
    if (nd && rank && qn_build_dim(l->b, in[1], rank - 1) < 0) {
        qn_onnx_defer(l, "the length of the coordinates is not known");
        return;
    }
    qn_value y = qn_build_node(l->b, nd ? QN_OP_scatter_nd : QN_OP_scatter_elements, in, 3, &attr, NULL);
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, dtype));
}

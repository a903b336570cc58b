/* DFT and STFT. */
#include "format/onnx/ops/elementwise.h"

/* A size that an input holds, as a dim; `otherwise` when it is absent. */
static qn_dim size_input(struct qn_lower *l, uint32_t i, qn_dim otherwise)
{
    struct qn_sizes sizes;
    if (!qn_onnx_has(l, i))
        return otherwise;
    if (!qn_onnx_sizes(l, i, &sizes))
        return 0;
    if (sizes.count != 1) {
        qn_onnx_fail(l, "input %u must be one size", i);
        return 0;
    }
    return qn_onnx_size_dim(l, &sizes.items[0]);
}

static qn_value fft(struct qn_lower *l, qn_value x, const struct qn_attr_fft *attr)
{
    return qn_build_node(l->b, QN_OP_fft, &x, 1, attr, NULL);
}

/* The last axis must be known to be 1 or 2. */
static bool has_components(struct qn_lower *l, qn_value x)
{
    uint32_t rank = qn_onnx_rank(l, x);
    if (rank < 2) {
        qn_onnx_fail(l, "the signal has rank %u: expected [..., 1 or 2]", rank);
        return false;
    }
    if (qn_build_dim(l->b, x, rank - 1) < 0)
        return qn_onnx_static(l, x);
    return !l->b->status;
}

/* The axis is an attribute before opset 20, then an input. */
QN_ONNX_LOWER(dft)
{
    qn_value x = qn_onnx_in(l, 0), wide = qn_lower_widen(l, x);
    int64_t axis = l->opset < 20 ? qn_onnx_attr_i(l, "axis", 1) : -2;
    struct qn_ints known;
    if (qn_onnx_has(l, 2)) {
        if (!qn_onnx_known(l, 2, &known))
            return;
        axis = known.count ? known.items[0] : axis;
    }
    if (!has_components(l, wide))
        return;
    struct qn_attr_fft attr = {.axis = qn_onnx_axis(l, axis, qn_onnx_rank(l, wide), 0),
                               .inverse = qn_onnx_attr_i(l, "inverse", 0) != 0,
                               .onesided = qn_onnx_attr_i(l, "onesided", 0) != 0};
    if (l->b->status)
        return;
    qn_dim size = qn_build_dim(l->b, wide, (uint32_t)attr.axis);
    if (attr.inverse && attr.onesided && !qn_onnx_has(l, 1)) /* the full line has an even length */
        size = qn_build_expr(l->b, QN_EXPR_MUL, qn_build_expr(l->b, QN_EXPR_SUB, size, 1), 2);
    attr.length = size_input(l, 1, size);
    qn_lower_out_like(l, fft(l, wide, &attr), x);
}

static qn_value iota(struct qn_lower *l, qn_dim count)
{
    struct qn_attr_iota attr = {.count = count, .dtype = QN_DTYPE_I64};
    return qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL);
}

/* Frames are gathered, windowed and transformed along their own axis: [batch, frames, length, 1 or 2]. */
QN_ONNX_LOWER(stft)
{
    qn_value x = qn_onnx_in(l, 0), wide = qn_lower_widen(l, x), window = qn_onnx_has(l, 2) ? qn_onnx_in(l, 2) : 0;
    struct qn_ints step;
    if (!qn_onnx_known(l, 1, &step))
        return;
    if (step.count != 1 || step.items[0] <= 0) {
        qn_onnx_fail(l, "frame_step must be one number above 0");
        return;
    }
    if (qn_onnx_rank(l, wide) == 2) /* a real signal without its last axis */
        wide = qn_onnx_unsqueeze(l, wide, &(struct qn_ints){1, {2}});
    if (!has_components(l, wide))
        return;
    qn_dim size = qn_build_dim(l->b, wide, 1), length = size_input(l, 3, window ? qn_build_dim(l->b, window, 0) : size);
    qn_dim hops = qn_build_expr(l->b, QN_EXPR_DIV, qn_build_expr(l->b, QN_EXPR_SUB, size, length), step.items[0]);
    qn_dim frames = qn_build_expr(l->b, QN_EXPR_ADD, hops, 1);
    qn_value first = qn_lower_with_number(l, QN_OP_mul, iota(l, frames), (double)step.items[0]);
    first = qn_onnx_unsqueeze(l, first, &(struct qn_ints){1, {1}});
    qn_value framed = qn_build_gather(l->b, wide, qn_lower_binary(l, QN_OP_add, first, iota(l, length)), 1, 0);
    if (window) {
        qn_value column = qn_onnx_unsqueeze(l, qn_lower_widen(l, window), &(struct qn_ints){1, {1}});
        framed = qn_lower_binary(l, QN_OP_mul, framed, column);
    }
    bool one_side = qn_onnx_attr_i(l, "onesided", 1) != 0, real = qn_build_dim(l->b, wide, 2) == 1;
    struct qn_attr_fft attr = {.axis = 2, .length = length, .onesided = one_side && real};
    qn_value y = fft(l, framed, &attr);
    if (one_side && !real) {
        qn_dim half = qn_build_expr(l->b, QN_EXPR_ADD, qn_build_expr(l->b, QN_EXPR_DIV, length, 2), 1);
        y = qn_build_slice(l->b, y, 2, 0, half);
    }
    qn_lower_out_like(l, y, x);
}

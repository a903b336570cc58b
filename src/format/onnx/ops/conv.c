/* Convolutions: Conv, ConvTranspose, DeformConv, Col2Im. */
#include "format/onnx/ops/image_window.h"

static void lower_conv(struct qn_lower *l, qn_value weights, bool channels_last)
{
    struct qn_onnx_window w;
    qn_value inputs[3] = {qn_onnx_in(l, 0), weights, qn_onnx_in(l, 2)};
    if (!qn_onnx_window(l, &inputs[0], inputs[1], channels_last, &w))
        return;
    struct qn_attr_conv attr = {.strides = w.strides,
                                .dilations = w.dilations,
                                .begin = w.begin,
                                .end = w.end,
                                .groups = qn_onnx_groups(l, "group"),
                                .channels_last = channels_last};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_conv, inputs, inputs[2] ? 3 : 2, &attr, NULL));
}

QN_ONNX_LOWER(conv)
{
    lower_conv(l, qn_onnx_in(l, 1), false);
}

/* NhwcConv's weights have their channels last, too, as the only tool that writes the op lays them; NhwcFusedConv's have
 * not. */
QN_ONNX_LOWER(nhwc_conv)
{
    qn_value weights = qn_onnx_in(l, 1);
    uint32_t rank = qn_onnx_rank(l, weights);
    int64_t perm[QN_MAX_RANK] = {0, (int64_t)rank - 1};
    for (uint32_t i = 2; i < rank; i++)
        perm[i] = (int64_t)i - 1;
    if (qn_str_is(l->node->op_type, "NhwcConv") && rank > 2)
        weights = qn_build_transpose(l->b, weights, rank, perm);
    lower_conv(l, weights, true);
}

/* stride * (in - 1) + output_padding + reach: what the windows cover. */
static qn_dim covered(struct qn_lower *l, qn_dim in, const struct qn_onnx_window *w, uint32_t i, int64_t extra)
{
    qn_dim all = qn_build_expr(l->b, QN_EXPR_MUL, in, w->strides.items[i]);
    all = qn_build_expr(l->b, QN_EXPR_ADD, all, qn_onnx_window_reach(w, i) + extra);
    return qn_build_expr(l->b, QN_EXPR_SUB, all, w->strides.items[i]);
}

/* Sizes and leading padding of the output along axis i. `wanted`: the size asked for, -1 where none is. */
static void transpose_axis(struct qn_lower *l, qn_dim in, const struct qn_onnx_window *w, uint32_t i, int64_t extra,
                           int64_t wanted, struct qn_attr_conv_transpose *attr)
{
    qn_dim all = covered(l, in, w, i, extra), size;
    bool same = w->auto_pad == QN_AUTO_PAD_UPPER || w->auto_pad == QN_AUTO_PAD_LOWER;
    if (wanted < 0 && !same) {
        qn_dim padding = qn_build_expr(l->b, QN_EXPR_ADD, w->begin.items[i], w->end.items[i]);
        attr->dims.items[i] = qn_build_expr(l->b, QN_EXPR_SUB, all, padding);
        attr->begin.items[i] = w->begin.items[i];
        attr->end.items[i] = w->end.items[i];
        return;
    }
    size = wanted >= 0 ? wanted : qn_build_expr(l->b, QN_EXPR_MUL, in, w->strides.items[i]);
    qn_dim most = qn_build_expr(l->b, QN_EXPR_MAX, all, size), total = qn_build_expr(l->b, QN_EXPR_SUB, most, size);
    qn_dim half = qn_build_expr(l->b, QN_EXPR_DIV, total, 2), rest = qn_build_expr(l->b, QN_EXPR_SUB, total, half);
    attr->begin.items[i] = w->auto_pad == QN_AUTO_PAD_UPPER ? half : rest;
    attr->end.items[i] = w->auto_pad == QN_AUTO_PAD_UPPER ? rest : half;
    attr->dims.items[i] = size;
}

/* pads: beginnings and ends as an input, instead of the attribute's; NULL: none. */
static void lower_conv_transpose(struct qn_lower *l, qn_value bias, const struct qn_ints *pads)
{
    struct qn_onnx_window w;
    struct qn_ints extra, shape;
    qn_value inputs[3] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1), bias}, x = inputs[0];
    if (!qn_onnx_window(l, &x, inputs[1], false, &w))
        return;
    for (uint32_t i = 0; pads && w.auto_pad == QN_AUTO_PAD_NOTSET && i < w.spatial; i++) {
        w.begin.items[i] = pads->count == 2 * w.spatial ? pads->items[i] : -1;
        w.end.items[i] = pads->count == 2 * w.spatial ? pads->items[w.spatial + i] : -1;
        if (w.begin.items[i] < 0 || w.end.items[i] < 0 || w.begin.items[i] > INT32_MAX || w.end.items[i] > INT32_MAX) {
            qn_onnx_fail(l, "Pads are not two numbers of 0 or more for each of %u spatial axes", w.spatial);
            return;
        }
    }
    qn_onnx_attr_ints(l, "output_padding", &extra);
    qn_onnx_attr_ints(l, "output_shape", &shape);
    if (x != inputs[0]) /* negative padding would cut the output, not the input */
        qn_onnx_fail(l, "negative pads are not taken");
    if ((extra.count && extra.count != w.spatial) ||
        (shape.count && shape.count != w.spatial && shape.count != w.spatial + 2))
        qn_onnx_fail(l, "output_padding has %u and output_shape %u elements for %u spatial axes", extra.count,
                     shape.count, w.spatial);
    if (l->b->status)
        return;
    struct qn_attr_conv_transpose attr = {.strides = w.strides,
                                          .dilations = w.dilations,
                                          .begin = {w.spatial, {0}},
                                          .end = {w.spatial, {0}},
                                          .dims = {w.spatial, {0}},
                                          .groups = qn_onnx_groups(l, "group")};
    for (uint32_t i = 0; i < w.spatial; i++) {
        int64_t more = extra.count ? extra.items[i] : 0;
        int64_t wanted = shape.count ? shape.items[shape.count - w.spatial + i] : -1;
        if (more < 0 || more > INT32_MAX || wanted > INT32_MAX || (shape.count && wanted < 0)) {
            qn_onnx_fail(l, "output_padding or output_shape is out of range");
            return;
        }
        transpose_axis(l, qn_build_dim(l->b, x, 2 + i), &w, i, more, wanted, &attr);
    }
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_conv_transpose, inputs, inputs[2] ? 3 : 2, &attr, NULL));
}

QN_ONNX_LOWER(conv_transpose)
{
    lower_conv_transpose(l, qn_onnx_in(l, 2), NULL);
}

QN_ONNX_LOWER(conv_transpose_given_pads)
{
    struct qn_ints pads;
    bool given = qn_onnx_has(l, 2);
    if (!given || qn_onnx_known(l, 2, &pads))
        lower_conv_transpose(l, qn_onnx_in(l, 3), given ? &pads : NULL);
}

/* A depthwise convolution along the last axis over what has been kept of the past (or zeros) and the input; the last
 * elements are kept for the next step. */
QN_ONNX_LOWER(causal_conv)
{
    static const char *const activations[] = {"none", "silu", "swish", NULL};
    static const int64_t turn[] = {0, 2, 1};
    qn_value x = qn_onnx_in(l, 0), weights = qn_onnx_in(l, 1), bias = qn_onnx_in(l, 2), past = qn_onnx_in(l, 3);
    bool silu = qn_onnx_attr_choice(l, "activation", 0, activations) != 0;
    bool last = qn_onnx_attr_i(l, "channels_last", 0) != 0;
    int64_t dilation = qn_onnx_attr_i(l, "dilation", 1);
    if (qn_onnx_attr_i(l, "ndim", 1) != 1 || qn_onnx_attr_i(l, "state_window", 0) || dilation < 1 ||
        dilation > INT32_MAX)
        qn_onnx_fail(l, "more than one axis, a window of states, or a dilation of %lld", (long long)dilation);
    if (l->b->status || !x || !weights || !qn_onnx_static(l, weights))
        return;
    if (qn_onnx_rank(l, x) != 3 || qn_onnx_rank(l, weights) != 3) {
        qn_onnx_fail(l, "input of rank %u and weights of rank %u: expected 3", qn_onnx_rank(l, x),
                     qn_onnx_rank(l, weights));
        return;
    }
    int64_t channels = qn_onnx_type_of(l, weights)->dims[0];
    int64_t kept;
    if (__builtin_mul_overflow(qn_onnx_type_of(l, weights)->dims[2] - 1, dilation, &kept)) {
        qn_onnx_fail(l, "a dilation of %lld", (long long)dilation);
        return;
    }
    if (last) {
        x = qn_build_transpose(l->b, x, 3, turn);
        past = past ? qn_build_transpose(l->b, past, 3, turn) : 0;
    }
    if (qn_onnx_type_of(l, x)->dims[1] != channels) {
        qn_onnx_defer(l, "the number of channels is not known, or not that of the weights");
        return;
    }
    qn_dim length = qn_build_dim(l->b, x, 2);
    struct qn_attr_pad pad = {.begin = {3, {0, 0, kept}}, .end = {3, {0, 0, 0}}};
    if (kept > 0)
        x = past ? qn_build_concat(l->b, past, x, 2) : qn_build_node(l->b, QN_OP_pad, &x, 1, &pad, NULL);
    qn_value inputs[3] = {x, weights, bias};
    struct qn_attr_conv attr = {.groups = channels, .dilations = {1, {dilation}}};
    qn_value y = qn_build_node(l->b, QN_OP_conv, inputs, bias ? 3 : 2, &attr, NULL);
    y = silu ? qn_build_unary(l->b, QN_OP_silu, y) : y;
    qn_onnx_out(l, 0, last ? qn_build_transpose(l->b, y, 3, turn) : y);
    if (!qn_onnx_wants(l, 1))
        return;
    qn_value kept_part = qn_build_slice(l->b, x, 2, length, qn_build_dim(l->b, x, 2));
    qn_onnx_out(l, 1, last ? qn_build_transpose(l->b, kept_part, 3, turn) : kept_part);
}

QN_ONNX_LOWER(deform_conv)
{
    struct qn_onnx_window w;
    qn_value x = qn_onnx_in(l, 0), weights = qn_onnx_in(l, 1);
    qn_value inputs[5] = {x, weights, qn_onnx_in(l, 2), qn_onnx_in(l, 3), qn_onnx_in(l, 4)};
    if (!qn_onnx_window(l, &x, weights, false, &w))
        return;
    struct qn_attr_deform_conv attr = {.strides = w.strides,
                                       .dilations = w.dilations,
                                       .begin = w.begin,
                                       .end = w.end,
                                       .groups = qn_onnx_groups(l, "group"),
                                       .offset_groups = qn_onnx_groups(l, "offset_group")};
    inputs[0] = x;
    uint32_t count = inputs[4] ? 5 : inputs[3] ? 4 : 3;
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_deform_conv, inputs, count, &attr, NULL));
}

QN_ONNX_LOWER(col2im)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_sizes image;
    struct qn_ints block;
    if (!qn_onnx_known(l, 2, &block))
        return;
    if (!qn_onnx_try_sizes(l, 1, &image)) { /* the input's length has to be that of the image's windows */
        struct qn_ints known;
        if (!qn_onnx_known(l, 1, &known))
            return;
        image.count = known.count;
        for (uint32_t i = 0; i < known.count; i++)
            image.items[i] = (struct qn_size){.number = known.items[i]};
    }
    if (image.count != block.count || image.count < 1 || image.count > 3) {
        qn_onnx_fail(l, "an image of %u axes from blocks of %u: expected 1 to 3", image.count, block.count);
        return;
    }
    struct qn_attr_col2im attr = {.block = block, .image = {.count = image.count}};
    qn_onnx_attr_ints(l, "strides", &attr.strides);
    qn_onnx_attr_ints(l, "dilations", &attr.dilations);
    for (uint32_t i = 0; i < image.count; i++)
        attr.image.items[i] = qn_onnx_size_dim(l, &image.items[i]);
    uint64_t count;
    const int64_t *pads = qn_onnx_attr_i64s(l, "pads", &count);
    if (count && count != 2 * image.count) {
        qn_onnx_fail(l, "pads has %u elements for %u axes", (unsigned)count, image.count);
        return;
    }
    attr.begin.count = attr.end.count = count ? image.count : 0;
    for (uint32_t i = 0; count && i < image.count; i++) {
        attr.begin.items[i] = pads[i];
        attr.end.items[i] = pads[image.count + i];
        if (pads[i] < 0 || pads[image.count + i] < 0)
            qn_onnx_fail(l, "negative pads are not taken");
    }
    if (qn_onnx_type_of(l, x)->rank == 3 && qn_onnx_type_of(l, x)->dims[1] < 0)
        qn_onnx_defer(l, "the number of channels is not known");
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_col2im, &x, 1, &attr, NULL));
}

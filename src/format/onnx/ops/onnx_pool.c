/* Pooling: MaxPool, AveragePool, LpPool, the global ones, MaxUnpool, MaxRoiPool, LRN. */
#include "format/onnx/ops/image_window.h"

bool qn_onnx_read_pool(struct qn_lower *l, qn_value *x, bool channels_last, struct qn_attr_pool *attr)
{
    struct qn_onnx_window w;
    if (!qn_onnx_window(l, x, 0, channels_last, &w))
        return false;
    *attr = (struct qn_attr_pool){.kernel = w.kernel,
                                  .strides = w.strides,
                                  .dilations = w.dilations,
                                  .begin = w.begin,
                                  .end = w.end,
                                  .channels_last = channels_last,
                                  .ceil = w.auto_pad == QN_AUTO_PAD_NOTSET && qn_onnx_attr_i(l, "ceil_mode", 0)};
    return true;
}

QN_ONNX_LOWER(max_pool)
{
    struct qn_attr_pool attr;
    qn_value x = qn_onnx_in(l, 0), outs[2];
    if (!qn_onnx_read_pool(l, &x, false, &attr))
        return;
    if (l->output_count > 1 && qn_onnx_wants(l, 1)) {
        attr.column_major = qn_onnx_attr_i(l, "storage_order", 0) != 0;
        qn_onnx_node(l, QN_OP_max_pool_indices, &x, 1, &attr, outs, 2);
        qn_onnx_out(l, 0, outs[0]);
        qn_onnx_out(l, 1, outs[1]);
        return;
    }
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_max_pool, &x, 1, &attr, NULL));
}

QN_ONNX_LOWER(nhwc_max_pool)
{
    struct qn_attr_pool attr;
    qn_value x = qn_onnx_in(l, 0);
    if (qn_onnx_read_pool(l, &x, true, &attr))
        qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_max_pool, &x, 1, &attr, NULL));
}

QN_ONNX_LOWER(average_pool)
{
    struct qn_attr_pool attr;
    qn_value x = qn_onnx_in(l, 0);
    if (!qn_onnx_read_pool(l, &x, false, &attr))
        return;
    attr.count_padding = qn_onnx_attr_i(l, "count_include_pad", 0) != 0;
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_avg_pool, &x, 1, &attr, NULL));
}

/* An integer since version 2, before that a float. */
static int64_t exponent(struct qn_lower *l)
{
    int64_t p = l->opset < 2 ? (int64_t)qn_onnx_attr_f(l, "p", 2) : qn_onnx_attr_i(l, "p", 2);
    if (p < 1)
        qn_onnx_fail(l, "p is below 1");
    return p;
}

QN_ONNX_LOWER(lp_pool)
{
    struct qn_attr_pool attr;
    qn_value x = qn_onnx_in(l, 0);
    if (!qn_onnx_read_pool(l, &x, false, &attr))
        return;
    attr.p = exponent(l);
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_lp_pool, &x, 1, &attr, NULL));
}

static qn_value over_pixels(struct qn_lower *l, uint16_t op, qn_value x)
{
    struct qn_attr_reduce attr = {.keepdims = true};
    uint32_t rank = qn_onnx_rank(l, x);
    if (rank < 3 && !l->b->status)
        qn_onnx_fail(l, "an input of rank %u has no spatial axes", rank);
    for (uint32_t i = 2; i < rank && i < QN_MAX_RANK; i++)
        attr.axes.items[attr.axes.count++] = i;
    return qn_build_node(l->b, op, &x, 1, &attr, NULL);
}

QN_ONNX_LOWER(global_pool)
{
    qn_value x = qn_onnx_in(l, 0);
    bool max = qn_str_eq(l->node->op_type, qn_str_from("GlobalMaxPool"));
    qn_onnx_out(l, 0, over_pixels(l, max ? QN_OP_reduce_max : QN_OP_reduce_mean, x));
}

QN_ONNX_LOWER(global_lp_pool)
{
    qn_value x = qn_onnx_in(l, 0);
    int64_t p = exponent(l);
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    qn_value y = p == 2 ? qn_build_binary(l->b, QN_OP_mul, x, x) : qn_build_unary(l->b, QN_OP_abs, x);
    if (p > 2)
        y = qn_build_binary(l->b, QN_OP_pow, y, qn_onnx_number(l, dtype, (double)p));
    y = over_pixels(l, QN_OP_reduce_sum, y);
    if (p == 2)
        y = qn_build_unary(l->b, QN_OP_sqrt, y);
    else if (p > 2)
        y = qn_build_binary(l->b, QN_OP_pow, y, qn_onnx_number(l, dtype, 1 / (double)p));
    qn_onnx_out(l, 0, y);
}

static qn_dim product(struct qn_lower *l, const qn_dim *dims, uint32_t count)
{
    qn_dim all = 1;
    for (uint32_t i = 0; i < count; i++)
        all = qn_build_expr(l->b, QN_EXPR_MUL, all, dims[i]);
    return all;
}

static qn_value zeros(struct qn_lower *l, qn_dtype dtype, uint32_t rank, const qn_dim *dims)
{
    struct qn_attr_reshape attr = {.dims = {.count = rank}};
    for (uint32_t i = 0; i < rank; i++)
        attr.dims.items[i] = dims[i];
    qn_value zero = qn_onnx_number(l, dtype, 0);
    return qn_build_node(l->b, QN_OP_expand, &zero, 1, &attr, NULL);
}

/* Indices count in the image that the window gives; a larger output_shape adds zeros behind it. */
QN_ONNX_LOWER(max_unpool)
{
    qn_value x = qn_onnx_in(l, 0), indices = qn_onnx_in(l, 1), given = x;
    struct qn_onnx_window w;
    struct qn_sizes shape;
    if (!qn_onnx_window(l, &x, 0, false, &w))
        return;
    if (x != given) {
        qn_onnx_fail(l, "negative pads are not taken");
        return;
    }
    struct qn_type type = *qn_onnx_type_of(l, x);
    for (uint32_t i = 0; i < w.spatial; i++) {
        qn_dim all = qn_build_expr(l->b, QN_EXPR_MUL, type.dims[2 + i], w.strides.items[i]);
        all = qn_build_expr(l->b, QN_EXPR_ADD, all, w.kernel.items[i]);
        qn_dim less = qn_build_expr(l->b, QN_EXPR_ADD, w.begin.items[i], w.end.items[i]);
        less = qn_build_expr(l->b, QN_EXPR_ADD, less, w.strides.items[i]);
        type.dims[2 + i] = qn_build_expr(l->b, QN_EXPR_SUB, all, less);
    }
    qn_dim from = product(l, qn_onnx_type_of(l, given)->dims, type.rank), to = product(l, type.dims, type.rank);
    qn_value inputs[3] = {zeros(l, type.dtype, 1, &to), qn_build_reshape(l->b, indices, 1, &from),
                          qn_build_reshape(l->b, x, 1, &from)};
    qn_value y = qn_build_node(l->b, QN_OP_scatter_elements, inputs, 3, &(struct qn_attr_scatter){0}, NULL);
    y = qn_build_reshape(l->b, y, type.rank, type.dims);
    if (qn_onnx_has(l, 2) && qn_onnx_sizes(l, 2, &shape)) {
        struct qn_attr_pad pad = {.begin = {.count = type.rank}, .end = {.count = type.rank}};
        if (shape.count != type.rank) {
            qn_onnx_fail(l, "output_shape has %u elements for rank %u", shape.count, type.rank);
            return;
        }
        for (uint32_t i = 0; i < type.rank; i++)
            pad.end.items[i] = qn_build_expr(l->b, QN_EXPR_SUB, qn_onnx_size_dim(l, &shape.items[i]), type.dims[i]);
        y = qn_build_node(l->b, QN_OP_pad, &y, 1, &pad, NULL);
    }
    qn_onnx_out(l, 0, y);
}

/* x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta: the sum over channels is a mean
 * over a window of an image whose rows are the channels. */
QN_ONNX_LOWER(lrn)
{
    qn_value x = qn_onnx_in(l, 0);
    if (l->b->status || !x)
        return;
    struct qn_type type = *qn_onnx_type_of(l, x);
    int64_t size = qn_onnx_attr_i(l, "size", 0);
    if (type.rank < 2 || size < 1 || size > INT32_MAX) {
        qn_onnx_fail(l, "a window of %lld channels over rank %u", (long long)size, type.rank);
        return;
    }
    qn_dim image[4] = {type.dims[0], 1, type.dims[1], product(l, type.dims + 2, type.rank - 2)};
    struct qn_attr_pool attr = {
        .kernel = {2, {size, 1}}, .begin = {2, {(size - 1) / 2, 0}}, .end = {2, {size / 2, 0}}, .count_padding = true};
    qn_value square = qn_build_reshape(l->b, qn_build_binary(l->b, QN_OP_mul, x, x), 4, image);
    qn_value mean = qn_build_node(l->b, QN_OP_avg_pool, &square, 1, &attr, NULL);
    mean = qn_build_reshape(l->b, mean, type.rank, type.dims);
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 1e-4f);
    mean = qn_build_binary(l->b, QN_OP_mul, mean, qn_onnx_number(l, type.dtype, alpha));
    mean = qn_build_binary(l->b, QN_OP_add, mean, qn_onnx_number(l, type.dtype, (double)qn_onnx_attr_f(l, "bias", 1)));
    mean =
        qn_build_binary(l->b, QN_OP_pow, mean, qn_onnx_number(l, type.dtype, (double)qn_onnx_attr_f(l, "beta", 0.75f)));
    qn_onnx_out(l, 0, qn_build_binary(l->b, QN_OP_div, x, mean));
}

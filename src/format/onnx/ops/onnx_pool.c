/* Pooling: MaxPool, AveragePool, LpPool, the global ones, MaxUnpool, MaxRoiPool, LRN. */
#include <float.h>

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

/* The window's element `at` of every window of x, padded: [n, c, windows...]. */
static qn_value window_element(struct qn_lower *l, qn_value x, const struct qn_attr_pool *pool, const int64_t *at)
{
    for (uint32_t i = 0; i < pool->kernel.count; i++) {
        qn_dim rest = qn_build_expr(l->b, QN_EXPR_SUB, qn_build_dim(l->b, x, 2 + i), pool->kernel.items[i] - 1 - at[i]);
        struct qn_attr_slice attr = {.axis = 2 + i, .start = at[i], .stop = rest, .step = pool->strides.items[i]};
        x = qn_build_node(l->b, QN_OP_slice, &x, 1, &attr, NULL);
    }
    return x;
}

static qn_value padded(struct qn_lower *l, qn_value x, const struct qn_attr_pool *pool, qn_value outside)
{
    struct qn_attr_pad attr = {.begin = {2 + pool->kernel.count, {0}}, .end = {2 + pool->kernel.count, {0}}};
    for (uint32_t i = 0; i < pool->kernel.count; i++) {
        attr.begin.items[2 + i] = pool->begin.items[i];
        attr.end.items[2 + i] = pool->end.items[i];
    }
    return qn_build_node(l->b, QN_OP_pad, (qn_value[]){x, outside}, 2, &attr, NULL);
}

/* Where the mask [n or 1, c or 1, spatial...] is not 0. The one runtime that has the op takes the first pixel of
 * pictures for unmasked. */
static qn_value unmasked(struct qn_lower *l, qn_value mask, uint32_t spatial)
{
    qn_dim dims[QN_MAX_RANK], count = 1;
    dims[0] = dims[1] = 1;
    for (uint32_t i = 0; i < spatial; i++) {
        dims[2 + i] = qn_build_dim(l->b, mask, 2 + i);
        count = qn_build_expr(l->b, QN_EXPR_MUL, count, dims[2 + i]);
    }
    struct qn_attr_iota all = {.count = count, .dtype = QN_DTYPE_I32};
    qn_value pixel = qn_build_reshape(l->b, qn_build_node(l->b, QN_OP_iota, NULL, 0, &all, NULL), 2 + spatial, dims);
    qn_value zero = qn_onnx_number(l, QN_DTYPE_I32, 0);
    qn_value seen = qn_build_unary(l->b, QN_OP_not, qn_build_binary(l->b, QN_OP_equal, mask, zero));
    qn_value first = qn_build_binary(l->b, QN_OP_equal, pixel, zero);
    return spatial > 1 ? qn_build_binary(l->b, QN_OP_or, seen, first) : seen;
}

/* The largest of a window, of whose rows (along the last axis) what comes from a masked element on does not count. */
QN_ONNX_LOWER(masked_max_pool)
{
    enum { MOST = 1024 };
    struct qn_attr_pool pool;
    qn_value x = qn_onnx_in(l, 0), mask = qn_onnx_in(l, 1), open = 0, y = 0;
    uint32_t rank = qn_onnx_rank(l, x);
    if (!l->b->status && qn_onnx_rank(l, mask) != rank)
        qn_onnx_fail(l, "a mask of rank %u for an input of rank %u", qn_onnx_rank(l, mask), rank);
    qn_value kept = x;
    if (l->b->status || !qn_onnx_read_pool(l, &x, false, &pool))
        return;
    int64_t taps = 1;
    for (uint32_t i = 0; i < pool.kernel.count && taps <= MOST; i++)
        taps *= pool.kernel.items[i];
    if (taps > MOST || x != kept) {
        qn_onnx_fail(l, "negative pads, or windows of more than %d elements", MOST);
        return;
    }
    qn_value least = qn_onnx_number(l, qn_onnx_type_of(l, x)->dtype, -(double)FLT_MAX);
    bool yes = true;
    mask = padded(l, unmasked(l, mask, pool.kernel.count), &pool, qn_onnx_data(l, QN_DTYPE_BOOL, 0, NULL, &yes));
    x = padded(l, x, &pool, least);
    for (int64_t tap = 0; tap < taps && !l->b->status; tap++) {
        int64_t at[3] = {0}, rest = tap;
        for (uint32_t i = pool.kernel.count; i-- > 0; rest /= pool.kernel.items[i])
            at[i] = rest % pool.kernel.items[i];
        qn_value seen = window_element(l, mask, &pool, at), element = window_element(l, x, &pool, at);
        open = at[pool.kernel.count - 1] ? qn_build_binary(l->b, QN_OP_and, open, seen) : seen;
        element = qn_build_where(l->b, open, element, least);
        y = y ? qn_build_where(l->b, qn_build_binary(l->b, QN_OP_less, y, element), element, y) : element;
    }
    qn_onnx_out(l, 0, y);
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

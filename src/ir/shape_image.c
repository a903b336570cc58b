/* Shape rules of the image ops: convolutions, pooling, resizing, sampling, group_norm. */
#include <inttypes.h>

#include "ir/shape.h"

#define TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

static bool is_float(const struct qn_type *type)
{
    return qn_dtype_info(type->dtype)->class_ == QN_DTYPE_CLASS_FLOAT && !type->encoding &&
           (type->dtype == QN_DTYPE_F32 || type->dtype == QN_DTYPE_F64 || type->dtype == QN_DTYPE_F16 ||
            type->dtype == QN_DTYPE_BF16);
}

static qn_status take_float(const struct qn_shape_context *c, uint32_t i)
{
    if (!is_float(c->inputs[i]))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected f32, f16, bf16 or f64", i, TEXT(c, i));
    if (c->inputs[i]->dtype != c->inputs[0]->dtype)
        return QN_ERROR(QN_INVALID_ARGUMENT, "inputs 0 and %u are %s and %s: their dtypes must agree", i, TEXT(c, 0),
                        TEXT(c, i));
    return NULL;
}

/* The weights: as input 0, or halves where that is f32. */
static qn_status take_weights(const struct qn_shape_context *c)
{
    qn_dtype x = c->inputs[0]->dtype, w = c->inputs[1]->dtype;
    if (x == QN_DTYPE_F32 && is_float(c->inputs[1]) && (w == QN_DTYPE_F16 || w == QN_DTYPE_BF16))
        return NULL;
    return take_float(c, 1);
}

/* An input [size], or absent. */
static qn_status take_vector(const struct qn_shape_context *c, uint32_t i, qn_dim size)
{
    if (i >= c->input_count || !c->inputs[i])
        return NULL;
    QN_TRY(take_float(c, i));
    if (c->inputs[i]->rank != 1 || c->inputs[i]->dims[0] != size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected one element an output channel", i, TEXT(c, i));
    return NULL;
}

/* The window of an op over the spatial axes of input 0, as its record gives it. */
struct window {
    uint32_t spatial, first, channel; /* axes: how many are spatial, the first of them, the one of the channels */
    int64_t kernel[3], stride[3], dilation[3];
    qn_dim begin[3], end[3];
};

static qn_status read_ints(const char *what, const struct qn_ints *ints, uint32_t spatial, int64_t *out)
{
    if (ints->count && ints->count != spatial)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u %s for %u spatial axes", ints->count, what, spatial);
    for (uint32_t i = 0; i < spatial; i++) {
        out[i] = ints->count ? ints->items[i] : 1;
        if (out[i] < 1 || out[i] > INT32_MAX)
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s %" PRId64 ": expected 1 or more", what, out[i]);
    }
    return NULL;
}

static qn_status read_pads(const char *what, const struct qn_ints *ints, uint32_t spatial, qn_dim *out)
{
    if (ints->count && ints->count != spatial)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u %s paddings for %u spatial axes", ints->count, what, spatial);
    for (uint32_t i = 0; i < spatial; i++)
        out[i] = ints->count ? ints->items[i] : 0;
    return NULL;
}

/* `kernel` NULL: the caller sets window->kernel. */
static qn_status read_window(const struct qn_shape_context *c, bool channels_last, const struct qn_ints *kernel,
                             const struct qn_ints *strides, const struct qn_ints *dilations,
                             const struct qn_ints *begin, const struct qn_ints *end, struct window *w)
{
    const struct qn_type *x = c->inputs[0];
    if (x->rank < 3 || x->rank > 5)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected a batch, channels and 1 to 3 spatial axes",
                        TEXT(c, 0));
    w->spatial = x->rank - 2;
    w->first = channels_last ? 1 : 2;
    w->channel = channels_last ? x->rank - 1 : 1;
    if (kernel) {
        if (kernel->count != w->spatial)
            return QN_ERROR(QN_INVALID_ARGUMENT, "a window of %u axes for %s", kernel->count, TEXT(c, 0));
        QN_TRY(read_ints("window sizes", kernel, w->spatial, w->kernel));
    }
    QN_TRY(read_ints("strides", strides, w->spatial, w->stride));
    QN_TRY(read_ints("dilations", dilations, w->spatial, w->dilation));
    QN_TRY(read_pads("leading", begin, w->spatial, w->begin));
    return read_pads("trailing", end, w->spatial, w->end);
}

/* Windows along spatial axis i. */
static qn_status window_count(const struct qn_shape_context *c, const struct window *w, uint32_t i, bool ceil,
                              qn_dim *out)
{
    struct qn_graph *g = c->graph;
    qn_dim in = c->inputs[0]->dims[w->first + i], padded, left, started;
    int64_t reach;
    if (__builtin_mul_overflow(w->kernel[i] - 1, w->dilation[i], &reach) || reach >= INT32_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a window of %" PRId64 " elements %" PRId64 " apart is too large",
                        w->kernel[i], w->dilation[i]);
    QN_TRY(qn_graph_expr(g, QN_EXPR_ADD, in, w->begin[i], &padded));
    QN_TRY(qn_graph_expr(g, QN_EXPR_ADD, padded, w->end[i], &padded));
    if (padded >= 0 && padded < reach + 1)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "the window reaches over %" PRId64 " elements along axis %u of %s, padded "
                        "to %" PRId64,
                        reach + 1, w->first + i, TEXT(c, 0), padded);
    QN_TRY(qn_graph_expr(g, QN_EXPR_SUB, padded, reach + 1, &left));
    if (ceil)
        QN_TRY(qn_graph_expr(g, QN_EXPR_ADD, left, w->stride[i] - 1, &left));
    QN_TRY(qn_graph_expr(g, QN_EXPR_DIV, left, w->stride[i], &left));
    QN_TRY(qn_graph_expr(g, QN_EXPR_ADD, left, 1, out));
    if (!ceil)
        return NULL;
    /* a window must not start behind the image: begin + in - 1 is the last place */
    QN_TRY(qn_graph_expr(g, QN_EXPR_ADD, in, w->begin[i], &started));
    QN_TRY(qn_graph_expr(g, QN_EXPR_ADD, started, w->stride[i] - 1, &started));
    QN_TRY(qn_graph_expr(g, QN_EXPR_DIV, started, w->stride[i], &started));
    return qn_graph_expr(g, QN_EXPR_MIN, *out, started, out);
}

/* The channels of x against weights [o, c / groups, kernel...]. */
static qn_status check_channels(const struct qn_shape_context *c, const struct window *w, int64_t groups)
{
    const struct qn_type *x = c->inputs[0], *weights = c->inputs[1];
    qn_dim channels = x->dims[w->channel], per_group = weights->dims[1], all;
    if (groups < 1 || per_group < 1 || weights->dims[0] < 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "weights %s in %" PRId64 " groups", TEXT(c, 1), groups);
    QN_TRY(qn_graph_expr(c->graph, QN_EXPR_MUL, per_group, groups, &all));
    if (all != channels)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s with weights %s in %" PRId64 " groups: the channels do not agree",
                        TEXT(c, 0), TEXT(c, 1), groups);
    if (weights->dims[0] % groups)
        return QN_ERROR(QN_INVALID_ARGUMENT, "weights %s do not divide into %" PRId64 " groups", TEXT(c, 1), groups);
    return NULL;
}

static qn_status read_kernel(const struct qn_shape_context *c, struct window *w)
{
    const struct qn_type *weights = c->inputs[1];
    if (weights->rank != w->spatial + 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "weights %s for %s: expected one rank", TEXT(c, 1), TEXT(c, 0));
    for (uint32_t i = 0; i < w->spatial; i++) {
        w->kernel[i] = weights->dims[2 + i];
        if (w->kernel[i] < 1 || w->kernel[i] > INT32_MAX)
            return QN_ERROR(QN_INVALID_ARGUMENT, "weights %s: the window must have a fixed size of 1 or more",
                            TEXT(c, 1));
    }
    return NULL;
}

/* Output dims of conv, q_conv and conv_integer, whose weights are input `weights`. */
static qn_status conv_dims(const struct qn_shape_context *c, const struct qn_attr_conv *a, qn_dtype dtype)
{
    struct window w;
    struct qn_type *y = &c->outputs[0];
    QN_TRY(read_window(c, a->channels_last, NULL, &a->strides, &a->dilations, &a->begin, &a->end, &w));
    QN_TRY(read_kernel(c, &w));
    QN_TRY(check_channels(c, &w, a->groups ? a->groups : 1));
    qn_dim dims[3];
    for (uint32_t i = 0; i < w.spatial; i++)
        QN_TRY(window_count(c, &w, i, false, &dims[i]));
    *y = (struct qn_type){.dtype = dtype, .rank = c->inputs[0]->rank, .dims = {c->inputs[0]->dims[0]}};
    for (uint32_t i = 0; i < w.spatial; i++)
        y->dims[w.first + i] = dims[i];
    y->dims[w.channel] = c->inputs[1]->dims[0];
    return NULL;
}

qn_status qn_shape_conv(const struct qn_shape_context *c)
{
    const struct qn_attr_conv *a = c->attr;
    QN_TRY(take_float(c, 0));
    QN_TRY(take_weights(c));
    QN_TRY(conv_dims(c, a, c->inputs[0]->dtype));
    struct qn_type *y = &c->outputs[0];
    QN_TRY(take_vector(c, 2, c->inputs[1]->dims[0]));
    if (c->input_count > 3 && c->inputs[3] && !qn_type_equal(c->inputs[3], y))
        return QN_ERROR(QN_INVALID_ARGUMENT, "residual %s: expected the output's type %s", TEXT(c, 3),
                        qn_type_text(c->graph, y).text);
    return take_vector(c, 4, c->inputs[1]->dims[0]);
}

qn_status qn_shape_conv_transpose(const struct qn_shape_context *c)
{
    const struct qn_attr_conv_transpose *a = c->attr;
    const struct qn_type *x = c->inputs[0], *weights = c->inputs[1];
    struct qn_type *y = &c->outputs[0];
    struct window w;
    int64_t groups = a->groups ? a->groups : 1;
    QN_TRY(take_float(c, 0));
    QN_TRY(take_weights(c));
    QN_TRY(read_window(c, a->channels_last, NULL, &a->strides, &a->dilations, &a->begin, &a->end, &w));
    QN_TRY(read_kernel(c, &w));
    if (groups < 1 || weights->dims[0] != x->dims[w.channel] || weights->dims[0] < 1 || weights->dims[0] % groups ||
        weights->dims[1] < 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s with weights %s in %" PRId64 " groups: the channels do not agree",
                        TEXT(c, 0), TEXT(c, 1), groups);
    if (a->dims.count != w.spatial)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u output sizes for %u spatial axes", a->dims.count, w.spatial);
    *y = (struct qn_type){.dtype = x->dtype, .rank = x->rank, .dims = {x->dims[0]}};
    for (uint32_t i = 0; i < w.spatial; i++)
        y->dims[w.first + i] = a->dims.items[i];
    QN_TRY(qn_graph_expr(c->graph, QN_EXPR_MUL, weights->dims[1], groups, &y->dims[w.channel]));
    return take_vector(c, 2, y->dims[w.channel]);
}

qn_status qn_shape_pool(const struct qn_shape_context *c)
{
    const struct qn_attr_pool *a = c->attr;
    const struct qn_type *x = c->inputs[0];
    struct window w;
    if (!is_float(x) && (x->encoding || (qn_dtype_info(x->dtype)->class_ != QN_DTYPE_CLASS_INT &&
                                         qn_dtype_info(x->dtype)->class_ != QN_DTYPE_CLASS_UINT)))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: dtype not taken here", TEXT(c, 0));
    QN_TRY(read_window(c, a->channels_last, &a->kernel, &a->strides, &a->dilations, &a->begin, &a->end, &w));
    c->outputs[0] = *x;
    for (uint32_t i = 0; i < w.spatial; i++)
        QN_TRY(window_count(c, &w, i, a->ceil, &c->outputs[0].dims[w.first + i]));
    return NULL;
}

qn_status qn_shape_pool_indices(const struct qn_shape_context *c)
{
    QN_TRY(qn_shape_pool(c));
    c->outputs[1] = c->outputs[0];
    c->outputs[1].dtype = QN_DTYPE_I64;
    return NULL;
}

qn_status qn_shape_resize(const struct qn_shape_context *c)
{
    const struct qn_attr_resize *a = c->attr;
    const struct qn_type *x = c->inputs[0];
    if (qn_dtype_is_block(x->dtype) || x->encoding)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: dtype not taken here", TEXT(c, 0));
    if (a->dims.count != x->rank || (a->scales.count && a->scales.count != x->rank) ||
        (a->roi_begin.count && a->roi_begin.count != x->rank) || a->roi_begin.count != a->roi_end.count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u sizes, %u scales, regions of %u for %s", a->dims.count,
                        a->scales.count, a->roi_begin.count, TEXT(c, 0));
    for (uint32_t i = 0; i < a->scales.count; i++)
        if (!(a->scales.items[i] > 0))
            return QN_ERROR(QN_INVALID_ARGUMENT, "a scale of %g along axis %u", (double)a->scales.items[i], i);
    c->outputs[0] = *x;
    for (uint32_t i = 0; i < x->rank; i++)
        c->outputs[0].dims[i] = a->dims.items[i];
    return NULL;
}

qn_status qn_shape_grid_sample(const struct qn_shape_context *c)
{
    const struct qn_type *x = c->inputs[0], *grid = c->inputs[1];
    struct qn_type *y = &c->outputs[0];
    QN_TRY(take_float(c, 0));
    if (!is_float(grid) || x->rank < 3 || x->rank > 5 || grid->rank != x->rank || grid->dims[0] != x->dims[0] ||
        grid->dims[grid->rank - 1] != x->rank - 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s sampled at %s: expected [n, c, spatial...] and [n, out..., %u]",
                        TEXT(c, 0), TEXT(c, 1), x->rank < 2 ? 0 : x->rank - 2);
    *y = *x;
    for (uint32_t i = 2; i < x->rank; i++)
        y->dims[i] = grid->dims[i - 1];
    return NULL;
}

qn_status qn_shape_roi_align(const struct qn_shape_context *c)
{
    const struct qn_attr_roi_align *a = c->attr;
    const struct qn_type *x = c->inputs[0], *rois = c->inputs[1], *batch = c->inputs[2];
    QN_TRY(take_float(c, 0));
    if (x->rank != 4 || !is_float(rois) || rois->rank != 2 || rois->dims[1] != 4 || batch->rank != 1 ||
        batch->dims[0] != rois->dims[0] || (batch->dtype != QN_DTYPE_I64 && batch->dtype != QN_DTYPE_I32))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s, regions %s, batch indices %s: expected [n, c, h, w], [r, 4] and [r]",
                        TEXT(c, 0), TEXT(c, 1), TEXT(c, 2));
    if (a->height < 1 || a->width < 1 || a->height > INT32_MAX || a->width > INT32_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "an output of %" PRId64 " by %" PRId64, a->height, a->width);
    c->outputs[0] =
        (struct qn_type){.dtype = x->dtype, .rank = 4, .dims = {rois->dims[0], x->dims[1], a->height, a->width}};
    return NULL;
}

/* An optional image of `channels` channels with the spatial dims of the output. */
static qn_status check_field(const struct qn_shape_context *c, uint32_t i, qn_dim channels)
{
    if (i >= c->input_count || !c->inputs[i])
        return NULL;
    QN_TRY(take_float(c, i));
    struct qn_type want = c->outputs[0];
    want.dims[1] = channels;
    if (!qn_type_equal(c->inputs[i], &want))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected %s", i, TEXT(c, i),
                        qn_type_text(c->graph, &want).text);
    return NULL;
}

qn_status qn_shape_deform_conv(const struct qn_shape_context *c)
{
    const struct qn_attr_deform_conv *a = c->attr;
    struct qn_attr_conv conv = {.strides = a->strides,
                                .dilations = a->dilations,
                                .begin = a->begin,
                                .end = a->end,
                                .groups = a->groups,
                                .channels_last = a->channels_last};
    int64_t shared = a->offset_groups ? a->offset_groups : 1, fields;
    QN_TRY(take_float(c, 0));
    QN_TRY(take_float(c, 1));
    if (c->inputs[0]->rank != 4 || a->channels_last)
        return QN_ERROR(QN_UNSUPPORTED, "%s: expected [n, c, h, w]", TEXT(c, 0));
    QN_TRY(conv_dims(c, &conv, c->inputs[0]->dtype));
    const struct qn_type *w = c->inputs[1];
    if (shared < 1 || c->inputs[0]->dims[1] % shared ||
        __builtin_mul_overflow(shared, w->dims[2] * w->dims[3], &fields) || fields > INT32_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s in %" PRId64 " offset groups", TEXT(c, 0), shared);
    QN_TRY(check_field(c, 2, 2 * fields));
    QN_TRY(take_vector(c, 3, w->dims[0]));
    return check_field(c, 4, fields);
}

qn_status qn_shape_col2im(const struct qn_shape_context *c)
{
    const struct qn_attr_col2im *a = c->attr;
    const struct qn_type *x = c->inputs[0];
    uint32_t spatial = a->image.count;
    QN_TRY(take_float(c, 0));
    if (x->rank != 3 || spatial < 1 || spatial > 3 || a->block.count != spatial)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s to an image of %u axes from blocks of %u", TEXT(c, 0), spatial,
                        a->block.count);
    struct qn_type image = {.dtype = x->dtype, .rank = spatial + 2, .dims = {x->dims[0], 1}};
    for (uint32_t i = 0; i < spatial; i++)
        image.dims[i + 2] = a->image.items[i];
    const struct qn_type *inputs[1] = {&image};
    struct qn_shape_context over = {.graph = c->graph, .inputs = inputs, .input_count = 1};
    struct window w;
    QN_TRY(read_window(&over, false, &a->block, &a->strides, &a->dilations, &a->begin, &a->end, &w));
    int64_t block = 1;
    qn_dim positions = 1, count;
    for (uint32_t i = 0; i < spatial; i++) {
        if (__builtin_mul_overflow(block, a->block.items[i], &block))
            return QN_ERROR(QN_INVALID_ARGUMENT, "the blocks are too large");
        QN_TRY(window_count(&over, &w, i, false, &count));
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_MUL, positions, count, &positions));
    }
    if (x->dims[1] < 0 || x->dims[1] % block || x->dims[2] != positions)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: blocks of %" PRId64 " elements do not make that image",
                        TEXT(c, 0), block);
    image.dims[1] = x->dims[1] / block;
    c->outputs[0] = image;
    return NULL;
}

qn_status qn_shape_group_norm(const struct qn_shape_context *c)
{
    const struct qn_attr_group_norm *a = c->attr;
    const struct qn_type *x = c->inputs[0];
    QN_TRY(take_float(c, 0));
    if (x->rank < 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected a batch and channels", TEXT(c, 0));
    qn_dim channels = x->dims[a->channels_last ? x->rank - 1 : 1];
    if (a->groups < 1 || channels < 1 || channels % a->groups)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s in %" PRId64 " groups of channels", TEXT(c, 0), a->groups);
    QN_TRY(take_vector(c, 1, channels));
    QN_TRY(take_vector(c, 2, channels));
    c->outputs[0] = *x;
    return NULL;
}

#include "format/onnx/ops/image_window.h"

#include <inttypes.h>

static const char *const auto_pads[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};

int64_t qn_onnx_groups(struct qn_lower *l, const char *name)
{
    int64_t groups = qn_onnx_attr_i(l, name, 1);
    if (groups < 1)
        qn_onnx_fail(l, "%s is %" PRId64 ": expected 1 or more", name, groups);
    return groups < 1 ? 1 : groups;
}

int64_t qn_onnx_window_reach(const struct qn_onnx_window *w, uint32_t i)
{
    return (w->kernel.items[i] - 1) * w->dilations.items[i] + 1;
}

/* An attribute of one integer a spatial axis, each at least 1. */
static bool read_list(struct qn_lower *l, const char *name, uint32_t spatial, struct qn_ints *out)
{
    bool given = qn_onnx_attr_ints(l, name, out) && out->count > 0;
    if (given && out->count != spatial) {
        qn_onnx_fail(l, "%s has %u elements for %u spatial axes", name, out->count, spatial);
        return false;
    }
    for (uint32_t i = 0; i < spatial; i++) {
        out->items[i] = given ? out->items[i] : 1;
        if (out->items[i] < 1 || out->items[i] > INT32_MAX) {
            qn_onnx_fail(l, "%s holds %" PRId64 ": expected 1 or more", name, out->items[i]);
            return false;
        }
    }
    out->count = spatial;
    return given;
}

/* Padding that keeps ceil(in / stride) windows along axis i. */
static void same_padding(struct qn_lower *l, qn_dim in, uint32_t i, struct qn_onnx_window *w)
{
    int64_t reach = qn_onnx_window_reach(w, i), stride = w->strides.items[i];
    qn_dim total = reach - 1, half;
    if (stride > 1) {
        qn_dim out = qn_build_expr(l->b, QN_EXPR_ADD, in, stride - 1);
        out = qn_build_expr(l->b, QN_EXPR_DIV, out, stride);
        total = qn_build_expr(l->b, QN_EXPR_MUL, out, stride); /* (out - 1) * stride + reach, at least in */
        total = qn_build_expr(l->b, QN_EXPR_ADD, total, reach);
        total = qn_build_expr(l->b, QN_EXPR_MAX, total, qn_build_expr(l->b, QN_EXPR_ADD, in, stride));
        total = qn_build_expr(l->b, QN_EXPR_SUB, total, qn_build_expr(l->b, QN_EXPR_ADD, in, stride));
    }
    half = qn_build_expr(l->b, QN_EXPR_DIV, total, 2);
    qn_dim rest = qn_build_expr(l->b, QN_EXPR_SUB, total, half);
    bool upper = w->auto_pad == QN_AUTO_PAD_UPPER;
    w->begin.items[i] = upper ? half : rest;
    w->end.items[i] = upper ? rest : half;
}

/* Negative padding cuts elements off. */
static void cut(struct qn_lower *l, qn_value *x, uint32_t axis, int64_t *begin, int64_t *end)
{
    if (*begin >= 0 && *end >= 0)
        return;
    qn_dim dim = qn_build_dim(l->b, *x, axis), start = *begin < 0 ? -*begin : 0;
    qn_dim stop = *end < 0 ? qn_build_expr(l->b, QN_EXPR_SUB, dim, -*end) : dim;
    *x = qn_build_slice(l->b, *x, axis, start, stop);
    *begin = *begin < 0 ? 0 : *begin;
    *end = *end < 0 ? 0 : *end;
}

static void read_padding(struct qn_lower *l, qn_value *x, struct qn_onnx_window *w)
{
    uint64_t count;
    const int64_t *pads = qn_onnx_attr_i64s(l, "pads", &count);
    w->begin.count = w->end.count = w->spatial;
    if (w->auto_pad == QN_AUTO_PAD_NOTSET && count && count != 2 * w->spatial)
        qn_onnx_fail(l, "pads has %" PRIu64 " elements for %u spatial axes", count, w->spatial);
    for (uint32_t i = 0; i < w->spatial && !l->b->status; i++) {
        int64_t begin = 0, end = 0;
        if (w->auto_pad == QN_AUTO_PAD_UPPER || w->auto_pad == QN_AUTO_PAD_LOWER) {
            same_padding(l, qn_build_dim(l->b, *x, w->first + i), i, w);
            continue;
        }
        if (w->auto_pad == QN_AUTO_PAD_NOTSET && count) {
            begin = pads[i];
            end = pads[w->spatial + i];
        }
        if (begin < -INT32_MAX || end < -INT32_MAX || begin > INT32_MAX || end > INT32_MAX) {
            qn_onnx_fail(l, "pads holds %" PRId64 " and %" PRId64, begin, end);
            return;
        }
        cut(l, x, w->first + i, &begin, &end);
        w->begin.items[i] = begin;
        w->end.items[i] = end;
    }
}

bool qn_onnx_window(struct qn_lower *l, qn_value *x, qn_value weights, bool channels_last, struct qn_onnx_window *w)
{
    *w = (struct qn_onnx_window){.first = channels_last ? 1 : 2};
    if (l->b->status || !*x)
        return false;
    uint32_t rank = qn_onnx_rank(l, *x);
    if (rank < 3 || rank > 5) {
        qn_onnx_fail(l, "the input has rank %u: expected a batch, channels and 1 to 3 spatial axes", rank);
        return false;
    }
    if (qn_onnx_type_of(l, *x)->dims[channels_last ? rank - 1 : 1] < 0) {
        qn_onnx_defer(l, "the number of channels is not known");
        return false;
    }
    w->spatial = rank - 2;
    bool given = read_list(l, "kernel_shape", w->spatial, &w->kernel);
    if (weights && (qn_onnx_rank(l, weights) != rank || !qn_onnx_static(l, weights))) {
        if (!l->b->status && qn_onnx_rank(l, weights) != rank)
            qn_onnx_fail(l, "weights of rank %u for an input of rank %u", qn_onnx_rank(l, weights), rank);
        return false;
    }
    for (uint32_t i = 0; weights && i < w->spatial; i++) {
        int64_t size = qn_onnx_type_of(l, weights)->dims[2 + i];
        if (given && size != w->kernel.items[i])
            qn_onnx_fail(l, "kernel_shape holds %" PRId64 " where the weights have %" PRId64, w->kernel.items[i], size);
        w->kernel.items[i] = size;
    }
    if (!weights && !given && !l->b->status)
        qn_onnx_fail(l, "kernel_shape is missing");
    read_list(l, "strides", w->spatial, &w->strides);
    read_list(l, "dilations", w->spatial, &w->dilations);
    w->auto_pad = (enum qn_auto_pad)qn_onnx_attr_choice(l, "auto_pad", QN_AUTO_PAD_NOTSET, auto_pads);
    for (uint32_t i = 0; i < w->spatial && !l->b->status; i++)
        if (w->kernel.items[i] < 1 || w->kernel.items[i] * w->dilations.items[i] > INT32_MAX)
            qn_onnx_fail(l, "a window of %" PRId64 " elements, %" PRId64 " apart", w->kernel.items[i],
                         w->dilations.items[i]);
    if (!l->b->status)
        read_padding(l, x, w);
    return !l->b->status && *x;
}

/* Slice: bounds that count from the end, are cut to the axis, are sizes in terms of symbols, or come out of the run. */
#include <inttypes.h>

#include "format/onnx/import_state.h"

/* One axis of a slice. With a negative step everything is in the coordinates of the reversed axis. */
struct axis_cut {
    uint32_t axis;
    qn_dim dim;
    bool reversed;
};

static qn_dim least(struct qn_lower *l, qn_dim a, qn_dim b)
{
    if (l->b->status)
        return 0;
    if (qn_dim_at_most(l->b->graph, a, b))
        return a;
    return qn_dim_at_most(l->b->graph, b, a) ? b : qn_build_expr(l->b, QN_EXPR_MIN, a, b);
}

static qn_dim most(struct qn_lower *l, qn_dim a, qn_dim b)
{
    if (l->b->status)
        return 0;
    if (qn_dim_at_most(l->b->graph, a, b))
        return b;
    return qn_dim_at_most(l->b->graph, b, a) ? a : qn_build_expr(l->b, QN_EXPR_MAX, a, b);
}

static qn_dim from_end(struct qn_lower *l, qn_dim dim, qn_dim back)
{
    return qn_build_expr(l->b, QN_EXPR_SUB, dim, least(l, back, dim));
}

/* A bound known as plus or as -minus, cut to `highest`. Reversed, element i is number dim - 1 - i. */
static qn_dim known_bound(struct qn_lower *l, const struct axis_cut *c, const struct qn_item *item, qn_dim highest)
{
    if (item->minus == 0) {
        if (!c->reversed)
            return least(l, item->plus, c->dim);
        qn_dim plus = item->plus < INT64_MAX ? item->plus : INT64_MAX - 1; /* beyond any axis, and one more fits */
        return from_end(l, c->dim, qn_build_expr(l->b, QN_EXPR_ADD, plus, 1));
    }
    if (!c->reversed)
        return from_end(l, c->dim, item->minus);
    return least(l, qn_build_expr(l->b, QN_EXPR_SUB, item->minus, 1), highest);
}

static qn_value dim_value(struct qn_lower *l, qn_dim dim)
{
    if (dim >= 0)
        return qn_onnx_i64(l, dim);
    struct qn_attr_dims attr = {.dims = {.count = 1, .items = {dim}}, .scalar = true};
    return qn_build_node(l->b, QN_OP_dims, NULL, 0, &attr, NULL);
}

/* Element k of a list of bounds, as i64 []. */
static qn_value element(struct qn_lower *l, uint32_t input, uint32_t k)
{
    qn_value x = qn_build_cast(l->b, qn_onnx_in(l, input), QN_DTYPE_I64);
    if (qn_onnx_rank(l, x) == 1)
        x = qn_build_slice(l->b, x, 0, k, k + 1);
    return qn_build_reshape(l->b, x, 0, NULL);
}

/* A bound that the run computes: the same arithmetic on tensors, within these two, bound to a late symbol. */
static qn_dim run_bound(struct qn_lower *l, const struct axis_cut *c, qn_value v, qn_dim lowest, qn_dim highest)
{
    qn_value zero = qn_onnx_i64(l, 0), size = dim_value(l, c->dim);
    qn_value negative = qn_build_binary(l->b, QN_OP_less, v, zero);
    qn_value positive = qn_build_binary(l->b, QN_OP_add, v, size);
    v = qn_build_where(l->b, negative, positive, v);
    if (c->reversed)
        v = qn_build_binary(l->b, QN_OP_sub, qn_build_binary(l->b, QN_OP_sub, size, qn_onnx_i64(l, 1)), v);
    v = qn_build_binary(l->b, QN_OP_min, v, dim_value(l, highest));
    v = qn_build_binary(l->b, QN_OP_max, v, dim_value(l, lowest));
    struct qn_attr_bind_dims attr = {.dims = {.count = 1, .items = {qn_onnx_late(l, "bound")}}};
    qn_build_node(l->b, QN_OP_bind_dims, &v, 1, &attr, NULL);
    return attr.dims.items[0];
}

static qn_dim bound(struct qn_lower *l, const struct axis_cut *c, const struct qn_contents *contents, uint32_t input,
                    uint32_t k, qn_dim lowest, qn_dim highest)
{
    const struct qn_item *item = contents && k < contents->count && !contents->inputs ? &contents->items[k] : NULL;
    const struct qn_item lowest_item = qn_item_number(-INT64_MAX);
    item = item && item->lowest ? &lowest_item : item;
    if (item && item->known && (item->plus == 0 || item->minus == 0))
        return most(l, lowest, known_bound(l, c, item, highest));
    return run_bound(l, c, element(l, input, k), lowest, highest);
}

static qn_value cut_axis(struct qn_lower *l, qn_value x, const struct axis_cut *c, qn_dim start, qn_dim stop,
                         int64_t step)
{
    if (c->reversed) {
        struct qn_attr_axes attr = {.axes = {.count = 1, .items = {c->axis}}};
        x = qn_build_node(l->b, QN_OP_reverse, &x, 1, &attr, NULL);
    }
    if (start == 0 && stop == c->dim && step == 1)
        return x;
    struct qn_attr_slice attr = {.axis = c->axis, .start = start, .stop = stop, .step = step};
    return qn_build_node(l->b, QN_OP_slice, &x, 1, &attr, NULL);
}

/* Version 1 has its bounds as attributes. */
QN_ONNX_LOWER(slice_v1)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_ints starts, ends, axes;
    qn_onnx_attr_ints(l, "starts", &starts);
    qn_onnx_attr_ints(l, "ends", &ends);
    bool named = qn_onnx_attr_ints(l, "axes", &axes);
    if (starts.count != ends.count || (named && axes.count != starts.count))
        qn_onnx_fail(l, "starts, ends and axes have %" PRIu32 ", %" PRIu32 " and %" PRIu32 " entries", starts.count,
                     ends.count, axes.count);
    for (uint32_t i = 0; i < starts.count && !l->b->status; i++) {
        struct axis_cut c = {.axis = (uint32_t)qn_onnx_axis(l, named ? axes.items[i] : i, qn_onnx_rank(l, x), 0)};
        struct qn_item start = qn_item_number(starts.items[i]), end = qn_item_number(ends.items[i]);
        c.dim = qn_build_dim(l->b, x, c.axis);
        qn_dim from = l->b->status ? 0 : known_bound(l, &c, &start, c.dim);
        x = l->b->status ? 0 : cut_axis(l, x, &c, from, most(l, from, known_bound(l, &c, &end, c.dim)), 1);
    }
    qn_onnx_out(l, 0, x);
}

/* Number of bounds: as many as there are starts. */
static uint32_t bound_count(struct qn_lower *l, const struct qn_contents *starts)
{
    if (starts)
        return starts->count;
    qn_value v = qn_onnx_in(l, 1);
    if (l->b->status)
        return 0;
    if (qn_onnx_rank(l, v) == 0)
        return 1;
    if (qn_build_dim(l->b, v, 0) < 0 || qn_onnx_rank(l, v) > 1) {
        qn_onnx_defer(l, "the number of axes to cut is not known before the run");
        return 0;
    }
    return (uint32_t)(qn_build_dim(l->b, v, 0) < QN_MAX_RANK ? qn_build_dim(l->b, v, 0) : QN_MAX_RANK);
}

QN_ONNX_LOWER(slice)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_ints axes, steps;
    const struct qn_contents *starts = qn_onnx_in_contents(l, 1), *ends = qn_onnx_in_contents(l, 2);
    bool named = qn_onnx_known(l, 3, &axes), stepped = qn_onnx_known(l, 4, &steps);
    uint32_t count = l->b->status ? 0 : bound_count(l, starts);
    if ((named && axes.count != count) || (stepped && steps.count != count) || count > qn_onnx_rank(l, x))
        qn_onnx_fail(l, "starts, axes and steps have %" PRIu32 ", %" PRIu32 " and %" PRIu32 " entries", count,
                     axes.count, steps.count);
    for (uint32_t i = 0; i < count && !l->b->status; i++) {
        int64_t step = stepped ? steps.items[i] : 1;
        struct axis_cut c = {.axis = (uint32_t)qn_onnx_axis(l, named ? axes.items[i] : i, qn_onnx_rank(l, x), 0),
                             .reversed = step < 0};
        if (step == 0 || step == INT64_MIN)
            qn_onnx_fail(l, "step %" PRId64, step);
        c.dim = l->b->status ? 0 : qn_build_dim(l->b, x, c.axis);
        /* walking down, a start before the first element is that element */
        qn_dim last = l->b->status || !c.reversed ? c.dim : from_end(l, c.dim, 1);
        qn_dim from = l->b->status ? 0 : bound(l, &c, starts, 1, i, 0, last);
        qn_dim to = l->b->status ? 0 : bound(l, &c, ends, 2, i, from, c.dim);
        x = l->b->status ? 0 : cut_axis(l, x, &c, from, to, step < 0 ? -step : step);
    }
    qn_onnx_out(l, 0, x);
}

/* Smaller ops of com.microsoft: old forms of what is in ai.onnx by now, distances, windows, crops, n-grams. */
#include <inttypes.h>
#include <math.h>

#include "format/onnx/ops/attend.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)
#define UNARY(op, x) qn_lower_unary(l, QN_OP_##op, x)

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

/* ---- as in ai.onnx -------------------------------------------------------------------------------------------- */

/* pads as an input, as from opset 11 on */
QN_ONNX_LOWER(inverse)
{
    qn_value x = qn_onnx_in(l, 0), wide = qn_lower_widen(l, x);
    qn_lower_out_like(l, qn_build_node(l->b, QN_OP_inverse, &wide, 1, NULL, NULL), x);
}

QN_ONNX_LOWER(ms_pad)
{
    l->opset = 13;
    qn_lower_pad(l);
}

QN_ONNX_LOWER(ms_gather_nd)
{
    l->opset = 12;
    qn_lower_gather_nd(l);
}

QN_ONNX_LOWER(expand_dims)
{
    struct qn_ints axes;
    if (!qn_onnx_known(l, 1, &axes))
        return;
    axes.items[0] = qn_onnx_axis(l, axes.items[0], qn_onnx_rank(l, qn_onnx_in(l, 0)), 1);
    qn_onnx_out(l, 0, qn_onnx_unsqueeze(l, qn_onnx_in(l, 0), &axes));
}

/* In the order of their first appearance: values, where each element of x is among them, how often each one is. */
QN_ONNX_LOWER(ms_unique)
{
    qn_value x = qn_onnx_in(l, 0), outs[4];
    struct qn_attr_unique attr = {.count = qn_onnx_late(l, "unique"), .flat = true, .unsorted = true};
    qn_onnx_node(l, QN_OP_unique, &x, 1, &attr, outs, 4);
    qn_onnx_out(l, 0, outs[0]);
    qn_onnx_out(l, 1, outs[2]);
    qn_onnx_out(l, 2, outs[3]);
}

QN_ONNX_LOWER(matmul_integer16)
{
    qn_value x = qn_build_cast(l->b, qn_onnx_in(l, 0), QN_DTYPE_I32);
    qn_onnx_out(l, 0, qn_build_matmul(l->b, x, qn_build_cast(l->b, qn_onnx_in(l, 1), QN_DTYPE_I32), false, NULL));
}

/* Of real lines along the last axis: [..., n] to [..., n / 2 + 1, 2]; and back, to an even n. */
QN_ONNX_LOWER(real_fft)
{
    bool inverse = qn_str_is(l->node->op_type, "Irfft");
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    uint32_t rank = qn_onnx_rank(l, x);
    if (l->b->status)
        return;
    if (qn_onnx_attr_i(l, "signal_ndim", 1) != 1 || qn_onnx_attr_i(l, "normalized", 0) ||
        !qn_onnx_attr_i(l, "onesided", 1) || rank < (inverse ? 2 : 1) || rank + 1 > QN_MAX_RANK) {
        qn_onnx_fail(l, "a transform of other than one signal axis, normalised or not one-sided");
        return;
    }
    struct qn_attr_fft attr = {.axis = inverse ? rank - 2 : rank - 1, .inverse = inverse, .onesided = true};
    attr.length = dim_of(l, x, (uint32_t)attr.axis);
    if (inverse)
        attr.length = qn_build_expr(l->b, QN_EXPR_MUL, qn_build_expr(l->b, QN_EXPR_SUB, attr.length, 1), 2);
    const struct qn_ints last = {1, {inverse ? rank - 1 : rank}};
    x = inverse ? x : qn_onnx_unsqueeze(l, x, &last);
    x = qn_build_node(l->b, QN_OP_fft, &x, 1, &attr, NULL);
    qn_lower_out_like(l, inverse ? qn_onnx_squeeze(l, x, &last) : x, in);
}

/* ---- distances ------------------------------------------------------------------------------------------------ */

/* Rows of a [m, n] to rows of b [k, n]: |a|^2 + |b|^2 - 2 a b, and its root. */
QN_ONNX_LOWER(cdist)
{
    static const char *const metrics[] = {"euclidean", "sqeuclidean", NULL};
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 1);
    bool squared = qn_onnx_attr_choice(l, "metric", 1, metrics) == 1;
    if (l->b->status)
        return;
    qn_value rows = qn_build_reduce(l->b, QN_OP_reduce_sum, BINARY(mul, a, a), 1, true);
    qn_value columns = qn_build_reduce(l->b, QN_OP_reduce_sum, BINARY(mul, b, b), 1, false);
    qn_value product = qn_build_matmul(l->b, a, qn_build_transpose(l->b, b, 2, (int64_t[]){1, 0}), false, NULL);
    qn_value y = BINARY(sub, BINARY(add, rows, columns), qn_lower_with_number(l, QN_OP_mul, product, 2));
    y = qn_lower_with_number(l, QN_OP_max, y, 0);
    qn_onnx_out(l, 0, squared ? y : UNARY(sqrt, y));
}

/* ---- windows and crops ---------------------------------------------------------------------------------------- */

/* Slices of `size` along an axis, `step` apart; a last axis of `size` is added. */
QN_ONNX_LOWER(unfold_tensor)
{
    qn_value x = qn_onnx_in(l, 0);
    uint32_t rank = qn_onnx_rank(l, x);
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "dim", -1), rank, 0), size = qn_onnx_attr_i(l, "size", 0);
    int64_t step = qn_onnx_attr_i(l, "step", 1), perm[QN_MAX_RANK] = {0};
    if (l->b->status)
        return;
    qn_dim length = dim_of(l, x, (uint32_t)axis);
    if (size < 1 || step < 1 || size > INT32_MAX || step > INT32_MAX || rank + 1 > QN_MAX_RANK ||
        (length >= 0 && length < size)) {
        qn_onnx_fail(l, "windows of %" PRId64 ", %" PRId64 " apart, from %" PRId64 " elements", size, step, length);
        return;
    }
    qn_dim count = qn_build_expr(l->b, QN_EXPR_DIV, qn_build_expr(l->b, QN_EXPR_SUB, length, size), step);
    qn_value from = qn_attend_count(l, qn_build_expr(l->b, QN_EXPR_ADD, count, 1), 0, 2);
    qn_value at = BINARY(add, BINARY(mul, from, qn_onnx_i64(l, step)), qn_attend_count(l, size, 1, 2));
    qn_value y = qn_build_gather(l->b, x, at, axis, 0);
    for (uint32_t i = 0; i <= rank; i++)
        perm[i] = i <= axis ? i : i == rank ? axis + 1 : i + 1;
    qn_onnx_out(l, 0, qn_build_transpose(l->b, y, rank + 1, perm));
}

/* Where an axis of the crops lies in an axis of the images, in elements. */
struct line {
    qn_value at, seen; /* [regions, count, 1] or [regions, 1, count]; seen: within the image */
    qn_value last;     /* of the image, f32 [] */
};

/* The region's ends (columns `first` and first + 2) are its first and last positions; a single one lies in the
 * middle. */
static struct line line_of(struct qn_lower *l, qn_value regions, int64_t first, int64_t count, qn_dim size, bool round)
{
    const struct qn_ints ones = {1, {first == 0 ? 2 : 1}};
    struct line y = {.last = qn_build_cast(l->b, qn_attend_size(l, size), QN_DTYPE_F32)};
    y.last = qn_lower_with_number(l, QN_OP_sub, y.last, 1);
    qn_value from = qn_build_slice(l->b, regions, 1, first, first + 1);
    qn_value to = qn_build_slice(l->b, regions, 1, first + 2, first + 3);
    if (count > 1) {
        qn_value step = BINARY(mul, BINARY(sub, to, from), y.last);
        step = qn_lower_with_number(l, QN_OP_div, step, (double)(count - 1));
        qn_value i = qn_build_cast(l->b, qn_attend_count(l, count, 1, 2), QN_DTYPE_F32);
        y.at = BINARY(add, BINARY(mul, from, y.last), BINARY(mul, i, step));
    } else {
        y.at = BINARY(mul, qn_lower_with_number(l, QN_OP_mul, BINARY(add, from, to), 0.5), y.last);
    }
    y.at = qn_onnx_unsqueeze(l, y.at, &ones);
    qn_value zero = qn_onnx_number(l, QN_DTYPE_F32, 0);
    y.seen = BINARY(and, BINARY(less_equal, zero, y.at), BINARY(less_equal, y.at, y.last));
    if (round)
        y.at = UNARY(floor, qn_lower_with_number(l, QN_OP_add, y.at, 0.5));
    return y;
}

/* The line's positions for every element of the crops, as grid_sample counts them: -1 to 1. [regions, h, w, 1] */
static qn_value grid_of(struct qn_lower *l, const struct line *line, const struct qn_attr_reshape *whole)
{
    const struct qn_ints last = {1, {3}};
    qn_value y = qn_lower_with_number(l, QN_OP_mul, line->at, 2);
    y = BINARY(div, y, qn_lower_with_number(l, QN_OP_max, line->last, 1));
    y = qn_lower_with_number(l, QN_OP_sub, y, 1);
    return qn_onnx_unsqueeze(l, qn_build_node(l->b, QN_OP_expand, &y, 1, whole, NULL), &last);
}

/* x [n, c, h, w], regions [r, 4] (y1 x1 y2 x2), their images [r]: [r, c, height, width] */
QN_ONNX_LOWER(crop_and_resize)
{
    static const char *const modes[] = {"nearest", "bilinear", NULL};
    qn_value x = qn_onnx_in(l, 0), regions = qn_onnx_in(l, 1), images = qn_onnx_in(l, 2);
    struct qn_ints size;
    struct qn_attr_grid_sample attr = {
        .mode = qn_onnx_attr_choice(l, "mode", 1, modes), .padding = 1, .align_corners = true};
    if (!qn_onnx_known(l, 3, &size))
        return;
    if (size.count != 2 || size.items[0] < 1 || size.items[1] < 1 || size.items[0] > INT32_MAX ||
        size.items[1] > INT32_MAX) {
        qn_onnx_fail(l, "crop_size must be two numbers above 0");
        return;
    }
    if (l->b->status)
        return;
    struct line y = line_of(l, regions, 0, size.items[0], dim_of(l, x, 2), attr.mode == 0);
    struct line along = line_of(l, regions, 1, size.items[1], dim_of(l, x, 3), attr.mode == 0);
    struct qn_attr_reshape whole = {.dims = {3, {dim_of(l, regions, 0), size.items[0], size.items[1]}}};
    const struct qn_ints channels = {1, {1}};
    qn_value seen = BINARY(and, y.seen, along.seen);
    qn_value grid = qn_build_concat(l->b, grid_of(l, &along, &whole), grid_of(l, &y, &whole), 3);
    qn_value in[2] = {qn_build_gather(l->b, x, images, 0, 0), grid};
    qn_value crop = qn_build_node(l->b, QN_OP_grid_sample, in, 2, &attr, NULL);
    qn_value outside = qn_onnx_number(l, QN_DTYPE_F32, (double)qn_onnx_attr_f(l, "extrapolation_value", 0));
    qn_onnx_out(l, 0, qn_build_where(l->b, qn_onnx_unsqueeze(l, seen, &channels), crop, outside));
}

/* ---- n-grams -------------------------------------------------------------------------------------------------- */

/* scores [b, words] with -inf for each word that would complete an n-gram that ids [b, s] have already. */
QN_ONNX_LOWER(ngram_repeat_block)
{
    qn_value ids = qn_build_cast(l->b, qn_onnx_in(l, 0), QN_DTYPE_I64), scores = qn_onnx_in(l, 1), seen = 0;
    int64_t n = qn_onnx_attr_i(l, "ngram_size", 0);
    if (n < 1 || n > 64)
        qn_onnx_fail(l, "ngram_size is %" PRId64 ", expected 1 to 64", n);
    if (l->b->status)
        return;
    qn_dim length = dim_of(l, ids, 1), count = qn_build_expr(l->b, QN_EXPR_SUB, length, n - 1);
    if (length >= 0 && length < n) {
        qn_onnx_out(l, 0, scores);
        return;
    }
    for (int64_t i = 0; i + 1 < n && !l->b->status; i++) { /* the last n - 1 ids against those of every n-gram */
        qn_value old = qn_build_slice(l->b, ids, 1, i, qn_build_expr(l->b, QN_EXPR_ADD, count, i));
        qn_dim at = qn_build_expr(l->b, QN_EXPR_ADD, count, i);
        qn_value now = qn_build_slice(l->b, ids, 1, at, qn_build_expr(l->b, QN_EXPR_ADD, at, 1));
        qn_value same = BINARY(equal, old, now);
        seen = seen ? BINARY(and, seen, same) : same;
    }
    qn_dtype dtype = qn_onnx_type_of(l, scores)->dtype;
    qn_value words = qn_build_slice(l->b, ids, 1, n - 1, length);
    seen = seen ? seen : BINARY(equal, words, words);
    qn_value out = qn_build_where(l->b, seen, qn_onnx_number(l, dtype, -(double)INFINITY),
                                  qn_onnx_number(l, dtype, (double)INFINITY));
    struct qn_attr_scatter attr = {.axis = 1, .reduction = 4};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_scatter_elements, (qn_value[]){scores, words, out}, 3, &attr, NULL));
}

/* ---- paths ---------------------------------------------------------------------------------------------------- */

/* costs [m, n] or [1, m, n] */
QN_ONNX_LOWER(time_warping)
{
    const struct qn_ints front = {1, {0}};
    struct qn_attr_count attr = {.count = qn_onnx_late(l, "path")};
    qn_value costs = qn_onnx_in(l, 0);
    costs = qn_onnx_rank(l, costs) == 3 ? qn_onnx_squeeze(l, costs, &front) : costs;
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_time_warp, &costs, 1, &attr, NULL));
}

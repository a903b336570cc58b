/* Ops that change the shape of tensors and leave their elements as they are. */
#include <inttypes.h>

#include "format/onnx/import_state.h"

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

static qn_dim product(struct qn_lower *l, qn_value x, uint32_t first, uint32_t last)
{
    qn_dim out = 1;
    for (uint32_t i = first; i < last; i++)
        out = qn_build_expr(l->b, QN_EXPR_MUL, out, dim_of(l, x, i));
    return out;
}

/* ---- sizes of tensors ----------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(shape)
{
    qn_value x = qn_onnx_in(l, 0);
    int64_t rank = qn_onnx_rank(l, x), start = qn_onnx_attr_i(l, "start", 0), end = qn_onnx_attr_i(l, "end", rank);
    struct qn_contents c = {.dtype = QN_DTYPE_I64, .rank = 1};
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    c.fixed = l->import->inputs == NULL;
    if (l->b->status)
        return;
    for (int64_t i = start < 0 ? 0 : start; i < end && i < rank; i++)
        c.items[c.count++] = qn_item_dim(dim_of(l, x, (uint32_t)i));
    qn_onnx_out_contents(l, 0, &c);
}

QN_ONNX_LOWER(size)
{
    qn_value x = qn_onnx_in(l, 0);
    qn_dim all = product(l, x, 0, qn_onnx_rank(l, x));
    struct qn_contents c = {
        .dtype = QN_DTYPE_I64, .count = 1, .fixed = l->import->inputs == NULL, .items = {qn_item_dim(all)}};
    qn_onnx_out_contents(l, 0, &c);
}

/* ---- the same elements under another shape -------------------------------------------------------------------- */

/* Sizes, of which one may be -1 and some 0 ("as the input"), brought to dims. */
static void reshape_to(struct qn_lower *l, qn_value x, const struct qn_sizes *sizes, bool allow_zero)
{
    qn_dim dims[QN_MAX_RANK], known = 1;
    int open = -1;
    uint32_t rank = qn_onnx_rank(l, x);
    if (sizes->count > QN_MAX_RANK)
        qn_onnx_fail(l, "rank %" PRIu32 ", at most %d", sizes->count, QN_MAX_RANK);
    for (uint32_t i = 0; i < sizes->count && !l->b->status; i++) {
        const struct qn_size *size = &sizes->items[i];
        if (!size->symbolic && size->number == -1) {
            if (open >= 0)
                qn_onnx_fail(l, "two sizes are -1");
            open = (int)i;
            continue;
        }
        if (!size->symbolic && size->number == 0 && !allow_zero) {
            if (i >= rank)
                qn_onnx_fail(l, "size %" PRIu32 " is that of the input, which has rank %" PRIu32, i, rank);
            else
                dims[i] = dim_of(l, x, i);
        } else {
            dims[i] = qn_onnx_size_dim(l, size);
        }
        known = l->b->status ? 1 : qn_build_expr(l->b, QN_EXPR_MUL, known, dims[i]);
    }
    if (open >= 0 && !l->b->status)
        dims[open] = known == 0 ? 0 : qn_build_expr(l->b, QN_EXPR_DIV, product(l, x, 0, rank), known);
    if (!l->b->status)
        qn_onnx_out(l, 0, qn_build_reshape(l->b, x, sizes->count, dims));
}

static void from_ints(const struct qn_ints *ints, struct qn_sizes *sizes)
{
    *sizes = (struct qn_sizes){.count = ints->count};
    for (uint32_t i = 0; i < ints->count; i++)
        sizes->items[i].number = ints->items[i];
}

QN_ONNX_LOWER(reshape)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_sizes sizes;
    struct qn_ints ints;
    if (l->opset < 5) {
        qn_onnx_attr_ints(l, "shape", &ints);
        from_ints(&ints, &sizes);
    } else if (!qn_onnx_try_sizes(l, 1, &sizes)) {
        if (!qn_onnx_known(l, 1, &ints))
            return;
        from_ints(&ints, &sizes);
    }
    const struct qn_contents *list = l->opset < 5 ? NULL : qn_onnx_in_contents(l, 1);
    if (list && list->rank != 1)
        qn_onnx_fail(l, "the shape is a tensor of rank %" PRIu32 ", expected 1", list->rank);
    reshape_to(l, x, &sizes, qn_onnx_attr_i(l, "allowzero", 0) != 0);
}

QN_ONNX_LOWER(flatten)
{
    qn_value x = qn_onnx_in(l, 0);
    uint32_t rank = qn_onnx_rank(l, x);
    uint32_t axis = (uint32_t)qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 1), rank, 1);
    int64_t given = qn_onnx_attr_i(l, "axis", 1);
    if (given < 0) /* counted without the place behind the last */
        axis = (uint32_t)qn_onnx_axis(l, given, rank, 0);
    if (!l->b->status)
        qn_onnx_out(l, 0, qn_build_reshape(l->b, x, 2, (qn_dim[]){product(l, x, 0, axis), product(l, x, axis, rank)}));
}

/* Axes as an attribute, since some version as an input; false when there are none. */
static bool axes_of(struct qn_lower *l, uint32_t since, struct qn_ints *axes)
{
    if (l->opset < since)
        return qn_onnx_attr_ints(l, "axes", axes);
    *axes = (struct qn_ints){0};
    return qn_onnx_has(l, 1) && qn_onnx_known(l, 1, axes);
}

QN_ONNX_LOWER(squeeze)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_ints axes;
    if (!axes_of(l, 13, &axes) && qn_onnx_static(l, x))
        for (uint32_t i = 0; i < qn_onnx_rank(l, x); i++)
            if (dim_of(l, x, i) == 1)
                axes.items[axes.count++] = i;
    if (!l->b->status)
        qn_onnx_out(l, 0, qn_onnx_squeeze(l, x, &axes));
}

QN_ONNX_LOWER(unsqueeze)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_ints axes;
    axes_of(l, 13, &axes);
    if (!l->b->status)
        qn_onnx_out(l, 0, qn_onnx_unsqueeze(l, x, &axes));
}

QN_ONNX_LOWER(transpose)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_ints perm;
    uint32_t rank = qn_onnx_rank(l, x);
    if (!qn_onnx_attr_ints(l, "perm", &perm)) {
        perm.count = rank;
        for (uint32_t i = 0; i < rank; i++)
            perm.items[i] = rank - 1 - i;
    }
    for (uint32_t i = 0; i < perm.count; i++)
        perm.items[i] = qn_onnx_axis(l, perm.items[i], rank, 0);
    qn_onnx_out(l, 0, qn_build_transpose(l->b, x, perm.count, perm.items));
}

QN_ONNX_LOWER(identity)
{
    qn_onnx_out_same(l, 0, 0);
}

/* ---- joining and cutting -------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(concat)
{
    qn_value *parts = QN_ARENA_ARRAY(&l->import->arena, qn_value, (size_t)l->input_count + 1);
    if (!parts) {
        l->b->status = l->b->status ? l->b->status : QN_OOM();
        return;
    }
    for (uint32_t i = 0; i < l->input_count; i++)
        parts[i] = qn_onnx_in(l, i);
    if (l->opset >= 4 && !qn_onnx_has_attr(l, "axis"))
        qn_onnx_fail(l, "attribute 'axis' is missing");
    struct qn_attr_axis attr = {.axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 1), qn_onnx_rank(l, parts[0]), 0)};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_concat, parts, l->input_count, &attr, NULL));
}

/* Sizes of the parts when none are given: equal ones, the last as small as it must be. */
static void equal_parts(struct qn_lower *l, qn_dim dim, int64_t parts, struct qn_sizes *sizes)
{
    if (parts < 1 || parts > QN_MAX_RANK * 4) {
        qn_onnx_defer(l, "a split into so many parts");
        return;
    }
    qn_dim chunk = qn_build_expr(l->b, QN_EXPR_ADD, dim, parts - 1);
    chunk = qn_build_expr(l->b, QN_EXPR_DIV, chunk, parts);
    qn_dim rest = dim;
    for (int64_t i = 0; i < parts; i++) {
        qn_dim size = chunk;
        if (i == parts - 1 && dim >= 0 && dim % parts)
            size = rest;
        else if (dim >= 0)
            size = chunk < rest ? chunk : rest;
        if (dim >= 0)
            rest -= size;
        sizes->items[i] = (struct qn_size){.symbolic = size < 0, .number = size, .dim = size};
    }
    sizes->count = (uint32_t)parts;
}

/* More parts than qn_sizes holds: numbers from an attribute or a constant. */
static const int64_t *many_parts(struct qn_lower *l, uint64_t *count)
{
    const int64_t *sizes = qn_onnx_attr_i64s(l, "split", count);
    if (sizes || l->opset < 13 || !qn_onnx_has(l, 1))
        return sizes;
    const struct qn_type *type = qn_onnx_type_of(l, qn_onnx_in(l, 1));
    sizes = type->rank == 1 && type->dims[0] >= 0 ? qn_onnx_try_constant(l, 1) : NULL;
    *count = sizes ? (uint64_t)type->dims[0] : 0;
    return sizes;
}

QN_ONNX_LOWER(split)
{
    qn_value x = qn_onnx_in(l, 0);
    uint32_t axis = (uint32_t)qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, x), 0);
    struct qn_sizes sizes = {0};
    uint64_t many = 0;
    const int64_t *numbers = l->b->status ? NULL : many_parts(l, &many);
    if (l->b->status)
        return;
    bool given = numbers || qn_onnx_has(l, 1);
    if (l->opset >= 18 && given == qn_onnx_has_attr(l, "num_outputs"))
        qn_onnx_fail(l, "needs the input split or the attribute num_outputs, %s", given ? "and has both" : "has none");
    if (!numbers && given) {
        qn_onnx_sizes(l, 1, &sizes);
    } else if (!numbers) {
        int64_t parts = qn_onnx_attr_i(l, "num_outputs", l->output_count);
        qn_dim dim = dim_of(l, x, axis);
        if (dim >= 0 && l->opset < 18 && parts > 0 && dim % parts)
            qn_onnx_fail(l, "axis of size %" PRId64 " cannot be split into %" PRId64 " equal parts", dim, parts);
        equal_parts(l, dim, parts, &sizes);
    }
    uint64_t count = numbers ? many : sizes.count;
    if (count != l->output_count)
        qn_onnx_fail(l, "%" PRIu64 " sizes for %" PRIu32 " outputs", count, l->output_count);
    qn_dim at = 0, dim = l->b->status ? 0 : dim_of(l, x, axis);
    for (uint32_t i = 0; i < count && !l->b->status; i++) {
        struct qn_size number = {.number = numbers ? numbers[i] : 0};
        qn_dim size = qn_onnx_size_dim(l, numbers ? &number : &sizes.items[i]);
        qn_dim next = qn_build_expr(l->b, QN_EXPR_ADD, at, size);
        if (i + 1 == count && dim < 0 && !numbers)
            next = dim;
        if (i < l->output_count && qn_onnx_wants(l, i))
            qn_onnx_out(l, i, qn_build_slice(l->b, x, axis, at, next));
        at = next;
    }
    if (!l->b->status && at >= 0 && dim >= 0 && at != dim)
        qn_onnx_fail(l, "the parts add up to %" PRId64 ", the axis has %" PRId64, at, dim);
}

QN_ONNX_LOWER(gather)
{
    qn_value x = qn_onnx_in(l, 0), indices = qn_onnx_in(l, 1);
    struct qn_attr_gather attr = {
        .axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, x), 0),
        .from_end = true,
    };
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_gather, (qn_value[]){x, indices}, 2, &attr, NULL));
}

/* ---- repeating ------------------------------------------------------------------------------------------------ */

QN_ONNX_LOWER(expand)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_sizes sizes;
    struct qn_attr_reshape attr = {0};
    if (!qn_onnx_sizes(l, 1, &sizes) || l->b->status)
        return;
    uint32_t rank = qn_onnx_rank(l, x), out = rank > sizes.count ? rank : sizes.count;
    if (out > QN_MAX_RANK) {
        qn_onnx_fail(l, "rank %" PRIu32 ", at most %d", out, QN_MAX_RANK);
        return;
    }
    attr.dims.count = out;
    for (uint32_t i = 0; i < out && !l->b->status; i++) {
        qn_dim a = i + rank >= out ? dim_of(l, x, i + rank - out) : 1, s = 1;
        if (i + sizes.count >= out) {
            const struct qn_size *size = &sizes.items[i + sizes.count - out];
            s = !size->symbolic && size->number == -1 ? a : qn_onnx_size_dim(l, size);
        }
        qn_dim *dim = &attr.dims.items[i];
        if (a == 1 || (s >= 0 && s != 1))
            *dim = s;
        else if (s == 1 || a >= 0 || qn_dim_compare(l->b->graph, a, s) == QN_DIM_EQUAL)
            *dim = a;
        else
            *dim = qn_build_expr(l->b, QN_EXPR_MAX, a, s);
    }
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_expand, &x, 1, &attr, NULL));
}

/* x repeated along one axis: the block behind the axis gets a new one in front of it. */
static qn_value repeat(struct qn_lower *l, qn_value x, uint32_t axis, qn_dim times)
{
    uint32_t rank = qn_onnx_rank(l, x);
    qn_dim dims[QN_MAX_RANK], before = product(l, x, 0, axis), after = product(l, x, axis, rank);
    if (times == 1 || l->b->status)
        return x;
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = dim_of(l, x, i);
    dims[axis] = qn_build_expr(l->b, QN_EXPR_MUL, dims[axis], times);
    x = qn_build_reshape(l->b, x, 3, (qn_dim[]){before, 1, after});
    struct qn_attr_reshape attr = {.dims = {.count = 3, .items = {before, times, after}}};
    x = qn_build_node(l->b, QN_OP_expand, &x, 1, &attr, NULL);
    return qn_build_reshape(l->b, x, rank, dims);
}

QN_ONNX_LOWER(tile)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_sizes sizes;
    if (l->opset < 6) {
        struct qn_ints axis;
        if (qn_onnx_known(l, 2, &axis) && qn_onnx_sizes(l, 1, &sizes)) {
            int64_t at = qn_onnx_axis(l, axis.items[0], qn_onnx_rank(l, x), 0);
            qn_onnx_out(l, 0, repeat(l, x, (uint32_t)at, qn_onnx_size_dim(l, &sizes.items[0])));
        }
        return;
    }
    if (!qn_onnx_sizes(l, 1, &sizes))
        return;
    if (sizes.count != qn_onnx_rank(l, x))
        qn_onnx_fail(l, "%" PRIu32 " repeats for rank %" PRIu32, sizes.count, qn_onnx_rank(l, x));
    for (uint32_t i = 0; i < sizes.count && !l->b->status; i++)
        x = repeat(l, x, i, qn_onnx_size_dim(l, &sizes.items[i]));
    qn_onnx_out(l, 0, x);
}

/* ---- blocks of pictures --------------------------------------------------------------------------------------- */

static qn_value block_move(struct qn_lower *l, qn_value x, const qn_dim *split, const int64_t *perm, const qn_dim *join)
{
    x = qn_build_reshape(l->b, x, 6, split);
    x = qn_build_transpose(l->b, x, 6, perm);
    return qn_build_reshape(l->b, x, 4, join);
}

static bool take_blocks(struct qn_lower *l, qn_value x, int64_t *block)
{
    *block = qn_onnx_attr_i(l, "blocksize", 0);
    if (*block < 1 || *block > INT32_MAX)
        qn_onnx_fail(l, "blocksize %" PRId64, *block);
    if (!l->b->status && qn_onnx_rank(l, x) != 4)
        qn_onnx_fail(l, "rank %" PRIu32 ", expected 4", qn_onnx_rank(l, x));
    return !l->b->status;
}

QN_ONNX_LOWER(depth_to_space)
{
    qn_value x = qn_onnx_in(l, 0);
    int64_t s, mode = qn_onnx_attr_choice(l, "mode", 0, (const char *const[]){"DCR", "CRD", NULL});
    if (!take_blocks(l, x, &s))
        return;
    qn_dim n = dim_of(l, x, 0), h = dim_of(l, x, 2), w = dim_of(l, x, 3);
    qn_dim c = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, x, 1), s * s);
    const qn_dim join[] = {n, c, qn_build_expr(l->b, QN_EXPR_MUL, h, s), qn_build_expr(l->b, QN_EXPR_MUL, w, s)};
    qn_onnx_out(l, 0,
                mode ? block_move(l, x, (qn_dim[]){n, c, s, s, h, w}, (int64_t[]){0, 1, 4, 2, 5, 3}, join)
                     : block_move(l, x, (qn_dim[]){n, s, s, c, h, w}, (int64_t[]){0, 3, 4, 1, 5, 2}, join));
}

QN_ONNX_LOWER(space_to_depth)
{
    qn_value x = qn_onnx_in(l, 0);
    int64_t s;
    if (!take_blocks(l, x, &s))
        return;
    qn_dim n = dim_of(l, x, 0), c = dim_of(l, x, 1);
    qn_dim h = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, x, 2), s);
    qn_dim w = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, x, 3), s);
    const qn_dim join[] = {n, qn_build_expr(l->b, QN_EXPR_MUL, c, s * s), h, w};
    qn_onnx_out(l, 0, block_move(l, x, (qn_dim[]){n, c, h, s, w, s}, (int64_t[]){0, 3, 5, 1, 2, 4}, join));
}

/* ---- cropping and padding about the middle -------------------------------------------------------------------- */

QN_ONNX_LOWER(center_crop_pad)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_ints axes, sizes;
    if (!qn_onnx_static(l, x) || !qn_onnx_known(l, 1, &sizes))
        return;
    uint32_t rank = qn_onnx_rank(l, x);
    struct qn_attr_pad pad = {.begin = {.count = rank}, .end = {.count = rank}};
    if (!qn_onnx_attr_ints(l, "axes", &axes))
        for (; axes.count < rank; axes.count++)
            axes.items[axes.count] = axes.count;
    if (axes.count != sizes.count)
        qn_onnx_fail(l, "%" PRIu32 " sizes for %" PRIu32 " axes", sizes.count, axes.count);
    bool padded = false;
    for (uint32_t i = 0; i < axes.count && !l->b->status; i++) {
        int64_t axis = qn_onnx_axis(l, axes.items[i], rank, 0), want = sizes.items[i];
        int64_t have = dim_of(l, x, (uint32_t)axis), less = have - want;
        if (want < 0)
            qn_onnx_fail(l, "the size %" PRId64 " is negative", want);
        else if (less > 0)
            x = qn_build_slice(l->b, x, axis, less / 2, less / 2 + want);
        if (less < 0) {
            pad.begin.items[axis] = -less / 2;
            pad.end.items[axis] = -less - -less / 2;
            padded = true;
        }
    }
    qn_onnx_out(l, 0, padded ? qn_build_node(l->b, QN_OP_pad, &x, 1, &pad, NULL) : x);
}

/* Attention (ai.onnx), rotary embeddings, and what stands around them. */
#include "format/onnx/ops/attend.h"

#include <inttypes.h>
#include <math.h>

#include "format/onnx/import_state.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)
#define UNARY(op, x) qn_lower_unary(l, QN_OP_##op, x)

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

static qn_dim mul(struct qn_lower *l, qn_dim a, qn_dim b)
{
    return qn_build_expr(l->b, QN_EXPR_MUL, a, b);
}

/* ---- parts ---------------------------------------------------------------------------------------------------- */

qn_value qn_attend_split(struct qn_lower *l, qn_value x, int64_t heads)
{
    if (heads < 1) {
        qn_onnx_fail(l, "%" PRId64 " heads", heads);
        return 0;
    }
    qn_dim width = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, x, 2), heads);
    x = qn_build_reshape(l->b, x, 4, (qn_dim[]){dim_of(l, x, 0), dim_of(l, x, 1), heads, width});
    return qn_build_transpose(l->b, x, 4, (int64_t[]){0, 2, 1, 3});
}

qn_value qn_attend_join(struct qn_lower *l, qn_value x)
{
    x = qn_build_transpose(l->b, x, 4, (int64_t[]){0, 2, 1, 3});
    qn_dim width = mul(l, dim_of(l, x, 2), dim_of(l, x, 3));
    return qn_build_reshape(l->b, x, 3, (qn_dim[]){dim_of(l, x, 0), dim_of(l, x, 1), width});
}

qn_value qn_attend_bias(struct qn_lower *l, qn_value allowed, qn_dtype dtype)
{
    return qn_build_where(l->b, allowed, qn_onnx_number(l, dtype, 0), qn_onnx_number(l, dtype, -(double)INFINITY));
}

qn_value qn_attend_count(struct qn_lower *l, qn_dim count, uint32_t axis, uint32_t rank)
{
    qn_dim dims[QN_MAX_RANK];
    struct qn_attr_iota attr = {.count = count, .dtype = QN_DTYPE_I64};
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = i == axis ? count : 1;
    return qn_build_reshape(l->b, qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL), rank, dims);
}

qn_value qn_attend_size(struct qn_lower *l, qn_dim dim)
{
    struct qn_attr_dims attr = {.dims = {.count = 1, .items = {dim}}, .scalar = true};
    return dim >= 0 ? qn_onnx_i64(l, dim) : qn_build_node(l->b, QN_OP_dims, NULL, 0, &attr, NULL);
}

/* [b, h, m, n] and what broadcasts to it, as [b, g, h / g, m, n]. */
static qn_value grouped(struct qn_lower *l, qn_value x, qn_dim heads, qn_dim kv_heads)
{
    uint32_t rank = qn_onnx_rank(l, x);
    if (l->b->status || rank < 3)
        return x;
    qn_dim dims[5] = {rank == 4 ? dim_of(l, x, 0) : 1, 1, 1, dim_of(l, x, rank - 2), dim_of(l, x, rank - 1)};
    if (dim_of(l, x, rank - 3) != 1) {
        dims[1] = kv_heads;
        dims[2] = qn_build_expr(l->b, QN_EXPR_DIV, heads, kv_heads);
    }
    return qn_build_reshape(l->b, x, 5, dims);
}

/* [b, g, r, m, n] as [b, g * r, m, n] */
static qn_value ungrouped(struct qn_lower *l, qn_value x)
{
    if (l->b->status || !x)
        return x;
    qn_dim heads = mul(l, dim_of(l, x, 1), dim_of(l, x, 2));
    return qn_build_reshape(l->b, x, 4, (qn_dim[]){dim_of(l, x, 0), heads, dim_of(l, x, 3), dim_of(l, x, 4)});
}

qn_value qn_attend(struct qn_lower *l, struct qn_attend *a)
{
    qn_dim heads = dim_of(l, a->q, 1), kv_heads = dim_of(l, a->k, 1);
    bool groups = heads != kv_heads;
    qn_value q = a->q, k = a->k, v = a->v, bias = a->bias, dead = 0;
    if (l->b->status)
        return 0;
    if (groups) {
        if (heads >= 0 && kv_heads >= 0 && (kv_heads == 0 || heads % kv_heads))
            qn_onnx_fail(l, "%" PRId64 " query heads for %" PRId64 " key heads", heads, kv_heads);
        if (l->b->status)
            return 0;
        q = grouped(l, q, heads, kv_heads);
        const struct qn_ints third = {1, {2}};
        k = qn_onnx_unsqueeze(l, k, &third);
        v = qn_onnx_unsqueeze(l, v, &third);
        bias = bias ? grouped(l, bias, heads, kv_heads) : 0;
    }
    if (bias && a->guard && !l->b->status) {
        qn_dtype dtype = qn_onnx_type_of(l, bias)->dtype;
        qn_value most = qn_build_reduce(l->b, QN_OP_reduce_max, bias, (int64_t)qn_onnx_rank(l, bias) - 1, true);
        dead = BINARY(equal, most, qn_onnx_number(l, dtype, -(double)INFINITY));
        bias = qn_build_where(l->b, dead, qn_onnx_number(l, dtype, 0), bias);
    }
    qn_value scores = qn_build_matmul(l->b, q, k, true, NULL), capped, biased, p;
    scores = a->scale == 1 ? scores : qn_lower_with_number(l, QN_OP_mul, scores, a->scale);
    capped = scores;
    if (a->softcap > 0 && !l->b->status)
        capped = qn_lower_with_number(l, QN_OP_mul, UNARY(tanh, qn_lower_with_number(l, QN_OP_div, scores, a->softcap)),
                                      a->softcap);
    biased = bias ? BINARY(add, capped, bias) : capped;
    p = qn_build_softmax(l->b, biased, -1);
    qn_value y = qn_build_matmul(l->b, p, v, false, NULL);
    if (dead && !l->b->status)
        y = qn_build_where(l->b, dead, qn_onnx_number(l, qn_onnx_type_of(l, y)->dtype, 0), y);
    if (a->report && !l->b->status) {
        if (dead)
            p = qn_build_where(l->b, dead, qn_onnx_number(l, qn_onnx_type_of(l, p)->dtype, 0), p);
        qn_value given = a->bias && groups ? grouped(l, a->bias, heads, kv_heads) : a->bias;
        biased = given ? BINARY(add, capped, given) : capped;
        a->scores = groups ? ungrouped(l, scores) : scores;
        a->capped = groups ? ungrouped(l, capped) : capped;
        a->biased = groups ? ungrouped(l, biased) : biased;
        a->probabilities = groups ? ungrouped(l, p) : p;
    }
    return groups ? ungrouped(l, y) : y;
}

/* ---- Attention ------------------------------------------------------------------------------------------------ */

/* The mask as a bias, its last axis made as long as there are keys. */
static qn_value mask_bias(struct qn_lower *l, qn_value mask, qn_dim keys, qn_dtype dtype)
{
    uint32_t rank = qn_onnx_rank(l, mask);
    if (l->b->status || !mask)
        return 0;
    if (qn_onnx_type_of(l, mask)->dtype == QN_DTYPE_BOOL)
        mask = qn_attend_bias(l, mask, dtype);
    mask = qn_build_cast(l->b, mask, dtype);
    if (l->b->status || rank == 0)
        return mask;
    qn_dim have = dim_of(l, mask, rank - 1);
    if (have == keys || have == 1 || have < 0 || keys < 0 || have > keys)
        return mask;
    struct qn_attr_pad attr = {.begin = {.count = rank}, .end = {.count = rank}};
    attr.end.items[rank - 1] = keys - have;
    qn_value outside = qn_onnx_number(l, dtype, -(double)INFINITY);
    return qn_build_node(l->b, QN_OP_pad, (qn_value[]){mask, outside}, 2, &attr, NULL);
}

static qn_value both(struct qn_lower *l, qn_value a, qn_value b)
{
    return a && b ? BINARY(add, a, b) : a ? a : b;
}

/* What causality, windows and padding let be seen, as a bias. lengths: i64 [b, 1, 1, 1] or 0. */
static qn_value rules_bias(struct qn_lower *l, qn_dim queries, qn_dim keys, qn_dim past, qn_value lengths,
                           qn_dtype dtype)
{
    int64_t left = qn_onnx_attr_i(l, "left_window_size", -1), right = qn_onnx_attr_i(l, "right_window_size", -1);
    bool causal = qn_onnx_attr_i(l, "is_causal", 0) != 0;
    qn_value key = qn_attend_count(l, keys, 1, 2), allowed = 0;
    qn_value at = qn_attend_count(l, queries, 0, 2);
    if (lengths && !past)
        at = BINARY(add, at, BINARY(sub, lengths, qn_attend_size(l, queries)));
    else if (past)
        at = BINARY(add, at, qn_attend_size(l, past));
    if (causal)
        allowed = BINARY(less_equal, key, at);
    if (left >= 0) {
        qn_value seen = BINARY(less_equal, BINARY(sub, at, qn_onnx_i64(l, left)), key);
        allowed = allowed ? BINARY(and, allowed, seen) : seen;
    }
    if (right >= 0) {
        qn_value seen = BINARY(less_equal, key, BINARY(add, at, qn_onnx_i64(l, right)));
        allowed = allowed ? BINARY(and, allowed, seen) : seen;
    }
    if (lengths) {
        qn_value filled = BINARY(less, key, lengths);
        allowed = allowed ? BINARY(and, allowed, filled) : filled;
    }
    return allowed ? qn_attend_bias(l, allowed, dtype) : 0;
}

static qn_value with_past(struct qn_lower *l, uint32_t i, qn_value x)
{
    return qn_onnx_has(l, i) ? qn_build_concat(l->b, qn_onnx_in(l, i), x, 2) : x;
}

QN_ONNX_LOWER(attention)
{
    qn_value q = qn_onnx_in(l, 0), k = qn_onnx_in(l, 1), v = qn_onnx_in(l, 2);
    bool flat = qn_onnx_rank(l, q) == 3;
    int64_t mode = qn_onnx_attr_i(l, "qk_matmul_output_mode", 0);
    qn_dim past = 0;
    if (l->b->status)
        return;
    qn_dtype dtype = qn_onnx_type_of(l, q)->dtype;
    if (flat) {
        q = qn_attend_split(l, q, qn_onnx_attr_i(l, "q_num_heads", 0));
        k = qn_attend_split(l, k, qn_onnx_attr_i(l, "kv_num_heads", 0));
        v = qn_attend_split(l, v, qn_onnx_attr_i(l, "kv_num_heads", 0));
    }
    if (!l->b->status && (qn_onnx_rank(l, q) != 4 || qn_onnx_rank(l, k) != 4 || qn_onnx_rank(l, v) != 4))
        qn_onnx_fail(l, "ranks %" PRIu32 ", %" PRIu32 " and %" PRIu32 ", expected all 3 or all 4", qn_onnx_rank(l, q),
                     qn_onnx_rank(l, k), qn_onnx_rank(l, v));
    if (qn_onnx_has(l, 4))
        past = dim_of(l, qn_onnx_in(l, 4), 2);
    k = with_past(l, 4, k);
    v = with_past(l, 5, v);
    qn_onnx_out(l, 1, k);
    qn_onnx_out(l, 2, v);
    if (l->b->status)
        return;
    struct qn_attend a = {.q = qn_lower_widen(l, q), .k = qn_lower_widen(l, k), .v = qn_lower_widen(l, v)};
    qn_dtype wide = qn_onnx_type_of(l, a.q)->dtype;
    qn_value lengths = 0;
    if (qn_onnx_has(l, 6)) {
        lengths = qn_build_cast(l->b, qn_onnx_in(l, 6), QN_DTYPE_I64);
        lengths = qn_build_reshape(l->b, lengths, 4, (qn_dim[]){dim_of(l, lengths, 0), 1, 1, 1});
    }
    qn_dim queries = dim_of(l, q, 2), keys = dim_of(l, k, 2), width = dim_of(l, q, 3);
    if (width < 0 && !qn_onnx_has_attr(l, "scale"))
        qn_onnx_defer(l, "the size of a head is not known before the run");
    a.scale = qn_onnx_has_attr(l, "scale") ? (double)qn_onnx_attr_f(l, "scale", 1) : 1 / sqrt((double)width);
    a.softcap = (double)qn_onnx_attr_f(l, "softcap", 0);
    qn_value mask = qn_onnx_has(l, 3) ? mask_bias(l, qn_onnx_in(l, 3), keys, wide) : 0;
    a.bias = both(l, mask, rules_bias(l, queries, keys, past, lengths, wide));
    a.guard = qn_onnx_has(l, 3) || lengths || qn_onnx_attr_i(l, "left_window_size", -1) >= 0 ||
              qn_onnx_attr_i(l, "right_window_size", -1) >= 0;
    a.report = qn_onnx_wants(l, 3);
    qn_value y = qn_build_cast(l->b, qn_attend(l, &a), dtype);
    qn_onnx_out(l, 0, flat ? qn_attend_join(l, y) : y);
    if (a.report && mode >= 0 && mode <= 3) {
        const qn_value reported[] = {a.scores, a.capped, a.biased, a.probabilities};
        qn_onnx_out(l, 3, qn_build_cast(l->b, reported[mode], dtype));
    }
}

/* A subgraph of one value in the place of its call. */
static qn_value modified(struct qn_lower *l, const char *name, qn_value x)
{
    struct qn_onnx_import *im = l->import;
    const struct qn_onnx_step *step = im->step;
    const struct qn_onnx_region *region = NULL;
    for (uint32_t i = 0; i < step->region_count; i++)
        if (qn_str_is(step->region_names[i], name))
            region = step->regions[i];
    if (!region || l->b->status)
        return x;
    if (region->input_count != 1 || region->output_count != 1) {
        qn_onnx_fail(l, "%s takes %" PRIu32 " values and gives %" PRIu32 ", expected one each", name,
                     region->input_count, region->output_count);
        return 0;
    }
    im->entries[region->inputs[0]] =
        (struct qn_onnx_bound){.value = x, .state = QN_ONNX_READY, .type = {.dtype = qn_onnx_type_of(l, x)->dtype}};
    l->b->status = qn_onnx_import_steps(im, region->steps, region->step_count);
    if (!l->b->status && qn_onnx_entry_of(im, region->outputs[0])->state != QN_ONNX_READY)
        qn_onnx_defer(l, "a subgraph needs what is not known before the run");
    return l->b->status ? 0 : qn_onnx_entry_value(im, region->outputs[0]);
}

QN_ONNX_LOWER(flex_attention)
{
    qn_value q = qn_onnx_in(l, 0), k = qn_onnx_in(l, 1), v = qn_onnx_in(l, 2);
    if (l->b->status)
        return;
    qn_dtype dtype = qn_onnx_type_of(l, q)->dtype, precision = qn_onnx_attr_dtype(l, "softmax_precision");
    precision = precision ? precision : dtype == QN_DTYPE_F64 ? QN_DTYPE_F64 : QN_DTYPE_F32;
    q = qn_lower_widen(l, q);
    k = qn_lower_widen(l, k);
    v = qn_lower_widen(l, v);
    qn_dim b = dim_of(l, q, 0), heads = dim_of(l, q, 1), kv_heads = dim_of(l, k, 1), width = dim_of(l, q, 3);
    if (width < 0 && !qn_onnx_has_attr(l, "scale"))
        qn_onnx_defer(l, "the size of a head is not known before the run");
    if (heads >= 0 && kv_heads >= 0 && (kv_heads == 0 || heads % kv_heads))
        qn_onnx_fail(l, "%" PRId64 " query heads for %" PRId64 " key heads", heads, kv_heads);
    if (l->b->status)
        return;
    double scale = qn_onnx_has_attr(l, "scale") ? (double)qn_onnx_attr_f(l, "scale", 1) : 1 / sqrt((double)width);
    if (heads != kv_heads) {
        const struct qn_ints third = {1, {2}};
        q = grouped(l, q, heads, kv_heads);
        k = qn_onnx_unsqueeze(l, k, &third);
        v = qn_onnx_unsqueeze(l, v, &third);
    }
    qn_value scores = qn_lower_with_number(l, QN_OP_mul, qn_build_matmul(l->b, q, k, true, NULL), scale);
    scores = heads != kv_heads ? ungrouped(l, scores) : scores;
    scores = modified(l, "score_mod", qn_build_cast(l->b, scores, precision));
    qn_value p = modified(l, "prob_mod", qn_build_softmax(l->b, scores, -1));
    if (l->b->status)
        return;
    p = qn_build_cast(l->b, p, qn_onnx_type_of(l, v)->dtype);
    p = heads != kv_heads ? grouped(l, p, heads, kv_heads) : p;
    qn_value y = qn_build_matmul(l->b, p, v, false, NULL);
    y = heads != kv_heads ? ungrouped(l, y) : y;
    (void)b;
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, dtype));
}

/* ---- rotary embedding ----------------------------------------------------------------------------------------- */

static qn_value every_second(struct qn_lower *l, qn_value x, qn_dim first, qn_dim length)
{
    struct qn_attr_slice attr = {.axis = 3, .start = first, .stop = length, .step = 2};
    return qn_build_node(l->b, QN_OP_slice, &x, 1, &attr, NULL);
}

qn_value qn_attend_rotate(struct qn_lower *l, qn_value x, qn_value cos, qn_value sin, bool interleaved)
{
    const struct qn_ints heads = {1, {2}}, last = {1, {4}};
    cos = qn_onnx_unsqueeze(l, cos, &heads);
    sin = qn_onnx_unsqueeze(l, sin, &heads);
    qn_dim half = dim_of(l, cos, 3), width = dim_of(l, x, 3), all = mul(l, half, 2);
    qn_value a, b, turned = x;
    if (l->b->status)
        return 0;
    if (all != width)
        turned = qn_build_slice(l->b, x, 3, 0, all);
    a = interleaved ? every_second(l, turned, 0, all) : qn_build_slice(l->b, turned, 3, 0, half);
    b = interleaved ? every_second(l, turned, 1, all) : qn_build_slice(l->b, turned, 3, half, all);
    qn_value real = BINARY(sub, BINARY(mul, a, cos), BINARY(mul, b, sin));
    qn_value imaginary = BINARY(add, BINARY(mul, a, sin), BINARY(mul, b, cos));
    if (interleaved) {
        qn_dim dims[4];
        for (uint32_t i = 0; i < 4; i++)
            dims[i] = dim_of(l, turned, i);
        real = qn_onnx_unsqueeze(l, real, &last);
        imaginary = qn_onnx_unsqueeze(l, imaginary, &last);
        turned = qn_build_reshape(l->b, qn_build_concat(l->b, real, imaginary, 4), 4, dims);
    } else {
        turned = qn_build_concat(l->b, real, imaginary, 3);
    }
    return all == width ? turned : qn_build_concat(l->b, turned, qn_build_slice(l->b, x, 3, all, width), 3);
}

QN_ONNX_LOWER(rotary_embedding)
{
    qn_value x = qn_onnx_in(l, 0), cos = qn_onnx_in(l, 1), sin = qn_onnx_in(l, 2);
    uint32_t rank = qn_onnx_rank(l, x);
    int64_t heads = qn_onnx_attr_i(l, "num_heads", 0);
    if (!l->b->status && rank != 4 && (rank != 3 || heads < 1))
        qn_onnx_fail(l, "rank %" PRIu32 " with %" PRId64 " heads", rank, heads);
    if (l->b->status)
        return;
    qn_value wide = qn_lower_widen(l, x);
    qn_dtype dtype = qn_onnx_type_of(l, wide)->dtype;
    cos = qn_build_cast(l->b, cos, dtype);
    sin = qn_build_cast(l->b, sin, dtype);
    if (qn_onnx_has(l, 3)) {
        qn_value at = qn_onnx_in(l, 3);
        cos = qn_build_gather(l->b, cos, at, 0, 0);
        sin = qn_build_gather(l->b, sin, at, 0, 0);
    }
    qn_dim width = rank == 3 ? qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, x, 2), heads) : 0;
    qn_dim dims[] = {dim_of(l, x, 0), dim_of(l, x, 1), rank == 3 ? 0 : dim_of(l, x, 2)};
    if (rank == 3)
        wide = qn_build_reshape(l->b, wide, 4, (qn_dim[]){dims[0], dims[1], heads, width});
    else
        wide = qn_build_transpose(l->b, wide, 4, (int64_t[]){0, 2, 1, 3});
    qn_value y = qn_attend_rotate(l, wide, cos, sin, qn_onnx_attr_i(l, "interleaved", 0) != 0);
    if (rank == 3)
        y = qn_build_reshape(l->b, y, 3, (qn_dim[]){dims[0], dims[1], dim_of(l, x, 2)});
    else
        y = qn_build_transpose(l->b, y, 4, (int64_t[]){0, 2, 1, 3});
    qn_lower_out_like(l, y, x);
}

/* ---- caches and states ---------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(tensor_scatter)
{
    qn_value cache = qn_onnx_in(l, 0), update = qn_onnx_in(l, 1);
    uint32_t rank = qn_onnx_rank(l, cache);
    uint32_t axis = (uint32_t)qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", -2), rank, 0);
    int64_t circular = qn_onnx_attr_choice(l, "mode", 0, (const char *const[]){"linear", "circular", NULL});
    if (l->b->status)
        return;
    if (axis == 0 || qn_onnx_rank(l, update) != rank) {
        qn_onnx_fail(l, "axis %" PRIu32 " of ranks %" PRIu32 " and %" PRIu32, axis, rank, qn_onnx_rank(l, update));
        return;
    }
    qn_value at = qn_attend_count(l, dim_of(l, update, axis), axis, rank);
    struct qn_attr_reshape all = {.dims = {.count = rank}};
    qn_dim first[QN_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        all.dims.items[i] = dim_of(l, update, i);
        first[i] = i ? 1 : dim_of(l, update, 0);
    }
    if (qn_onnx_has(l, 2)) {
        qn_value start = qn_build_cast(l->b, qn_onnx_in(l, 2), QN_DTYPE_I64);
        at = BINARY(add, at, qn_build_reshape(l->b, start, rank, first));
    }
    if (circular)
        at = BINARY(mod, at, qn_attend_size(l, dim_of(l, cache, axis)));
    at = qn_build_node(l->b, QN_OP_expand, &at, 1, &all, NULL);
    struct qn_attr_scatter attr = {.axis = axis};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_scatter_elements, (qn_value[]){cache, at, update}, 3, &attr, NULL));
}

/* ---- linear attention ----------------------------------------------------------------------------------------- */

enum { MAX_UNROLLED = 4096 };

struct recurrence {
    qn_value q, k, v; /* [b, h, t, d]; q [b, g, r, t, d] */
    qn_value decay;   /* [b, h, t, d or 1], exp taken; 0: none */
    qn_value beta;    /* [b, h or 1, t, 1]; 0: none */
};

static qn_value step_of(struct qn_lower *l, qn_value x, int64_t t)
{
    uint32_t axis = qn_onnx_rank(l, x) - 2;
    return x ? qn_build_slice(l->b, x, axis, t, t + 1) : 0;
}

/* One token: the new state [b, h, dk, dv]. */
static qn_value advance(struct qn_lower *l, const struct recurrence *r, qn_value state, int64_t t)
{
    const int64_t turn[] = {0, 1, 3, 2};
    qn_value k = step_of(l, r->k, t), v = step_of(l, r->v, t);
    if (r->decay)
        state = BINARY(mul, state, qn_build_transpose(l->b, step_of(l, r->decay, t), 4, turn));
    if (r->beta) { /* the part of v that the state does not give yet */
        v = BINARY(sub, v, qn_build_matmul(l->b, k, state, false, NULL));
        v = BINARY(mul, v, step_of(l, r->beta, t));
    }
    return BINARY(add, state, BINARY(mul, qn_build_transpose(l->b, k, 4, turn), v));
}

/* [b, t, h * d] as f32 [b, h, t, d] */
static qn_value split_f32(struct qn_lower *l, uint32_t i, int64_t heads)
{
    return qn_onnx_has(l, i) ? qn_attend_split(l, qn_build_cast(l->b, qn_onnx_in(l, i), QN_DTYPE_F32), heads) : 0;
}

QN_ONNX_LOWER(linear_attention)
{
    qn_value query = qn_onnx_in(l, 0), value = qn_onnx_in(l, 2);
    int64_t heads = qn_onnx_attr_i(l, "q_num_heads", 0), kv_heads = qn_onnx_attr_i(l, "kv_num_heads", 0);
    double scale = (double)qn_onnx_attr_f(l, "scale", 0);
    static const char *const rules[] = {"linear", "gated", "delta", "gated_delta", NULL};
    int64_t rule = qn_onnx_attr_choice(l, "update_rule", 3, rules);
    if (heads < 1 || kv_heads < 1 || (heads % kv_heads && kv_heads % heads))
        qn_onnx_fail(l, "%" PRId64 " query heads, %" PRId64 " key heads", heads, kv_heads);
    if (qn_onnx_attr_i(l, "state_window", 0))
        qn_onnx_fail(l, "a window of states");
    if (((rule & 1) != 0) != qn_onnx_has(l, 4) || ((rule & 2) != 0) != qn_onnx_has(l, 5))
        qn_onnx_fail(l, "decay and beta do not go with the update rule %s", rules[rule]);
    if (l->b->status || !qn_onnx_static(l, query) || !qn_onnx_static(l, value))
        return;
    int64_t t = dim_of(l, query, 1), batch = dim_of(l, query, 0);
    qn_dim dk = dim_of(l, query, 2) / heads, dv = dim_of(l, value, 2) / kv_heads;
    if (t > MAX_UNROLLED) {
        l->b->status = QN_ERROR(QN_UNSUPPORTED, "LinearAttention over %" PRId64 " tokens, at most %d", t, MAX_UNROLLED);
        return;
    }
    struct recurrence r = {.q = split_f32(l, 0, heads), .k = split_f32(l, 1, kv_heads), .v = split_f32(l, 2, kv_heads)};
    r.decay = qn_onnx_has(l, 4) ? UNARY(exp, split_f32(l, 4, kv_heads)) : 0;
    if (qn_onnx_has(l, 5) && !l->b->status)
        r.beta = split_f32(l, 5, dim_of(l, qn_onnx_in(l, 5), 2) == 1 ? 1 : kv_heads);
    if (heads < kv_heads) { /* each query head stands for several key heads */
        struct qn_attr_reshape all = {.dims = {5, {batch, heads, kv_heads / heads, t, dk}}};
        r.q = qn_onnx_unsqueeze(l, r.q, &(struct qn_ints){1, {2}});
        r.q = qn_build_node(l->b, QN_OP_expand, &r.q, 1, &all, NULL);
        heads = kv_heads;
    }
    r.q = qn_build_reshape(l->b, r.q, 5, (qn_dim[]){batch, kv_heads, heads / kv_heads, t, dk});
    r.q = qn_lower_with_number(l, QN_OP_mul, r.q, scale == 0 ? 1 / sqrt((double)dk) : scale);
    struct qn_attr_reshape attr = {.dims = {4, {batch, kv_heads, dk, dv}}};
    qn_value zero = qn_build_scalar(l->b, 0), state;
    state = qn_onnx_has(l, 3) ? qn_build_cast(l->b, qn_onnx_in(l, 3), QN_DTYPE_F32)
                              : qn_build_node(l->b, QN_OP_expand, &zero, 1, &attr, NULL);
    qn_value *tokens = qn_arena_array(&l->import->arena, (size_t)t + 1, sizeof *tokens, 8);
    if (!tokens && !l->b->status)
        l->b->status = QN_OOM();
    for (int64_t i = 0; i < t && !l->b->status; i++) {
        state = advance(l, &r, state, i);
        qn_value q = qn_build_reshape(l->b, step_of(l, r.q, i), 4, (qn_dim[]){batch, kv_heads, heads / kv_heads, dk});
        qn_value y = qn_build_matmul(l->b, q, state, false, NULL);
        tokens[i] = qn_build_reshape(l->b, y, 3, (qn_dim[]){batch, 1, heads * dv});
    }
    if (l->b->status)
        return;
    qn_dtype dtype = qn_onnx_type_of(l, query)->dtype;
    qn_dtype kept = qn_onnx_has(l, 3) ? qn_onnx_type_of(l, qn_onnx_in(l, 3))->dtype : dtype;
    qn_onnx_out(l, 1, qn_build_cast(l->b, state, kept));
    if (t > 0)
        qn_lower_out_like(
            l, qn_build_node(l->b, QN_OP_concat, tokens, (uint32_t)t, &(struct qn_attr_axis){.axis = 1}, NULL), query);
    else
        qn_onnx_defer(l, "no token");
}

/* Ops of com.microsoft that exported transformers use: attention in three shapes, fused normalisations, embeddings. */
#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "format/onnx/import_state.h"
#include "format/onnx/ops/attend.h"
#include "format/onnx/ops/attention_norm.h"
#include "format/onnx/ops/microsoft.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

static qn_value add_if(struct qn_lower *l, qn_value x, qn_value y)
{
    return x && y ? BINARY(add, x, y) : x ? x : y;
}

/* Input i in f32 (f64 as it is); 0 when absent. */
static qn_value wide_in(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_has(l, i) ? qn_lower_widen(l, qn_onnx_in(l, i)) : 0;
}

/* ---- masks ---------------------------------------------------------------------------------------------------- */

/* Positions of keys that count: below their number [b]; or from the second b of a mask [2 b] to before the first b; or
 * below the first b of [3 b + 2], which ends in sums of lengths. */
static qn_value keys_seen(struct qn_lower *l, qn_value mask, qn_dim batch, qn_dim keys)
{
    const struct qn_graph *g = l->b->graph;
    qn_dim twice = qn_build_expr(l->b, QN_EXPR_MUL, batch, 2), thrice = qn_build_expr(l->b, QN_EXPR_MUL, batch, 3);
    qn_dim sums = qn_build_expr(l->b, QN_EXPR_ADD, thrice, 2), size = dim_of(l, mask, 0);
    const qn_dim each[] = {batch, 1, 1, 1};
    qn_value place = qn_attend_count(l, keys, 3, 4), from = 0;
    if (l->b->status)
        return 0;
    if (qn_dim_compare(g, size, twice) == QN_DIM_EQUAL)
        from = qn_build_slice(l->b, mask, 0, batch, twice);
    if (from || qn_dim_compare(g, size, sums) == QN_DIM_EQUAL)
        mask = qn_build_slice(l->b, mask, 0, 0, batch);
    qn_value seen = BINARY(less, place, qn_build_reshape(l->b, mask, 4, each));
    return from ? BINARY(and, seen, BINARY(less_equal, qn_build_reshape(l->b, from, 4, each), place)) : seen;
}

/* What the queries and keys of a node are among the tokens of its sequences. */
struct span {
    qn_dim batch, past, queries, keys; /* keys include the past's */
};

/* A mask of 1 and 0 over keys, [b, t], [b, s, t], [b, 1, s, t] (or of all tokens there may be, [b, 1, most, most]), or
 * a list of positions, as a bias. */
static qn_value key_bias(struct qn_lower *l, uint32_t input, const struct span *of, qn_dtype dtype)
{
    qn_value mask = qn_onnx_has(l, input) ? qn_build_cast(l->b, qn_onnx_in(l, input), QN_DTYPE_I64) : 0, seen;
    if (!mask || l->b->status)
        return 0;
    uint32_t rank = qn_onnx_rank(l, mask);
    double filter = (double)qn_onnx_attr_f(l, "mask_filter_value", -10000.0f);
    qn_value zero = qn_onnx_number(l, dtype, 0);
    if (rank == 1) {
        seen = keys_seen(l, mask, of->batch, of->keys);
    } else {
        if (rank == 4 && dim_of(l, mask, 2) == dim_of(l, mask, 3) && dim_of(l, mask, 2) != of->queries) {
            qn_dim end = qn_build_expr(l->b, QN_EXPR_ADD, of->past, of->queries);
            mask = qn_build_slice(l->b, qn_build_slice(l->b, mask, 2, of->past, end), 3, 0, of->keys);
        }
        const struct qn_ints heads = {rank == 2 ? 2 : 1, {1, 2}};
        mask = rank < 4 ? qn_onnx_unsqueeze(l, mask, &heads) : mask;
        seen = qn_build_unary(l->b, QN_OP_not, BINARY(equal, mask, qn_onnx_i64(l, 0)));
    }
    return qn_build_where(l->b, seen, zero, qn_onnx_number(l, dtype, filter));
}

/* Query i sees key j up to i + past. */
static qn_value causal_bias(struct qn_lower *l, qn_dim queries, qn_dim keys, qn_dim past, qn_dtype dtype)
{
    qn_value at = qn_attend_count(l, queries, 0, 2);
    at = past ? BINARY(add, at, qn_attend_size(l, past)) : at;
    return qn_attend_bias(l, BINARY(less_equal, qn_attend_count(l, keys, 1, 2), at), dtype);
}

double qn_ms_scale(struct qn_lower *l, qn_value q)
{
    double scale = (double)qn_onnx_attr_f(l, "scale", 0);
    if (scale == 0 && !l->b->status && dim_of(l, q, 3) < 0)
        qn_onnx_defer(l, "the size of a head is not known before the run");
    return scale == 0 && !l->b->status ? 1 / sqrt((double)dim_of(l, q, 3)) : scale;
}

/* ---- caches with room ------------------------------------------------------------------------------------------- */

/* New keys and values in caches [b, h, rows, d] that have room for them behind the past. Rows may be beams: then a key
 * may be that of another beam of the same batch. */
struct room {
    struct span of;
    qn_value row;         /* i64 []: where the first new key goes */
    qn_value indirection; /* [batches, beams, rows]: whose key each one is; 0: no beams */
};

/* past is input `input`, one integer; queries and batch are set. */
static bool take_room(struct qn_lower *l, uint32_t input, struct room *r)
{
    struct qn_sizes past;
    if (!qn_onnx_sizes(l, input, &past))
        return false;
    if (past.count != 1) {
        qn_onnx_fail(l, "past_sequence_length has %" PRIu32 " elements, expected 1", past.count);
        return false;
    }
    r->of.past = qn_onnx_size_dim(l, &past.items[0]);
    r->of.keys = qn_build_expr(l->b, QN_EXPR_ADD, r->of.past, r->of.queries);
    r->row = qn_attend_size(l, r->of.past);
    return !l->b->status;
}

/* The cache with x [b, h, s, d] behind the past. */
static qn_value written(struct qn_lower *l, qn_value cache, qn_value x, const struct room *r)
{
    struct qn_attr_scatter scatter = {.axis = 2};
    struct qn_attr_reshape all = {.dims = {.count = 4}};
    for (uint32_t i = 0; i < 4; i++)
        all.dims.items[i] = dim_of(l, x, i);
    qn_value rows = BINARY(add, qn_attend_count(l, r->of.queries, 2, 4), r->row);
    rows = qn_build_node(l->b, QN_OP_expand, &rows, 1, &all, NULL);
    return qn_build_node(l->b, QN_OP_scatter_elements, (qn_value[]){cache, rows, x}, 3, &scatter, NULL);
}

/* Keys or values [b, h, total, d] of a cache, each from the beam that the indirection names; new ones are the beam's
 * own. */
static qn_value of_beams(struct qn_lower *l, qn_value cache, const struct room *r)
{
    struct qn_attr_axis attr = {.axis = 0};
    struct qn_attr_reshape all = {.dims = {.count = 4}};
    qn_value keys = qn_build_slice(l->b, cache, 2, 0, r->of.keys);
    if (!r->indirection || l->b->status)
        return keys;
    qn_value from = qn_build_cast(l->b, r->indirection, QN_DTYPE_I64), own = qn_attend_count(l, r->of.batch, 0, 2);
    qn_value beams = qn_attend_size(l, dim_of(l, from, 1));
    from = qn_build_reshape(l->b, from, 2, (qn_dim[]){r->of.batch, dim_of(l, from, 2)});
    from = qn_build_slice(l->b, from, 1, 0, r->of.keys);
    from = BINARY(add, from, BINARY(mul, BINARY(div, own, beams), beams));
    from = qn_build_where(l->b, BINARY(less, qn_attend_count(l, r->of.keys, 1, 2), r->row), from, own);
    from = qn_build_reshape(l->b, from, 4, (qn_dim[]){r->of.batch, 1, r->of.keys, 1});
    for (uint32_t i = 0; i < 4; i++)
        all.dims.items[i] = dim_of(l, keys, i);
    from = qn_build_node(l->b, QN_OP_expand, &from, 1, &all, NULL);
    return qn_build_node(l->b, QN_OP_gather_elements, (qn_value[]){keys, from}, 2, &attr, NULL);
}

/* Keys and values part[1] and part[2] as attention sees them, by way of the caches `input` and the one after it, which
 * come out as outputs 1 and 2. */
static void through_caches(struct qn_lower *l, uint32_t input, qn_value *part, const struct room *r, qn_dtype dtype)
{
    for (uint32_t i = 1; i < 3 && !l->b->status; i++) {
        qn_value cache = written(l, wide_in(l, input + i - 1), part[i], r);
        qn_onnx_out(l, i, qn_build_cast(l->b, cache, dtype));
        part[i] = of_beams(l, cache, r);
    }
}

/* ---- Attention ------------------------------------------------------------------------------------------------ */

/* Half `i` of past [2, b, h, p, d]. */
static qn_value past_half(struct qn_lower *l, qn_value past, int64_t i)
{
    const struct qn_ints front = {1, {0}};
    return qn_onnx_squeeze(l, qn_build_slice(l->b, past, 0, i, i + 1), &front);
}

/* Queries and keys [b, h, s, d] turned by their positions, angles of 10000^(-2 i / rotary_embedding_dim). */
static void turn(struct qn_lower *l, qn_value *part, const struct span *of)
{
    const int64_t swap[] = {0, 2, 1, 3};
    enum { MOST = 1 << 16 };
    qn_dim width = dim_of(l, part[0], 3);
    int64_t size = qn_onnx_attr_i(l, "rotary_embedding_dim", 0);
    if (width < 0 && !l->b->status)
        qn_onnx_defer(l, "the size of a head is not known before the run");
    size = size ? size : width;
    if (!l->b->status && (size < 2 || size % 2 || size > width || size > MOST))
        qn_onnx_fail(l, "rotary embeddings of %" PRId64 " elements in heads of %" PRId64, size, width);
    float *rate = l->b->status ? NULL : QN_ARENA_ARRAY(&l->import->arena, float, (size_t)size / 2);
    if (!rate) {
        l->b->status = l->b->status ? l->b->status : QN_OOM();
        return;
    }
    for (int64_t i = 0; i < size / 2; i++)
        rate[i] = (float)pow(10000, (double)(-2 * i) / (double)size);
    qn_value at = qn_attend_count(l, of->queries, 1, 3);
    at = of->past ? BINARY(add, at, qn_attend_size(l, of->past)) : at;
    at = BINARY(mul, qn_build_cast(l->b, at, QN_DTYPE_F32),
                qn_onnx_data(l, QN_DTYPE_F32, 1, (int64_t[]){size / 2}, rate));
    qn_value cos = qn_build_unary(l->b, QN_OP_cos, at), sin = qn_build_unary(l->b, QN_OP_sin, at);
    for (uint32_t i = 0; i < 2; i++) {
        qn_value x = qn_attend_rotate(l, qn_build_transpose(l->b, part[i], 4, swap), cos, sin, false);
        part[i] = qn_build_transpose(l->b, x, 4, swap);
    }
}

/* Keys and values with the past's before them; output 1 is both, [2, b, h, rows, d]. */
static void with_past(struct qn_lower *l, qn_value *part, const struct qn_ms_attention_inputs *at, const struct room *r,
                      qn_dtype dtype)
{
    const struct qn_ints front = {1, {0}};
    qn_value past = qn_onnx_has(l, at->past) ? wide_in(l, at->past) : 0, kept[3] = {0};
    for (uint32_t i = 1; i < 3 && !l->b->status; i++) {
        qn_value old = past ? past_half(l, past, i - 1) : 0;
        kept[i] = r->row ? written(l, old, part[i], r) : past ? qn_build_concat(l->b, old, part[i], 2) : part[i];
        part[i] = r->row ? of_beams(l, kept[i], r) : kept[i];
    }
    if (qn_onnx_wants(l, 1) && !l->b->status) {
        kept[0] =
            qn_build_concat(l->b, qn_onnx_unsqueeze(l, kept[1], &front), qn_onnx_unsqueeze(l, kept[2], &front), 0);
        qn_onnx_out(l, 1, qn_build_cast(l->b, kept[0], dtype));
    }
}

/* Queries, keys and values [b, s, widths] side by side as [b, h, s, d] each. */
static bool take_columns(struct qn_lower *l, qn_value all, qn_value *part)
{
    int64_t heads = qn_onnx_attr_i(l, "num_heads", 0);
    struct qn_ints sizes;
    bool sized = qn_onnx_attr_ints(l, "qkv_hidden_sizes", &sizes);
    if (sized && sizes.count != 3)
        qn_onnx_fail(l, "qkv_hidden_sizes has %" PRIu32 " elements, expected 3", sizes.count);
    if (l->b->status)
        return false;
    qn_dim third = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, all, 2), 3), from = 0;
    for (uint32_t i = 0; i < 3 && !l->b->status; i++) {
        qn_dim next = qn_build_expr(l->b, QN_EXPR_ADD, from, sized ? sizes.items[i] : third);
        part[i] = qn_attend_split(l, qn_build_slice(l->b, all, 2, from, next), heads);
        from = next;
    }
    return !l->b->status;
}

void qn_ms_attention(struct qn_lower *l, qn_value all, qn_dtype dtype, const struct qn_ms_attention_inputs *at)
{
    qn_value part[3] = {0};
    struct room r = {.of = {.batch = dim_of(l, all, 0), .queries = dim_of(l, all, 1)}};
    bool shared = qn_onnx_attr_i(l, "past_present_share_buffer", 0) != 0;
    if (shared && (!at->length || !qn_onnx_has(l, at->past) || !qn_onnx_has(l, at->length)))
        qn_onnx_fail(l, "past_present_share_buffer needs past and past_sequence_length");
    if (!take_columns(l, all, part) || (shared && !take_room(l, at->length, &r)))
        return;
    if (!shared) {
        r.of.past = qn_onnx_has(l, at->past) ? dim_of(l, qn_onnx_in(l, at->past), 3) : 0;
        r.of.keys = qn_build_expr(l->b, QN_EXPR_ADD, r.of.past, r.of.queries);
    }
    if (qn_onnx_attr_i(l, "do_rotary", 0))
        turn(l, part, &r.of);
    with_past(l, part, at, &r, dtype);
    if (l->b->status)
        return;
    struct qn_attend a = {.q = part[0], .k = part[1], .v = part[2], .scale = qn_ms_scale(l, part[0])};
    qn_dtype wide = qn_onnx_type_of(l, all)->dtype;
    a.bias = add_if(l, key_bias(l, at->mask, &r.of, wide), at->bias ? wide_in(l, at->bias) : 0);
    if (qn_onnx_attr_i(l, "unidirectional", 0))
        a.bias = add_if(l, a.bias, causal_bias(l, r.of.queries, r.of.keys, r.of.past, wide));
    qn_onnx_out(l, 0, qn_build_cast(l->b, qn_attend_join(l, qn_attend(l, &a)), dtype));
}

QN_ONNX_LOWER(ms_attention)
{
    static const struct qn_ms_attention_inputs at = {.mask = 3, .past = 4, .bias = 5, .length = 6};
    qn_value x = qn_onnx_in(l, 0), bias = wide_in(l, 2);
    if (l->b->status)
        return;
    qn_value all = qn_build_matmul(l->b, qn_lower_widen(l, x), wide_in(l, 1), false, "qkv");
    qn_ms_attention(l, add_if(l, all, bias), qn_onnx_type_of(l, x)->dtype, &at);
}

/* ---- MultiHeadAttention ---------------------------------------------------------------------------------------- */

/* Part i of [b, s, heads, parts, d] as [b, heads, s, d]. */
static qn_value packed_part(struct qn_lower *l, qn_value x, int64_t i)
{
    const struct qn_ints parts = {1, {3}};
    x = qn_onnx_squeeze(l, qn_build_slice(l->b, x, 3, i, i + 1), &parts);
    return qn_build_transpose(l->b, x, 4, (int64_t[]){0, 2, 1, 3});
}

/* Part of the bias [at, at + width) added to x [b, s, width], or to heads [b, h, s, d] of that width together. */
static qn_value biased(struct qn_lower *l, qn_value x, qn_value bias, qn_dim at)
{
    if (!bias || l->b->status)
        return x;
    bool split = qn_onnx_rank(l, x) == 4;
    qn_dim heads = split ? dim_of(l, x, 1) : 1, width = dim_of(l, x, split ? 3 : 2);
    qn_dim end = qn_build_expr(l->b, QN_EXPR_ADD, at, qn_build_expr(l->b, QN_EXPR_MUL, heads, width));
    bias = qn_build_slice(l->b, bias, 0, at, end);
    bias = split ? qn_build_reshape(l->b, bias, 4, (qn_dim[]){1, heads, 1, width}) : bias;
    return BINARY(add, x, bias);
}

/* Query, key and value as [b, heads, s, d]: apart, or packed [b, s, heads, 3 or 2, d]. Keys and values that come as
 * heads have their bias already. */
static bool take_heads(struct qn_lower *l, int64_t heads, qn_value *part)
{
    qn_value in[3] = {wide_in(l, 0), wide_in(l, 1), wide_in(l, 2)}, bias = wide_in(l, 3);
    if (l->b->status)
        return false;
    qn_dim at = 0;
    bool all = qn_onnx_rank(l, in[0]) == 5, both = qn_onnx_rank(l, in[1]) == 5;
    if (!all && (!in[1] || (!both && !in[2])))
        qn_onnx_fail(l, "key and value are given both, or packed with the query [b, s, heads, 3, d]");
    for (uint32_t i = 0; i < 3 && !l->b->status; i++) {
        bool split = i > 0 && !all && !both && qn_onnx_rank(l, in[i]) == 4;
        qn_value x = all ? packed_part(l, in[0], i) : both && i ? packed_part(l, in[1], i - 1) : in[i];
        qn_dim width = qn_onnx_rank(l, x) == 4 ? qn_build_expr(l->b, QN_EXPR_MUL, dim_of(l, x, 1), dim_of(l, x, 3))
                                               : dim_of(l, x, 2);
        x = split ? x : biased(l, x, bias, at);
        part[i] = qn_onnx_rank(l, x) == 4 ? x : qn_attend_split(l, x, heads);
        at = qn_build_expr(l->b, QN_EXPR_ADD, at, width);
    }
    return !l->b->status;
}

QN_ONNX_LOWER(multi_head_attention)
{
    qn_value part[3];
    int64_t heads = qn_onnx_attr_i(l, "num_heads", 0);
    if (!take_heads(l, heads, part))
        return;
    qn_value q = qn_onnx_in(l, 0);
    qn_dtype dtype = qn_onnx_type_of(l, q)->dtype, wide = qn_onnx_type_of(l, part[0])->dtype;
    struct room r = {.of = {.batch = dim_of(l, q, 0), .queries = dim_of(l, part[0], 2)},
                     .indirection = qn_onnx_has(l, 9) ? qn_onnx_in(l, 9) : 0};
    if (qn_onnx_has(l, 6) && qn_onnx_has(l, 8)) {
        if (take_room(l, 8, &r))
            through_caches(l, 6, part, &r, dtype);
    } else {
        if (r.indirection)
            qn_onnx_fail(l, "cache_indirection without past_key and past_sequence_length");
        r.of.past = qn_onnx_has(l, 6) ? dim_of(l, qn_onnx_in(l, 6), 2) : 0;
        for (uint32_t i = 1; i < 3; i++) {
            part[i] = qn_onnx_has(l, 6) ? qn_build_concat(l->b, wide_in(l, 5 + i), part[i], 2) : part[i];
            qn_onnx_out(l, i, qn_build_cast(l->b, part[i], dtype));
        }
        r.of.keys = dim_of(l, part[1], 2);
    }
    if (l->b->status)
        return;
    struct qn_attend a = {.q = part[0], .k = part[1], .v = part[2], .scale = qn_ms_scale(l, part[0])};
    a.report = qn_onnx_wants(l, 3);
    a.bias = add_if(l, key_bias(l, 4, &r.of, wide), wide_in(l, 5));
    if (qn_onnx_attr_i(l, "unidirectional", 0))
        a.bias = add_if(l, a.bias, causal_bias(l, r.of.queries, r.of.keys, r.of.past, wide));
    qn_lower_out_like(l, qn_attend_join(l, qn_attend(l, &a)), q);
    if (a.report && !l->b->status) /* what is not seen is the least number there */
        qn_onnx_out(l, 3, qn_build_cast(l->b, qn_lower_with_number(l, QN_OP_max, a.biased, -(double)FLT_MAX), dtype));
}

/* ---- DecoderMaskedMultiHeadAttention ---------------------------------------------------------------------------- */

QN_ONNX_LOWER(decoder_attention)
{
    int64_t heads = qn_onnx_attr_i(l, "num_heads", 0);
    qn_value x = qn_onnx_in(l, 0), q = wide_in(l, 0), k = wide_in(l, 1), v = wide_in(l, 2), bias = wide_in(l, 10);
    if (!k != !v)
        qn_onnx_fail(l, "key and value are given both, or neither where the query holds all three");
    if (l->b->status)
        return;
    if (!k) {
        qn_dim third = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, q, 2), 3);
        qn_dim twice = qn_build_expr(l->b, QN_EXPR_MUL, third, 2);
        k = qn_build_slice(l->b, q, 2, third, twice);
        v = qn_build_slice(l->b, q, 2, twice, dim_of(l, q, 2));
        q = qn_build_slice(l->b, q, 2, 0, third);
    }
    bool split = qn_onnx_rank(l, k) == 4, cached = !split && qn_onnx_has(l, 5);
    qn_dim width = dim_of(l, q, 2), twice = qn_build_expr(l->b, QN_EXPR_MUL, width, 2);
    qn_value part[3] = {qn_attend_split(l, biased(l, q, bias, 0), heads),
                        split ? k : qn_attend_split(l, biased(l, k, cached ? bias : 0, width), heads),
                        split ? v : qn_attend_split(l, biased(l, v, cached ? bias : 0, twice), heads)};
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype, wide = qn_onnx_type_of(l, q)->dtype;
    struct room r = {.of = {.batch = dim_of(l, x, 0), .queries = dim_of(l, part[0], 2), .keys = dim_of(l, part[1], 2)},
                     .indirection = qn_onnx_has(l, 9) ? qn_onnx_in(l, 9) : 0};
    if (cached && (!qn_onnx_attr_i(l, "past_present_share_buffer", 0) || !qn_onnx_has(l, 7)))
        qn_onnx_fail(l, "a cache needs past_present_share_buffer and past_sequence_length");
    if (cached && !l->b->status && take_room(l, 7, &r))
        through_caches(l, 5, part, &r, dtype);
    if (l->b->status)
        return;
    struct qn_attend a = {.q = part[0], .k = part[1], .v = part[2], .scale = qn_ms_scale(l, part[0])};
    a.bias = add_if(l, key_bias(l, 3, &r.of, wide), wide_in(l, 4));
    qn_lower_out_like(l, qn_attend_join(l, qn_attend(l, &a)), x);
}

/* ---- normalisations ------------------------------------------------------------------------------------------- */

static void normalized_sum(struct qn_lower *l, qn_value sum, qn_value weight, qn_value bias, bool rms)
{
    qn_value x = qn_onnx_in(l, 0), mean = 0, inverse = 0;
    bool asked = qn_onnx_wants(l, 1) || qn_onnx_wants(l, 2);
    if (l->b->status)
        return;
    int64_t axis = (int64_t)qn_onnx_rank(l, sum) - 1;
    float epsilon = qn_onnx_attr_f(l, "epsilon", 1e-12f);
    qn_value y =
        qn_lower_normalize(l, sum, axis, weight, bias, epsilon, rms, asked ? &mean : NULL, asked ? &inverse : NULL);
    qn_lower_out_like(l, y, x);
    qn_onnx_out(l, 1, mean);
    qn_onnx_out(l, 2, inverse);
    if (!l->b->status && qn_onnx_wants(l, 3))
        qn_onnx_out(l, 3, qn_build_cast(l->b, sum, qn_onnx_type_of(l, x)->dtype));
}

QN_ONNX_LOWER(skip_layer_norm)
{
    bool rms = qn_str_is(l->node->op_type, "SkipSimplifiedLayerNormalization");
    qn_value sum = add_if(l, wide_in(l, 0), wide_in(l, 1));
    sum = add_if(l, sum, wide_in(l, rms ? 3 : 4));
    normalized_sum(l, sum, wide_in(l, 2), rms ? 0 : wide_in(l, 3), rms);
}

void qn_ms_embed_layer_norm(struct qn_lower *l, const struct qn_ms_embedding *e)
{
    qn_value ids = qn_onnx_in(l, 0);
    if (l->b->status)
        return;
    qn_value at = e->positions ? e->positions : qn_attend_count(l, dim_of(l, ids, 1), 1, 2);
    qn_value sum =
        BINARY(add, qn_build_gather(l->b, e->tables[0], ids, 0, 0), qn_build_gather(l->b, e->tables[1], at, 0, 0));
    if (qn_onnx_has(l, 1) && e->tables[2])
        sum = BINARY(add, sum, qn_build_gather(l->b, e->tables[2], qn_onnx_in(l, 1), 0, 0));
    if (l->b->status)
        return;
    qn_value y =
        qn_lower_normalize(l, sum, 2, e->weight, e->bias, qn_onnx_attr_f(l, "epsilon", 1e-12f), false, NULL, NULL);
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, e->dtype));
    qn_onnx_out(l, 2, qn_build_cast(l->b, sum, e->dtype));
    if (!qn_onnx_wants(l, 1) || l->b->status)
        return;
    qn_value mask = qn_onnx_has(l, 7) ? qn_onnx_in(l, 7) : 0, none = qn_onnx_number(l, QN_DTYPE_I32, 0);
    struct qn_attr_reshape attr = {.dims = {.count = 1, .items = {dim_of(l, ids, 0)}}};
    qn_onnx_out(l, 1,
                mask ? qn_build_reduce(l->b, QN_OP_reduce_sum, mask, 1, false)
                     : qn_build_node(l->b, QN_OP_expand, &none, 1, &attr, NULL));
}

QN_ONNX_LOWER(embed_layer_norm)
{
    struct qn_ms_embedding e = {.tables = {wide_in(l, 2), wide_in(l, 3), wide_in(l, 4)},
                                .weight = wide_in(l, 5),
                                .bias = wide_in(l, 6),
                                .positions = qn_onnx_has(l, 8) ? qn_onnx_in(l, 8) : 0,
                                .dtype = qn_onnx_type_of(l, qn_onnx_in(l, 2))->dtype};
    qn_ms_embed_layer_norm(l, &e);
}

/* ---- fused ---------------------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(fused_conv)
{
    static const char *const names[] = {"", "Relu", "Clip", "LeakyRelu",   "Sigmoid",   "Tanh",
                                        "", "",     "",     "HardSigmoid", "HardSwish", NULL};
    struct qn_onnx_import *im = l->import;
    int64_t activation = qn_onnx_attr_choice(l, "activation", QN_ACTIVATION_NONE, names);
    uint64_t count;
    const float *params = qn_onnx_attr_f32s(l, "activation_params", &count);
    if (qn_str_is(l->node->op_type, "NhwcFusedConv"))
        qn_lower_nhwc_conv(l);
    else
        qn_lower_conv(l);
    if (l->b->status || l->output_count < 1 || !im->step->outputs[0])
        return;
    qn_value y = im->entries[im->step->outputs[0]].value;
    y = qn_onnx_has(l, 3) ? BINARY(add, y, qn_onnx_in(l, 3)) : y;
    qn_onnx_out(l, 0, qn_build_activation(l->b, y, activation, count > 0 ? params[0] : 0, count > 1 ? params[1] : 0));
}

QN_ONNX_LOWER(bias_split_gelu)
{
    qn_value x = qn_onnx_in(l, 0), sum = BINARY(add, wide_in(l, 0), wide_in(l, 1));
    if (l->b->status)
        return;
    int64_t axis = (int64_t)qn_onnx_rank(l, x) - 1;
    qn_dim width = dim_of(l, x, (uint32_t)axis), half = qn_build_expr(l->b, QN_EXPR_DIV, width, 2);
    qn_value left = qn_build_slice(l->b, sum, axis, 0, half), right = qn_build_slice(l->b, sum, axis, half, width);
    qn_lower_out_like(l, BINARY(mul, left, qn_build_unary(l->b, QN_OP_gelu_erf, right)), x);
}

QN_ONNX_LOWER(bias_add)
{
    qn_onnx_out(l, 0, BINARY(add, BINARY(add, qn_onnx_in(l, 0), qn_onnx_in(l, 1)), qn_onnx_in(l, 2)));
}

/* GroupQueryAttention and SparseAttention of com.microsoft: grouped heads over a cache that may have more rows than are
 * in use, and may be kept in 8 or 4 bits. */
#include <inttypes.h>
#include <math.h>

#include "format/onnx/import_state.h"
#include "format/onnx/ops/attend.h"
#include "format/onnx/ops/attention_norm.h"
#include "format/onnx/ops/microsoft.h"

enum { MOST_HEADS = 1 << 20 }; /* sums and products of head counts stay small */

enum input {
    QUERY,
    KEY,
    VALUE,
    PAST_KEY,
    PAST_VALUE,
    LENGTHS, /* of each sequence, less 1 */
    TOTAL,   /* the greatest length */
    COS,
    SIN,
    POSITIONS,
    BIAS,
    SINK,
    KEY_SCALE,
    VALUE_SCALE,
    QUERY_NORM,
    KEY_NORM,
    INPUTS
};

enum { ABSENT = UINT8_MAX }; /* greater than any input's number */

/* SparseAttention's inputs by what they are here; 5 and 6 are its layouts. */
enum { BLOCK_ROWS = 5, BLOCK_COLUMNS = 6 };
static const uint8_t group_inputs[INPUTS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t sparse_inputs[INPUTS] = {0,  1,      2,      3,      4,      8,      7,      9,
                                              10, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT};

enum scales { UNSCALED, PER_TENSOR, PER_CHANNEL };

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)
#define UNARY(op, x) qn_lower_unary(l, QN_OP_##op, x)
#define NUMBER(op, x, n) qn_lower_with_number(l, QN_OP_##op, x, n)

/* What the parts below share. */
struct query {
    const uint8_t *at; /* numbers of inputs, by enum input */
    bool sparse;
    int64_t heads, kv_heads;
    int64_t bits; /* of an element in a cache of codes; 0: floats */
    qn_dim batch, tokens;
    int64_t window;     /* keys that a query sees at most, itself included; 0: all */
    bool rolling;       /* the caches keep a window only (below) */
    qn_dim rows, total; /* of the caches that come out; keys that attention sees */
    qn_value last;      /* i64 [b]: position of each sequence's last token */
    qn_value first;     /* i64 [b]: position of its first new token */
    qn_value start;     /* i64 [b]: row that its first new key goes to */
    qn_value evicted;   /* i64 [b], rolling: rows that make room */
    qn_dtype dtype, wide;
};

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

static bool has(const struct qn_lower *l, const struct query *g, uint32_t i)
{
    return qn_onnx_has(l, g->at[i]);
}

static qn_value input_of(struct qn_lower *l, const struct query *g, uint32_t i)
{
    return has(l, g, i) ? qn_onnx_in(l, g->at[i]) : 0;
}

/* The same in f32. */
static qn_value wide_in(struct qn_lower *l, const struct query *g, uint32_t i)
{
    return has(l, g, i) ? qn_lower_widen(l, input_of(l, g, i)) : 0;
}

/* ---- caches in 8 and 4 bits ------------------------------------------------------------------------------------ */

/* Two elements a byte, the first in the low bits, each 8 more than it stands for: i64 [b, g, n, d] as u8
 * [b, g, n, d / 2]. */
static qn_value packed_pairs(struct qn_lower *l, qn_value code)
{
    const struct qn_ints last = {1, {4}};
    qn_dim half = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, code, 3), 2);
    qn_dim pairs[] = {dim_of(l, code, 0), dim_of(l, code, 1), dim_of(l, code, 2), half, 2};
    code = qn_build_reshape(l->b, NUMBER(add, code, 8), 5, pairs);
    qn_value low = qn_onnx_squeeze(l, qn_build_slice(l->b, code, 4, 0, 1), &last);
    qn_value high = qn_onnx_squeeze(l, qn_build_slice(l->b, code, 4, 1, 2), &last);
    return qn_build_cast(l->b, BINARY(add, low, NUMBER(mul, high, 16)), QN_DTYPE_U8);
}

static qn_value unpacked_pairs(struct qn_lower *l, qn_value x)
{
    const struct qn_ints last = {1, {4}};
    qn_dim dims[] = {dim_of(l, x, 0), dim_of(l, x, 1), dim_of(l, x, 2),
                     qn_build_expr(l->b, QN_EXPR_MUL, dim_of(l, x, 3), 2)};
    qn_value low = qn_onnx_unsqueeze(l, NUMBER(bit_and, x, 15), &last);
    qn_value high = qn_onnx_unsqueeze(l, NUMBER(shift_right, x, 4), &last);
    qn_value code = qn_build_reshape(l->b, qn_build_concat(l->b, low, high, 4), 4, dims);
    return NUMBER(sub, qn_build_cast(l->b, code, QN_DTYPE_F32), 8);
}

/* x [b, g, s, d] as the cache keeps it: codes of x / scale, to the nearest, or x itself. */
static qn_value stored(struct qn_lower *l, const struct query *g, qn_value x, uint32_t scale)
{
    if (!g->bits)
        return x;
    double least = g->bits == 8 ? -128 : -8;
    x = UNARY(round, BINARY(div, x, wide_in(l, g, scale)));
    x = NUMBER(min, NUMBER(max, x, least), -1 - least);
    return g->bits == 8 ? qn_build_cast(l->b, x, QN_DTYPE_I8) : packed_pairs(l, qn_build_cast(l->b, x, QN_DTYPE_I64));
}

static qn_value loaded(struct qn_lower *l, const struct query *g, qn_value x, uint32_t scale)
{
    if (!g->bits)
        return x;
    x = g->bits == 8 ? qn_build_cast(l->b, x, QN_DTYPE_F32) : unpacked_pairs(l, x);
    return BINARY(mul, x, wide_in(l, g, scale));
}

/* Whether the caches are codes, and of how many bits. */
static bool take_kind(struct qn_lower *l, struct query *g)
{
    static const char *const kinds[] = {"NONE", "PER_TENSOR", "PER_CHANNEL", NULL};
    int64_t k = qn_onnx_attr_choice(l, "k_quant_type", UNSCALED, kinds);
    int64_t v = qn_onnx_attr_choice(l, "v_quant_type", UNSCALED, kinds);
    int64_t bits = qn_onnx_attr_i(l, "kv_cache_bit_width", 8);
    qn_value past = has(l, g, PAST_KEY) ? input_of(l, g, PAST_KEY) : 0;
    if (l->b->status)
        return false;
    qn_dtype want = k == UNSCALED ? g->dtype : bits == 8 ? QN_DTYPE_I8 : QN_DTYPE_U8;
    if ((k == UNSCALED) != (v == UNSCALED))
        qn_onnx_fail(l, "k_quant_type is %s and v_quant_type %s: expected both or none", kinds[k], kinds[v]);
    else if (k != UNSCALED && (!has(l, g, KEY_SCALE) || !has(l, g, VALUE_SCALE)))
        qn_onnx_fail(l, "a cache of codes needs k_scale and v_scale");
    else if (k != UNSCALED && bits != 8 && bits != 4)
        qn_onnx_fail(l, "kv_cache_bit_width is %" PRId64 ", expected 8 or 4", bits);
    else if (past && qn_onnx_type_of(l, past)->dtype != want)
        qn_onnx_fail(l, "past_key is %s, expected %s", qn_dtype_name(qn_onnx_type_of(l, past)->dtype),
                     qn_dtype_name(want));
    g->bits = k == UNSCALED ? 0 : bits;
    return !l->b->status;
}

/* ---- caches that keep a window ---------------------------------------------------------------------------------- */

/* Of n tokens [b] so many lie in a cache that rolls, one behind the other from row 0 on. A cache that would overflow
 * keeps no more than the window, so that it has to move its rows once in a while only. */
static qn_value kept(struct qn_lower *l, const struct query *g, qn_value n)
{
    qn_value room = qn_attend_size(l, g->rows);
    qn_value cycle = NUMBER(add, NUMBER(sub, room, (double)g->window), 1);
    qn_value over = BINARY(mod, NUMBER(sub, BINARY(sub, n, room), 1), cycle);
    return qn_build_where(l->b, BINARY(less_equal, n, room), n, NUMBER(add, over, (double)g->window));
}

/* The cache's rows are those of past_key, and new keys lie behind them while attention looks. */
static void take_rolling(struct qn_lower *l, struct query *g)
{
    if (!has(l, g, PAST_KEY) || g->window < 1 || qn_onnx_wants(l, 3))
        qn_onnx_fail(l, "sliding_window_cache needs past_key, past_value and local_window_size, and has no output_qk");
    if (l->b->status)
        return;
    g->rows = dim_of(l, input_of(l, g, PAST_KEY), 2);
    g->total = qn_build_expr(l->b, QN_EXPR_ADD, g->rows, g->tokens);
    if (!l->b->status)
        l->b->status =
            qn_graph_add_check(l->b->graph, QN_CHECK_AT_MOST, g->window, g->rows, qn_onnx_node_name(l->node));
    if (g->rows >= 0 && g->rows < g->window)
        qn_onnx_fail(l, "a cache of %" PRId64 " rows for a window of %" PRId64 " keys", g->rows, g->window);
    g->start = kept(l, g, g->first);
    qn_value after = BINARY(add, g->start, qn_attend_size(l, g->tokens));
    g->evicted = BINARY(sub, after, kept(l, g, NUMBER(add, g->last, 1)));
}

/* from [b] + 0, 1, ... below count along an axis, for every element of a tensor of that shape. */
static qn_value counted_from(struct qn_lower *l, const struct query *g, qn_value from, uint32_t axis, qn_dim count,
                             const struct qn_attr_reshape *whole)
{
    qn_value at =
        BINARY(add, qn_attend_count(l, count, axis, 4), qn_build_reshape(l->b, from, 4, (qn_dim[]){g->batch, 1, 1, 1}));
    return qn_build_node(l->b, QN_OP_expand, &at, 1, whole, NULL);
}

/* The rows [b, g, rows, d] that stay of a rolling cache with the new ones behind it. */
static qn_value rolled(struct qn_lower *l, const struct query *g, qn_value x)
{
    struct qn_attr_axis along = {.axis = 2};
    struct qn_attr_reshape whole = {.dims = {4, {g->batch, dim_of(l, x, 1), g->rows, dim_of(l, x, 3)}}};
    qn_value at = counted_from(l, g, g->evicted, 2, g->rows, &whole);
    at = BINARY(min, at, NUMBER(sub, qn_attend_size(l, g->total), 1)); /* rows behind the last one hold anything */
    return qn_build_node(l->b, QN_OP_gather_elements, (qn_value[]){x, at}, 2, &along, NULL);
}

/* A bias [b or 1, h or 1, s, positions] by the rows of a rolling cache. */
static qn_value rolled_bias(struct qn_lower *l, const struct query *g, qn_value bias)
{
    struct qn_attr_axis along = {.axis = 3};
    struct qn_attr_reshape all = {.dims = {4, {g->batch, dim_of(l, bias, 1), g->tokens, dim_of(l, bias, 3)}}};
    struct qn_attr_reshape whole = all;
    whole.dims.items[3] = g->total;
    bias = qn_build_node(l->b, QN_OP_expand, &bias, 1, &all, NULL);
    qn_value at = counted_from(l, g, BINARY(sub, g->first, g->start), 3, g->total, &whole);
    at = BINARY(min, at, NUMBER(sub, qn_attend_size(l, all.dims.items[3]), 1));
    return qn_build_node(l->b, QN_OP_gather_elements, (qn_value[]){bias, at}, 2, &along, NULL);
}

/* ---- positions ------------------------------------------------------------------------------------------------- */

/* How many rows caches and scores have, and where the new keys go. The lengths are looked up in a list of all rows: one
 * that is no row ends the run. */
static bool take_lengths(struct qn_lower *l, struct query *g)
{
    struct qn_sizes total;
    if (!qn_onnx_sizes(l, g->at[TOTAL], &total))
        return false;
    if (total.count != 1) {
        qn_onnx_fail(l, "total_sequence_length has %" PRIu32 " elements, expected 1", total.count);
        return false;
    }
    g->rows = g->total = g->tokens;
    if (has(l, g, PAST_KEY)) {
        g->total = qn_onnx_size_dim(l, &total.items[0]);
        g->rows = qn_build_expr(l->b, QN_EXPR_MAX, dim_of(l, input_of(l, g, PAST_KEY), 2), g->total);
    }
    struct qn_attr_iota all = {.count = g->rolling ? g->total : g->rows, .dtype = QN_DTYPE_I64};
    qn_value rows = qn_build_node(l->b, QN_OP_iota, NULL, 0, &all, NULL);
    qn_value last = qn_build_reshape(l->b, input_of(l, g, LENGTHS), 1, &g->batch);
    last = g->sparse ? NUMBER(sub, last, 1) : last; /* told as lengths there */
    struct qn_str name =
        qn_arena_printf(&l->b->graph->arena, "%s of %.*s", g->sparse ? "key_total_sequence_lengths" : "seqlens_k",
                        QN_STR_ARG(qn_onnx_node_name(l->node)));
    if (!l->b->status && !name.data)
        l->b->status = QN_OOM();
    if (!l->b->status)
        l->b->status = qn_graph_add_node(l->b->graph, QN_OP_gather, (qn_value[]){rows, last}, 2,
                                         &(struct qn_attr_gather){.axis = 0}, name, &g->last);
    g->first = BINARY(sub, NUMBER(add, g->last, 1), qn_attend_size(l, g->tokens));
    g->start = g->first = NUMBER(max, g->first, 0); /* of a prompt that is shorter than the longest */
    if (g->rolling)
        take_rolling(l, g);
    return !l->b->status;
}

/* Positions [b or 1, s] for rotary embeddings: as given, but a prompt counts from the first that is given. */
static qn_value rotary_positions(struct qn_lower *l, const struct query *g, qn_value counted)
{
    if (!has(l, g, POSITIONS) || l->b->status)
        return counted;
    qn_value given = input_of(l, g, POSITIONS);
    if (!has(l, g, PAST_KEY) || l->b->status) {
        qn_value first = qn_build_slice(l->b, qn_build_slice(l->b, given, 0, 0, 1), 1, 0, 1);
        return BINARY(add, first, qn_attend_count(l, g->tokens, 1, 2));
    }
    return given;
}

/* x [b, h, s, d] turned by positions [b, s]. */
static qn_value rotated(struct qn_lower *l, const struct query *g, qn_value x, qn_value positions)
{
    const int64_t turn[] = {0, 2, 1, 3};
    qn_value cos = qn_build_gather(l->b, wide_in(l, g, COS), positions, 0, 0);
    qn_value sin = qn_build_gather(l->b, wide_in(l, g, SIN), positions, 0, 0);
    x = qn_build_transpose(l->b, x, 4, turn);
    x = qn_attend_rotate(l, x, cos, sin, qn_onnx_attr_i(l, "rotary_interleaved", 0) != 0);
    return qn_build_transpose(l->b, x, 4, turn);
}

/* ---- keys and values ------------------------------------------------------------------------------------------- */

/* Query, key and value [b, h, s, d]; side by side in the query, or apart. */
static bool take_parts(struct qn_lower *l, const struct query *g, qn_value *part)
{
    qn_value q = wide_in(l, g, QUERY), k = wide_in(l, g, KEY), v = wide_in(l, g, VALUE);
    if (l->b->status)
        return false;
    if (!k != !v)
        qn_onnx_fail(l, "key and value are given both, or neither where the query holds all three");
    if (!k) {
        qn_dim width = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, q, 2), g->heads + 2 * g->kv_heads);
        qn_dim end = qn_build_expr(l->b, QN_EXPR_MUL, width, g->heads);
        qn_dim middle = qn_build_expr(l->b, QN_EXPR_MUL, width, g->heads + g->kv_heads), last = dim_of(l, q, 2);
        k = qn_build_slice(l->b, q, 2, end, middle);
        v = qn_build_slice(l->b, q, 2, middle, last);
        q = qn_build_slice(l->b, q, 2, 0, end);
    }
    part[0] = qn_attend_split(l, q, g->heads);
    part[1] = qn_attend_split(l, k, g->kv_heads);
    part[2] = qn_attend_split(l, v, g->kv_heads);
    float epsilon = qn_onnx_attr_f(l, "qk_norm_epsilon", 1e-6f);
    for (uint32_t i = 0; i < 2; i++)
        if (has(l, g, QUERY_NORM + i) && !l->b->status)
            part[i] = qn_lower_normalize(l, part[i], 3, wide_in(l, g, QUERY_NORM + i), 0, epsilon, true, NULL, NULL);
    return !l->b->status;
}

/* The first rows of x [b, g, n, d]. */
static qn_value first_rows(struct qn_lower *l, qn_value x, qn_dim rows)
{
    return l->b->status || dim_of(l, x, 2) == rows ? x : qn_build_slice(l->b, x, 2, 0, rows);
}

/* The cache [b, g, p, d] of an input with x [b, g, s, d] written from row start[b] on, and room behind. */
static qn_value appended(struct qn_lower *l, const struct query *g, uint32_t input, qn_value x)
{
    struct qn_attr_scatter scatter = {.axis = 2};
    struct qn_attr_reshape all = {.dims = {.count = 4}};
    if (!has(l, g, input) || l->b->status)
        return x;
    for (uint32_t i = 0; i < 4; i++)
        all.dims.items[i] = dim_of(l, x, i);
    qn_value room = qn_build_concat(l->b, g->bits ? input_of(l, g, input) : wide_in(l, g, input), x, 2);
    qn_value rows = counted_from(l, g, g->start, 2, g->tokens, &all);
    return qn_build_node(l->b, QN_OP_scatter_elements, (qn_value[]){room, rows, x}, 3, &scatter, NULL);
}

/* x with a row of zeros behind axis 2. */
static qn_value with_zero_row(struct qn_lower *l, qn_value x)
{
    struct qn_attr_reshape attr = {.dims = {4, {dim_of(l, x, 0), dim_of(l, x, 1), 1, dim_of(l, x, 3)}}};
    qn_value zero = qn_onnx_number(l, qn_onnx_type_of(l, x)->dtype, 0);
    return qn_build_concat(l->b, x, qn_build_node(l->b, QN_OP_expand, &zero, 1, &attr, NULL), 2);
}

/* A sink takes its share of the softmax and gives nothing: a key of zeros whose bias is the sink (one, or one a head).
 * The cap on scores leaves a zero alone. */
static void add_sink(struct qn_lower *l, struct qn_attend *a, qn_value sink, int64_t heads)
{
    if (l->b->status)
        return;
    qn_dim batch = dim_of(l, a->q, 0), queries = dim_of(l, a->q, 2), keys = dim_of(l, a->k, 2);
    struct qn_attr_reshape column = {.dims = {4, {batch, heads, queries, 1}}};
    struct qn_attr_reshape whole = {.dims = {4, {batch, heads, queries, keys}}};
    if (qn_onnx_rank(l, sink) == 1)
        sink = qn_build_reshape(l->b, sink, 4, (qn_dim[]){1, heads, 1, 1});
    sink = qn_build_node(l->b, QN_OP_expand, &sink, 1, &column, NULL);
    qn_value bias = qn_build_node(l->b, QN_OP_expand, &a->bias, 1, &whole, NULL);
    a->bias = qn_build_concat(l->b, bias, sink, 3);
    a->k = with_zero_row(l, a->k);
    a->v = with_zero_row(l, a->v);
}

/* ---- the op ---------------------------------------------------------------------------------------------------- */

/* Which keys each query sees, [b, 1, s, total]; positions are those of the queries among the keys, [b, s]. */
static qn_value seen_keys(struct qn_lower *l, const struct query *g, qn_value positions)
{
    bool causal = qn_onnx_attr_i(l, "causal", 1) != 0;
    if (!causal && qn_onnx_attr_i(l, "local_window_size", -1) != -1)
        qn_onnx_fail(l, "local_window_size is given, expected -1 where causal is 0");
    if (l->b->status)
        return 0;
    qn_value key = qn_attend_count(l, g->total, 3, 4);
    if (!causal)
        return BINARY(less_equal, key, qn_build_reshape(l->b, g->last, 4, (qn_dim[]){g->batch, 1, 1, 1}));
    qn_value row = qn_build_reshape(l->b, positions, 4, (qn_dim[]){g->batch, 1, g->tokens, 1});
    qn_value seen = BINARY(less_equal, key, row);
    return g->window ? BINARY(and, seen, BINARY(less, NUMBER(sub, row, (double)g->window), key)) : seen;
}

/* ---- SparseAttention ------------------------------------------------------------------------------------------- */

/* The layouts' rows of columns as [heads, n, n] of truth values, layout after layout; NULL after an error. */
static uint8_t *block_table(struct qn_lower *l, const struct query *g, int64_t *blocks)
{
    enum { MOST_BYTES = 1 << 26 };
    const int32_t *rows = qn_onnx_constant(l, BLOCK_ROWS), *columns = qn_onnx_constant(l, BLOCK_COLUMNS);
    if (l->b->status)
        return NULL;
    const struct qn_type *row_type = qn_onnx_type_of(l, qn_onnx_in(l, BLOCK_ROWS));
    const struct qn_type *column_type = qn_onnx_type_of(l, qn_onnx_in(l, BLOCK_COLUMNS));
    if (l->b->status || !rows || !columns)
        return NULL;
    int64_t layouts = row_type->dims[0], n = row_type->dims[1] - 1, room = column_type->dims[1];
    if (row_type->rank != 2 || column_type->rank != 2 || layouts < 1 || n < 1 || column_type->dims[0] != layouts ||
        g->heads % layouts || n > MOST_BYTES || n * n > MOST_BYTES / g->heads) {
        qn_onnx_fail(l, "block_row_indices and block_col_indices are no layouts of blocks for %" PRId64 " heads",
                     g->heads);
        return NULL;
    }
    uint8_t *table = QN_ARENA_ARRAY(&l->import->arena, uint8_t, (size_t)(g->heads * n * n));
    if (!table) {
        l->b->status = QN_OOM();
        return NULL;
    }
    for (int64_t h = 0; h < g->heads; h++)
        for (int64_t i = 0; i < n; i++) {
            const int32_t *ends = rows + h % layouts * (n + 1) + i, *list = columns + h % layouts * room;
            for (int64_t k = ends[0]; k < ends[1]; k++) {
                if (k < 0 || k >= room || list[k] < 0 || list[k] >= n) {
                    qn_onnx_fail(l, "row %" PRId64 " of layout %" PRId64 " names a block outside of 0 to %" PRId64, i,
                                 h % layouts, n - 1);
                    return NULL;
                }
                table[(h * n + i) * n + list[k]] = 1;
            }
        }
    *blocks = n;
    return table;
}

/* Of the keys seen those in blocks that the layout of the head has, [b, h, s, total]. */
static qn_value seen_blocks(struct qn_lower *l, const struct query *g, qn_value seen, qn_value positions)
{
    int64_t blocks = 0, size = qn_onnx_attr_i(l, "sparse_block_size", 0);
    if (size < 1)
        qn_onnx_fail(l, "sparse_block_size is %" PRId64, size);
    const uint8_t *table = l->b->status ? NULL : block_table(l, g, &blocks);
    if (!table)
        return 0;
    struct qn_attr_iota all = {.count = g->total, .dtype = QN_DTYPE_I64};
    qn_value layout = qn_onnx_data(l, QN_DTYPE_BOOL, 3, (int64_t[]){g->heads, blocks, blocks}, table);
    qn_value key = qn_build_node(l->b, QN_OP_iota, NULL, 0, &all, NULL);
    qn_value row = NUMBER(div, positions, (double)size), column = NUMBER(div, key, (double)size);
    qn_value each = qn_build_transpose(l->b, qn_build_gather(l->b, layout, row, 1, 0), 4, (int64_t[]){1, 0, 2, 3});
    return BINARY(and, seen, qn_build_gather(l->b, each, column, 3, 0));
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

/* Output 3: the scores before (1) or after (2) the softmax, 0 where a key is not seen. */
static void report(struct qn_lower *l, const struct query *g, const struct qn_attend *a, qn_value seen, int64_t which)
{
    if (l->b->status || !which)
        return;
    qn_value y = which == 1 ? a->biased : a->probabilities;
    if (dim_of(l, y, 3) != g->total)
        y = qn_build_slice(l->b, y, 3, 0, g->total);
    if (which == 1)
        y = qn_build_where(l->b, seen, y, qn_onnx_number(l, g->wide, 0));
    qn_onnx_out(l, 3, qn_build_cast(l->b, y, g->dtype));
}

static bool take_heads(struct qn_lower *l, struct query *g)
{
    qn_value x = input_of(l, g, QUERY);
    g->heads = qn_onnx_attr_i(l, "num_heads", 0);
    g->kv_heads = qn_onnx_attr_i(l, "kv_num_heads", 0);
    if (g->heads < 1 || g->kv_heads < 1 || g->heads > MOST_HEADS || g->kv_heads > MOST_HEADS)
        qn_onnx_fail(l, "%" PRId64 " query heads, %" PRId64 " key heads", g->heads, g->kv_heads);
    int64_t window = qn_onnx_attr_i(l, "local_window_size", -1);
    g->window = window > 0 ? window < INT32_MAX ? window : INT32_MAX : 0;
    g->rolling = qn_onnx_attr_i(l, "sliding_window_cache", 0) != 0;
    if (qn_onnx_wants(l, 3) && !qn_onnx_attr_i(l, "qk_output", 0))
        qn_onnx_fail(l, "output_qk is asked for, but qk_output does not say which");
    if (l->b->status)
        return false;
    g->dtype = qn_onnx_type_of(l, x)->dtype;
    g->wide = qn_onnx_type_of(l, qn_lower_widen(l, x))->dtype;
    g->batch = dim_of(l, x, 0);
    g->tokens = dim_of(l, x, 1);
    return take_kind(l, g);
}

static void lower_query(struct qn_lower *l, struct query g)
{
    qn_value part[3];
    if (!take_heads(l, &g) || !take_parts(l, &g, part) || !take_lengths(l, &g))
        return;
    qn_value counted = qn_attend_count(l, g.tokens, 1, 2);
    qn_value positions = BINARY(add, qn_build_reshape(l->b, g.start, 2, (qn_dim[]){g.batch, 1}), counted);
    if (qn_onnx_attr_i(l, "do_rotary", 0)) {
        qn_value at = BINARY(add, qn_build_reshape(l->b, g.first, 2, (qn_dim[]){g.batch, 1}), counted);
        at = rotary_positions(l, &g, at);
        part[0] = rotated(l, &g, part[0], at);
        part[1] = rotated(l, &g, part[1], at);
    }
    for (uint32_t i = 1; i < 3; i++) {
        qn_value x = appended(l, &g, PAST_KEY + i - 1, stored(l, &g, part[i], KEY_SCALE + i - 1));
        if (qn_onnx_wants(l, i) && !l->b->status) {
            qn_value y = g.rolling ? rolled(l, &g, x) : first_rows(l, x, g.rows);
            qn_onnx_out(l, i, g.bits ? y : qn_build_cast(l->b, y, g.dtype));
        }
        part[i] = loaded(l, &g, first_rows(l, x, g.total), KEY_SCALE + i - 1);
    }
    if (l->b->status)
        return;
    int64_t asked = qn_onnx_wants(l, 3) ? qn_onnx_attr_i(l, "qk_output", 0) : 0;
    struct qn_attend a = {.q = part[0], .k = part[1], .v = part[2], .report = asked != 0};
    a.softcap = (double)qn_onnx_attr_f(l, "softcap", 0);
    a.scale = qn_ms_scale(l, part[0]);
    qn_value seen = seen_keys(l, &g, positions);
    seen = g.sparse ? seen_blocks(l, &g, seen, positions) : seen;
    a.bias = qn_attend_bias(l, seen, g.wide);
    if (has(l, &g, BIAS)) {
        qn_value bias = wide_in(l, &g, BIAS);
        a.bias = BINARY(add, a.bias, g.rolling ? rolled_bias(l, &g, bias) : bias);
    }
    if (has(l, &g, SINK) || qn_onnx_attr_i(l, "smooth_softmax", 0) > 0)
        add_sink(l, &a, has(l, &g, SINK) ? wide_in(l, &g, SINK) : qn_onnx_number(l, g.wide, 0), g.heads);
    qn_lower_out_like(l, qn_attend_join(l, qn_attend(l, &a)), input_of(l, &g, QUERY));
    report(l, &g, &a, seen, asked);
}

QN_ONNX_LOWER(group_query_attention)
{
    lower_query(l, (struct query){.at = group_inputs});
}

QN_ONNX_LOWER(sparse_attention)
{
    lower_query(l, (struct query){.at = sparse_inputs, .sparse = true});
}

/* Ops of com.microsoft over words, tokens and their ids: hashes, n-grams, drafts, words of characters. */
#include <inttypes.h>

#include "format/onnx/import_state.h"
#include "format/onnx/ops/attend.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)
#define UNARY(op, x) qn_lower_unary(l, QN_OP_##op, x)
#define NUMBER(op, x, n) qn_lower_with_number(l, QN_OP_##op, x, n)

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

QN_ONNX_LOWER(murmur_hash)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_attr_murmur_hash attr = {.seed = qn_onnx_attr_i(l, "seed", 0)};
    struct qn_attr_cast as_signed = {.dtype = QN_DTYPE_I32};
    qn_value y = qn_build_node(l->b, QN_OP_murmur_hash, &x, 1, &attr, NULL);
    bool positive = qn_onnx_attr_i(l, "positive", 1) != 0;
    qn_onnx_out(l, 0, positive ? y : qn_build_node(l->b, QN_OP_bitcast, &y, 1, &as_signed, NULL));
}

QN_ONNX_LOWER(bifurcation)
{
    qn_value in[4] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1), qn_onnx_in(l, 2), qn_onnx_in(l, 3)}, outs[2];
    struct qn_attr_accept_draft attr = {.count = qn_onnx_late(l, "tokens"),
                                        .least = qn_onnx_attr_i(l, "min_ngram_size", 1),
                                        .most = qn_onnx_attr_i(l, "max_ngram_size", 3)};
    qn_onnx_node(l, QN_OP_accept_draft, in, in[3] ? 4 : 3, &attr, outs, 2);
    qn_onnx_out(l, 0, outs[0]);
    qn_onnx_out(l, 1, outs[1]);
}

/* ---- n-grams -------------------------------------------------------------------------------------------------- */

enum { MOST_NGRAM = 64 };

struct ngrams {
    int64_t n, heads; /* the longest n-gram; hashes of each length */
    qn_value ids;     /* [b, n - 1 + s]: what came before, and the tokens */
    qn_value factors; /* [n] */
    qn_value sizes;   /* [(n - 1) heads]: of the tables that the hashes point into */
    qn_dim tokens;    /* s */
};

/* What came before the tokens [b, s]: input 3, or padding. */
static qn_value with_past(struct qn_lower *l, qn_value ids, int64_t kept)
{
    qn_dtype dtype = qn_onnx_type_of(l, ids)->dtype;
    int64_t pad = qn_onnx_attr_i(l, "pad_id", 0);
    qn_value past = qn_onnx_in(l, 3), fill;
    struct qn_attr_reshape whole = {.dims = {2, {dim_of(l, ids, 0), kept}}};
    if (!l->b->status && dtype == QN_DTYPE_I32 && (pad < INT32_MIN || pad > INT32_MAX))
        qn_onnx_fail(l, "pad_id is %" PRId64 ", the ids are i32", pad);
    if (!l->b->status && past && (qn_onnx_rank(l, past) != 2 || dim_of(l, past, 1) != kept))
        qn_onnx_fail(l, "past_ids are no [batch, %" PRId64 "]", kept);
    if (l->b->status)
        return 0;
    fill = qn_build_cast(l->b, qn_onnx_i64(l, pad), dtype);
    past = past ? past : qn_build_node(l->b, QN_OP_expand, &fill, 1, &whole, NULL);
    return qn_build_concat(l->b, past, ids, 1);
}

/* Hashes of n-grams of all lengths, [b, s, (n - 1) heads]: the products of the latest tokens with their factors,
 * together by exclusive or, modulo the tables' sizes. */
static qn_value ngram_hashes(struct qn_lower *l, const struct ngrams *g)
{
    const struct qn_ints last = {1, {2}};
    qn_value part[MOST_NGRAM], mix = 0;
    for (int64_t k = 0; k < g->n && !l->b->status; k++) {
        int64_t from = g->n - 1 - k;
        qn_value ids = qn_build_slice(l->b, g->ids, 1, from, qn_build_expr(l->b, QN_EXPR_ADD, g->tokens, from));
        qn_value product = BINARY(mul, ids, qn_build_slice(l->b, g->factors, 0, k, k + 1));
        mix = mix ? BINARY(bit_xor, mix, product) : product;
        if (k == 0)
            continue;
        qn_value sizes = qn_build_slice(l->b, g->sizes, 0, (k - 1) * g->heads, k * g->heads);
        part[k - 1] = BINARY(mod, qn_onnx_unsqueeze(l, mix, &last), sizes);
    }
    if (l->b->status)
        return 0;
    return qn_build_node(l->b, QN_OP_concat, part, (uint32_t)(g->n - 1), &(struct qn_attr_axis){.axis = 2}, NULL);
}

/* The sizes are those of tables: above 0. */
static void check_sizes(struct qn_lower *l, uint32_t input)
{
    const void *sizes = qn_onnx_constant(l, input);
    const struct qn_type *type = qn_onnx_type_of(l, qn_onnx_in(l, input));
    for (int64_t i = 0; sizes && !l->b->status && i < type->dims[0]; i++) {
        int64_t size = type->dtype == QN_DTYPE_I32 ? ((const int32_t *)sizes)[i] : ((const int64_t *)sizes)[i];
        if (size < 1)
            qn_onnx_fail(l, "vocab_sizes holds %" PRId64 ", expected 1 or more", size);
    }
}

QN_ONNX_LOWER(ngram_hash)
{
    struct ngrams g = {.n = qn_onnx_attr_i(l, "max_ngram_size", 0), .heads = qn_onnx_attr_i(l, "n_head_per_ngram", 0)};
    qn_value ids = qn_onnx_in(l, 0);
    g.factors = qn_onnx_in(l, 1);
    g.sizes = qn_onnx_in(l, 2);
    if (l->b->status || !qn_onnx_static(l, g.factors) || !qn_onnx_static(l, g.sizes))
        return;
    if (g.n < 2 || g.n > MOST_NGRAM || g.heads < 1 || g.heads > INT32_MAX)
        qn_onnx_fail(l, "n-grams of up to %" PRId64 " tokens with %" PRId64 " heads: expected 2 to %d, and 1 or more",
                     g.n, g.heads, MOST_NGRAM);
    else if (qn_onnx_rank(l, ids) != 2 || qn_onnx_rank(l, g.factors) != 1 || qn_onnx_rank(l, g.sizes) != 1 ||
             dim_of(l, g.factors, 0) != g.n || dim_of(l, g.sizes, 0) != (g.n - 1) * g.heads)
        qn_onnx_fail(l, "expected input_ids [batch, tokens], multipliers [%" PRId64 "] and vocab_sizes [%" PRId64 "]",
                     g.n, (g.n - 1) * g.heads);
    if (!l->b->status)
        check_sizes(l, 2);
    if (l->b->status || l->import->deferred)
        return;
    g.tokens = dim_of(l, ids, 1);
    g.ids = with_past(l, ids, g.n - 1);
    qn_onnx_out(l, 0, ngram_hashes(l, &g));
    qn_onnx_out(l, 1, qn_build_slice(l->b, g.ids, 1, g.tokens, dim_of(l, g.ids, 1)));
}

/* ---- words of characters -------------------------------------------------------------------------------------- */

/* Words [s, characters], 0 behind their end; a convolution over the embeddings of their characters, tanh, and the
 * largest of each filter [s, filters]. Windows reach to the word's end, of shorter words to the window's. Words without
 * characters give 0. */
QN_ONNX_LOWER(word_embedding)
{
    const struct qn_ints one = {1, {1}}, last = {1, {3}};
    qn_value words = qn_onnx_in(l, 0), filters = qn_onnx_in(l, 1), bias = qn_onnx_in(l, 2), table = qn_onnx_in(l, 3);
    if (l->b->status || !qn_onnx_static(l, filters) || !qn_onnx_static(l, table))
        return;
    if (qn_onnx_rank(l, words) != 2 || qn_onnx_rank(l, filters) != 4 || qn_onnx_rank(l, table) != 2 ||
        dim_of(l, filters, 1) != 1 || dim_of(l, filters, 3) != dim_of(l, table, 1)) {
        qn_onnx_fail(l, "expected Sequence [s, n], W [filters, 1, window, size] and C [characters, size]");
        return;
    }
    qn_dim count = dim_of(l, filters, 0), window = dim_of(l, filters, 2);
    if (qn_onnx_attr_i(l, "embedding_size", count) != count ||
        qn_onnx_attr_i(l, "conv_window_size", window) != window ||
        qn_onnx_attr_i(l, "char_embedding_size", dim_of(l, table, 1)) != dim_of(l, table, 1)) {
        qn_onnx_fail(l, "embedding_size, conv_window_size or char_embedding_size are not those of the weights");
        return;
    }
    qn_value none = qn_onnx_number(l, QN_DTYPE_I32, 0), some = BINARY(less, none, words);
    qn_value length = qn_build_reduce(l->b, QN_OP_reduce_sum, qn_build_cast(l->b, some, QN_DTYPE_I32), 1, true);
    qn_value begun = qn_build_slice(l->b, some, 1, 0, 1); /* [s, 1]: there is a word */
    qn_value x = qn_build_gather(l->b, table, NUMBER(max, words, 0), 0, 0);
    struct qn_attr_conv attr = {.groups = 1};
    qn_value in[3] = {qn_onnx_unsqueeze(l, x, &one), filters, bias};
    qn_value y = UNARY(tanh, qn_onnx_squeeze(l, qn_build_node(l->b, QN_OP_conv, in, 3, &attr, NULL), &last));
    qn_value place = qn_build_cast(l->b, qn_attend_count(l, dim_of(l, y, 2), 1, 2), QN_DTYPE_I32); /* [1, windows] */
    qn_value inside = BINARY(less, place, NUMBER(sub, NUMBER(max, length, (double)window), (double)(window - 1)));
    y = qn_build_where(l->b, qn_onnx_unsqueeze(l, inside, &one), y, qn_onnx_number(l, QN_DTYPE_F32, -1e12));
    y = qn_build_reduce(l->b, QN_OP_reduce_max, y, 2, false);
    qn_onnx_out(l, 0, qn_build_where(l->b, begun, y, qn_onnx_number(l, QN_DTYPE_F32, 0)));
}

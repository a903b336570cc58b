/* Rotary embeddings of com.microsoft: by tables, by three positions a token (M-RoPE), and Gemma's. */
#include <inttypes.h>

#include "format/onnx/ops/attend.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

static qn_value wide_in(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_has(l, i) ? qn_lower_widen(l, qn_onnx_in(l, i)) : 0;
}

/* Output 0: x (input 0: [b, s, h * d] or [b, h, s, d]) turned by cos and sin [b or 1, s, r / 2], r the width that the
 * tables have. */
static void out_turned(struct qn_lower *l, qn_value cos, qn_value sin)
{
    qn_value x = qn_onnx_in(l, 0), wide = wide_in(l, 0);
    int64_t heads = qn_onnx_attr_i(l, "num_heads", 0), rotary = qn_onnx_attr_i(l, "rotary_embedding_dim", 0);
    if (l->b->status)
        return;
    bool flat = qn_onnx_rank(l, x) == 3;
    const int64_t turn[] = {0, 2, 1, 3};
    qn_dim batch = dim_of(l, x, 0), tokens = dim_of(l, x, flat ? 1 : 2);
    if (flat) {
        qn_dim width = rotary && heads ? qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, x, 2), heads)
                                       : qn_build_expr(l->b, QN_EXPR_MUL, dim_of(l, cos, 2), 2);
        qn_dim count = qn_build_expr(l->b, QN_EXPR_DIV, dim_of(l, x, 2), width);
        wide = qn_build_reshape(l->b, wide, 4, (qn_dim[]){batch, tokens, count, width});
    } else {
        wide = qn_build_transpose(l->b, wide, 4, turn);
    }
    qn_value y = qn_attend_rotate(l, wide, cos, sin, qn_onnx_attr_i(l, "interleaved", 0) != 0);
    if (flat && !l->b->status)
        y = qn_build_reshape(l->b, y, 3, (qn_dim[]){batch, tokens, dim_of(l, x, 2)});
    else
        y = qn_build_transpose(l->b, y, 4, turn);
    qn_lower_out_like(l, y, x);
}

QN_ONNX_LOWER(ms_rotary_embedding)
{
    qn_value x = qn_onnx_in(l, 0), at = qn_build_cast(l->b, qn_onnx_in(l, 1), QN_DTYPE_I64);
    if (l->b->status)
        return;
    if (qn_onnx_rank(l, at) == 1) { /* the first position of all sequences */
        at = qn_build_reshape(l->b, at, 2, (qn_dim[]){1, 1});
        at = BINARY(add, at, qn_attend_count(l, dim_of(l, x, qn_onnx_rank(l, x) == 3 ? 1 : 2), 1, 2));
    }
    out_turned(l, qn_build_gather(l->b, wide_in(l, 2), at, 0, 0), qn_build_gather(l->b, wide_in(l, 3), at, 0, 0));
}

/* ---- three positions a token ---------------------------------------------------------------------------------- */

/* Rows of the table in `input` at the positions [3, b, s]: column i is that of the stream which[i]. [b, s, columns] */
static qn_value mixed_rows(struct qn_lower *l, uint32_t input, qn_value at, const int64_t *which, int64_t columns)
{
    qn_value all = qn_build_gather(l->b, wide_in(l, input), at, 0, 0), y = 0; /* [3, b, s, columns] */
    for (int64_t from = 0, to; from < columns && !l->b->status; from = to) {
        for (to = from + 1; to < columns && which[to] == which[from]; to++)
            ;
        qn_value part = qn_build_slice(l->b, all, 0, which[from], which[from] + 1);
        part = qn_onnx_squeeze(l, qn_build_slice(l->b, part, 3, from, to), &(struct qn_ints){1, {0}});
        y = y ? qn_build_concat(l->b, y, part, 2) : part;
    }
    return y;
}

enum { MOST_COLUMNS = 1024 };

QN_ONNX_LOWER(multi_rotary_embedding)
{
    qn_value at = qn_build_cast(l->b, qn_onnx_in(l, 1), QN_DTYPE_I64), table = qn_onnx_in(l, 2);
    struct qn_ints sections;
    int64_t which[MOST_COLUMNS] = {0}, layout = qn_onnx_attr_i(l, "mrope_layout", 0);
    double scale = (double)qn_onnx_attr_f(l, "scale", 1);
    qn_onnx_attr_ints(l, "mrope_section", &sections);
    if (l->b->status || !qn_onnx_static(l, table))
        return;
    int64_t columns = dim_of(l, table, 1), left[3] = {0}, sum = 0;
    for (uint32_t i = 0; i < 3 && sections.count == 3; i++) {
        left[i] = sections.items[i] < 0 || sections.items[i] > MOST_COLUMNS ? 2 * MOST_COLUMNS : sections.items[i];
        sum += left[i];
    }
    if (sections.count != 3 || sum != columns || columns > MOST_COLUMNS || qn_onnx_rank(l, at) != 3 ||
        (layout != 0 && layout != 1) || scale != 1) {
        qn_onnx_fail(l,
                     "mrope_section of %u numbers, layout %" PRId64 ", scale %g, positions of rank %u: expected 3 "
                     "that add up to %" PRId64 " columns, 0 or 1, 1, and rank 3",
                     sections.count, layout, scale, qn_onnx_rank(l, at), columns);
        return;
    }
    for (int64_t i = 0; i < columns; i++) { /* layout 1: t h w t h w ..., each as long as its section lasts, then t */
        int64_t s = i % 3;
        if (layout == 0)
            which[i] = i < left[0] ? 0 : i < left[0] + left[1] ? 1 : 2;
        else
            which[i] = i / 3 < left[s] ? s : 0;
    }
    out_turned(l, mixed_rows(l, 2, at, which, columns), mixed_rows(l, 3, at, which, columns));
}

/* ---- Gemma ---------------------------------------------------------------------------------------------------- */

/* q cos + q_rot sin, k cos + k_rot sin, for angles [b, s, d] */
QN_ONNX_LOWER(gemma_rotary)
{
    const struct qn_ints heads = {1, {1}};
    qn_value angle = qn_onnx_unsqueeze(l, wide_in(l, 0), &heads);
    qn_value cos = qn_lower_unary(l, QN_OP_cos, angle), sin = qn_lower_unary(l, QN_OP_sin, angle);
    for (uint32_t i = 0; i < 2 && !l->b->status; i++) {
        qn_value x = qn_onnx_in(l, 1 + 2 * i);
        qn_value y = BINARY(add, BINARY(mul, wide_in(l, 1 + 2 * i), cos), BINARY(mul, wide_in(l, 2 + 2 * i), sin));
        if (!l->b->status)
            qn_onnx_out(l, i, qn_build_cast(l->b, y, qn_onnx_type_of(l, x)->dtype));
    }
}

/* Normalisations and gates of com.microsoft: groups of channels, gated RMS norms, biased softmax. */
#include <inttypes.h>

#include "format/onnx/ops/attend.h"
#include "format/onnx/ops/attention_norm.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)
#define UNARY(op, x) qn_lower_unary(l, QN_OP_##op, x)

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

static qn_value wide_in(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_has(l, i) ? qn_lower_widen(l, qn_onnx_in(l, i)) : 0;
}

/* ---- groups of channels --------------------------------------------------------------------------------------- */

/* Output 0: x [n, spatial..., c] or [n, c, spatial...] normalised in groups of channels by inputs 1 and 2. */
static void out_group_norm(struct qn_lower *l, qn_value x)
{
    bool last = qn_onnx_attr_i(l, "channels_last", 1) != 0;
    int64_t groups = qn_onnx_attr_i(l, "groups", 0), activation = qn_onnx_attr_i(l, "activation", 0);
    uint32_t rank = qn_onnx_rank(l, x);
    int64_t there[QN_MAX_RANK] = {0, rank - 1}, back[QN_MAX_RANK] = {0};
    if (l->b->status)
        return;
    if (rank < 3 || groups < 1 || activation < 0 || activation > 1) {
        qn_onnx_fail(l, "rank %u, %" PRId64 " groups, activation %" PRId64 ": expected rank 3 or more, a group, 0 or 1",
                     rank, groups, activation);
        return;
    }
    for (uint32_t i = 2; i < rank; i++) {
        there[i] = i - 1;
        back[i - 1] = i;
    }
    back[rank - 1] = 1;
    qn_dim channels = dim_of(l, x, last ? rank - 1 : 1);
    if (channels >= 0 && channels % groups) {
        qn_onnx_fail(l, "%" PRId64 " channels in %" PRId64 " groups", channels, groups);
        return;
    }
    struct qn_attr_group_norm attr = {.groups = groups, .epsilon = qn_onnx_attr_f(l, "epsilon", 1e-5f)};
    qn_value in[3] = {last ? qn_build_transpose(l->b, x, rank, there) : x, wide_in(l, 1), wide_in(l, 2)};
    qn_value y = qn_build_node(l->b, QN_OP_group_norm, in, 3, &attr, NULL);
    y = last ? qn_build_transpose(l->b, y, rank, back) : y;
    qn_lower_out_like(l, activation ? UNARY(silu, y) : y, qn_onnx_in(l, 0));
}

QN_ONNX_LOWER(ms_group_norm)
{
    out_group_norm(l, wide_in(l, 0));
}

/* The skip is like x, or one row of channels for each picture: [n, 1, 1, c] or [n, c]. */
QN_ONNX_LOWER(skip_group_norm)
{
    qn_value x = wide_in(l, 0), skip = wide_in(l, 3), bias = wide_in(l, 4);
    uint32_t rank = qn_onnx_rank(l, x);
    bool last = qn_onnx_attr_i(l, "channels_last", 1) != 0;
    qn_dim dims[QN_MAX_RANK] = {0};
    if (!l->b->status && rank < 3)
        qn_onnx_fail(l, "an input of rank %u: expected 3 or more", rank);
    if (l->b->status)
        return;
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = 1;
    uint32_t at = last ? rank - 1 : 1;
    dims[at] = dim_of(l, x, at);
    bias = bias ? qn_build_reshape(l->b, bias, rank, dims) : 0;
    dims[0] = dim_of(l, x, 0);
    bool row = !l->b->status && (qn_onnx_rank(l, skip) == 2 || dim_of(l, skip, 1) == 1);
    skip = row ? qn_build_reshape(l->b, skip, rank, dims) : skip;
    qn_value sum = BINARY(add, x, skip);
    sum = bias ? BINARY(add, sum, bias) : sum;
    if (qn_onnx_wants(l, 1) && !l->b->status)
        qn_onnx_out(l, 1, qn_build_cast(l->b, sum, qn_onnx_type_of(l, qn_onnx_in(l, 0))->dtype));
    out_group_norm(l, sum);
}

/* ---- gates ---------------------------------------------------------------------------------------------------- */

/* rms_norm(x, scale) * silu(gate), over pieces of the last axis as long as the scale. */
QN_ONNX_LOWER(gated_rms_norm)
{
    qn_value in = qn_onnx_in(l, 0), x = wide_in(l, 0), scale = wide_in(l, 1), gate = wide_in(l, 2);
    uint32_t rank = qn_onnx_rank(l, x);
    qn_dim dims[QN_MAX_RANK] = {0};
    qn_dim piece = dim_of(l, scale, 0);
    if (!l->b->status && (rank < 1 || rank + 1 > QN_MAX_RANK || qn_onnx_rank(l, scale) != 1 || piece == 0))
        qn_onnx_fail(l, "an input of rank %u, a scale of rank %u: expected 1 to 7, and 1", rank,
                     qn_onnx_rank(l, scale));
    if (l->b->status)
        return;
    const struct qn_type type = *qn_onnx_type_of(l, x);
    for (uint32_t i = 0; i + 1 < rank; i++)
        dims[i] = type.dims[i];
    dims[rank - 1] = qn_build_expr(l->b, QN_EXPR_DIV, type.dims[rank - 1], piece);
    dims[rank] = piece;
    qn_value y = qn_build_reshape(l->b, x, rank + 1, dims);
    y = qn_lower_normalize(l, y, rank, scale, 0, qn_onnx_attr_f(l, "epsilon", 1e-5f), true, NULL, NULL);
    y = qn_build_reshape(l->b, y, rank, type.dims);
    qn_lower_out_like(l, BINARY(mul, y, UNARY(silu, gate)), in);
}

/* x + y * gate; the product is rounded to x's dtype, as two ops would. */
QN_ONNX_LOWER(gated_add)
{
    qn_onnx_out(l, 0, BINARY(add, qn_onnx_in(l, 0), BINARY(mul, qn_onnx_in(l, 1), qn_onnx_in(l, 2))));
}

/* scale * softplus(a + bias), and sigmoid(b) */
QN_ONNX_LOWER(linear_attention_gate)
{
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 3);
    qn_value inner = BINARY(add, qn_lower_widen(l, a), wide_in(l, 1));
    if (l->b->status)
        return;
    qn_lower_out_like(l, BINARY(mul, wide_in(l, 2), qn_lower_softplus_of(l, inner)), a);
    if (b && qn_onnx_wants(l, 1) && !l->b->status)
        qn_onnx_out(l, 1, qn_build_cast(l->b, UNARY(sigmoid, wide_in(l, 3)), qn_onnx_type_of(l, b)->dtype));
}

static qn_value rms(struct qn_lower *l, qn_value x, qn_value scale)
{
    return qn_lower_normalize(l, x, 3, scale, 0, qn_onnx_attr_f(l, "epsilon", 1e-5f), true, NULL, NULL);
}

/* sigmoid(sign(d) sqrt(max(|d|, 1e-6))) * value, d the product of the normalised key and query by the root of their
 * length. */
QN_ONNX_LOWER(engram_gate)
{
    qn_value in = qn_onnx_in(l, 0), key = wide_in(l, 0), query = wide_in(l, 1), value = wide_in(l, 2);
    if (l->b->status || !qn_onnx_static(l, qn_onnx_in(l, 3)))
        return;
    qn_value both = BINARY(mul, rms(l, key, wide_in(l, 3)), rms(l, query, wide_in(l, 4)));
    qn_value mean = qn_build_reduce(l->b, QN_OP_reduce_mean, both, 3, true); /* sum / n, to be sum / sqrt(n) */
    if (l->b->status)
        return;
    qn_value root = UNARY(sqrt, qn_onnx_number(l, QN_DTYPE_F32, (double)dim_of(l, qn_onnx_in(l, 3), 1)));
    qn_value dot = BINARY(mul, mean, root);
    qn_value size = UNARY(sqrt, qn_lower_with_number(l, QN_OP_max, UNARY(abs, dot), 1e-6));
    qn_value gate = UNARY(sigmoid, BINARY(mul, UNARY(sign, dot), size));
    qn_lower_out_like(l, BINARY(mul, gate, qn_onnx_unsqueeze(l, value, &(struct qn_ints){1, {2}})), in);
}

/* ---- with a bias ---------------------------------------------------------------------------------------------- */

/* softmax(x + bias) over the axes from `axis` on as one; the bias lacks axes in the middle (before `axis`), or at the
 * front. */
QN_ONNX_LOWER(bias_softmax)
{
    qn_value in = qn_onnx_in(l, 0), x = wide_in(l, 0), bias = wide_in(l, 1);
    uint32_t rank = qn_onnx_rank(l, x), bias_rank = qn_onnx_rank(l, bias);
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 1), rank, 0);
    bool inner = qn_onnx_attr_i(l, "is_inner_broadcast", 0) != 0;
    if (l->b->status)
        return;
    if (inner && bias_rank < rank && (int64_t)(rank - bias_rank) <= axis) { /* ones stand just before the axis */
        struct qn_ints ones = {0};
        for (int64_t i = axis - (rank - bias_rank); i < axis; i++)
            ones.items[ones.count++] = i;
        bias = qn_onnx_unsqueeze(l, bias, &ones);
    }
    qn_value y = BINARY(add, x, bias);
    const struct qn_type type = *qn_onnx_type_of(l, x);
    qn_dim flat[2] = {1, 1};
    for (uint32_t i = 0; i < rank; i++)
        flat[i >= axis] = qn_build_expr(l->b, QN_EXPR_MUL, flat[i >= axis], type.dims[i]);
    if (axis + 1 == (int64_t)rank)
        y = qn_build_softmax(l->b, y, axis);
    else
        y = qn_build_reshape(l->b, qn_build_softmax(l->b, qn_build_reshape(l->b, y, 2, flat), 1), rank, type.dims);
    qn_lower_out_like(l, y, in);
}

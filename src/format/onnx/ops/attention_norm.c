/* Normalisations: layer, RMS, batch, mean-variance and Lp. */
#include "format/onnx/ops/attention_norm.h"

#include <inttypes.h>

#include "format/onnx/import_state.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)
#define UNARY(op, x) qn_lower_unary(l, QN_OP_##op, x)

static qn_value reduce(struct qn_lower *l, uint16_t op, qn_value x, const struct qn_ints *axes)
{
    struct qn_attr_reduce attr = {.axes = *axes, .keepdims = true};
    return qn_build_node(l->b, op, &x, 1, &attr, NULL);
}

static struct qn_ints axes_from(struct qn_lower *l, qn_value x, int64_t axis)
{
    struct qn_ints axes = {0};
    for (int64_t i = axis; i < qn_onnx_rank(l, x); i++)
        axes.items[axes.count++] = i;
    return axes;
}

/* All elements of v, in a row as long as x's last axis; 0 when v has another number of them. */
static qn_value as_row(struct qn_lower *l, qn_value v, qn_dim length)
{
    qn_dim all = 1;
    for (uint32_t i = 0; i < qn_onnx_rank(l, v); i++)
        all = qn_build_expr(l->b, QN_EXPR_MUL, all, qn_build_dim(l->b, v, i));
    return all == length ? qn_build_reshape(l->b, v, 1, &length) : 0;
}

static qn_value zeros(struct qn_lower *l, qn_dim length)
{
    struct qn_attr_reshape attr = {.dims = {.count = 1, .items = {length}}};
    qn_value zero = qn_build_scalar(l->b, 0);
    void *none = length >= 0 ? qn_arena_alloc(&l->import->arena, (size_t)length * 4, 4) : NULL;
    return none ? qn_onnx_data(l, QN_DTYPE_F32, 1, &length, none)
                : qn_build_node(l->b, QN_OP_expand, &zero, 1, &attr, NULL);
}

/* The fused op over x seen as rows; 0 where the weight is no row. */
static qn_value fused(struct qn_lower *l, qn_value x, int64_t axis, qn_value weight, qn_value bias, float epsilon,
                      bool rms)
{
    uint32_t rank = qn_onnx_rank(l, x);
    qn_dim dims[QN_MAX_RANK], length = 1, rows[QN_MAX_RANK];
    if (l->b->status || qn_onnx_type_of(l, x)->dtype != QN_DTYPE_F32 || axis < 1)
        return 0;
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = rows[i] = qn_build_dim(l->b, x, i);
        length = i >= axis ? qn_build_expr(l->b, QN_EXPR_MUL, length, dims[i]) : length;
    }
    qn_value w = as_row(l, weight, length), b = bias ? as_row(l, bias, length) : 0;
    if (l->b->status || !w || (bias && !b))
        return 0;
    rows[axis] = length;
    struct qn_attr_norm attr = {.epsilon = epsilon};
    bool flat = axis + 1 < rank;
    qn_value y = flat ? qn_build_reshape(l->b, x, (uint32_t)axis + 1, rows) : x;
    if (rms)
        y = qn_build_node(l->b, QN_OP_rms_norm, (qn_value[]){y, w}, 2, &attr, NULL);
    else
        y = qn_build_node(l->b, QN_OP_layer_norm, (qn_value[]){y, w, b ? b : zeros(l, length)}, 3, &attr, NULL);
    y = flat ? qn_build_reshape(l->b, y, rank, dims) : y;
    return rms && b ? BINARY(add, y, bias) : y;
}

qn_value qn_lower_normalize(struct qn_lower *l, qn_value x, int64_t axis, qn_value weight, qn_value bias, float epsilon,
                            bool rms, qn_value *mean, qn_value *inverse)
{
    struct qn_ints axes = axes_from(l, x, axis);
    bool asked = mean || inverse;
    qn_value y = asked || !weight ? 0 : fused(l, x, axis, weight, bias, epsilon, rms);
    if (y)
        return y;
    qn_value center = rms ? 0 : reduce(l, QN_OP_reduce_mean, x, &axes);
    qn_value d = rms ? x : BINARY(sub, x, center);
    qn_value variance = reduce(l, QN_OP_reduce_mean, BINARY(mul, d, d), &axes);
    qn_value scale = UNARY(rsqrt, qn_lower_with_number(l, QN_OP_add, variance, (double)epsilon));
    y = BINARY(mul, d, scale);
    y = weight ? BINARY(mul, y, weight) : y;
    if (mean)
        *mean = center;
    if (inverse)
        *inverse = scale;
    return bias ? BINARY(add, y, bias) : y;
}

QN_ONNX_LOWER(layer_norm)
{
    qn_value x = qn_onnx_in(l, 0), weight = qn_onnx_in(l, 1), bias = qn_onnx_in(l, 2), mean = 0, inverse = 0;
    bool asked = qn_onnx_wants(l, 1) || qn_onnx_wants(l, 2),
         rms = qn_str_is(l->node->op_type, "RMSNormalization") ||
               qn_str_is(l->node->op_type, "SimplifiedLayerNormalization");
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", -1), qn_onnx_rank(l, x), 0);
    if (l->b->status)
        return;
    qn_value wide = qn_lower_widen(l, x);
    qn_dtype dtype = qn_onnx_type_of(l, wide)->dtype;
    weight = qn_build_cast(l->b, weight, dtype);
    bias = bias ? qn_build_cast(l->b, bias, dtype) : 0;
    qn_value y = qn_lower_normalize(l, wide, axis, weight, bias, qn_onnx_attr_f(l, "epsilon", 1e-5f), rms,
                                    asked ? &mean : NULL, asked ? &inverse : NULL);
    qn_dtype out = l->b->status ? dtype : qn_onnx_type_of(l, qn_onnx_in(l, 1))->dtype;
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, l->node->domain.size ? out : qn_onnx_type_of(l, x)->dtype));
    qn_onnx_out(l, 1, rms ? inverse : mean);
    if (!rms)
        qn_onnx_out(l, 2, inverse);
}

/* ---- batches -------------------------------------------------------------------------------------------------- */

/* [c] as [c, 1, 1, ...], so that it lies along axis 1 of x. */
static qn_value per_channel(struct qn_lower *l, qn_value v, qn_value x, qn_dtype dtype)
{
    uint32_t rank = qn_onnx_rank(l, x);
    qn_dim dims[QN_MAX_RANK];
    v = qn_build_cast(l->b, v, dtype);
    if (l->b->status || qn_onnx_rank(l, v) != 1 || rank < 2)
        return v; /* with a parameter for each element (spatial = 0) it broadcasts as it is */
    for (uint32_t i = 0; i + 1 < rank; i++)
        dims[i] = i ? 1 : qn_build_dim(l->b, v, 0);
    return qn_build_reshape(l->b, v, rank - 1, dims);
}

/* x * factor + shift: what a convolution before it can take in */
static qn_value affine(struct qn_lower *l, qn_value x, const qn_value *p, float epsilon)
{
    qn_value deviation = UNARY(sqrt, qn_lower_with_number(l, QN_OP_add, p[3], (double)epsilon));
    qn_value factor = BINARY(div, p[0], deviation);
    qn_value shift = BINARY(sub, p[1], BINARY(mul, p[2], factor));
    return BINARY(add, BINARY(mul, x, factor), shift);
}

QN_ONNX_LOWER(batch_norm)
{
    qn_value x = qn_onnx_in(l, 0), p[4], running[2];
    float epsilon = qn_onnx_attr_f(l, "epsilon", 1e-5f), momentum = qn_onnx_attr_f(l, "momentum", 0.9f);
    bool training = l->opset >= 14 && qn_onnx_attr_i(l, "training_mode", 0);
    for (uint32_t i = 0; i < 4; i++)
        p[i] = qn_onnx_in(l, i + 1);
    if (l->b->status)
        return;
    qn_value wide = qn_lower_widen(l, x);
    qn_dtype dtype = qn_onnx_type_of(l, wide)->dtype, like = qn_onnx_type_of(l, p[2])->dtype;
    for (uint32_t i = 0; i < 4; i++)
        p[i] = per_channel(l, p[i], x, dtype);
    if (training) {
        struct qn_ints axes = axes_from(l, x, 1);
        axes.items[0] = 0; /* all but the channels */
        running[0] = p[2];
        running[1] = p[3];
        p[2] = reduce(l, QN_OP_reduce_mean, wide, &axes);
        qn_value d = BINARY(sub, wide, p[2]);
        p[3] = reduce(l, QN_OP_reduce_mean, BINARY(mul, d, d), &axes);
        for (uint32_t i = 0; i < 2 && !l->b->status; i++) {
            qn_dim channels = qn_build_dim(l->b, x, 1);
            qn_value old = qn_build_reshape(l->b, running[i], 1, &channels);
            qn_value now = qn_build_reshape(l->b, p[2 + i], 1, &channels);
            qn_value mixed = BINARY(add, qn_lower_with_number(l, QN_OP_mul, old, (double)momentum),
                                    qn_lower_with_number(l, QN_OP_mul, now, 1 - (double)momentum));
            qn_onnx_out(l, 1 + i, qn_build_cast(l->b, mixed, like));
        }
    }
    qn_lower_out_like(l, affine(l, wide, p, epsilon), x);
}

/* ---- others --------------------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(mean_variance_norm)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_ints axes;
    if (!qn_onnx_attr_ints(l, "axes", &axes))
        axes = qn_onnx_attr_i(l, "across_channels", 0) ? (struct qn_ints){4, {0, 1, 2, 3}}
                                                       : (struct qn_ints){3, {0, 2, 3}};
    for (uint32_t i = 0; i < axes.count; i++)
        axes.items[i] = qn_onnx_axis(l, axes.items[i], qn_onnx_rank(l, x), 0);
    if (l->b->status)
        return;
    qn_value wide = qn_lower_widen(l, x);
    qn_value d = BINARY(sub, wide, reduce(l, QN_OP_reduce_mean, wide, &axes));
    qn_value deviation = UNARY(sqrt, reduce(l, QN_OP_reduce_mean, BINARY(mul, d, d), &axes));
    qn_lower_out_like(l, BINARY(div, d, qn_lower_with_number(l, QN_OP_add, deviation, 1e-9)), x);
}

QN_ONNX_LOWER(lp_norm)
{
    qn_value x = qn_onnx_in(l, 0);
    int64_t p = qn_onnx_attr_i(l, "p", 2);
    struct qn_ints axes = {1, {qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", -1), qn_onnx_rank(l, x), 0)}};
    if (p != 1 && p != 2)
        qn_onnx_fail(l, "p is %" PRId64 ", expected 1 or 2", p);
    if (l->b->status)
        return;
    qn_value wide = qn_lower_widen(l, x);
    qn_value norm = p == 1 ? reduce(l, QN_OP_reduce_sum, UNARY(abs, wide), &axes)
                           : UNARY(sqrt, reduce(l, QN_OP_reduce_sum, BINARY(mul, wide, wide), &axes));
    qn_value zero = qn_onnx_number(l, qn_onnx_type_of(l, wide)->dtype, 0);
    qn_value y = qn_build_where(l->b, BINARY(equal, norm, zero), zero, BINARY(div, wide, norm));
    qn_lower_out_like(l, y, x);
}

QN_ONNX_LOWER(swiglu)
{
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 1);
    if (l->b->status)
        return;
    qn_value gate = qn_lower_widen(l, a);
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 1);
    qn_value inner = alpha == 1 ? gate : qn_lower_with_number(l, QN_OP_mul, gate, alpha);
    qn_value y = BINARY(mul, gate, UNARY(sigmoid, inner));
    qn_lower_out_like(l, BINARY(mul, y, qn_lower_widen(l, b)), a);
}

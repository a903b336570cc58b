/* Shape rules of fused ops: norms, rotary embedding, attention, experts, linear layers. */
#include <inttypes.h>

#include "ir/shape_checks.h"

qn_status qn_shape_norm(const struct qn_shape_context *c)
{
    const struct qn_type *x = c->inputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_FLOATS));
    if (x->rank == 0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s has no axis to normalise", QN_TYPE_TEXT(c, 0));
    for (uint32_t i = 1; i < c->input_count; i++) {
        QN_TRY(qn_take_rank(c, i, QN_TAKE_FLOATS, 1));
        QN_TRY(qn_same_dtype(c, 0, i));
        QN_TRY(qn_same_dim(c, i, 0, 0, x->rank - 1));
    }
    c->outputs[0] = *x;
    return NULL;
}

qn_status qn_shape_rope(const struct qn_shape_context *c)
{
    const struct qn_type *x = c->inputs[0], *cosine = c->inputs[1];
    QN_TRY(qn_take_rank(c, 0, QN_TAKE_FLOATS, 3));
    for (uint32_t i = 1; i < 3; i++) {
        QN_TRY(qn_take_rank(c, i, QN_TAKE_FLOATS, 2));
        QN_TRY(qn_same_dtype(c, 0, i));
        QN_TRY(qn_same_dim(c, i, 0, 0, 0));
    }
    QN_TRY(qn_same_dim(c, 2, 1, 1, 1));
    if (cosine->dims[1] < 0 || x->dims[2] < 0 || cosine->dims[1] > x->dims[2] / 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s is rotated by %s: more angles than pairs, or not known",
                        QN_TYPE_TEXT(c, 0), QN_TYPE_TEXT(c, 1));
    c->outputs[0] = *x;
    return NULL;
}

/* Operand i as [..., heads, tokens, d]. */
static struct qn_type straight(const struct qn_type *type, bool turned)
{
    struct qn_type out = *type;
    if (turned && type->rank >= 3) {
        out.dims[type->rank - 3] = type->dims[type->rank - 2];
        out.dims[type->rank - 2] = type->dims[type->rank - 3];
    }
    return out;
}

/* Input i broadcasts to `type`, and a sum of both has this very type: the op and what it is made of agree. */
static qn_status fits_on(const struct qn_shape_context *c, uint32_t i, const struct qn_type *type, bool *fits)
{
    struct qn_type sum = *type;
    QN_TRY(qn_broadcast_onto(c, &sum, c->inputs[i], 0, fits));
    *fits = *fits && qn_type_equal(&sum, type);
    return NULL;
}

/* Input i, where it is given, has a number for each query of the scores. */
static qn_status take_sinks(const struct qn_shape_context *c, uint32_t i, const struct qn_type *scores)
{
    if (c->input_count <= i || !c->inputs[i])
        return NULL;
    struct qn_type column = *scores;
    bool fits;
    column.dims[column.rank - 1] = 1;
    QN_TRY(fits_on(c, i, &column, &fits));
    if (!fits || c->inputs[i]->dtype != QN_DTYPE_F32)
        return QN_ERROR(QN_INVALID_ARGUMENT, "sinks are %s: expected f32 that fits on %s", QN_TYPE_TEXT(c, i),
                        qn_type_text(c->graph, &column).text);
    return NULL;
}

static bool divides(qn_dim part, qn_dim whole)
{
    return part > 0 && whole > 0 && whole % part == 0;
}

static qn_status attention(const struct qn_shape_context *c)
{
    const struct qn_attr_attention *attr = c->attr;
    const struct qn_type *q = c->inputs[0], *v = c->inputs[2];
    struct qn_type *out = &c->outputs[0], scores = *q;
    uint32_t rank = q->rank;
    if (rank < 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "queries are %s: expected rank 2 or more", QN_TYPE_TEXT(c, 0));
    for (uint32_t i = 0; i < 3; i++) {
        QN_TRY(qn_take_rank(c, i, QN_TAKE_FLOATS, rank));
        for (uint32_t k = 0; k + 2 < rank; k++)
            if (k + 3 < rank || rank == QN_MAX_RANK || !divides(c->inputs[i]->dims[k], q->dims[k]))
                QN_TRY(qn_same_dim(c, i, k, 0, k));
    }
    if (rank > 2)
        QN_TRY(qn_same_dim(c, 2, rank - 3, 1, rank - 3));
    QN_TRY(qn_same_dim(c, 1, rank - 1, 0, rank - 1));
    QN_TRY(qn_same_dim(c, 2, rank - 2, 1, rank - 2));
    QN_TRY(qn_product_dtype(c, 0, 1, &scores.dtype));
    if (attr->turned < 0 || attr->turned > 15 || (attr->turned && rank < 3))
        return QN_ERROR(QN_INVALID_ARGUMENT, "no heads to be turned (%" PRId64 ") in %s", attr->turned,
                        QN_TYPE_TEXT(c, 0));
    if (attr->window)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a window of %" PRId64 " needs positions; give a mask", attr->window);
    scores.dims[rank - 1] = c->inputs[1]->dims[rank - 2];
    if (c->input_count > 3 && c->inputs[3]) {
        bool fits;
        QN_TRY(qn_take(c, 3, QN_TAKE_FLOATS));
        QN_TRY(fits_on(c, 3, &scores, &fits));
        if (!fits || c->inputs[3]->dtype != scores.dtype)
            return QN_ERROR(QN_INVALID_ARGUMENT, "mask is %s, scores are %s", QN_TYPE_TEXT(c, 3),
                            qn_type_text(c->graph, &scores).text);
    }
    if (attr->value_dim)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a value size of %" PRId64 " is for pages", attr->value_dim);
    QN_TRY(take_sinks(c, 4, &scores));
    *out = *q;
    out->dims[rank - 1] = v->dims[rank - 1];
    QN_TRY(qn_product_dtype(c, 0, 2, &out->dtype));
    *out = straight(out, attr->turned & 8);
    return NULL;
}

qn_status qn_shape_attention(const struct qn_shape_context *c)
{
    const struct qn_attr_attention *attr = c->attr;
    struct qn_type types[3];
    const struct qn_type *inputs[5] = {&types[0], &types[1], &types[2], c->input_count > 3 ? c->inputs[3] : NULL,
                                       c->input_count > 4 ? c->inputs[4] : NULL};
    struct qn_shape_context turned = *c;
    for (uint32_t i = 0; i < 3; i++)
        types[i] = straight(c->inputs[i], attr->turned & 1 << i);
    turned.inputs = inputs;
    return attention(&turned);
}

qn_status qn_shape_paged_attention(const struct qn_shape_context *c)
{
    const struct qn_attr_attention *attr = c->attr;
    const struct qn_type *q = c->inputs[0];
    QN_TRY(qn_take_rank(c, 0, QN_TAKE_FLOATS, 4));
    QN_TRY(qn_take_rank(c, 1, QN_TAKE_FLOATS | QN_TAKE_BLOCKS, 3));
    QN_TRY(qn_take_rank(c, 2, QN_TAKE_FLOATS | QN_TAKE_BLOCKS, 3));
    for (uint32_t i = 3; i < 6; i++) {
        QN_TRY(qn_take_rank(c, i, QN_TAKE_INTS, i == 3 ? 2 : 1));
        if (c->inputs[i]->dtype != QN_DTYPE_I32)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected i32", i, QN_TYPE_TEXT(c, i));
    }
    for (uint32_t i = 0; i < 3; i++)
        if (c->inputs[i]->dtype == QN_DTYPE_F64)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected f32 or narrower", i, QN_TYPE_TEXT(c, i));
    QN_TRY(qn_same_dim(c, 1, 1, 0, 1));
    QN_TRY(qn_same_dim(c, 1, 2, 0, 3));
    QN_TRY(qn_same_dim(c, 2, 0, 1, 0));
    QN_TRY(qn_same_dim(c, 2, 1, 1, 1));
    QN_TRY(qn_same_dim(c, 4, 0, 0, 0));
    QN_TRY(qn_same_dim(c, 5, 0, 0, 0));
    if (attr->window < 0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "window %" PRId64, attr->window);
    QN_TRY(take_sinks(c, 6, q));
    c->outputs[0] = *q;
    c->outputs[0].dtype = QN_DTYPE_F32;
    c->outputs[0].dims[3] = c->inputs[2]->dims[2];
    if (attr->value_dim) {
        int64_t row = c->inputs[2]->dims[2] /* a constant, or below 0 */,
                block = qn_dtype_info(c->inputs[2]->dtype)->block_elems;
        if (attr->value_dim < 0 || attr->value_dim > row || attr->value_dim % block)
            return QN_ERROR(QN_INVALID_ARGUMENT, "values of %" PRId64 " elements in %s", attr->value_dim,
                            QN_TYPE_TEXT(c, 2));
        c->outputs[0].dims[3] = attr->value_dim;
    }
    return NULL;
}

qn_status qn_shape_expert_matmul(const struct qn_shape_context *c)
{
    const struct qn_type *x = c->inputs[0], *w = c->inputs[1], *ids = c->inputs[2];
    struct qn_type *out = &c->outputs[0];
    QN_TRY(qn_take_rank(c, 0, QN_TAKE_NUMBERS, 3));
    QN_TRY(qn_take_weight(c, 1));
    QN_TRY(qn_take_rank(c, 2, QN_TAKE_INTS, 2));
    if (w->rank != 3 || ids->dtype != QN_DTYPE_I32)
        return QN_ERROR(QN_INVALID_ARGUMENT, "weights are %s and ids are %s: expected rank 3 and i32",
                        QN_TYPE_TEXT(c, 1), QN_TYPE_TEXT(c, 2));
    QN_TRY(qn_same_dim(c, 0, 2, 1, 2));
    QN_TRY(qn_same_dim(c, 2, 0, 0, 0));
    if (x->dims[1] != 1)
        QN_TRY(qn_same_dim(c, 0, 1, 2, 1));
    *out = *x;
    if (w->encoding)
        out->dtype = QN_DTYPE_F32;
    else
        QN_TRY(qn_product_dtype(c, 0, 1, &out->dtype));
    out->dims[1] = ids->dims[1];
    out->dims[2] = w->dims[1];
    return NULL;
}

qn_status qn_shape_linear(const struct qn_shape_context *c)
{
    const struct qn_attr_linear *attr = c->attr;
    const struct qn_type *x = c->inputs[0], *w = c->inputs[1];
    struct qn_type *out = &c->outputs[0];
    uint32_t k = attr->plain_b ? 0 : 1, n = 1 - k;
    QN_TRY(qn_take(c, 0, QN_TAKE_NUMBERS));
    QN_TRY(qn_take_weight(c, 1));
    if (x->rank < 2 || w->rank != 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: expected rank 2 or more, and 2", QN_TYPE_TEXT(c, 0),
                        QN_TYPE_TEXT(c, 1));
    if (qn_dtype_is_block(w->dtype) && attr->plain_b)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: blocks lie along k, which comes last", QN_TYPE_TEXT(c, 0),
                        QN_TYPE_TEXT(c, 1));
    QN_TRY(qn_same_dim(c, 0, x->rank - 1, 1, k));
    *out = *x;
    if (w->encoding)
        out->dtype = QN_DTYPE_F32;
    else
        QN_TRY(qn_product_dtype(c, 0, 1, &out->dtype));
    out->dims[x->rank - 1] = w->dims[n];
    if (c->input_count > 2 && c->inputs[2]) {
        QN_TRY(qn_take_rank(c, 2, QN_TAKE_NUMBERS, 1));
        QN_TRY(qn_same_dim(c, 2, 0, 1, n));
        if (c->inputs[2]->dtype != out->dtype)
            return QN_ERROR(QN_INVALID_ARGUMENT, "bias is %s, the output is %s", QN_TYPE_TEXT(c, 2),
                            qn_type_text(c->graph, out).text);
    }
    if (c->input_count > 3 && !qn_type_equal(c->inputs[3], out))
        return QN_ERROR(QN_INVALID_ARGUMENT, "residual is %s, the output is %s", QN_TYPE_TEXT(c, 3),
                        qn_type_text(c->graph, out).text);
    if (attr->activation < QN_ACTIVATION_NONE || attr->activation > QN_ACTIVATION_THRESHOLDED_RELU)
        return QN_ERROR(QN_INVALID_ARGUMENT, "unknown activation %" PRId64, attr->activation);
    return NULL;
}

/* Shape rules of quantisation and of integer products. */
#include <inttypes.h>

#include "ir/shape.h"

#define TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

static bool is_float(qn_dtype dtype)
{
    return dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F16 || dtype == QN_DTYPE_BF16 || dtype == QN_DTYPE_F64;
}

static bool is_byte(qn_dtype dtype)
{
    return dtype == QN_DTYPE_U8 || dtype == QN_DTYPE_I8;
}

/* What quantize makes and dequantize reads: integers of 16 bits and less, floats of 8 bits and less. */
static bool is_quantised(qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_U8:
    case QN_DTYPE_I8:
    case QN_DTYPE_U16:
    case QN_DTYPE_I16:
    case QN_DTYPE_U4:
    case QN_DTYPE_I4:
    case QN_DTYPE_U2:
    case QN_DTYPE_I2:
    case QN_DTYPE_F8E4M3FN:
    case QN_DTYPE_F8E4M3FNUZ:
    case QN_DTYPE_F8E5M2:
    case QN_DTYPE_F8E5M2FNUZ:
    case QN_DTYPE_F4E2M1:
        return true;
    default:
        return false;
    }
}

static const struct qn_type *input(const struct qn_shape_context *c, uint32_t i)
{
    return i < c->input_count ? c->inputs[i] : NULL;
}

static bool is_one(const struct qn_type *type)
{
    return type->rank == 0 || (type->rank == 1 && type->dims[0] == 1);
}

/* Scale or zero point i of x: one, one a slice of the axis, or one a block along it. */
static qn_status take_scale(const struct qn_shape_context *c, uint32_t i, const struct qn_attr_quantize *attr)
{
    const struct qn_type *x = c->inputs[0], *scale = input(c, i);
    if (!scale || is_one(scale))
        return NULL;
    int64_t axis = attr->axis;
    if (axis < 0 || axis >= x->rank || attr->block_size < 0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " and block size %" PRId64 " of %s", axis,
                        attr->block_size, TEXT(c, 0));
    bool fits = scale->rank == 1 && scale->dims[0] == x->dims[axis];
    if (attr->block_size) {
        fits = scale->rank == x->rank;
        for (uint32_t k = 0; fits && k < x->rank; k++) {
            qn_dim want = x->dims[k];
            if (k == axis) {
                QN_TRY(qn_graph_expr(c->graph, QN_EXPR_ADD, want, attr->block_size - 1, &want));
                QN_TRY(qn_graph_expr(c->graph, QN_EXPR_DIV, want, attr->block_size, &want));
            }
            fits = scale->dims[k] == want;
        }
    }
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "scale or zero point %s of %s: expected one element, one for each slice of axis %" PRId64
                        ", or one for each block of %" PRId64,
                        TEXT(c, i), TEXT(c, 0), axis, attr->block_size);
    return NULL;
}

static qn_status take_scales(const struct qn_shape_context *c, qn_dtype quantised)
{
    const struct qn_attr_quantize *attr = c->attr;
    const struct qn_type *scale = c->inputs[1], *zero = input(c, 2);
    if (!is_float(scale->dtype) && scale->dtype != QN_DTYPE_F8E8M0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "scale is %s: expected a float", TEXT(c, 1));
    struct qn_type like = *scale;
    like.dtype = quantised;
    if (zero && !qn_type_equal(zero, &like))
        return QN_ERROR(QN_INVALID_ARGUMENT, "zero point is %s, scale is %s: expected %s and one shape", TEXT(c, 2),
                        TEXT(c, 1), qn_dtype_name(quantised));
    QN_TRY(take_scale(c, 1, attr));
    return take_scale(c, 2, attr);
}

qn_status qn_shape_quantize(const struct qn_shape_context *c)
{
    const struct qn_attr_quantize *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    if (!is_float(x->dtype) && x->dtype != QN_DTYPE_I32)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot be quantised: expected a float or i32", TEXT(c, 0));
    if (!is_quantised((qn_dtype)attr->dtype))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot be quantised to %s", TEXT(c, 0),
                        qn_dtype_name((qn_dtype)attr->dtype));
    QN_TRY(take_scales(c, (qn_dtype)attr->dtype));
    c->outputs[0] = *x;
    c->outputs[0].dtype = (qn_dtype)attr->dtype;
    return NULL;
}

qn_status qn_shape_dequantize(const struct qn_shape_context *c)
{
    const struct qn_attr_quantize *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    qn_dtype dtype = attr->dtype ? (qn_dtype)attr->dtype : QN_DTYPE_F32;
    if (!is_quantised(x->dtype) && x->dtype != QN_DTYPE_I32)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot be dequantised", TEXT(c, 0));
    if (!is_float(dtype))
        return QN_ERROR(QN_INVALID_ARGUMENT, "dequantised to %s: expected a float", qn_dtype_name(dtype));
    QN_TRY(take_scales(c, x->dtype));
    c->outputs[0] = *x;
    c->outputs[0].dtype = dtype;
    return NULL;
}

qn_status qn_shape_dynamic_quantize(const struct qn_shape_context *c)
{
    const struct qn_type *x = c->inputs[0];
    if (x->dtype != QN_DTYPE_F32)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: expected f32", TEXT(c, 0));
    c->outputs[0] = *x;
    c->outputs[0].dtype = QN_DTYPE_U8;
    c->outputs[1] = (struct qn_type){.dtype = QN_DTYPE_F32};
    c->outputs[2] = (struct qn_type){.dtype = QN_DTYPE_U8};
    return NULL;
}

/* Input i, if there, has one element, or (where size is not 0) a vector of `size`. */
static qn_status take_vector(const struct qn_shape_context *c, uint32_t i, qn_dtype dtype, qn_dim size)
{
    const struct qn_type *type = input(c, i);
    if (!type)
        return NULL;
    bool fits = is_one(type) || (size && type->rank == 1 && type->dims[0] == size);
    if (type->dtype != dtype || !fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected %s of one element%s", i, TEXT(c, i),
                        qn_dtype_name(dtype), size ? " or one a row or column" : "");
    return NULL;
}

static qn_status take_bytes(const struct qn_shape_context *c, uint32_t i)
{
    if (!is_byte(c->inputs[i]->dtype))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected u8 or i8", i, TEXT(c, i));
    return NULL;
}

qn_status qn_shape_matmul_integer(const struct qn_shape_context *c)
{
    const struct qn_type *a = c->inputs[0], *b = c->inputs[1];
    QN_TRY(take_bytes(c, 0));
    QN_TRY(take_bytes(c, 1));
    if (a->rank < 2 || b->rank < 2 || a->dims[a->rank - 1] != b->dims[b->rank - 2])
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: expected [..., m, k] by [..., k, n]", TEXT(c, 0), TEXT(c, 1));
    QN_TRY(take_vector(c, 2, a->dtype, a->dims[a->rank - 2]));
    QN_TRY(take_vector(c, 3, b->dtype, b->dims[b->rank - 1]));
    struct qn_type *out = &c->outputs[0];
    *out = a->rank >= b->rank ? *a : *b;
    out->dtype = QN_DTYPE_I32;
    for (uint32_t i = 0; i < out->rank; i++) {
        qn_dim x = i < a->rank ? a->dims[a->rank - 1 - i] : 1, y = i < b->rank ? b->dims[b->rank - 1 - i] : 1;
        if (i > 1 && x != y && x != 1 && y != 1)
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: the leading dims do not broadcast", TEXT(c, 0), TEXT(c, 1));
        out->dims[out->rank - 1 - i] = i == 0 ? y : i == 1 ? x : x == 1 ? y : x;
    }
    return NULL;
}

/* The output's dims are those of the float convolution. */
static qn_status infer_conv(const struct qn_shape_context *c, uint32_t weights)
{
    struct qn_type x = *c->inputs[0], w = *c->inputs[weights];
    const struct qn_type *inputs[2] = {&x, &w};
    struct qn_shape_context floats = *c;
    QN_TRY(take_bytes(c, 0));
    QN_TRY(take_bytes(c, weights));
    x.dtype = w.dtype = QN_DTYPE_F32;
    floats.inputs = inputs;
    floats.input_count = 2;
    return qn_shape_conv(&floats);
}

qn_status qn_shape_conv_integer(const struct qn_shape_context *c)
{
    QN_TRY(infer_conv(c, 1));
    QN_TRY(take_vector(c, 2, c->inputs[0]->dtype, 0));
    QN_TRY(take_vector(c, 3, c->inputs[1]->dtype, c->inputs[1]->dims[0]));
    c->outputs[0].dtype = QN_DTYPE_I32;
    return NULL;
}

/* Scales and zero points 1, 2 of input 0 and 4, 5 of input 3 with n columns, a bias 6, and 7, 8 of the output. */
static qn_status take_quantised(const struct qn_shape_context *c, qn_dim n, qn_dtype out)
{
    const struct qn_type *bias = input(c, 6);
    for (uint32_t i = 1; i < 5; i += 3)
        if (!c->inputs[i])
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u, a scale, is absent", i);
    QN_TRY(take_vector(c, 1, QN_DTYPE_F32, 0));
    QN_TRY(take_vector(c, 2, c->inputs[0]->dtype, 0));
    QN_TRY(take_vector(c, 4, QN_DTYPE_F32, n));
    QN_TRY(take_vector(c, 5, c->inputs[3]->dtype, n));
    if (bias && (bias->rank != 1 || bias->dims[0] != n || (bias->dtype != QN_DTYPE_I32 && bias->dtype != QN_DTYPE_F32)))
        return QN_ERROR(QN_INVALID_ARGUMENT, "bias is %s: expected i32 or f32, one a column", TEXT(c, 6));
    if (out == QN_DTYPE_F32)
        return NULL;
    if (!is_byte(out) || !input(c, 7))
        return QN_ERROR(QN_INVALID_ARGUMENT, "output %s: expected f32, or u8 or i8 with a scale", qn_dtype_name(out));
    QN_TRY(take_vector(c, 7, QN_DTYPE_F32, 0));
    return take_vector(c, 8, out, 0);
}

static qn_status check_activation(int64_t activation)
{
    if (activation < QN_ACTIVATION_NONE || activation > QN_ACTIVATION_THRESHOLDED_RELU)
        return QN_ERROR(QN_INVALID_ARGUMENT, "unknown activation %" PRId64, activation);
    return NULL;
}

qn_status qn_shape_q_linear(const struct qn_shape_context *c)
{
    const struct qn_attr_q_linear *attr = c->attr;
    const struct qn_type *a = c->inputs[0], *b = c->inputs[3];
    QN_TRY(take_bytes(c, 0));
    QN_TRY(take_bytes(c, 3));
    if (a->rank < 1 || b->rank != 2 || a->dims[a->rank - 1] != b->dims[attr->trans_b ? 1 : 0])
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s%s: expected [..., k] by [k, n]", TEXT(c, 0), TEXT(c, 3),
                        attr->trans_b ? " transposed" : "");
    qn_dim n = b->dims[attr->trans_b ? 0 : 1];
    QN_TRY(take_quantised(c, n, (qn_dtype)attr->dtype));
    QN_TRY(check_activation(attr->activation));
    c->outputs[0] = *a;
    c->outputs[0].dtype = (qn_dtype)attr->dtype;
    c->outputs[0].dims[a->rank - 1] = n;
    return NULL;
}

qn_status qn_shape_q_conv(const struct qn_shape_context *c)
{
    const struct qn_attr_conv *attr = c->attr;
    QN_TRY(infer_conv(c, 3));
    QN_TRY(take_quantised(c, c->inputs[3]->dims[0], (qn_dtype)attr->dtype));
    c->outputs[0].dtype = (qn_dtype)attr->dtype;
    return NULL;
}

qn_status qn_shape_q_add(const struct qn_shape_context *c)
{
    const struct qn_attr_q_linear *attr = c->attr;
    const struct qn_type *a = c->inputs[0], *b = c->inputs[3];
    struct qn_type like = *b;
    QN_TRY(take_bytes(c, 0));
    QN_TRY(take_bytes(c, 3));
    like.dtype = a->dtype;
    if (!qn_type_equal(a, &like))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s and %s: expected one shape", TEXT(c, 0), TEXT(c, 3));
    if (!is_byte((qn_dtype)attr->dtype) ||
        (attr->activation != QN_ACTIVATION_NONE && attr->activation != QN_ACTIVATION_RELU))
        return QN_ERROR(QN_INVALID_ARGUMENT, "output %s, activation %" PRId64 ": expected u8 or i8, none or relu",
                        qn_dtype_name((qn_dtype)attr->dtype), attr->activation);
    for (uint32_t i = 1; i < 8; i += 3)
        if (!input(c, i == 7 ? 6 : i))
            return QN_ERROR(QN_INVALID_ARGUMENT, "a scale is absent");
    QN_TRY(take_vector(c, 1, QN_DTYPE_F32, 0));
    QN_TRY(take_vector(c, 2, a->dtype, 0));
    QN_TRY(take_vector(c, 4, QN_DTYPE_F32, 0));
    QN_TRY(take_vector(c, 5, b->dtype, 0));
    QN_TRY(take_vector(c, 6, QN_DTYPE_F32, 0));
    QN_TRY(take_vector(c, 7, (qn_dtype)attr->dtype, 0));
    c->outputs[0] = *a;
    c->outputs[0].dtype = (qn_dtype)attr->dtype;
    return NULL;
}

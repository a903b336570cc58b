/* Quantisation: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, and the integer products and convolutions. */
#include "format/onnx/ops/linear_quant.h"

#include "format/onnx/ops/image_window.h"

static bool is_byte(qn_dtype dtype)
{
    return dtype == QN_DTYPE_U8 || dtype == QN_DTYPE_I8;
}

bool qn_onnx_is_one(const struct qn_lower *l, qn_value v)
{
    const struct qn_type *type = qn_onnx_type_of(l, v);
    return !v || type->rank == 0 || (type->rank == 1 && type->dims[0] == 1);
}

qn_value qn_onnx_f32(struct qn_lower *l, qn_value v)
{
    return !v || l->b->status || qn_onnx_type_of(l, v)->dtype == QN_DTYPE_F32 ? v
                                                                              : qn_build_cast(l->b, v, QN_DTYPE_F32);
}

/* A zero point has the scale's shape: one serves all scales, and [1] and [] are the same. */
static qn_value like_scale(struct qn_lower *l, qn_value zero, qn_value scale)
{
    const struct qn_type *type = qn_onnx_type_of(l, scale);
    if (!zero || l->b->status || !qn_onnx_is_one(l, zero))
        return zero;
    if (qn_onnx_is_one(l, scale))
        return qn_onnx_rank(l, zero) == type->rank ? zero
                                                   : qn_build_reshape(l->b, zero, type->rank, (const qn_dim[]){1});
    struct qn_attr_reshape shape = {.dims.count = type->rank};
    for (uint32_t i = 0; i < type->rank; i++)
        shape.dims.items[i] = type->dims[i];
    return qn_build_node(l->b, QN_OP_expand, &zero, 1, &shape, NULL);
}

qn_value qn_onnx_quantize(struct qn_lower *l, qn_value x, qn_value scale, qn_value zero, qn_dtype dtype)
{
    struct qn_attr_quantize attr = {.dtype = dtype};
    qn_value inputs[3] = {x, scale, like_scale(l, zero, scale)};
    return qn_build_node(l->b, QN_OP_quantize, inputs, zero ? 3 : 2, &attr, NULL);
}

qn_value qn_onnx_dequantize(struct qn_lower *l, qn_value x, qn_value scale, qn_value zero)
{
    struct qn_attr_quantize attr = {.dtype = QN_DTYPE_F32};
    qn_value inputs[3] = {x, scale, like_scale(l, zero, scale)};
    return qn_build_node(l->b, QN_OP_dequantize, inputs, zero ? 3 : 2, &attr, NULL);
}

/* The record's axis and block size; the axis only where there is more than one scale. */
static void read_axis(struct qn_lower *l, qn_value x, qn_value scale, struct qn_attr_quantize *attr)
{
    attr->block_size = qn_onnx_attr_i(l, "block_size", 0);
    if (l->b->status)
        return;
    if (!qn_onnx_is_one(l, scale))
        attr->axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 1), qn_onnx_rank(l, x), 0);
    else
        attr->block_size = 0;
    if (attr->block_size < 0)
        qn_onnx_fail(l, "block_size %lld", (long long)attr->block_size);
}

QN_ONNX_LOWER(quantize_linear)
{
    qn_value x = qn_onnx_in(l, 0), scale = qn_onnx_in(l, 1), zero = qn_onnx_in(l, 2);
    struct qn_attr_quantize attr = {.wrap = !qn_onnx_attr_i(l, "saturate", 1)};
    qn_dtype asked = qn_onnx_attr_dtype(l, "output_dtype");
    attr.dtype = zero ? qn_onnx_type_of(l, zero)->dtype : asked ? asked : QN_DTYPE_U8;
    read_axis(l, x, scale, &attr);
    qn_value inputs[3] = {x, scale, like_scale(l, zero, scale)};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_quantize, inputs, zero ? 3 : 2, &attr, NULL));
}

QN_ONNX_LOWER(dequantize_linear)
{
    qn_value x = qn_onnx_in(l, 0), scale = qn_onnx_in(l, 1), zero = qn_onnx_in(l, 2);
    struct qn_attr_quantize attr = {0};
    qn_dtype asked = qn_onnx_attr_dtype(l, "output_dtype"), own = qn_onnx_type_of(l, scale)->dtype;
    attr.dtype = asked ? asked : own == QN_DTYPE_F8E8M0 ? QN_DTYPE_F32 : own;
    read_axis(l, x, scale, &attr);
    qn_value inputs[3] = {x, scale, like_scale(l, zero, scale)};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_dequantize, inputs, zero ? 3 : 2, &attr, NULL));
}

QN_ONNX_LOWER(dynamic_quantize_linear)
{
    qn_value x = qn_onnx_in(l, 0), outs[3];
    qn_onnx_node(l, QN_OP_dynamic_quantize, &x, 1, NULL, outs, 3);
    for (uint32_t i = 0; i < 3; i++)
        qn_onnx_out(l, i, outs[i]);
}

/* ---- products ------------------------------------------------------------------------------------------------- */

/* A zero point in a shape that the integer product takes: one element, or a vector of `size`. */
static bool fits_vector(const struct qn_lower *l, qn_value zero, qn_dim size)
{
    const struct qn_type *type = qn_onnx_type_of(l, zero);
    return qn_onnx_is_one(l, zero) || (type->rank == 1 && type->dims[0] == size);
}

/* x - zero as i32; a vector of zero points belongs to the rows (trailing 1) or the columns of x. */
static qn_value less_zero(struct qn_lower *l, qn_value x, qn_value zero, bool rows)
{
    x = qn_build_cast(l->b, x, QN_DTYPE_I32);
    if (!zero)
        return x;
    zero = qn_build_cast(l->b, zero, QN_DTYPE_I32);
    if (rows && qn_onnx_rank(l, zero) == 1 && !qn_onnx_is_one(l, zero))
        zero = qn_onnx_unsqueeze(l, zero, &(struct qn_ints){1, {1}});
    return qn_build_binary(l->b, QN_OP_sub, x, zero);
}

/* The i32 product of bytes, a and b of rank 2 or more. */
static qn_value integer_product(struct qn_lower *l, qn_value a, qn_value b, qn_value a_zero, qn_value b_zero)
{
    const struct qn_type *x = qn_onnx_type_of(l, a), *w = qn_onnx_type_of(l, b);
    if (l->b->status)
        return 0;
    if (fits_vector(l, a_zero, x->dims[x->rank - 2]) && fits_vector(l, b_zero, w->dims[w->rank - 1])) {
        qn_value inputs[4] = {a, b, a_zero, b_zero};
        return qn_build_node(l->b, QN_OP_matmul_integer, inputs, b_zero ? 4 : a_zero ? 3 : 2, NULL, NULL);
    }
    return qn_build_matmul(l->b, less_zero(l, a, a_zero, true), less_zero(l, b, b_zero, false), false, NULL);
}

/* numpy's matmul on bytes. */
static qn_value numpy_integer_product(struct qn_lower *l, qn_value a, qn_value b, qn_value a_zero, qn_value b_zero)
{
    uint32_t a_rank = qn_onnx_rank(l, a), b_rank = qn_onnx_rank(l, b);
    if (l->b->status)
        return 0;
    if (a_rank == 0 || b_rank == 0) {
        qn_onnx_fail(l, "a product of a scalar: expected vectors or matrices");
        return 0;
    }
    if (a_rank == 1)
        a = qn_onnx_unsqueeze(l, a, &(struct qn_ints){1, {0}});
    if (b_rank == 1)
        b = qn_onnx_unsqueeze(l, b, &(struct qn_ints){1, {1}});
    qn_value y = integer_product(l, a, b, a_zero, b_zero);
    struct qn_ints out = {0};
    uint32_t rank = qn_onnx_rank(l, y);
    if (a_rank == 1)
        out.items[out.count++] = (int64_t)rank - 2;
    if (b_rank == 1)
        out.items[out.count++] = (int64_t)rank - 1;
    return out.count ? qn_onnx_squeeze(l, y, &out) : y;
}

QN_ONNX_LOWER(matmul_integer)
{
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 1), a_zero = qn_onnx_in(l, 2), b_zero = qn_onnx_in(l, 3);
    qn_onnx_out(l, 0, numpy_integer_product(l, a, b, a_zero, b_zero));
}

qn_value qn_onnx_zero_point(struct qn_lower *l, qn_value zero, qn_dtype dtype)
{
    return zero || l->b->status ? zero : qn_onnx_number(l, dtype, 0);
}

qn_value qn_onnx_q_linear(struct qn_lower *l, const qn_value given[9], struct qn_attr_q_linear attr)
{
    qn_value inputs[9];
    if (l->b->status)
        return 0;
    memcpy(inputs, given, sizeof inputs);
    inputs[2] = qn_onnx_zero_point(l, inputs[2], qn_onnx_type_of(l, inputs[0])->dtype);
    inputs[5] = qn_onnx_zero_point(l, inputs[5], qn_onnx_type_of(l, inputs[3])->dtype);
    uint32_t count = inputs[8] ? 9 : inputs[7] ? 8 : inputs[6] ? 7 : 6;
    return qn_build_node(l->b, QN_OP_q_linear, inputs, count, &attr, NULL);
}

bool qn_onnx_takes_q_linear(const struct qn_lower *l, const qn_value inputs[9])
{
    const struct qn_type *a = qn_onnx_type_of(l, inputs[0]), *b = qn_onnx_type_of(l, inputs[3]);
    return is_byte(a->dtype) && is_byte(b->dtype) && a->rank >= 1 && b->rank == 2 && qn_onnx_is_one(l, inputs[1]) &&
           qn_onnx_is_one(l, inputs[2]) && fits_vector(l, inputs[4], b->dims[1]) &&
           fits_vector(l, inputs[5], b->dims[1]);
}

/* Scales of rows as a column beside the product. */
static qn_value row_scale(struct qn_lower *l, qn_value scale)
{
    if (qn_onnx_rank(l, scale) == 1 && !qn_onnx_is_one(l, scale))
        return qn_onnx_unsqueeze(l, scale, &(struct qn_ints){1, {1}});
    return scale;
}

qn_value qn_onnx_q_matmul(struct qn_lower *l, const qn_value inputs[9])
{
    qn_value x = qn_onnx_f32(l, inputs[1]), w = qn_onnx_f32(l, inputs[4]);
    if (!is_byte(qn_onnx_type_of(l, inputs[0])->dtype)) { /* float8 */
        qn_value a = qn_onnx_dequantize(l, inputs[0], x, inputs[2]), b = qn_onnx_dequantize(l, inputs[3], w, inputs[5]);
        return qn_build_matmul(l->b, a, b, false, NULL);
    }
    qn_value sums = numpy_integer_product(l, inputs[0], inputs[3], inputs[2], inputs[5]);
    qn_value scale = qn_build_binary(l->b, QN_OP_mul, row_scale(l, x), w);
    return qn_build_binary(l->b, QN_OP_mul, qn_build_cast(l->b, sums, QN_DTYPE_F32), scale);
}

QN_ONNX_LOWER(qlinear_matmul)
{
    qn_value in[9] = {qn_onnx_in(l, 0),
                      qn_onnx_f32(l, qn_onnx_in(l, 1)),
                      qn_onnx_in(l, 2),
                      qn_onnx_in(l, 3),
                      qn_onnx_f32(l, qn_onnx_in(l, 4)),
                      qn_onnx_in(l, 5),
                      0,
                      qn_onnx_f32(l, qn_onnx_in(l, 6)),
                      qn_onnx_in(l, 7)};
    if (l->b->status)
        return;
    qn_dtype dtype = qn_onnx_type_of(l, in[8])->dtype;
    if (qn_onnx_takes_q_linear(l, in) && qn_onnx_is_one(l, in[7]) && is_byte(dtype)) {
        qn_onnx_out(l, 0, qn_onnx_q_linear(l, in, (struct qn_attr_q_linear){.dtype = dtype}));
        return;
    }
    qn_onnx_out(l, 0, qn_onnx_quantize(l, qn_onnx_q_matmul(l, in), in[7], in[8], dtype));
}

/* ---- convolutions --------------------------------------------------------------------------------------------- */

static bool read_conv(struct qn_lower *l, qn_value *x, qn_value w, struct qn_attr_conv *attr)
{
    struct qn_onnx_window window;
    bool last = qn_onnx_attr_i(l, "channels_last", 0) != 0;
    if (!qn_onnx_window(l, x, w, last, &window))
        return false;
    *attr = (struct qn_attr_conv){.strides = window.strides,
                                  .dilations = window.dilations,
                                  .begin = window.begin,
                                  .end = window.end,
                                  .groups = qn_onnx_groups(l, "group"),
                                  .channels_last = last};
    return true;
}

QN_ONNX_LOWER(conv_integer)
{
    struct qn_attr_conv attr;
    qn_value in[4] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1), qn_onnx_in(l, 2), qn_onnx_in(l, 3)};
    if (!read_conv(l, &in[0], in[1], &attr))
        return;
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_conv_integer, in, in[3] ? 4 : in[2] ? 3 : 2, &attr, NULL));
}

QN_ONNX_LOWER(qlinear_conv)
{
    struct qn_attr_conv attr;
    qn_value in[9];
    static const uint32_t from[9] = {0, 1, 2, 3, 4, 5, 8, 6, 7};
    for (uint32_t i = 0; i < 9; i++)
        in[i] = qn_onnx_in(l, from[i]);
    if (!read_conv(l, &in[0], in[3], &attr))
        return;
    in[1] = qn_onnx_f32(l, in[1]);
    in[4] = qn_onnx_f32(l, in[4]);
    in[7] = qn_onnx_f32(l, in[7]);
    attr.dtype = qn_onnx_type_of(l, in[8])->dtype;
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_q_conv, in, 9, &attr, NULL));
}

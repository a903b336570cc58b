/* Quantised ops of com.microsoft: products, elementwise ops and pooling. */
#include "format/onnx/ops/linear_quant.h"

#include "format/onnx/ops/image_window.h"

/* Input i as f32, or 0. */
static qn_value f32_in(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_f32(l, qn_onnx_in(l, i));
}

static qn_value dequantized_in(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_dequantize(l, qn_onnx_in(l, i), f32_in(l, i + 1), qn_onnx_in(l, i + 2));
}

/* Output 0: x quantised by inputs i (scale) and i + 1 (zero point); of the dtype of input 0 where that is absent. */
static void out_quantized(struct qn_lower *l, qn_value x, uint32_t i)
{
    qn_value zero = qn_onnx_in(l, i + 1);
    qn_dtype dtype = qn_onnx_type_of(l, zero ? zero : qn_onnx_in(l, 0))->dtype;
    qn_onnx_out(l, 0, qn_onnx_quantize(l, x, f32_in(l, i), zero, dtype));
}

/* ---- products ------------------------------------------------------------------------------------------------- */

qn_value qn_onnx_float_product(struct qn_lower *l, const qn_value in[9])
{
    if (l->b->status)
        return 0;
    if (qn_onnx_takes_q_linear(l, in))
        return qn_onnx_q_linear(l, in, (struct qn_attr_q_linear){.dtype = QN_DTYPE_F32});
    qn_value y = qn_onnx_q_matmul(l, in);
    return in[6] ? qn_build_binary(l->b, QN_OP_add, y, in[6]) : y;
}

QN_ONNX_LOWER(dynamic_quantize_matmul)
{
    qn_value x = qn_onnx_in(l, 0), parts[3];
    qn_onnx_node(l, QN_OP_dynamic_quantize, &x, 1, NULL, parts, 3);
    qn_value in[9] = {parts[0], parts[1], parts[2], qn_onnx_in(l, 1), f32_in(l, 2), qn_onnx_in(l, 3), f32_in(l, 4), 0};
    qn_onnx_out(l, 0, qn_onnx_float_product(l, in));
}

QN_ONNX_LOWER(matmul_integer_to_float)
{
    qn_value in[9] = {qn_onnx_in(l, 0), f32_in(l, 2),     qn_onnx_in(l, 4), qn_onnx_in(l, 1),
                      f32_in(l, 3),     qn_onnx_in(l, 5), f32_in(l, 6),     0};
    qn_dtype dtype = qn_onnx_type_of(l, qn_onnx_in(l, 2))->dtype;
    if (dtype == QN_DTYPE_F32) {
        qn_onnx_out(l, 0, qn_onnx_float_product(l, in));
        return;
    }
    qn_value y = qn_onnx_q_matmul(l, in);
    y = in[6] ? qn_build_binary(l->b, QN_OP_add, y, in[6]) : y;
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, dtype));
}

/* QGemm(A, a_scale, a_zero, B, b_scale, b_zero, C i32, y_scale, y_zero) */
QN_ONNX_LOWER(q_gemm)
{
    qn_value in[9];
    for (uint32_t i = 0; i < 9; i++)
        in[i] = i == 1 || i == 4 || i == 7 ? f32_in(l, i) : qn_onnx_in(l, i);
    float alpha = qn_onnx_attr_f(l, "alpha", 1);
    struct qn_attr_q_linear attr = {.trans_b = qn_onnx_attr_i(l, "transB", 0) != 0, .dtype = QN_DTYPE_F32};
    if (qn_onnx_attr_i(l, "transA", 0))
        in[0] = qn_build_transpose(l->b, in[0], 2, (const int64_t[]){1, 0});
    if (alpha != 1)
        in[1] = qn_build_binary(l->b, QN_OP_mul, in[1], qn_onnx_number(l, QN_DTYPE_F32, (double)alpha));
    if (l->b->status)
        return;
    const struct qn_type *c = qn_onnx_type_of(l, in[6]);
    if (in[6] && c->rank == 2 && c->dims[0] == 1)
        in[6] = qn_onnx_squeeze(l, in[6], &(struct qn_ints){1, {0}});
    if (in[7])
        attr.dtype = in[8] ? qn_onnx_type_of(l, in[8])->dtype : qn_onnx_type_of(l, in[0])->dtype;
    qn_onnx_out(l, 0, qn_onnx_q_linear(l, in, attr));
}

/* ---- elementwise and pooling ---------------------------------------------------------------------------------- */

static bool same_shape(const struct qn_lower *l, qn_value a, qn_value b)
{
    struct qn_type x = *qn_onnx_type_of(l, a), y = *qn_onnx_type_of(l, b);
    y.dtype = x.dtype;
    return qn_type_equal(&x, &y);
}

QN_ONNX_LOWER(qlinear_add)
{
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 3), zero = qn_onnx_in(l, 7);
    qn_dtype dtype = qn_onnx_type_of(l, zero ? zero : a)->dtype;
    if (!l->b->status && same_shape(l, a, b)) {
        qn_value in[8] = {a, f32_in(l, 1), qn_onnx_in(l, 2), b, f32_in(l, 4), qn_onnx_in(l, 5), f32_in(l, 6), zero};
        struct qn_attr_q_linear attr = {.dtype = dtype};
        in[2] = qn_onnx_zero_point(l, in[2], qn_onnx_type_of(l, a)->dtype);
        in[5] = qn_onnx_zero_point(l, in[5], qn_onnx_type_of(l, b)->dtype);
        in[7] = qn_onnx_zero_point(l, in[7], dtype);
        qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_q_add, in, 8, &attr, NULL));
        return;
    }
    out_quantized(l, qn_build_binary(l->b, QN_OP_add, dequantized_in(l, 0), dequantized_in(l, 3)), 6);
}

QN_ONNX_LOWER(qlinear_mul)
{
    out_quantized(l, qn_build_binary(l->b, QN_OP_mul, dequantized_in(l, 0), dequantized_in(l, 3)), 6);
}

QN_ONNX_LOWER(qlinear_sigmoid)
{
    out_quantized(l, qn_build_unary(l->b, QN_OP_sigmoid, dequantized_in(l, 0)), 3);
}

QN_ONNX_LOWER(qlinear_leaky_relu)
{
    qn_value x = dequantized_in(l, 0);
    out_quantized(l, qn_build_activation(l->b, x, QN_ACTIVATION_LEAKY_RELU, qn_onnx_attr_f(l, "alpha", 0.01f), 0), 3);
}

/* With opset below 13 the axes from `axis` on count as one. */
QN_ONNX_LOWER(qlinear_softmax)
{
    qn_value x = dequantized_in(l, 0);
    uint32_t rank = qn_onnx_rank(l, x);
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", -1), rank, 0);
    if (l->b->status)
        return;
    struct qn_type type = *qn_onnx_type_of(l, x);
    bool flat = qn_onnx_attr_i(l, "opset", 13) < 13 && axis + 1 < (int64_t)rank;
    if (flat) {
        qn_dim dims[2] = {1, 1};
        for (uint32_t i = 0; i < rank; i++)
            dims[i >= axis] = qn_build_expr(l->b, QN_EXPR_MUL, dims[i >= axis], type.dims[i]);
        x = qn_build_reshape(l->b, x, 2, dims);
    }
    x = qn_build_softmax(l->b, x, flat ? 1 : axis);
    out_quantized(l, flat ? qn_build_reshape(l->b, x, rank, type.dims) : x, 3);
}

QN_ONNX_LOWER(qlinear_global_average_pool)
{
    qn_value x = dequantized_in(l, 0);
    bool last = qn_onnx_attr_i(l, "channels_last", 0) != 0;
    uint32_t rank = qn_onnx_rank(l, x);
    struct qn_attr_reduce attr = {.keepdims = 1};
    for (uint32_t i = last ? 1 : 2; i + last < rank; i++)
        attr.axes.items[attr.axes.count++] = i;
    if (l->b->status)
        return;
    out_quantized(l, qn_build_node(l->b, QN_OP_reduce_mean, &x, 1, &attr, NULL), 3);
}

QN_ONNX_LOWER(qlinear_average_pool)
{
    struct qn_attr_pool attr;
    qn_value x = dequantized_in(l, 0);
    if (!qn_onnx_read_pool(l, &x, qn_onnx_attr_i(l, "channels_last", 0) != 0, &attr))
        return;
    attr.count_padding = qn_onnx_attr_i(l, "count_include_pad", 0) != 0;
    out_quantized(l, qn_build_node(l->b, QN_OP_avg_pool, &x, 1, &attr, NULL), 3);
}

QN_ONNX_LOWER(qlinear_reduce_mean)
{
    qn_value x = dequantized_in(l, 0);
    uint32_t rank = qn_onnx_rank(l, x);
    struct qn_attr_reduce attr = {.keepdims = qn_onnx_attr_i(l, "keepdims", 1) != 0};
    qn_onnx_attr_ints(l, "axes", &attr.axes);
    for (uint32_t i = 0; i < rank && !attr.axes.count; i++)
        attr.axes.items[i] = i;
    attr.axes.count = attr.axes.count ? attr.axes.count : rank;
    for (uint32_t i = 0; i < attr.axes.count; i++)
        attr.axes.items[i] = qn_onnx_axis(l, attr.axes.items[i], rank, 0);
    out_quantized(l, qn_build_node(l->b, QN_OP_reduce_mean, &x, 1, &attr, NULL), 3);
}

QN_ONNX_LOWER(qlinear_where)
{
    qn_value y = qn_build_where(l->b, qn_onnx_in(l, 0), dequantized_in(l, 1), dequantized_in(l, 4)),
             zero = qn_onnx_in(l, 8);
    qn_onnx_out(l, 0, qn_onnx_quantize(l, y, f32_in(l, 7), zero, qn_onnx_type_of(l, zero)->dtype));
}

/* y_scale, y_zero, then (x, scale, zero) for each part */
QN_ONNX_LOWER(qlinear_concat)
{
    qn_value parts[64];
    uint32_t count = 0;
    for (uint32_t i = 2; i + 1 < l->input_count && count < 64; i += 3)
        parts[count++] = dequantized_in(l, i);
    if (count == 0 || count * 3 + 2 < l->input_count)
        qn_onnx_fail(l, "%u inputs: expected 1 to 64 parts", l->input_count);
    if (l->b->status)
        return;
    struct qn_attr_axis attr = {qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, parts[0]), 0)};
    qn_value zero = qn_onnx_in(l, 1), x = qn_build_node(l->b, QN_OP_concat, parts, count, &attr, NULL);
    qn_dtype dtype = qn_onnx_type_of(l, zero ? zero : qn_onnx_in(l, 2))->dtype;
    qn_onnx_out(l, 0, qn_onnx_quantize(l, x, f32_in(l, 0), zero, dtype));
}

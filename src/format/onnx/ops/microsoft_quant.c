/* Transformer and recurrent ops of com.microsoft over quantised weights. */
#include "format/onnx/ops/elementwise.h"
#include "format/onnx/ops/linear_quant.h"
#include "format/onnx/ops/microsoft.h"
#include "format/onnx/ops/recurrent_op.h"

/* QAttention(x, w, bias, x_scale, w_scale, mask, x_zero, w_zero, past) */
QN_ONNX_LOWER(q_attention)
{
    static const struct qn_ms_attention_inputs at = {.mask = 5, .past = 8};
    qn_value bias = qn_onnx_in(l, 2);
    qn_dtype dtype = qn_onnx_type_of(l, bias)->dtype;
    qn_value in[9] = {qn_onnx_in(l, 0),    qn_onnx_f32(l, qn_onnx_in(l, 3)), qn_onnx_in(l, 6),
                      qn_onnx_in(l, 1),    qn_onnx_f32(l, qn_onnx_in(l, 4)), qn_onnx_in(l, 7),
                      qn_onnx_f32(l, bias)};
    qn_ms_attention(l, qn_onnx_float_product(l, in), dtype, &at);
}

/* Tables are inputs 2 to 6, their scales stand 6 inputs behind them (the mask is between), their zero points 11. */
static qn_value table_in(struct qn_lower *l, uint32_t i)
{
    if (!qn_onnx_has(l, i))
        return 0;
    return qn_onnx_dequantize(l, qn_onnx_in(l, i), qn_onnx_f32(l, qn_onnx_in(l, i + 6)), qn_onnx_in(l, i + 11));
}

QN_ONNX_LOWER(q_embed_layer_norm)
{
    struct qn_ms_embedding e = {.tables = {table_in(l, 2), table_in(l, 3), table_in(l, 4)},
                                .weight = table_in(l, 5),
                                .bias = table_in(l, 6),
                                .dtype = qn_onnx_type_of(l, qn_onnx_in(l, 8))->dtype};
    qn_ms_embed_layer_norm(l, &e);
}

/* Weights [d, in, 4 h] with scales and zero points [d] or [d, 4 h], as f32 [d, 4 h, in]. */
static qn_value gates_in(struct qn_lower *l, uint32_t i, uint32_t scale_at)
{
    qn_value w = qn_onnx_in(l, i), scale = qn_onnx_f32(l, qn_onnx_in(l, scale_at)), zero = qn_onnx_in(l, scale_at + 1);
    if (l->b->status)
        return 0;
    const struct qn_type type = *qn_onnx_type_of(l, scale);
    qn_dim dims[3] = {type.dims[0], type.rank == 2 ? type.dims[1] : 1, 1};
    w = qn_build_cast(l->b, qn_build_transpose(l->b, w, 3, (const int64_t[]){0, 2, 1}), QN_DTYPE_F32);
    if (zero) {
        zero = qn_build_reshape(l->b, qn_build_cast(l->b, zero, QN_DTYPE_F32), 3, dims);
        w = qn_build_binary(l->b, QN_OP_sub, w, zero);
    }
    return qn_build_binary(l->b, QN_OP_mul, w, qn_build_reshape(l->b, scale, 3, dims));
}

/* The activations stay floats: that they are quantised on the way is how one runtime computes it, not what is meant. */
QN_ONNX_LOWER(dynamic_quantize_lstm)
{
    qn_value in[8] = {qn_onnx_in(l, 0), gates_in(l, 1, 8), gates_in(l, 2, 10)};
    for (uint32_t i = 3; i < 8; i++)
        in[i] = qn_onnx_has(l, i) ? qn_onnx_in(l, i) : 0;
    if (in[4])
        in[4] = qn_build_cast(l->b, in[4], QN_DTYPE_I32);
    qn_onnx_recurrent(l, 4, in, QN_DTYPE_F32);
}

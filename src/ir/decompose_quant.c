/* Decompositions of the quantised ops: the integer product, then floats. */
#include "ir/build.h"
#include "ir/decompose.h"

/* x of one element as rank 0, of n as [n, 1, 1...] with `trailing` ones. */
static qn_value shaped(struct qn_build *b, qn_value x, uint32_t trailing)
{
    if (b->status || !x)
        return 0;
    const struct qn_type *type = qn_graph_type(b->graph, x);
    if (type->rank == 0)
        return x;
    qn_dim dims[QN_MAX_RANK] = {type->dims[0]};
    if (dims[0] == 1)
        return qn_build_reshape(b, x, 0, dims);
    for (uint32_t i = 1; i <= trailing; i++)
        dims[i] = 1;
    return qn_build_reshape(b, x, 1 + trailing, dims);
}

static qn_value quantised(struct qn_build *b, qn_value x, qn_value scale, qn_value zero, uint32_t dtype)
{
    struct qn_attr_quantize attr = {.dtype = dtype};
    qn_value inputs[3] = {x, scale, zero};
    return qn_build_node(b, QN_OP_quantize, inputs, zero ? 3 : 2, &attr, NULL);
}

static qn_value dequantised(struct qn_build *b, qn_value x, qn_value scale, qn_value zero)
{
    struct qn_attr_quantize attr = {.dtype = QN_DTYPE_F32};
    qn_value inputs[3] = {x, scale, zero};
    return qn_build_node(b, QN_OP_dequantize, inputs, zero ? 3 : 2, &attr, NULL);
}

struct finish {
    uint32_t dtype, trailing; /* ones behind the columns' axis */
    int64_t activation;
    float alpha, beta;
};

static qn_value finished(struct qn_build *b, qn_value sums, const qn_value *inputs, uint32_t count,
                         const struct finish *f)
{
    qn_value bias = count > 6 ? shaped(b, inputs[6], f->trailing) : 0;
    bool in_float = bias && !b->status && qn_graph_type(b->graph, bias)->dtype == QN_DTYPE_F32;
    if (bias && !in_float)
        sums = qn_build_binary(b, QN_OP_add, sums, bias);
    qn_value scale = qn_build_binary(b, QN_OP_mul, shaped(b, inputs[1], 0), shaped(b, inputs[4], f->trailing));
    qn_value y = qn_build_binary(b, QN_OP_mul, qn_build_cast(b, sums, QN_DTYPE_F32), scale);
    if (in_float)
        y = qn_build_binary(b, QN_OP_add, y, bias);
    y = qn_build_activation(b, y, f->activation, f->alpha, f->beta);
    if (f->dtype != QN_DTYPE_F32)
        y = quantised(b, y, inputs[7], count > 8 ? inputs[8] : 0, f->dtype);
    return y;
}

QN_DECOMPOSE(q_linear)
{
    struct qn_build b = {.graph = to};
    const struct qn_attr_q_linear *record = attr;
    struct finish f = {record->dtype, 0, record->activation, record->alpha, record->beta};
    qn_value w = inputs[3], a = inputs[0];
    struct qn_type type = *qn_graph_type(to, a);
    if (record->trans_b)
        w = qn_build_transpose(&b, w, 2, (const int64_t[]){1, 0});
    if (type.rank == 1)
        a = qn_build_reshape(&b, a, 2, (const qn_dim[]){1, type.dims[0]});
    qn_value operands[4] = {a, w, inputs[2], inputs[5]};
    qn_value sums = qn_build_node(&b, QN_OP_matmul_integer, operands, 4, NULL, NULL);
    qn_value y = finished(&b, sums, inputs, input_count, &f);
    if (type.rank == 1) {
        qn_dim n = qn_build_dim(&b, y, 1);
        y = qn_build_reshape(&b, y, 1, &n);
    }
    outs[0] = y;
    return b.status;
}

QN_DECOMPOSE(q_conv)
{
    struct qn_build b = {.graph = to};
    struct qn_attr_conv record = *(const struct qn_attr_conv *)attr;
    struct finish f = {record.dtype, record.channels_last ? 0 : qn_graph_type(to, inputs[0])->rank - 2,
                       record.activation, record.alpha, record.beta};
    record.activation = QN_ACTIVATION_NONE;
    record.alpha = record.beta = 0;
    record.dtype = 0;
    qn_value operands[4] = {inputs[0], inputs[3], inputs[2], inputs[5]};
    qn_value sums = qn_build_node(&b, QN_OP_conv_integer, operands, 4, &record, NULL);
    outs[0] = finished(&b, sums, inputs, input_count, &f);
    return b.status;
}

QN_DECOMPOSE(q_add)
{
    struct qn_build b = {.graph = to};
    const struct qn_attr_q_linear *record = attr;
    qn_value x = dequantised(&b, inputs[0], inputs[1], inputs[2]), y = dequantised(&b, inputs[3], inputs[4], inputs[5]);
    y = qn_build_binary(&b, QN_OP_add, x, y);
    y = qn_build_activation(&b, y, record->activation, record->alpha, record->beta);
    outs[0] = quantised(&b, y, inputs[6], input_count > 7 ? inputs[7] : 0, record->dtype);
    return b.status;
}

#include "ir/build.h"

#include <inttypes.h>
#include <stdio.h>

qn_value qn_build_node(struct qn_build *b, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                       const char *name)
{
    if (b->status)
        return 0;
    char text[160] = "";
    if (name && b->scope.size)
        snprintf(text, sizeof text, "%.*s.%s", QN_STR_ARG(b->scope), name);
    else if (name)
        snprintf(text, sizeof text, "%s", name);
    qn_value out = 0;
    b->status = qn_graph_add_node(b->graph, op, inputs, count, attr, qn_str_from(text), &out);
    return b->status ? 0 : out;
}

qn_value qn_build_unary(struct qn_build *b, uint16_t op, qn_value x)
{
    return qn_build_node(b, op, &x, 1, NULL, NULL);
}

qn_value qn_build_binary(struct qn_build *b, uint16_t op, qn_value x, qn_value y)
{
    return qn_build_node(b, op, (qn_value[]){x, y}, 2, NULL, NULL);
}

static qn_value add_scalar(struct qn_build *b, qn_dtype dtype, const void *value)
{
    if (b->status)
        return 0;
    struct qn_type type = {.dtype = dtype};
    qn_value out = 0;
    b->status = qn_graph_add_data(b->graph, (struct qn_str){0}, &type, value, &out);
    return b->status ? 0 : out;
}

qn_value qn_build_scalar(struct qn_build *b, float value)
{
    return add_scalar(b, QN_DTYPE_F32, &value);
}

qn_value qn_build_scalar_i32(struct qn_build *b, int32_t value)
{
    return add_scalar(b, QN_DTYPE_I32, &value);
}

qn_value qn_build_scalar_as(struct qn_build *b, qn_dtype dtype, double value)
{
    if (dtype == QN_DTYPE_F64)
        return add_scalar(b, dtype, &value);
    return qn_build_cast(b, qn_build_scalar(b, (float)value), dtype);
}

qn_value qn_build_cast(struct qn_build *b, qn_value x, qn_dtype dtype)
{
    if (b->status || b->graph->values.items[x].type.dtype == dtype)
        return x;
    return qn_build_node(b, QN_OP_cast, &x, 1, &(struct qn_attr_cast){.dtype = dtype}, NULL);
}

qn_value qn_build_where(struct qn_build *b, qn_value condition, qn_value x, qn_value y)
{
    return qn_build_node(b, QN_OP_where, (qn_value[]){condition, x, y}, 3, NULL, NULL);
}

qn_value qn_build_reshape(struct qn_build *b, qn_value x, uint32_t rank, const qn_dim *dims)
{
    struct qn_attr_reshape attr = {0};
    if (!b->status && rank > QN_MAX_RANK)
        b->status = QN_ERROR(QN_INVALID_ARGUMENT, "a reshape to rank %" PRIu32 ", at most %d", rank, QN_MAX_RANK);
    if (b->status)
        return 0;
    attr.dims.count = rank;
    for (uint32_t i = 0; i < rank; i++)
        attr.dims.items[i] = dims[i];
    return qn_build_node(b, QN_OP_reshape, &x, 1, &attr, NULL);
}

qn_value qn_build_transpose(struct qn_build *b, qn_value x, uint32_t rank, const int64_t *perm)
{
    struct qn_attr_transpose attr = {0};
    attr.perm.count = rank;
    for (uint32_t i = 0; i < rank; i++)
        attr.perm.items[i] = perm[i];
    return qn_build_node(b, QN_OP_transpose, &x, 1, &attr, NULL);
}

qn_value qn_build_slice(struct qn_build *b, qn_value x, int64_t axis, qn_dim start, qn_dim stop)
{
    struct qn_attr_slice attr = {.axis = axis, .start = start, .stop = stop, .step = 1};
    return qn_build_node(b, QN_OP_slice, &x, 1, &attr, NULL);
}

qn_value qn_build_concat(struct qn_build *b, qn_value x, qn_value y, int64_t axis)
{
    struct qn_attr_axis attr = {.axis = axis};
    return qn_build_node(b, QN_OP_concat, (qn_value[]){x, y}, 2, &attr, NULL);
}

qn_value qn_build_matmul(struct qn_build *b, qn_value x, qn_value w, bool trans_b, const char *name)
{
    struct qn_attr_matmul attr = {.trans_b = trans_b};
    return qn_build_node(b, QN_OP_matmul, (qn_value[]){x, w}, 2, &attr, name);
}

qn_value qn_build_gather(struct qn_build *b, qn_value data, qn_value indices, int64_t axis, qn_dtype dtype)
{
    struct qn_attr_gather attr = {.axis = axis, .dtype = dtype};
    return qn_build_node(b, QN_OP_gather, (qn_value[]){data, indices}, 2, &attr, NULL);
}

qn_value qn_build_reduce(struct qn_build *b, uint16_t op, qn_value x, int64_t axis, bool keepdims)
{
    struct qn_attr_reduce attr = {.axes = {.count = 1, .items = {axis}}, .keepdims = keepdims};
    return qn_build_node(b, op, &x, 1, &attr, NULL);
}

qn_value qn_build_softmax(struct qn_build *b, qn_value x, int64_t axis)
{
    struct qn_attr_axis attr = {.axis = axis};
    return qn_build_node(b, QN_OP_softmax, &x, 1, &attr, NULL);
}

qn_value qn_build_soft_cap(struct qn_build *b, qn_value x, double cap)
{
    if (b->status)
        return 0;
    qn_value bound = qn_build_scalar_as(b, b->graph->values.items[x].type.dtype, cap);
    x = qn_build_unary(b, QN_OP_tanh, qn_build_binary(b, QN_OP_div, x, bound));
    return qn_build_binary(b, QN_OP_mul, x, bound);
}

qn_value qn_build_sink_softmax(struct qn_build *b, qn_value scores, qn_value sinks)
{
    if (b->status || !sinks)
        return qn_build_softmax(b, scores, -1);
    const struct qn_type type = *qn_graph_type(b->graph, scores);
    uint32_t last = type.rank - 1;
    struct qn_attr_reshape column = {.dims = {.count = type.rank}};
    for (uint32_t i = 0; i < last; i++)
        column.dims.items[i] = type.dims[i];
    column.dims.items[last] = 1;
    sinks = type.dtype == QN_DTYPE_F32 ? sinks : qn_build_cast(b, sinks, type.dtype);
    sinks = qn_build_node(b, QN_OP_expand, &sinks, 1, &column, NULL);
    qn_value all = qn_build_softmax(b, qn_build_concat(b, scores, sinks, last), -1);
    return qn_build_slice(b, all, last, 0, type.dims[last]);
}

qn_dim qn_build_expr(struct qn_build *b, enum qn_expr_op op, qn_dim x, qn_dim y)
{
    qn_dim out = 0;
    if (!b->status)
        b->status = qn_graph_expr(b->graph, op, x, y, &out);
    return out;
}

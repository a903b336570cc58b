/* Short words for lowerings that are made of elementwise ops. */
#ifndef QN_FORMAT_ONNX_OPS_ELEMENTWISE_H
#define QN_FORMAT_ONNX_OPS_ELEMENTWISE_H

#include "format/onnx/lower.h"

static inline qn_value qn_lower_unary(struct qn_lower *l, uint16_t op, qn_value x)
{
    return qn_build_unary(l->b, op, x);
}

static inline qn_value qn_lower_binary(struct qn_lower *l, uint16_t op, qn_value x, qn_value y)
{
    return qn_build_binary(l->b, op, x, y);
}

/* op(x, number), the number in x's dtype; qn_lower_number_first: op(number, x) */
static inline qn_value qn_lower_with_number(struct qn_lower *l, uint16_t op, qn_value x, double number)
{
    return qn_build_binary(l->b, op, x, qn_onnx_number(l, qn_onnx_type_of(l, x)->dtype, number));
}

static inline qn_value qn_lower_number_first(struct qn_lower *l, uint16_t op, double number, qn_value x)
{
    return qn_build_binary(l->b, op, qn_onnx_number(l, qn_onnx_type_of(l, x)->dtype, number), x);
}

/* Floats narrower than f32 as f32: what is computed in several steps is rounded once, at the end. */
static inline qn_value qn_lower_widen(struct qn_lower *l, qn_value x)
{
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    bool narrow = qn_dtype_info(dtype)->class_ == QN_DTYPE_CLASS_FLOAT && dtype != QN_DTYPE_F64;
    return narrow ? qn_build_cast(l->b, x, QN_DTYPE_F32) : x;
}

/* Output 0 in the dtype of input `like`. */
static inline void qn_lower_out_like(struct qn_lower *l, qn_value y, qn_value like)
{
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, qn_onnx_type_of(l, like)->dtype));
}

/* max(x, 0) + log1p(exp(-|x|)) */
static inline qn_value qn_lower_softplus_of(struct qn_lower *l, qn_value x)
{
    qn_value size = qn_lower_unary(l, QN_OP_neg, qn_lower_unary(l, QN_OP_abs, x));
    qn_value tail = qn_lower_unary(l, QN_OP_log1p, qn_lower_unary(l, QN_OP_exp, size));
    return qn_lower_binary(l, QN_OP_add, qn_lower_unary(l, QN_OP_relu, x), tail);
}

/* The element of input i when it is a constant of one element that does not add axes to x. */
bool qn_lower_constant_number(struct qn_lower *l, uint32_t i, qn_value x, double *out);
/* The one element at data, of this type (f32, f64, i32 or i64). */
bool qn_lower_number_of(const struct qn_type *type, const void *data, double *out);

#endif

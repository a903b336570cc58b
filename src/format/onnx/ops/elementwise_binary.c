/* Elementwise ops of two and more tensors, clipping, choice, and casts. */
#include "format/onnx/ops/elementwise.h"

#include <string.h>

static const struct {
    const char *name;
    uint16_t op;
    bool swapped;
} binary_ops[] = {
    {"Add", QN_OP_add, false},
    {"Sub", QN_OP_sub, false},
    {"Mul", QN_OP_mul, false},
    {"Div", QN_OP_div, false},
    {"And", QN_OP_and, false},
    {"Or", QN_OP_or, false},
    {"Xor", QN_OP_xor, false},
    {"Equal", QN_OP_equal, false},
    {"Less", QN_OP_less, false},
    {"LessOrEqual", QN_OP_less_equal, false},
    {"Greater", QN_OP_less, true},
    {"GreaterOrEqual", QN_OP_less_equal, true},
    {"BitwiseAnd", QN_OP_bit_and, false},
    {"BitwiseOr", QN_OP_bit_or, false},
    {"BitwiseXor", QN_OP_bit_xor, false},
};

/* Before opset 7 the second operand was lined up by hand: from axis `axis` of the first on, or at the end. */
static qn_value second_operand(struct qn_lower *l, qn_value a, qn_value b)
{
    if (l->opset >= 7 || !qn_onnx_has_attr(l, "axis") || !qn_onnx_attr_i(l, "broadcast", 0))
        return b;
    const struct qn_type *type = qn_onnx_type_of(l, b);
    uint32_t rank = qn_onnx_rank(l, a), own = type->rank;
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), rank, 1);
    if (l->b->status || axis + own > rank)
        return b;
    qn_dim dims[QN_MAX_RANK];
    for (uint32_t i = 0; i < rank - axis; i++)
        dims[i] = i < own ? type->dims[i] : 1;
    return qn_build_reshape(l->b, b, rank - (uint32_t)axis, dims);
}

QN_ONNX_LOWER(elementwise_binary)
{
    qn_value a = qn_onnx_in(l, 0), b = second_operand(l, a, qn_onnx_in(l, 1));
    for (size_t i = 0; i < sizeof binary_ops / sizeof binary_ops[0]; i++)
        if (qn_str_is(l->node->op_type, binary_ops[i].name))
            qn_onnx_out(
                l, 0,
                qn_lower_binary(l, binary_ops[i].op, binary_ops[i].swapped ? b : a, binary_ops[i].swapped ? a : b));
}

bool qn_lower_constant_number(struct qn_lower *l, uint32_t i, qn_value x, double *out)
{
    const void *data = qn_onnx_try_constant(l, i);
    const struct qn_type *type = qn_onnx_type_of(l, qn_onnx_in(l, i));
    return data && type->rank <= qn_onnx_rank(l, x) && qn_lower_number_of(type, data, out);
}

bool qn_lower_number_of(const struct qn_type *type, const void *data, double *out)
{
    for (uint32_t k = 0; k < type->rank; k++)
        if (type->dims[k] != 1)
            return false;
    union {
        float f32;
        double f64;
        int32_t i32;
        int64_t i64;
    } value;
    switch (type->dtype) {
    case QN_DTYPE_F32:
        memcpy(&value, data, sizeof value.f32);
        *out = (double)value.f32;
        return true;
    case QN_DTYPE_F64:
        memcpy(&value, data, sizeof value.f64);
        *out = value.f64;
        return true;
    case QN_DTYPE_I32:
        memcpy(&value, data, sizeof value.i32);
        *out = value.i32;
        return true;
    case QN_DTYPE_I64:
        memcpy(&value, data, sizeof value.i64);
        *out = (double)value.i64;
        return true;
    default:
        return false;
    }
}

/* The result has the dtype of the base. Squares and roots are what models ask for; they are exact this way. */
QN_ONNX_LOWER(pow)
{
    qn_value a = qn_onnx_in(l, 0), b = second_operand(l, a, qn_onnx_in(l, 1));
    qn_dtype base = qn_onnx_type_of(l, a)->dtype, exponent = qn_onnx_type_of(l, b)->dtype;
    bool is_float = qn_dtype_info(base)->class_ == QN_DTYPE_CLASS_FLOAT;
    double number;
    if (is_float && qn_lower_constant_number(l, 1, a, &number)) {
        if (number == 2) {
            qn_onnx_out(l, 0, qn_lower_binary(l, QN_OP_mul, a, a));
            return;
        }
        if (number == 0.5) {
            qn_onnx_out(l, 0, qn_lower_unary(l, QN_OP_sqrt, a));
            return;
        }
    }
    if (!is_float && qn_dtype_info(exponent)->class_ == QN_DTYPE_CLASS_FLOAT) {
        qn_value y =
            qn_lower_binary(l, QN_OP_pow, qn_build_cast(l->b, a, QN_DTYPE_F64), qn_build_cast(l->b, b, QN_DTYPE_F64));
        qn_lower_out_like(l, y, a);
        return;
    }
    qn_value wide = qn_lower_widen(l, a);
    b = qn_build_cast(l->b, b, qn_onnx_type_of(l, wide)->dtype);
    qn_lower_out_like(l, qn_lower_binary(l, QN_OP_pow, wide, b), a);
}

QN_ONNX_LOWER(mod)
{
    uint16_t op = qn_onnx_attr_i(l, "fmod", 0) ? QN_OP_rem : QN_OP_mod;
    qn_onnx_out(l, 0, qn_lower_binary(l, op, qn_onnx_in(l, 0), qn_onnx_in(l, 1)));
}

QN_ONNX_LOWER(bit_shift)
{
    static const char *const directions[] = {"LEFT", "RIGHT", NULL};
    uint16_t op = qn_onnx_attr_choice(l, "direction", -1, directions) == 0 ? QN_OP_shift_left : QN_OP_shift_right;
    if (!qn_onnx_has_attr(l, "direction"))
        qn_onnx_fail(l, "attribute direction is missing");
    qn_onnx_out(l, 0, qn_lower_binary(l, op, qn_onnx_in(l, 0), qn_onnx_in(l, 1)));
}

/* Max, Min, Sum and Mean of any number of tensors. Float sums are taken in f32 at least. */
QN_ONNX_LOWER(elementwise_variadic)
{
    struct qn_str name = l->node->op_type;
    uint16_t op = qn_str_is(name, "Max") ? QN_OP_max : qn_str_is(name, "Min") ? QN_OP_min : QN_OP_add;
    if (l->input_count == 0) {
        qn_onnx_fail(l, "expected at least one input");
        return;
    }
    qn_value first = qn_onnx_in(l, 0), y = op == QN_OP_add ? qn_lower_widen(l, first) : first;
    for (uint32_t i = 1; i < l->input_count; i++) {
        qn_value x = qn_onnx_in(l, i);
        y = qn_lower_binary(l, op, y, op == QN_OP_add ? qn_lower_widen(l, x) : x);
    }
    if (qn_str_is(name, "Mean") && l->input_count > 1)
        y = qn_lower_with_number(l, QN_OP_div, y, l->input_count);
    qn_lower_out_like(l, y, first);
}

/* Attributes before opset 11, inputs since. Where min is above max the result is max. */
QN_ONNX_LOWER(clip)
{
    qn_value x = qn_onnx_in(l, 0), y = x;
    if (l->opset < 11) {
        if (qn_onnx_has_attr(l, "min"))
            y = qn_lower_with_number(l, QN_OP_max, y, (double)qn_onnx_attr_f(l, "min", 0));
        if (qn_onnx_has_attr(l, "max"))
            y = qn_lower_with_number(l, QN_OP_min, y, (double)qn_onnx_attr_f(l, "max", 0));
        qn_onnx_out(l, 0, y);
        return;
    }
    for (uint32_t i = 1; i < 3; i++) {
        if (!qn_onnx_has(l, i))
            continue;
        qn_value limit = qn_onnx_in(l, i);
        if (qn_onnx_rank(l, limit) > 0) /* one element is taken, however it is wrapped */
            limit = qn_build_reshape(l->b, limit, 0, NULL);
        y = qn_lower_binary(l, i == 1 ? QN_OP_max : QN_OP_min, y, limit);
    }
    qn_onnx_out(l, 0, y);
}

QN_ONNX_LOWER(where)
{
    qn_onnx_out(l, 0, qn_build_where(l->b, qn_onnx_in(l, 0), qn_onnx_in(l, 1), qn_onnx_in(l, 2)));
}

static void cast_to(struct qn_lower *l, qn_value x, qn_dtype to)
{
    static const char *const modes[] = {"up", "down", "nearest", NULL};
    qn_dtype from = qn_onnx_type_of(l, x)->dtype;
    struct qn_attr_cast attr = {.dtype = to};
    if (from == to || l->b->status) {
        qn_onnx_out(l, 0, x);
        return;
    }
    if (from == QN_DTYPE_STRING) {
        qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_from_string, &x, 1, &attr, NULL));
        return;
    }
    if (to == QN_DTYPE_STRING) {
        qn_onnx_out(l, 0, qn_lower_unary(l, QN_OP_to_string, x));
        return;
    }
    if (qn_dtype_info(to)->class_ == QN_DTYPE_CLASS_FLOAT && qn_dtype_info(to)->block_bytes == 1) {
        attr.wrap = !qn_onnx_attr_i(l, "saturate", 1);
        attr.rounding = to == QN_DTYPE_F8E8M0 ? qn_onnx_attr_choice(l, "round_mode", 0, modes) : 0;
    }
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_cast, &x, 1, &attr, NULL));
}

/* Before opset 6 the dtype was given by its name. */
QN_ONNX_LOWER(cast)
{
    static const char *const names[] = {"FLOAT", "UINT8",   "INT8",   "UINT16", "INT16",  "INT32", "INT64",
                                        "BOOL",  "FLOAT16", "DOUBLE", "UINT32", "UINT64", NULL};
    static const qn_dtype dtypes[] = {QN_DTYPE_F32, QN_DTYPE_U8,  QN_DTYPE_I8,  QN_DTYPE_U16,
                                      QN_DTYPE_I16, QN_DTYPE_I32, QN_DTYPE_I64, QN_DTYPE_BOOL,
                                      QN_DTYPE_F16, QN_DTYPE_F64, QN_DTYPE_U32, QN_DTYPE_U64};
    if (!qn_onnx_has_attr(l, "to")) {
        qn_onnx_fail(l, "attribute to is missing");
        return;
    }
    if (l->opset < 6) {
        int64_t at = qn_onnx_attr_choice(l, "to", 0, names);
        cast_to(l, qn_onnx_in(l, 0), l->b->status ? QN_DTYPE_NONE : dtypes[at]);
    } else {
        qn_dtype to = qn_onnx_attr_dtype(l, "to");
        cast_to(l, qn_onnx_in(l, 0), to);
    }
}

QN_ONNX_LOWER(cast_like)
{
    qn_dtype to = qn_onnx_in_type(l, 1).dtype;
    cast_to(l, qn_onnx_in(l, 0), to != QN_DTYPE_NONE ? to : qn_onnx_type_of(l, qn_onnx_in(l, 1))->dtype);
}

QN_ONNX_LOWER(bit_cast)
{
    struct qn_attr_cast attr = {.dtype = qn_onnx_attr_dtype(l, "to")};
    qn_value x = qn_onnx_in(l, 0);
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_bitcast, &x, 1, &attr, NULL));
}

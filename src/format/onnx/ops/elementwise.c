/* Elementwise ops of one tensor: those that are core ops, and the activations made of them. */
#include "format/onnx/ops/elementwise.h"

static const struct {
    const char *name;
    uint16_t op;
} unary_ops[] = {
    {"Abs", QN_OP_abs},
    {"Acos", QN_OP_acos},
    {"Acosh", QN_OP_acosh},
    {"Asin", QN_OP_asin},
    {"Asinh", QN_OP_asinh},
    {"Atan", QN_OP_atan},
    {"Atanh", QN_OP_atanh},
    {"BitwiseNot", QN_OP_bit_not},
    {"Ceil", QN_OP_ceil},
    {"Cos", QN_OP_cos},
    {"Cosh", QN_OP_cosh},
    {"Erf", QN_OP_erf},
    {"Exp", QN_OP_exp},
    {"Floor", QN_OP_floor},
    {"IsNaN", QN_OP_is_nan},
    {"Log", QN_OP_log},
    {"Neg", QN_OP_neg},
    {"Not", QN_OP_not},
    {"Reciprocal", QN_OP_reciprocal},
    {"Relu", QN_OP_relu},
    {"Round", QN_OP_round},
    {"Sigmoid", QN_OP_sigmoid},
    {"Sign", QN_OP_sign},
    {"Sin", QN_OP_sin},
    {"Sinh", QN_OP_sinh},
    {"Sqrt", QN_OP_sqrt},
    {"Tan", QN_OP_tan},
    {"Tanh", QN_OP_tanh},
};

QN_ONNX_LOWER(elementwise_unary)
{
    for (size_t i = 0; i < sizeof unary_ops / sizeof unary_ops[0]; i++)
        if (qn_str_is(l->node->op_type, unary_ops[i].name))
            qn_onnx_out(l, 0, qn_lower_unary(l, unary_ops[i].op, qn_onnx_in(l, 0)));
}

QN_ONNX_LOWER(is_inf)
{
    qn_value x = qn_onnx_in(l, 0);
    bool positive = qn_onnx_attr_i(l, "detect_positive", 1) != 0;
    bool negative = qn_onnx_attr_i(l, "detect_negative", 1) != 0;
    struct qn_attr_is_inf attr = {.positive = positive, .negative = negative};
    if (positive || negative)
        qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_is_inf, &x, 1, &attr, NULL));
    else /* asked for neither: nothing is */
        qn_onnx_out(l, 0, qn_lower_binary(l, QN_OP_less, x, x));
}

/* max(x, 0) + slope min(x, 0) */
static qn_value leaky(struct qn_lower *l, qn_value x, qn_value slope)
{
    qn_value below = qn_lower_with_number(l, QN_OP_min, x, 0);
    return qn_lower_binary(l, QN_OP_add, qn_lower_with_number(l, QN_OP_max, x, 0),
                           qn_lower_binary(l, QN_OP_mul, slope, below));
}

QN_ONNX_LOWER(leaky_relu)
{
    qn_value x = qn_onnx_in(l, 0), wide = qn_lower_widen(l, x);
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 0.01f);
    if (alpha > 0 && alpha <= 1)
        qn_lower_out_like(l, qn_lower_binary(l, QN_OP_max, wide, qn_lower_with_number(l, QN_OP_mul, wide, alpha)), x);
    else
        qn_lower_out_like(l, leaky(l, wide, qn_onnx_number(l, qn_onnx_type_of(l, wide)->dtype, alpha)), x);
}

/* Before opset 7 a slope for each channel stood alone, [c]. */
QN_ONNX_LOWER(prelu)
{
    qn_value x = qn_onnx_in(l, 0), slope = qn_onnx_in(l, 1);
    const struct qn_type *type = qn_onnx_type_of(l, slope);
    uint32_t rank = qn_onnx_rank(l, x);
    if (l->opset < 7 && type->rank == 1 && type->dims[0] != 1 && rank > 2) {
        qn_dim dims[QN_MAX_RANK] = {type->dims[0], 1, 1, 1, 1, 1, 1, 1};
        slope = qn_build_reshape(l->b, slope, rank - 1, dims);
    }
    qn_lower_out_like(l, leaky(l, qn_lower_widen(l, x), qn_lower_widen(l, slope)), x);
}

/* alpha expm1(min(x, 0) / scale) */
static qn_value exponential_tail(struct qn_lower *l, qn_value x, double alpha, double scale)
{
    qn_value below = qn_lower_with_number(l, QN_OP_min, x, 0);
    if (scale != 1)
        below = qn_lower_with_number(l, QN_OP_div, below, scale);
    qn_value tail = qn_lower_unary(l, QN_OP_expm1, below);
    return alpha == 1 ? tail : qn_lower_with_number(l, QN_OP_mul, tail, alpha);
}

QN_ONNX_LOWER(elu)
{
    bool celu = qn_str_is(l->node->op_type, "Celu"), selu = qn_str_is(l->node->op_type, "Selu");
    double alpha = (double)qn_onnx_attr_f(l, "alpha", selu ? (l->opset < 6 ? 1.6732f : 1.67326319217681884765625f) : 1);
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    qn_value y = qn_lower_binary(l, QN_OP_add, qn_lower_with_number(l, QN_OP_max, x, 0),
                                 exponential_tail(l, x, alpha, celu ? alpha : 1));
    if (selu)
        y = qn_lower_with_number(
            l, QN_OP_mul, y, (double)qn_onnx_attr_f(l, "gamma", l->opset < 6 ? 1.0507f : 1.05070102214813232421875f));
    qn_lower_out_like(l, y, in);
}

/* clip(alpha x + beta, 0, 1) */
static qn_value hard_sigmoid(struct qn_lower *l, qn_value x, double alpha, double beta)
{
    qn_value y = qn_lower_with_number(l, QN_OP_add, qn_lower_with_number(l, QN_OP_mul, x, alpha), beta);
    return qn_lower_with_number(l, QN_OP_min, qn_lower_with_number(l, QN_OP_max, y, 0), 1);
}

QN_ONNX_LOWER(hard_sigmoid)
{
    qn_value in = qn_onnx_in(l, 0);
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 0.2f), beta = (double)qn_onnx_attr_f(l, "beta", 0.5f);
    qn_lower_out_like(l, hard_sigmoid(l, qn_lower_widen(l, in), alpha, beta), in);
}

QN_ONNX_LOWER(hard_swish)
{
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    qn_lower_out_like(l, qn_lower_binary(l, QN_OP_mul, x, hard_sigmoid(l, x, 1.0 / 6, 0.5)), in);
}

QN_ONNX_LOWER(softplus)
{
    qn_value in = qn_onnx_in(l, 0);
    qn_lower_out_like(l, qn_lower_softplus_of(l, qn_lower_widen(l, in)), in);
}

QN_ONNX_LOWER(parametric_softplus)
{
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 1), beta = (double)qn_onnx_attr_f(l, "beta", 1);
    qn_value y = qn_lower_softplus_of(l, qn_lower_with_number(l, QN_OP_mul, x, beta));
    qn_lower_out_like(l, qn_lower_with_number(l, QN_OP_mul, y, alpha), in);
}

QN_ONNX_LOWER(mish)
{
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    qn_value gate = qn_lower_unary(l, QN_OP_tanh, qn_lower_softplus_of(l, x));
    qn_lower_out_like(l, qn_lower_binary(l, QN_OP_mul, x, gate), in);
}

QN_ONNX_LOWER(softsign)
{
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    qn_value below = qn_lower_with_number(l, QN_OP_add, qn_lower_unary(l, QN_OP_abs, x), 1);
    qn_lower_out_like(l, qn_lower_binary(l, QN_OP_div, x, below), in);
}

QN_ONNX_LOWER(thresholded_relu)
{
    qn_value x = qn_onnx_in(l, 0);
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    qn_value above = qn_lower_number_first(l, QN_OP_less, (double)qn_onnx_attr_f(l, "alpha", 1), x);
    qn_onnx_out(l, 0, qn_build_where(l->b, above, x, qn_onnx_number(l, dtype, 0)));
}

QN_ONNX_LOWER(shrink)
{
    double lambda = (double)qn_onnx_attr_f(l, "lambd", 0.5f), bias = (double)qn_onnx_attr_f(l, "bias", 0);
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    if (qn_dtype_info(qn_onnx_type_of(l, x)->dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
        x = qn_build_cast(l->b, x, QN_DTYPE_F64);
    qn_value zero = qn_onnx_number(l, qn_onnx_type_of(l, x)->dtype, 0);
    qn_value low = qn_build_where(l->b, qn_lower_with_number(l, QN_OP_less, x, -lambda),
                                  qn_lower_with_number(l, QN_OP_add, x, bias), zero);
    qn_value y = qn_build_where(l->b, qn_lower_number_first(l, QN_OP_less, lambda, x),
                                qn_lower_with_number(l, QN_OP_sub, x, bias), low);
    qn_lower_out_like(l, y, in);
}

/* x sigmoid(alpha x); com.microsoft calls it QuickGelu */
QN_ONNX_LOWER(swish)
{
    bool quick = qn_str_is(l->node->op_type, "QuickGelu");
    double alpha = (double)qn_onnx_attr_f(l, "alpha", quick ? 1.702f : 1);
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    if (alpha == 1) {
        qn_lower_out_like(l, qn_lower_unary(l, QN_OP_silu, x), in);
        return;
    }
    qn_value gate = qn_lower_unary(l, QN_OP_sigmoid, qn_lower_with_number(l, QN_OP_mul, x, alpha));
    qn_lower_out_like(l, qn_lower_binary(l, QN_OP_mul, x, gate), in);
}

QN_ONNX_LOWER(gelu)
{
    static const char *const forms[] = {"none", "tanh", NULL};
    int64_t form = qn_onnx_attr_choice(l, "approximate", 0, forms);
    qn_onnx_out(l, 0, qn_lower_unary(l, form == 1 ? QN_OP_gelu_tanh : QN_OP_gelu_erf, qn_onnx_in(l, 0)));
}

/* BiasGelu and FastGelu of com.microsoft: gelu(x + bias), the fast one in its tanh form with an optional bias */
QN_ONNX_LOWER(bias_gelu)
{
    bool fast = qn_str_is(l->node->op_type, "FastGelu");
    qn_value x = qn_onnx_in(l, 0);
    if (qn_onnx_has(l, 1))
        x = qn_lower_binary(l, QN_OP_add, x, qn_onnx_in(l, 1));
    qn_onnx_out(l, 0, qn_lower_unary(l, fast ? QN_OP_gelu_tanh : QN_OP_gelu_erf, x));
}

/* Affine: alpha x + beta; ScaledTanh: alpha tanh(beta x) */
QN_ONNX_LOWER(affine)
{
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 1), beta = (double)qn_onnx_attr_f(l, "beta", 0);
    qn_value x = qn_lower_with_number(l, QN_OP_mul, qn_onnx_in(l, 0), alpha);
    qn_onnx_out(l, 0, qn_lower_with_number(l, QN_OP_add, x, beta));
}

QN_ONNX_LOWER(scale)
{
    qn_onnx_out(l, 0, qn_lower_with_number(l, QN_OP_mul, qn_onnx_in(l, 0), (double)qn_onnx_attr_f(l, "scale", 1)));
}

QN_ONNX_LOWER(scaled_tanh)
{
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 1), beta = (double)qn_onnx_attr_f(l, "beta", 1);
    qn_value x = qn_lower_unary(l, QN_OP_tanh, qn_lower_with_number(l, QN_OP_mul, qn_onnx_in(l, 0), beta));
    qn_onnx_out(l, 0, qn_lower_with_number(l, QN_OP_mul, x, alpha));
}

/* x scale + bias[c] */
QN_ONNX_LOWER(image_scaler)
{
    uint64_t count;
    const float *bias = qn_onnx_attr_f32s(l, "bias", &count);
    qn_value x = qn_onnx_in(l, 0);
    qn_value y = qn_lower_with_number(l, QN_OP_mul, x, (double)qn_onnx_attr_f(l, "scale", 1));
    if (count) {
        int64_t dims[3] = {(int64_t)count, 1, 1};
        qn_value channels = qn_onnx_data(l, QN_DTYPE_F32, 3, dims, bias);
        y = qn_lower_binary(l, QN_OP_add, y, qn_build_cast(l->b, channels, qn_onnx_type_of(l, x)->dtype));
    }
    qn_onnx_out(l, 0, y);
}

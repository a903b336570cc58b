/* Activations of fused ops as core ops: their meaning. */
#include "ir/build.h"

static qn_value scalar(struct qn_build *b, qn_value x, double value)
{
    return b->status ? 0 : qn_build_scalar_as(b, qn_graph_type(b->graph, x)->dtype, value);
}

static qn_value with(struct qn_build *b, uint16_t op, qn_value x, double value)
{
    return qn_build_binary(b, op, x, scalar(b, x, value));
}

/* x where x > limit, otherwise y */
static qn_value above(struct qn_build *b, qn_value x, double limit, qn_value y)
{
    qn_value is_above = qn_build_binary(b, QN_OP_less, scalar(b, x, limit), x);
    return qn_build_where(b, is_above, x, y);
}

static qn_value hard_sigmoid(struct qn_build *b, qn_value x, double alpha, double beta)
{
    qn_value y = with(b, QN_OP_add, with(b, QN_OP_mul, x, alpha), beta);
    return with(b, QN_OP_min, with(b, QN_OP_max, y, 0), 1);
}

/* max(x, 0) + log1p(exp(-|x|)) */
static qn_value softplus(struct qn_build *b, qn_value x)
{
    qn_value decay = qn_build_unary(b, QN_OP_exp, qn_build_unary(b, QN_OP_neg, qn_build_unary(b, QN_OP_abs, x)));
    return qn_build_binary(b, QN_OP_add, qn_build_unary(b, QN_OP_relu, x), qn_build_unary(b, QN_OP_log1p, decay));
}

qn_value qn_build_activation(struct qn_build *b, qn_value x, int64_t activation, float alpha, float beta)
{
    double a = (double)alpha, c = (double)beta;
    if (b->status)
        return 0;
    switch ((enum qn_activation)activation) {
    case QN_ACTIVATION_NONE:
        return x;
    case QN_ACTIVATION_RELU:
        return qn_build_unary(b, QN_OP_relu, x);
    case QN_ACTIVATION_CLIP:
        return with(b, QN_OP_min, with(b, QN_OP_max, x, a), c);
    case QN_ACTIVATION_LEAKY_RELU:
        return above(b, x, 0, with(b, QN_OP_mul, x, a));
    case QN_ACTIVATION_SIGMOID:
        return qn_build_unary(b, QN_OP_sigmoid, x);
    case QN_ACTIVATION_TANH:
        return qn_build_unary(b, QN_OP_tanh, x);
    case QN_ACTIVATION_SILU:
        return qn_build_unary(b, QN_OP_silu, x);
    case QN_ACTIVATION_GELU_TANH:
        return qn_build_unary(b, QN_OP_gelu_tanh, x);
    case QN_ACTIVATION_GELU_ERF:
        return qn_build_unary(b, QN_OP_gelu_erf, x);
    case QN_ACTIVATION_HARD_SIGMOID:
        return hard_sigmoid(b, x, a, c);
    case QN_ACTIVATION_HARD_SWISH:
        return qn_build_binary(b, QN_OP_mul, x, hard_sigmoid(b, x, 1.0 / 6, 0.5));
    case QN_ACTIVATION_ELU:
        return above(b, x, 0, with(b, QN_OP_mul, qn_build_unary(b, QN_OP_expm1, x), a));
    case QN_ACTIVATION_SOFTPLUS:
        return softplus(b, x);
    case QN_ACTIVATION_SOFTSIGN:
        return qn_build_binary(b, QN_OP_div, x, with(b, QN_OP_add, qn_build_unary(b, QN_OP_abs, x), 1));
    case QN_ACTIVATION_AFFINE:
        return with(b, QN_OP_add, with(b, QN_OP_mul, x, a), c);
    case QN_ACTIVATION_SCALED_TANH:
        return with(b, QN_OP_mul, qn_build_unary(b, QN_OP_tanh, with(b, QN_OP_mul, x, c)), a);
    case QN_ACTIVATION_THRESHOLDED_RELU:
        return above(b, x, a, scalar(b, x, 0));
    }
    b->status = QN_ERROR(QN_INVALID_ARGUMENT, "unknown activation %lld", (long long)activation);
    return 0;
}

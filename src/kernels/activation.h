/* enum qn_activation on one number, for the generic kernels: y = f(x; alpha, beta). The kinds are numbers here, because
 * kernels do not see the IR; activation_test.c holds the two lists together. */
#ifndef QN_KERNELS_ACTIVATION_H
#define QN_KERNELS_ACTIVATION_H

#include "kernels/math.h"

enum qn_act_kind {
    QN_ACT_NONE = 0,
    QN_ACT_RELU,
    QN_ACT_CLIP, /* to alpha .. beta */
    QN_ACT_LEAKY_RELU,
    QN_ACT_SIGMOID,
    QN_ACT_TANH,
    QN_ACT_SILU,
    QN_ACT_GELU_TANH,
    QN_ACT_GELU_ERF,
    QN_ACT_HARD_SIGMOID, /* clip(alpha x + beta, 0, 1) */
    QN_ACT_HARD_SWISH,   /* x hard_sigmoid(x) with 1/6 and 1/2 */
    QN_ACT_ELU,
    QN_ACT_SOFTPLUS,
    QN_ACT_SOFTSIGN,
    QN_ACT_AFFINE,      /* alpha x + beta */
    QN_ACT_SCALED_TANH, /* alpha tanh(beta x) */
    QN_ACT_THRESHOLDED_RELU,
};

/* NaN stays NaN. */
static inline double qn_activate(int32_t kind, double alpha, double beta, double x)
{
    switch (kind) {
    case QN_ACT_RELU:
        return x < 0 ? 0 : x;
    case QN_ACT_CLIP:
        return x < alpha ? alpha : x > beta ? beta : x;
    case QN_ACT_LEAKY_RELU:
        return x < 0 ? alpha * x : x;
    case QN_ACT_SIGMOID:
        return qn_sigmoid(x);
    case QN_ACT_TANH:
        return qn_tanh(x);
    case QN_ACT_SILU:
        return x * qn_sigmoid(x);
    case QN_ACT_GELU_TANH:
        return qn_gelu_tanh(x);
    case QN_ACT_GELU_ERF:
        return qn_gelu_erf(x);
    case QN_ACT_HARD_SIGMOID: {
        double y = alpha * x + beta;
        return y < 0 ? 0 : y > 1 ? 1 : y;
    }
    case QN_ACT_HARD_SWISH: {
        double y = x * (1.0 / 6) + 0.5;
        return x * (y < 0 ? 0 : y > 1 ? 1 : y);
    }
    case QN_ACT_ELU:
        return x < 0 ? alpha * (qn_exp(x) - 1) : x;
    case QN_ACT_SOFTPLUS:
        return x > 0 ? x + qn_log(1 + qn_exp(-x)) : qn_log(1 + qn_exp(x));
    case QN_ACT_SOFTSIGN:
        return x / (1 + qn_abs(x));
    case QN_ACT_AFFINE:
        return alpha * x + beta;
    case QN_ACT_SCALED_TANH:
        return alpha * qn_tanh(beta * x);
    case QN_ACT_THRESHOLDED_RELU:
        return x > alpha ? x : x <= alpha ? 0 : x;
    default:
        return x;
    }
}

#endif

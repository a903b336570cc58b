/* enum qn_activation on one number, for the generic kernels: y = f(x; alpha, beta). */
#ifndef QN_KERNELS_ACTIVATION_H
#define QN_KERNELS_ACTIVATION_H

#include "base/activation_kind.h"
#include "kernels/math.h"

/* NaN stays NaN. */
static inline double qn_activate(int32_t kind, double alpha, double beta, double x)
{
    switch (kind) {
    case QN_ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    case QN_ACTIVATION_CLIP:
        return x < alpha ? alpha : x > beta ? beta : x;
    case QN_ACTIVATION_LEAKY_RELU:
        return x < 0 ? alpha * x : x;
    case QN_ACTIVATION_SIGMOID:
        return qn_sigmoid(x);
    case QN_ACTIVATION_TANH:
        return qn_tanh(x);
    case QN_ACTIVATION_SILU:
        return x * qn_sigmoid(x);
    case QN_ACTIVATION_GELU_TANH:
        return qn_gelu_tanh(x);
    case QN_ACTIVATION_GELU_ERF:
        return qn_gelu_erf(x);
    case QN_ACTIVATION_HARD_SIGMOID: {
        double y = alpha * x + beta;
        return y < 0 ? 0 : y > 1 ? 1 : y;
    }
    case QN_ACTIVATION_HARD_SWISH: {
        double y = x * (1.0 / 6) + 0.5;
        return x * (y < 0 ? 0 : y > 1 ? 1 : y);
    }
    case QN_ACTIVATION_ELU:
        return x < 0 ? alpha * (qn_exp(x) - 1) : x;
    case QN_ACTIVATION_SOFTPLUS:
        return x > 0 ? x + qn_log(1 + qn_exp(-x)) : qn_log(1 + qn_exp(x));
    case QN_ACTIVATION_SOFTSIGN:
        return x / (1 + qn_abs(x));
    case QN_ACTIVATION_AFFINE:
        return alpha * x + beta;
    case QN_ACTIVATION_SCALED_TANH:
        return alpha * qn_tanh(beta * x);
    case QN_ACTIVATION_THRESHOLDED_RELU:
        return x > alpha ? x : x <= alpha ? 0 : x;
    default:
        return x;
    }
}

#endif

/* The activation at the end of conv, linear and their integer twins, and inside recurrent ops, in records and in
 * kernels: y = f(x; alpha, beta) with the record's alpha and beta. */
#ifndef QN_BASE_ACTIVATION_KIND_H
#define QN_BASE_ACTIVATION_KIND_H

enum qn_activation {
    QN_ACTIVATION_NONE = 0,
    QN_ACTIVATION_RELU,
    QN_ACTIVATION_CLIP, /* to alpha .. beta */
    QN_ACTIVATION_LEAKY_RELU,
    QN_ACTIVATION_SIGMOID,
    QN_ACTIVATION_TANH,
    QN_ACTIVATION_SILU,
    QN_ACTIVATION_GELU_TANH,
    QN_ACTIVATION_GELU_ERF,
    QN_ACTIVATION_HARD_SIGMOID, /* clip(alpha x + beta, 0, 1) */
    QN_ACTIVATION_HARD_SWISH,   /* x hard_sigmoid(x) with 1/6 and 1/2 */
    QN_ACTIVATION_ELU,
    QN_ACTIVATION_SOFTPLUS,
    QN_ACTIVATION_SOFTSIGN,
    QN_ACTIVATION_AFFINE,      /* alpha x + beta */
    QN_ACTIVATION_SCALED_TANH, /* alpha tanh(beta x) */
    QN_ACTIVATION_THRESHOLDED_RELU,
};

#endif

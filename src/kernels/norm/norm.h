/* Family NORM, over the last axis of x [..., d]:
 *   rms_norm    y = x / sqrt(mean(x^2) + epsilon) * weight
 *   layer_norm  y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * weight + bias
 * x and y have the same dims and one float dtype; they may be the same memory. weight and bias are [d] of any float
 * dtype; data NULL: none. Sums run in a fixed order that depends on d alone.
 *
 * A tile is one row. */
#ifndef QN_KERNELS_NORM_H
#define QN_KERNELS_NORM_H

#include "kernels/kernel.h"

struct qn_norm_params {
    uint16_t op; /* QN_OP_rms_norm, QN_OP_layer_norm */
    struct qn_view x, y, weight, bias;
    float epsilon;
};

/* The generic kernel; the others hand it what they do not do themselves. */
extern const struct qn_kernel qn_norm_ref;

#endif

/* Family SOFTMAX: y = exp(x - max) / sum along one axis. x and y have the same dims and one float dtype, any strides;
 * they may be the same memory. Where all of a row is -inf the result is NaN.
 *
 * A tile is one row along `axis` or a run of them, in row-major order of the other axes. */
#ifndef QN_KERNELS_SOFTMAX_H
#define QN_KERNELS_SOFTMAX_H

#include "kernels/kernel.h"

struct qn_softmax_params {
    struct qn_view x, y;
    uint32_t axis;
};

/* The generic kernel; the others hand it what they do not do themselves. */
extern const struct qn_kernel qn_softmax_ref;

#endif

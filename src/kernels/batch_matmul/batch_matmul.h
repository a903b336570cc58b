/* Family BATCH_MATMUL: y[..., m, n] = sum over k of a[..., m, k] b[..., k, n]; any plain operands, any strides. A
 * transposed operand is a view with its last two strides (and dims) swapped, a broadcast one has stride 0 on that
 * axis: all three views have one rank >= 2 and the same leading dims. a and b are of any float dtype each and y is
 * f32 (sums in f32), or all are f64 (sums in f64), or all are one integer dtype (wrapping). Sums run in one fixed order
 * along k.
 *
 * A tile is a block of rows and columns of one matrix of y: see the kernel. */
#ifndef QN_KERNELS_BATCH_MATMUL_H
#define QN_KERNELS_BATCH_MATMUL_H

#include "kernels/kernel.h"

struct qn_batch_matmul_params {
    struct qn_view a, b, y;
};

/* The generic kernel; the others hand it what they do not do themselves. */
extern const struct qn_kernel qn_batch_matmul_ref;

#endif

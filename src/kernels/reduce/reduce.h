/* Family REDUCE: sum, mean, product, maximum or minimum over some axes. x and y have the same rank and dtype; y's dims
 * are x's, with 1 on every axis of the mask (drop them in the backend's view of the result). An empty sum is 0, an
 * empty product 1, an empty mean NaN, an empty maximum the lowest value, an empty minimum the highest. Floats add in
 * an order that is fixed for each kernel, in f64 or in short runs of f32 that are added in f64; integers wrap, an
 * integer mean is rounded towards zero.
 *
 * A tile is one element of y in row-major order, or a run of such.
 */
#ifndef QN_KERNELS_REDUCE_H
#define QN_KERNELS_REDUCE_H

#include "kernels/kernel.h"

struct qn_reduce_params {
    uint16_t op;   /* QN_OP_reduce_sum, _mean, _prod, _max, _min */
    uint32_t axes; /* bit i: axis i of x is reduced */
    struct qn_view x, y;
};

#endif

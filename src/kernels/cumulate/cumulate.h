/* Family SCAN: running sums and products along an axis. x and y have one dtype (any number) and the same dims, any
 * strides. Floats accumulate in f64 and are rounded as they are written; integers wrap. Exclusive: element i is left
 * out of its own result, the first is 0 or 1. Reverse: from the end.
 *
 * A tile is a run of lines along the axis, in row-major order of the other axes.
 */
#ifndef QN_KERNELS_CUMULATE_H
#define QN_KERNELS_CUMULATE_H

#include "kernels/kernel.h"

struct qn_cumulate_params {
    uint16_t op; /* cumsum, cumprod */
    bool exclusive, reverse;
    uint32_t axis;
    struct qn_view x, y;
};

#endif

/* Family ARG: the position of the largest or smallest element along an axis. x is any dtype with numbers, any strides;
 * the axis is not empty. Among equal elements the first counts, or with `last` the last; a NaN counts before all
 * others.
 *
 * A tile is a run of lines along the axis, in row-major order of the other axes.
 */
#ifndef QN_KERNELS_ARG_H
#define QN_KERNELS_ARG_H

#include "kernels/kernel.h"

struct qn_arg_params {
    uint16_t op; /* argmax, argmin */
    bool last;
    uint32_t axis;       /* of x */
    struct qn_view x, y; /* y: i64, x's rank, 1 on the axis */
};

#endif

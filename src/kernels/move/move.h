/* Family MOVE: elements put in other places: pad, gather_elements, gather_nd, scatter_elements, scatter_nd as ops.def
 * says. All operands but the indices have one plain dtype (strings and complex numbers too), any strides.
 *
 * An index outside its axis (below minus its size, negative ones count from the end) reports QN_FAULT_INDEX; gathers
 * give 0 for it, scatters leave it out. Scatters take the updates in row-major order, so that duplicates have one
 * result; they run on a y that holds data already (a call of COPY before).
 *
 * A tile: pad, a run of rows of y along its last axis; gather_elements, a run of rows of indices along the last axis;
 * gather_nd, a run of coordinates; scatter_elements, a run of lines of indices along `axis`; scatter_nd, a run of
 * elements in what an update replaces.
 */
#ifndef QN_KERNELS_MOVE_H
#define QN_KERNELS_MOVE_H

#include "kernels/fault.h"
#include "kernels/kernel.h"

enum qn_move_pad { QN_PAD_CONSTANT = 0, QN_PAD_REFLECT, QN_PAD_EDGE, QN_PAD_WRAP };
enum qn_move_reduction { QN_SCATTER_SET = 0, QN_SCATTER_ADD, QN_SCATTER_MUL, QN_SCATTER_MAX, QN_SCATTER_MIN };

struct qn_move_params {
    uint16_t op;            /* enum qn_op */
    int32_t mode;           /* enum qn_move_pad, enum qn_move_reduction */
    uint32_t axis;          /* gather_elements, scatter_elements */
    uint32_t batch;         /* gather_nd: leading axes that data and indices share */
    struct qn_view x;       /* data; unused by scatters */
    struct qn_view indices; /* i32 or i64 */
    struct qn_view updates; /* scatters; pad: the value in rank 0, data NULL for zero */
    struct qn_view y;
    int64_t begin[8]; /* pad: elements before each axis */
    int32_t *fault;   /* enum qn_fault, or NULL */
};

#endif

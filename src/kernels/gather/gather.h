/* Family GATHER: y = data.shape[:axis] + indices.shape + data.shape[axis+1:], y[.., i.., ..] = data[.., indices[i..],
 * ..].
 *
 * data is any plain dtype, then y has the same dtype or is a float dtype that data is widened to; or data is a block
 * type, contiguous along its last axis (axis is not the last; dims count elements, strides count blocks), then y is a
 * float dtype and the rows are dequantised. With `from_end` negative indices count from the
 * end. An index outside the axis reports QN_FAULT_INDEX and its part of y becomes 0.
 *
 * A tile is one (outer, index) pair, outer being the axes before `axis`, in row-major order; where what lies behind
 * `axis` is short, a run of such pairs.
 */
#ifndef QN_KERNELS_GATHER_H
#define QN_KERNELS_GATHER_H

#include "kernels/fault.h"
#include "kernels/kernel.h"
#include "quant/quant.h"

struct qn_gather_params {
    struct qn_view data, indices, y; /* indices: i32 or i64, any rank */
    uint32_t axis;                   /* of data */
    qn_dequantise_fn dequantise;     /* of data's dtype, where that is a block type */
    int32_t *fault;                  /* enum qn_fault, or NULL */
    bool from_end;
};

#endif

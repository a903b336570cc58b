/* Family SCATTER_ROWS: state[indices[i]] = rows[i], converted to the state's dtype: f32, f16, bf16, f64, any other
 * plain dtype equal to that of rows, or a block type (its rows contiguous along the last axis, strides in blocks).
 * An index outside the state reports QN_FAULT_INDEX and its row is dropped. Where an index occurs twice the outcome is
 * one of the two rows.
 *
 * A tile is one row i.
 */
#ifndef QN_KERNELS_SCATTER_ROWS_H
#define QN_KERNELS_SCATTER_ROWS_H

#include "kernels/fault.h"
#include "kernels/kernel.h"
#include "quant/quant.h"

struct qn_scatter_rows_params {
    struct qn_view state;    /* [r, ...] */
    struct qn_view indices;  /* [n], i32 or i64 */
    struct qn_view rows;     /* [n, ...], f32 or another plain dtype */
    qn_quantise_fn quantise; /* of the state's dtype, where that is a block type */
    int32_t *fault;          /* enum qn_fault, or NULL */
};

#endif

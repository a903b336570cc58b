/* Family TOPK: the k largest (or smallest) elements along the last axis, best first, and their indices; among equal
 * ones the lower index comes first. NaN counts as larger than every number.
 *
 * A tile is one row. */
#ifndef QN_KERNELS_TOPK_H
#define QN_KERNELS_TOPK_H

#include "kernels/kernel.h"

struct qn_topk_params {
    struct qn_view x;       /* [..., n], any plain dtype, any strides */
    struct qn_view values;  /* [..., k], x's dtype */
    struct qn_view indices; /* [..., k], i32 or i64 */
    int64_t k;              /* 0 <= k <= n */
    bool smallest;
};

#endif

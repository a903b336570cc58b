/* Family POOL: windows over images in either layout reduced to one element. Dtypes: any plain one for the maxima,
 * floats for means and norms.
 *
 * Padding never counts: a maximum skips it, a mean divides by the elements inside the image (with count_padding: inside
 * the padded image), a norm adds nothing. A window without an element gives the lowest value, or 0.
 * max_pool_indices: the first of the largest, as its position in x seen as flat [n, c, spatial...]; with column_major
 * the first spatial axis is the fastest.
 *
 * A tile of the reference is one output pixel with all its channels; those of the fast kernels are theirs.
 */
#ifndef QN_KERNELS_POOL_H
#define QN_KERNELS_POOL_H

#include "kernels/conv/window.h"

struct qn_pool_params {
    uint16_t op; /* QN_OP_max_pool, max_pool_indices, avg_pool, lp_pool */
    struct qn_window window;
    int64_t batch, c;
    struct qn_pixels x, y;
    struct qn_pixels indices; /* i64; data NULL: none */
    bool count_padding, column_major;
    int64_t p; /* lp_pool: the norm's exponent, >= 1 */
};

extern const struct qn_kernel qn_pool_ref;

#endif

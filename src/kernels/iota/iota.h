/* Family IOTA: y[i] = i along its one axis, or the i-th of a few given numbers; any plain dtype but bool.
 *
 * A tile is QN_ELEMENT_TILE elements. */
#ifndef QN_KERNELS_IOTA_H
#define QN_KERNELS_IOTA_H

#include "kernels/kernel.h"

struct qn_iota_params {
    struct qn_view y; /* rank 1 */
    bool listed;      /* y[i] = numbers[i]; at most 8 */
    int64_t numbers[8];
};

#endif

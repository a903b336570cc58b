/* Family WHERE: y = condition ? a : b, element by element. condition is bool; a, b and y have one dtype (any plain
 * one); all four have the dims of y, broadcast by stride 0.
 *
 * A tile is QN_ELEMENT_TILE elements of y in row-major order.
 */
#ifndef QN_KERNELS_WHERE_H
#define QN_KERNELS_WHERE_H

#include "kernels/kernel.h"

struct qn_where_params {
    struct qn_view condition, a, b, y;
};

#endif

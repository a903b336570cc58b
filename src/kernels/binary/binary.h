/* Family BINARY: y = op(a, b), element by element, for the two-input elementwise ops of ops.def: add to shift_right,
 * the comparisons (y is bool), and, or, xor, glu (activation(a) * b). a, b and y have the same dims, a broadcast
 * operand has stride 0 there; a and b have one dtype, and so has y unless it is bool. y may be the memory of a or b
 * when their strides are the same. Integers wrap; an integer division by zero gives 0, and so does a shift by the
 * width or more. equal takes strings too.
 *
 * A tile is QN_ELEMENT_TILE elements of y in row-major order.
 */
#ifndef QN_KERNELS_BINARY_H
#define QN_KERNELS_BINARY_H

#include "kernels/kernel.h"

struct qn_binary_params {
    uint16_t op;  /* enum qn_op */
    int32_t kind; /* op glu: enum qn_glu_kind */
    struct qn_view a, b, y;
};

/* The generic kernel; the others hand it what they do not do themselves. */
extern const struct qn_kernel qn_binary_ref;

#endif

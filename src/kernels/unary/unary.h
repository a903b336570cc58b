/* Family UNARY: y = op(x), element by element, for the one-input elementwise ops of ops.def (neg to is_inf, not, silu,
 * gelu_tanh, gelu_erf). x and y have one dtype (y of is_nan and is_inf is bool) and the same dims, any strides; they
 * may be the same memory with the same strides. Floats compute in f32, f64 in f64; neg, abs, relu and sign also take
 * integers, bit_not takes nothing else, not takes bool.
 *
 * A tile is QN_ELEMENT_TILE elements of y in row-major order. An element's bits do not depend on where it lies.
 */
#ifndef QN_KERNELS_UNARY_H
#define QN_KERNELS_UNARY_H

#include "kernels/kernel.h"

struct qn_unary_params {
    uint16_t op;   /* enum qn_op */
    uint8_t signs; /* is_inf: 1 positive, 2 negative, 0 both */
    struct qn_view x, y;
};

/* The generic kernel; the others hand it what they do not do themselves. */
extern const struct qn_kernel qn_unary_ref;

#endif

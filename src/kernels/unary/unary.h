/* Family UNARY: y = op(x), element by element, for the one-input elementwise ops of ops.def (neg to relu, not, silu,
 * gelu_tanh, gelu_erf). x and y have one dtype and the same dims, any strides; they may be the same memory with the
 * same strides. Floats compute in f32, f64 in f64; neg, abs and relu also take integers, not takes bool.
 *
 * A tile is QN_ELEMENT_TILE elements of y in row-major order. An element's bits do not depend on where it lies.
 */
#ifndef QN_KERNELS_UNARY_H
#define QN_KERNELS_UNARY_H

#include "kernels/kernel.h"

struct qn_unary_params {
    uint16_t op; /* enum qn_op */
    struct qn_view x, y;
};

/* The generic kernel; the others hand it what they do not do themselves. */
extern const struct qn_kernel qn_unary_ref;

#endif

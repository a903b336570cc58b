/* Family SIGNAL: Fourier transforms and determinants. Operands are contiguous f32 or f64; both ops compute in double.
 *
 * fft: the transform of `length` numbers along an axis, of which x has x_size (zeros follow; what is too much is left
 * out). x has components 1 (real) or 2 (real, imaginary) in its last axis, `inner` numbers between neighbours along the
 * axis. A tile is some lines. Lengths of small factors run by mixed radix, others by Bluestein's over a power of two.
 *
 * det: a tile is one matrix [n, n], by LU with row exchange. */
#ifndef QN_KERNELS_SIGNAL_SIGNAL_H
#define QN_KERNELS_SIGNAL_SIGNAL_H

#include "kernels/kernel.h"

struct qn_signal_params {
    int32_t det; /* 0: fft */
    qn_dtype dtype;
    const void *x;
    void *y;
    int64_t outer, inner; /* lines: outer * inner; det: outer matrices */
    int64_t n;            /* det: of the matrix */
    int64_t length;       /* of the transform */
    int64_t x_size, y_size;
    int32_t x_components, y_components;
    bool inverse;
    bool half_given; /* x holds the first length / 2 + 1 numbers of a conjugate-symmetric line */
};

#endif

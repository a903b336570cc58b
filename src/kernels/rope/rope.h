/* Family ROPE: rotates the first r elements of each head of x [n, h, d] by the angles of its row: with pairs (a, b) =
 * (i, i + r/2), or (2i, 2i + 1) when interleaved, y[a] = x[a] cos[i] - x[b] sin[i], y[b] = x[b] cos[i] + x[a] sin[i];
 * the rest is copied. cos and sin are [n, r/2] of any float dtype. x and y have one float dtype; y may be x.
 *
 * A tile is one (row, head) pair. */
#ifndef QN_KERNELS_ROPE_H
#define QN_KERNELS_ROPE_H

#include <stdbool.h>

#include "kernels/kernel.h"

struct qn_rope_params {
    struct qn_view x, y;     /* [n, h, d] */
    struct qn_view cos, sin; /* [n, r/2], r <= d */
    bool interleaved;
};

/* The generic kernel; the others hand it what they do not do themselves. */
extern const struct qn_kernel qn_rope_ref;

#endif

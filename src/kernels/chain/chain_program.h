/* Family CHAIN: a program of elementwise ops (struct qn_chain of ir/ir.h) over inputs that are broadcast by stride 0 to
 * the dims of y, evaluated piece by piece, so that what lies between the ops stays in the cache. Each instruction gives
 * the bits that the op alone would give: it runs the same code, on values rounded to its dtype.
 *
 * Which ops and dtypes can stand in a program says ir/chain.h. y may be the memory of an input whose strides are y's.
 *
 * A tile is QN_ELEMENT_TILE elements of y in row-major order.
 */
#ifndef QN_KERNELS_CHAIN_H
#define QN_KERNELS_CHAIN_H

#include "ir/ir.h"
#include "kernels/kernel.h"

enum { QN_CHAIN_INPUTS = 8 };

struct qn_chain_params {
    uint32_t length, input_count;
    struct qn_chain code;
    struct qn_view in[QN_CHAIN_INPUTS], y;
};

/* An operand of an instruction: n elements, or one for all. */
struct qn_chain_value {
    void *at;
    qn_dtype dtype;
    bool one;
};

#endif

/* Weights in blocks of few bits, as MatMulNBits and QMoE have them. */
#ifndef QN_FORMAT_ONNX_OPS_FEW_BITS_H
#define QN_FORMAT_ONNX_OPS_FEW_BITS_H

#include "format/onnx/lower.h"

/* scale * (code - zero) along rows of k codes; each block of codes has a scale and a zero point. Codes lie low bits
 * first, every block in bytes of its own. */
struct qn_few_bits {
    uint32_t codes, scales, zeros, order; /* numbers of the node's inputs; 0: none. order: the block of each column */
    int64_t experts;                      /* weight [experts, n, k]; 0: [n, k] */
    int64_t n, k, bits, block;            /* 2, 4 or 8 bits; a block that is no whole number of bytes is an error */
    int64_t zero_row;                     /* packed zero points start on a byte after so many */
};

/* The weight: of a block type that the products read as it is, or f32 where none fits. 0 after an error or when the
 * rest of the graph is put off. Fails unless the inputs have the elements that the numbers ask for. */
qn_value qn_onnx_few_bits(struct qn_lower *l, const struct qn_few_bits *w);

#endif

/* IQ2_XS: 256 elements in 16 groups of 16, each with a 4-bit scale. x = (d * (0.5 + scale)) / 4 * level * sign. */
#ifndef QN_QUANT_IQ2_XS_H
#define QN_QUANT_IQ2_XS_H

#include <stdint.h>

struct qn_iq2_xs {
    uint16_t d;        /* IEEE half */
    uint16_t qs[32];   /* elements 8 * i to 8 * i + 7: 9 bits of codebook index, then seven sign bits */
    uint8_t scales[8]; /* low nibble: group 2i, high nibble: group 2i + 1 */
};
_Static_assert(sizeof(struct qn_iq2_xs) == 74, "as in the file");

#endif

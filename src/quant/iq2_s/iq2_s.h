/* IQ2_S: 256 elements in 16 groups of 16, each with a 4-bit scale; a sign bit for every element.
 * x = (d * (0.5 + scale)) / 4 * level * sign. */
#ifndef QN_QUANT_IQ2_S_H
#define QN_QUANT_IQ2_S_H

#include <stdint.h>

struct qn_iq2_s {
    uint16_t d;        /* IEEE half */
    uint8_t qs[32];    /* low 8 bits of the codebook index of elements 8 * i to 8 * i + 7 */
    uint8_t signs[32]; /* bit k of byte i: element 8 * i + k is negative */
    uint8_t qh[8];     /* bits 2 * (i % 4) and one up of byte i / 4: the top bits of index i */
    uint8_t scales[8]; /* low nibble: group 2i, high nibble: group 2i + 1 */
};
_Static_assert(sizeof(struct qn_iq2_s) == 82, "as in the file");

#endif

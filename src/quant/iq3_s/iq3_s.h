/* IQ3_S: 256 elements in 8 groups of 32, each with a 4-bit scale; a sign bit for every element.
 * x = (d * (1 + 2 * scale)) * level * sign. */
#ifndef QN_QUANT_IQ3_S_H
#define QN_QUANT_IQ3_S_H

#include <stdint.h>

struct qn_iq3_s {
    uint16_t d;        /* IEEE half */
    uint8_t qs[64];    /* low 8 bits of the codebook index of elements 4 * i to 4 * i + 3 */
    uint8_t qh[8];     /* bit i % 8 of byte i / 8: the top bit of index i */
    uint8_t signs[32]; /* bit k of byte i: element 8 * i + k is negative */
    uint8_t scales[4]; /* low nibble: group 2i, high nibble: group 2i + 1 */
};
_Static_assert(sizeof(struct qn_iq3_s) == 110, "as in the file");

#endif

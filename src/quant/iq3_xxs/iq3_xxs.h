/* IQ3_XXS: 256 elements in 8 groups of 32: eight codebook indexes of 8 bits a group, and a word with four times seven
 * sign bits and a 4-bit scale. x = (d * (0.5 + scale)) / 2 * level * sign. */
#ifndef QN_QUANT_IQ3_XXS_H
#define QN_QUANT_IQ3_XXS_H

#include <stdint.h>

struct qn_iq3_xxs {
    uint16_t d;           /* IEEE half */
    uint8_t qs[64];       /* elements 4 * i to 4 * i + 3 */
    uint16_t signs[8][2]; /* of a group, low and high half: bits 7i to 7i + 6 the signs of its i-th eight elements, bits
                            * 28 to 31 the scale */
};
_Static_assert(sizeof(struct qn_iq3_xxs) == 98, "as in the file");

#endif

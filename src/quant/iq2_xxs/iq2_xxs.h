/* IQ2_XXS: 256 elements in 8 groups of 32, a group in two words: four codebook indexes of 8 bits, then four times seven
 * sign bits and a 4-bit scale. x = (d * (0.5 + scale)) / 4 * level * sign. */
#ifndef QN_QUANT_IQ2_XXS_H
#define QN_QUANT_IQ2_XXS_H

#include <stdint.h>

struct qn_iq2_xxs {
    uint16_t d; /* IEEE half */
    struct {
        uint8_t index[4];  /* elements 8 * i to 8 * i + 7 of the group */
        uint16_t signs[2]; /* low and high half: bits 7i to 7i + 6 the signs of index[i], bits 28 to 31 the scale */
    } groups[8];
};
_Static_assert(sizeof(struct qn_iq2_xxs) == 66, "as in the file");

#endif

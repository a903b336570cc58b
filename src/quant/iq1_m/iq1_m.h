/* IQ1_M: 256 elements in 16 groups of 16, each with a 3-bit scale; every eight elements have a shift of 1/8 up or down.
 * x = (d * (2 * scale + 1)) * (level + shift), levels -1, 0, 1. */
#ifndef QN_QUANT_IQ1_M_H
#define QN_QUANT_IQ1_M_H

#include <stdint.h>

struct qn_iq1_m {
    uint8_t qs[32];    /* low 8 bits of the codebook index of elements 8 * i to 8 * i + 7 */
    uint8_t qh[16];    /* nibble i % 2 of byte i / 2: the top 3 bits of index i, and 8: the shift is down */
    uint8_t scales[8]; /* four little-endian words of 16 bits: word w has the scales of groups 4w to 4w + 3 in bits 0 to
                        * 11, and in its top nibble bits 4w to 4w + 3 of the half d */
};
_Static_assert(sizeof(struct qn_iq1_m) == 56, "as in the file");

#endif

/* IQ1_S: 256 elements in 8 groups of 32, each with a 3-bit scale and a shift of 1/8 up or down.
 * x = (d * (2 * scale + 1)) * (level + shift), levels -1, 0, 1. */
#ifndef QN_QUANT_IQ1_S_H
#define QN_QUANT_IQ1_S_H

#include <stdint.h>

struct qn_iq1_s {
    uint16_t d;     /* IEEE half */
    uint8_t qs[32]; /* low 8 bits of the codebook index of elements 8 * i to 8 * i + 7 */
    uint16_t qh[8]; /* of a group: four times the top 3 bits of an index, 3 bits of scale, 1: the shift is down */
};
_Static_assert(sizeof(struct qn_iq1_s) == 50, "as in the file");

#endif

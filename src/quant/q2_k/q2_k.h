/* Q2_K: 256 elements in 16 groups of 16, each group with a 4-bit scale and minimum. x = (d * sc) * q - (dmin * m).
 *
 * 2-bit levels: element i = 128 * h + 32 * p + l (h < 2, p < 4, l < 32) lies in qs[32 * h + l], bits 2p and 2p + 1.
 * Its group is i / 16. */
#ifndef QN_QUANT_Q2_K_H
#define QN_QUANT_Q2_K_H

#include <stdint.h>

struct qn_q2_k {
    uint8_t scales[16]; /* low nibble sc, high nibble m of group j */
    uint8_t qs[64];
    uint16_t d, dmin; /* IEEE half */
};
_Static_assert(sizeof(struct qn_q2_k) == 84, "as in the file");

#endif

/* Q4_K: 256 elements in 8 groups of 32, each with a 6-bit scale and minimum. x = (d * sc) * q - (dmin * m).
 *
 * Element i = 64 * h + l: the low nibble of qs[32 * h + l] for l < 32, the high nibble of qs[32 * h + l - 32] above.
 * Its group is i / 32. */
#ifndef QN_QUANT_Q4_K_H
#define QN_QUANT_Q4_K_H

#include <stdint.h>

#include "quant/k_scales.h"

struct qn_q4_k {
    uint16_t d, dmin;   /* IEEE half */
    uint8_t scales[12]; /* see qn_k_scale_min */
    uint8_t qs[128];
};
_Static_assert(sizeof(struct qn_q4_k) == 144, "as in the file");

#endif

/* Q2_0: 64 elements, one half scale, two bits each. x = (q - 1) * d, so -1, 0, 1 or 2 times d. */
#ifndef QN_QUANT_Q2_0_H
#define QN_QUANT_Q2_0_H

#include <stdint.h>

struct qn_q2_0 {
    uint16_t d;     /* IEEE half */
    uint8_t qs[16]; /* bits 2k and 2k + 1 of byte i: element 4 * i + k */
};
_Static_assert(sizeof(struct qn_q2_0) == 18, "as in the file");

#endif

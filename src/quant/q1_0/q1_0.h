/* Q1_0: 128 elements, one half scale, one bit each. x = d where the bit is set, otherwise -d. */
#ifndef QN_QUANT_Q1_0_H
#define QN_QUANT_Q1_0_H

#include <stdint.h>

struct qn_q1_0 {
    uint16_t d;     /* IEEE half */
    uint8_t qs[16]; /* bit k of byte i: element 8 * i + k */
};
_Static_assert(sizeof(struct qn_q1_0) == 18, "as in the file");

#endif

/* Q8_0: 32 elements, one half scale, signed bytes. x = q * d. */
#ifndef QN_QUANT_Q8_0_H
#define QN_QUANT_Q8_0_H

#include <stdint.h>

struct qn_q8_0 {
    uint16_t d; /* IEEE half */
    int8_t qs[32];
};
_Static_assert(sizeof(struct qn_q8_0) == 34, "as in the file");

#endif

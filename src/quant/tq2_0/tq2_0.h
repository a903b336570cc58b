/* TQ2_0: 256 elements of -1, 0 or 1 in two bits each, one half scale. x = d * (q - 1). */
#ifndef QN_QUANT_TQ2_0_H
#define QN_QUANT_TQ2_0_H

#include <stdint.h>

struct qn_tq2_0 {
    uint8_t qs[64]; /* element 128 * h + 32 * p + l: bits 2p and 2p + 1 of byte 32 * h + l */
    uint16_t d;     /* IEEE half */
};
_Static_assert(sizeof(struct qn_tq2_0) == 66, "as in the file");

#endif

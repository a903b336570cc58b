/* TQ1_0: 256 elements of -1, 0 or 1, five to a byte, one half scale. x = d * (digit - 1).
 *
 * A byte holds a fraction of 256 in base three, most significant digit first: digit n of byte b is the whole part of
 * 3 * (b * 3^n mod 256) / 256. */
#ifndef QN_QUANT_TQ1_0_H
#define QN_QUANT_TQ1_0_H

#include <stdint.h>

struct qn_tq1_0 {
    uint8_t qs[48]; /* element 32 * n + l (n < 5): digit n of byte l; element 160 + 16 * n + l: of byte 32 + l */
    uint8_t qh[4];  /* element 240 + 4 * n + l (n < 4): digit n of byte l */
    uint16_t d;     /* IEEE half */
};
_Static_assert(sizeof(struct qn_tq1_0) == 54, "as in the file");

#endif

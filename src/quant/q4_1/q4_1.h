/* Q4_1: 32 elements, half scale and minimum, 4-bit levels. x = d * q + m. */
#ifndef QN_QUANT_Q4_1_H
#define QN_QUANT_Q4_1_H

#include <stdint.h>

struct qn_q4_1 {
    uint16_t d, m;  /* IEEE half */
    uint8_t qs[16]; /* low nibble: element i, high nibble: element i + 16 */
};
_Static_assert(sizeof(struct qn_q4_1) == 20, "as in the file");

#endif

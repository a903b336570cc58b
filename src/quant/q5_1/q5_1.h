/* Q5_1: 32 elements, half scale and minimum, 5-bit levels. x = d * q + m. */
#ifndef QN_QUANT_Q5_1_H
#define QN_QUANT_Q5_1_H

#include <stdint.h>

struct qn_q5_1 {
    uint16_t d, m;  /* IEEE half */
    uint8_t qh[4];  /* little-endian 32 bits: bit i is the fifth bit of element i */
    uint8_t qs[16]; /* low nibble: element i, high nibble: element i + 16 */
};
_Static_assert(sizeof(struct qn_q5_1) == 24, "as in the file");

#endif

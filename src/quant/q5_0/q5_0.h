/* Q5_0: 32 elements, one half scale, 5-bit levels. x = d * (q - 16). */
#ifndef QN_QUANT_Q5_0_H
#define QN_QUANT_Q5_0_H

#include <stdint.h>

struct qn_q5_0 {
    uint16_t d;     /* IEEE half */
    uint8_t qh[4];  /* little-endian 32 bits: bit i is the fifth bit of element i */
    uint8_t qs[16]; /* low nibble: element i, high nibble: element i + 16 */
};
_Static_assert(sizeof(struct qn_q5_0) == 22, "as in the file");

#endif

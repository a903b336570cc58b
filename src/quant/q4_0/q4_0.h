/* Q4_0: 32 elements, one half scale, 4-bit levels. x = d * (q - 8). */
#ifndef QN_QUANT_Q4_0_H
#define QN_QUANT_Q4_0_H

#include <stdint.h>

struct qn_q4_0 {
    uint16_t d;     /* IEEE half */
    uint8_t qs[16]; /* low nibble: element i, high nibble: element i + 16 */
};
_Static_assert(sizeof(struct qn_q4_0) == 18, "as in the file");

#endif

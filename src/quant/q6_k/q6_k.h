/* Q6_K: 256 elements in 16 groups of 16, each with a signed 8-bit scale. x = (d * sc) * (q - 32).
 *
 * Element i = 128 * h + 32 * p + l (h < 2, p < 4, l < 32). Its low four bits lie in ql[64 * h + 32 * (p % 2) + l], low
 * nibble for p < 2, high nibble above; its high two bits in qh[32 * h + l], bits 2p and 2p + 1. Its group is i / 16. */
#ifndef QN_QUANT_Q6_K_H
#define QN_QUANT_Q6_K_H

#include <stdint.h>

struct qn_q6_k {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d; /* IEEE half */
};
_Static_assert(sizeof(struct qn_q6_k) == 210, "as in the file");

#endif

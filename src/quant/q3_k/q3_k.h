/* Q3_K: 256 elements in 16 groups of 16, each group with a 6-bit scale. x = (d * (sc - 32)) * q, q in -4..3.
 *
 * The low two bits of element i = 128 * h + 32 * p + l (h < 2, p < 4, l < 32) lie in qs[32 * h + l], bits 2p and
 * 2p + 1. Bit i / 32 of hmask[i % 32] is its third bit: q = low two bits - 4 where it is clear, the low two bits where
 * it is set. Its group is i / 16. */
#ifndef QN_QUANT_Q3_K_H
#define QN_QUANT_Q3_K_H

#include <stdint.h>

struct qn_q3_k {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12]; /* see qn_q3_k_scale */
    uint16_t d;         /* IEEE half */
};
_Static_assert(sizeof(struct qn_q3_k) == 110, "as in the file");

/* Signed scale (-32..31) of group j (below 16): its low four bits are a nibble of bytes 0 to 7 (groups 8 and up in the
 * high nibbles), its high two bits a pair in bytes 8 to 11. */
static inline int qn_q3_k_scale(const uint8_t scales[12], int j)
{
    int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    int high = (scales[8 + j % 4] >> (2 * (j / 4))) & 3;
    return (low | high << 4) - 32;
}

#endif

/* IQ4_XS: 256 elements in 8 groups of 32, each with a 6-bit scale, 4-bit indexes into the table of IQ4_NL.
 * x = (d * sc) * QN_IQ4_VALUES[q], sc in -32..31.
 *
 * Element i of group j (i < 32) is the low nibble of qs[16 * j + i] for i < 16, the high nibble of qs[16 * j + i - 16]
 * above. */
#ifndef QN_QUANT_IQ4_XS_H
#define QN_QUANT_IQ4_XS_H

#include <stdint.h>

#include "quant/iq4_values.h"

struct qn_iq4_xs {
    uint16_t d;          /* IEEE half */
    uint16_t scales_h;   /* bits 2j and 2j + 1: high bits of the scale of group j */
    uint8_t scales_l[4]; /* low nibble of byte j / 2: low bits of an even group j, high nibble: of an odd one */
    uint8_t qs[128];
};
_Static_assert(sizeof(struct qn_iq4_xs) == 136, "as in the file");

/* Signed scale (-32..31) of group j. */
static inline int qn_iq4_xs_scale(const struct qn_iq4_xs *block, int j)
{
    int low = (block->scales_l[j / 2] >> (4 * (j % 2))) & 15;
    int high = (block->scales_h >> (2 * j)) & 3;
    return (low | high << 4) - 32;
}

#endif

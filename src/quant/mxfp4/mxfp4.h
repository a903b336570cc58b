/* MXFP4: 32 elements, one power-of-two scale, 4-bit floats (e2m1). x = qn_mxfp4_scale(e) * QN_MXFP4_VALUES[q].
 *
 * The levels are doubled so that they are whole numbers; the scale is halved in return. */
#ifndef QN_QUANT_MXFP4_H
#define QN_QUANT_MXFP4_H

#include <stdint.h>

struct qn_mxfp4 {
    uint8_t e;      /* exponent: the scale is 2^(e - 128) */
    uint8_t qs[16]; /* low nibble: element i, high nibble: element i + 16 */
};
_Static_assert(sizeof(struct qn_mxfp4) == 17, "as in the file");

#define QN_MXFP4_VALUES 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12

/* 2^(e - 128), exact; the two smallest are subnormal. */
static inline float qn_mxfp4_scale(uint8_t e)
{
    union {
        uint32_t u;
        float f;
    } bits = {e < 2 ? UINT32_C(0x00200000) << e : (uint32_t)(e - 1) << 23};
    return bits.f;
}

#endif

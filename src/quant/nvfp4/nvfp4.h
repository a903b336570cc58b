/* NVFP4: 64 elements in 4 groups of 16, each with an 8-bit float as scale; 4-bit floats (e2m1).
 * x = qn_nvfp4_scale(d) * QN_MXFP4_VALUES[q]; the values are doubled, the scale is halved in return. */
#ifndef QN_QUANT_NVFP4_H
#define QN_QUANT_NVFP4_H

#include <stdint.h>

#include "quant/half.h"

struct qn_nvfp4 {
    uint8_t d[4];     /* a float without sign: 4 bits of exponent (bias 7), 3 of mantissa; bit 7 is not used */
    uint8_t qs[4][8]; /* of a group, low nibble: element i, high nibble: element i + 8 */
};
_Static_assert(sizeof(struct qn_nvfp4) == 36, "as in the file");

/* Half of what the code stands for; 0 for the code of NaN. */
static inline float qn_nvfp4_scale(uint8_t code)
{
    if (code == 0x7f)
        return 0;
    uint32_t exponent = code >> 3 & 15, mantissa = code & 7;
    if (exponent == 0)
        return (float)mantissa * 0x1p-10f;
    return qn_bits_f32((exponent + 127 - 8) << 23 | mantissa << 20);
}

#endif

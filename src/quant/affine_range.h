/* Scale and zero point of a block whose codes are 0 .. levels: the range of the values, zero in it. */
#ifndef QN_QUANT_AFFINE_RANGE_H
#define QN_QUANT_AFFINE_RANGE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

struct qn_affine_range {
    float scale, zero;
};

static inline struct qn_affine_range qn_affine_range(const float *x, int64_t count, int levels)
{
    float low = 0, high = 0;
    for (int64_t i = 0; i < count; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float scale = (high - low) / (float)levels;
    return (struct qn_affine_range){scale, scale > 0 ? rintf(-low / scale) : 0};
}

static inline uint8_t qn_affine_code(struct qn_affine_range range, float x, int levels)
{
    float q = range.scale > 0 ? rintf(x / range.scale) + range.zero : 0;
    return (uint8_t)(q < 0 ? 0 : q > (float)levels ? (float)levels : q);
}

#endif

/* Family QUANTIZE.
 *
 * QUANTIZE: y = saturate(nearest even(x / scale) + zero), to an integer dtype of 16 bits or less, or to a float of 8
 * bits or less (then y is x / scale + zero rounded once; `wrap` as in struct qn_attr_cast).
 * DEQUANTIZE: y = (x - zero) scale, from any of these or i32. Both compute in f32.
 *
 * x and y are contiguous [outer][axis][inner]; the scale of element (o, a, i) is number
 * o * scale_outer + a / block * scale_axis + i * scale_inner, and so is its zero point. A tile is a run of rows of
 * `inner` elements, or of elements where all share one scale.
 *
 * RANGE and DYNAMIC make up dynamic_quantize in two calls: each tile of RANGE leaves its least and largest element in
 * `shared` (as f32 pairs); each tile of DYNAMIC takes the range over all of them with 0 and quantises to u8 with
 * scale = range / 255 (1 for an empty one), zero = saturate(nearest(-low / scale)); its first tile writes both. */
#ifndef QN_KERNELS_QUANTIZE_H
#define QN_KERNELS_QUANTIZE_H

#include "kernels/kernel.h"

enum qn_quantize_mode { QN_QUANTIZE = 0, QN_DEQUANTIZE, QN_QUANTIZE_RANGE, QN_QUANTIZE_DYNAMIC };
enum { QN_QUANTIZE_TILE = 16384 /* elements */ };

struct qn_quantize_params {
    int32_t mode;
    const void *x, *scale, *zero; /* zero NULL: 0 */
    void *y;
    qn_dtype x_dtype, y_dtype, scale_dtype, zero_dtype;
    int64_t outer, axis, inner, block;
    int64_t scale_outer, scale_axis, scale_inner;
    bool wrap;
    /* RANGE, DYNAMIC */
    float *shared;
    float *y_scale;
    uint8_t *y_zero;
};

static inline int64_t qn_quantize_elements(const struct qn_quantize_params *p)
{
    return p->outer * p->axis * p->inner;
}

/* One scale for all. */
static inline bool qn_quantize_is_plain(const struct qn_quantize_params *p)
{
    return p->scale_outer == 0 && p->scale_axis == 0 && p->scale_inner == 0;
}

/* Elements of a tile: whole rows of inner elements, or of axis * inner where the scale follows the last axis. */
int64_t qn_quantize_tile(const struct qn_quantize_params *p);
int64_t qn_quantize_tiles(const void *params);

/* Scale and zero point of DYNAMIC from the ranges that the tiles of RANGE left. */
void qn_quantize_choose(const float *ranges, int64_t tiles, float *scale, uint8_t *zero);

extern const struct qn_kernel qn_quantize_ref;

#endif

/* Family GROUP_NORM: y = (x - mean) / sqrt(variance + epsilon) * weight[c] + bias[c], mean and variance over a group's
 * channels and all pixels. Images in either layout, dtypes f32, f16, bf16, f64; weight and bias of x's dtype. The
 * reference adds in f64, the fast kernels in f32 by blocks.
 *
 * A tile is one group of one image.
 */
#ifndef QN_KERNELS_GROUP_NORM_H
#define QN_KERNELS_GROUP_NORM_H

#include "kernels/kernel.h"

struct qn_group_norm_params {
    int64_t batch, c, pixels, groups;
    const void *x;
    void *y;
    qn_dtype dtype;
    int64_t batch_stride, channel_stride, pixel_stride; /* of x and y, elements */
    struct qn_view weight, bias;                        /* [c] */
    float epsilon;
};

extern const struct qn_kernel qn_group_norm_ref;

#endif

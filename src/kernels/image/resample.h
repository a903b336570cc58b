/* Family IMAGE: tensors read at positions between their elements.
 *
 * resize: any axis of any rank to any size; an output element is the weighted sum over the product of its axes' taps.
 * grid_sample: x [n, c, spatial...] read at grid [n, out spatial..., axes], whose last axis names the last spatial axis
 * first. roi_align: rois [r, 4] as x1, y1, x2, y2.
 *
 * resize takes any plain dtype (integers are truncated), the others floats. Everything is computed in double. A tile of
 * resize is a row of y along its last axis; of grid_sample a pixel of y; of roi_align a pixel of a region.
 */
#ifndef QN_KERNELS_IMAGE_H
#define QN_KERNELS_IMAGE_H

#include "kernels/kernel.h"

/* Where an output position lies in the input, and which elements it takes: the fields of struct qn_attr_resize. */
struct qn_resize_axis {
    int64_t in, out;
    double scale; /* out / in, or as given */
    bool given;
    double roi_begin, roi_end;
};

struct qn_resize_params {
    struct qn_view x, y;
    struct qn_resize_axis axes[8];
    int32_t mode, coordinates, rounding; /* enum qn_resize_coordinates */
    double cubic_a, outside;
    bool exclude_outside, antialias;
};

struct qn_grid_sample_params {
    struct qn_view x, grid, y;
    int32_t mode;    /* 0 nearest, 1 linear, 2 cubic */
    int32_t padding; /* 0 zeros, 1 border, 2 reflection */
    bool align_corners;
};

struct qn_roi_align_params {
    struct qn_view x, rois, batch_indices, y;
    int64_t sampling; /* points along a side of a bin; 0: as many as the region has elements there */
    double scale;
    bool max, half_pixel;
    bool whole;     /* the largest of the elements in each bin of the rounded region; `sampling` and so on are unused */
    int32_t *fault; /* a batch index outside x */
};

struct qn_image_params {
    uint16_t op; /* QN_OP_resize, grid_sample, roi_align */
    union {
        struct qn_resize_params resize;
        struct qn_grid_sample_params grid_sample;
        struct qn_roi_align_params roi_align;
    };
};

extern const struct qn_kernel qn_image_ref;

/* One tap of an axis: the element's index, -1 for "the value outside", and its weight. */
struct qn_resize_tap {
    int64_t index;
    double weight;
};
/* The axis is copied. */
bool qn_resize_stays(const struct qn_resize_params *p, uint32_t axis);
/* Taps that an output position of the axis has at most; 1 where the axis stays as it is. */
int64_t qn_resize_tap_count(const struct qn_resize_params *p, uint32_t axis);
/* The taps of every position of the axis: taps[position * count + i]. */
void qn_resize_fill(const struct qn_resize_params *p, uint32_t axis, struct qn_resize_tap *taps);

void qn_grid_sample_run(const struct qn_grid_sample_params *p, int64_t begin, int64_t end);
void qn_roi_align_run(const struct qn_roi_align_params *p, int64_t begin, int64_t end);

#endif

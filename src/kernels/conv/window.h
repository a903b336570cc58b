/* Sliding windows over up to three spatial axes, and images in either layout: what convolution and pooling share.
 *
 * Axes that a tensor lacks are leading ones of size 1. Strides are in elements, so channels-first and channels-last
 * tensors are the same thing to a kernel that does not care.
 */
#ifndef QN_KERNELS_WINDOW_H
#define QN_KERNELS_WINDOW_H

#include "kernels/element.h"
#include "kernels/kernel.h"

enum { QN_WINDOW_AXES = 3 };

struct qn_window {
    int64_t in[QN_WINDOW_AXES], out[QN_WINDOW_AXES]; /* elements */
    int64_t kernel[QN_WINDOW_AXES], stride[QN_WINDOW_AXES], dilation[QN_WINDOW_AXES];
    int64_t begin[QN_WINDOW_AXES], end[QN_WINDOW_AXES]; /* padding, elements */
};

/* An image [n, c, spatial...] by its strides. */
struct qn_pixels {
    void *data;
    qn_dtype dtype;
    int64_t batch, channel, axis[QN_WINDOW_AXES]; /* strides in elements */
};

/* Elements of a window. */
static inline int64_t qn_window_taps(const struct qn_window *w)
{
    return w->kernel[0] * w->kernel[1] * w->kernel[2];
}

/* Pixels of an image. */
static inline int64_t qn_window_out(const struct qn_window *w)
{
    return w->out[0] * w->out[1] * w->out[2];
}

/* Number `tap` of the window that gives output pixel `at`: its input pixel; false in the padding. */
static inline bool qn_window_tap(const struct qn_window *w, const int64_t *at, int64_t tap, int64_t *from)
{
    bool inside = true;
    for (int i = QN_WINDOW_AXES - 1; i >= 0; i--) {
        from[i] = at[i] * w->stride[i] - w->begin[i] + tap % w->kernel[i] * w->dilation[i];
        tap /= w->kernel[i];
        inside &= from[i] >= 0 && from[i] < w->in[i];
    }
    return inside;
}

/* Pixel `number` in row-major order as a position. */
static inline void qn_window_position(const int64_t *dims, int64_t number, int64_t *at)
{
    for (int i = QN_WINDOW_AXES - 1; i >= 0; i--) {
        at[i] = number % dims[i];
        number /= dims[i];
    }
}

static inline int64_t qn_pixels_offset(const struct qn_pixels *p, int64_t n, const int64_t *at)
{
    return n * p->batch + at[0] * p->axis[0] + at[1] * p->axis[1] + at[2] * p->axis[2];
}

static inline void *qn_pixels_at(const struct qn_pixels *p, int64_t offset)
{
    return (char *)p->data + offset * qn_element_bytes(p->dtype);
}

#endif

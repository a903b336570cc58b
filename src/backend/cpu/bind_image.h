/* How images and windows lie, for those who bind convolutions. */
#ifndef QN_BACKEND_CPU_BIND_IMAGE_H
#define QN_BACKEND_CPU_BIND_IMAGE_H

#include "backend/backend.h"
#include "kernels/conv/window.h"

/* The window of conv, q_conv or conv_integer over views of x, w and y. */
void qn_bind_conv_window(const struct qn_attr_conv *attr, const struct qn_view *x, const struct qn_view *w,
                         const struct qn_view *y, struct qn_window *window);
/* [n, c, spatial...] or [n, spatial..., c] as pixels. */
struct qn_pixels qn_bind_pixels(const struct qn_view *view, bool channels_last);

#endif

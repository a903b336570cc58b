/* Binding of the image ops: conv and its kin, pooling, resizing, sampling, group_norm. Rows in cpu_backend.c. */
#ifndef QN_BACKEND_CPU_BIND_IMAGE_H
#define QN_BACKEND_CPU_BIND_IMAGE_H

#include "backend/backend.h"

struct qn_window;
struct qn_pixels;

/* The window of conv, q_conv or conv_integer over views of x, w and y; also for the integer kernels. */
void qn_bind_conv_window(const struct qn_attr_conv *attr, const struct qn_view *x, const struct qn_view *w,
                         const struct qn_view *y, struct qn_window *window);
struct qn_pixels qn_bind_pixels(const struct qn_view *view, bool channels_last);

void qn_bind_conv(const struct qn_bind *b, int64_t call, struct qn_params *params);
int64_t qn_conv_bind_packed_bytes(const struct qn_bind *b);
void qn_bind_conv_pack(const struct qn_bind *b, struct qn_params *params);
void qn_bind_conv_transpose(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_deform_conv(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_col2im(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_pool(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_resize(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_grid_sample(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_roi_align(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_group_norm(const struct qn_bind *b, int64_t call, struct qn_params *params);

#endif

/* Binding of the image ops: conv and its kin, pooling, resizing, sampling, group_norm. */
#include "backend/cpu/bind_image.h"

#include "backend/cpu/bind.h"
#include "kernels/conv/conv.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/image/resample.h"
#include "kernels/pool/pooling.h"

/* ---- windows -------------------------------------------------------------------------------------------------- */

struct qn_pixels qn_bind_pixels(const struct qn_view *view, bool channels_last)
{
    uint32_t spatial = view->rank - 2, first = channels_last ? 1 : 2;
    struct qn_pixels pixels = {.data = view->data,
                               .dtype = view->dtype,
                               .batch = view->strides[0],
                               .channel = view->strides[channels_last ? view->rank - 1 : 1]};
    for (uint32_t i = 0; i < spatial; i++)
        pixels.axis[QN_WINDOW_AXES - spatial + i] = view->strides[first + i];
    return pixels;
}

static void spatial_dims(const struct qn_view *view, bool channels_last, int64_t *dims)
{
    uint32_t spatial = view->rank - 2, first = channels_last ? 1 : 2, lead = QN_WINDOW_AXES - spatial;
    for (uint32_t i = 0; i < QN_WINDOW_AXES; i++)
        dims[i] = i < lead ? 1 : view->dims[first + i - lead];
}

static void fill(int64_t *to, const struct qn_ints *from, uint32_t spatial, int64_t otherwise)
{
    uint32_t lead = QN_WINDOW_AXES - spatial;
    for (uint32_t i = 0; i < QN_WINDOW_AXES; i++)
        to[i] = i < lead || from->count == 0 ? otherwise : from->items[i - lead];
}

static void window_steps(struct qn_window *w, uint32_t spatial, const struct qn_ints *strides,
                         const struct qn_ints *dilations, const struct qn_ints *begin, const struct qn_ints *end)
{
    fill(w->stride, strides, spatial, 1);
    fill(w->dilation, dilations, spatial, 1);
    fill(w->begin, begin, spatial, 0);
    fill(w->end, end, spatial, 0);
}

/* The window's sizes are the weights' axes past the first two. */
static void window_sizes(struct qn_window *w, const struct qn_view *weights)
{
    uint32_t lead = QN_WINDOW_AXES + 2 - weights->rank;
    for (uint32_t i = 0; i < QN_WINDOW_AXES; i++)
        w->kernel[i] = i < lead ? 1 : weights->dims[2 + i - lead];
}

void qn_bind_conv_window(const struct qn_attr_conv *a, const struct qn_view *x, const struct qn_view *w,
                         const struct qn_view *y, struct qn_window *window)
{
    window_steps(window, x->rank - 2, &a->strides, &a->dilations, &a->begin, &a->end);
    window_sizes(window, w);
    spatial_dims(x, a->channels_last, window->in);
    spatial_dims(y, a->channels_last, window->out);
}

/* ---- convolutions --------------------------------------------------------------------------------------------- */

/* A number an output channel, if input i is there. */
static void bind_channels(const struct qn_bind *b, uint32_t i, const void **data, int64_t *stride)
{
    const struct qn_view *view = qn_bind_operand(b, i);
    if (view) {
        *data = view->data;
        *stride = view->strides[0];
    }
}

/* What all ops with weights share. Inputs 0 and 1 are x and the weights. */
static void bind_images(const struct qn_bind *b, int64_t groups, bool last, struct qn_conv_params *p)
{
    const struct qn_view *x = &b->in[0], *y = &b->out[0];
    p->op = b->op;
    window_sizes(&p->window, &b->in[1]);
    spatial_dims(x, last, p->window.in);
    spatial_dims(y, last, p->window.out);
    p->batch = x->dims[0];
    p->c = x->dims[last ? x->rank - 1 : 1];
    p->o = y->dims[last ? y->rank - 1 : 1];
    p->groups = groups ? groups : 1;
    p->x = qn_bind_pixels(x, last);
    p->y = qn_bind_pixels(y, last);
    p->w = b->in[1].data;
    p->w_dtype = b->in[1].dtype;
}

static void conv_params(const struct qn_bind *b, struct qn_conv_params *p)
{
    const struct qn_attr_conv *a = b->attr;
    window_steps(&p->window, b->in[0].rank - 2, &a->strides, &a->dilations, &a->begin, &a->end);
    bind_images(b, a->groups, a->channels_last, p);
    bind_channels(b, 2, &p->bias, &p->bias_stride);
    bind_channels(b, 4, &p->scale, &p->scale_stride);
    p->has_residual = qn_bind_operand(b, 3) != NULL;
    if (p->has_residual)
        p->residual = qn_bind_pixels(&b->in[3], a->channels_last);
    p->winograd = a->winograd;
    p->activation = (int32_t)a->activation;
    p->alpha = a->alpha;
    p->beta = a->beta;
}

void qn_bind_conv(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    conv_params(b, QN_PARAMS(qn_conv_params, params));
}

static void conv_transpose_params(const struct qn_bind *b, struct qn_conv_params *p)
{
    const struct qn_attr_conv_transpose *a = b->attr;
    window_steps(&p->window, b->in[0].rank - 2, &a->strides, &a->dilations, &a->begin, &a->end);
    bind_images(b, a->groups, a->channels_last, p);
    bind_channels(b, 2, &p->bias, &p->bias_stride);
}

void qn_bind_conv_transpose(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    conv_transpose_params(b, QN_PARAMS(qn_conv_params, params));
}

static void either_params(const struct qn_bind *b, struct qn_conv_params *p)
{
    (b->op == QN_OP_conv ? conv_params : conv_transpose_params)(b, p);
}

int64_t qn_bind_conv_bytes(const struct qn_bind *b)
{
    struct qn_conv_params p = {0};
    either_params(b, &p);
    return qn_conv_packed_bytes(&p, b->kernel->pack);
}

void qn_bind_conv_pack(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_conv_pack_params *p = QN_PARAMS(qn_conv_pack_params, params);
    either_params(b, &p->conv);
    p->from = b->in[1].data;
    p->to = b->out[0].data;
}

void qn_bind_deform_conv(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_deform_conv *a = b->attr;
    struct qn_conv_params *p = QN_PARAMS(qn_conv_params, params);
    window_steps(&p->window, b->in[0].rank - 2, &a->strides, &a->dilations, &a->begin, &a->end);
    bind_images(b, a->groups, false, p);
    p->offset_groups = a->offset_groups ? a->offset_groups : 1;
    p->offset = qn_bind_pixels(&b->in[2], false);
    bind_channels(b, 3, &p->bias, &p->bias_stride);
    if (qn_bind_operand(b, 4))
        p->mask = qn_bind_pixels(&b->in[4], false);
}

/* x's last axis is the positions of the windows: its strides along them follow from how many there are. */
void qn_bind_col2im(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_col2im *a = b->attr;
    struct qn_conv_params *p = QN_PARAMS(qn_conv_params, params);
    const struct qn_view *x = &b->in[0], *y = &b->out[0];
    struct qn_window *w = &p->window;
    p->op = b->op;
    window_steps(w, y->rank - 2, &a->strides, &a->dilations, &a->begin, &a->end);
    fill(w->kernel, &a->block, y->rank - 2, 1);
    spatial_dims(y, false, w->in);
    p->x = (struct qn_pixels){
        .data = x->data, .dtype = x->dtype, .batch = x->strides[0], .channel = x->strides[1], .axis = {0}};
    int64_t stride = x->strides[2];
    for (int i = QN_WINDOW_AXES - 1; i >= 0; i--) {
        int64_t left = w->in[i] + w->begin[i] + w->end[i] - (w->kernel[i] - 1) * w->dilation[i] - 1;
        w->out[i] = left < 0 ? 0 : left / w->stride[i] + 1;
        p->x.axis[i] = stride;
        stride *= w->out[i];
    }
    p->batch = y->dims[0];
    p->c = p->o = y->dims[1];
    p->groups = 1;
    p->y = qn_bind_pixels(y, false);
}

/* ---- the others ----------------------------------------------------------------------------------------------- */

void qn_bind_pool(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_pool *a = b->attr;
    struct qn_pool_params *p = QN_PARAMS(qn_pool_params, params);
    bool last = a->channels_last;
    const struct qn_view *x = &b->in[0], *y = &b->out[0];
    p->op = b->op;
    window_steps(&p->window, x->rank - 2, &a->strides, &a->dilations, &a->begin, &a->end);
    fill(p->window.kernel, &a->kernel, x->rank - 2, 1);
    spatial_dims(x, last, p->window.in);
    spatial_dims(y, last, p->window.out);
    p->batch = x->dims[0];
    p->c = x->dims[last ? x->rank - 1 : 1];
    p->x = qn_bind_pixels(x, last);
    p->y = qn_bind_pixels(y, last);
    if (b->op == QN_OP_max_pool_indices)
        p->indices = qn_bind_pixels(&b->out[1], last);
    p->count_padding = a->count_padding;
    p->column_major = a->column_major;
    p->p = a->p ? a->p : 2;
}

void qn_bind_resize(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_resize *a = b->attr;
    struct qn_image_params *image = QN_PARAMS(qn_image_params, params);
    struct qn_resize_params *p = &image->resize;
    image->op = b->op;
    p->x = b->in[0];
    p->y = b->out[0];
    for (uint32_t i = 0; i < p->x.rank; i++) {
        struct qn_resize_axis *axis = &p->axes[i];
        axis->in = p->x.dims[i];
        axis->out = p->y.dims[i];
        axis->given = a->scales.count > 0;
        axis->scale = axis->given ? (double)a->scales.items[i] : (double)axis->out / (double)(axis->in ? axis->in : 1);
        axis->roi_begin = a->roi_begin.count ? (double)a->roi_begin.items[i] : 0;
        axis->roi_end = a->roi_begin.count ? (double)a->roi_end.items[i] : 1;
    }
    p->mode = (int32_t)a->mode;
    p->coordinates = (int32_t)a->coordinates;
    p->rounding = (int32_t)a->rounding;
    p->cubic_a = (double)a->cubic_a;
    p->outside = (double)a->outside;
    p->exclude_outside = a->exclude_outside;
    p->antialias = a->antialias;
}

void qn_bind_grid_sample(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_grid_sample *a = b->attr;
    struct qn_image_params *p = QN_PARAMS(qn_image_params, params);
    p->op = b->op;
    p->grid_sample = (struct qn_grid_sample_params){.x = b->in[0],
                                                    .grid = b->in[1],
                                                    .y = b->out[0],
                                                    .mode = (int32_t)a->mode,
                                                    .padding = (int32_t)a->padding,
                                                    .align_corners = a->align_corners};
}

void qn_bind_roi_align(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_roi_align *a = b->attr;
    struct qn_image_params *p = QN_PARAMS(qn_image_params, params);
    p->op = b->op;
    p->roi_align = (struct qn_roi_align_params){.x = b->in[0],
                                                .rois = b->in[1],
                                                .batch_indices = b->in[2],
                                                .y = b->out[0],
                                                .sampling = a->sampling,
                                                .scale = (double)a->scale,
                                                .max = a->max,
                                                .half_pixel = a->half_pixel,
                                                .whole = a->whole,
                                                .fault = b->fault};
}

void qn_bind_group_norm(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_group_norm *a = b->attr;
    struct qn_group_norm_params *p = QN_PARAMS(qn_group_norm_params, params);
    const struct qn_view *x = &b->in[0];
    bool last = a->channels_last;
    p->batch = x->dims[0];
    p->c = x->dims[last ? x->rank - 1 : 1];
    p->pixels = 1;
    for (uint32_t i = last ? 1 : 2; i < (last ? x->rank - 1 : x->rank); i++)
        p->pixels *= x->dims[i];
    p->groups = a->groups;
    p->x = x->data;
    p->y = b->out[0].data;
    p->dtype = x->dtype;
    p->batch_stride = p->c * p->pixels;
    p->channel_stride = last ? 1 : p->pixels;
    p->pixel_stride = last ? p->c : 1;
    p->weight = b->in[1];
    p->bias = b->in[2];
    p->epsilon = a->epsilon;
}

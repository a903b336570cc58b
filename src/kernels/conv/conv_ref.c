/* The generic kernel: for each output pixel and group the inputs that it sees are gathered into a patch of doubles, in
 * the order of the weights' rows; each output channel is then one dot product. conv, deform_conv and conv_transpose
 * differ in how the patch is gathered. */
#include "ir/ir.h"
#include "kernels/activation.h"
#include "kernels/conv/conv.h"
#include "kernels/walk.h"

static double load(const struct qn_pixels *p, int64_t offset)
{
    double value;
    qn_load_f64(&value, qn_pixels_at(p, offset), 0, p->dtype, 1);
    return value;
}

/* patch[c][tap] */
static void gather_conv(const struct qn_conv_params *p, int64_t n, int64_t first, const int64_t *at, double *patch)
{
    int64_t taps = qn_window_taps(&p->window), channels = p->c / p->groups, step = p->x.channel;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t from[QN_WINDOW_AXES];
        bool inside = qn_window_tap(&p->window, at, tap, from);
        int64_t offset = inside ? qn_pixels_offset(&p->x, n, from) + first * step : 0;
        for (int64_t c = 0; c < channels; c++)
            patch[c * taps + tap] = inside ? load(&p->x, offset + c * step) : 0;
    }
}

/* The inputs whose windows reach output pixel `at`: i with i * stride - begin + tap * dilation = at. */
static void gather_transpose(const struct qn_conv_params *p, int64_t n, int64_t first, const int64_t *at, double *patch)
{
    const struct qn_window *w = &p->window;
    int64_t taps = qn_window_taps(w), channels = p->c / p->groups, step = p->x.channel;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t from[QN_WINDOW_AXES], rest = tap;
        bool inside = true;
        for (int i = QN_WINDOW_AXES - 1; i >= 0; i--) {
            int64_t far = at[i] + w->begin[i] - rest % w->kernel[i] * w->dilation[i];
            rest /= w->kernel[i];
            from[i] = far / w->stride[i];
            inside &= far >= 0 && far % w->stride[i] == 0 && from[i] < w->in[i];
        }
        int64_t offset = inside ? qn_pixels_offset(&p->x, n, from) + first * step : 0;
        for (int64_t c = 0; c < channels; c++)
            patch[c * taps + tap] = inside ? load(&p->x, offset + c * step) : 0;
    }
}

/* Four neighbours weighted by how near they are; those outside the image count as 0. */
static double bilinear(const struct qn_conv_params *p, int64_t offset, double y, double x)
{
    const struct qn_window *w = &p->window;
    if (!(y > -1 && x > -1 && y < (double)w->in[1] && x < (double)w->in[2]))
        return 0;
    int64_t top = y < 0 ? -1 : (int64_t)y, left = x < 0 ? -1 : (int64_t)x;
    double down = y - (double)top, right = x - (double)left, sum = 0;
    for (int corner = 0; corner < 4; corner++) {
        int64_t row = top + (corner >> 1), column = left + (corner & 1);
        if (row < 0 || column < 0 || row >= w->in[1] || column >= w->in[2])
            continue;
        double weight = (corner >> 1 ? down : 1 - down) * (corner & 1 ? right : 1 - right);
        sum += weight * load(&p->x, offset + row * p->x.axis[1] + column * p->x.axis[2]);
    }
    return sum;
}

static void gather_deform(const struct qn_conv_params *p, int64_t n, int64_t first, const int64_t *at, double *patch)
{
    const struct qn_window *w = &p->window;
    int64_t taps = qn_window_taps(w), channels = p->c / p->groups, shared = p->c / p->offset_groups;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t from[QN_WINDOW_AXES];
        qn_window_tap(w, at, tap, from);
        for (int64_t c = 0; c < channels; c++) {
            int64_t number = (first + c) / shared * taps + tap;
            int64_t moved = qn_pixels_offset(&p->offset, n, at) + 2 * number * p->offset.channel;
            double y = (double)from[1] + load(&p->offset, moved);
            double x = (double)from[2] + load(&p->offset, moved + p->offset.channel);
            double value = bilinear(p, n * p->x.batch + (first + c) * p->x.channel, y, x);
            if (p->mask.data)
                value *= load(&p->mask, qn_pixels_offset(&p->mask, n, at) + number * p->mask.channel);
            patch[c * taps + tap] = value;
        }
    }
}

/* sum of patch[i * taps + tap] * w[i * step + tap]: `rows` runs of `taps` weights. */
static double dot(const double *patch, const char *w, qn_dtype dtype, int64_t rows, int64_t taps, int64_t step)
{
    int64_t bytes = qn_element_bytes(dtype);
    double sum = 0, v[QN_ELEMENT_RUN];
    if (step == taps) {
        taps *= rows;
        rows = 1;
    }
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t i = 0; i < taps; i += QN_ELEMENT_RUN) {
            int64_t n = taps - i < QN_ELEMENT_RUN ? taps - i : QN_ELEMENT_RUN;
            qn_load_f64(v, w + (row * step + i) * bytes, bytes, dtype, n);
            for (int64_t k = 0; k < n; k++)
                sum += patch[row * taps + i + k] * v[k];
        }
    }
    return sum;
}

static void finish(const struct qn_conv_params *p, int64_t n, const int64_t *at, int64_t o, double value)
{
    double operand;
    int64_t bytes = qn_element_bytes(p->x.dtype);
    if (p->scale) {
        qn_load_f64(&operand, (const char *)p->scale + o * p->scale_stride * bytes, 0, p->x.dtype, 1);
        value *= operand;
    }
    if (p->bias) {
        qn_load_f64(&operand, (const char *)p->bias + o * p->bias_stride * bytes, 0, p->x.dtype, 1);
        value += operand;
    }
    if (p->residual.data)
        value += load(&p->residual, qn_pixels_offset(&p->residual, n, at) + o * p->residual.channel);
    value = qn_activate(p->activation, (double)p->alpha, (double)p->beta, value);
    qn_store_f64(qn_pixels_at(&p->y, qn_pixels_offset(&p->y, n, at) + o * p->y.channel), 0, p->y.dtype, &value, 1);
}

static void run_pixel(const struct qn_conv_params *p, int64_t n, const int64_t *at, double *patch)
{
    int64_t channels = p->c / p->groups, outputs = p->o / p->groups, taps = qn_window_taps(&p->window);
    int64_t bytes = qn_element_bytes(p->w_dtype);
    for (int64_t g = 0; g < p->groups; g++) {
        bool transposed = p->op == QN_OP_conv_transpose;
        if (transposed)
            gather_transpose(p, n, g * channels, at, patch);
        else if (p->op == QN_OP_deform_conv)
            gather_deform(p, n, g * channels, at, patch);
        else
            gather_conv(p, n, g * channels, at, patch);
        for (int64_t o = 0; o < outputs; o++) {
            int64_t from = transposed ? (g * channels * outputs + o) * taps : (g * outputs + o) * channels * taps;
            double sum = dot(patch, (const char *)p->w + from * bytes, p->w_dtype, channels, taps,
                             transposed ? outputs * taps : taps);
            finish(p, n, at, g * outputs + o, sum);
        }
    }
}

/* One pixel of the image: what the windows that hold it have there. */
static void run_col2im(const struct qn_conv_params *p, int64_t n, const int64_t *at)
{
    const struct qn_window *w = &p->window;
    int64_t taps = qn_window_taps(w);
    for (int64_t c = 0; c < p->c; c++) {
        double sum = 0;
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t from[QN_WINDOW_AXES], rest = tap;
            bool inside = true;
            for (int i = QN_WINDOW_AXES - 1; i >= 0; i--) {
                int64_t far = at[i] + w->begin[i] - rest % w->kernel[i] * w->dilation[i];
                rest /= w->kernel[i];
                from[i] = far / w->stride[i];
                inside &= far >= 0 && far % w->stride[i] == 0 && from[i] < w->out[i];
            }
            if (inside)
                sum += load(&p->x, qn_pixels_offset(&p->x, n, from) + (c * taps + tap) * p->x.channel);
        }
        qn_store_f64(qn_pixels_at(&p->y, qn_pixels_offset(&p->y, n, at) + c * p->y.channel), 0, p->y.dtype, &sum, 1);
    }
}

static const int64_t *pixels_of(const struct qn_conv_params *p)
{
    return p->op == QN_OP_col2im ? p->window.in : p->window.out;
}

static int64_t tiles(const void *params)
{
    const struct qn_conv_params *p = params;
    const int64_t *dims = pixels_of(p);
    return p->batch * dims[0] * dims[1] * dims[2];
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_conv_params *p = params;
    int64_t floats = p->op == QN_OP_col2im ? 0 : p->c / p->groups * qn_window_taps(&p->window);
    return (floats * (int64_t)sizeof(double) + 63) / 64 * 64;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_conv_params *p = params;
    const int64_t *dims = pixels_of(p);
    int64_t pixels = dims[0] * dims[1] * dims[2];
    for (int64_t i = begin; i < end; i++) {
        int64_t at[QN_WINDOW_AXES];
        qn_window_position(dims, i % pixels, at);
        if (p->op == QN_OP_col2im)
            run_col2im(p, i / pixels, at);
        else
            run_pixel(p, i / pixels, at, scratch);
    }
}

const struct qn_kernel qn_conv_ref = {
    .serial = 2300,
    .name = "conv_ref",
    .family = QN_FAMILY_CONV,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};

/* CONV and the packing of its weights, POOL, IMAGE and GROUP_NORM. Everything here is [n, c, depth, height, width]. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "ir/ir.h"
#include "kernels/activation.h"
#include "kernels/conv/conv.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/image/resample.h"
#include "kernels/pool/pooling.h"

static const qn_dtype float_types[] = {QN_DTYPE_F32, QN_DTYPE_F64, QN_DTYPE_F16, QN_DTYPE_BF16};

/* An image, and its elements as [n][c][pixel]. */
struct image {
    struct cf_tensor tensor;
    struct qn_pixels pixels;
    double *values;
};

static struct image image(qn_dtype dtype, bool last, enum cf_layout layout, int64_t n, int64_t c, const int64_t *dims)
{
    int64_t first[] = {n, c, dims[0], dims[1], dims[2]}, behind[] = {n, dims[0], dims[1], dims[2], c};
    struct image i = {.tensor = cf_tensor(dtype, layout, 5, last ? behind : first)};
    const int64_t *s = i.tensor.view.strides;
    i.pixels = (struct qn_pixels){
        i.tensor.view.data, dtype, s[0], s[last ? 4 : 1], {s[last ? 1 : 2], s[last ? 2 : 3], s[last ? 3 : 4]}};
    return i;
}

/* Row-major values of the tensor as [n][c][pixel]; the caller frees. */
static double *planes(const struct image *i, bool last, int64_t n, int64_t c, int64_t pixels)
{
    double *raw = cf_values(&i->tensor.view);
    if (!last)
        return raw;
    double *values = malloc((size_t)(n * c * pixels + 1) * sizeof *values);
    assert(values);
    for (int64_t k = 0; k < n * c * pixels; k++)
        values[(k / c / pixels * c + k % c) * pixels + k / c % pixels] = raw[k];
    free(raw);
    return values;
}

/* The other way round, for cf_check. */
static double *as_stored(const double *values, bool last, int64_t n, int64_t c, int64_t pixels)
{
    double *raw = malloc((size_t)(n * c * pixels + 1) * sizeof *raw);
    assert(raw);
    for (int64_t k = 0; k < n * c * pixels; k++)
        raw[k] = last ? values[(k / c / pixels * c + k % c) * pixels + k / c % pixels] : values[k];
    return raw;
}

static void position(const int64_t *dims, int64_t number, int64_t *at)
{
    at[2] = number % dims[2];
    at[1] = number / dims[2] % dims[1];
    at[0] = number / dims[2] / dims[1];
}

/* The input pixel under a tap, -1 in the padding. */
static int64_t under(const struct qn_window *w, int64_t pixel, int64_t tap)
{
    int64_t at[3], t[3], from = 0;
    position(w->out, pixel, at);
    position(w->kernel, tap, t);
    for (int i = 0; i < 3; i++) {
        int64_t x = at[i] * w->stride[i] + t[i] * w->dilation[i] - w->begin[i];
        if (x < 0 || x >= w->in[i])
            return -1;
        from = from * w->in[i] + x;
    }
    return from;
}

/* ---- convolutions ---------------------------------------------------------------------------------------------- */

struct conv_case {
    int64_t n, c, o, groups, in[3], kernel[3], stride[3], dilation[3], begin[3], end[3];
    int activation;
    bool residual;
    int64_t winograd;
};

static struct qn_window window_of(const struct conv_case *k, bool transpose)
{
    struct qn_window w = {0};
    for (int i = 0; i < 3; i++) {
        w.in[i] = k->in[i];
        w.kernel[i] = k->kernel[i];
        w.stride[i] = k->stride[i] ? k->stride[i] : 1;
        w.dilation[i] = k->dilation[i] ? k->dilation[i] : 1;
        w.begin[i] = k->begin[i];
        w.end[i] = k->end[i];
        int64_t reach = (w.kernel[i] - 1) * w.dilation[i] + 1, pads = w.begin[i] + w.end[i];
        w.out[i] = transpose ? (w.in[i] - 1) * w.stride[i] + reach - pads : (w.in[i] + pads - reach) / w.stride[i] + 1;
    }
    return w;
}

/* Where each tap of each output pixel falls (of each input pixel, where transposed): [pixel][tap]. The caller frees. */
static int64_t *all_under(const struct qn_window *w, int64_t pixels, int64_t taps)
{
    int64_t *falls = malloc((size_t)(pixels * taps + 1) * sizeof *falls);
    assert(falls);
    for (int64_t i = 0; i < pixels * taps; i++)
        falls[i] = under(w, i / taps, i % taps);
    return falls;
}

/* want += the convolution, channel by channel, tap by tap */
static void convolve(const struct conv_case *k, const struct qn_window *w, bool transpose, const double *x,
                     const double *weights, double *want)
{
    int64_t in = w->in[0] * w->in[1] * w->in[2], out = w->out[0] * w->out[1] * w->out[2];
    int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2], cg = k->c / k->groups, og = k->o / k->groups;
    struct qn_window back = *w; /* a transposed convolution is the other one with in and out exchanged */
    memcpy(back.in, w->out, sizeof back.in);
    memcpy(back.out, w->in, sizeof back.out);
    int64_t pixels = transpose ? in : out, *falls = all_under(transpose ? &back : w, pixels, taps);
    for (int64_t at = 0; at < k->n * k->o * cg; at++) {
        int64_t c = at % cg, o = at / cg % k->o, n = at / cg / k->o, channel = o / og * cg + c;
        const double *from = x + (n * k->c + channel) * in;
        const double *with = weights + (transpose ? channel * og + o % og : o * cg + c) * taps;
        double *to = want + (n * k->o + o) * out;
        for (int64_t i = 0; i < pixels * taps; i++)
            if (falls[i] >= 0)
                to[transpose ? falls[i] : i / taps] += from[transpose ? i / taps : falls[i]] * with[i % taps];
    }
    free(falls);
}

static const struct qn_kernel *packer(enum qn_pack pack)
{
    for (uint32_t i = 0; i < qn_kernel_count; i++)
        if (qn_kernels[i]->family == QN_FAMILY_PACK && qn_kernels[i]->pack == pack)
            return qn_kernels[i];
    return NULL;
}

/* The weights as the kernel reads them; the caller frees. */
static void *packed(const struct qn_kernel *kernel, const struct qn_conv_params *p, const struct cf_tensor *w)
{
    size_t bytes = (size_t)qn_conv_packed_bytes(p, kernel->pack);
    float *to = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert(to && packer(kernel->pack));
    struct qn_conv_pack_params pack = {.conv = *p, .from = w->view.data, .to = to};
    cf_run_all(packer(kernel->pack), &pack);
    return to;
}

static void conv_case(struct cf *cf, const struct conv_case *k, uint16_t op, qn_dtype dtype, bool last, int number)
{
    bool transpose = op == QN_OP_conv_transpose;
    struct qn_window w = window_of(k, transpose);
    int64_t taps = w.kernel[0] * w.kernel[1] * w.kernel[2], out = w.out[0] * w.out[1] * w.out[2];
    int64_t rows = transpose ? k->c : k->o, depth = (transpose ? k->o : k->c) / k->groups;
    int64_t wdims[] = {rows, depth, taps};
    cf_case(cf, "%s %s number %d%s", qn_op_info(op)->name, qn_dtype_name(dtype), number, last ? ", channels last" : "");
    struct image x = image(dtype, last, CF_CONTIGUOUS, k->n, k->c, w.in);
    struct image y = image(dtype, last, number % 2 ? CF_PADDED : CF_CONTIGUOUS, k->n, k->o, w.out);
    struct image r = image(dtype, last, CF_CONTIGUOUS, k->n, k->o, w.out);
    qn_dtype w_dtype = dtype != QN_DTYPE_F32 ? dtype
                       : number % 5 == 2     ? QN_DTYPE_F16
                       : number % 5 == 4     ? QN_DTYPE_BF16
                                             : dtype;
    struct cf_tensor weights = cf_tensor(w_dtype, CF_CONTIGUOUS, 3, wdims), bias = cf_tensor(dtype, 0, 1, &k->o);
    struct cf_tensor scale = cf_tensor(dtype, CF_CONTIGUOUS, 1, &k->o);
    cf_fill(&x.tensor, -1, 1);
    cf_fill(&r.tensor, -1, 1);
    cf_fill(&weights, -1, 1);
    cf_fill(&bias, -1, 1);
    cf_fill(&scale, 0.5, 1);
    struct qn_conv_params p = {.op = op,
                               .window = w,
                               .batch = k->n,
                               .c = k->c,
                               .o = k->o,
                               .groups = k->groups,
                               .x = x.pixels,
                               .y = y.pixels,
                               .w = weights.view.data,
                               .w_dtype = w_dtype,
                               .winograd = k->winograd,
                               .has_residual = k->residual,
                               .activation = k->activation,
                               .alpha = k->activation == QN_ACTIVATION_CLIP ? -0.5f : 0.2f,
                               .beta = 0.5f};
    if (number % 3 != 1) {
        p.bias = bias.view.data;
        p.bias_stride = 1;
    }
    if (k->residual)
        p.residual = r.pixels;
    if (number % 3 == 2 && !transpose) {
        p.scale = scale.view.data;
        p.scale_stride = 1;
    }
    void *form = NULL;
    if (!cf->kernel->fits || cf->kernel->fits(&p)) {
        if (cf->kernel->pack)
            p.w = form = packed(cf->kernel, &p, &weights);
        cf_run(cf, &p, (const struct qn_view *[]){&y.tensor.view}, 1);
        double *xv = planes(&x, last, k->n, k->c, w.in[0] * w.in[1] * w.in[2]), *wv = cf_values(&weights.view);
        double *bv = cf_values(&bias.view), *sv = cf_values(&scale.view), *rv = planes(&r, last, k->n, k->o, out);
        double *want = calloc((size_t)(k->n * k->o * out + 1), sizeof *want);
        assert(want);
        convolve(k, &w, transpose, xv, wv, want);
        for (int64_t i = 0; i < k->n * k->o * out; i++)
            want[i] = qn_activate(k->activation, (double)p.alpha, (double)p.beta,
                                  want[i] * (p.scale ? sv[i / out % k->o] : 1) + (p.bias ? bv[i / out % k->o] : 0) +
                                      (k->residual ? rv[i] : 0));
        double *stored = as_stored(want, last, k->n, k->o, out);
        double sums = dtype == QN_DTYPE_F64 ? 1e-13 : 2e-6 * sqrt((double)(depth * taps));
        cf_check(cf, &y.tensor, stored, cf_rounding(dtype) + 1e-6,
                 cf->kernel == &qn_conv_ref && dtype != QN_DTYPE_F64 ? 1e-6 : sums);
        cf_ran(cf, qn_op_info(op)->name, dtype);
        free(stored);
        free(want);
        free(xv);
        free(wv);
        free(bv);
        free(sv);
        free(rv);
    }
    free(form);
    cf_release(&x.tensor);
    cf_release(&y.tensor);
    cf_release(&r.tensor);
    cf_release(&weights);
    cf_release(&bias);
    cf_release(&scale);
}

static const struct conv_case conv_cases[] = {
    {1, 16, 64, 1, {1, 9, 11}, {1, 3, 3}, {0}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_RELU, true},
    {2, 5, 7, 1, {1, 1, 13}, {1, 1, 4}, {0, 0, 2}, {0, 0, 2}, {0, 0, 2}, {0, 0, 1}, QN_ACTIVATION_NONE, false},
    {1, 3, 40, 1, {1, 14, 17}, {1, 7, 7}, {0, 2, 2}, {0}, {0, 3, 3}, {0, 3, 3}, QN_ACTIVATION_CLIP, false},
    {1, 70, 83, 1, {1, 5, 8}, {1, 1, 1}, {0}, {0}, {0}, {0}, QN_ACTIVATION_SILU, true},
    {1, 200, 48, 1, {1, 4, 5}, {1, 3, 3}, {0, 2, 1}, {0, 1, 2}, {0, 1, 2}, {0, 0, 2}, QN_ACTIVATION_LEAKY_RELU, false},
    {2, 33, 33, 33, {1, 8, 10}, {1, 3, 3}, {0}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_CLIP, true},
    {1, 48, 48, 48, {1, 9, 9}, {1, 5, 5}, {0, 2, 2}, {0}, {0, 2, 2}, {0, 2, 2}, QN_ACTIVATION_HARD_SWISH, false},
    {1, 12, 20, 4, {1, 6, 7}, {1, 3, 2}, {0}, {0}, {0, 1, 0}, {0, 1, 1}, QN_ACTIVATION_SIGMOID, false},
    {1, 4, 18, 1, {3, 6, 5}, {2, 3, 3}, {1, 2, 1}, {0}, {1, 1, 1}, {0, 1, 1}, QN_ACTIVATION_TANH, false},
    {1, 1, 1, 1, {1, 6, 5}, {1, 3, 3}, {0}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_HARD_SIGMOID, true},
    {1, 8, 16, 8, {1, 5, 5}, {1, 3, 3}, {0}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_RELU, false},
    {1, 96, 112, 1, {1, 7, 7}, {1, 3, 3}, {0}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_RELU, false},
    {1, 1030, 6, 1, {1, 3, 5}, {1, 1, 1}, {0, 2, 2}, {0}, {0}, {0}, QN_ACTIVATION_NONE, false},
    {3, 32, 64, 1, {1, 20, 13}, {1, 3, 3}, {0}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_RELU, true},
    /* 3x3 with steps of 1: fewer pixels than a square, no padding, much of it on one side, many squares and channels */
    {2, 3, 33, 1, {1, 1, 3}, {1, 3, 3}, {0}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_SILU, true},
    {1, 19, 9, 1, {1, 9, 8}, {1, 3, 3}, {0}, {0}, {0}, {0}, QN_ACTIVATION_CLIP, true},
    {1, 17, 40, 1, {1, 4, 3}, {1, 3, 3}, {0}, {0}, {0, 5, 0}, {0, 0, 2}, QN_ACTIVATION_NONE, false},
    {2, 40, 150, 1, {1, 21, 30}, {1, 3, 3}, {0}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_NONE, true},
    /* transposed: pixels that see nothing, steps with a common divisor, groups, a window of rows */
    {1, 20, 9, 1, {1, 7, 9}, {1, 2, 3}, {0, 3, 4}, {0}, {0, 1, 0}, {0, 0, 1}, QN_ACTIVATION_NONE, false},
    {2, 24, 40, 2, {1, 6, 11}, {1, 4, 5}, {0, 2, 4}, {0, 2, 6}, {0, 3, 5}, {0, 1, 2}, QN_ACTIVATION_NONE, false},
    {1, 6, 17, 1, {1, 9, 10}, {1, 4, 4}, {0, 2, 2}, {0}, {0, 1, 1}, {0, 1, 1}, QN_ACTIVATION_NONE, false},
};

/* Images sampled at moved taps; a whole offset moves to the next pixel, a half one between two. */
static void deform_case(struct cf *cf, qn_dtype dtype)
{
    int64_t in[] = {1, 6, 7}, out[] = {1, 6, 7}, taps = 9, c = 4, o = 3, wdims[] = {o, c, taps};
    cf_case(cf, "deform_conv %s", qn_dtype_name(dtype));
    struct image x = image(dtype, false, CF_CONTIGUOUS, 1, c, in), y = image(dtype, false, CF_PADDED, 1, o, out);
    struct image offset = image(dtype, false, CF_CONTIGUOUS, 1, 2 * 2 * taps, out);
    struct image mask = image(dtype, false, CF_CONTIGUOUS, 1, 2 * taps, out);
    struct cf_tensor w = cf_tensor(dtype, CF_CONTIGUOUS, 3, wdims);
    cf_fill(&x.tensor, -1, 1);
    cf_fill(&offset.tensor, -2, 2);
    cf_fill(&mask.tensor, 0, 1);
    cf_fill(&w, -1, 1);
    struct qn_conv_params p = {.op = QN_OP_deform_conv,
                               .batch = 1,
                               .c = c,
                               .o = o,
                               .groups = 1,
                               .x = x.pixels,
                               .y = y.pixels,
                               .w = w.view.data,
                               .w_dtype = dtype,
                               .offset = offset.pixels,
                               .mask = mask.pixels,
                               .offset_groups = 2};
    p.window = (struct qn_window){{1, 6, 7}, {1, 6, 7}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}};
    cf_run(cf, &p, (const struct qn_view *[]){&y.tensor.view}, 1);
    double *xv = cf_values(&x.tensor.view), *ov = cf_values(&offset.tensor.view), *mv = cf_values(&mask.tensor.view);
    double *wv = cf_values(&w.view), want[3 * 42] = {0};
    for (int64_t k = 0; k < o * c * 42 * taps; k++) {
        int64_t tap = k % taps, pixel = k / taps % 42, channel = k / taps / 42 % c, to = k / taps / 42 / c;
        int64_t field = channel / 2 * taps + tap;
        double row = (double)(pixel / 7 - 1 + tap / 3) + ov[2 * field * 42 + pixel], sum = 0;
        double column = (double)(pixel % 7 - 1 + tap % 3) + ov[(2 * field + 1) * 42 + pixel];
        for (int64_t i = 0; i < 42; i++) { /* every pixel, by how near it is */
            double near = fmax(0, 1 - fabs(row - (double)(i / 7))) * fmax(0, 1 - fabs(column - (double)(i % 7)));
            sum += near * xv[channel * 42 + i];
        }
        want[to * 42 + pixel] += sum * mv[field * 42 + pixel] * wv[(to * c + channel) * taps + tap];
    }
    cf_check(cf, &y.tensor, want, cf_rounding(dtype) + 1e-6, dtype == QN_DTYPE_F64 ? 1e-12 : 1e-5);
    cf_ran(cf, "deform_conv", dtype);
    free(xv);
    free(ov);
    free(mv);
    free(wv);
    cf_release(&x.tensor);
    cf_release(&y.tensor);
    cf_release(&offset.tensor);
    cf_release(&mask.tensor);
    cf_release(&w);
}

static void col2im_case(struct cf *cf, qn_dtype dtype)
{
    struct qn_window w = {{1, 5, 6}, {1, 3, 5}, {1, 3, 2}, {1, 2, 1}, {1, 1, 2}, {0, 1, 1}, {0, 1, 0}};
    int64_t c = 2, taps = 6, positions = 15, dims[] = {1, 3, 5};
    cf_case(cf, "col2im %s", qn_dtype_name(dtype));
    struct image x = image(dtype, false, CF_CONTIGUOUS, 2, c * taps, dims),
                 y = image(dtype, false, CF_PADDED, 2, c, w.in);
    cf_fill(&x.tensor, -1, 1);
    struct qn_conv_params p = {.op = QN_OP_col2im, .window = w, .batch = 2, .c = c, .o = c, .groups = 1};
    p.x = x.pixels;
    p.y = y.pixels;
    cf_run(cf, &p, (const struct qn_view *[]){&y.tensor.view}, 1);
    double *xv = cf_values(&x.tensor.view), want[2 * 2 * 30] = {0};
    for (int64_t k = 0; k < 2 * c * taps * positions; k++) {
        int64_t pixel = under(&w, k % positions, k / positions % taps), plane = k / positions / taps;
        if (pixel >= 0)
            want[plane * 30 + pixel] += xv[k];
    }
    cf_check(cf, &y.tensor, want, cf_rounding(dtype) + 1e-7, dtype == QN_DTYPE_F64 ? 1e-12 : 1e-6);
    cf_ran(cf, "col2im", dtype);
    free(xv);
    cf_release(&x.tensor);
    cf_release(&y.tensor);
}

static bool is_winograd(const struct qn_kernel *kernel)
{
    return kernel->pack == QN_PACK_WINOGRAD_8 || kernel->pack == QN_PACK_WINOGRAD_16;
}

void cf_conv(struct cf *cf)
{
    enum { CASES = sizeof conv_cases / sizeof conv_cases[0], LARGE = 1 << 19 };
    for (int i = 0; i < CASES; i++) {
        const struct conv_case *k = &conv_cases[i];
        bool large = k->c / k->groups * k->o * k->n * k->in[1] * k->in[2] > LARGE;
        for (int t = 0; t < 4; t++) {
            if (cf->kernel->dtype != QN_DTYPE_NONE && cf->kernel->dtype != float_types[t])
                continue;
            if (large && cf->kernel == &qn_conv_ref && float_types[t] != QN_DTYPE_F32)
                continue; /* it goes pixel by pixel: more of them say no more about a dtype */
            conv_case(cf, &conv_cases[i], QN_OP_conv, float_types[t], true, i);
            conv_case(cf, &conv_cases[i], QN_OP_conv, float_types[t], false, i);
            for (int64_t size = 2; size <= 4; size += 2) {
                struct conv_case squares = conv_cases[i];
                squares.winograd = size;
                if (is_winograd(cf->kernel))
                    conv_case(cf, &squares, QN_OP_conv, float_types[t], true, i);
            }
            struct conv_case plain = conv_cases[i];
            plain.activation = QN_ACTIVATION_NONE;
            plain.residual = false;
            conv_case(cf, &plain, QN_OP_conv_transpose, float_types[t], i % 2, i);
        }
    }
    if (cf->kernel->dtype != QN_DTYPE_NONE)
        return;
    for (int t = 0; t < 4; t++) {
        deform_case(cf, float_types[t]);
        col2im_case(cf, float_types[t]);
    }
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Every weight stands in the packed form once, and beside them are zeros. What stands where, the kernels' cases say. */
static void pack_case(struct cf *cf, const struct conv_case *k, uint16_t op)
{
    struct qn_window w = window_of(k, op == QN_OP_conv_transpose);
    struct qn_conv_params conv = {
        .op = op, .window = w, .batch = 1, .c = k->c, .o = k->o, .groups = k->groups, .w_dtype = QN_DTYPE_F32};
    int64_t floats = qn_conv_packed_bytes(&conv, cf->kernel->pack) / 4, at = 0;
    int64_t n = k->o * k->c / k->groups * w.kernel[0] * w.kernel[1] * w.kernel[2];
    struct cf_tensor weights = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 1, &n);
    struct cf_tensor to = cf_tensor(QN_DTYPE_F32, 0, 1, &floats);
    cf_fill(&weights, 0.5, 1);
    struct qn_conv_pack_params p = {.conv = conv, .from = weights.view.data, .to = to.view.data};
    cf_run(cf, &p, (const struct qn_view *[]){&to.view}, 1);
    float *from = weights.view.data, *got = to.view.data;
    qsort(from, (size_t)n, sizeof *from, by_value);
    qsort(got, (size_t)floats, sizeof *got, by_value);
    for (; at < floats - n && got[at] == 0; at++)
        ;
    if (at != floats - n || memcmp(got + at, from, (size_t)n * sizeof *from) != 0)
        cf_fail(cf, "the weights are not all there, or not alone");
    cf_ran(cf, "pack_conv", QN_DTYPE_F32);
    cf_release(&weights);
    cf_release(&to);
}

/* Each point of a pair of channels is the product of what the point makes of the rows and of the columns. */
static void pack_winograd_case(struct cf *cf, int64_t c, int64_t o, int64_t size)
{
    static const double points[2][6] = {{0, 1, -1}, {0, M_SQRT1_2, -M_SQRT1_2, M_SQRT2, -M_SQRT2}};
    static const double divisors[2][6] = {{1, 2, 2}, {1, -1.5, -1.5, 6, 6}};
    int64_t edge = size + 2, n = c * o * 9, lanes = cf->kernel->pack == QN_PACK_WINOGRAD_16 ? 16 : 8;
    struct qn_conv_params conv = {
        .op = QN_OP_conv, .c = c, .o = o, .groups = 1, .winograd = size, .w_dtype = QN_DTYPE_F32};
    conv.window = window_of(&(struct conv_case){.in = {1, 3, 3}, .kernel = {1, 3, 3}}, false);
    int64_t floats = qn_conv_packed_bytes(&conv, cf->kernel->pack) / 4, at = 0;
    struct cf_tensor weights = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 1, &n);
    struct cf_tensor to = cf_tensor(QN_DTYPE_F32, 0, 1, &floats);
    cf_case(cf, "winograd %d, %d to %d channels", (int)size, (int)c, (int)o);
    cf_fill(&weights, -1, 1);
    struct qn_conv_pack_params p = {.conv = conv, .from = weights.view.data, .to = to.view.data};
    cf_run(cf, &p, (const struct qn_view *[]){&to.view}, 1);
    double rows[6][3], *want = calloc((size_t)floats, sizeof *want);
    for (int64_t i = 0; i < edge; i++)
        for (int k = 0; k < 3; k++)
            rows[i][k] = i + 1 == edge ? k == 2 : pow(points[size / 4][i], k) / divisors[size / 4][i];
    for (int64_t first = 0, width; first < o; first += width) {
        width = o - first > lanes ? 2 * lanes : lanes;
        for (int64_t point = 0; point < edge * edge; point++)
            for (int64_t i = 0; i < c; i++)
                for (int64_t j = first; j < first + width; j++, at++)
                    for (int64_t tap = 0; tap < 9 && j < o; tap++)
                        want[at] += rows[point / edge][tap / 3] * rows[point % edge][tap % 3] *
                                    (double)((const float *)weights.view.data)[(j * c + i) * 9 + tap];
    }
    cf_check(cf, &to, want, 1e-6, 1e-6);
    cf_ran(cf, "pack_winograd", QN_DTYPE_F32);
    free(want);
    cf_release(&weights);
    cf_release(&to);
}

void cf_pack_conv(struct cf *cf)
{
    if (is_winograd(cf->kernel)) {
        for (int64_t size = 2; size <= 4; size += 2) {
            pack_winograd_case(cf, 1, 1, size);
            pack_winograd_case(cf, 19, 53, size);
        }
        return;
    }
    for (size_t i = 0; i < sizeof conv_cases / sizeof conv_cases[0]; i++) {
        cf_case(cf, "number %d", (int)i);
        pack_case(cf, &conv_cases[i], QN_OP_conv);
        cf_case(cf, "number %d, transposed", (int)i);
        pack_case(cf, &conv_cases[i], QN_OP_conv_transpose);
    }
}

/* ---- pooling --------------------------------------------------------------------------------------------------- */

static double pooled(const struct qn_pool_params *p, const double *plane, int64_t pixel, int64_t *index)
{
    const struct qn_window *w = &p->window;
    int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2], inside = 0, padded = 0, at[3], t[3];
    double sum = 0, most = -INFINITY, power = (double)p->p;
    position(w->out, pixel, at);
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t from = under(w, pixel, tap);
        bool counts = true;
        position(w->kernel, tap, t);
        for (int i = 0; i < 3; i++)
            counts &= at[i] * w->stride[i] + t[i] * w->dilation[i] - w->begin[i] < w->in[i] + w->end[i];
        padded += counts;
        if (from < 0)
            continue;
        inside++;
        sum += p->op == QN_OP_lp_pool ? pow(fabs(plane[from]), power) : plane[from];
        if (plane[from] > most) {
            most = plane[from];
            *index = from;
        }
    }
    if (p->op == QN_OP_lp_pool)
        return pow(sum, 1 / power);
    if (p->op == QN_OP_avg_pool)
        return inside ? sum / (double)(p->count_padding ? padded : inside) : 0;
    return most;
}

static void pool_case(struct cf *cf, uint16_t op, qn_dtype dtype, bool last, int number, int64_t c)
{
    static const struct qn_window windows[] = {
        {{1, 9, 11}, {1, 5, 6}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
        {{3, 5, 6}, {2, 3, 3}, {2, 3, 2}, {1, 1, 2}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
        {{1, 7, 8}, {1, 4, 4}, {1, 2, 3}, {1, 2, 2}, {1, 1, 2}, {0, 0, 2}, {0, 1, 1}},
        {{1, 6, 20}, {1, 6, 20}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    };
    const struct qn_window *w = &windows[number % 4];
    int64_t n = 2, in = w->in[0] * w->in[1] * w->in[2], out = w->out[0] * w->out[1] * w->out[2];
    bool indices = op == QN_OP_max_pool_indices;
    cf_case(cf, "%s %s number %d%s, %d channels", qn_op_info(op)->name, qn_dtype_name(dtype), number,
            last ? ", channels last" : "", (int)c);
    struct image x = image(dtype, last, CF_CONTIGUOUS, n, c, w->in);
    struct image y = image(dtype, last, number % 2 ? CF_PADDED : CF_CONTIGUOUS, n, c, w->out);
    struct image at = image(QN_DTYPE_I64, last, CF_CONTIGUOUS, n, c, w->out);
    cf_fill(&x.tensor, qn_element_is_float(dtype) ? -1 : 0, qn_element_is_float(dtype) ? 1 : 100);
    struct qn_pool_params p = {.op = op, .window = *w, .batch = n, .c = c, .x = x.pixels, .y = y.pixels};
    p.count_padding = number & 1;
    p.column_major = number == 3;
    p.p = number % 3 + 1;
    if (indices)
        p.indices = at.pixels;
    if (!cf->kernel->fits || cf->kernel->fits(&p)) {
        cf_run(cf, &p, (const struct qn_view *[]){&y.tensor.view}, 1);
        double *v = planes(&x, last, n, c, in), *want = malloc((size_t)(n * c * out) * sizeof *want);
        double *where = malloc((size_t)(n * c * out) * sizeof *where);
        assert(want && where);
        for (int64_t i = 0; i < n * c * out; i++) {
            int64_t index = 0, spot[3];
            want[i] = pooled(&p, v + i / out * in, i % out, &index);
            position(w->in, index, spot);
            if (p.column_major)
                index = spot[0] + w->in[0] * (spot[1] + w->in[1] * spot[2]);
            where[i] = (double)(i / out * in + index);
        }
        double *stored = as_stored(want, last, n, c, out), *spots = as_stored(where, last, n, c, out);
        double room = dtype == QN_DTYPE_F64 ? 1e-14 : cf_rounding(dtype) + 1e-6;
        cf_check(cf, &y.tensor, stored, room, room);
        if (indices)
            cf_check(cf, &at.tensor, spots, 0, 0);
        cf_ran(cf, qn_op_info(op)->name, dtype);
        free(v);
        free(want);
        free(where);
        free(stored);
        free(spots);
    }
    cf_release(&x.tensor);
    cf_release(&y.tensor);
    cf_release(&at.tensor);
}

void cf_pool(struct cf *cf)
{
    static const qn_dtype max_types[] = {QN_DTYPE_F32,  QN_DTYPE_F64, QN_DTYPE_F16,
                                         QN_DTYPE_BF16, QN_DTYPE_I8,  QN_DTYPE_U8};
    static const int64_t channels[] = {3, 16, 37, 64};
    for (int number = 0; number < 4; number++) {
        for (int last = 0; last < 2; last++) {
            for (int t = 0; t < 6; t++) {
                if (cf->kernel->dtype != QN_DTYPE_NONE && cf->kernel->dtype != max_types[t])
                    continue;
                pool_case(cf, QN_OP_max_pool, max_types[t], last, number, channels[(number + t) % 4]);
                pool_case(cf, QN_OP_max_pool_indices, max_types[t], last, number, channels[(number + t) % 4]);
                if (t < 4) {
                    pool_case(cf, QN_OP_avg_pool, max_types[t], last, number, channels[(number + t + 1) % 4]);
                    pool_case(cf, QN_OP_lp_pool, max_types[t], last, number, channels[(number + t + 2) % 4]);
                }
            }
        }
    }
}

/* ---- reading between elements ---------------------------------------------------------------------------------- */

/* Linear interpolation at half pixels of a [3, 4, 5] to [3, 7, 9] by hand. */
static void resize_case(struct cf *cf, qn_dtype dtype, int32_t mode, int number)
{
    int64_t in[] = {3, 4, 5}, out[] = {3, 7, 9};
    cf_case(cf, "resize %s mode %d number %d", qn_dtype_name(dtype), mode, number);
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 3, in);
    struct cf_tensor y = cf_tensor(dtype, (number + 1) % CF_LAYOUTS, 3, out);
    bool whole = dtype == QN_DTYPE_I8 || dtype == QN_DTYPE_U8; /* sums are rounded */
    cf_fill(&x, whole ? 0 : -1, whole ? 100 : 1);
    struct qn_image_params p = {.op = QN_OP_resize};
    p.resize = (struct qn_resize_params){.x = x.view, .y = y.view, .mode = mode, .cubic_a = -0.75};
    for (int i = 0; i < 3; i++)
        p.resize.axes[i] = (struct qn_resize_axis){.in = in[i], .out = out[i], .scale = (double)out[i] / (double)in[i]};
    if (cf->kernel->fits && !cf->kernel->fits(&p)) {
        cf_release(&x);
        cf_release(&y);
        return;
    }
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *v = cf_values(&x.view), want[3 * 7 * 9];
    for (int64_t i = 0; i < 3 * 7 * 9; i++) {
        double spot[2] = {((double)(i / 9 % 7) + 0.5) * 4 / 7 - 0.5, ((double)(i % 9) + 0.5) * 5 / 9 - 0.5}, sum = 0;
        for (int64_t row = -1; row < 5; row++) { /* beyond an edge, its element again */
            for (int64_t column = -1; column < 6; column++) {
                double near = fmax(0, 1 - fabs(spot[0] - (double)row)) * fmax(0, 1 - fabs(spot[1] - (double)column));
                if (mode == 0) /* halves go down */
                    near = ceil(spot[0] - 0.5) == (double)row && ceil(spot[1] - 0.5) == (double)column;
                int64_t r = row < 0 ? 0 : row > 3 ? 3 : row, c = column < 0 ? 0 : column > 4 ? 4 : column;
                sum += near * v[i / 63 * 20 + r * 5 + c];
            }
        }
        want[i] = sum;
    }
    double room = whole ? 0.5 + 1e-6 : dtype == QN_DTYPE_F64 ? 1e-12 : cf_rounding(dtype) + 1e-6;
    cf_check(cf, &y, want, whole ? 0 : room, room);
    cf_ran(cf, "resize", dtype);
    free(v);
    cf_release(&x);
    cf_release(&y);
}

/* The fast kernels against the generic one: every mode and way to number positions, with and without antialiasing, the
 * last axis resized and not. */
static void resize_cases(struct cf *cf)
{
    static const int64_t in[] = {2, 5, 7, 70}, outs[][4] = {{2, 11, 4, 70}, {2, 5, 9, 133}, {3, 3, 16, 24}};
    for (int number = 0; number < 3 * 3 * 6 * 2; number++) {
        int mode = number % 3, coordinates = number / 9 % 6;
        const int64_t *out = outs[number / 3 % 3];
        cf_case(cf, "resize number %d, mode %d, coordinates %d", number, mode, coordinates);
        struct cf_tensor x = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 4, in), y = cf_tensor(QN_DTYPE_F32, 0, 4, out);
        struct cf_tensor plain = cf_tensor(QN_DTYPE_F32, 0, 4, out);
        cf_fill(&x, -1, 1);
        struct qn_image_params p = {.op = QN_OP_resize};
        p.resize = (struct qn_resize_params){.x = x.view,
                                             .y = y.view,
                                             .mode = mode,
                                             .coordinates = coordinates,
                                             .rounding = number % 4,
                                             .cubic_a = -0.5,
                                             .outside = 3,
                                             .antialias = number >= 54 && mode > 0,
                                             .exclude_outside = mode == 2 && number % 2};
        for (int i = 0; i < 4; i++)
            p.resize.axes[i] = (struct qn_resize_axis){
                .in = in[i], .out = out[i], .scale = (double)out[i] / (double)in[i], .roi_begin = -0.1, .roi_end = 0.9};
        if (cf->kernel->fits(&p)) {
            cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
            p.resize.y = plain.view;
            cf_run_all(&qn_image_ref, &p);
            double *want = cf_values(&plain.view);
            cf_check(cf, &y, want, 1e-6, 2e-6);
            cf_ran(cf, "resize", QN_DTYPE_F32);
            free(want);
        }
        cf_release(&x);
        cf_release(&y);
        cf_release(&plain);
    }
}

/* Bilinear, zeros outside, corners not aligned. */
static void grid_sample_case(struct cf *cf, qn_dtype dtype, int number)
{
    int64_t in[] = {2, 3, 4, 5}, at[] = {2, 3, 6, 2}, out[] = {2, 3, 3, 6};
    cf_case(cf, "grid_sample %s number %d", qn_dtype_name(dtype), number);
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 4, in),
                     y = cf_tensor(dtype, (number + 1) % CF_LAYOUTS, 4, out);
    struct cf_tensor grid = cf_tensor(QN_DTYPE_F32, number % CF_LAYOUTS, 4, at);
    cf_fill(&x, -1, 1);
    cf_fill(&grid, -1.3, 1.3);
    struct qn_image_params p = {.op = QN_OP_grid_sample};
    p.grid_sample = (struct qn_grid_sample_params){.x = x.view, .grid = grid.view, .y = y.view, .mode = 1};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *v = cf_values(&x.view), *g = cf_values(&grid.view), want[2 * 3 * 18];
    for (int64_t i = 0; i < 2 * 3 * 18; i++) {
        const double *spot = g + (i / 54 * 18 + i % 18) * 2;
        double column = ((spot[0] + 1) * 5 - 1) / 2, row = ((spot[1] + 1) * 4 - 1) / 2;
        want[i] = 0;
        for (int64_t k = 0; k < 20; k++)
            want[i] += fmax(0, 1 - fabs(row - (double)(k / 5))) * fmax(0, 1 - fabs(column - (double)(k % 5))) *
                       v[i / 18 * 20 + k];
    }
    double room = dtype == QN_DTYPE_F64 ? 1e-12 : cf_rounding(dtype) + 1e-6;
    cf_check(cf, &y, want, room, room);
    cf_ran(cf, "grid_sample", dtype);
    free(v);
    free(g);
    cf_release(&x);
    cf_release(&y);
    cf_release(&grid);
}

/* A plane's value is its position: the mean over a bin is its middle. */
static void roi_align_case(struct cf *cf, qn_dtype dtype)
{
    int64_t in[] = {1, 2, 8, 8}, count = 2, four[] = {2, 4}, out[] = {2, 2, 2, 2};
    cf_case(cf, "roi_align %s", qn_dtype_name(dtype));
    struct cf_tensor x = cf_tensor(dtype, CF_CONTIGUOUS, 4, in), y = cf_tensor(dtype, CF_PADDED, 4, out);
    struct cf_tensor rois = cf_tensor(dtype, CF_CONTIGUOUS, 2, four), batch = cf_tensor(QN_DTYPE_I64, 0, 1, &count);
    double values[128], regions[8] = {1, 1, 5, 5, 2, 0, 4, 6}, zero[2] = {0, 0}, want[16];
    for (int i = 0; i < 128; i++)
        values[i] = i < 64 ? i / 8 : i % 8;
    cf_set(&x, values);
    cf_set(&rois, regions);
    cf_set(&batch, zero);
    struct qn_image_params p = {.op = QN_OP_roi_align};
    p.roi_align = (struct qn_roi_align_params){
        .x = x.view, .rois = rois.view, .batch_indices = batch.view, .y = y.view, .sampling = 2, .scale = 1};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    for (int i = 0; i < 16; i++) {
        const double *r = regions + i / 8 * 4;
        double row = r[1] + (r[3] - r[1]) * (i / 2 % 2 + 0.5) / 2, column = r[0] + (r[2] - r[0]) * (i % 2 + 0.5) / 2;
        want[i] = i / 4 % 2 ? column : row;
    }
    double room = dtype == QN_DTYPE_F64 ? 1e-12 : cf_rounding(dtype) + 1e-6;
    cf_check(cf, &y, want, room, room);
    cf_ran(cf, "roi_align", dtype);
    cf_release(&x);
    cf_release(&y);
    cf_release(&rois);
    cf_release(&batch);
}

void cf_image(struct cf *cf)
{
    if (cf->kernel->dtype == QN_DTYPE_F32) {
        resize_cases(cf);
        for (int number = 0; number < CF_LAYOUTS; number++)
            resize_case(cf, QN_DTYPE_F32, number % 2, number);
        return;
    }
    resize_case(cf, QN_DTYPE_I8, 1, 0);
    resize_case(cf, QN_DTYPE_U8, 1, 1);
    for (int t = 0; t < 4; t++) {
        for (int number = 0; number < CF_LAYOUTS; number++) {
            resize_case(cf, float_types[t], number % 2, number);
            resize_case(cf, float_types[t], 1, number);
            grid_sample_case(cf, float_types[t], number);
        }
        roi_align_case(cf, float_types[t]);
    }
}

/* ---- group_norm ------------------------------------------------------------------------------------------------ */

static void group_norm_case(struct cf *cf, qn_dtype dtype, bool last, int64_t c, int64_t groups, int64_t pixels)
{
    int64_t n = 2, dims[] = {n, last ? pixels : c, last ? c : pixels}, per = c / groups * pixels;
    cf_case(cf, "%s%s, %d channels in %d groups, %d pixels", qn_dtype_name(dtype), last ? ", channels last" : "",
            (int)c, (int)groups, (int)pixels);
    struct cf_tensor x = cf_tensor(dtype, CF_CONTIGUOUS, 3, dims), y = cf_tensor(dtype, CF_CONTIGUOUS, 3, dims);
    struct cf_tensor w = cf_tensor(dtype, CF_CONTIGUOUS, 1, &c), b = cf_tensor(dtype, CF_CONTIGUOUS, 1, &c);
    cf_fill(&x, -1, 3);
    cf_fill(&w, 0.5, 2);
    cf_fill(&b, -1, 1);
    struct qn_group_norm_params p = {.batch = n,
                                     .c = c,
                                     .pixels = pixels,
                                     .groups = groups,
                                     .x = x.view.data,
                                     .y = y.view.data,
                                     .dtype = dtype,
                                     .batch_stride = c * pixels,
                                     .channel_stride = last ? 1 : pixels,
                                     .pixel_stride = last ? c : 1,
                                     .weight = w.view,
                                     .bias = b.view,
                                     .epsilon = 1e-5f};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *raw = cf_values(&x.view), *wv = cf_values(&w.view), *bv = cf_values(&b.view);
    for (int64_t g = 0; g < n * groups; g++) {
        double mean = 0, square = 0;
        for (int pass = 0; pass < 3; pass++) {
            for (int64_t i = 0; i < per; i++) {
                int64_t channel = g % groups * (c / groups) + i / pixels, pixel = i % pixels;
                double *v = &raw[g / groups * c * pixels + (last ? pixel * c + channel : channel * pixels + pixel)];
                if (pass == 0)
                    mean += *v / (double)per;
                else if (pass == 1)
                    square += (*v - mean) * (*v - mean) / (double)per;
                else
                    *v = (*v - mean) / sqrt(square + (double)1e-5f) * wv[channel] + bv[channel];
            }
        }
    }
    double room = dtype == QN_DTYPE_F64 ? 1e-12 : cf_rounding(dtype) + 2e-6;
    cf_check(cf, &y, raw, room, room);
    cf_ran(cf, "group_norm", dtype);
    free(raw);
    free(wv);
    free(bv);
    cf_release(&x);
    cf_release(&y);
    cf_release(&w);
    cf_release(&b);
}

void cf_group_norm(struct cf *cf)
{
    static const int64_t sizes[][3] = {{6, 3, 35}, {32, 32, 300}, {32, 1, 17}, {40, 5, 64}, {64, 2, 1}, {210, 2, 150}};
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < 6; i++)
            for (int last = 0; last < 2; last++)
                if (cf->kernel->dtype == QN_DTYPE_NONE || cf->kernel->dtype == float_types[t])
                    group_norm_case(cf, float_types[t], last, sizes[i][0], sizes[i][1], sizes[i][2]);
}

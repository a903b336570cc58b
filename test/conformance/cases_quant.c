/* GEMM, INTEGER_GEMM, INTEGER_CONV, QUANTIZE, Q_ADD and the packing of their weights. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "kernels/activation.h"
#include "kernels/element.h"
#include "kernels/gemm/gemm.h"
#include "kernels/integer_conv/integer_conv.h"
#include "kernels/q_add/q_add.h"
#include "kernels/quantize/quantize.h"

static void pack(enum qn_pack form, const void *params)
{
    for (uint32_t i = 0; i < qn_kernel_count; i++)
        if (qn_kernels[i]->family == QN_FAMILY_PACK && qn_kernels[i]->pack == form)
            cf_run_all(qn_kernels[i], params);
}

static void *bytes_for(int64_t bytes)
{
    void *p = aligned_alloc(64, ((size_t)bytes + 127) / 64 * 64);
    assert(p);
    return p;
}

/* ---- gemm ----------------------------------------------------------------------------------------------------- */

static void gemm_case(struct cf *cf, qn_dtype dtype, int64_t m, int64_t n, int64_t k, int number)
{
    static const int32_t kinds[] = {QN_ACTIVATION_NONE, QN_ACTIVATION_RELU, QN_ACTIVATION_GELU_ERF, QN_ACTIVATION_CLIP,
                                    QN_ACTIVATION_ELU};
    cf_case(cf, "gemm %s m %lld n %lld k %lld number %d", qn_dtype_name(dtype), (long long)m, (long long)n,
            (long long)k, number);
    bool transposed = number & 1;
    int64_t a_dims[] = {m, k}, b_dims[] = {transposed ? n : k, transposed ? k : n}, n_dims[] = {n}, y_dims[] = {m, n};
    struct cf_tensor a = cf_tensor(QN_DTYPE_F32, CF_PADDED, 2, a_dims), b = cf_tensor(dtype, number & 2, 2, b_dims);
    struct cf_tensor bias = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 1, n_dims);
    struct cf_tensor y = cf_tensor(QN_DTYPE_F32, CF_PADDED, 2, y_dims);
    cf_fill(&a, -1, 1);
    cf_fill(&b, -1, 1);
    cf_fill(&bias, -1, 1);
    int64_t unit = qn_element_bytes(dtype);
    struct qn_gemm_params p = {.a = a.view.data,
                               .a_stride = a.view.strides[0],
                               .b = b.view.data,
                               .b_dtype = dtype,
                               .b_k = b.view.strides[transposed ? 1 : 0] * unit,
                               .b_n = b.view.strides[transposed ? 0 : 1] * unit,
                               .y = y.view.data,
                               .y_stride = y.view.strides[0],
                               .bias = number % 3 ? bias.view.data : NULL,
                               .m = m,
                               .n = n,
                               .k = k,
                               .activation = kinds[number % 5],
                               .alpha = 0.5f,
                               .beta = 3};
    if (number % 4 == 3) {
        cf_fill(&y, -2, 2);
        p.residual = p.y;
    }
    double *want = cf_values(&y.view), *av = cf_values(&a.view), *bv = cf_values(&b.view),
           *biases = cf_values(&bias.view);
    for (int64_t i = 0; i < m * n; i++) {
        int64_t row = i / n, column = i % n;
        double sum = (p.bias ? biases[column] : 0) + (p.residual ? want[i] : 0);
        for (int64_t j = 0; j < k; j++)
            sum += av[row * k + j] * bv[transposed ? column * k + j : j * n + column];
        want[i] = qn_activate(p.activation, (double)p.alpha, (double)p.beta, sum);
    }
    void *packed = NULL;
    if (cf->kernel->pack) {
        packed = bytes_for(qn_gemm_packed_bytes(k, n, unit));
        struct qn_gemm_pack_params form = {p.b, k, n, p.b_k, p.b_n, unit, packed};
        pack(cf->kernel->pack, &form);
        p.b = packed;
    }
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    cf_check(cf, &y, want, 2e-6, 1e-6 * (sqrt((double)k) + 1) * 4);
    cf_ran(cf, "gemm", dtype);
    free(packed);
    free(want);
    free(av);
    free(bv);
    free(biases);
    cf_release(&a);
    cf_release(&b);
    cf_release(&bias);
    cf_release(&y);
}

void cf_gemm(struct cf *cf)
{
    static const qn_dtype dtypes[] = {QN_DTYPE_F32, QN_DTYPE_F16, QN_DTYPE_BF16};
    static const int64_t sizes[][3] = {{1, 1, 1},     {1, 300, 70},   {2, 33, 0},
                                       {13, 31, 300}, {160, 140, 20}, {25, 64, 520}};
    for (int d = 0; d < 3; d++) {
        if (cf->kernel->dtype != QN_DTYPE_NONE && cf->kernel->dtype != dtypes[d])
            continue;
        for (int number = 0; number < 30; number++)
            gemm_case(cf, dtypes[d], sizes[number % 6][0], sizes[number % 6][1], sizes[number % 6][2], number);
    }
}

/* ---- integer products and convolutions ------------------------------------------------------------------------ */

/* A tensor's view is a matrix of bytes; an element as a number. */
static int32_t at(const struct cf_tensor *t, int64_t i)
{
    return qn_integer_byte(t->view.data, i, t->view.dtype == QN_DTYPE_I8);
}

static struct cf_tensor random_bytes(qn_dtype dtype, int64_t count)
{
    struct cf_tensor t = cf_tensor(dtype, CF_CONTIGUOUS, 1, &count);
    cf_fill(&t, dtype == QN_DTYPE_I8 ? -128 : 0, dtype == QN_DTYPE_I8 ? 127.9 : 255.9);
    return t;
}

/* What the epilogue makes of a sum, in double. */
static double finished(const struct qn_integer_out *out, int64_t column, double sum)
{
    if (out->bias && !out->bias_is_float)
        sum += ((const int32_t *)out->bias)[column];
    if (out->dtype == QN_DTYPE_I32)
        return sum;
    double x = sum * (double)*out->a_scale * (double)out->b_scale[column * out->b_scale_step];
    if (out->bias && out->bias_is_float)
        x += (double)((const float *)out->bias)[column];
    x = qn_activate(out->activation, (double)out->alpha, (double)out->beta, x);
    if (out->dtype == QN_DTYPE_F32)
        return x;
    double low = out->dtype == QN_DTYPE_I8 ? -128 : 0;
    double zero = out->y_zero ? qn_integer_byte(out->y_zero, 0, out->dtype == QN_DTYPE_I8) : 0;
    return fmin(fmax(nearbyint(x / (double)*out->y_scale) + zero, low), low + 255);
}

static const qn_dtype outputs[] = {QN_DTYPE_I32, QN_DTYPE_F32, QN_DTYPE_U8, QN_DTYPE_I8};

static struct qn_integer_out random_out(int number, float scales[3], const struct cf_tensor *b_scale,
                                        const struct cf_tensor *bias)
{
    static const int32_t kinds[] = {QN_ACTIVATION_NONE, QN_ACTIVATION_RELU, QN_ACTIVATION_CLIP};
    static const uint8_t zero = 17;
    scales[0] = 0.01f;
    scales[1] = 0.5f;
    return (struct qn_integer_out){.dtype = outputs[number % 4],
                                   .a_scale = &scales[0],
                                   .b_scale = b_scale->view.data,
                                   .b_scale_step = number / 4 % 2,
                                   .bias = number % 3 ? bias->view.data : NULL,
                                   .bias_is_float = bias->view.dtype == QN_DTYPE_F32,
                                   .y_scale = &scales[1],
                                   .y_zero = number % 5 ? &zero : NULL,
                                   .activation = kinds[number / 2 % 3],
                                   .alpha = -3,
                                   .beta = 20};
}

/* Bytes may differ by one where the scales are one factor. */
static double room_of(qn_dtype dtype)
{
    return dtype == QN_DTYPE_I32 ? 0 : dtype == QN_DTYPE_F32 ? 1e-4 : 1;
}

static void integer_gemm_case(struct cf *cf, int64_t m, int64_t n, int64_t k, int number)
{
    cf_case(cf, "integer gemm m %lld n %lld k %lld number %d", (long long)m, (long long)n, (long long)k, number);
    struct cf_tensor a = random_bytes(number & 1 ? QN_DTYPE_I8 : QN_DTYPE_U8, m * k);
    struct cf_tensor b = random_bytes(number & 2 ? QN_DTYPE_I8 : QN_DTYPE_U8, k * n);
    struct cf_tensor a_zero = random_bytes(a.view.dtype, m), b_zero = random_bytes(b.view.dtype, n);
    struct cf_tensor scale = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 1, &n);
    struct cf_tensor bias = cf_tensor(number & 8 && number % 4 ? QN_DTYPE_F32 : QN_DTYPE_I32, CF_CONTIGUOUS, 1, &n);
    struct cf_tensor y = cf_tensor(outputs[number % 4], CF_PADDED, 2, (const int64_t[]){m, n});
    cf_fill(&scale, 0.001, 0.02);
    cf_fill(&bias, -90, 90);
    float scales[3];
    struct qn_integer_gemm_params p = {.a = a.view.data,
                                       .a_stride = k,
                                       .a_signed = number & 1,
                                       .b_signed = (number & 2) != 0,
                                       .b = b.view.data,
                                       .b_k = n,
                                       .b_n = 1,
                                       .a_zero = number % 7 ? a_zero.view.data : NULL,
                                       .a_zero_step = number % 7 && number % 2,
                                       .b_zero = number % 5 ? b_zero.view.data : NULL,
                                       .b_zero_step = number % 5 && number % 3 == 0,
                                       .m = m,
                                       .n = n,
                                       .k = k,
                                       .out = random_out(number, scales, &scale, &bias)};
    p.out.y = y.view.data;
    p.out.stride = y.view.strides[0];
    double *want = calloc((size_t)(m * n + 1), sizeof *want);
    for (int64_t i = 0; i < m * n; i++) {
        int64_t row = i / n, column = i % n;
        double x = p.a_zero ? at(&a_zero, row * p.a_zero_step) : 0,
               w = p.b_zero ? at(&b_zero, column * p.b_zero_step) : 0;
        double sum = 0;
        for (int64_t j = 0; j < k; j++)
            sum += (at(&a, row * k + j) - x) * (at(&b, j * n + column) - w);
        want[i] = finished(&p.out, column, sum);
    }
    void *packed = NULL;
    if (cf->kernel->pack) {
        packed = bytes_for(qn_integer_form_bytes(cf->kernel->pack, k, n));
        struct qn_integer_pack_params form = {p.b, p.b_signed, k, n, n, 1, 1, 0, packed};
        pack(cf->kernel->pack, &form);
        p.b = packed;
    }
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    cf_check(cf, &y, want, 1e-6, room_of(p.out.dtype));
    cf_ran(cf, "integer_gemm", a.view.dtype);
    free(packed);
    free(want);
    struct cf_tensor *all[] = {&a, &b, &a_zero, &b_zero, &scale, &bias, &y};
    for (int i = 0; i < 7; i++)
        cf_release(all[i]);
}

void cf_integer_gemm(struct cf *cf)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 40, 7}, {14, 33, 66}, {100, 5, 30}, {2, 270, 129}};
    for (int number = 0; number < 40; number++)
        integer_gemm_case(cf, sizes[number % 5][0], sizes[number % 5][1], sizes[number % 5][2], number);
}

struct image {
    int64_t n, c, o, groups, in, kernel, stride, dilation, begin, end;
};

/* The sums of a case by the definition; then the kernel, on weights in its form. */
static void integer_conv_run(struct cf *cf, const struct image *s, struct qn_integer_conv_params *p,
                             const struct cf_tensor *in, struct cf_tensor *y)
{
    int64_t per_group = s->c / s->groups, taps = s->kernel * s->kernel, size = p->size[2], rows = s->n * size * size;
    double *want = calloc((size_t)(rows * s->o), sizeof *want);
    for (int64_t i = 0; i < rows * s->o; i++) {
        int64_t o = i % s->o, row = i / s->o, group = o / (s->o / s->groups);
        double sum = 0, xz = p->x_zero ? at(&in[2], 0) : 0, wz = p->w_zero ? at(&in[3], o * p->w_zero_step) : 0;
        for (int64_t t = 0; t < taps * per_group; t++) {
            int64_t c = t / taps, a = row / size % size * s->stride + t % taps / s->kernel * s->dilation - s->begin;
            int64_t b = row % size * s->stride + t % s->kernel * s->dilation - s->begin;
            if (a < 0 || a >= s->in || b < 0 || b >= s->in)
                continue;
            int64_t from =
                row / size / size * p->x_n + a * p->x_s[1] + b * p->x_s[2] + (group * per_group + c) * p->x_c;
            sum += (at(&in[0], from) - xz) * (at(&in[1], o * per_group * taps + t) - wz);
        }
        want[i] = finished(&p->out, o, sum);
    }
    void *packed = NULL;
    if (cf->kernel->pack) {
        packed = bytes_for(qn_integer_conv_packed_bytes(s->o, per_group, s->groups, taps));
        struct qn_integer_conv_pack_params form = {
            p->w, p->w_signed, qn_integer_conv_is_depthwise(s->o, per_group, s->groups), s->o, per_group, s->groups,
            taps, packed};
        pack(QN_PACK_CONV_I8, &form);
        p->w = packed;
    }
    cf_run(cf, p, (const struct qn_view *[]){&y->view}, 1);
    cf_check(cf, y, want, 1e-6, room_of(p->out.dtype));
    free(packed);
    free(want);
}

static void integer_conv_case(struct cf *cf, const struct image *s, int number)
{
    cf_case(cf, "integer conv c %lld o %lld groups %lld number %d", (long long)s->c, (long long)s->o,
            (long long)s->groups, number);
    int64_t per_group = s->c / s->groups, taps = s->kernel * s->kernel;
    int64_t size = (s->in + s->begin + s->end - (s->kernel - 1) * s->dilation - 1) / s->stride + 1;
    bool last = cf->kernel->pack || number & 1;
    struct cf_tensor x = random_bytes(number & 1 ? QN_DTYPE_I8 : QN_DTYPE_U8, s->n * s->in * s->in * s->c);
    struct cf_tensor w = random_bytes(number & 2 ? QN_DTYPE_I8 : QN_DTYPE_U8, s->o * per_group * taps);
    struct cf_tensor x_zero = random_bytes(x.view.dtype, 1), w_zero = random_bytes(w.view.dtype, s->o);
    struct cf_tensor scale = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 1, &s->o);
    struct cf_tensor bias = cf_tensor(QN_DTYPE_I32, CF_CONTIGUOUS, 1, &s->o);
    int64_t rows = s->n * size * size;
    struct cf_tensor y = cf_tensor(outputs[number % 4], CF_CONTIGUOUS, 2, (const int64_t[]){rows, s->o});
    cf_fill(&scale, 0.001, 0.02);
    cf_fill(&bias, -900, 900);
    float scales[3];
    struct qn_integer_conv_params p = {.x = x.view.data,
                                       .w = w.view.data,
                                       .x_signed = number & 1,
                                       .w_signed = (number & 2) != 0,
                                       .x_zero = number % 7 ? x_zero.view.data : NULL,
                                       .w_zero = number % 3 ? w_zero.view.data : NULL,
                                       .w_zero_step = number % 3 && number / 3 % 2,
                                       .n = s->n,
                                       .c = s->c,
                                       .o = s->o,
                                       .groups = s->groups,
                                       .in = {1, s->in, s->in},
                                       .size = {1, size, size},
                                       .kernel = {1, s->kernel, s->kernel},
                                       .strides = {1, s->stride, s->stride},
                                       .dilations = {1, s->dilation, s->dilation},
                                       .begin = {0, s->begin, s->begin},
                                       .x_n = s->in * s->in * s->c,
                                       .x_c = last ? 1 : s->in * s->in,
                                       .x_s = {0, last ? s->in * s->c : s->in, last ? s->c : 1},
                                       .y_n = size * size * s->o,
                                       .y_c = 1,
                                       .y_s = {0, size * s->o, s->o},
                                       .out = random_out(number, scales, &scale, &bias)};
    p.out.y = y.view.data;
    if (!cf->kernel->fits || cf->kernel->fits(&p)) {
        integer_conv_run(cf, s, &p, (const struct cf_tensor[]){x, w, x_zero, w_zero}, &y);
        cf_ran(cf, "integer_conv", x.view.dtype);
    }
    struct cf_tensor *all[] = {&x, &w, &x_zero, &w_zero, &scale, &bias, &y};
    for (int i = 0; i < 7; i++)
        cf_release(all[i]);
}

void cf_integer_conv(struct cf *cf)
{
    static const struct image images[] = {{1, 3, 5, 1, 9, 3, 2, 1, 1, 1},
                                          {2, 16, 40, 1, 4, 1, 1, 1, 0, 0},
                                          {1, 8, 6, 2, 6, 2, 1, 2, 1, 0},
                                          {1, 24, 24, 24, 7, 3, 1, 1, 1, 1},
                                          {2, 65, 65, 65, 5, 3, 2, 1, 1, 1}};
    static const struct image squares = {2, 20, 40, 1, 13, 3, 1, 1, 1, 1}; /* for kernels that do only such */
    for (int number = 0; number < 40; number++)
        integer_conv_case(cf, &images[number % 5], number);
    for (int number = 0; number < 12; number++)
        integer_conv_case(cf, &squares, number);
}

/* ---- quantisation --------------------------------------------------------------------------------------------- */

static void quantize_case(struct cf *cf, qn_dtype wide, qn_dtype narrow, bool forward, int number)
{
    int64_t outer = 3, axis = 6, inner = number % 3 ? 37 : 1, block = number % 4 == 3 ? 4 : 1;
    int64_t groups = (axis + block - 1) / block, count = outer * axis * inner;
    int64_t scale_count = number % 4 == 0 ? 1 : number % 4 == 3 ? outer * groups * inner : axis;
    cf_case(cf, "%s %s %s number %d", forward ? "quantize to" : "dequantize from", qn_dtype_name(narrow),
            qn_dtype_name(wide), number);
    struct cf_tensor x = cf_tensor(forward ? wide : narrow, CF_CONTIGUOUS, 1, &count);
    struct cf_tensor y = cf_tensor(forward ? narrow : wide, CF_CONTIGUOUS, 1, &count);
    struct cf_tensor scale = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 1, &scale_count);
    struct cf_tensor zero = cf_tensor(narrow, CF_CONTIGUOUS, 1, &scale_count);
    bool is_float = qn_element_is_float(narrow), is_unsigned = qn_element_is_unsigned(narrow);
    int bits = narrow == QN_DTYPE_I4 || narrow == QN_DTYPE_U4 ? 4 : (int)qn_element_bytes(narrow) * 8;
    double low = is_unsigned ? 0 : -ldexp(1, bits - 1), high = low + ldexp(1, bits) - 1;
    if (is_float)
        low = -(high = 300);
    cf_fill(&x, forward ? -9 : low, forward ? 9 : high + 0.9);
    cf_fill(&scale, 0.02, 0.3);
    cf_fill(&zero, is_float ? 0 : low / 2, is_float ? 0 : high / 2);
    struct qn_quantize_params p = {.mode = forward ? QN_QUANTIZE : QN_DEQUANTIZE,
                                   .x = x.view.data,
                                   .scale = scale.view.data,
                                   .zero = number % 5 ? zero.view.data : NULL,
                                   .y = y.view.data,
                                   .x_dtype = x.view.dtype,
                                   .y_dtype = y.view.dtype,
                                   .scale_dtype = QN_DTYPE_F32,
                                   .zero_dtype = narrow,
                                   .outer = outer,
                                   .axis = axis,
                                   .inner = inner,
                                   .block = block,
                                   .scale_outer = number % 4 == 3 ? groups * inner : 0,
                                   .scale_axis = number % 4 == 0   ? 0
                                                 : number % 4 == 3 ? inner
                                                                   : 1,
                                   .scale_inner = number % 4 == 3};
    double *xs = cf_values(&x.view), *scales = cf_values(&scale.view), *zeros = cf_values(&zero.view);
    double *want = calloc((size_t)count, sizeof *want);
    for (int64_t i = 0; i < count; i++) {
        int64_t s =
            i / inner / axis * p.scale_outer + i / inner % axis / block * p.scale_axis + i % inner * p.scale_inner;
        double z = p.zero ? zeros[s] : 0;
        if (!forward)
            want[i] = (double)((float)(xs[i] - z) * (float)scales[s]);
        else if (is_float)
            want[i] = (double)((float)xs[i] / (float)scales[s]);
        else
            want[i] = fmin(fmax(nearbyint((double)((float)xs[i] / (float)scales[s])) + z, low), high);
    }
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    bool rounds = forward ? is_float : wide != QN_DTYPE_F32;
    double room = !rounds ? 0 : forward ? 0.13 : cf_rounding(wide);
    cf_check(cf, &y, want, room, rounds && forward ? 0.02 : 0);
    cf_ran(cf, forward ? "quantize" : "dequantize", narrow);
    free(xs);
    free(scales);
    free(zeros);
    free(want);
    cf_release(&x);
    cf_release(&y);
    cf_release(&scale);
    cf_release(&zero);
}

/* Both calls of dynamic_quantize; the output of the second is checked. */
static void dynamic_case(struct cf *cf, int64_t count, double low, double high)
{
    cf_case(cf, "dynamic quantize %lld from %g to %g", (long long)count, low, high);
    struct cf_tensor x = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 1, &count), y = cf_tensor(QN_DTYPE_U8, 0, 1, &count);
    cf_fill(&x, low, high);
    float scale = 0;
    uint8_t zero = 0;
    struct qn_quantize_params p = {.mode = QN_QUANTIZE_RANGE,
                                   .x = x.view.data,
                                   .x_dtype = QN_DTYPE_F32,
                                   .outer = 1,
                                   .axis = 1,
                                   .inner = count,
                                   .block = 1};
    p.shared = malloc((size_t)qn_quantize_tiles(&p) * 8);
    cf_run_all(cf->kernel, &p);
    p.mode = QN_QUANTIZE_DYNAMIC;
    p.y = y.view.data;
    p.y_scale = &scale;
    p.y_zero = &zero;
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *xs = cf_values(&x.view), *want = calloc((size_t)count, sizeof *want), least = 0, most = 0;
    for (int64_t i = 0; i < count; i++) {
        least = fmin(least, xs[i]);
        most = fmax(most, xs[i]);
    }
    float step = most > least ? ((float)most - (float)least) / 255 : 1;
    double middle = fmin(fmax(nearbyint((double)(-(float)least / step)), 0), 255);
    for (int64_t i = 0; i < count; i++)
        want[i] = fmin(fmax(nearbyint((double)((float)xs[i] / step)) + middle, 0), 255);
    if (scale != step || (double)zero != middle)
        cf_fail(cf, "scale %g and zero point %d, not %g and %g", (double)scale, zero, (double)step, middle);
    cf_check(cf, &y, want, 0, 0);
    cf_ran(cf, "dynamic_quantize", QN_DTYPE_F32);
    free(p.shared);
    free(xs);
    free(want);
    cf_release(&x);
    cf_release(&y);
}

void cf_quantize(struct cf *cf)
{
    static const qn_dtype narrow[] = {QN_DTYPE_U8, QN_DTYPE_I8, QN_DTYPE_U16,      QN_DTYPE_I16,
                                      QN_DTYPE_U4, QN_DTYPE_I4, QN_DTYPE_F8E4M3FN, QN_DTYPE_F8E5M2};
    static const qn_dtype wide[] = {QN_DTYPE_F32, QN_DTYPE_F16};
    for (int number = 0; number < 12; number++)
        for (int d = 0; d < 8; d++) {
            quantize_case(cf, wide[number == 5], narrow[d], true, number);
            quantize_case(cf, wide[number == 5], narrow[d], false, number);
        }
    dynamic_case(cf, 1, 2, 2);
    dynamic_case(cf, 20000, -3, 5);
    dynamic_case(cf, 77, 1, 5);
    dynamic_case(cf, 77, -5, -1);
    dynamic_case(cf, 50, 0, 0);
}

void cf_q_add(struct cf *cf)
{
    for (int number = 0; number < 16; number++) {
        int64_t n = number % 3 ? 1000 + number : 40000;
        qn_dtype at_ = number & 1 ? QN_DTYPE_I8 : QN_DTYPE_U8, bt = number & 2 ? QN_DTYPE_I8 : QN_DTYPE_U8;
        qn_dtype yt = number & 4 ? QN_DTYPE_I8 : QN_DTYPE_U8;
        cf_case(cf, "q_add of %lld number %d", (long long)n, number);
        struct cf_tensor a = random_bytes(at_, n), b = random_bytes(bt, n), y = random_bytes(yt, n);
        struct cf_tensor zeros[3] = {random_bytes(at_, 1), random_bytes(bt, 1), random_bytes(yt, 1)};
        float scales[3] = {0.02f, 0.035f, 0.05f};
        struct qn_q_add_params p = {.a = a.view.data,
                                    .b = b.view.data,
                                    .y = y.view.data,
                                    .n = n,
                                    .a_signed = number & 1,
                                    .b_signed = (number & 2) != 0,
                                    .y_signed = (number & 4) != 0,
                                    .relu = (number & 8) != 0,
                                    .a_scale = &scales[0],
                                    .b_scale = &scales[1],
                                    .y_scale = &scales[2],
                                    .a_zero = zeros[0].view.data,
                                    .b_zero = zeros[1].view.data,
                                    .y_zero = zeros[2].view.data};
        double *want = calloc((size_t)n, sizeof *want), low = p.y_signed ? -128 : 0;
        for (int64_t i = 0; i < n; i++) {
            double x = (at(&a, i) - at(&zeros[0], 0)) * (double)scales[0];
            x += (at(&b, i) - at(&zeros[1], 0)) * (double)scales[1];
            x = p.relu && x < 0 ? 0 : x;
            want[i] = fmin(fmax(nearbyint(x / (double)scales[2]) + at(&zeros[2], 0), low), low + 255);
        }
        cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
        cf_check(cf, &y, want, 0, 1);
        if (cf->kernel->needs) { /* the generic kernel's very bits */
            struct cf_tensor same = random_bytes(yt, n);
            p.y = same.view.data;
            cf_run_all(qn_kernel_select(QN_FAMILY_Q_ADD, QN_DTYPE_NONE, -1, 0), &p);
            for (int64_t i = 0; i < n; i++)
                want[i] = at(&same, i);
            cf_check(cf, &y, want, 0, 0);
            cf_release(&same);
        }
        cf_ran(cf, "q_add", at_);
        free(want);
        struct cf_tensor *all[] = {&a, &b, &y, &zeros[0], &zeros[1], &zeros[2]};
        for (int i = 0; i < 6; i++)
            cf_release(all[i]);
    }
}

/* ---- packing -------------------------------------------------------------------------------------------------- */

/* Every weight stands in its panel, and behind the last column are zeros. */
static void pack_floats(struct cf *cf, int64_t k, int64_t n, bool transposed)
{
    qn_dtype dtype = cf->kernel->pack == QN_PACK_PANELS_F32 ? QN_DTYPE_F32 : QN_DTYPE_F16;
    int64_t unit = qn_element_bytes(dtype), panels = (n + QN_GEMM_PANEL - 1) / QN_GEMM_PANEL;
    cf_case(cf, "panels of k %lld n %lld", (long long)k, (long long)n);
    struct cf_tensor b = cf_tensor(dtype, CF_PADDED, 2, (const int64_t[]){transposed ? n : k, transposed ? k : n});
    struct cf_tensor to = cf_tensor(dtype, CF_CONTIGUOUS, 3, (const int64_t[]){panels, k, QN_GEMM_PANEL});
    cf_fill(&b, -1, 1);
    struct qn_gemm_pack_params p = {
        b.view.data, k, n, b.view.strides[transposed ? 1 : 0] * unit, b.view.strides[transposed ? 0 : 1] * unit, unit,
        to.view.data};
    double *from = cf_values(&b.view), *want = calloc((size_t)(panels * k * QN_GEMM_PANEL), sizeof *want);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++)
            want[(i / QN_GEMM_PANEL * k + j) * QN_GEMM_PANEL + i % QN_GEMM_PANEL] =
                from[transposed ? i * k + j : j * n + i];
    cf_run(cf, &p, (const struct qn_view *[]){&to.view}, 1);
    cf_check(cf, &to, want, 0, 0);
    cf_ran(cf, "pack_panels", dtype);
    free(from);
    free(want);
    cf_release(&b);
    cf_release(&to);
}

static void pack_bytes(struct cf *cf, int64_t k, int64_t n)
{
    int64_t panels = (n + QN_INTEGER_PANEL - 1) / QN_INTEGER_PANEL, bytes = qn_integer_panel_bytes(k);
    bool conv = cf->kernel->pack == QN_PACK_CONV_I8;
    cf_case(cf, "panels of bytes k %lld n %lld", (long long)k, (long long)n);
    struct cf_tensor b = random_bytes(QN_DTYPE_I8, k * n);
    struct cf_tensor to = cf_tensor(QN_DTYPE_I8, CF_CONTIGUOUS, 2, (const int64_t[]){panels, bytes});
    double *want = calloc((size_t)(panels * bytes), sizeof *want);
    for (int64_t i = 0; i < n; i++) {
        int32_t sum = 0;
        for (int64_t j = 0; j < k; j++) {
            int32_t value = at(&b, conv ? i * k + j : j * n + i);
            want[i / QN_INTEGER_PANEL * bytes + j / 4 * QN_INTEGER_PANEL * 4 + i % QN_INTEGER_PANEL * 4 + j % 4] =
                value;
            sum += value;
        }
        int8_t parts[4];
        memcpy(parts, &sum, 4);
        for (int j = 0; j < 4; j++)
            want[i / QN_INTEGER_PANEL * bytes + bytes - QN_INTEGER_PANEL * 4 + i % QN_INTEGER_PANEL * 4 + j] = parts[j];
    }
    struct qn_integer_pack_params plain = {b.view.data, true, k, n, n, 1, 1, 0, to.view.data};
    struct qn_integer_conv_pack_params image = {b.view.data, true, false, n, k, 1, 1, to.view.data};
    cf_run(cf, conv ? (const void *)&image : (const void *)&plain, (const struct qn_view *[]){&to.view}, 1);
    cf_check(cf, &to, want, 0, 0);
    cf_ran(cf, conv ? "pack_conv" : "pack_panels", QN_DTYPE_I8);
    free(want);
    cf_release(&b);
    cf_release(&to);
}

/* Units of 8 k and 8 columns stand in their panels by what they allow; the tables say where they come from. */
static int unit_class(const struct cf_tensor *b, int64_t k, int64_t n, int64_t row, int64_t column)
{
    int found = 0;
    for (int64_t j = column; j < column + 8 && j < n; j++) {
        int32_t high[4] = {0}, low[4] = {0};
        for (int64_t i = row; i < row + 8 && i < k; i++) {
            int32_t value = at(b, i * n + j);
            (value > 0 ? high : low)[(i - row) / 2] += value;
        }
        for (int i = 0; i < 2; i++) {
            if (high[i] > 128 || high[i + 2] > 128 || low[i] < -128 || low[i + 2] < -128)
                found = 2;
            else if (found < 2 && (high[i] + high[i + 2] > 128 || low[i] + low[i + 2] < -128))
                found = 1;
        }
    }
    return found;
}

static void put_bytes(double *to, int32_t value, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = (int8_t)(uint32_t)(value >> 8 * i);
}

static void pack_sorted(struct cf *cf, int64_t k, int64_t n)
{
    int64_t units = (k + 7) / 8, bytes = qn_integer_sorted_panel_bytes(k), head = qn_integer_sorted_head_bytes(k);
    int64_t panels = (n + QN_INTEGER_PANEL - 1) / QN_INTEGER_PANEL;
    cf_case(cf, "sorted panels k %lld n %lld", (long long)k, (long long)n);
    struct cf_tensor b = random_bytes(QN_DTYPE_I8, k * n);
    struct cf_tensor to = cf_tensor(QN_DTYPE_I8, CF_CONTIGUOUS, 2, (const int64_t[]){panels, bytes});
    double *want = calloc((size_t)(panels * bytes), sizeof *want);
    int8_t *weights = b.view.data;
    for (int64_t i = 0; i < k * n; i++)
        weights[i] = (int8_t)(weights[i] / (int[]){8, 2, 1}[i / n / 8 % 3]);
    for (int64_t part = 0; part < panels * QN_INTEGER_PANEL / 8; part++) {
        double *panel = want + part / 4 * bytes, *table = panel + QN_INTEGER_PANEL * 4 + part % 4 * (units + 2) * 2;
        int64_t count = 0, ends[3];
        for (int class = 0; class < 3; class ++) {
            for (int64_t u = 0; u < units; u++) {
                if (unit_class(&b, k, n, u * 8, part * 8) != class)
                    continue;
                double *unit = panel + head + (part % 4 * units + count) * 64;
                for (int i = 0; i < 64; i++) {
                    int64_t row = u * 8 + i / 32 * 4 + i % 4, column = part * 8 + i % 32 / 4;
                    unit[i] = row < k && column < n ? at(&b, row * n + column) : 0;
                }
                put_bytes(table + 2 * (2 + count++), (int32_t)u, 2);
            }
            ends[class] = count;
        }
        put_bytes(table, (int32_t)ends[0], 2);
        put_bytes(table + 2, (int32_t)(ends[1] - ends[0]), 2);
    }
    for (int64_t j = 0; j < n; j++) {
        int32_t sum = 0;
        for (int64_t i = 0; i < k; i++)
            sum += at(&b, i * n + j);
        put_bytes(want + j / QN_INTEGER_PANEL * bytes + j % QN_INTEGER_PANEL * 4, sum, 4);
    }
    struct qn_integer_pack_params p = {b.view.data, true, k, n, n, 1, 1, 0, to.view.data};
    cf_run(cf, &p, (const struct qn_view *[]){&to.view}, 1);
    cf_check(cf, &to, want, 0, 0);
    cf_ran(cf, "pack_sorted", QN_DTYPE_I8);
    free(want);
    cf_release(&b);
    cf_release(&to);
}

void cf_pack(struct cf *cf)
{
    switch (cf->kernel->pack) {
    case QN_PACK_PANELS_F32:
    case QN_PACK_PANELS_16:
        pack_floats(cf, 5, 70, false);
        pack_floats(cf, 40, 33, true);
        break;
    case QN_PACK_PANELS_I8:
    case QN_PACK_CONV_I8:
        pack_bytes(cf, 7, 40);
        pack_bytes(cf, 64, 32);
        break;
    case QN_PACK_SORTED_I8:
        pack_sorted(cf, 7, 40);
        pack_sorted(cf, 300, 70);
        break;
    default:
        cf_pack_conv(cf);
    }
}

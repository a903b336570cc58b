/* BATCH_MATMUL, MATMUL and ACTIVATION. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "kernels/batch_matmul/batch_matmul.h"
#include "kernels/element.h"
#include "kernels/matmul/matmul.h"
#include "quant/quant.h"

static const qn_dtype halves[] = {QN_DTYPE_F16, QN_DTYPE_BF16};

/* ---- batch_matmul --------------------------------------------------------------------------------------------- */

static void batch_case(struct cf *cf, qn_dtype at, qn_dtype bt, qn_dtype yt, int64_t m, int64_t n, int64_t k,
                       int number)
{
    int64_t a_dims[] = {2, 3, m, k}, b_dims[] = {2, 3, k, n}, y_dims[] = {2, 3, m, n};
    uint32_t a_ones = number % 5 == 3 ? 1 : 0, b_ones = number % 5 == 1 ? 3 : number % 5 == 2 ? 2 : 0;
    cf_case(cf, "batch %s x %s m %lld n %lld k %lld number %d", qn_dtype_name(at), qn_dtype_name(bt), (long long)m,
            (long long)n, (long long)k, number);
    int64_t a_small[4], b_small[4];
    for (int i = 0; i < 4; i++) {
        a_small[i] = a_ones >> i & 1 ? 1 : a_dims[i];
        b_small[i] = b_ones >> i & 1 ? 1 : b_dims[i];
    }
    struct cf_tensor a = cf_tensor(at, number % CF_LAYOUTS, 4, a_small);
    struct cf_tensor b = cf_tensor(bt, (number + 1) % CF_LAYOUTS, 4, b_small);
    struct cf_tensor y = cf_tensor(yt, number / 3 % CF_LAYOUTS, 4, y_dims);
    cf_fill(&a, qn_element_is_unsigned(at) ? 0 : -2, qn_element_bytes(at) == 1 ? 1.99 : 3);
    cf_fill(&b, qn_element_is_unsigned(bt) ? 0 : -2, 3);
    struct qn_batch_matmul_params p = {cf_broadcast(&a, a_ones, a_dims), cf_broadcast(&b, b_ones, b_dims), y.view};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *av = cf_values(&p.a), *bv = cf_values(&p.b), *want = cf_values(&y.view);
    for (int64_t i = 0; i < 6 * m * n; i++) {
        int64_t batch = i / (m * n), row = i / n % m, column = i % n;
        want[i] = 0;
        for (int64_t j = 0; j < k; j++)
            want[i] += av[(batch * m + row) * k + j] * bv[(batch * k + j) * n + column];
    }
    double room = yt == QN_DTYPE_F64 ? 1e-13 : yt == QN_DTYPE_F32 ? 2e-6 : 0;
    cf_check(cf, &y, want, room, room * sqrt((double)k) * 4);
    cf_ran(cf, "batch_matmul", at);
    free(av);
    free(bv);
    free(want);
    cf_release(&a);
    cf_release(&b);
    cf_release(&y);
}

void cf_batch_matmul(struct cf *cf)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {5, 7, 3}, {33, 40, 17}, {4, 130, 70}, {70, 3, 300}, {2, 5, 0}};
    for (int s = 0; s < 6; s++) {
        const int64_t *z = sizes[s];
        for (int number = s; number < s + 5; number++) {
            batch_case(cf, QN_DTYPE_F32, QN_DTYPE_F32, QN_DTYPE_F32, z[0], z[1], z[2], number);
            batch_case(cf, QN_DTYPE_F64, QN_DTYPE_F64, QN_DTYPE_F64, z[0], z[1], z[2], number);
            batch_case(cf, QN_DTYPE_F32, halves[number % 2], QN_DTYPE_F32, z[0], z[1], z[2], number);
            batch_case(cf, QN_DTYPE_F16, QN_DTYPE_BF16, QN_DTYPE_F32, z[0], z[1], z[2], number);
            batch_case(cf, QN_DTYPE_I32, QN_DTYPE_I32, QN_DTYPE_I32, z[0], z[1], z[2], number);
        }
    }
    batch_case(cf, QN_DTYPE_I64, QN_DTYPE_I64, QN_DTYPE_I64, 3, 4, 5, 0);
    batch_case(cf, QN_DTYPE_U8, QN_DTYPE_U8, QN_DTYPE_U8, 3, 4, 5, 1);
}

/* ---- matmul --------------------------------------------------------------------------------------------------- */

/* Rows of x in the form `act`, by the reference kernel, and the values that they stand for. */
static void *activate(enum qn_act act, const float *x, int64_t m, int64_t k, double *values)
{
    size_t row_bytes = (size_t)qn_act_row_bytes(act, k);
    char *rows = aligned_alloc(64, row_bytes * (size_t)m + 64);
    memset(rows, 0, row_bytes * (size_t)m + 64);
    for (int64_t i = 0; i < m * k; i++)
        values[i] = (double)x[i];
    if (act == QN_ACT_F32) {
        for (int64_t r = 0; r < m; r++)
            memcpy(rows + (size_t)r * row_bytes, x + r * k, (size_t)k * 4);
        return rows;
    }
    const struct qn_kernel *kernel = qn_kernel_select(QN_FAMILY_ACTIVATION, QN_DTYPE_NONE, (int)act, 0);
    struct qn_activation_params p = {.x = x, .x_stride = k, .out = rows, .rows = m, .k = k};
    kernel->run(&p, 0, m, NULL);
    for (int64_t i = 0; i < m * k; i++) {
        char *row = rows + (size_t)(i / k) * row_bytes;
        if (act == QN_ACT_BF16) {
            values[i] = (double)qn_bf16_to_f32(((uint16_t *)(void *)row)[i % k]);
        } else {
            struct qn_q8_row q = qn_q8_row(row, k);
            values[i] = (double)q.q[i % k] * (double)q.scale[i % k / 32];
        }
    }
    return rows;
}

static void matmul_case(struct cf *cf, qn_dtype dtype, int64_t m, int64_t n, int64_t k, int number)
{
    const struct qn_kernel *kernel = cf->kernel;
    cf_case(cf, "%s m %lld n %lld k %lld number %d", qn_dtype_name(dtype), (long long)m, (long long)n, (long long)k,
            number);
    int64_t w_dims[] = {n, k}, c_dims[] = {m, n};
    struct cf_tensor w = cf_tensor(dtype, number & 1, 2, w_dims), c = cf_tensor(QN_DTYPE_F32, CF_PADDED, 2, c_dims);
    cf_fill(&w, -1, 1);
    float *x = malloc((size_t)(m * k) * sizeof *x), *bias = malloc((size_t)n * sizeof *bias);
    double *xv = malloc((size_t)(m * k) * sizeof *xv), *wv = cf_values(&w.view);
    for (int64_t i = 0; i < m * k; i++)
        x[i] = (float)cf_uniform(-2, 2);
    for (int64_t i = 0; i < n; i++)
        bias[i] = (float)cf_uniform(-1, 1);
    void *rows = activate(kernel->act, x, m, k, xv);
    struct qn_matmul_params p = {
        .x = rows,
        .x_stride = qn_act_row_bytes(kernel->act, k),
        .w = w.view.data,
        .w_stride = w.view.strides[0] * qn_dtype_info(dtype)->block_bytes,
        .w_dtype = dtype,
        .c = c.view.data,
        .c_stride = c.view.strides[0],
        .bias = number % 3 == 1 ? bias : NULL,
        .m = m,
        .n = n,
        .k = k,
    };
    if (number % 3 == 2) {
        cf_fill(&c, -5, 5);
        p.residual = p.c;
    }
    double *want = cf_values(&c.view);
    for (int64_t i = 0; i < m * n; i++) {
        double sum = p.bias ? (double)bias[i % n] : 0;
        for (int64_t j = 0; j < k; j++)
            sum += xv[i / n * k + j] * wv[i % n * k + j];
        want[i] = sum + (p.residual ? want[i] : 0);
    }
    cf_run(cf, &p, (const struct qn_view *[]){&c.view}, 1);
    cf_check(cf, &c, want, 2e-6, 1e-6 * sqrt((double)k) * 8);
    cf_ran(cf, "matmul", dtype);
    free(x);
    free(bias);
    free(xv);
    free(wv);
    free(want);
    free(rows);
    cf_release(&w);
    cf_release(&c);
}

void cf_matmul(struct cf *cf)
{
    static const int64_t sizes[][3] = {{1, 1, 256}, {1, 37, 512}, {3, 70, 768}, {17, 33, 256}, {40, 5, 2048}};
    for (int t = 1; t < QN_DTYPE_LIMIT; t++) {
        qn_dtype dtype = (qn_dtype)t;
        const struct qn_quant *quant = qn_quant(dtype);
        if (cf->kernel->dtype ? cf->kernel->dtype != dtype : !quant->dequantise || !quant->quantise)
            continue;
        for (int s = 0; s < 5; s++)
            for (int number = s; number < s + 2; number++)
                matmul_case(cf, dtype, sizes[s][0], sizes[s][1], sizes[s][2], number);
        if (!qn_dtype_is_block(dtype))
            for (int64_t k = 1; k < 80; k = k * 3 + 2)
                matmul_case(cf, dtype, 3, 9, cf->kernel->act == QN_ACT_Q8_32 ? k * 32 : k, (int)k);
    }
}

/* ---- activation ----------------------------------------------------------------------------------------------- */

static void activation_case(struct cf *cf, int64_t rows, int64_t k)
{
    enum qn_act act = cf->kernel->act;
    cf_case(cf, "rows %lld k %lld", (long long)rows, (long long)k);
    int64_t dims[] = {rows, k}, row_bytes = qn_act_row_bytes(act, k),
            scale_dims[] = {rows, act == QN_ACT_BF16 ? k : k / 32};
    struct cf_tensor x = cf_tensor(QN_DTYPE_F32, CF_PADDED, 2, dims);
    cf_fill(&x, -3, 3);
    char *out = aligned_alloc(64, (size_t)(row_bytes * rows));
    memset(out, 0, (size_t)(row_bytes * rows));
    struct qn_activation_params p = {.x = x.view.data, .x_stride = x.view.strides[0], .out = out, .rows = rows, .k = k};
    struct qn_view scales = {.rank = 2, .dims = {scale_dims[0], scale_dims[1]}, .strides = {row_bytes / 4, 1}};
    scales.dtype = act == QN_ACT_BF16 ? QN_DTYPE_BF16 : QN_DTYPE_F32;
    scales.data = act == QN_ACT_BF16 ? out : out + ((const char *)qn_q8_row(out, k).scale - out);
    if (act == QN_ACT_BF16)
        scales.strides[0] = row_bytes / 2;
    cf_run(cf, &p, (const struct qn_view *[]){&scales}, 1);
    double *v = cf_values(&x.view);
    for (int64_t i = 0; i < rows * k; i++) {
        const char *row = out + i / k * row_bytes;
        double got, room = 0;
        if (act == QN_ACT_BF16) {
            got = (double)qn_bf16_to_f32(((const uint16_t *)(const void *)row)[i % k]);
            room = fabs(v[i]) * 0x1p-8;
        } else {
            struct qn_q8_row q = qn_q8_row(row, k);
            got = (double)q.q[i % k] * (double)q.scale[i % k / 32];
            room = (double)q.scale[i % k / 32] * 0.5001;
        }
        if (fabs(got - v[i]) > room) {
            cf_fail(cf, "element %lld is %g, not %g", (long long)i, got, v[i]);
            break;
        }
    }
    /* The rest of a row (sums of blocks) is the reference's; all kernels of a form give the same bytes. */
    char *same = aligned_alloc(64, (size_t)(row_bytes * rows));
    memset(same, 0, (size_t)(row_bytes * rows));
    p.out = same;
    qn_kernel_select(QN_FAMILY_ACTIVATION, QN_DTYPE_NONE, (int)act, 0)->run(&p, 0, rows, NULL);
    if (memcmp(out, same, (size_t)(row_bytes * rows)) != 0)
        cf_fail(cf, "not the bytes of the reference kernel");
    free(same);
    cf_ran(cf, act == QN_ACT_BF16 ? "activation to bf16" : "activation to q8_32", QN_DTYPE_F32);
    free(v);
    free(out);
    cf_release(&x);
}

void cf_activation(struct cf *cf)
{
    static const int64_t sizes[][2] = {{1, 32}, {3, 256}, {5, 1024}, {17, 96}};
    for (int s = 0; s < 4; s++)
        activation_case(cf, sizes[s][0], sizes[s][1]);
    if (cf->kernel->act == QN_ACT_BF16)
        activation_case(cf, 4, 77);
}

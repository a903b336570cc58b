/* NORM, SOFTMAX and ROPE. */
#include <math.h>
#include <stdlib.h>

#include "conformance/conformance.h"
#include "ir/ir.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "kernels/softmax/softmax.h"

static const qn_dtype float_types[] = {QN_DTYPE_F32, QN_DTYPE_F64, QN_DTYPE_F16, QN_DTYPE_BF16};

static void norm_case(struct cf *cf, uint16_t op, qn_dtype dtype, int64_t rows, int64_t d, int number)
{
    bool layer = op == QN_OP_layer_norm;
    int64_t dims[] = {2, rows, d};
    cf_case(cf, "%s %s %lldx%lld number %d", qn_op_info(op)->name, qn_dtype_name(dtype), (long long)rows, (long long)d,
            number);
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 3, dims);
    struct cf_tensor y = cf_tensor(dtype, (number + 1) % CF_LAYOUTS, 3, dims);
    struct cf_tensor w = cf_tensor(float_types[number % 4], (number / 2) % CF_LAYOUTS, 1, &d);
    struct cf_tensor b = cf_tensor(float_types[(number + 1) % 4], number % CF_LAYOUTS, 1, &d);
    cf_fill(&x, -3, 4);
    cf_fill(&w, 0.5, 2);
    cf_fill(&b, -1, 1);
    struct qn_norm_params p = {.op = op, .x = x.view, .y = y.view, .epsilon = 1e-5f};
    if (number % 5 != 4)
        p.weight = w.view;
    if (layer && number % 5 != 3)
        p.bias = b.view;
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *v = cf_values(&x.view), *wv = cf_values(&w.view), *bv = cf_values(&b.view);
    for (int64_t row = 0; row < 2 * rows; row++) {
        double mean = 0, square = 0, *r = v + row * d;
        for (int64_t i = 0; layer && i < d; i++)
            mean += r[i] / (double)d;
        for (int64_t i = 0; i < d; i++)
            square += (r[i] - mean) * (r[i] - mean) / (double)d;
        for (int64_t i = 0; i < d; i++)
            r[i] =
                (r[i] - mean) / sqrt(square + (double)1e-5f) * (p.weight.data ? wv[i] : 1) + (p.bias.data ? bv[i] : 0);
    }
    double room = dtype == QN_DTYPE_F64 ? 1e-12 : cf_rounding(dtype) + 2e-6;
    cf_check(cf, &y, v, room, room);
    cf_ran(cf, qn_op_info(op)->name, dtype);
    free(v);
    free(wv);
    free(bv);
    cf_release(&x);
    cf_release(&y);
    cf_release(&w);
    cf_release(&b);
}

void cf_norm(struct cf *cf)
{
    static const int64_t sizes[] = {1, 7, 16, 64, 65, 130, 288, 1000};
    for (int t = 0; t < 4; t++) {
        for (int i = 0; i < 8; i++) {
            norm_case(cf, QN_OP_rms_norm, float_types[t], 1 + i, sizes[i], i + t);
            norm_case(cf, QN_OP_layer_norm, float_types[t], 1 + i, sizes[i], i + t);
        }
    }
}

static void softmax_case(struct cf *cf, qn_dtype dtype, uint32_t axis, int64_t n, int number)
{
    int64_t dims[] = {3, 4, 2};
    dims[axis] = n;
    cf_case(cf, "%s axis %u of %lld number %d", qn_dtype_name(dtype), axis, (long long)n, number);
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 3, dims);
    struct cf_tensor y = cf_tensor(dtype, (number + 3) % CF_LAYOUTS, 3, dims);
    cf_fill(&x, -10, 10);
    double *v = cf_values(&x.view);
    if (number == 2 && n > 3) { /* hidden elements, and a row of nothing else */
        v[1] = v[cf_elems(&x.view) - 1] = -INFINITY;
        cf_set(&x, v);
    }
    struct qn_softmax_params p = {x.view, y.view, axis};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    int64_t inner = 1, outer = 1;
    for (uint32_t i = 0; i < 3; i++)
        *(i < axis ? &outer : &inner) *= i == axis ? 1 : dims[i];
    for (int64_t row = 0; row < outer * inner; row++) {
        double *r = v + row / inner * n * inner + row % inner, max = -INFINITY, sum = 0;
        for (int64_t i = 0; i < n; i++)
            max = fmax(max, r[i * inner]);
        for (int64_t i = 0; i < n; i++)
            sum += exp(r[i * inner] - max);
        for (int64_t i = 0; i < n; i++)
            r[i * inner] = exp(r[i * inner] - max) / sum;
    }
    double room = dtype == QN_DTYPE_F64 ? 1e-13 : cf_rounding(dtype) + 4e-6; /* x - max rounds */
    cf_check(cf, &y, v, room, dtype == QN_DTYPE_F16 ? 0x1p-25 : 1e-30);
    cf_ran(cf, "softmax", dtype);
    free(v);
    cf_release(&x);
    cf_release(&y);
}

void cf_softmax(struct cf *cf)
{
    static const int64_t sizes[] = {1, 5, 16, 33, 300, 700};
    for (int t = 0; t < 4; t++)
        for (uint32_t axis = 0; axis < 3; axis++)
            for (int i = 0; i < 6; i++)
                softmax_case(cf, float_types[t], axis, sizes[i], i + t);
}

static void rope_case(struct cf *cf, qn_dtype dtype, int64_t d, int64_t r, bool interleaved, int number)
{
    int64_t n = 3, h = 4, dims[] = {n, h, d}, angle_dims[] = {n, r / 2};
    cf_case(cf, "%s d %lld r %lld %s number %d", qn_dtype_name(dtype), (long long)d, (long long)r,
            interleaved ? "interleaved" : "halves", number);
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 3, dims);
    struct cf_tensor y = cf_tensor(dtype, (number + 1) % CF_LAYOUTS, 3, dims);
    struct cf_tensor c = cf_tensor(float_types[number / 2 % 4], (number + 2) % CF_LAYOUTS, 2, angle_dims);
    struct cf_tensor s = cf_tensor(float_types[number / 2 % 4], number % CF_LAYOUTS, 2, angle_dims);
    cf_fill(&x, -3, 3);
    cf_fill(&c, -1, 1);
    cf_fill(&s, -1, 1);
    bool in_place = number % 3 == 2;
    double *v = cf_values(&x.view), *cv = cf_values(&c.view), *sv = cf_values(&s.view);
    struct qn_rope_params p = {x.view, in_place ? x.view : y.view, c.view, s.view, interleaved};
    cf_run(cf, &p, (const struct qn_view *[]){&p.y}, 1);
    for (int64_t row = 0; row < n * h; row++) {
        for (int64_t i = 0; i < r / 2; i++) {
            double *a = v + row * d + (interleaved ? 2 * i : i), *b = a + (interleaved ? 1 : r / 2);
            double cos = cv[row / h * (r / 2) + i], sin = sv[row / h * (r / 2) + i], old = *a;
            *a = old * cos - *b * sin;
            *b = *b * cos + old * sin;
        }
    }
    double room = dtype == QN_DTYPE_F64 ? 1e-14 : cf_rounding(dtype) + 1e-6;
    cf_check(cf, in_place ? &x : &y, v, room, room);
    cf_ran(cf, "rope", dtype);
    free(v);
    free(cv);
    free(sv);
    cf_release(&x);
    cf_release(&y);
    cf_release(&c);
    cf_release(&s);
}

void cf_rope(struct cf *cf)
{
    static const struct {
        int64_t d, r;
    } sizes[] = {{64, 64}, {80, 32}, {6, 4}, {128, 128}, {50, 50}, {5, 0}};
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < 6; i++)
            for (int interleaved = 0; interleaved < 2; interleaved++)
                rope_case(cf, float_types[t], sizes[i].d, sizes[i].r, interleaved, i + t);
}

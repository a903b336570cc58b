/* MOVE, SCAN, ARG, RANDOM and CHAIN. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "ir/ir.h"
#include "kernels/arg/arg.h"
#include "kernels/chain/chain_program.h"
#include "kernels/cumulate/cumulate.h"
#include "kernels/element.h"
#include "kernels/move/move.h"
#include "kernels/random/random.h"

static const qn_dtype types[] = {QN_DTYPE_F32, QN_DTYPE_F64, QN_DTYPE_F16, QN_DTYPE_BF16, QN_DTYPE_I8,
                                 QN_DTYPE_I32, QN_DTYPE_I64, QN_DTYPE_U8,  QN_DTYPE_U16,  QN_DTYPE_U64};
enum { TYPES = sizeof types / sizeof types[0] };

static double lowest(qn_dtype dtype)
{
    return qn_element_is_unsigned(dtype) ? 0 : -9;
}

/* ---- pad ------------------------------------------------------------------------------------------------------ */

/* The source of element `at`: one step at a time towards the inside, as the modes are defined. -1: the value. */
static int64_t source(int mode, int64_t at, int64_t n)
{
    while (at < 0 || at >= n) {
        if (mode == QN_PAD_CONSTANT)
            return -1;
        if (mode == QN_PAD_EDGE)
            return at < 0 ? 0 : n - 1;
        if (mode == QN_PAD_WRAP)
            at += at < 0 ? n : -n;
        else if (n == 1)
            at = 0;
        else
            at = at < 0 ? -at : 2 * (n - 1) - at;
    }
    return at;
}

static void pad_case(struct cf *cf, qn_dtype dtype, int mode, int number)
{
    int64_t dims[3] = {2, 3, 7 + number}, begin[3] = {number % 2, 2, number % 5 * 2}, end[3] = {1, number % 4, 3};
    int64_t out_dims[3], k[3], one = 0;
    cf_case(cf, "pad %s mode %d number %d", qn_dtype_name(dtype), mode, number);
    for (int i = 0; i < 3; i++)
        out_dims[i] = begin[i] + dims[i] + end[i];
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 3, dims), value = cf_tensor(dtype, 0, 0, &one);
    struct cf_tensor y = cf_tensor(dtype, (number + 1) % CF_LAYOUTS, 3, out_dims);
    cf_fill(&x, lowest(dtype), 9);
    cf_fill(&value, 3, 5);
    struct qn_move_params p = {.op = QN_OP_pad, .mode = mode, .x = x.view, .y = y.view};
    memcpy(p.begin, begin, sizeof begin);
    if (number & 1)
        p.updates = value.view;
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *in = cf_values(&x.view), *fill = cf_values(&value.view), *want = cf_values(&y.view);
    for (int64_t i = 0; i < cf_elems(&y.view); i++) {
        k[2] = source(mode, i % out_dims[2] - begin[2], dims[2]);
        k[1] = source(mode, i / out_dims[2] % out_dims[1] - begin[1], dims[1]);
        k[0] = source(mode, i / out_dims[2] / out_dims[1] - begin[0], dims[0]);
        bool outside = k[0] < 0 || k[1] < 0 || k[2] < 0;
        want[i] = outside ? (number & 1 ? fill[0] : 0) : in[(k[0] * dims[1] + k[1]) * dims[2] + k[2]];
    }
    cf_check(cf, &y, want, 0, 0);
    cf_ran(cf, "pad", dtype);
    free(in);
    free(fill);
    free(want);
    cf_release(&x);
    cf_release(&value);
    cf_release(&y);
}

/* ---- by index ------------------------------------------------------------------------------------------------- */

/* Indices over [-n, n), one of them outside when `spoil`; the checked ones in at[]. */
static struct cf_tensor index_tensor(int number, uint32_t rank, const int64_t *dims, int64_t n, bool spoil, double **at)
{
    struct cf_tensor index = cf_tensor(number & 1 ? QN_DTYPE_I64 : QN_DTYPE_I32, (number + 1) % CF_LAYOUTS, rank, dims);
    int64_t count = cf_elems(&index.view);
    cf_fill(&index, 0, (double)(2 * n) - 0.01);
    *at = cf_values(&index.view);
    for (int64_t i = 0; i < count; i++)
        (*at)[i] -= (double)n;
    if (spoil)
        (*at)[count / 2] = number & 1 ? (double)n : (double)(-n - 1);
    cf_set(&index, *at);
    for (int64_t i = 0; i < count; i++) {
        (*at)[i] += (*at)[i] < 0 ? (double)n : 0;
        if ((*at)[i] < 0 || (*at)[i] >= (double)n)
            (*at)[i] = -1;
    }
    return index;
}

static double joined(int mode, double a, double b)
{
    return mode == QN_SCATTER_SET   ? b
           : mode == QN_SCATTER_ADD ? a + b
           : mode == QN_SCATTER_MUL ? a * b
           : mode == QN_SCATTER_MAX ? fmax(a, b)
                                    : fmin(a, b);
}

/* gather_elements and scatter_elements of [5, 6, 8] along each axis with fewer indices than data */
static void elements_case(struct cf *cf, uint16_t op, qn_dtype dtype, int mode, int number)
{
    int64_t dims[3] = {5, 6, 8}, index_dims[3] = {4, 5, 7}, steps[3] = {48, 8, 1};
    uint32_t axis = (uint32_t)number % 3;
    bool gather = op == QN_OP_gather_elements, spoil = number % 4 == 3;
    cf_case(cf, "%s %s mode %d number %d", qn_op_info(op)->name, qn_dtype_name(dtype), mode, number);
    double *at;
    struct cf_tensor index = index_tensor(number, 3, index_dims, dims[axis], spoil, &at);
    struct cf_tensor data = cf_tensor(dtype, number % CF_LAYOUTS, 3, dims);
    struct cf_tensor small = cf_tensor(dtype, (number + 2) % CF_LAYOUTS, 3, index_dims);
    cf_fill(&data, lowest(dtype) / 9, 1.9);
    if (!gather)
        cf_fill(&small, lowest(dtype) / 9, 1.9);
    double *in = cf_values(&data.view), *other = cf_values(&small.view);
    for (int64_t i = 0; i < cf_elems(&small.view); i++) {
        int64_t k[3] = {i / 35, i / 7 % 5, i % 7}, place = 0;
        k[axis] = (int64_t)at[i];
        for (int j = 0; j < 3; j++)
            place += k[j] * steps[j];
        if (gather)
            other[i] = k[axis] < 0 ? 0 : in[place];
        else if (k[axis] >= 0)
            in[place] = joined(mode, in[place], other[i]);
    }
    int32_t fault = 0;
    struct qn_move_params p = {.op = op, .mode = mode, .axis = axis, .indices = index.view, .fault = &fault};
    p.x = gather ? data.view : p.x;
    p.y = gather ? small.view : data.view;
    p.updates = gather ? p.updates : small.view;
    const struct cf_tensor *y = gather ? &small : &data;
    cf_run(cf, &p, (const struct qn_view *[]){&y->view}, 1);
    double room = gather || !qn_element_is_float(dtype) ? 0 : 8 * cf_rounding(dtype);
    cf_check(cf, y, gather ? other : in, room, room);
    if (fault != (spoil ? QN_FAULT_INDEX : QN_FAULT_NONE))
        cf_fail(cf, "fault %d", (int)fault);
    cf_ran(cf, qn_op_info(op)->name, dtype);
    free(at);
    free(in);
    free(other);
    cf_release(&index);
    cf_release(&data);
    cf_release(&small);
}

/* gather_nd of [2, 4, 4, 6] by [2, 3, q] past one batch axis; scatter_nd of [4, 4, 6] by [3, q] */
static void nd_case(struct cf *cf, uint16_t op, qn_dtype dtype, int mode, int number)
{
    bool gather = op == QN_OP_gather_nd;
    int64_t q = 1 + number % 2, inner = q == 1 ? 24 : 6, batches = gather ? 2 : 1;
    int64_t dims[4] = {2, 4, 4, 6}, index_dims[3] = {2, 3, q}, small_dims[4] = {2, 3, q == 1 ? 4 : 6, 6};
    uint32_t skip = gather ? 0 : 1, small_rank = q == 1 ? 4 : 3;
    cf_case(cf, "%s %s mode %d number %d", qn_op_info(op)->name, qn_dtype_name(dtype), mode, number);
    double *at;
    struct cf_tensor index = index_tensor(number, 3 - skip, index_dims + skip, 4, number % 4 == 3, &at);
    struct cf_tensor data = cf_tensor(dtype, number % CF_LAYOUTS, 4 - skip, dims + skip);
    struct cf_tensor small = cf_tensor(dtype, (number + 2) % CF_LAYOUTS, small_rank - skip, small_dims + skip);
    cf_fill(&data, lowest(dtype) / 9, 1.9);
    if (!gather)
        cf_fill(&small, lowest(dtype) / 9, 1.9);
    double *in = cf_values(&data.view), *other = cf_values(&small.view);
    for (int64_t i = 0; i < batches * 3; i++) {
        const double *c = at + i * q;
        int64_t place = q == 1 ? (int64_t)c[0] * 24 : ((int64_t)c[0] * 4 + (int64_t)c[1]) * 6;
        bool valid = c[0] >= 0 && (q == 1 || c[1] >= 0);
        for (int64_t k = 0; k < inner; k++) {
            double *from = &in[(valid ? place : 0) + i / 3 * 96 + k], *to = &other[i * inner + k];
            if (gather)
                *to = valid ? *from : 0;
            else if (valid)
                *from = joined(mode, *from, *to);
        }
    }
    int32_t fault = 0;
    struct qn_move_params p = {.op = op, .mode = mode, .batch = gather, .indices = index.view, .fault = &fault};
    p.x = gather ? data.view : p.x;
    p.y = gather ? small.view : data.view;
    p.updates = gather ? p.updates : small.view;
    const struct cf_tensor *y = gather ? &small : &data;
    cf_run(cf, &p, (const struct qn_view *[]){&y->view}, 1);
    double room = gather || !qn_element_is_float(dtype) ? 0 : 8 * cf_rounding(dtype);
    cf_check(cf, y, gather ? other : in, room, room);
    if (fault != (number % 4 == 3 ? QN_FAULT_INDEX : QN_FAULT_NONE))
        cf_fail(cf, "fault %d", (int)fault);
    cf_ran(cf, qn_op_info(op)->name, dtype);
    free(at);
    free(in);
    free(other);
    cf_release(&index);
    cf_release(&data);
    cf_release(&small);
}

void cf_move(struct cf *cf)
{
    for (int t = 0; t < TYPES; t++) {
        for (int number = 0; number < 8; number++) {
            for (int mode = 0; mode < 4; mode++)
                pad_case(cf, types[t], mode, number);
            elements_case(cf, QN_OP_gather_elements, types[t], 0, number);
            nd_case(cf, QN_OP_gather_nd, types[t], 0, number);
            for (int mode = 0; mode < 5; mode++) {
                elements_case(cf, QN_OP_scatter_elements, types[t], mode, number);
                nd_case(cf, QN_OP_scatter_nd, types[t], mode, number);
            }
        }
    }
}

/* ---- along an axis -------------------------------------------------------------------------------------------- */

static const int64_t line_dims[4][3] = {{3, 4, 70}, {2, 90, 5}, {130, 2, 3}, {1, 1, 1}};

static void cumulate_case(struct cf *cf, uint16_t op, qn_dtype dtype, int number)
{
    const int64_t *dims = line_dims[number % 4];
    uint32_t axis = (uint32_t)(number / 4) % 3;
    bool exclusive = number & 1, reverse = number & 2;
    cf_case(cf, "%s %s number %d", qn_op_info(op)->name, qn_dtype_name(dtype), number);
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 3, dims);
    struct cf_tensor y = cf_tensor(dtype, (number + 1) % CF_LAYOUTS, 3, dims);
    bool sum = op == QN_OP_cumsum, small = qn_element_bytes(dtype) == 1;
    cf_fill(&x, sum ? 0 : 0.9, sum ? (small ? 1.2 : 3) : 1.1);
    struct qn_cumulate_params p = {op, exclusive, reverse, axis, x.view, y.view};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *in = cf_values(&x.view), *want = cf_values(&y.view);
    int64_t inner = 1, n = dims[axis], count = cf_elems(&x.view);
    for (uint32_t i = axis + 1; i < 3; i++)
        inner *= dims[i];
    for (int64_t i = 0; i < count; i++) {
        int64_t k = i / inner % n, first = i - k * inner;
        want[i] = sum ? 0 : 1;
        for (int64_t j = reverse ? k + exclusive : 0; j < (reverse ? n : k + !exclusive); j++)
            want[i] = sum ? want[i] + in[first + j * inner] : want[i] * in[first + j * inner];
    }
    double room = dtype == QN_DTYPE_F64 ? 1e-12 : 4 * cf_rounding(dtype);
    cf_check(cf, &y, want, room, room);
    cf_ran(cf, qn_op_info(op)->name, dtype);
    free(in);
    free(want);
    cf_release(&x);
    cf_release(&y);
}

void cf_cumulate(struct cf *cf)
{
    for (int t = 0; t < TYPES; t++)
        for (int number = 0; number < 12; number++) {
            cumulate_case(cf, QN_OP_cumsum, types[t], number);
            cumulate_case(cf, QN_OP_cumprod, types[t], number);
        }
}

static void arg_case(struct cf *cf, uint16_t op, qn_dtype dtype, int number)
{
    int64_t out_dims[3];
    const int64_t *dims = line_dims[number % 4];
    uint32_t axis = (uint32_t)(number / 4) % 3;
    bool max = op == QN_OP_argmax, last = number & 1;
    cf_case(cf, "%s %s number %d", qn_op_info(op)->name, qn_dtype_name(dtype), number);
    memcpy(out_dims, dims, sizeof out_dims);
    out_dims[axis] = 1;
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 3, dims);
    struct cf_tensor y = cf_tensor(QN_DTYPE_I64, (number + 1) % CF_LAYOUTS, 3, out_dims);
    cf_fill(&x, lowest(dtype), 9);
    double *in = cf_values(&x.view), *want = cf_values(&y.view);
    for (int64_t i = 0; i < cf_elems(&x.view); i++) /* few values: many ties */
        in[i] = trunc(in[i] / 3);
    if (number == 5 && qn_element_is_float(dtype))
        in[1] = NAN;
    cf_set(&x, in);
    struct qn_arg_params p = {op, last, axis, x.view, y.view};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    int64_t inner = 1, n = dims[axis];
    for (uint32_t i = axis + 1; i < 3; i++)
        inner *= dims[i];
    for (int64_t i = 0; i < cf_elems(&y.view); i++) {
        const double *v = in + i / inner * inner * n + i % inner;
        int64_t best = 0;
        for (int64_t k = 1; k < n; k++) {
            double a = v[k * inner], b = v[best * inner];
            bool better = !isnan(b) && (isnan(a) || (max ? a > b : a < b));
            if (better || (last && (a == b || (isnan(a) && isnan(b)))))
                best = k;
        }
        want[i] = (double)best;
    }
    cf_check(cf, &y, want, 0, 0);
    cf_ran(cf, qn_op_info(op)->name, dtype);
    free(in);
    free(want);
    cf_release(&x);
    cf_release(&y);
}

void cf_arg(struct cf *cf)
{
    for (int t = 0; t < TYPES; t++)
        for (int number = 0; number < 12; number++) {
            arg_case(cf, QN_OP_argmax, types[t], number);
            arg_case(cf, QN_OP_argmin, types[t], number);
        }
}

/* ---- random --------------------------------------------------------------------------------------------------- */

/* Mean, spread and bounds of many; the same numbers again for the same seed. */
void cf_random_numbers(struct cf *cf)
{
    static const qn_dtype floats[] = {QN_DTYPE_F32, QN_DTYPE_F64, QN_DTYPE_F16, QN_DTYPE_BF16};
    static const uint16_t ops[] = {QN_OP_random_uniform, QN_OP_random_normal};
    int64_t n = 40000;
    for (int t = 0; t < 8; t++) {
        qn_dtype dtype = floats[t / 2];
        bool normal = t & 1;
        cf_case(cf, "%s %s", qn_op_info(ops[t & 1])->name, qn_dtype_name(dtype));
        struct cf_tensor y = cf_tensor(dtype, CF_CONTIGUOUS, 1, &n), again = cf_tensor(dtype, CF_CONTIGUOUS, 1, &n);
        struct qn_random_params p = {ops[t & 1], 7, 1, 3, y.view};
        cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
        p.y = again.view;
        cf_run_all(cf->kernel, &p);
        double *v = cf_values(&y.view), *same = cf_values(&again.view), sum = 0, squares = 0;
        cf_check(cf, &y, same, 0, 0);
        for (int64_t i = 0; i < n; i++) {
            sum += v[i];
            squares += v[i] * v[i];
            if (!normal && (v[i] < 1 || v[i] > 3))
                cf_fail(cf, "%g is outside", v[i]);
        }
        double mean = sum / (double)n, deviation = sqrt(squares / (double)n - mean * mean);
        double want_mean = normal ? 1 : 2, want_deviation = normal ? 3 : 1 / sqrt(3.0);
        if (fabs(mean - want_mean) > 0.05 || fabs(deviation - want_deviation) > 0.05)
            cf_fail(cf, "mean %g, deviation %g", mean, deviation);
        cf_ran(cf, qn_op_info(ops[t & 1])->name, dtype);
        free(v);
        free(same);
        cf_release(&y);
        cf_release(&again);
    }
}

/* ---- chain ---------------------------------------------------------------------------------------------------- */

#define IN(i) (QN_CHAIN_INPUT + (i))

/* In terms of inputs x (whole), r (a row), c (a number): f(x r + c), choice by comparison, and back through casts. */
static double chain_oracle(int program, double x, double r, double c)
{
    switch (program) {
    case 0:
        return fmax(x * r + c, 0);
    case 1:
        return x < r ? x - c : r / (1 + exp(-x));
    case 2:
        return trunc(x) * 2 + trunc(r);
    case 3:
        return x < c ? 1 : trunc(x);
    default:
        return (x < r ? -c : c) + (x < r);
    }
}

static void chain_case(struct cf *cf, qn_dtype dtype, int program, int64_t rows, int64_t d, int layout)
{
    uint8_t f = (uint8_t)dtype, b = QN_DTYPE_BOOL, i32 = QN_DTYPE_I32, i64 = QN_DTYPE_I64;
    static const uint32_t lengths[] = {3, 6, 6, 6, 6};
    const struct qn_chain_step steps[5][6] = {
        {{QN_OP_mul, IN(0), IN(1), 0, f}, {QN_OP_add, 0, IN(2), 0, f}, {QN_OP_relu, 1, 0, 0, f}},
        {{QN_OP_less, IN(0), IN(1), 0, b},
         {QN_OP_sub, IN(0), IN(2), 0, f},
         {QN_OP_sigmoid, IN(0), 0, 0, f},
         {QN_OP_mul, IN(1), 2, 0, f},
         {QN_OP_where, 0, 1, 3, f},
         {QN_OP_abs, 4, 0, 0, f}},
        {{QN_OP_cast, IN(0), 0, 0, i32},
         {QN_OP_cast, IN(1), 0, 0, i32},
         {QN_OP_add, 0, 0, 0, i32},
         {QN_OP_add, 2, 1, 0, i32},
         {QN_OP_cast, 3, 0, 0, f},
         {QN_OP_neg, 4, 0, 0, f}},
        {{QN_OP_cast, IN(0), 0, 0, i32},
         {QN_OP_cast, 0, 0, 0, i64},
         {QN_OP_less, IN(0), IN(2), 0, b},
         {QN_OP_cast, 2, 0, 0, i64},
         {QN_OP_where, 2, 3, 1, i64},
         {QN_OP_cast, 4, 0, 0, f}},
        {{QN_OP_less, IN(0), IN(1), 0, b},
         {QN_OP_neg, IN(2), 0, 0, f},
         {QN_OP_where, 0, 1, IN(2), f},
         {QN_OP_cast, 0, 0, 0, f},
         {QN_OP_add, 2, 3, 0, f},
         {QN_OP_relu, 4, 0, 0, f}},
    };
    cf_case(cf, "program %d %s %lld x %lld layout %d", program, qn_dtype_name(dtype), (long long)rows, (long long)d,
            layout);
    int64_t dims[2] = {rows, d}, row[2] = {1, d}, one[2] = {1, 1};
    struct cf_tensor x = cf_tensor(dtype, layout, 2, dims), r = cf_tensor(dtype, 0, 2, row);
    struct cf_tensor c = cf_tensor(dtype, 0, 2, one), y = cf_tensor(dtype, (layout + 3) % CF_LAYOUTS, 2, dims);
    cf_fill(&x, -5, 5);
    cf_fill(&r, -5, 5);
    cf_fill(&c, -1, 1);
    struct qn_chain_params p = {.length = lengths[program], .input_count = 3, .y = y.view};
    memcpy(p.code.steps, steps[program], sizeof steps[program]);
    p.in[0] = x.view;
    p.in[1] = cf_broadcast(&r, 1, dims);
    p.in[2] = cf_broadcast(&c, 3, dims);
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *xs = cf_values(&p.in[0]), *rs = cf_values(&p.in[1]), *cs = cf_values(&p.in[2]);
    for (int64_t i = 0; i < rows * d; i++) {
        double v = chain_oracle(program, xs[i], rs[i], cs[i]);
        xs[i] = program == 1 ? fabs(v) : program == 2 ? -v : program == 4 ? fmax(v, 0) : v;
    }
    double room = dtype == QN_DTYPE_F64 ? 1e-13 : 3 * cf_rounding(dtype) + 0x1p-21;
    cf_check(cf, &y, xs, room, room * 30);
    cf_ran(cf, "chain", dtype);
    free(xs);
    free(rs);
    free(cs);
    cf_release(&x);
    cf_release(&r);
    cf_release(&c);
    cf_release(&y);
}

void cf_chain(struct cf *cf)
{
    static const qn_dtype floats[] = {QN_DTYPE_F32, QN_DTYPE_F64, QN_DTYPE_F16, QN_DTYPE_BF16};
    static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {40, 33}, {7, 1000}, {1, 9001}, {0, 4}};
    for (int t = 0; t < 4; t++)
        for (int program = 0; program < 5; program++)
            for (int s = 0; s < 6; s++)
                for (int layout = 0; layout < 2; layout++)
                    chain_case(cf, floats[t], program, sizes[s][0], sizes[s][1], (layout + s) % CF_LAYOUTS);
}

/* UNARY, BINARY, WHERE, COPY, IOTA and REDUCE. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "ir/ir.h"
#include "kernels/binary/binary.h"
#include "kernels/copy/copy.h"
#include "kernels/element.h"
#include "kernels/iota/iota.h"
#include "kernels/reduce/reduce.h"
#include "kernels/unary/unary.h"
#include "kernels/where/where.h"

static const qn_dtype float_types[] = {QN_DTYPE_F32, QN_DTYPE_F64, QN_DTYPE_F16, QN_DTYPE_BF16};
static const qn_dtype plain_types[] = {
    QN_DTYPE_F32, QN_DTYPE_F64, QN_DTYPE_F16, QN_DTYPE_BF16, QN_DTYPE_I8,  QN_DTYPE_I16,  QN_DTYPE_I32,
    QN_DTYPE_I64, QN_DTYPE_U8,  QN_DTYPE_U16, QN_DTYPE_U32,  QN_DTYPE_U64, QN_DTYPE_BOOL,
};
enum { FLOAT_TYPES = 4, PLAIN_TYPES = 13 };

static const struct shape {
    uint32_t rank;
    int64_t dims[4];
} shapes[] = {{1, {1}},          {1, {67}},   {2, {5, 33}}, {3, {4, 3, 17}},
              {4, {2, 3, 4, 5}}, {1, {9001}}, {0, {0}},     {2, {3, 0}}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static double *alloc_doubles(int64_t n)
{
    double *p = malloc((size_t)(n + 1) * sizeof *p);
    assert(p);
    return p;
}

/* ---- unary ---------------------------------------------------------------------------------------------------- */

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double unary_f64(uint16_t op, double x)
{
    switch (op) {
    case QN_OP_neg:
        return -x;
    case QN_OP_abs:
        return fabs(x);
    case QN_OP_exp:
        return exp(x);
    case QN_OP_log:
        return log(x);
    case QN_OP_sqrt:
        return sqrt(x);
    case QN_OP_rsqrt:
        return 1 / sqrt(x);
    case QN_OP_sin:
        return sin(x);
    case QN_OP_cos:
        return cos(x);
    case QN_OP_tanh:
        return tanh(x);
    case QN_OP_sigmoid:
        return 1 / (1 + exp(-x));
    case QN_OP_erf:
        return erf(x);
    case QN_OP_relu:
        return x > 0 ? x : 0;
    case QN_OP_not:
        return x == 0;
    case QN_OP_floor:
        return floor(x);
    case QN_OP_ceil:
        return ceil(x);
    case QN_OP_tan:
        return tan(x);
    case QN_OP_asin:
        return asin(x);
    case QN_OP_acos:
        return acos(x);
    case QN_OP_atan:
        return atan(x);
    case QN_OP_sinh:
        return sinh(x);
    case QN_OP_cosh:
        return cosh(x);
    case QN_OP_asinh:
        return asinh(x);
    case QN_OP_acosh:
        return acosh(x);
    case QN_OP_atanh:
        return atanh(x);
    case QN_OP_log1p:
        return log1p(x);
    case QN_OP_expm1:
        return expm1(x);
    case QN_OP_round:
        return rint(x);
    case QN_OP_sign:
        return x > 0 ? 1 : x < 0 ? -1 : 0;
    case QN_OP_reciprocal:
        return 1 / x;
    case QN_OP_is_nan:
        return isnan(x);
    case QN_OP_is_inf:
        return isinf(x) != 0;
    case QN_OP_bit_not:
        return -1 - x;
    case QN_OP_silu:
        return x / (1 + exp(-x));
    case QN_OP_gelu_tanh:
        return gelu_tanh(x);
    case QN_OP_gelu_erf:
        return 0.5 * x * erfc(-x / sqrt(2.0));
    default:
        assert(false);
        return 0;
    }
}

static const struct unary_case {
    uint16_t op;
    double low, high; /* of the input */
    bool integers, bools;
} unary_cases[] = {
    {QN_OP_neg, -9, 9, true, false},        {QN_OP_abs, -9, 9, true, false},
    {QN_OP_exp, -30, 30, false, false},     {QN_OP_log, 1e-3, 50, false, false},
    {QN_OP_sqrt, 0, 90, false, false},      {QN_OP_rsqrt, 1e-2, 90, false, false},
    {QN_OP_sin, -40, 40, false, false},     {QN_OP_cos, -40, 40, false, false},
    {QN_OP_tanh, -9, 9, false, false},      {QN_OP_sigmoid, -20, 20, false, false},
    {QN_OP_erf, -4, 4, false, false},       {QN_OP_relu, -9, 9, true, false},
    {QN_OP_not, 0, 1, false, true},         {QN_OP_silu, -20, 20, false, false},
    {QN_OP_gelu_tanh, -6, 6, false, false}, {QN_OP_gelu_erf, -6, 6, false, false},
    {QN_OP_floor, -90, 90, false, false},   {QN_OP_ceil, -90, 90, false, false},
    {QN_OP_round, -9, 9, false, false},     {QN_OP_sign, -2, 2, true, false},
    {QN_OP_tan, -1.2, 1.2, false, false},   {QN_OP_asin, -1, 1, false, false},
    {QN_OP_acos, -1, 1, false, false},      {QN_OP_atan, -9, 9, false, false},
    {QN_OP_sinh, -5, 5, false, false},      {QN_OP_cosh, -5, 5, false, false},
    {QN_OP_asinh, -9, 9, false, false},     {QN_OP_acosh, 1.1, 9, false, false},
    {QN_OP_atanh, -0.9, 0.9, false, false}, {QN_OP_log1p, -0.9, 90, false, false},
    {QN_OP_expm1, -5, 5, false, false},     {QN_OP_reciprocal, 0.1, 9, false, false},
    {QN_OP_is_nan, -9, 9, false, false},    {QN_OP_is_inf, -9, 9, false, false},
    {QN_OP_bit_not, -9, 9, true, false},
};

static void unary_case(struct cf *cf, const struct unary_case *c, qn_dtype dtype, const struct shape *shape, int layout)
{
    const char *name = qn_op_info(c->op)->name;
    cf_case(cf, "%s %s shape %d layout %d", name, qn_dtype_name(dtype), (int)(shape - shapes), layout);
    bool is_unsigned = qn_element_is_unsigned(dtype);
    struct cf_tensor x = cf_tensor(dtype, layout, shape->rank, shape->dims);
    bool truth = c->op == QN_OP_is_nan || c->op == QN_OP_is_inf;
    struct cf_tensor y =
        cf_tensor(truth ? QN_DTYPE_BOOL : dtype, (layout * 3 + 1) % CF_LAYOUTS, shape->rank, shape->dims);
    bool narrow = dtype == QN_DTYPE_F16 && c->op == QN_OP_exp; /* it ends at 65504 */
    cf_fill(&x, is_unsigned ? 0 : narrow ? -9 : c->low, narrow ? 9 : c->high);
    if (truth && cf_elems(&x.view) > 2) { /* some of each */
        double *v = cf_values(&x.view);
        v[0] = NAN;
        v[1] = INFINITY;
        v[2] = -INFINITY;
        cf_set(&x, v);
        free(v);
    }
    struct qn_unary_params p = {.op = c->op, .x = x.view, .y = y.view};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *in = cf_values(&x.view);
    int64_t n = cf_elems(&x.view);
    for (int64_t i = 0; i < n; i++) {
        in[i] = unary_f64(c->op, in[i]);
        if (is_unsigned && (c->op == QN_OP_neg || c->op == QN_OP_bit_not)) /* wraps */
            in[i] = in[i] == 0 ? 0 : ldexp(1, 8 * (int)qn_element_bytes(dtype)) + in[i];
    }
    double room = qn_element_is_float(dtype) && !truth ? cf_rounding(dtype) + 0x1p-21 : 0;
    if (dtype == QN_DTYPE_F64 && !truth)
        room = 1e-13;
    cf_check(cf, &y, in, room, room * 0.2);
    cf_ran(cf, name, dtype);
    free(in);
    cf_release(&x);
    cf_release(&y);
}

void cf_unary(struct cf *cf)
{
    for (size_t i = 0; i < sizeof unary_cases / sizeof unary_cases[0]; i++) {
        const struct unary_case *c = &unary_cases[i];
        for (int t = 0; t < PLAIN_TYPES; t++) {
            qn_dtype dtype = plain_types[t];
            bool is_float = qn_element_is_float(dtype), is_bool = dtype == QN_DTYPE_BOOL;
            if (is_bool ? !c->bools : is_float ? c->bools || c->op == QN_OP_bit_not : !c->integers)
                continue;
            for (int s = 0; s < SHAPES; s++)
                if (!(dtype == QN_DTYPE_U64 && (c->op == QN_OP_neg || c->op == QN_OP_bit_not))) /* beyond double */
                    unary_case(cf, c, dtype, &shapes[s], (s + t) % CF_LAYOUTS);
        }
    }
}

/* ---- binary --------------------------------------------------------------------------------------------------- */

static double glu_f64(int32_t kind, double a, double b)
{
    switch (kind) {
    case QN_GLU_SILU:
        return a / (1 + exp(-a)) * b;
    case QN_GLU_GELU_TANH:
        return gelu_tanh(a) * b;
    case QN_GLU_GELU_ERF:
        return 0.5 * a * erfc(-a / sqrt(2.0)) * b;
    case QN_GLU_SIGMOID:
        return 1 / (1 + exp(-a)) * b;
    default:
        return (a > 0 ? a : 0) * b;
    }
}

static double binary_f64(uint16_t op, int32_t kind, double a, double b, bool integer)
{
    switch (op) {
    case QN_OP_add:
        return a + b;
    case QN_OP_sub:
        return a - b;
    case QN_OP_mul:
        return a * b;
    case QN_OP_div:
        return integer ? (b == 0 ? 0 : trunc(a / b)) : a / b;
    case QN_OP_pow:
        return integer ? trunc(pow(a, b)) : pow(a, b);
    case QN_OP_max:
        return a > b ? a : b;
    case QN_OP_min:
        return a < b ? a : b;
    case QN_OP_equal:
        return a == b;
    case QN_OP_less:
        return a < b;
    case QN_OP_less_equal:
        return a <= b;
    case QN_OP_and:
        return a != 0 && b != 0;
    case QN_OP_or:
        return a != 0 || b != 0;
    case QN_OP_xor:
        return (a != 0) != (b != 0);
    case QN_OP_rem:
        return b == 0 && integer ? 0 : fmod(a, b);
    case QN_OP_mod:
        return b == 0 && integer ? 0 : a - floor(a / b) * b;
    case QN_OP_bit_and:
        return (double)((int64_t)a & (int64_t)b);
    case QN_OP_bit_or:
        return (double)((int64_t)a | (int64_t)b);
    case QN_OP_bit_xor:
        return (double)((int64_t)a ^ (int64_t)b);
    case QN_OP_shift_left:
        return ldexp(a, (int)b);
    case QN_OP_shift_right:
        return floor(ldexp(a, -(int)b));
    case QN_OP_glu:
        return glu_f64(kind, a, b);
    default:
        assert(false);
        return 0;
    }
}

static const uint16_t binary_ops[] = {
    QN_OP_add,   QN_OP_sub,  QN_OP_mul,        QN_OP_div,    QN_OP_pow,     QN_OP_max,        QN_OP_min,
    QN_OP_equal, QN_OP_less, QN_OP_less_equal, QN_OP_and,    QN_OP_glu,     QN_OP_or,         QN_OP_xor,
    QN_OP_mod,   QN_OP_rem,  QN_OP_bit_and,    QN_OP_bit_or, QN_OP_bit_xor, QN_OP_shift_left, QN_OP_shift_right,
};

static bool binary_takes(uint16_t op, qn_dtype dtype)
{
    bool is_float = qn_element_is_float(dtype), is_bool = dtype == QN_DTYPE_BOOL;
    if (op == QN_OP_glu)
        return is_float;
    if (op == QN_OP_and || op == QN_OP_or || op == QN_OP_xor)
        return is_bool;
    if (op >= QN_OP_bit_and && op <= QN_OP_shift_right)
        return !is_float && !is_bool;
    return is_bool ? op == QN_OP_equal : true;
}

/* Which operand axes are broadcast: none, b's first, b's all but the last (a row), a's last, b's all (a number). */
enum { BROADCASTS = 5 };

static void broadcast_masks(int number, uint32_t rank, uint32_t *a, uint32_t *b)
{
    uint32_t all = (1u << rank) - 1, last = rank ? 1u << (rank - 1) : 0;
    *a = number == 3 ? last : 0;
    *b = number == 1 ? all & 1 : number == 2 ? all & ~last : number == 4 ? all : 0;
}

static struct cf_tensor operand(qn_dtype dtype, int layout, const struct shape *shape, uint32_t ones)
{
    int64_t dims[8];
    for (uint32_t i = 0; i < shape->rank; i++)
        dims[i] = ones >> i & 1 ? 1 : shape->dims[i];
    return cf_tensor(dtype, layout, shape->rank, dims);
}

static void binary_case(struct cf *cf, uint16_t op, int32_t kind, qn_dtype dtype, const struct shape *shape, int number)
{
    const char *name = qn_op_info(op)->name;
    bool is_float = qn_element_is_float(dtype), compare = op >= QN_OP_equal && op <= QN_OP_and;
    uint32_t a_ones, b_ones;
    int layout = number % CF_LAYOUTS;
    broadcast_masks(number % BROADCASTS, shape->rank, &a_ones, &b_ones);
    cf_case(cf, "%s %d %s shape %d number %d", name, (int)kind, qn_dtype_name(dtype), (int)(shape - shapes), number);
    struct cf_tensor a = operand(dtype, layout, shape, a_ones),
                     b = operand(dtype, (layout + 1) % CF_LAYOUTS, shape, b_ones);
    struct cf_tensor y =
        cf_tensor(compare ? QN_DTYPE_BOOL : dtype, (layout + 2) % CF_LAYOUTS, shape->rank, shape->dims);
    double low = qn_element_is_unsigned(dtype) ? 0 : -4;
    if (op == QN_OP_shift_left || op == QN_OP_shift_right) {
        cf_fill(&a, low, 9);
        cf_fill(&b, 0, 3.9);
    } else if (op == QN_OP_mod || op == QN_OP_rem) {
        cf_fill(&a, low, 9);
        cf_fill(&b, is_float ? 2.5 : low, 5);
    } else if (op == QN_OP_pow) {
        cf_fill(&a, is_float ? 0.2 : 1, 4);
        cf_fill(&b, is_float ? -3 : 0, 3);
    } else {
        cf_fill(&a, op == QN_OP_sub && low == 0 ? 5 : low, 9);
        cf_fill(&b, op == QN_OP_div && is_float ? 0.5 : low, 5);
    }
    struct qn_binary_params p = {.op = op,
                                 .kind = kind,
                                 .a = cf_broadcast(&a, a_ones, shape->dims),
                                 .b = cf_broadcast(&b, b_ones, shape->dims),
                                 .y = y.view};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *want = cf_values(&p.a), *other = cf_values(&p.b), room = 0;
    int64_t n = cf_elems(&p.a);
    for (int64_t i = 0; i < n; i++)
        want[i] = binary_f64(op, kind, want[i], other[i], !is_float);
    if (is_float && !compare)
        room = dtype == QN_DTYPE_F64 ? 1e-13 : cf_rounding(dtype) + 0x1p-21;
    cf_check(cf, &y, want, room, room * 0.2);
    cf_ran(cf, name, dtype);
    free(want);
    free(other);
    cf_release(&a);
    cf_release(&b);
    cf_release(&y);
}

void cf_binary(struct cf *cf)
{
    for (size_t o = 0; o < sizeof binary_ops / sizeof binary_ops[0]; o++) {
        for (int t = 0; t < PLAIN_TYPES; t++) {
            if (!binary_takes(binary_ops[o], plain_types[t]))
                continue;
            int kinds = binary_ops[o] == QN_OP_glu ? 5 : 1;
            for (int32_t kind = 0; kind < kinds; kind++)
                for (int s = 0; s < SHAPES; s++)
                    for (int number = s; number < s + BROADCASTS; number++)
                        binary_case(cf, binary_ops[o], kind, plain_types[t], &shapes[s], number);
        }
    }
}

/* ---- where, copy, iota ---------------------------------------------------------------------------------------- */

void cf_where(struct cf *cf)
{
    for (int t = 0; t < PLAIN_TYPES; t++) {
        for (int s = 0; s < SHAPES; s++) {
            const struct shape *shape = &shapes[s];
            uint32_t none, ones;
            cf_case(cf, "%s shape %d", qn_dtype_name(plain_types[t]), s);
            broadcast_masks(s % BROADCASTS, shape->rank, &none, &ones);
            struct cf_tensor c = operand(QN_DTYPE_BOOL, s % CF_LAYOUTS, shape, ones);
            struct cf_tensor a = operand(plain_types[t], t % CF_LAYOUTS, shape, none);
            struct cf_tensor b = operand(plain_types[t], (s + t) % CF_LAYOUTS, shape, ones);
            struct cf_tensor y = cf_tensor(plain_types[t], (t + 1) % CF_LAYOUTS, shape->rank, shape->dims);
            cf_fill(&c, 0, 1);
            cf_fill(&a, 0, 100);
            cf_fill(&b, 0, 100);
            struct qn_where_params p = {cf_broadcast(&c, ones, shape->dims), cf_broadcast(&a, none, shape->dims),
                                        cf_broadcast(&b, ones, shape->dims), y.view};
            cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
            double *cv = cf_values(&p.condition), *av = cf_values(&p.a), *bv = cf_values(&p.b);
            for (int64_t i = 0; i < cf_elems(&y.view); i++)
                av[i] = cv[i] != 0 ? av[i] : bv[i];
            cf_check(cf, &y, av, 0, 0);
            cf_ran(cf, "where", plain_types[t]);
            free(cv);
            free(av);
            free(bv);
            cf_release(&c);
            cf_release(&a);
            cf_release(&b);
            cf_release(&y);
        }
    }
}

/* What a conversion gives, for values that lie well inside both types. */
static double converted(double x, qn_dtype to)
{
    if (to == QN_DTYPE_BOOL)
        return x != 0;
    return qn_element_is_float(to) ? x : trunc(x);
}

static void copy_case(struct cf *cf, qn_dtype from, qn_dtype to, int s)
{
    const struct shape *shape = &shapes[s];
    cf_case(cf, "%s to %s shape %d", qn_dtype_name(from), qn_dtype_name(to), s);
    struct cf_tensor x = cf_tensor(from, (s + from) % CF_LAYOUTS, shape->rank, shape->dims);
    struct cf_tensor y = cf_tensor(to, (s + to) % CF_LAYOUTS, shape->rank, shape->dims);
    cf_fill(&x, qn_element_is_unsigned(from) || qn_element_is_unsigned(to) ? 0 : -100, 100);
    struct qn_copy_params p = {.x = x.view, .y = y.view};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *want = cf_values(&x.view);
    for (int64_t i = 0; i < cf_elems(&x.view); i++)
        want[i] = converted(want[i], to);
    cf_check(cf, &y, want, from == to ? 0 : cf_rounding(to), to == QN_DTYPE_F16 ? 0x1p-25 : 0);
    cf_ran(cf, from == to ? "transpose" : "cast", from);
    free(want);
    cf_release(&x);
    cf_release(&y);
}

/* From a block type: to itself the same bytes, to a float its values. */
static void copy_blocks_case(struct cf *cf, qn_dtype from, qn_dtype to)
{
    int64_t dims[] = {3, 5, 512};
    cf_case(cf, "%s to %s", qn_dtype_name(from), qn_dtype_name(to));
    struct cf_tensor x = cf_tensor(from, CF_PADDED, 3, dims), y = cf_tensor(to, CF_PADDED, 3, dims);
    cf_fill(&x, -2, 2);
    struct qn_copy_params p = {
        .x = x.view, .y = y.view, .dequantise = qn_quant(from)->dequantise, .quantise = qn_quant(to)->quantise};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *want = cf_values(&x.view);
    cf_check(cf, &y, want, from == to ? 0 : cf_rounding(to), to == QN_DTYPE_F16 ? 0x1p-25 : 0);
    cf_ran(cf, from == to ? "transpose" : "cast", from);
    free(want);
    cf_release(&x);
    cf_release(&y);
}

void cf_copy(struct cf *cf)
{
    for (int from = 0; from < PLAIN_TYPES; from++)
        for (int to = 0; to < PLAIN_TYPES; to++)
            for (int s = 0; s < SHAPES; s++)
                copy_case(cf, plain_types[from], plain_types[to], s);
    for (int from = 0; from < QN_DTYPE_LIMIT; from++) {
        if (!qn_dtype_is_block((qn_dtype)from) || !qn_quant((qn_dtype)from)->quantise)
            continue;
        copy_blocks_case(cf, (qn_dtype)from, (qn_dtype)from);
        for (int to = 0; to < FLOAT_TYPES; to++)
            copy_blocks_case(cf, (qn_dtype)from, float_types[to]);
    }
}

void cf_iota(struct cf *cf)
{
    for (int t = 0; t < PLAIN_TYPES - 1; t++) {
        int64_t most = plain_types[t] == QN_DTYPE_I8 || plain_types[t] == QN_DTYPE_U8 ? 100 : 2000;
        for (int64_t n = 0; n <= most; n = n * 7 + 1) {
            cf_case(cf, "%s %lld", qn_dtype_name(plain_types[t]), (long long)n);
            struct cf_tensor y = cf_tensor(plain_types[t], n & 1 ? CF_STRIDED : CF_CONTIGUOUS, 1, &n);
            struct qn_iota_params p = {y.view};
            cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
            double *want = alloc_doubles(n);
            for (int64_t i = 0; i < n; i++)
                want[i] = (double)i;
            cf_check(cf, &y, want, cf_rounding(plain_types[t]), 0);
            cf_ran(cf, "iota", plain_types[t]);
            free(want);
            cf_release(&y);
        }
    }
}

/* ---- reduce --------------------------------------------------------------------------------------------------- */

static void reduce_oracle(uint16_t op, const struct qn_view *x, const struct qn_view *y, uint32_t axes, double *want)
{
    double *in = cf_values(x);
    int64_t n = cf_elems(x), out = cf_elems(y), count = 1;
    for (uint32_t i = 0; i < x->rank; i++)
        count *= axes >> i & 1 ? x->dims[i] : 1;
    for (int64_t i = 0; i < out; i++)
        want[i] = op == QN_OP_reduce_max    ? -INFINITY
                  : op == QN_OP_reduce_min  ? INFINITY
                  : op == QN_OP_reduce_prod ? 1
                                            : 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, to = 0, scale = 1;
        for (uint32_t axis = x->rank; axis-- > 0;) {
            to += axes >> axis & 1 ? 0 : rest % x->dims[axis] * scale;
            rest /= x->dims[axis];
            scale *= y->dims[axis];
        }
        want[to] = op == QN_OP_reduce_max    ? fmax(want[to], in[i])
                   : op == QN_OP_reduce_min  ? fmin(want[to], in[i])
                   : op == QN_OP_reduce_prod ? want[to] * in[i]
                                             : want[to] + in[i];
    }
    for (int64_t i = 0; i < out && op == QN_OP_reduce_mean; i++)
        want[i] = qn_element_is_float(x->dtype) ? want[i] / (double)count : trunc(want[i] / (double)count);
    free(in);
}

static void reduce_case(struct cf *cf, uint16_t op, qn_dtype dtype, const struct shape *shape, uint32_t axes,
                        int layout)
{
    const char *name = qn_op_info(op)->name;
    cf_case(cf, "%s %s shape %d axes %u layout %d", name, qn_dtype_name(dtype), (int)(shape - shapes), axes, layout);
    int64_t dims[8];
    for (uint32_t i = 0; i < shape->rank; i++)
        dims[i] = axes >> i & 1 ? 1 : shape->dims[i];
    struct cf_tensor x = cf_tensor(dtype, layout, shape->rank, shape->dims);
    struct cf_tensor y = cf_tensor(dtype, (layout + 1) % CF_LAYOUTS, shape->rank, dims);
    int64_t bytes = qn_element_bytes(dtype);
    bool prod = op == QN_OP_reduce_prod; /* around 1: no overflow */
    cf_fill(&x, prod ? 0.9 : qn_element_is_unsigned(dtype) ? 0 : -2, prod ? 1.1 : bytes == 1 ? 2 : 3);
    if (cf_elems(&y.view) > 0 && cf_elems(&x.view) == 0 && !qn_element_is_float(dtype) && op != QN_OP_reduce_sum) {
        cf_release(&x); /* what integers give for nothing says the family's own test */
        cf_release(&y);
        return;
    }
    struct qn_reduce_params p = {.op = op, .axes = axes, .x = x.view, .y = y.view};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *want = alloc_doubles(cf_elems(&y.view));
    reduce_oracle(op, &x.view, &y.view, axes, want);
    double room = dtype == QN_DTYPE_F64 ? 1e-13 : cf_rounding(dtype) * 2;
    cf_check(cf, &y, want, room, room * 8); /* sums of both signs */
    cf_ran(cf, name, dtype);
    free(want);
    cf_release(&x);
    cf_release(&y);
}

void cf_reduce(struct cf *cf)
{
    static const uint16_t ops[] = {QN_OP_reduce_sum, QN_OP_reduce_mean, QN_OP_reduce_max, QN_OP_reduce_min,
                                   QN_OP_reduce_prod};
    for (int o = 0; o < 5; o++) {
        for (int t = 0; t < PLAIN_TYPES - 1; t++) {
            for (int s = 0; s < SHAPES - 1; s++) {
                bool small = qn_element_bytes(plain_types[t]) == 1; /* sums of more would wrap */
                if (small && shapes[s].rank == 1 && shapes[s].dims[0] > 60)
                    continue;
                for (uint32_t axes = small && shapes[s].rank > 1 ? 1 : 0; axes < 1u << shapes[s].rank;
                     axes += small ? 9 : 1)
                    reduce_case(cf, ops[o], plain_types[t], &shapes[s], axes, (int)(axes + (uint32_t)s) % CF_LAYOUTS);
            }
        }
    }
}

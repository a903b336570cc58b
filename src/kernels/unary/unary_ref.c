#include "ir/ir.h"
#include "kernels/math.h"
#include "kernels/unary/unary.h"
#include "kernels/walk.h"

#define EACH(expression)              \
    for (int64_t i = 0; i < n; i++) { \
        double x = v[i];              \
        v[i] = expression;            \
    }                                 \
    break

static bool is_infinite(double x, uint8_t signs)
{
    return (x == __builtin_inf() && signs != 2) || (x == -__builtin_inf() && signs != 1);
}

static void apply_f64(uint16_t op, uint8_t signs, double *v, int64_t n)
{
    switch (op) {
    case QN_OP_neg:
        EACH(-x);
    case QN_OP_abs:
        EACH(qn_abs(x));
    case QN_OP_exp:
        EACH(qn_exp(x));
    case QN_OP_log:
        EACH(qn_log(x));
    case QN_OP_sqrt:
        EACH(__builtin_sqrt(x));
    case QN_OP_rsqrt:
        EACH(1 / __builtin_sqrt(x));
    case QN_OP_sin:
        EACH(qn_sin(x));
    case QN_OP_cos:
        EACH(qn_cos(x));
    case QN_OP_tanh:
        EACH(qn_tanh(x));
    case QN_OP_sigmoid:
        EACH(qn_sigmoid(x));
    case QN_OP_erf:
        EACH(qn_erf(x));
    case QN_OP_relu:
        EACH(x < 0 ? 0 : x);
    case QN_OP_floor:
        EACH(qn_floor(x));
    case QN_OP_ceil:
        EACH(qn_ceil(x));
    case QN_OP_round:
        EACH(qn_round(x));
    case QN_OP_sign:
        EACH(qn_sign(x));
    case QN_OP_tan:
        EACH(qn_tan(x));
    case QN_OP_asin:
        EACH(qn_asin(x));
    case QN_OP_acos:
        EACH(qn_acos(x));
    case QN_OP_atan:
        EACH(qn_atan(x));
    case QN_OP_sinh:
        EACH(qn_sinh(x));
    case QN_OP_cosh:
        EACH(qn_cosh(x));
    case QN_OP_asinh:
        EACH(qn_asinh(x));
    case QN_OP_acosh:
        EACH(qn_acosh(x));
    case QN_OP_atanh:
        EACH(qn_atanh(x));
    case QN_OP_log1p:
        EACH(qn_log1p(x));
    case QN_OP_expm1:
        EACH(qn_expm1(x));
    case QN_OP_reciprocal:
        EACH(1 / x);
    case QN_OP_is_nan:
        EACH(x != x);
    case QN_OP_is_inf:
        EACH(is_infinite(x, signs));
    case QN_OP_silu:
        EACH(x * qn_sigmoid(x));
    case QN_OP_gelu_tanh:
        EACH(qn_gelu_tanh(x));
    case QN_OP_gelu_erf:
        EACH(qn_gelu_erf(x));
    default:
        EACH(0 * x);
    }
}

static void apply_i64(uint16_t op, bool is_unsigned, int64_t *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t x = (uint64_t)v[i], negated = 0 - x;
        bool below = !is_unsigned && v[i] < 0;
        v[i] = (int64_t)(op == QN_OP_neg       ? negated
                         : op == QN_OP_abs     ? (below ? negated : x)
                         : op == QN_OP_relu    ? (below ? 0 : x)
                         : op == QN_OP_not     ? (uint64_t)(x == 0)
                         : op == QN_OP_sign    ? (below ? ~0ull : x != 0)
                         : op == QN_OP_bit_not ? ~x
                                               : 0);
    }
}

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_unary_params *)params)->y);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_unary_params *p = params;
    int64_t first = begin * QN_ELEMENT_TILE, all = qn_view_elems(&p->y), left = end * QN_ELEMENT_TILE;
    left = (left < all ? left : all) - first;
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&p->y, &p->x}, 2, first);
    int64_t y_step = qn_walk_step(&walk, 0), x_step = qn_walk_step(&walk, 1), n;
    for (; left > 0; left -= n) {
        n = qn_walk_run(&walk, left < QN_ELEMENT_RUN ? left : QN_ELEMENT_RUN);
        if (qn_element_is_float(p->x.dtype)) {
            double v[QN_ELEMENT_RUN];
            qn_load_f64(v, walk.at[1], x_step, p->x.dtype, n);
            apply_f64(p->op, p->signs, v, n);
            qn_store_f64(walk.at[0], y_step, p->y.dtype, v, n);
        } else {
            int64_t v[QN_ELEMENT_RUN];
            qn_load_i64(v, walk.at[1], x_step, p->x.dtype, n);
            apply_i64(p->op, qn_element_is_unsigned(p->x.dtype), v, n);
            qn_store_i64(walk.at[0], y_step, p->y.dtype, v, n);
        }
        qn_walk_advance(&walk, n);
    }
}

const struct qn_kernel qn_unary_ref = {
    .serial = 700,
    .name = "unary_ref",
    .family = QN_FAMILY_UNARY,
    .tiles = tiles,
    .run = run,
};

#include "ir/ir.h"
#include "kernels/binary/binary.h"
#include "kernels/math.h"
#include "kernels/walk.h"
#include "quern/tensor.h"

#define EACH(expression)              \
    for (int64_t i = 0; i < n; i++) { \
        double x = a[i], y = b[i];    \
        a[i] = expression;            \
    }                                 \
    break

static void glu_f64(int32_t kind, double *a, const double *b, int64_t n)
{
    switch (kind) {
    case QN_GLU_SILU:
        EACH(x * qn_sigmoid(x) * y);
    case QN_GLU_GELU_TANH:
        EACH(qn_gelu_tanh(x) * y);
    case QN_GLU_GELU_ERF:
        EACH(qn_gelu_erf(x) * y);
    case QN_GLU_SIGMOID:
        EACH(qn_sigmoid(x) * y);
    default:
        EACH((x < 0 ? 0 : x) * y); /* QN_GLU_RELU */
    }
}

static void apply_f64(uint16_t op, int32_t kind, double *a, const double *b, int64_t n)
{
    switch (op) {
    case QN_OP_add:
        EACH(x + y);
    case QN_OP_sub:
        EACH(x - y);
    case QN_OP_mul:
        EACH(x * y);
    case QN_OP_div:
        EACH(x / y);
    case QN_OP_pow:
        EACH(qn_pow(x, y));
    case QN_OP_max:
        EACH(x > y || x != x ? x : y);
    case QN_OP_min:
        EACH(x < y || x != x ? x : y);
    case QN_OP_equal:
        EACH(x == y);
    case QN_OP_less:
        EACH(x < y);
    case QN_OP_less_equal:
        EACH(x <= y);
    case QN_OP_and:
        EACH(x != 0 && y != 0);
    case QN_OP_or:
        EACH(x != 0 || y != 0);
    case QN_OP_xor:
        EACH((x != 0) != (y != 0));
    case QN_OP_mod:
        EACH(qn_mod(x, y));
    case QN_OP_rem:
        EACH(qn_rem(x, y));
    case QN_OP_glu:
        glu_f64(kind, a, b, n);
        break;
    default:
        EACH(0 * x + 0 * y);
    }
}

static uint64_t power(uint64_t x, int64_t y, bool is_unsigned)
{
    if (y < 0 && !is_unsigned) /* 1 / x^-y rounded towards zero */
        return x == 1 ? 1 : x == UINT64_MAX ? (y & 1 ? UINT64_MAX : 1) : 0;
    uint64_t result = 1;
    for (uint64_t bits = (uint64_t)y; bits; bits >>= 1, x *= x)
        if (bits & 1)
            result *= x;
    return result;
}

static uint64_t quotient(int64_t x, int64_t y, bool is_unsigned)
{
    if (y == 0)
        return 0;
    if (is_unsigned)
        return (uint64_t)x / (uint64_t)y;
    return y == -1 ? 0 - (uint64_t)x : (uint64_t)(x / y);
}

/* With the divisor's sign (floored) or the dividend's. */
static int64_t remainder_of(int64_t x, int64_t y, bool is_unsigned, bool floored)
{
    if (y == 0 || (y == -1 && !is_unsigned))
        return 0;
    if (is_unsigned)
        return (int64_t)((uint64_t)x % (uint64_t)y);
    int64_t r = x % y;
    return floored && r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static int bits_of(qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_I4:
    case QN_DTYPE_U4:
        return 4;
    case QN_DTYPE_I2:
    case QN_DTYPE_U2:
        return 2;
    default:
        return (int)(8 * qn_element_bytes(dtype));
    }
}

/* op equal */
static void compare_strings(uint8_t *y, int64_t y_step, const char *a, int64_t a_step, const char *b, int64_t b_step,
                            int64_t n)
{
    for (int64_t i = 0; i < n; i++, y += y_step, a += a_step, b += b_step) {
        const struct qn_string *s = (const void *)a, *t = (const void *)b;
        size_t k = 0;
        while (s->size == t->size && k < s->size && s->data[k] == t->data[k])
            k++;
        *y = s->size == t->size && k == s->size;
    }
}

static bool below(int64_t x, int64_t y, bool is_unsigned)
{
    return is_unsigned ? (uint64_t)x < (uint64_t)y : x < y;
}

#undef EACH
#define EACH(expression)              \
    for (int64_t i = 0; i < n; i++) { \
        int64_t x = a[i], y = b[i];   \
        a[i] = (int64_t)(expression); \
    }                                 \
    break

static void apply_i64(uint16_t op, bool uns, int bits, int64_t *a, const int64_t *b, int64_t n)
{
    switch (op) {
    case QN_OP_add:
        EACH((uint64_t)x + (uint64_t)y);
    case QN_OP_sub:
        EACH((uint64_t)x - (uint64_t)y);
    case QN_OP_mul:
        EACH((uint64_t)x * (uint64_t)y);
    case QN_OP_div:
        EACH(quotient(x, y, uns));
    case QN_OP_pow:
        EACH(power((uint64_t)x, y, uns));
    case QN_OP_max:
        EACH(below(x, y, uns) ? y : x);
    case QN_OP_min:
        EACH(below(y, x, uns) ? y : x);
    case QN_OP_equal:
        EACH(x == y);
    case QN_OP_less:
        EACH(below(x, y, uns));
    case QN_OP_less_equal:
        EACH(!below(y, x, uns));
    case QN_OP_and:
        EACH(x != 0 && y != 0);
    case QN_OP_or:
        EACH(x != 0 || y != 0);
    case QN_OP_xor:
        EACH((x != 0) != (y != 0));
    case QN_OP_mod:
        EACH(remainder_of(x, y, uns, true));
    case QN_OP_rem:
        EACH(remainder_of(x, y, uns, false));
    case QN_OP_bit_and:
        EACH(x & y);
    case QN_OP_bit_or:
        EACH(x | y);
    case QN_OP_bit_xor:
        EACH(x ^ y);
    case QN_OP_shift_left:
        EACH((uint64_t)y < (uint64_t)bits ? (uint64_t)x << y : 0);
    case QN_OP_shift_right:
        EACH((uint64_t)y >= (uint64_t)bits ? 0 : uns ? (int64_t)((uint64_t)x >> y) : x >> y);
    default:
        EACH(x & y & 0);
    }
}

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_binary_params *)params)->y);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_binary_params *p = params;
    int64_t first = begin * QN_ELEMENT_TILE, all = qn_view_elems(&p->y), left = end * QN_ELEMENT_TILE;
    left = (left < all ? left : all) - first;
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&p->y, &p->a, &p->b}, 3, first);
    int64_t y_step = qn_walk_step(&walk, 0), a_step = qn_walk_step(&walk, 1), b_step = qn_walk_step(&walk, 2), n;
    for (; left > 0; left -= n) {
        n = qn_walk_run(&walk, left < QN_ELEMENT_RUN ? left : QN_ELEMENT_RUN);
        if (p->a.dtype == QN_DTYPE_STRING) {
            compare_strings((uint8_t *)walk.at[0], y_step, walk.at[1], a_step, walk.at[2], b_step, n);
        } else if (qn_element_is_float(p->a.dtype)) {
            double a[QN_ELEMENT_RUN], b[QN_ELEMENT_RUN];
            qn_load_f64(a, walk.at[1], a_step, p->a.dtype, n);
            qn_load_f64(b, walk.at[2], b_step, p->b.dtype, n);
            apply_f64(p->op, p->kind, a, b, n);
            qn_store_f64(walk.at[0], y_step, p->y.dtype, a, n);
        } else {
            int64_t a[QN_ELEMENT_RUN], b[QN_ELEMENT_RUN];
            qn_load_i64(a, walk.at[1], a_step, p->a.dtype, n);
            qn_load_i64(b, walk.at[2], b_step, p->b.dtype, n);
            apply_i64(p->op, qn_element_is_unsigned(p->a.dtype), bits_of(p->a.dtype), a, b, n);
            qn_store_i64(walk.at[0], y_step, p->y.dtype, a, n);
        }
        qn_walk_advance(&walk, n);
    }
}

const struct qn_kernel qn_binary_ref = {
    .serial = 800,
    .name = "binary_ref",
    .family = QN_FAMILY_BINARY,
    .tiles = tiles,
    .run = run,
};

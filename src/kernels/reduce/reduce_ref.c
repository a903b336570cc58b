#include "ir/ir.h"
#include "kernels/reduce/reduce.h"
#include "kernels/walk.h"

/* The elements of x that make up one element of y, as a view: the reduced axes. */
static struct qn_view reduced_part(const struct qn_reduce_params *p)
{
    struct qn_view part = {.dtype = p->x.dtype};
    for (uint32_t i = 0; i < p->x.rank; i++) {
        if (!(p->axes >> i & 1))
            continue;
        part.dims[part.rank] = p->x.dims[i];
        part.strides[part.rank++] = p->x.strides[i];
    }
    return part;
}

/* What an empty part gives. */
static double empty_f64(uint16_t op)
{
    return op == QN_OP_reduce_max    ? -__builtin_inf()
           : op == QN_OP_reduce_min  ? __builtin_inf()
           : op == QN_OP_reduce_prod ? 1
                                     : 0;
}

static double fold_f64(uint16_t op, double result, const double *v, int64_t n)
{
    switch (op) {
    case QN_OP_reduce_max:
        for (int64_t i = 0; i < n; i++)
            result = v[i] > result || v[i] != v[i] ? v[i] : result;
        break;
    case QN_OP_reduce_min:
        for (int64_t i = 0; i < n; i++)
            result = v[i] < result || v[i] != v[i] ? v[i] : result;
        break;
    case QN_OP_reduce_prod:
        for (int64_t i = 0; i < n; i++)
            result *= v[i];
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            result += v[i];
        break;
    }
    return result;
}

static double reduce_f64(uint16_t op, const struct qn_view *part)
{
    double result = empty_f64(op), v[QN_ELEMENT_RUN];
    int64_t count = qn_view_elems(part), n;
    struct qn_walk walk;
    qn_walk_start(&walk, &(const struct qn_view *){part}, 1, 0);
    for (int64_t left = count; left > 0; left -= n) {
        n = qn_walk_run(&walk, left < QN_ELEMENT_RUN ? left : QN_ELEMENT_RUN);
        qn_load_f64(v, walk.at[0], qn_walk_step(&walk, 0), part->dtype, n);
        result = fold_f64(op, result, v, n);
        qn_walk_advance(&walk, n);
    }
    return op == QN_OP_reduce_mean ? result / (double)count : result;
}

static uint64_t empty_i64(uint16_t op, qn_dtype dtype)
{
    bool is_unsigned = qn_element_is_unsigned(dtype);
    uint64_t ones = ~0ull >> (64 - 8 * qn_element_bytes(dtype)), top = ones ^ ones >> 1; /* all bits, the highest */
    if (op == QN_OP_reduce_max)
        return is_unsigned ? 0 : ~(top - 1);
    if (op == QN_OP_reduce_min)
        return is_unsigned ? ones : top - 1;
    return op == QN_OP_reduce_prod;
}

static uint64_t fold_i64(uint16_t op, bool is_unsigned, uint64_t result, const int64_t *v, int64_t n)
{
    bool max = op == QN_OP_reduce_max;
    for (int64_t i = 0; i < n; i++) {
        uint64_t x = (uint64_t)v[i];
        if (op == QN_OP_reduce_prod)
            result *= x;
        else if (!max && op != QN_OP_reduce_min)
            result += x;
        else if (x != result && max == (is_unsigned ? x > result : v[i] > (int64_t)result))
            result = x;
    }
    return result;
}

static int64_t reduce_i64(uint16_t op, const struct qn_view *part)
{
    bool is_unsigned = qn_element_is_unsigned(part->dtype);
    uint64_t result = empty_i64(op, part->dtype);
    int64_t count = qn_view_elems(part), v[QN_ELEMENT_RUN], n;
    struct qn_walk walk;
    qn_walk_start(&walk, &(const struct qn_view *){part}, 1, 0);
    for (int64_t left = count; left > 0; left -= n) {
        n = qn_walk_run(&walk, left < QN_ELEMENT_RUN ? left : QN_ELEMENT_RUN);
        qn_load_i64(v, walk.at[0], qn_walk_step(&walk, 0), part->dtype, n);
        result = fold_i64(op, is_unsigned, result, v, n);
        qn_walk_advance(&walk, n);
    }
    if (op != QN_OP_reduce_mean || count == 0)
        return (int64_t)result;
    return is_unsigned ? (int64_t)(result / (uint64_t)count) : (int64_t)result / count;
}

static int64_t tiles(const void *params)
{
    return qn_view_elems(&((const struct qn_reduce_params *)params)->y);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_reduce_params *p = params;
    struct qn_view part = reduced_part(p), base = p->x;
    for (uint32_t i = 0; i < base.rank; i++)
        base.dims[i] = p->y.dims[i];
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&p->y, &base}, 2, begin);
    for (int64_t tile = begin; tile < end; tile++) {
        part.data = walk.at[1];
        if (qn_element_is_float(p->x.dtype)) {
            double y = reduce_f64(p->op, &part);
            qn_store_f64(walk.at[0], 0, p->y.dtype, &y, 1);
        } else {
            int64_t y = reduce_i64(p->op, &part);
            qn_store_i64(walk.at[0], 0, p->y.dtype, &y, 1);
        }
        qn_walk_advance(&walk, 1);
    }
}

const struct qn_kernel qn_reduce_ref = {
    .serial = 1000,
    .name = "reduce_ref",
    .family = QN_FAMILY_REDUCE,
    .tiles = tiles,
    .run = run,
};

/* Tensors made from sizes and numbers: filled, counted, diagonal, one-hot, masked. */
#include <inttypes.h>

#include "format/onnx/import_state.h"
#include "format/onnx/ops/elementwise.h"

static qn_value fill(struct qn_lower *l, qn_value scalar, uint32_t rank, const qn_dim *dims)
{
    struct qn_attr_reshape attr = {.dims = {.count = rank}};
    for (uint32_t i = 0; i < rank; i++)
        attr.dims.items[i] = dims[i];
    return qn_build_node(l->b, QN_OP_expand, &scalar, 1, &attr, NULL);
}

/* 0, 1, 2, ... as i64 along one axis of a tensor of this rank. */
static qn_value count_along(struct qn_lower *l, qn_dim count, uint32_t axis, uint32_t rank)
{
    qn_dim dims[QN_MAX_RANK];
    struct qn_attr_iota attr = {.count = count, .dtype = QN_DTYPE_I64};
    if (rank > QN_MAX_RANK) {
        qn_onnx_fail(l, "rank %" PRIu32 ", at most %d", rank, QN_MAX_RANK);
        return 0;
    }
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = i == axis ? count : 1;
    return qn_build_reshape(l->b, qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL), rank, dims);
}

QN_ONNX_LOWER(constant_of_shape)
{
    struct qn_sizes sizes;
    qn_dim dims[QN_MAX_RANK];
    qn_value value = qn_onnx_has_attr(l, "value") ? qn_onnx_attr_tensor(l, "value") : qn_build_scalar(l->b, 0);
    value = qn_build_reshape(l->b, value, 0, NULL);
    if (!qn_onnx_sizes(l, 0, &sizes))
        return;
    if (sizes.count > QN_MAX_RANK)
        qn_onnx_fail(l, "rank %" PRIu32 ", at most %d", sizes.count, QN_MAX_RANK);
    for (uint32_t i = 0; i < sizes.count && !l->b->status; i++)
        dims[i] = qn_onnx_size_dim(l, &sizes.items[i]);
    if (!l->b->status)
        qn_onnx_out(l, 0, fill(l, value, sizes.count, dims));
}

QN_ONNX_LOWER(eye_like)
{
    qn_value x = qn_onnx_in(l, 0);
    qn_dtype dtype = qn_onnx_attr_dtype(l, "dtype");
    int64_t k = qn_onnx_attr_i(l, "k", 0);
    if (l->b->status)
        return;
    if (qn_onnx_rank(l, x) != 2)
        qn_onnx_fail(l, "rank %" PRIu32 ", expected 2", qn_onnx_rank(l, x));
    if (l->b->status)
        return;
    dtype = dtype ? dtype : qn_onnx_type_of(l, x)->dtype;
    qn_value rows = count_along(l, qn_build_dim(l->b, x, 0), 0, 2);
    qn_value columns = count_along(l, qn_build_dim(l->b, x, 1), 1, 2);
    rows = qn_build_binary(l->b, QN_OP_add, rows, qn_onnx_i64(l, k));
    qn_onnx_out(l, 0, qn_build_cast(l->b, qn_build_binary(l->b, QN_OP_equal, rows, columns), dtype));
}

QN_ONNX_LOWER(trilu)
{
    qn_value x = qn_onnx_in(l, 0);
    bool upper = qn_onnx_attr_i(l, "upper", 1) != 0;
    uint32_t rank = qn_onnx_rank(l, x);
    if (l->b->status)
        return;
    if (rank < 2) {
        qn_onnx_fail(l, "rank %" PRIu32 ", expected 2 or more", rank);
        return;
    }
    qn_value rows = count_along(l, qn_build_dim(l->b, x, rank - 2), 0, 2);
    qn_value columns = count_along(l, qn_build_dim(l->b, x, rank - 1), 1, 2);
    if (qn_onnx_has(l, 1))
        rows = qn_build_binary(l->b, QN_OP_add, rows, qn_build_reshape(l->b, qn_onnx_in(l, 1), 0, NULL));
    qn_value keep = qn_build_binary(l->b, QN_OP_less_equal, upper ? rows : columns, upper ? columns : rows);
    qn_value zero = qn_onnx_number(l, l->b->status ? QN_DTYPE_F32 : qn_onnx_type_of(l, x)->dtype, 0);
    qn_onnx_out(l, 0, qn_build_where(l->b, keep, x, zero));
}

/* ---- ranges --------------------------------------------------------------------------------------------------- */

/* The number of steps of a range of numbers; -1 when it cannot be. */
static int64_t steps_of(double start, double limit, double delta)
{
    double count = __builtin_ceil((limit - start) / delta);
    return !(count > 0) ? 0 : count < 1e15 ? (int64_t)count : -1;
}

static bool real_number(struct qn_lower *l, uint32_t i, double *out)
{
    const struct qn_contents *c = qn_onnx_in_contents(l, i);
    int64_t number;
    if (!c || c->count != 1 || c->inputs || !c->items[0].known)
        return false;
    if (qn_contents_real(c->dtype)) {
        *out = c->items[0].real;
        return true;
    }
    bool ok = qn_item_get(&c->items[0], &number);
    *out = ok ? (double)number : 0;
    return ok;
}

/* The step of a range; com.microsoft lets it be absent. */
static bool step_number(struct qn_lower *l, double *out)
{
    *out = 1;
    return !qn_onnx_has(l, 2) || real_number(l, 2, out);
}

/* The same of what only the run knows, by deferring. */
static bool run_number(struct qn_lower *l, uint32_t i, double *out)
{
    const struct qn_contents *c = qn_onnx_in_contents(l, i);
    if (real_number(l, i, out))
        return true;
    if (!qn_onnx_constant(l, i))
        return false;
    int64_t number = 0;
    bool known = c && c->count == 1 && c->items[0].known;
    if (!known || (!qn_contents_real(c->dtype) && !qn_item_get(&c->items[0], &number)))
        return false;
    *out = qn_contents_real(c->dtype) ? c->items[0].real : (double)number;
    return true;
}

/* The count of a range of integers in terms of symbols. */
static bool symbolic_steps(struct qn_lower *l, qn_dim *count)
{
    const struct qn_contents *start = qn_onnx_in_contents(l, 0), *limit = qn_onnx_in_contents(l, 1);
    double delta;
    qn_dim length;
    if (!start || !limit || start->inputs || limit->inputs || qn_contents_real(start->dtype) || start->count != 1 ||
        limit->count != 1 || !step_number(l, &delta) || delta < 1)
        return false;
    struct qn_item d = qn_item_sub(l->b->graph, &limit->items[0], &start->items[0]);
    if (!d.known || !qn_item_size(l->b->graph, &d, &length))
        return false;
    if (delta > 1) {
        length = qn_build_expr(l->b, QN_EXPR_ADD, length, (int64_t)delta - 1);
        length = qn_build_expr(l->b, QN_EXPR_DIV, length, (int64_t)delta);
    }
    *count = length;
    return !l->b->status;
}

/* The count that the run finds out. */
static qn_dim late_steps(struct qn_lower *l, qn_value start, qn_value limit, qn_value delta)
{
    qn_value length = qn_build_binary(l->b, QN_OP_sub, limit, start);
    if (l->b->status)
        return 0;
    qn_dtype dtype = qn_onnx_type_of(l, start)->dtype;
    if (qn_dtype_info(dtype)->class_ == QN_DTYPE_CLASS_FLOAT) {
        length = qn_build_unary(l->b, QN_OP_ceil, qn_build_binary(l->b, QN_OP_div, length, delta));
        length = qn_build_cast(l->b, length, QN_DTYPE_I64);
    } else {
        length = qn_build_cast(l->b, length, QN_DTYPE_I64);
        delta = qn_build_cast(l->b, delta, QN_DTYPE_I64);
        length = qn_build_binary(l->b, QN_OP_add, length, delta);
        length = qn_build_binary(l->b, QN_OP_sub, length, qn_build_unary(l->b, QN_OP_sign, delta));
        length = qn_build_binary(l->b, QN_OP_div, length, delta);
    }
    length = qn_build_binary(l->b, QN_OP_max, length, qn_onnx_i64(l, 0));
    struct qn_attr_bind_dims attr = {.dims = {.count = 1, .items = {qn_onnx_late(l, "range")}}};
    qn_build_node(l->b, QN_OP_bind_dims, &length, 1, &attr, NULL);
    return attr.dims.items[0];
}

QN_ONNX_LOWER(range)
{
    double start, limit, delta;
    qn_dim count = 0;
    qn_value from = qn_build_reshape(l->b, qn_onnx_in(l, 0), 0, NULL);
    qn_dtype dtype = qn_onnx_type_of(l, from)->dtype;
    qn_value by = qn_onnx_has(l, 2) ? qn_build_reshape(l->b, qn_onnx_in(l, 2), 0, NULL) : qn_onnx_number(l, dtype, 1);
    if (l->b->status)
        return;
    if (real_number(l, 0, &start) && real_number(l, 1, &limit) && step_number(l, &delta)) {
        count = steps_of(start, limit, delta);
        if (delta == 0 || count < 0) {
            qn_onnx_fail(l, "a range without end");
            return;
        }
    } else if (!symbolic_steps(l, &count)) {
        count = late_steps(l, from, qn_build_reshape(l->b, qn_onnx_in(l, 1), 0, NULL), by);
    }
    from = qn_lower_widen(l, from);
    qn_value out = qn_build_cast(l->b, count_along(l, count, 0, 1), qn_onnx_type_of(l, from)->dtype);
    out = qn_build_binary(l->b, QN_OP_mul, out, qn_lower_widen(l, by));
    qn_onnx_out(l, 0, qn_build_cast(l->b, qn_build_binary(l->b, QN_OP_add, out, from), dtype));
}

/* ---- one hot -------------------------------------------------------------------------------------------------- */

static qn_dim depth_of(struct qn_lower *l)
{
    double number;
    struct qn_sizes sizes;
    if (real_number(l, 1, &number) && number >= 0 && number < 1e15)
        return (int64_t)number;
    qn_value v = qn_onnx_in(l, 1);
    if (l->b->status || qn_dtype_info(qn_onnx_type_of(l, v)->dtype)->class_ == QN_DTYPE_CLASS_FLOAT) {
        if (run_number(l, 1, &number) && number >= 0 && number < 1e15)
            return (int64_t)number;
        qn_onnx_fail(l, "the depth is no size");
        return 0;
    }
    return qn_onnx_sizes(l, 1, &sizes) ? qn_onnx_size_dim(l, &sizes.items[0]) : 0;
}

QN_ONNX_LOWER(one_hot)
{
    qn_value x = qn_onnx_in(l, 0), values = qn_onnx_in(l, 2);
    uint32_t rank = qn_onnx_rank(l, x);
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", -1), rank, 1);
    qn_dim depth = depth_of(l);
    if (l->b->status)
        return;
    x = qn_build_cast(l->b, x, QN_DTYPE_I64);
    qn_value size = qn_build_reshape(l->b, qn_build_cast(l->b, qn_onnx_in(l, 1), QN_DTYPE_I64), 0, NULL);
    qn_value negative = qn_build_binary(l->b, QN_OP_less, x, qn_onnx_i64(l, 0));
    x = qn_build_where(l->b, negative, qn_build_binary(l->b, QN_OP_add, x, size), x);
    x = qn_onnx_unsqueeze(l, x, &(struct qn_ints){.count = 1, .items = {axis}});
    qn_value hot = qn_build_binary(l->b, QN_OP_equal, x, count_along(l, depth, (uint32_t)axis, rank + 1));
    qn_value off = qn_build_reshape(l->b, qn_build_slice(l->b, values, 0, 0, 1), 0, NULL);
    qn_value on = qn_build_reshape(l->b, qn_build_slice(l->b, values, 0, 1, 2), 0, NULL);
    qn_onnx_out(l, 0, qn_build_where(l->b, hot, on, off));
}

/* ---- reversed sequences --------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(reverse_sequence)
{
    qn_value x = qn_onnx_in(l, 0), lengths = qn_build_cast(l->b, qn_onnx_in(l, 1), QN_DTYPE_I64);
    uint32_t rank = qn_onnx_rank(l, x);
    uint32_t batch = (uint32_t)qn_onnx_axis(l, qn_onnx_attr_i(l, "batch_axis", 1), rank, 0);
    uint32_t time = (uint32_t)qn_onnx_axis(l, qn_onnx_attr_i(l, "time_axis", 0), rank, 0);
    qn_dim dims[QN_MAX_RANK], all[QN_MAX_RANK] = {0};
    if (l->b->status)
        return;
    for (uint32_t i = 0; i < rank; i++) {
        all[i] = qn_build_dim(l->b, x, i);
        dims[i] = i == batch ? all[i] : 1;
    }
    lengths = qn_build_reshape(l->b, lengths, rank, dims);
    qn_value at = count_along(l, all[time], time, rank);
    qn_value back = qn_build_binary(l->b, QN_OP_sub, lengths, qn_build_binary(l->b, QN_OP_add, at, qn_onnx_i64(l, 1)));
    qn_value index = qn_build_where(l->b, qn_build_binary(l->b, QN_OP_less, at, lengths), back, at);
    index = fill(l, index, rank, all);
    struct qn_attr_axis attr = {.axis = time};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_gather_elements, (qn_value[]){x, index}, 2, &attr, NULL));
}

/* ---- dropout -------------------------------------------------------------------------------------------------- */

/* The Mersenne Twister 19937 with numpy's seeding and doubles: masks that reproduce what a seed means there. */
struct twister {
    uint32_t state[624];
    uint32_t at;
};

static void twister_seed(struct twister *t, uint32_t seed)
{
    for (uint32_t i = 0; i < 624; i++) {
        t->state[i] = seed;
        seed = 1812433253u * (seed ^ (seed >> 30)) + i + 1;
    }
    t->at = 624;
}

static uint32_t twister_next(struct twister *t)
{
    if (t->at == 624) {
        for (uint32_t i = 0; i < 624; i++) {
            uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % 624] & 0x7fffffffu);
            t->state[i] = t->state[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        t->at = 0;
    }
    uint32_t y = t->state[t->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

enum { MAX_MASK = 1 << 20 };

/* Bool like x: true with probability 1 - ratio. */
static qn_value dropout_mask(struct qn_lower *l, qn_value x, double ratio)
{
    const struct qn_type *type = qn_onnx_type_of(l, x);
    uint64_t count = 1;
    for (uint32_t i = 0; i < type->rank; i++)
        if (__builtin_mul_overflow(count, (uint64_t)type->dims[i], &count) || count > MAX_MASK) {
            qn_onnx_fail(l, "dropout in training over more than %d elements", MAX_MASK);
            return 0;
        }
    uint8_t *mask = qn_arena_alloc(&l->import->arena, count, 1);
    struct twister *t = QN_ARENA_NEW(&l->import->arena, struct twister);
    if (!mask || !t) {
        l->b->status = QN_OOM();
        return 0;
    }
    twister_seed(t, (uint32_t)qn_onnx_attr_i(l, "seed", 0));
    for (uint64_t i = 0; i < count; i++) {
        uint32_t high = twister_next(t) >> 5, low = twister_next(t) >> 6;
        mask[i] = ((double)high * 67108864.0 + (double)low) / 9007199254740992.0 >= ratio;
    }
    int64_t dims[QN_MAX_RANK];
    memcpy(dims, type->dims, sizeof dims);
    return qn_onnx_data(l, QN_DTYPE_BOOL, type->rank, dims, mask);
}

static bool is_training(struct qn_lower *l)
{
    if (l->opset < 7)
        return false; /* is_test is 0 where exporters forgot it */
    if (l->opset < 12 || !qn_onnx_has(l, 2))
        return false;
    const uint8_t *flag = qn_onnx_constant(l, 2);
    return flag && *flag;
}

QN_ONNX_LOWER(dropout)
{
    qn_value x = qn_onnx_in(l, 0);
    double ratio = 0.5;
    bool training = is_training(l);
    if (l->b->status)
        return;
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    if (training && qn_onnx_has(l, 1) && !run_number(l, 1, &ratio))
        qn_onnx_fail(l, "a ratio that is no float32 or float64");
    if (training && ratio != 0 && qn_onnx_static(l, x)) {
        qn_value mask = dropout_mask(l, x, ratio);
        qn_value kept = qn_build_binary(l->b, QN_OP_mul, x, qn_build_cast(l->b, mask, dtype));
        qn_onnx_out(l, 0, qn_build_binary(l->b, QN_OP_mul, kept, qn_onnx_number(l, dtype, 1 / (1 - ratio))));
        qn_onnx_out(l, 1, mask);
        return;
    }
    qn_onnx_out_same(l, 0, 0);
    if (!qn_onnx_wants(l, 1) || l->b->status)
        return;
    qn_dim dims[QN_MAX_RANK];
    for (uint32_t i = 0; i < qn_onnx_rank(l, x); i++)
        dims[i] = qn_build_dim(l->b, x, i);
    qn_value ones = qn_onnx_number(l, l->opset < 10 ? dtype : QN_DTYPE_BOOL, 1);
    qn_onnx_out(l, 1, fill(l, ones, qn_onnx_rank(l, x), dims));
}

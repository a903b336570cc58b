/* Losses, and the updates of optimisers. */
#include <inttypes.h>

#include "format/onnx/import_state.h"
#include "format/onnx/ops/elementwise.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)
#define UNARY(op, x) qn_lower_unary(l, QN_OP_##op, x)
#define NUMBER(op, x, n) qn_lower_with_number(l, QN_OP_##op, x, n)

static qn_value reduce_all(struct qn_lower *l, uint16_t op, qn_value x)
{
    struct qn_attr_reduce attr = {0};
    for (uint32_t i = 0; i < qn_onnx_rank(l, x); i++)
        attr.axes.items[attr.axes.count++] = i;
    return attr.axes.count ? qn_build_node(l->b, op, &x, 1, &attr, NULL) : x;
}

/* -x[n, target[n, ...], ...]; where the target is ignored, element 0 stands in. x is [n, c, ...]. */
static qn_value picked(struct qn_lower *l, qn_value x, qn_value target)
{
    struct qn_ints axis = {1, {1}};
    struct qn_attr_axis attr = {.axis = 1};
    qn_value index = qn_onnx_unsqueeze(l, target, &axis);
    qn_value y = qn_build_node(l->b, QN_OP_gather_elements, (qn_value[]){x, index}, 2, &attr, NULL);
    return UNARY(neg, qn_onnx_squeeze(l, y, &axis));
}

/* x is [n, c, ...], the target [n, ...], weights are [c]. */
static bool check_shapes(struct qn_lower *l, qn_value x)
{
    qn_value target = qn_onnx_in(l, 1), weight = qn_onnx_has(l, 2) ? qn_onnx_in(l, 2) : 0;
    if (l->b->status)
        return false;
    uint32_t rank = qn_onnx_rank(l, x);
    if (rank < 2 || qn_onnx_rank(l, target) != rank - 1) {
        qn_onnx_fail(l, "scores of rank %" PRIu32 " with a target of rank %" PRIu32 ", expected 2 or more and one less",
                     rank, qn_onnx_rank(l, target));
        return false;
    }
    for (uint32_t i = 0; i < rank - 1; i++) {
        qn_dim size = qn_onnx_type_of(l, x)->dims[i ? i + 1 : 0], found = qn_onnx_type_of(l, target)->dims[i];
        if (size >= 0 && found >= 0 && size != found)
            qn_onnx_fail(l, "axis %" PRIu32 " of the target has size %" PRId64 ", that of the scores %" PRId64, i,
                         found, size);
    }
    if (weight && qn_onnx_rank(l, weight) != 1)
        qn_onnx_fail(l, "weights of rank %" PRIu32 ", expected 1", qn_onnx_rank(l, weight));
    return !l->b->status;
}

static void loss_of(struct qn_lower *l, qn_value log_prob, qn_dtype dtype)
{
    static const char *const reductions[] = {"none", "mean", "sum", NULL};
    int64_t reduction = qn_onnx_attr_choice(l, "reduction", 1, reductions);
    qn_value target = qn_build_cast(l->b, qn_onnx_in(l, 1), QN_DTYPE_I64), weight = 0, ignored = 0;
    if (l->b->status)
        return;
    qn_dtype wide = qn_onnx_type_of(l, log_prob)->dtype;
    qn_value zero = qn_onnx_number(l, wide, 0), one = qn_onnx_number(l, wide, 1);
    if (qn_onnx_has_attr(l, "ignore_index")) {
        ignored = BINARY(equal, target, qn_onnx_i64(l, qn_onnx_attr_i(l, "ignore_index", 0)));
        target = qn_build_where(l->b, ignored, qn_onnx_i64(l, 0), target);
    }
    if (qn_onnx_has(l, 2)) {
        struct qn_attr_gather attr = {.from_end = true};
        qn_value all = qn_build_cast(l->b, qn_onnx_in(l, 2), wide);
        weight = qn_build_node(l->b, QN_OP_gather, (qn_value[]){all, target}, 2, &attr, NULL);
    }
    if (ignored)
        weight = qn_build_where(l->b, ignored, zero, weight ? weight : one);
    qn_value loss = picked(l, log_prob, target);
    if (ignored) /* an infinite loss that does not count is no loss */
        loss = qn_build_where(l->b, ignored, zero, loss);
    loss = weight ? BINARY(mul, loss, weight) : loss;
    if (reduction == 2)
        loss = reduce_all(l, QN_OP_reduce_sum, loss);
    else if (reduction == 1 && !weight)
        loss = reduce_all(l, QN_OP_reduce_mean, loss);
    else if (reduction == 1)
        loss = BINARY(div, reduce_all(l, QN_OP_reduce_sum, loss), reduce_all(l, QN_OP_reduce_sum, weight));
    qn_onnx_out(l, 0, qn_build_cast(l->b, loss, dtype));
}

QN_ONNX_LOWER(nll_loss)
{
    qn_value x = qn_onnx_in(l, 0);
    if (check_shapes(l, x))
        loss_of(l, qn_lower_widen(l, x), qn_onnx_type_of(l, x)->dtype);
}

QN_ONNX_LOWER(softmax_cross_entropy)
{
    qn_value x = qn_onnx_in(l, 0);
    if (!check_shapes(l, x))
        return;
    qn_value wide = qn_lower_widen(l, x);
    wide = BINARY(sub, wide, qn_build_reduce(l->b, QN_OP_reduce_max, wide, 1, true));
    qn_value sum = qn_build_reduce(l->b, QN_OP_reduce_sum, UNARY(exp, wide), 1, true);
    qn_value log_prob = BINARY(sub, wide, UNARY(log, sum));
    qn_dtype dtype = l->b->status ? QN_DTYPE_F32 : qn_onnx_type_of(l, x)->dtype;
    qn_onnx_out(l, 1, qn_build_cast(l->b, log_prob, dtype));
    loss_of(l, log_prob, dtype);
}

/* ---- optimisers: rate, step count, then groups of tensors ------------------------------------------------------ */

/* The number of tensors in each group of `groups`. */
static uint32_t group_size(struct qn_lower *l, uint32_t groups)
{
    uint32_t given = l->input_count > 2 ? l->input_count - 2 : 0;
    if (given == 0 || given % groups)
        qn_onnx_fail(l, "%" PRIu32 " inputs, expected 2 and %" PRIu32 " for each tensor", l->input_count, groups);
    return given / groups;
}

static qn_value regularized(struct qn_lower *l, qn_value x, qn_value gradient)
{
    double norm = (double)qn_onnx_attr_f(l, "norm_coefficient", 0);
    return BINARY(add, NUMBER(mul, x, norm), gradient);
}

static qn_value in_scalar(struct qn_lower *l, uint32_t i, qn_dtype dtype)
{
    return qn_build_cast(l->b, qn_build_reshape(l->b, qn_onnx_in(l, i), 0, NULL), dtype);
}

QN_ONNX_LOWER(adagrad)
{
    uint32_t n = group_size(l, 3);
    for (uint32_t i = 0; i < n && !l->b->status; i++) {
        qn_value x = qn_onnx_in(l, 2 + i), g = qn_onnx_in(l, 2 + n + i), h = qn_onnx_in(l, 2 + 2 * n + i);
        if (l->b->status)
            return;
        qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
        qn_value decay = NUMBER(mul, in_scalar(l, 1, dtype), (double)qn_onnx_attr_f(l, "decay_factor", 0));
        qn_value rate = BINARY(div, in_scalar(l, 0, dtype), NUMBER(add, decay, 1));
        g = regularized(l, x, g);
        h = BINARY(add, h, BINARY(mul, g, g));
        qn_value by = NUMBER(add, UNARY(sqrt, h), (double)qn_onnx_attr_f(l, "epsilon", 0));
        qn_onnx_out(l, i, BINARY(sub, x, BINARY(div, BINARY(mul, rate, g), by)));
        qn_onnx_out(l, n + i, h);
    }
}

/* 1 - base^t */
static qn_value bias_correction(struct qn_lower *l, double base, qn_value t)
{
    qn_value power = qn_lower_number_first(l, QN_OP_pow, base, t);
    return qn_lower_number_first(l, QN_OP_sub, 1, power);
}

QN_ONNX_LOWER(adam)
{
    uint32_t n = group_size(l, 4);
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 0.9f), beta = (double)qn_onnx_attr_f(l, "beta", 0.999f);
    double post = (double)qn_onnx_attr_f(l, "norm_coefficient_post", 0);
    for (uint32_t i = 0; i < n && !l->b->status; i++) {
        qn_value x = qn_onnx_in(l, 2 + i), g = qn_onnx_in(l, 2 + n + i);
        qn_value v = qn_onnx_in(l, 2 + 2 * n + i), h = qn_onnx_in(l, 2 + 3 * n + i);
        if (l->b->status)
            return;
        qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
        qn_value rate = in_scalar(l, 0, dtype), t = in_scalar(l, 1, dtype);
        g = regularized(l, x, g);
        v = BINARY(add, NUMBER(mul, v, alpha), NUMBER(mul, g, 1 - alpha));
        h = BINARY(add, NUMBER(mul, h, beta), NUMBER(mul, BINARY(mul, g, g), 1 - beta));
        qn_value adjusted = BINARY(mul, rate, UNARY(sqrt, bias_correction(l, beta, t)));
        adjusted = BINARY(div, adjusted, bias_correction(l, alpha, t));
        qn_value started = BINARY(less, qn_onnx_number(l, dtype, 0), t);
        adjusted = qn_build_where(l->b, started, adjusted, rate);
        qn_value by = NUMBER(add, UNARY(sqrt, h), (double)qn_onnx_attr_f(l, "epsilon", 1e-6f));
        x = BINARY(sub, x, BINARY(mul, adjusted, BINARY(div, v, by)));
        qn_onnx_out(l, i, NUMBER(mul, x, 1 - post));
        qn_onnx_out(l, n + i, v);
        qn_onnx_out(l, 2 * n + i, h);
    }
}

QN_ONNX_LOWER(momentum)
{
    uint32_t n = group_size(l, 3);
    double alpha = (double)qn_onnx_attr_f(l, "alpha", 0), beta = (double)qn_onnx_attr_f(l, "beta", 0);
    int64_t nesterov = qn_onnx_attr_choice(l, "mode", 0, (const char *const[]){"standard", "nesterov", NULL});
    for (uint32_t i = 0; i < n && !l->b->status; i++) {
        qn_value x = qn_onnx_in(l, 2 + i), g = qn_onnx_in(l, 2 + n + i), v = qn_onnx_in(l, 2 + 2 * n + i);
        if (l->b->status)
            return;
        qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
        qn_value started = BINARY(less, qn_onnx_number(l, dtype, 0), in_scalar(l, 1, dtype));
        g = regularized(l, x, g);
        qn_value part = qn_build_where(l->b, started, qn_onnx_number(l, dtype, beta), qn_onnx_number(l, dtype, 1));
        v = BINARY(add, NUMBER(mul, v, alpha), BINARY(mul, part, g));
        qn_value step = nesterov ? BINARY(add, g, NUMBER(mul, v, alpha)) : v;
        qn_onnx_out(l, i, BINARY(sub, x, BINARY(mul, in_scalar(l, 0, dtype), step)));
        qn_onnx_out(l, n + i, v);
    }
}

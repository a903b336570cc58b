/* Reductions, softmax and its kin, positions of extremes, the largest k, running sums. */
#include "format/onnx/ops/elementwise.h"

/* ---- Reduce* -------------------------------------------------------------------------------------------------- */

enum form { SUM, MEAN, PROD, MAX, MIN, SUM_SQUARE, L1, L2, LOG_SUM, LOG_SUM_EXP };
static const char *const names[] = {"ReduceSum",       "ReduceMean", "ReduceProd", "ReduceMax",    "ReduceMin",
                                    "ReduceSumSquare", "ReduceL1",   "ReduceL2",   "ReduceLogSum", "ReduceLogSumExp"};

struct axes {
    struct qn_ints list;
    bool keepdims, nothing; /* nothing is reduced */
};

static qn_value reduce(struct qn_lower *l, uint16_t op, qn_value x, const struct axes *axes, bool keepdims)
{
    struct qn_attr_reduce attr = {.axes = axes->list, .keepdims = keepdims};
    return axes->nothing ? x : qn_build_node(l->b, op, &x, 1, &attr, NULL);
}

/* Axes are an attribute, later an input: since opset 13 of ReduceSum, since 18 of the others. */
static bool read_axes(struct qn_lower *l, qn_value x, struct axes *axes)
{
    uint32_t rank = qn_onnx_rank(l, x);
    axes->keepdims = qn_onnx_attr_i(l, "keepdims", 1) != 0;
    if (!qn_onnx_attr_ints(l, "axes", &axes->list) && qn_onnx_has(l, 1) && !qn_onnx_known(l, 1, &axes->list))
        return false;
    axes->nothing = axes->list.count == 0 && qn_onnx_attr_i(l, "noop_with_empty_axes", 0);
    for (uint32_t i = 0; i < axes->list.count; i++)
        axes->list.items[i] = qn_onnx_axis(l, axes->list.items[i], rank, 0);
    if (axes->list.count == 0)
        for (; axes->list.count < rank; axes->list.count++)
            axes->list.items[axes->list.count] = axes->list.count;
    return !l->b->status;
}

/* log(sum(exp(x))), the largest taken out first. */
static qn_value log_sum_exp(struct qn_lower *l, qn_value x, const struct axes *axes)
{
    qn_value most = reduce(l, QN_OP_reduce_max, x, axes, true);
    qn_value none = qn_build_node(l->b, QN_OP_is_inf, &most, 1, NULL, NULL);
    qn_value base = qn_build_where(l->b, none, qn_onnx_number(l, qn_onnx_type_of(l, x)->dtype, 0), most);
    qn_value e = qn_lower_unary(l, QN_OP_exp, qn_lower_binary(l, QN_OP_sub, x, base));
    qn_value sum = qn_lower_unary(l, QN_OP_log, reduce(l, QN_OP_reduce_sum, e, axes, true));
    qn_value y = qn_lower_binary(l, QN_OP_add, sum, base);
    return axes->keepdims || axes->nothing ? y : qn_onnx_squeeze(l, y, &axes->list);
}

static qn_value reduce_form(struct qn_lower *l, enum form form, qn_value x, const struct axes *axes)
{
    static const uint16_t ops[] = {QN_OP_reduce_sum, QN_OP_reduce_mean, QN_OP_reduce_prod, QN_OP_reduce_max,
                                   QN_OP_reduce_min};
    if (form <= MIN)
        return reduce(l, ops[form], x, axes, axes->keepdims);
    if (form == LOG_SUM_EXP)
        return log_sum_exp(l, x, axes);
    if (form == SUM_SQUARE || form == L2)
        x = qn_lower_binary(l, QN_OP_mul, x, x);
    else if (form == L1)
        x = qn_lower_unary(l, QN_OP_abs, x);
    qn_value y = reduce(l, QN_OP_reduce_sum, x, axes, axes->keepdims);
    return form == L2 ? qn_lower_unary(l, QN_OP_sqrt, y) : form == LOG_SUM ? qn_lower_unary(l, QN_OP_log, y) : y;
}

QN_ONNX_LOWER(reduce)
{
    enum form form = SUM;
    while (form < LOG_SUM_EXP && !qn_str_is(l->node->op_type, names[form]))
        form++;
    qn_value in = qn_onnx_in(l, 0), x = in;
    struct axes axes = {0};
    if (l->b->status || !read_axes(l, in, &axes))
        return;
    qn_dtype dtype = qn_onnx_type_of(l, in)->dtype;
    if (dtype == QN_DTYPE_BOOL)
        x = qn_build_cast(l->b, x, QN_DTYPE_U8);
    else if (qn_dtype_info(dtype)->class_ != QN_DTYPE_CLASS_FLOAT && form >= L2)
        x = qn_build_cast(l->b, x, QN_DTYPE_F64);
    else if (form > MIN)
        x = qn_lower_widen(l, x);
    qn_lower_out_like(l, reduce_form(l, form, x, &axes), in);
}

/* ---- softmax -------------------------------------------------------------------------------------------------- */

static qn_value log_softmax(struct qn_lower *l, qn_value x, int64_t axis)
{
    qn_value d = qn_lower_binary(l, QN_OP_sub, x, qn_build_reduce(l->b, QN_OP_reduce_max, x, axis, true));
    qn_value sum = qn_build_reduce(l->b, QN_OP_reduce_sum, qn_lower_unary(l, QN_OP_exp, d), axis, true);
    return qn_lower_binary(l, QN_OP_sub, d, qn_lower_unary(l, QN_OP_log, sum));
}

/* 1 where the largest first stands, 0 elsewhere. */
static qn_value hardmax(struct qn_lower *l, qn_value x, int64_t axis)
{
    const struct qn_type type = *qn_onnx_type_of(l, x);
    qn_value at = qn_build_node(l->b, QN_OP_argmax, &x, 1, &(struct qn_attr_arg){.axis = axis, .keepdims = 1}, NULL);
    struct qn_attr_iota attr = {.count = type.dims[axis], .dtype = QN_DTYPE_I64};
    qn_value place = qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL);
    qn_dim dims[QN_MAX_RANK] = {type.dims[axis], 1, 1, 1, 1, 1, 1, 1};
    place = qn_build_reshape(l->b, place, type.rank - (uint32_t)axis, dims);
    return qn_build_cast(l->b, qn_lower_binary(l, QN_OP_equal, place, at), type.dtype);
}

/* Before opset 13 the axes from `axis` on counted as one. */
QN_ONNX_LOWER(softmax)
{
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in);
    const struct qn_type type = *qn_onnx_type_of(l, x);
    bool flat = l->opset < 13;
    int64_t axis = qn_onnx_attr_i(l, "axis", flat ? 1 : -1);
    if (type.rank == 0 || l->b->status) { /* one element: all of it */
        qn_value y = qn_lower_binary(l, QN_OP_sub, x, x);
        bool log = qn_str_is(l->node->op_type, "LogSoftmax");
        qn_lower_out_like(l, log ? y : qn_lower_unary(l, QN_OP_exp, y), in);
        return;
    }
    axis = qn_onnx_axis(l, axis, type.rank, flat && axis >= 0 ? 1 : 0);
    flat &= axis + 1 != type.rank;
    if (flat) {
        qn_dim dims[2] = {1, 1};
        for (uint32_t i = 0; i < type.rank; i++)
            dims[i >= axis] = qn_build_expr(l->b, QN_EXPR_MUL, dims[i >= axis], type.dims[i]);
        x = qn_build_reshape(l->b, x, 2, dims);
        axis = 1;
    }
    if (l->b->status)
        return;
    qn_value y;
    if (qn_str_is(l->node->op_type, "LogSoftmax"))
        y = log_softmax(l, x, axis);
    else if (qn_str_is(l->node->op_type, "Hardmax"))
        y = hardmax(l, x, axis);
    else
        y = qn_build_softmax(l->b, x, axis);
    qn_lower_out_like(l, flat ? qn_build_reshape(l->b, y, type.rank, type.dims) : y, in);
}

/* ---- positions and order -------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(arg)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_attr_arg attr = {.axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, x), 0),
                               .keepdims = qn_onnx_attr_i(l, "keepdims", 1) != 0,
                               .last = qn_onnx_attr_i(l, "select_last_index", 0) != 0};
    uint16_t op = qn_str_is(l->node->op_type, "ArgMax") ? QN_OP_argmax : QN_OP_argmin;
    qn_onnx_out(l, 0, qn_build_node(l->b, op, &x, 1, &attr, NULL));
}

/* x with axes `a` and last changing places; its own inverse */
static qn_value swap_last(struct qn_lower *l, qn_value x, int64_t a)
{
    uint32_t rank = qn_onnx_rank(l, x);
    if (a + 1 == rank || l->b->status)
        return x;
    int64_t perm[QN_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++)
        perm[i] = i;
    perm[a] = rank - 1;
    perm[rank - 1] = a;
    return qn_build_transpose(l->b, x, rank, perm);
}

QN_ONNX_LOWER(topk)
{
    qn_value x = qn_onnx_in(l, 0), outs[2] = {0};
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", -1), qn_onnx_rank(l, x), 0);
    struct qn_attr_topk attr = {.smallest = !qn_onnx_attr_i(l, "largest", 1), .dtype = QN_DTYPE_I64};
    struct qn_sizes sizes = {.items = {{.number = qn_onnx_attr_i(l, "k", 0)}}};
    if (l->opset >= 10 && !qn_onnx_sizes(l, 1, &sizes))
        return;
    attr.k = qn_onnx_size_dim(l, &sizes.items[0]);
    if (l->b->status)
        return;
    if (attr.k == 0) {
        outs[0] = qn_build_slice(l->b, x, axis, 0, 0);
        outs[1] = qn_build_cast(l->b, outs[0], QN_DTYPE_I64);
    } else {
        x = swap_last(l, x, axis);
        qn_onnx_node(l, QN_OP_topk, &x, 1, &attr, outs, 2);
        outs[0] = swap_last(l, outs[0], axis);
        outs[1] = swap_last(l, outs[1], axis);
    }
    qn_onnx_out(l, 0, outs[0]);
    qn_onnx_out(l, 1, outs[1]);
}

/* CumSum and CumProd */
QN_ONNX_LOWER(cumulate)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_ints axis;
    if (!qn_onnx_known(l, 1, &axis) || l->b->status)
        return;
    if (axis.count != 1) {
        qn_onnx_fail(l, "axis has %u elements, expected one", axis.count);
        return;
    }
    struct qn_attr_cumulate attr = {.axis = qn_onnx_axis(l, axis.items[0], qn_onnx_rank(l, x), 0),
                                    .exclusive = qn_onnx_attr_i(l, "exclusive", 0) != 0,
                                    .reverse = qn_onnx_attr_i(l, "reverse", 0) != 0};
    uint16_t op = qn_str_is(l->node->op_type, "CumSum") ? QN_OP_cumsum : QN_OP_cumprod;
    qn_onnx_out(l, 0, qn_build_node(l->b, op, &x, 1, &attr, NULL));
}

QN_ONNX_LOWER(det)
{
    qn_onnx_out(l, 0, qn_lower_unary(l, QN_OP_det, qn_onnx_in(l, 0)));
}

#include "ir/build.h"
#include "ir/decompose.h"

/* A group's elements as one axis: c = x - mean(x); c * rsqrt(mean(c^2) + epsilon), then weight and bias by channel. */
QN_DECOMPOSE(group_norm)
{
    const struct qn_attr_group_norm *a = attr;
    struct qn_build b = {.graph = to};
    struct qn_type type = *qn_graph_type(to, inputs[0]);
    qn_value x = inputs[0];
    (void)input_count;
    int64_t perm[QN_MAX_RANK] = {0}, back[QN_MAX_RANK] = {0};
    qn_dim flat[3] = {type.dims[0], a->groups, 1}, first[QN_MAX_RANK], channel[QN_MAX_RANK];
    uint32_t at = a->channels_last ? type.rank - 1 : 1;
    perm[1] = at;
    for (uint32_t i = 1, k = 2; i < type.rank; i++)
        if (i != at)
            perm[k++] = i;
    for (uint32_t i = 0; i < type.rank; i++) {
        back[perm[i]] = i;
        first[i] = type.dims[perm[i]];
        channel[i] = i == 1 ? first[1] : 1;
        if (i >= 2)
            flat[2] = qn_build_expr(&b, QN_EXPR_MUL, flat[2], first[i]);
    }
    flat[2] = qn_build_expr(&b, QN_EXPR_MUL, flat[2], first[1] / a->groups);
    if (a->channels_last)
        x = qn_build_transpose(&b, x, type.rank, perm);
    x = qn_build_reshape(&b, x, 3, flat);
    qn_value centred = qn_build_binary(&b, QN_OP_sub, x, qn_build_reduce(&b, QN_OP_reduce_mean, x, -1, true));
    qn_value variance =
        qn_build_reduce(&b, QN_OP_reduce_mean, qn_build_binary(&b, QN_OP_mul, centred, centred), -1, true);
    qn_value epsilon = qn_build_scalar_as(&b, type.dtype, (double)a->epsilon);
    qn_value scale = qn_build_unary(&b, QN_OP_rsqrt, qn_build_binary(&b, QN_OP_add, variance, epsilon));
    x = qn_build_reshape(&b, qn_build_binary(&b, QN_OP_mul, centred, scale), type.rank, first);
    x = qn_build_binary(&b, QN_OP_mul, x, qn_build_reshape(&b, inputs[1], type.rank, channel));
    x = qn_build_binary(&b, QN_OP_add, x, qn_build_reshape(&b, inputs[2], type.rank, channel));
    outs[0] = a->channels_last ? qn_build_transpose(&b, x, type.rank, back) : x;
    return b.status;
}

#include "ir/build.h"
#include "ir/decompose.h"

/* c = x - mean(x); c * rsqrt(mean(c^2) + epsilon) * weight + bias */
QN_DECOMPOSE(layer_norm)
{
    const struct qn_attr_norm *a = attr;
    struct qn_build b = {.graph = to};
    qn_value x = inputs[0];
    (void)input_count;
    qn_value centred = qn_build_binary(&b, QN_OP_sub, x, qn_build_reduce(&b, QN_OP_reduce_mean, x, -1, true));
    qn_value variance =
        qn_build_reduce(&b, QN_OP_reduce_mean, qn_build_binary(&b, QN_OP_mul, centred, centred), -1, true);
    qn_value epsilon = qn_build_scalar_as(&b, qn_graph_type(to, x)->dtype, a->epsilon);
    qn_value scale = qn_build_unary(&b, QN_OP_rsqrt, qn_build_binary(&b, QN_OP_add, variance, epsilon));
    qn_value scaled = qn_build_binary(&b, QN_OP_mul, qn_build_binary(&b, QN_OP_mul, centred, scale), inputs[1]);
    outs[0] = qn_build_binary(&b, QN_OP_add, scaled, inputs[2]);
    return b.status;
}

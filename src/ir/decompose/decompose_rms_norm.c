#include "ir/build.h"
#include "ir/decompose.h"

/* x * rsqrt(mean(x^2) + epsilon) * weight */
QN_DECOMPOSE(rms_norm)
{
    const struct qn_attr_norm *a = attr;
    struct qn_build b = {.graph = to};
    qn_value x = inputs[0];
    (void)input_count;
    qn_value mean = qn_build_reduce(&b, QN_OP_reduce_mean, qn_build_binary(&b, QN_OP_mul, x, x), -1, true);
    qn_value epsilon = qn_build_scalar_as(&b, qn_graph_type(to, x)->dtype, a->epsilon);
    qn_value scale = qn_build_unary(&b, QN_OP_rsqrt, qn_build_binary(&b, QN_OP_add, mean, epsilon));
    outs[0] = qn_build_binary(&b, QN_OP_mul, qn_build_binary(&b, QN_OP_mul, x, scale), inputs[1]);
    return b.status;
}

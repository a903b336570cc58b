#include "ir/build.h"
#include "ir/decompose.h"

/* x * 0.5 * (1 + erf(x / sqrt(2))) */
QN_DECOMPOSE(gelu_erf)
{
    struct qn_build b = {.graph = to};
    qn_value x = inputs[0];
    qn_dtype dtype = qn_graph_type(to, x)->dtype;
    (void)input_count;
    (void)attr;
    qn_value gate = qn_build_binary(&b, QN_OP_mul, x, qn_build_scalar_as(&b, dtype, 0.70710678118654752440));
    gate = qn_build_unary(&b, QN_OP_erf, gate);
    gate = qn_build_binary(&b, QN_OP_add, gate, qn_build_scalar_as(&b, dtype, 1));
    qn_value halved = qn_build_binary(&b, QN_OP_mul, x, qn_build_scalar_as(&b, dtype, 0.5));
    outs[0] = qn_build_binary(&b, QN_OP_mul, halved, gate);
    return b.status;
}

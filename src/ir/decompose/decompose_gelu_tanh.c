#include "ir/build.h"
#include "ir/decompose.h"

/* x * 0.5 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) */
QN_DECOMPOSE(gelu_tanh)
{
    struct qn_build b = {.graph = to};
    qn_value x = inputs[0];
    qn_dtype dtype = qn_graph_type(to, x)->dtype;
    (void)input_count;
    (void)attr;
    qn_value cube = qn_build_binary(&b, QN_OP_mul, qn_build_binary(&b, QN_OP_mul, x, x), x);
    cube = qn_build_binary(&b, QN_OP_mul, cube, qn_build_scalar_as(&b, dtype, 0.044715));
    qn_value inner = qn_build_binary(&b, QN_OP_add, x, cube);
    inner = qn_build_binary(&b, QN_OP_mul, inner, qn_build_scalar_as(&b, dtype, 0.79788456080286535588));
    qn_value gate = qn_build_unary(&b, QN_OP_tanh, inner);
    gate = qn_build_binary(&b, QN_OP_add, gate, qn_build_scalar_as(&b, dtype, 1));
    qn_value halved = qn_build_binary(&b, QN_OP_mul, x, qn_build_scalar_as(&b, dtype, 0.5));
    outs[0] = qn_build_binary(&b, QN_OP_mul, halved, gate);
    return b.status;
}

#include "ir/build.h"
#include "ir/decompose.h"

/* softmax(q k^T * scale + mask) v */
QN_DECOMPOSE(attention)
{
    const struct qn_attr_attention *a = attr;
    struct qn_build b = {.graph = to};
    qn_value scores = qn_build_matmul(&b, inputs[0], inputs[1], true, NULL);
    qn_value scale = qn_build_scalar_as(&b, qn_graph_type(to, scores)->dtype, a->scale);
    scores = qn_build_binary(&b, QN_OP_mul, scores, scale);
    if (input_count == 4)
        scores = qn_build_binary(&b, QN_OP_add, scores, inputs[3]);
    qn_value weights = qn_build_softmax(&b, scores, -1);
    outs[0] = qn_build_matmul(&b, weights, inputs[2], false, NULL);
    return b.status;
}

#include "ir/build.h"
#include "ir/decompose.h"

/* Gathers the weights of each chosen expert, [n, j, f, k], and multiplies [n, j, 1, k] by them. */
QN_DECOMPOSE(expert_matmul)
{
    struct qn_build b = {.graph = to};
    (void)input_count;
    (void)attr;
    const struct qn_type x = *qn_graph_type(to, inputs[0]);
    qn_value weights = qn_build_gather(&b, inputs[1], inputs[2], 0, QN_DTYPE_NONE);
    qn_value rows = qn_build_reshape(&b, inputs[0], 4, (qn_dim[]){x.dims[0], x.dims[1], 1, x.dims[2]});
    qn_value y = qn_build_matmul(&b, rows, weights, true, NULL);
    qn_dim f = qn_build_dim(&b, y, 3);
    outs[0] = qn_build_reshape(&b, y, 3, (qn_dim[]){x.dims[0], qn_build_dim(&b, y, 1), f});
    return b.status;
}

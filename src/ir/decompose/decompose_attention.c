#include "ir/build.h"
#include "ir/decompose.h"

/* v with its heads and tokens exchanged. */
static qn_value turn(struct qn_build *b, qn_value v, bool turned)
{
    int64_t perm[QN_MAX_RANK];
    uint32_t rank = b->status ? 0 : qn_graph_type(b->graph, v)->rank;
    for (uint32_t i = 0; i < rank; i++)
        perm[i] = i + 3 == rank ? i + 1 : i + 2 == rank ? i - 1 : i;
    return turned && rank >= 3 ? qn_build_transpose(b, v, rank, perm) : v;
}

/* softmax(q k^T * scale + mask) v */
QN_DECOMPOSE(attention)
{
    const struct qn_attr_attention *a = attr;
    struct qn_build b = {.graph = to};
    qn_value q = turn(&b, inputs[0], a->turned & 1), k = turn(&b, inputs[1], a->turned & 2);
    qn_value v = turn(&b, inputs[2], a->turned & 4);
    qn_value scores = qn_build_matmul(&b, q, k, true, NULL);
    if (b.status)
        return b.status;
    qn_value scale = qn_build_scalar_as(&b, qn_graph_type(to, scores)->dtype, a->scale);
    scores = qn_build_binary(&b, QN_OP_mul, scores, scale);
    scores = a->cap != 0 ? qn_build_soft_cap(&b, scores, a->cap) : scores;
    if (input_count > 3 && inputs[3])
        scores = qn_build_binary(&b, QN_OP_add, scores, inputs[3]);
    qn_value weights = qn_build_sink_softmax(&b, scores, input_count > 4 ? inputs[4] : 0);
    outs[0] = turn(&b, qn_build_matmul(&b, weights, v, false, NULL), a->turned & 8);
    return b.status;
}

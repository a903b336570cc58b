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

/* v [..., heads, m, d] as [..., groups, heads / groups, m, d]; what broadcasts to it likewise. */
static qn_value grouped(struct qn_build *b, qn_value v, qn_dim groups)
{
    qn_dim dims[QN_MAX_RANK + 1];
    uint32_t rank = b->status || !v ? 0 : qn_graph_type(b->graph, v)->rank;
    if (rank < 3)
        return v; /* broadcasts as it is */
    if (rank == QN_MAX_RANK) {
        b->status = QN_ERROR(QN_UNSUPPORTED, "attention of rank %u with shared heads", rank);
        return 0;
    }
    for (uint32_t i = 0; i < rank; i++)
        dims[i + (i + 2 >= rank)] = qn_build_dim(b, v, i);
    qn_dim heads = dims[rank - 3];
    dims[rank - 3] = heads == 1 ? 1 : groups;
    dims[rank - 2] = heads == 1 ? 1 : heads / groups;
    return qn_build_reshape(b, v, rank + 1, dims);
}

/* softmax(q k^T * scale + mask) v */
QN_DECOMPOSE(attention)
{
    const struct qn_attr_attention *a = attr;
    struct qn_build b = {.graph = to};
    qn_value q = turn(&b, inputs[0], a->turned & 1), k = turn(&b, inputs[1], a->turned & 2);
    qn_value v = turn(&b, inputs[2], a->turned & 4), mask = input_count > 3 ? inputs[3] : 0;
    qn_value sinks = input_count > 4 ? inputs[4] : 0;
    const struct qn_type queries = b.status ? (struct qn_type){0} : *qn_graph_type(to, q);
    uint32_t rank = queries.rank;
    qn_dim groups = rank > 2 ? qn_build_dim(&b, k, rank - 3) : 0;
    bool shared = rank > 2 && groups > 0 && queries.dims[rank - 3] > groups;
    if (shared) {
        q = grouped(&b, q, groups);
        k = grouped(&b, k, groups);
        v = grouped(&b, v, groups);
        mask = grouped(&b, mask, groups);
        sinks = grouped(&b, sinks, groups);
    }
    qn_value scores = qn_build_matmul(&b, q, k, true, NULL);
    if (b.status)
        return b.status;
    qn_value scale = qn_build_scalar_as(&b, qn_graph_type(to, scores)->dtype, a->scale);
    scores = qn_build_binary(&b, QN_OP_mul, scores, scale);
    scores = a->cap != 0 ? qn_build_soft_cap(&b, scores, a->cap) : scores;
    scores = mask ? qn_build_binary(&b, QN_OP_add, scores, mask) : scores;
    qn_value weights = qn_build_sink_softmax(&b, scores, sinks), y = qn_build_matmul(&b, weights, v, false, NULL);
    if (shared && !b.status) {
        struct qn_type type = queries;
        type.dims[rank - 1] = qn_build_dim(&b, y, rank);
        y = qn_build_reshape(&b, y, rank, type.dims);
    }
    outs[0] = turn(&b, y, a->turned & 8);
    return b.status;
}

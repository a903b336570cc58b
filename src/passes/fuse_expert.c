/* expert_matmul: x [n, j or 1, 1, k] times gather(w [e, f, k], ids [n, j]) transposed. The chosen experts' weights are
 * read where they lie instead of being copied for every token. */
#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

static qn_status emit_expert(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                             qn_value *outs)
{
    struct qn_build b = {.graph = r->to};
    const struct qn_type *x = qn_graph_type(r->to, inputs[0]), *out = qn_match_type(r, qn_match_result(r, root));
    qn_dim dims[4] = {0};
    for (uint32_t i = 0; i < 4; i++)
        QN_TRY(qn_rewrite_dim(r, out->dims[i], &dims[i]));
    qn_value all[3] = {qn_build_reshape(&b, inputs[0], 3, (qn_dim[]){x->dims[0], x->dims[1], x->dims[3]}), inputs[1],
                       inputs[2]};
    qn_value y;
    QN_TRY(b.status);
    QN_TRY(qn_graph_add_node(r->to, QN_OP_expert_matmul, all, 3, match->attr, qn_graph_node(r->from, root)->name, &y));
    outs[0] = qn_build_reshape(&b, y, 4, dims);
    return b.status;
}

static bool match_expert(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    if (qn_graph_node(r->from, root)->op != QN_OP_matmul ||
        !((const struct qn_attr_matmul *)qn_graph_attr(r->from, root))->trans_b)
        return false;
    qn_value x = qn_match_input(r, root, 0);
    qn_node gather = qn_match_inner(r, qn_match_input(r, root, 1), QN_OP_gather);
    if (!gather || ((const struct qn_attr_gather *)qn_graph_attr(r->from, gather))->axis != 0)
        return false;
    qn_value w = qn_match_input(r, gather, 0), ids = qn_match_input(r, gather, 1);
    const struct qn_type *xt = qn_match_type(r, x), *wt = qn_match_type(r, w), *it = qn_match_type(r, ids);
    if (qn_graph_value(r->from, w)->kind != QN_VALUE_CONSTANT || wt->rank != 3 || it->rank != 2 ||
        it->dtype != QN_DTYPE_I32)
        return false;
    if (xt->rank != 4 || xt->dims[2] != 1 || xt->dims[0] != it->dims[0] ||
        (xt->dims[1] != 1 && xt->dims[1] != it->dims[1]) || xt->dtype != QN_DTYPE_F32 ||
        qn_match_type(r, qn_match_result(r, gather))->dtype != QN_DTYPE_F32)
        return false;
    qn_match_set(match, QN_OP_expert_matmul, (qn_value[]){x, w, ids}, 3);
    match->emit = emit_expert;
    return true;
}

qn_status qn_pass_fuse_expert(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_expert);
}

/* glu: activation(gate) * up, both of one shape, the activation read once. */
#include "passes/match.h"
#include "passes/pass.h"

static const struct {
    uint16_t op;
    enum qn_glu_kind kind;
} activations[] = {
    {QN_OP_silu, QN_GLU_SILU},       {QN_OP_gelu_tanh, QN_GLU_GELU_TANH}, {QN_OP_gelu_erf, QN_GLU_GELU_ERF},
    {QN_OP_sigmoid, QN_GLU_SIGMOID}, {QN_OP_relu, QN_GLU_RELU},
};

static bool match_glu(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct qn_attr_glu *attr = (void *)match->attr;
    if (qn_graph_node(r->from, root)->op != QN_OP_mul)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        qn_value active = qn_match_input(r, root, i), up = qn_match_input(r, root, 1 - i);
        if (!qn_type_equal(qn_match_type(r, active), qn_match_type(r, up)))
            return false;
        if (qn_dtype_info(qn_match_type(r, up)->dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
            return false; /* relu also takes integers */
        for (uint32_t k = 0; k < sizeof activations / sizeof activations[0]; k++) {
            qn_node n = qn_match_inner(r, active, activations[k].op);
            if (!n)
                continue;
            attr->kind = activations[k].kind;
            qn_match_set(match, QN_OP_glu, (qn_value[]){qn_match_input(r, n, 0), up}, 2);
            return true;
        }
    }
    return false;
}

qn_status qn_pass_fuse_glu(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_glu);
}

/* Attention reads queries, keys and values, and writes its result, with the heads inside the tokens where a transpose
 * would otherwise bring them there. */
#include "passes/match.h"
#include "passes/pass.h"

/* The transpose exchanges the second and third axis from the end and nothing else. */
static bool exchanges(const struct qn_rewrite *r, qn_node transpose)
{
    const struct qn_ints *perm = &((const struct qn_attr_transpose *)qn_graph_attr(r->from, transpose))->perm;
    uint32_t rank = perm->count;
    for (uint32_t i = 0; i < rank; i++)
        if (perm->items[i] != (i + 3 == rank ? i + 1 : i + 2 == rank ? i - 1 : i))
            return false;
    return rank >= 3;
}

static bool match_turn(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct qn_attr_attention *attr = (void *)match->attr;
    qn_node node = root;
    int64_t turned = 0;
    if (qn_graph_node(r->from, root)->op == QN_OP_transpose && exchanges(r, root)) {
        node = qn_match_inner(r, qn_match_input(r, root, 0), QN_OP_attention);
        turned = 8;
    }
    if (!node || qn_graph_node(r->from, node)->op != QN_OP_attention)
        return false;
    qn_value inputs[5] = {0};
    uint32_t count = qn_graph_node(r->from, node)->input_count;
    for (uint32_t i = 0; i < count; i++) {
        inputs[i] = qn_match_input(r, node, i);
        qn_node transpose = i < 3 ? qn_match_op(r, inputs[i], QN_OP_transpose) : 0;
        if (!transpose || !exchanges(r, transpose))
            continue;
        inputs[i] = qn_match_input(r, transpose, 0);
        turned |= 1 << i;
    }
    if (!turned)
        return false;
    *attr = *(const struct qn_attr_attention *)qn_graph_attr(r->from, node);
    attr->turned ^= turned;
    match->named = node;
    qn_match_set(match, QN_OP_attention, inputs, count);
    return true;
}

qn_status qn_pass_turn_attention(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_turn);
}

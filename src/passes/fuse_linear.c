/* linear: x w^T + bias + residual, w a constant matrix [n, k], the sums read once. Either of bias and residual may be
 * missing. */
#include "passes/match.h"
#include "passes/pass.h"

/* v, read once, is x w^T: the matmul. */
static qn_node find_product(const struct qn_rewrite *r, qn_value v, qn_value inputs[4])
{
    qn_node n = qn_match_inner(r, v, QN_OP_matmul);
    if (!n || !((const struct qn_attr_matmul *)qn_graph_attr(r->from, n))->trans_b)
        return 0;
    qn_value w = qn_match_input(r, n, 1);
    if (qn_graph_value(r->from, w)->kind != QN_VALUE_CONSTANT || qn_match_type(r, w)->rank != 2)
        return 0;
    inputs[0] = qn_match_input(r, n, 0);
    inputs[1] = w;
    return n;
}

static bool is_bias(const struct qn_rewrite *r, qn_value v, const struct qn_type *out)
{
    const struct qn_type *type = qn_match_type(r, v);
    return type->rank == 1 && type->dims[0] == out->dims[out->rank - 1] && type->dtype == out->dtype;
}

/* The sum is x w^T + bias: the matmul. */
static qn_node find_biased(const struct qn_rewrite *r, qn_node sum, qn_value inputs[4])
{
    const struct qn_type *out = qn_match_type(r, qn_match_result(r, sum));
    for (uint32_t i = 0; i < 2; i++) {
        qn_value bias = qn_match_input(r, sum, 1 - i);
        qn_node product = is_bias(r, bias, out) ? find_product(r, qn_match_input(r, sum, i), inputs) : 0;
        if (!product)
            continue;
        inputs[2] = bias;
        return product;
    }
    return 0;
}

static bool match_linear(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    qn_value inputs[4] = {0};
    if (qn_graph_node(r->from, root)->op != QN_OP_add)
        return false;
    const struct qn_type *out = qn_match_type(r, qn_match_result(r, root));
    qn_node product = find_biased(r, root, inputs);
    for (uint32_t i = 0; i < 2 && !product; i++) {
        qn_value sum = qn_match_input(r, root, i), residual = qn_match_input(r, root, 1 - i);
        qn_node biased = qn_match_inner(r, sum, QN_OP_add);
        if (!qn_type_equal(qn_match_type(r, residual), out) || !qn_type_equal(qn_match_type(r, sum), out))
            continue;
        product = biased ? find_biased(r, biased, inputs) : find_product(r, sum, inputs);
        inputs[3] = residual;
    }
    if (!product)
        return false;
    match->named = product;
    qn_match_set(match, QN_OP_linear, inputs, inputs[3] ? 4 : 3);
    return true;
}

qn_status qn_pass_fuse_linear(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_linear);
}

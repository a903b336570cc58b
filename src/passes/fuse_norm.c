/* rms_norm: x * w / root(mean(x^2) + epsilon).
 * layer_norm: the same on c = x - mean(x), plus a bias.
 * The product may stand in any order; 1 / root is rsqrt(v), 1 / sqrt(v), pow(v, -0.5), or a division by sqrt(v). */
#include "passes/match.h"
#include "passes/pass.h"

/* v is the root of u, or its reciprocal: u, otherwise 0. */
static qn_value root_of(const struct qn_rewrite *r, qn_value v, bool reciprocal)
{
    double exponent;
    qn_node n = qn_match_inner(r, v, reciprocal ? QN_OP_rsqrt : QN_OP_sqrt);
    if (n)
        return qn_match_input(r, n, 0);
    n = qn_match_inner(r, v, QN_OP_pow);
    if (n && qn_match_scalar(r, qn_match_input(r, n, 1), &exponent) && exponent == (reciprocal ? -0.5 : 0.5))
        return qn_match_input(r, n, 0);
    return 0;
}

/* u is mean(x^2) + epsilon: x, otherwise 0. */
static qn_value mean_square_of(const struct qn_rewrite *r, qn_value u, double *epsilon, uint32_t *reads)
{
    qn_value mean;
    qn_node n = qn_match_inner(r, u, QN_OP_add);
    if (!n || !qn_match_with_scalar(r, n, &mean, epsilon))
        return 0;
    qn_value square = qn_match_mean(r, mean);
    *reads = qn_match_op(r, square, QN_OP_mul) ? 2 : 1;
    return square && r->uses[square] == 1 ? qn_match_square(r, square) : 0;
}

struct normalised {
    qn_value x, w;
    double epsilon;
    uint32_t reads; /* how often the pattern reads x */
};

/* The product is x * w / root(mean(x^2) + epsilon). */
static bool match_product(const struct qn_rewrite *r, qn_value product_value, struct normalised *out)
{
    struct qn_match_product product;
    qn_value u = 0;
    if (!qn_match_product(r, product_value, &product) || product.scale != 1)
        return false;
    if (product.factor_count == 3 && product.divisor_count == 0) {
        for (uint32_t i = 0; i < 3 && !u; i++)
            if ((u = root_of(r, product.factors[i], true)))
                qn_match_take_factor(&product, i);
    } else if (product.factor_count == 2 && product.divisor_count == 1) {
        u = root_of(r, product.divisors[0], false);
    }
    qn_value x = u ? mean_square_of(r, u, &out->epsilon, &out->reads) : 0;
    if (!x || (product.factors[0] != x && product.factors[1] != x))
        return false;
    out->x = x;
    out->w = product.factors[product.factors[0] == x ? 1 : 0];
    out->reads++;
    const struct qn_type *type = qn_match_type(r, x), *weight = qn_match_type(r, out->w);
    return qn_type_equal(type, qn_match_type(r, product_value)) && weight->rank == 1 &&
           weight->dims[0] == type->dims[type->rank - 1] && weight->dtype == type->dtype;
}

static bool match_layer_norm(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct qn_attr_norm *attr = (void *)match->attr;
    struct normalised found;
    for (uint32_t i = 0; i < 2; i++) {
        qn_value product = qn_match_input(r, root, i), bias = qn_match_input(r, root, 1 - i);
        if (r->uses[product] != 1 || !match_product(r, product, &found))
            continue;
        qn_node sub = qn_match_op(r, found.x, QN_OP_sub);
        qn_value x = sub ? qn_match_input(r, sub, 0) : 0;
        if (!x || qn_match_mean(r, qn_match_input(r, sub, 1)) != x)
            continue;
        if (r->uses[found.x] != found.reads || !qn_type_equal(qn_match_type(r, bias), qn_match_type(r, found.w)))
            continue;
        attr->epsilon = (float)found.epsilon;
        qn_match_set(match, QN_OP_layer_norm, (qn_value[]){x, found.w, bias}, 3);
        return true;
    }
    return false;
}

static bool match_norm(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct qn_attr_norm *attr = (void *)match->attr;
    uint16_t op = qn_graph_node(r->from, root)->op;
    struct normalised found;
    if (op == QN_OP_add)
        return match_layer_norm(r, root, match);
    if ((op != QN_OP_mul && op != QN_OP_div) || !match_product(r, qn_match_result(r, root), &found))
        return false;
    attr->epsilon = (float)found.epsilon;
    qn_match_set(match, QN_OP_rms_norm, (qn_value[]){found.x, found.w}, 2);
    return true;
}

qn_status qn_pass_fuse_norm(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_norm);
}

/* rms_norm: x * w / root(mean(x^2) + epsilon).
 * layer_norm: the same on c = x - mean(x), plus a bias.
 * The product may stand in any order; 1 / root is rsqrt(v), 1 / sqrt(v), reciprocal(sqrt(v)), pow(v, -0.5), or a
 * division by sqrt(v). A weight or bias that is missing becomes a constant of ones or zeros. */
#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

enum { MOST = 65536 }; /* elements of a weight or bias that is made up */

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
    qn_value x, w; /* w 0: none */
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
    if (product.factor_count >= 2 && product.factor_count <= 3 && product.divisor_count == 0) {
        for (uint32_t i = 0; i < product.factor_count && !u; i++)
            if ((u = root_of(r, product.factors[i], true)))
                qn_match_take_factor(&product, i);
    } else if (product.factor_count >= 1 && product.factor_count <= 2 && product.divisor_count == 1) {
        u = root_of(r, product.divisors[0], false);
    }
    qn_value x = u ? mean_square_of(r, u, &out->epsilon, &out->reads) : 0;
    bool second = product.factor_count == 2 && product.factors[1] == x;
    if (!x || (product.factors[0] != x && !second))
        return false;
    out->x = x;
    out->w = product.factor_count == 2 ? product.factors[second ? 0 : 1] : 0;
    out->reads++;
    const struct qn_type *type = qn_match_type(r, x), *weight = qn_match_type(r, out->w);
    if (!qn_type_equal(type, qn_match_type(r, product_value)))
        return false;
    if (!out->w)
        return type->dtype == QN_DTYPE_F32 && type->dims[type->rank - 1] >= 0 && type->dims[type->rank - 1] <= MOST;
    return weight->rank == 1 && weight->dims[0] == type->dims[type->rank - 1] && weight->dtype == type->dtype;
}

/* v is the mean of x over its last axis, whoever else reads it. */
static bool is_mean_of(const struct qn_rewrite *r, qn_value v, qn_value x)
{
    qn_node n = qn_match_op(r, v, QN_OP_reduce_mean);
    const struct qn_attr_reduce *attr = n ? qn_graph_attr(r->from, n) : NULL;
    return n && qn_match_input(r, n, 0) == x && attr->keepdims && attr->axes.count == 1 &&
           attr->axes.items[0] + 1 == qn_match_type(r, x)->rank;
}

/* v is the mean of (x - mean)^2: x, otherwise 0. */
static qn_value variance_of(const struct qn_rewrite *r, qn_value v, qn_value mean)
{
    qn_value square = qn_match_mean(r, v), centre = square ? qn_match_square(r, square) : 0;
    qn_node sub = qn_match_op(r, centre, QN_OP_sub);
    return sub && qn_match_input(r, sub, 1) == mean ? qn_match_input(r, sub, 0) : 0;
}

/* The factor w / root(variance + epsilon), read twice. */
static bool match_factor(const struct qn_rewrite *r, qn_value m, qn_value mean, struct normalised *out)
{
    struct qn_match_product p;
    qn_value u = 0, variance;
    if (r->uses[m] != 2 || !qn_match_product(r, m, &p) || p.scale != 1)
        return false;
    if (p.factor_count == 2 && p.divisor_count == 0) {
        for (uint32_t i = 0; i < 2 && !u; i++)
            if ((u = root_of(r, p.factors[i], true)))
                qn_match_take_factor(&p, i);
    } else if (p.factor_count == 1 && p.divisor_count == 1) {
        u = root_of(r, p.divisors[0], false);
    }
    qn_node sum = u ? qn_match_inner(r, u, QN_OP_add) : 0;
    if (!sum || !qn_match_with_scalar(r, sum, &variance, &out->epsilon))
        return false;
    out->x = variance_of(r, variance, mean);
    out->w = p.factors[0];
    return out->x != 0;
}

/* x m + (bias - mean m) with m = w / root(variance + epsilon), as TensorFlow writes it. */
static bool match_shifted(const struct qn_rewrite *r, qn_node root, struct normalised *out, qn_value *bias)
{
    for (uint32_t i = 0; i < 2; i++) {
        qn_node scaled = qn_match_inner(r, qn_match_input(r, root, i), QN_OP_mul);
        qn_node shift = qn_match_inner(r, qn_match_input(r, root, 1 - i), QN_OP_sub);
        qn_node moved = scaled && shift ? qn_match_inner(r, qn_match_input(r, shift, 1), QN_OP_mul) : 0;
        for (uint32_t k = 0; moved && k < 2; k++) {
            qn_value m = qn_match_input(r, moved, k), mean = qn_match_input(r, moved, 1 - k), x;
            if (!qn_match_other(r, scaled, m, &x) || !match_factor(r, m, mean, out) || out->x != x ||
                !is_mean_of(r, mean, x))
                continue;
            const struct qn_type *type = qn_match_type(r, x), *weight = qn_match_type(r, out->w);
            *bias = qn_match_input(r, shift, 0);
            return qn_type_equal(type, qn_match_type(r, qn_match_result(r, root))) && weight->rank == 1 &&
                   weight->dims[0] == type->dims[type->rank - 1] && weight->dtype == type->dtype &&
                   qn_type_equal(weight, qn_match_type(r, *bias));
        }
    }
    return false;
}

/* found.x is x - mean(x), read by the pattern alone: x, otherwise 0. */
static qn_value centred(const struct qn_rewrite *r, const struct normalised *found)
{
    qn_node sub = qn_match_op(r, found->x, QN_OP_sub);
    qn_value x = sub ? qn_match_input(r, sub, 0) : 0;
    return x && qn_match_mean(r, qn_match_input(r, sub, 1)) == x && r->uses[found->x] == found->reads ? x : 0;
}

/* n times the same number. */
static qn_value repeated(struct qn_build *b, float value, int64_t n)
{
    struct qn_type type = {.dtype = QN_DTYPE_F32, .rank = 1, .dims = {n}};
    float *data = qn_calloc(b->graph->allocator, (size_t)n + 1, sizeof *data);
    qn_value out = 0;
    if (!data) {
        b->status = QN_OOM();
        return 0;
    }
    for (int64_t i = 0; i < n; i++)
        data[i] = value;
    b->status = qn_graph_add_data(b->graph, (struct qn_str){0}, &type, data, &out);
    qn_free(b->graph->allocator, data, ((size_t)n + 1) * sizeof *data);
    return b->status ? 0 : out;
}

static qn_status emit_norm(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                           qn_value *outs)
{
    struct qn_build b = {.graph = r->to};
    const struct qn_type *type = qn_graph_type(r->to, inputs[0]);
    int64_t n = type->dims[type->rank - 1];
    qn_value all[3] = {inputs[0], inputs[1], inputs[2]};
    for (uint32_t i = 1; i < match->input_count && !b.status; i++)
        if (!all[i])
            all[i] = repeated(&b, i == 1 ? 1 : 0, n);
    if (b.status)
        return b.status;
    return qn_graph_add_node(r->to, match->op, all, match->input_count, match->attr, qn_graph_node(r->from, root)->name,
                             outs);
}

static bool match_layer_norm(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct qn_attr_norm *attr = (void *)match->attr;
    struct normalised found;
    for (uint32_t i = 0; i < 2; i++) {
        qn_value product = qn_match_input(r, root, i), bias = qn_match_input(r, root, 1 - i);
        if (r->uses[product] != 1 || !match_product(r, product, &found))
            continue;
        qn_value x = centred(r, &found);
        const struct qn_type *type = qn_match_type(r, bias);
        if (!x || type->rank != 1 || type->dtype != qn_match_type(r, x)->dtype ||
            type->dims[0] != qn_match_type(r, x)->dims[qn_match_type(r, x)->rank - 1])
            continue;
        attr->epsilon = (float)found.epsilon;
        qn_match_set(match, QN_OP_layer_norm, (qn_value[]){x, found.w, bias}, 3);
        match->emit = emit_norm;
        return true;
    }
    qn_value bias;
    if (!match_shifted(r, root, &found, &bias))
        return false;
    attr->epsilon = (float)found.epsilon;
    qn_match_set(match, QN_OP_layer_norm, (qn_value[]){found.x, found.w, bias}, 3);
    return true;
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
    qn_value x = centred(r, &found);
    const struct qn_type *type = qn_match_type(r, found.x);
    if (x && type->dtype == QN_DTYPE_F32 && type->dims[type->rank - 1] >= 0 && type->dims[type->rank - 1] <= MOST)
        qn_match_set(match, QN_OP_layer_norm, (qn_value[]){x, found.w, 0}, 3);
    else
        qn_match_set(match, QN_OP_rms_norm, (qn_value[]){found.x, found.w}, 2);
    match->emit = emit_norm;
    return true;
}

qn_status qn_pass_fuse_norm(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_norm);
}

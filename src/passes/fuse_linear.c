/* linear: activation(x w + bias + residual), w a constant matrix, [n, k] or [k, n]; the parts read once. Any of bias,
 * residual and activation may be missing, but not all. An activation joins where the product runs on packed panels. */
#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

struct linear {
    qn_node product;
    qn_value inputs[4];
    struct qn_attr_linear attr;
    bool packed;   /* runs on packed panels */
    bool reshaped; /* the sum gets its other leading axes only after bias: x shall have them from the start */
};

/* Weights that the packed product takes: plain_b alone is reason enough there, [n, k] must say so. */
static bool is_packed(const struct qn_rewrite *r, const struct linear *l)
{
    qn_dtype w = qn_match_type(r, l->inputs[1])->dtype;
    return (l->attr.plain_b || l->attr.packs) && qn_match_type(r, l->inputs[0])->dtype == QN_DTYPE_F32 &&
           (w == QN_DTYPE_F32 || w == QN_DTYPE_F16 || w == QN_DTYPE_BF16);
}

/* v, read once, is x w. */
static bool find_product(const struct qn_rewrite *r, qn_value v, struct linear *l)
{
    qn_node n = qn_match_inner(r, v, QN_OP_matmul);
    if (!n)
        return false;
    const struct qn_attr_matmul *attr = qn_graph_attr(r->from, n);
    qn_value w = qn_match_input(r, n, 1);
    if (qn_graph_value(r->from, w)->kind != QN_VALUE_CONSTANT || qn_match_type(r, w)->rank != 2)
        return false;
    l->product = n;
    l->inputs[0] = qn_match_input(r, n, 0);
    l->inputs[1] = w;
    l->attr.plain_b = !attr->trans_b;
    l->attr.packs = attr->packs;
    l->packed = is_packed(r, l);
    return attr->trans_b || l->packed;
}

static bool is_bias(const struct qn_rewrite *r, qn_value v, const struct qn_type *out)
{
    const struct qn_type *type = qn_match_type(r, v);
    return type->rank == 1 && type->dims[0] == out->dims[out->rank - 1] && type->dtype == out->dtype;
}

/* The sum is x w + bias. */
static bool find_biased(const struct qn_rewrite *r, qn_node sum, struct linear *l)
{
    const struct qn_type *out = qn_match_type(r, qn_match_result(r, sum));
    for (uint32_t i = 0; i < 2; i++) {
        qn_value bias = qn_match_input(r, sum, 1 - i);
        if (!is_bias(r, bias, out) || !find_product(r, qn_match_input(r, sum, i), l) ||
            !qn_type_equal(qn_match_type(r, qn_match_input(r, sum, i)), out))
            continue;
        l->inputs[2] = bias;
        return true;
    }
    return false;
}

/* The sum is x w + bias, x w + residual or x w + bias + residual. */
static bool find_sum(const struct qn_rewrite *r, qn_node root, struct linear *l)
{
    const struct qn_type *out = qn_match_type(r, qn_match_result(r, root));
    if (find_biased(r, root, l))
        return true;
    for (uint32_t i = 0; i < 2; i++) {
        qn_value sum = qn_match_input(r, root, i), residual = qn_match_input(r, root, 1 - i);
        qn_node reshape = qn_match_inner(r, sum, QN_OP_reshape);
        if (!qn_type_equal(qn_match_type(r, residual), out) || !qn_type_equal(qn_match_type(r, sum), out))
            continue;
        if (reshape) {
            sum = qn_match_input(r, reshape, 0);
            const struct qn_type *flat = qn_match_type(r, sum);
            if (flat->rank < 2 || out->rank < 2 || flat->dims[flat->rank - 1] != out->dims[out->rank - 1])
                continue;
        }
        qn_node biased = qn_match_inner(r, sum, QN_OP_add);
        if (biased ? !find_biased(r, biased, l) : !find_product(r, sum, l))
            continue;
        l->inputs[3] = residual;
        l->reshaped = reshape != 0;
        return true;
    }
    return false;
}

static qn_status emit_reshaped(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                               qn_value *outs)
{
    struct qn_build b = {.graph = r->to};
    const struct qn_type *out = qn_match_type(r, qn_match_result(r, root)), *x = qn_graph_type(r->to, inputs[0]);
    qn_dim dims[QN_MAX_RANK], k = x->dims[x->rank - 1];
    for (uint32_t i = 0; i + 1 < out->rank; i++)
        QN_TRY(qn_rewrite_dim(r, out->dims[i], &dims[i]));
    dims[out->rank - 1] = k;
    qn_value all[4] = {qn_build_reshape(&b, inputs[0], out->rank, dims), inputs[1], inputs[2], inputs[3]};
    if (b.status)
        return b.status;
    return qn_graph_add_node(r->to, QN_OP_linear, all, match->input_count, match->attr,
                             qn_graph_node(r->from, match->named)->name, outs);
}

static const struct {
    uint16_t op;
    enum qn_activation activation;
} unary[] = {
    {QN_OP_relu, QN_ACTIVATION_RELU},           {QN_OP_sigmoid, QN_ACTIVATION_SIGMOID},
    {QN_OP_tanh, QN_ACTIVATION_TANH},           {QN_OP_silu, QN_ACTIVATION_SILU},
    {QN_OP_gelu_tanh, QN_ACTIVATION_GELU_TANH}, {QN_OP_gelu_erf, QN_ACTIVATION_GELU_ERF},
};

/* max(v, low) or min(v, high) with a scalar, both of one type: v. */
static qn_value bounded(const struct qn_rewrite *r, qn_node n, float *bound)
{
    qn_value other;
    double scalar;
    if (!n || !qn_match_with_scalar(r, n, &other, &scalar) ||
        !qn_type_equal(qn_match_type(r, other), qn_match_type(r, qn_match_result(r, n))))
        return 0;
    *bound = (float)scalar;
    return other;
}

/* The root is an activation of a value read once: that value, otherwise 0. */
static qn_value find_activation(const struct qn_rewrite *r, qn_node root, struct qn_attr_linear *attr)
{
    uint16_t op = qn_graph_node(r->from, root)->op;
    for (size_t i = 0; i < sizeof unary / sizeof unary[0]; i++)
        if (op == unary[i].op) {
            attr->activation = unary[i].activation;
            return qn_match_input(r, root, 0);
        }
    if (op != QN_OP_min)
        return 0;
    qn_value low = bounded(r, root, &attr->beta);
    attr->activation = QN_ACTIVATION_CLIP;
    return low ? bounded(r, qn_match_inner(r, low, QN_OP_max), &attr->alpha) : 0;
}

static bool match_linear(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct linear l = {0};
    struct qn_attr_linear active = {0};
    bool found = false;
    if (qn_graph_node(r->from, root)->op == QN_OP_add) {
        found = find_sum(r, root, &l);
    } else {
        qn_value v = find_activation(r, root, &active);
        qn_node sum = v ? qn_match_inner(r, v, QN_OP_add) : 0;
        found = v && (sum ? find_sum(r, sum, &l) : find_product(r, v, &l)) && l.packed;
        l.attr.activation = active.activation;
        l.attr.alpha = active.alpha;
        l.attr.beta = active.beta;
    }
    if (!found)
        return false;
    match->named = l.product;
    memcpy(match->attr, &l.attr, sizeof l.attr);
    qn_match_set(match, QN_OP_linear, l.inputs, l.inputs[3] ? 4 : 3);
    match->emit = l.reshaped ? emit_reshaped : NULL;
    return true;
}

qn_status qn_pass_fuse_linear(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_linear);
}

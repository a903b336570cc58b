/* Feed-forward blocks of language models: plain, gated, of experts. */
#include "arch/lm_blocks.h"

static qn_value silu(struct qn_build *b, qn_value x)
{
    return qn_build_binary(b, QN_OP_mul, x, qn_build_unary(b, QN_OP_sigmoid, x));
}

/* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
static qn_value gelu_tanh(struct qn_build *b, qn_value x)
{
    qn_value cube = qn_build_binary(b, QN_OP_mul, qn_build_binary(b, QN_OP_mul, x, x), x);
    qn_value inner =
        qn_build_binary(b, QN_OP_add, x, qn_build_binary(b, QN_OP_mul, cube, qn_build_scalar(b, 0.044715f)));
    inner = qn_build_binary(b, QN_OP_mul, inner, qn_build_scalar(b, 0.797884560802865f));
    qn_value gate = qn_build_binary(b, QN_OP_add, qn_build_unary(b, QN_OP_tanh, inner), qn_build_scalar(b, 1.0f));
    return qn_build_binary(b, QN_OP_mul, qn_build_binary(b, QN_OP_mul, x, qn_build_scalar(b, 0.5f)), gate);
}

/* 0.5 x (1 + erf(x / sqrt(2))) */
static qn_value gelu_erf(struct qn_build *b, qn_value x)
{
    qn_value root = qn_build_binary(b, QN_OP_mul, x, qn_build_scalar(b, 0.70710678118654752440f));
    qn_value gate = qn_build_binary(b, QN_OP_add, qn_build_unary(b, QN_OP_erf, root), qn_build_scalar(b, 1.0f));
    return qn_build_binary(b, QN_OP_mul, qn_build_binary(b, QN_OP_mul, x, qn_build_scalar(b, 0.5f)), gate);
}

qn_value qn_lm_activate(struct qn_lm *lm, qn_value x, enum qn_lm_activation activation)
{
    switch (activation) {
    case QN_LM_SILU:
        return silu(&lm->b, x);
    case QN_LM_GELU_TANH:
        return gelu_tanh(&lm->b, x);
    case QN_LM_GELU_ERF:
        return gelu_erf(&lm->b, x);
    case QN_LM_RELU:
        break;
    }
    return qn_build_unary(&lm->b, QN_OP_relu, x);
}

enum qn_lm_activation qn_lm_key_activation(struct qn_lm *lm, enum qn_lm_activation fallback)
{
    static const struct {
        const char *name;
        enum qn_lm_activation activation;
    } known[] = {
        {"silu", QN_LM_SILU},          {"swish", QN_LM_SILU},          {"gelu", QN_LM_GELU_ERF},
        {"gelu_new", QN_LM_GELU_TANH}, {"gelu_fast", QN_LM_GELU_TANH}, {"gelu_pytorch_tanh", QN_LM_GELU_TANH},
        {"relu", QN_LM_RELU},
    };
    struct qn_str name = qn_lm_key_str(&lm->keys, "hidden_activation");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (name.data && qn_str_is(name, known[i].name))
            return known[i].activation;
    if (name.data && !lm->b.status)
        lm->b.status = QN_ERROR(QN_UNSUPPORTED,
                                "activation '%.*s' is not supported; known are: silu, gelu, gelu_new, "
                                "gelu_fast, gelu_pytorch_tanh, relu",
                                QN_STR_ARG(name));
    return fallback;
}

/* gate and up of one product, [gate; up], where the source has no product of the gate's own */
static void split_gate(struct qn_lm *lm, qn_value x, uint32_t width, qn_value *gate, qn_value *up)
{
    qn_value both = qn_lm_linear(lm, x, "ffn_up", lm->config->dim, 2 * width);
    *gate = qn_build_slice(&lm->b, both, 1, 0, width);
    *up = qn_build_slice(&lm->b, both, 1, width, 2 * (int64_t)width);
}

qn_value qn_lm_gated_ffn(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    qn_value gate, up;
    if (lm->gate_in_up) {
        split_gate(lm, x, c->ffn_dim, &gate, &up);
    } else {
        gate = qn_lm_linear(lm, x, "ffn_gate", c->dim, c->ffn_dim);
        up = qn_lm_linear(lm, x, "ffn_up", c->dim, c->ffn_dim);
    }
    gate = qn_lm_activate(lm, gate, lm->activation);
    return qn_lm_linear(lm, qn_build_binary(&lm->b, QN_OP_mul, gate, up), "ffn_down", c->ffn_dim, c->dim);
}

qn_value qn_lm_plain_ffn(struct qn_lm *lm, qn_value x, enum qn_lm_activation activation)
{
    const struct qn_lm_config *c = lm->config;
    qn_value up = qn_lm_activate(lm, qn_lm_linear(lm, x, "ffn_up", c->dim, c->ffn_dim), activation);
    return qn_lm_linear(lm, up, "ffn_down", c->ffn_dim, c->dim);
}

qn_value qn_lm_shared_expert(struct qn_lm *lm, qn_value x, uint32_t width)
{
    struct qn_build *b = &lm->b;
    uint32_t dim = lm->config->dim;
    qn_value gate = qn_lm_activate(lm, qn_lm_linear(lm, x, "ffn_gate_shexp", dim, width), lm->activation);
    qn_value up = qn_lm_linear(lm, x, "ffn_up_shexp", dim, width);
    qn_value y = qn_lm_linear(lm, qn_build_binary(b, QN_OP_mul, gate, up), "ffn_down_shexp", width, dim);
    if (!qn_lm_has(lm, "ffn_gate_inp_shexp"))
        return y;
    qn_value share = qn_build_unary(b, QN_OP_sigmoid, qn_lm_linear(lm, x, "ffn_gate_inp_shexp", dim, 1));
    return qn_build_binary(b, QN_OP_mul, y, share);
}

/* x [N, K or 1, 1, in] times the chosen experts' <name>.weight [experts, out, in], times their <name>.scale [experts]
 * and plus their <name>.bias [experts, out] where the source has those: [N, K, 1, out] */
static qn_value expert_linear(struct qn_lm *lm, qn_value x, qn_value ids, const char *name, uint32_t in, uint32_t out)
{
    struct qn_build *b = &lm->b;
    qn_value w = qn_lm_weight(lm, name, ".weight", true, 3, (uint32_t[]){lm->config->experts, out, in});
    qn_value bias = qn_lm_weight(lm, name, ".bias", false, 2, (uint32_t[]){lm->config->experts, out});
    qn_value y = qn_build_matmul(b, x, qn_build_gather(b, w, ids, 0, QN_DTYPE_F32), true, name);
    qn_value scale = qn_lm_vector(lm, name, ".scale", false, lm->config->experts);
    if (scale) {
        scale = qn_build_gather(b, scale, ids, 0, QN_DTYPE_F32);
        scale = qn_build_reshape(b, scale, 4, (qn_dim[]){lm->n, lm->config->experts_used, 1, 1});
        y = qn_build_binary(b, QN_OP_mul, y, scale);
    }
    if (!bias)
        return y;
    bias = qn_build_gather(b, bias, ids, 0, QN_DTYPE_F32);
    return qn_lm_add(lm, y, qn_build_reshape(b, bias, 4, (qn_dim[]){lm->n, lm->config->experts_used, 1, out}));
}

void qn_lm_best(struct qn_lm *lm, qn_value scores, uint32_t count, qn_value top[2])
{
    struct qn_attr_topk attr = {.k = count};
    top[0] = top[1] = 0;
    if (!lm->b.status)
        lm->b.status = qn_graph_add_node(lm->b.graph, QN_OP_topk, &scores, 1, &attr, QN_STR(""), top);
}

qn_value qn_lm_run_experts(struct qn_lm *lm, qn_value x, qn_value ids, qn_value share, qn_lm_unit_fn unit)
{
    struct qn_build *b = &lm->b;
    const struct qn_lm_config *c = lm->config;
    int64_t used = c->experts_used;
    uint32_t width = c->expert_ffn_dim;
    qn_value wide = qn_build_reshape(b, x, 4, (qn_dim[]){lm->n, 1, 1, c->dim});
    qn_value gate = expert_linear(lm, wide, ids, "ffn_gate_exps", c->dim, width);
    qn_value up = expert_linear(lm, wide, ids, "ffn_up_exps", c->dim, width);
    qn_value inner =
        unit ? unit(lm, gate, up) : qn_build_binary(b, QN_OP_mul, qn_lm_activate(lm, gate, lm->activation), up);
    qn_value down = expert_linear(lm, inner, ids, "ffn_down_exps", width, c->dim);
    down = qn_build_reshape(b, down, 3, (qn_dim[]){lm->n, used, c->dim});
    qn_value weighted = qn_build_binary(b, QN_OP_mul, down, qn_build_reshape(b, share, 3, (qn_dim[]){lm->n, used, 1}));
    return qn_build_reduce(b, QN_OP_reduce_sum, weighted, 1, false);
}

qn_value qn_lm_expert_ffn(struct qn_lm *lm, qn_value x)
{
    struct qn_build *b = &lm->b;
    const struct qn_lm_config *c = lm->config;
    qn_value top[2], router = qn_lm_linear(lm, x, "ffn_gate_inp", c->dim, c->experts);
    qn_lm_best(lm, qn_build_softmax(b, router, -1), c->experts_used, top);
    qn_value share = top[0];
    if (!lm->raw_shares)
        share = qn_build_binary(b, QN_OP_div, share, qn_build_reduce(b, QN_OP_reduce_sum, share, -1, true));
    return qn_lm_run_experts(lm, x, top[1], share, NULL);
}

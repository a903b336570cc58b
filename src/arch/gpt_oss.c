/* gpt-oss: a window in every second layer, a sink for each head, experts whose gates and values are clamped. Biases
 * everywhere. The best experts are chosen by their scores first; the softmax is among them alone. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    qn_value q, k, v;
    qn_lm_qkv(lm, x, &q, &k, &v);
    q = qn_lm_rope(lm, q, QN_LM_ROPE_HALVES);
    k = qn_lm_rope(lm, k, QN_LM_ROPE_HALVES);
    qn_value sinks = qn_lm_vector(lm, "attn_sinks", ".weight", true, c->heads);
    return qn_lm_linear(lm, qn_lm_attend(lm, q, k, v, sinks), "attn_output", c->heads * c->head_dim, c->dim);
}

/* gate * sigmoid(1.702 gate) * (up + 1), the gate up to 7, up between -7 and 7, or what numbers the source has */
static qn_value unit(struct qn_lm *lm, qn_value gate, qn_value up)
{
    struct qn_build *b = &lm->b;
    float limit = (float)qn_lm_key_f64(&lm->keys, "swiglu_limit", 7);
    float alpha = (float)qn_lm_key_f64(&lm->keys, "swiglu_alpha", 1.702);
    qn_value most = qn_build_scalar(b, limit), least = qn_build_scalar(b, -limit);
    gate = qn_build_binary(b, QN_OP_min, gate, most);
    up = qn_build_binary(b, QN_OP_max, qn_build_binary(b, QN_OP_min, up, most), least);
    qn_value open = qn_build_unary(b, QN_OP_sigmoid, qn_build_binary(b, QN_OP_mul, gate, qn_build_scalar(b, alpha)));
    up = qn_lm_add(lm, up, qn_build_scalar(b, 1.0f));
    return qn_build_binary(b, QN_OP_mul, qn_build_binary(b, QN_OP_mul, gate, open), up);
}

static qn_value experts(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    qn_value top[2];
    qn_lm_best(lm, qn_lm_linear(lm, x, "ffn_gate_inp", c->dim, c->experts), c->experts_used, top);
    return qn_lm_run_experts(lm, x, top[1], qn_build_softmax(&lm->b, top[0], -1), unit);
}

static void build(struct qn_lm *lm)
{
    const struct qn_lm_config *c = lm->config;
    if (!c->experts) {
        lm->b.status = QN_ERROR(QN_INVALID_FILE, "key 'gpt-oss.expert_count' is missing");
        return;
    }
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    for (uint32_t i = 0; i < c->layers; i++) {
        qn_lm_begin_layer(lm, i);
        x = qn_lm_add(lm, x, attention(lm, qn_lm_rms_norm(lm, x, "attn_norm", c->dim)));
        x = qn_lm_add(lm, x, experts(lm, qn_lm_rms_norm(lm, x, "post_attention_norm", c->dim)));
        qn_lm_end_layer(lm);
    }
    qn_lm_head(lm, qn_lm_rms_norm(lm, qn_lm_wanted_rows(lm, x), "output_norm", c->dim));
}

const struct qn_arch qn_arch_gpt_oss = {"gpt-oss", build, .window_period = 2, .exact_ramp = true};

/* GPT-2: layer norms with biases, learned positions, one fused query-key-value projection, GELU. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    int64_t dim = c->dim;
    qn_value qkv = qn_lm_linear(lm, x, "attn_qkv", c->dim, 3 * c->dim);
    qn_value q = qn_lm_heads(lm, qn_build_slice(&lm->b, qkv, 1, 0, dim), c->heads);
    qn_value k = qn_lm_heads(lm, qn_build_slice(&lm->b, qkv, 1, dim, 2 * dim), c->kv_heads);
    qn_value v = qn_lm_heads(lm, qn_build_slice(&lm->b, qkv, 1, 2 * dim, 3 * dim), c->kv_heads);
    return qn_lm_linear(lm, qn_lm_attention(lm, q, k, v), "attn_output", c->dim, c->dim);
}

static void build(struct qn_lm *lm)
{
    const struct qn_lm_config *c = lm->config;
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    x = qn_lm_add(lm, x, qn_lm_embedding(lm, "position_embd", c->context, lm->pos));
    for (uint32_t i = 0; i < c->layers; i++) {
        qn_lm_begin_layer(lm, i);
        x = qn_lm_add(lm, x, attention(lm, qn_lm_layer_norm(lm, x, "attn_norm", c->dim)));
        qn_value y = qn_lm_layer_norm(lm, x, "ffn_norm", c->dim);
        x = qn_lm_add(lm, x, qn_lm_plain_ffn(lm, y, QN_LM_GELU_TANH));
        qn_lm_end_layer(lm);
    }
    qn_lm_head(lm, qn_lm_layer_norm(lm, qn_lm_wanted_rows(lm, x), "output_norm", c->dim));
}

const struct qn_arch qn_arch_gpt2 = {"gpt2", build};

/* GPT-2: layer norms with biases, learned positions, one fused query-key-value projection, GELU. */
#include "arch/lm_blocks.h"

static void build(struct qn_lm *lm)
{
    const struct qn_lm_config *c = lm->config;
    enum qn_lm_activation activation = qn_lm_key_activation(lm, QN_LM_GELU_TANH);
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    x = qn_lm_add(lm, x, qn_lm_embedding(lm, "position_embd", c->context, lm->pos));
    for (uint32_t i = 0; i < c->layers; i++) {
        qn_lm_begin_layer(lm, i);
        qn_value y = qn_lm_layer_norm(lm, x, "attn_norm", c->dim);
        x = qn_lm_add(lm, x, qn_lm_self_attention(lm, y, QN_LM_ROPE_NONE));
        y = qn_lm_layer_norm(lm, x, "ffn_norm", c->dim);
        x = qn_lm_add(lm, x, qn_lm_plain_ffn(lm, y, activation));
        qn_lm_end_layer(lm);
    }
    qn_lm_head(lm, qn_lm_layer_norm(lm, qn_lm_wanted_rows(lm, x), "output_norm", c->dim));
}

const struct qn_arch qn_arch_gpt2 = {"gpt2", build};

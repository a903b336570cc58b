/* GPT-NeoX, Pythia: layer norms, rotary embedding on the first part of each head, attention and feed-forward side by
 * side on the same input. */
#include "arch/lm_blocks.h"

static void build(struct qn_lm *lm)
{
    const struct qn_lm_config *c = lm->config;
    bool parallel = qn_lm_key_bool(&lm->keys, "use_parallel_residual", true);
    enum qn_lm_activation activation = qn_lm_key_activation(lm, QN_LM_GELU_ERF);
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    for (uint32_t i = 0; i < c->layers; i++) {
        qn_lm_begin_layer(lm, i);
        qn_value y = qn_lm_layer_norm(lm, x, "attn_norm", c->dim);
        qn_value after = qn_lm_add(lm, x, qn_lm_self_attention(lm, y, QN_LM_ROPE_HALVES));
        y = qn_lm_layer_norm(lm, parallel ? x : after, "ffn_norm", c->dim);
        x = qn_lm_add(lm, after, qn_lm_plain_ffn(lm, y, activation));
        qn_lm_end_layer(lm);
    }
    qn_lm_head(lm, qn_lm_layer_norm(lm, qn_lm_wanted_rows(lm, x), "output_norm", c->dim));
}

const struct qn_arch qn_arch_gptneox = {"gptneox", build};

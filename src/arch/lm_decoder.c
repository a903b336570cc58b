/* The layers of most decoders. */
#include "arch/lm_blocks.h"

/* Of experts, with one that all tokens share, or dense: a model of experts may have dense layers. */
static qn_value feed_forward(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    if (!c->experts || (qn_lm_has(lm, "ffn_gate") && !qn_lm_has(lm, "ffn_gate_inp")))
        return qn_lm_gated_ffn(lm, x);
    qn_value y = qn_lm_expert_ffn(lm, x);
    return qn_lm_has(lm, "ffn_up_shexp") ? qn_lm_add(lm, y, qn_lm_shared_expert(lm, x, c->shared_ffn_dim)) : y;
}

void qn_lm_decoder(struct qn_lm *lm, qn_value (*attention)(struct qn_lm *lm, qn_value x))
{
    const struct qn_lm_config *c = lm->config;
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    if (lm->embedding_scale != 1)
        x = qn_build_binary(&lm->b, QN_OP_mul, x, qn_build_scalar(&lm->b, (float)lm->embedding_scale));
    for (uint32_t i = 0; i < c->layers; i++) {
        qn_lm_begin_layer(lm, i);
        qn_value y = attention(lm, qn_lm_rms_norm(lm, x, "attn_norm", c->dim));
        x = qn_lm_add(lm, x, lm->post_norms ? qn_lm_rms_norm(lm, y, "post_attention_norm", c->dim) : y);
        y = feed_forward(lm, qn_lm_rms_norm(lm, x, "ffn_norm", c->dim));
        x = qn_lm_add(lm, x, lm->post_norms ? qn_lm_rms_norm(lm, y, "post_ffw_norm", c->dim) : y);
        qn_lm_end_layer(lm);
    }
    qn_lm_head(lm, qn_lm_rms_norm(lm, qn_lm_wanted_rows(lm, x), "output_norm", c->dim));
}

/* Llama 1, 2 and 3, Mistral, Mixtral (experts), TinyLlama: RMS norm, rotary embedding on neighbouring pairs, gated
 * feed-forward. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    uint32_t q_dim = c->heads * c->head_dim, kv_dim = c->kv_heads * c->head_dim;
    qn_value q = qn_lm_heads(lm, qn_lm_linear(lm, x, "attn_q", c->dim, q_dim), c->heads);
    qn_value k = qn_lm_heads(lm, qn_lm_linear(lm, x, "attn_k", c->dim, kv_dim), c->kv_heads);
    qn_value v = qn_lm_heads(lm, qn_lm_linear(lm, x, "attn_v", c->dim, kv_dim), c->kv_heads);
    q = qn_lm_rope(lm, q, QN_LM_ROPE_INTERLEAVED);
    k = qn_lm_rope(lm, k, QN_LM_ROPE_INTERLEAVED);
    return qn_lm_linear(lm, qn_lm_attention(lm, q, k, v), "attn_output", q_dim, c->dim);
}

static void build(struct qn_lm *lm)
{
    const struct qn_lm_config *c = lm->config;
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    for (uint32_t i = 0; i < c->layers; i++) {
        qn_lm_begin_layer(lm, i);
        x = qn_lm_add(lm, x, attention(lm, qn_lm_rms_norm(lm, x, "attn_norm", c->dim)));
        qn_value y = qn_lm_rms_norm(lm, x, "ffn_norm", c->dim);
        x = qn_lm_add(lm, x, c->experts ? qn_lm_expert_ffn(lm, y) : qn_lm_gated_ffn(lm, y));
        qn_lm_end_layer(lm);
    }
    qn_lm_head(lm, qn_lm_rms_norm(lm, qn_lm_wanted_rows(lm, x), "output_norm", c->dim));
}

const struct qn_arch qn_arch_llama = {"llama", build};

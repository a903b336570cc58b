/* Llama 1, 2 and 3, TinyLlama, Mistral, Mixtral: rotary embedding on neighbouring pairs. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    qn_value q = qn_lm_project(lm, x, "attn_q", c->heads);
    qn_value k = qn_lm_project(lm, x, "attn_k", c->kv_heads);
    qn_value v = qn_lm_project(lm, x, "attn_v", c->kv_heads);
    q = qn_lm_rope(lm, q, QN_LM_ROPE_INTERLEAVED);
    k = qn_lm_rope(lm, k, QN_LM_ROPE_INTERLEAVED);
    return qn_lm_linear(lm, qn_lm_attention(lm, q, k, v), "attn_output", c->heads * c->head_dim, c->dim);
}

static void build(struct qn_lm *lm)
{
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_llama = {"llama", build};

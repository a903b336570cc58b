/* Qwen 3: rotary embedding on halves, an RMS norm on each query and key head before it. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    qn_value q = qn_lm_rms_norm(lm, qn_lm_project(lm, x, "attn_q", c->heads), "attn_q_norm", c->head_dim);
    qn_value k = qn_lm_rms_norm(lm, qn_lm_project(lm, x, "attn_k", c->kv_heads), "attn_k_norm", c->head_dim);
    qn_value v = qn_lm_project(lm, x, "attn_v", c->kv_heads);
    q = qn_lm_rope(lm, q, QN_LM_ROPE_HALVES);
    k = qn_lm_rope(lm, k, QN_LM_ROPE_HALVES);
    return qn_lm_linear(lm, qn_lm_attention(lm, q, k, v), "attn_output", c->heads * c->head_dim, c->dim);
}

static void build(struct qn_lm *lm)
{
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_qwen3 = {"qwen3", build};

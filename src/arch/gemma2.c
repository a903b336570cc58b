/* Gemma 2: embeddings scaled by the root of their size, norms before and after each block, GELU-gated units, soft caps
 * on scores and logits, a window in every second layer. Norm weights are stored with one added. */
#include "arch/lm_blocks.h"

#include <math.h>

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    return qn_lm_self_attention(lm, x, QN_LM_ROPE_HALVES);
}

static void build(struct qn_lm *lm)
{
    const struct qn_lm_config *c = lm->config;
    lm->embedding_scale = sqrt((double)c->dim);
    lm->activation = qn_lm_key_activation(lm, QN_LM_GELU_TANH);
    lm->post_norms = true;
    /* What files without these keys mean; the 27B model, told by its layers, divides by the share of a head. */
    if (!qn_lm_key_has(&lm->keys, "attn_logit_softcapping"))
        lm->attention_cap = 50;
    if (!qn_lm_key_has(&lm->keys, "final_logit_softcapping"))
        lm->logit_cap = 30;
    uint32_t share = c->dim / c->heads;
    if (!c->attention_scale && c->layers == 46)
        lm->attention_scale = 1 / sqrt(share);
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_gemma2 = {"gemma2", build, .window_period = 2};

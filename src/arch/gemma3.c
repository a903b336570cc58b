/* Gemma 3 (text): as Gemma 2, with norms on each query and key head instead of the caps on scores; five of six layers
 * have a window, with a rotary base of their own. */
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
    lm->head_norms = true;
    lm->post_norms = true;
    uint32_t share = c->dim / c->heads;
    if (!c->attention_scale && c->layers == 62) /* the 27B model divides by the share of a head */
        lm->attention_scale = 1 / sqrt(share);
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_gemma3 = {"gemma3", build, .window_period = 6, .local_rope_base = 10000};

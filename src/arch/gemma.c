/* Gemma 1: embeddings scaled by the root of their size, GELU-gated units. Norm weights are stored with one added. */
#include "arch/lm_blocks.h"

#include <math.h>

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    return qn_lm_self_attention(lm, x, QN_LM_ROPE_HALVES);
}

static void build(struct qn_lm *lm)
{
    lm->embedding_scale = sqrt((double)lm->config->dim);
    lm->activation = qn_lm_key_activation(lm, QN_LM_GELU_TANH);
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_gemma = {"gemma", build};

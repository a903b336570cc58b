/* Qwen 3: rotary embedding on halves, an RMS norm on each query and key head before it. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    return qn_lm_self_attention(lm, x, QN_LM_ROPE_HALVES);
}

static void build(struct qn_lm *lm)
{
    lm->head_norms = true;
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_qwen3 = {"qwen3", build};

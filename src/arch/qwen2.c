/* Qwen 2 and 2.5: rotary embedding on halves, biases on query, key and value. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    return qn_lm_self_attention(lm, x, QN_LM_ROPE_HALVES);
}

static void build(struct qn_lm *lm)
{
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_qwen2 = {"qwen2", build};

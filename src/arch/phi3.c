/* Phi 3, 3.5 and 4: query, key and value in one product, gate and up in another; long contexts by LongRoPE. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    return qn_lm_self_attention(lm, x, QN_LM_ROPE_HALVES);
}

static void build(struct qn_lm *lm)
{
    lm->gate_in_up = true;
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_phi3 = {"phi3", build};

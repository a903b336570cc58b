/* Qwen 3 of experts. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    return qn_lm_self_attention(lm, x, QN_LM_ROPE_HALVES);
}

static void build(struct qn_lm *lm)
{
    lm->head_norms = true;
    lm->raw_shares = !qn_lm_key_bool(&lm->keys, "expert_weights_norm", true);
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_qwen3moe = {"qwen3moe", build};

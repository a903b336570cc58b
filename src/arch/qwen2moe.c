/* Qwen 1.5 and 2 of experts: as Qwen 2, with experts whose shares are not scaled up to one, and a
 * shared one behind a gate. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    return qn_lm_self_attention(lm, x, QN_LM_ROPE_HALVES);
}

static void build(struct qn_lm *lm)
{
    lm->raw_shares = !qn_lm_key_bool(&lm->keys, "expert_weights_norm", false);
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_qwen2moe = {"qwen2moe", build};

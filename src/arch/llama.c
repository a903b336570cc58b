/* Llama 1, 2 and 3, TinyLlama, Mistral, Mixtral: rotary embedding on neighbouring pairs. */
#include "arch/lm_blocks.h"

static qn_value attention(struct qn_lm *lm, qn_value x)
{
    return qn_lm_self_attention(lm, x, QN_LM_ROPE_INTERLEAVED);
}

static void build(struct qn_lm *lm)
{
    qn_lm_decoder(lm, attention);
}

const struct qn_arch qn_arch_llama = {"llama", build};

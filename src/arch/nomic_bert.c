/* Nomic BERT: BERT with rotary positions, a gated feed-forward layer and (mostly) no biases. */
#include "arch/encoder_blocks.h"

static void build(struct qn_lm *lm)
{
    qn_encoder_bert(lm, true);
}

const struct qn_arch qn_arch_nomic_bert = {.name = "nomic-bert", .build = build, .encoder = true};

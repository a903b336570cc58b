/* BERT, RoBERTa, XLM-RoBERTa and DistilBERT: the same layers; learned positions, token types where the model has them.
 * RoBERTa's positions are counted from 0 here: the two rows that it never uses are not in the table. */
#include "arch/encoder_blocks.h"

static void build(struct qn_lm *lm)
{
    qn_encoder_bert(lm, false);
}

const struct qn_arch qn_arch_bert = {.name = "bert", .build = build, .encoder = true};

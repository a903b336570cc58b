/* What encoders are made of beside the blocks of all language models. Shapes: x is f32[N, dim]. */
#ifndef QN_ARCH_ENCODER_BLOCKS_H
#define QN_ARCH_ENCODER_BLOCKS_H

#include "arch/encoder_graph.h"
#include "arch/lm_blocks.h"

/* Attention of each token to all tokens of its text: q, k and v [N, heads, head_dim]; the result is [N, dim]. */
qn_value qn_encoder_attention(struct qn_lm *lm, qn_value q, qn_value k, qn_value v);

/* The frame of BERT and its kin: norm(embeddings); in each layer x = norm(x + attention(x)), x = norm(x +
 * feed-forward(x)). With `rotary`, queries and keys are turned by their position (halves of a head); otherwise learned
 * positions are added to the embeddings. */
void qn_encoder_bert(struct qn_lm *lm, bool rotary);

#endif

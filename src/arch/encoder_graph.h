/* Encoders: texts in, a hidden state for each token out, and what a head makes of those.
 *
 * A graph's calling convention. Texts lie one behind the other, without padding between them:
 *   inputs   tokens i32[N]; types i32[N] the part of a pair that a token belongs to; pos i32[N] its position in its
 *            text; last i32[N] the position of its text's last token; seq i32[N] its text; rows i32[S,L] the row of
 *            position j of text s; out_rows i32[R] the tokens that the head looks at
 *   outputs  hidden f32[N, dim]; logits f32[R, labels] where there is a head
 * Symbols: N tokens, S texts, L tokens of the longest text, R rows of logits.
 */
#ifndef QN_ARCH_ENCODER_GRAPH_H
#define QN_ARCH_ENCODER_GRAPH_H

#include "arch/arch.h"

/* What the model was trained to say. */
enum qn_encoder_head {
    QN_ENCODER_HEAD_NONE = 0,
    QN_ENCODER_HEAD_SEQUENCE, /* classes of a text (or a score: one class), from its first token */
    QN_ENCODER_HEAD_TOKEN,    /* classes of each token */
    QN_ENCODER_HEAD_ANSWER,   /* of each token: is it where the answer starts, where it ends */
    QN_ENCODER_HEAD_FILL,     /* of a token: which of the vocabulary stands there */
};

struct qn_encoder_config {
    struct qn_lm_config lm;
    uint32_t token_types; /* rows of token_types; 0: the model has none */
    enum qn_encoder_head head;
    uint32_t labels;         /* columns of the logits, 0 without a head */
    int64_t activation;      /* enum qn_activation, of the feed-forward layers */
    int64_t head_activation; /* of the head's dense layer */
};

/* Whether the source's architecture is an encoder; false too where it is unknown. */
bool qn_encoder_is(const struct qn_lm_source *source);

/* Reads the hyper-parameters of an encoder. Keys beside those of every language model, which hold for llama.cpp's files
 * too where they are absent:
 *   <arch>.head               sequence_classification, token_classification, question_answering or fill_mask
 *                             (absent: sequence_classification where there is a cls.output, otherwise none)
 *   <arch>.hidden_activation  gelu, gelu_tanh, silu, relu (absent: gelu, with a gate silu)
 *   <arch>.head_activation    the same or tanh (absent: tanh for a classifier, hidden_activation for fill_mask)
 * Errors name file and key. */
qn_status qn_encoder_config_read(const struct qn_lm_source *source, struct qn_encoder_config *out) QN_MUST_USE;

/* Builds the whole graph. Of the options chunk, sequences and positions count. Errors name the file and the tensor. */
qn_status qn_encoder_build(const struct qn_encoder_config *config, const struct qn_lm_source *source,
                           const struct qn_lm_options *options, struct qn_graph *graph) QN_MUST_USE;

#endif

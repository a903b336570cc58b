/* Encoders (BERT and its kin): texts in; hidden states, embeddings, or what a trained head says, out.
 *
 *     struct qn_encoder *encoder = NULL;
 *     status = qn_encoder_create(model, NULL, &encoder);
 *     struct qn_encoder_text texts[2] = {{.tokens = ids, .count = 7}, {.tokens = other, .count = 19}};
 *     status = qn_encoder_embed(encoder, texts, 2, NULL, vectors);      two rows of info.embedding floats
 *     qn_encoder_destroy(encoder);
 *
 * Texts of different lengths run together without padding, as many at a time as options.batch_tokens holds. The bits of
 * a text's result do not depend on the texts beside it, on the number of threads or on batch_tokens.
 *
 * A model that lies in a sentence-transformers folder brings its pooling, its dense layers, its normalisation, its
 * prompts and the length it takes; see struct qn_encoder_info and qn_encoder_prompt.
 *
 * Threads: one call at a time on a qn_encoder, except qn_encoder_cancel, which any thread or signal handler may call.
 */
#ifndef QUERN_ENCODER_H
#define QUERN_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_model;
struct qn_tokenizer;
struct qn_encoded; /* quern/tokenizer.h */
struct qn_encoder;

/* ---- creation ------------------------------------------------------------------------------------------------- */

/* Zero is the default of every field but struct_size. */
struct qn_encoder_options {
    size_t struct_size;
    uint32_t threads;            /* 0: one a physical core */
    uint32_t batch_tokens;       /* most tokens that run together; 0: 1024. A longer text runs alone */
    bool f32_activations;        /* never round activations to int8 or bf16: slower, closer to the exact result */
    const char *disabled_passes; /* names separated by commas, "all", or NULL */
    const struct qn_allocator *allocator;
};

/* Whether the model is one that this header serves. */
bool qn_encoder_takes(const struct qn_model *model);
/* The model must be an encoder and outlive the qn_encoder. options NULL means zero. Errors name the file and the
 * tensor, the key or the option. */
qn_status qn_encoder_create(struct qn_model *model, const struct qn_encoder_options *options,
                            struct qn_encoder **out) QN_MUST_USE;
void qn_encoder_destroy(struct qn_encoder *encoder); /* NULL is allowed */

/* What the model was trained for, and so what its logits mean. */
enum qn_encoder_task {
    QN_ENCODER_EMBED = 0,       /* no head: hidden states and embeddings alone */
    QN_ENCODER_CLASSIFY,        /* a text, or a pair of texts: `labels` logits (one label: a score, as of a reranker) */
    QN_ENCODER_CLASSIFY_TOKENS, /* each token: `labels` logits */
    QN_ENCODER_ANSWER,          /* each token of a question and its context: 2 logits, start and end of the answer */
    QN_ENCODER_FILL_MASK,       /* each token: logits over the vocabulary */
};

/* How hidden states become one vector. Several (a set of bits) stand one behind the other, in this order. */
enum qn_pooling {
    QN_POOLING_CLS = 1 << 0, /* the first token's */
    QN_POOLING_MAX = 1 << 1,
    QN_POOLING_MEAN = 1 << 2,
    QN_POOLING_MEAN_SQRT_LEN = 1 << 3, /* the sum by the square root of the number of tokens */
    QN_POOLING_WEIGHTED_MEAN = 1 << 4, /* a token's weight is its position, counted from 1 */
    QN_POOLING_LAST = 1 << 5,          /* the last token's */
};

struct qn_encoder_info {
    size_t struct_size;
    enum qn_encoder_task task;
    uint32_t dim;       /* of a hidden state */
    uint32_t embedding; /* of an embedding, with the model's own pooling and dense layers */
    uint32_t labels;    /* columns of the logits; 0 for QN_ENCODER_EMBED */
    uint32_t vocabulary, layers, threads;
    uint32_t types;      /* token types, 0: the model has none */
    uint32_t context;    /* tokens that a text may have */
    uint32_t max_tokens; /* tokens that a text is cut to before it is embedded; at most context */
    uint32_t pooling;    /* enum qn_pooling, as the model says; MEAN where it does not */
    bool normalizes;     /* its embeddings have length 1 */
    bool multi_label;    /* classes do not exclude each other: probabilities by the sigmoid, not the softmax */
    const char *cpu;     /* instruction sets in use; lives as long as the qn_encoder */
};
void qn_encoder_get_info(const struct qn_encoder *encoder, struct qn_encoder_info *info);

/* The name of a class ("LABEL_3" where the model names none), NULL past the end or for FILL_MASK. Lives as long as the
 * qn_encoder. */
const char *qn_encoder_label(const struct qn_encoder *encoder, uint32_t index);

/* The text to put before every text for a purpose ("query", "passage"). name NULL: the one that the model takes by
 * default. NULL when there is none. Lives as long as the qn_encoder. */
const char *qn_encoder_prompt(const struct qn_encoder *encoder, const char *name);
/* The name of prompt `index`, NULL past the end. */
const char *qn_encoder_prompt_name(const struct qn_encoder *encoder, uint32_t index);

/* ---- running -------------------------------------------------------------------------------------------------- */

struct qn_encoder_text {
    const int32_t *tokens; /* with whatever the model wants around a text (CLS, SEP): qn_encoder_tokenize adds it */
    const int32_t *types;  /* which part of a pair a token belongs to; NULL: 0 throughout */
    size_t count;          /* 1 to info.context */
};

/* The hidden states of all tokens, text after text: rows of info.dim floats.
 * QN_INVALID_ARGUMENT names the text and token that the model does not take. */
qn_status qn_encoder_hidden(struct qn_encoder *encoder, const struct qn_encoder_text *texts, size_t count,
                            float *out) QN_MUST_USE;

/* Logits, rows of info.labels floats: a row a text for CLASSIFY, otherwise a row a token, text after text. */
qn_status qn_encoder_logits(struct qn_encoder *encoder, const struct qn_encoder_text *texts, size_t count,
                            float *out) QN_MUST_USE;
/* The same for one text and chosen tokens of it: positions[0..wanted) below text->count. Not for CLASSIFY. */
qn_status qn_encoder_logits_at(struct qn_encoder *encoder, const struct qn_encoder_text *text,
                               const uint32_t *positions, size_t wanted, float *out) QN_MUST_USE;

enum qn_choice { QN_CHOICE_MODEL = 0, QN_CHOICE_YES, QN_CHOICE_NO };

/* Zero is the default of every field but struct_size. */
struct qn_embed_options {
    size_t struct_size;
    uint32_t pooling;         /* enum qn_pooling; 0: the model's. With another, its dense layers are left out */
    enum qn_choice normalize; /* to length 1 */
    uint32_t dims;            /* only so many of the embedding's first elements (normalised after the cut); 0: all */
    uint32_t prompt_tokens;   /* tokens at the beginning that a prompt takes, which some models leave out of pooling */
};

/* Floats of an embedding with these options. */
uint32_t qn_encoder_embedding_size(const struct qn_encoder *encoder, const struct qn_embed_options *options);
/* One row of qn_encoder_embedding_size floats a text. options NULL means zero. */
qn_status qn_encoder_embed(struct qn_encoder *encoder, const struct qn_encoder_text *texts, size_t count,
                           const struct qn_embed_options *options, float *out) QN_MUST_USE;

/* ---- from text ------------------------------------------------------------------------------------------------ */

/* A text, or two that belong together (a query and a document, a question and its context). */
struct qn_encoder_string {
    const char *text;
    size_t size;
    const char *pair; /* NULL: one text alone */
    size_t pair_size;
};

/* The tokens of a text as the model takes it: `prompt` (a text; NULL: none) before it, what the tokenizer puts around
 * it, cut to info.max_tokens, the longer of a pair first. With `special`, tokens written in the text ("[MASK]") count
 * as such. *out must be zero but for its allocator. */
qn_status qn_encoder_tokenize(const struct qn_encoder *encoder, const struct qn_tokenizer *tokenizer,
                              const struct qn_encoder_string *string, const char *prompt, bool special,
                              struct qn_encoded *out) QN_MUST_USE;

/* qn_encoder_embed of texts; options->prompt_tokens is found from the prompt. */
qn_status qn_encoder_embed_texts(struct qn_encoder *encoder, const struct qn_tokenizer *tokenizer,
                                 const struct qn_encoder_string *strings, size_t count, const char *prompt,
                                 const struct qn_embed_options *options, float *out) QN_MUST_USE;
/* qn_encoder_logits of texts, for QN_ENCODER_CLASSIFY: a row of info.labels floats a text. */
qn_status qn_encoder_classify_texts(struct qn_encoder *encoder, const struct qn_tokenizer *tokenizer,
                                    const struct qn_encoder_string *strings, size_t count, float *out) QN_MUST_USE;

/* Makes the call under way, or the next one, end with QN_CANCELLED. Async-signal-safe. */
void qn_encoder_cancel(struct qn_encoder *encoder);

#ifdef __cplusplus
}
#endif
#endif

/* A text cut into chunks of tokens, each evaluated on its own. Shared by what measures language models. */
#ifndef QN_EVAL_CHUNKS_H
#define QN_EVAL_CHUNKS_H

#include "base/status.h"
#include "llm/llm.h"
#include "quern/eval.h"
#include "quern/tokenizer.h"

struct qn_chunks {
    struct qn_llm *llm;
    struct qn_eval_options options; /* context filled in */
    struct qn_tokens tokens;
    uint32_t count; /* chunks */
    int32_t first;  /* the token that each chunk begins with, or QN_TOKEN_NONE: its own */
};

/* `least` chunks must be there. Free in any case. */
qn_status qn_chunks_init(struct qn_chunks *chunks, struct qn_llm *llm, const struct qn_tokenizer *tokenizer,
                         const char *text, size_t size, uint32_t least,
                         const struct qn_eval_options *options) QN_MUST_USE;
/* The same over tokens that are there already: count chunks, copied. */
qn_status qn_chunks_init_tokens(struct qn_chunks *chunks, struct qn_llm *llm, const struct qn_tokenizer *tokenizer,
                                const int32_t *tokens, uint32_t count,
                                const struct qn_eval_options *options) QN_MUST_USE;
void qn_chunks_free(struct qn_chunks *chunks);

/* Evaluates a chunk from an empty sequence. Logits of the positions from `scored` on are shown piece by piece:
 * `rows` rows of vocabulary floats, the first one of position `position`. fn NULL: nobody looks. */
typedef qn_status (*qn_chunk_fn)(void *context, const float *logits, uint32_t position, uint32_t rows);
qn_status qn_chunks_eval(struct qn_chunks *chunks, uint32_t chunk, uint32_t scored, float *buffer, uint32_t room,
                         qn_chunk_fn fn, void *context) QN_MUST_USE;

qn_status qn_chunks_progress(const struct qn_chunks *chunks, uint32_t done, double value) QN_MUST_USE;

static inline const int32_t *qn_chunk_tokens(const struct qn_chunks *chunks, uint32_t chunk)
{
    return chunks->tokens.ids + (size_t)chunk * chunks->options.context;
}

#endif

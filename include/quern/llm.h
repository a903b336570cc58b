/* Language models: tokens in, logits or text out.
 *
 *     struct qn_llm *llm = NULL;
 *     status = qn_llm_create(model, NULL, &llm);
 *     status = qn_llm_eval(llm, ids, count, NULL);          prefill, in chunks
 *     id = arg-max or sampler over qn_llm_logits(llm);      then eval that id, and so on
 *     qn_llm_destroy(llm);
 *
 * A qn_llm is one running conversation: the compiled model, its KV cache and the position in it. The weights stay in
 * the model's file mapping and are shared by all qn_llm of that model.
 *
 * Threads: one call at a time on a qn_llm, except qn_llm_cancel, which any thread or signal handler may call.
 */
#ifndef QUERN_LLM_H
#define QUERN_LLM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/dtype.h"
#include "quern/observe.h"
#include "quern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_model;
struct qn_sampler;
struct qn_tokenizer;
struct qn_llm;

/* Zero is the default of every field but struct_size. */
struct qn_llm_options {
    size_t struct_size;
    uint32_t threads;            /* 0: one a physical core */
    uint32_t context;            /* positions the KV cache holds; 0: what the model was made for */
    uint32_t chunk;              /* most tokens in one step of a prefill; 0: 512 */
    qn_dtype kv_dtype;           /* QN_DTYPE_F32, F16 or Q8_0; 0: F16 */
    bool f32_activations;        /* never round activations to int8 or bf16: slower, closer to the exact result */
    const char *disabled_passes; /* names separated by commas, "all", or NULL */
    const struct qn_allocator *allocator;
};

/* The model must be a language model and outlive the qn_llm. options NULL means zero. Errors name the file and the
 * tensor, the key or the option. */
qn_status qn_llm_create(struct qn_model *model, const struct qn_llm_options *options, struct qn_llm **out) QN_MUST_USE;
void qn_llm_destroy(struct qn_llm *llm); /* NULL is allowed */

struct qn_llm_info {
    size_t struct_size;
    uint32_t context, vocabulary, layers, threads, chunk;
    uint64_t kv_bytes;        /* of the whole cache; memory is taken page by page as positions fill */
    uint64_t workspace_bytes; /* activations and scratch at the largest chunk */
    uint32_t steps;           /* kernel launches of one forward step */
    const char *cpu;          /* instruction sets in use, "avx2+avx512+..."; lives as long as the qn_llm */
};
void qn_llm_get_info(const struct qn_llm *llm, struct qn_llm_info *info);

/* Appends tokens to the sequence. all_logits: NULL, or room for count x vocabulary floats, the logits after each token.
 * The logits after the last one are kept for qn_llm_logits either way. QN_OUT_OF_RANGE when they do not fit in the
 * context (nothing is appended then) and QN_INVALID_ARGUMENT for an id outside the vocabulary. After QN_CANCELLED the
 * sequence holds the chunks that were finished. A model with LongRoPE evaluates the whole sequence again when it
 * becomes longer than the model's original context. */
qn_status qn_llm_eval(struct qn_llm *llm, const int32_t *tokens, size_t count, float *all_logits) QN_MUST_USE;

/* Logits after the last token, vocabulary floats; valid until the next call. NULL before the first eval. */
const float *qn_llm_logits(const struct qn_llm *llm);

/* Tokens in the sequence, and how many there can be. */
uint32_t qn_llm_position(const struct qn_llm *llm);
/* The tokens of the sequence, qn_llm_position of them; valid until the next call. */
const int32_t *qn_llm_tokens(const struct qn_llm *llm);
/* Forgets everything from `position` on (0: starts anew). The logits are gone until the next eval. Recurrent layers
 * (Mamba) cannot go back: unless position is 0, that eval first runs what is kept once more from the start. */
void qn_llm_truncate(struct qn_llm *llm, uint32_t position);
/* Makes room at the limit: keeps the first `keep` tokens, drops the `drop` after them and evaluates the rest again at
 * its new positions. */
qn_status qn_llm_shift(struct qn_llm *llm, uint32_t keep, uint32_t drop) QN_MUST_USE;
/* Makes the call under way, or the next one, end with QN_CANCELLED. Async-signal-safe. */
void qn_llm_cancel(struct qn_llm *llm);

/* Shows every step of the evals from now on; NULL: none. */
void qn_llm_observe(struct qn_llm *llm, qn_observe_fn fn, void *context);

/* ---- text ----------------------------------------------------------------------------------------------------- */

enum qn_finish {
    QN_FINISH_LENGTH = 0,  /* max_tokens reached */
    QN_FINISH_END = 1,     /* the model ended its text */
    QN_FINISH_STOP = 2,    /* a stop string was completed */
    QN_FINISH_CONTEXT = 3, /* the context is full */
    QN_FINISH_CANCELLED = 4,
};

struct qn_generate_options {
    size_t struct_size;
    uint32_t max_tokens;      /* 0: until the end or the limit of the context */
    bool context_shift;       /* at the limit, forget the older half instead of stopping */
    bool ignore_end;          /* go on past an end-of-generation token */
    bool special;             /* show control tokens */
    const char *const *stops; /* stop strings, never shown */
    size_t stop_count;
    /* Called with whole UTF-8 characters as they come; returning false stops. NULL: nobody listens. */
    bool (*on_text)(void *context, const char *text, size_t size);
    /* Called after each chunk of the prompt. NULL: nobody listens. */
    void (*on_prompt)(void *context, size_t done, size_t total);
    void *context;
};

struct qn_generate_stats {
    size_t struct_size;
    uint32_t prompt_tokens, generated_tokens;
    double prompt_s, first_token_s, decode_s; /* first_token_s: from the call to the first token sampled */
    enum qn_finish finish;
};

/* Evaluates the prompt and samples until an end. The prompt is appended to what the sequence holds already. The
 * sampler may be NULL for greedy. stats may be NULL. */
qn_status qn_llm_generate(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, struct qn_sampler *sampler,
                          const int32_t *prompt, size_t count, const struct qn_generate_options *options,
                          struct qn_generate_stats *stats) QN_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif

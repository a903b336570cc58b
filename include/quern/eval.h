/* Measuring language models: perplexity, divergence from a reference, and what activations look like.
 *
 *     struct qn_perplexity_stats stats = {.struct_size = sizeof stats};
 *     qn_status status = qn_perplexity(llm, tokenizer, text, size, NULL, &stats);
 *
 * Text is cut into chunks of `context` tokens. Each is evaluated on its own, its first token replaced by BOS where the
 * model begins texts with one. Perplexity scores the second half of every chunk, so that each scored token has at least
 * half a chunk before it: the way that llama.cpp does it, and so comparable with its figures.
 *
 * The qn_llm's sequence is used and left empty; its context must hold a chunk.
 */
#ifndef QUERN_EVAL_H
#define QUERN_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_llm;
struct qn_tokenizer;

/* Zero is the default of every field but struct_size. */
struct qn_eval_options {
    size_t struct_size;
    uint32_t context;    /* tokens of a chunk; 0: 512 */
    uint32_t max_chunks; /* 0: as many as the text has */
    /* After each chunk, by the calling thread; value: the perplexity so far (0 where none is computed). False stops
     * the work with QN_CANCELLED. */
    bool (*progress)(void *context, uint64_t done, uint64_t total, double value);
    void *progress_context;
};

/* ---- perplexity ----------------------------------------------------------------------------------------------- */

struct qn_perplexity_stats {
    size_t struct_size;
    uint64_t chunks, tokens;  /* tokens: scored */
    double perplexity, error; /* exp of the mean of -log p, and the standard error of that */
    double seconds;
    /* Beside a reference run (qn_divergence); zero otherwise */
    double base_perplexity;
    double kl_mean, kl_error, kl_median, kl_p99, kl_max; /* in nats */
    double same_top, same_top_error;                     /* share of tokens with the same likeliest one: 0 to 1 */
};

/* Scores a text. `save` NULL, or a file that receives the log-probabilities of every scored position for qn_divergence
 * (written aside and renamed). Errors: a text of fewer tokens than two chunks (QN_INVALID_ARGUMENT), those of the
 * evaluation. */
qn_status qn_perplexity(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, const char *text, size_t size,
                        const char *save, const struct qn_eval_options *options,
                        struct qn_perplexity_stats *stats) QN_MUST_USE;

/* Scores the tokens of a reference run (a file that qn_perplexity or llama.cpp's --kl-divergence-base has written)
 * and compares the distributions: KL(reference || model). options->context is that of the file. Errors: a file that is
 * damaged or of another vocabulary (QN_INVALID_FILE). */
qn_status qn_divergence(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, const char *base,
                        const struct qn_eval_options *options, struct qn_perplexity_stats *stats) QN_MUST_USE;

/* ---- importance matrix ---------------------------------------------------------------------------------------- */

struct qn_imatrix_options {
    size_t struct_size;
    bool output_tensor;  /* the output matrix too, which stays in many bits anyway */
    const char *dataset; /* name of the text, for the file */
};

struct qn_imatrix_stats {
    size_t struct_size;
    uint64_t chunks, tensors, idle_experts; /* idle: experts that no token was sent to */
    double seconds;
};

/* Runs the text through the model and writes the mean squares of what each weight matrix is multiplied by, per input
 * channel and per expert, to `output` (GGUF, as llama.cpp's llama-imatrix writes it; aside and renamed). The qn_llm
 * must have been made with f32_activations. options and imatrix may be NULL. */
qn_status qn_imatrix_collect(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, const char *text, size_t size,
                             const char *output, const struct qn_eval_options *options,
                             const struct qn_imatrix_options *imatrix, struct qn_imatrix_stats *stats) QN_MUST_USE;

/* ---- comparing runs layer by layer ---------------------------------------------------------------------------- */

/* What the steps of a run have made, as floats. Keep one as the observer of each run (quern/observe.h):
 *
 *     qn_llm_observe(llm, qn_trace_record, trace);
 *
 * Left out are conversions for kernels, states, integers and what is no plain tensor. Memory: four bytes an element. */
struct qn_trace;
qn_status qn_trace_create(struct qn_trace **out) QN_MUST_USE;
void qn_trace_destroy(struct qn_trace *trace); /* NULL is allowed */
/* A qn_observe_fn; context is the trace. False on lack of memory, which qn_trace_compare reports then. */
struct qn_observation;
bool qn_trace_record(void *trace, const struct qn_observation *step);

/* One value of run A beside that of run B. Texts belong to trace A. */
struct qn_trace_row {
    const char *name, *op; /* a step without a name is called after the last one that has one: "blk.0.attn_q > rope" */
    int32_t layer;         /* of "blk.<n>.", "/layer.<n>/" and the like, -1: outside */
    uint64_t elements;
    bool comparable;          /* shapes are equal */
    bool parts;               /* relative error above the tolerance, or not comparable */
    double cosine, max_error; /* max_error: the largest |a - b| */
    double relative;          /* |a - b| / |a|, Euclidean */
};

struct qn_trace_result {
    size_t struct_size;
    const struct qn_trace_row *rows; /* in the order of run A; belong to trace A until the next comparison */
    uint32_t row_count;
    uint32_t only_a, only_b; /* values that the other run does not have */
    int32_t first;           /* index of the first row that parts, -1: none */
    int32_t worst;           /* of the largest relative error, -1: no rows */
};

/* Matches values by name and order of occurrence. Errors: no value in common (QN_INVALID_ARGUMENT), lack of memory. */
qn_status qn_trace_compare(struct qn_trace *a, const struct qn_trace *b, double tolerance,
                           struct qn_trace_result *result) QN_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif

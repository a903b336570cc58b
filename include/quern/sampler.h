/* Sampler: logits to the next token.
 *
 *     struct qn_sampler_options options = {.struct_size = sizeof options, .temperature = 0.8f, .top_k = 40, .seed = 7};
 *     status = qn_sampler_create(&options, vocabulary, NULL, &sampler);
 *     status = qn_sampler_sample(sampler, logits, vocabulary, &token);
 *     status = qn_sampler_accept(sampler, token);
 *
 * The order of the chain:
 *   1. logit bias                       added to the logits
 *   2. repetition penalty               on every token of the last repeat_last_n: l > 0 ? l / penalty : l * penalty
 *   3. frequency and presence penalty   l - count * frequency - presence, on the same tokens
 *   4. temperature 0: the highest logit wins, and nothing of what follows counts
 *   5. top-k                            the k highest stay
 *   6. top-p                            of those, the fewest that together have at least this probability
 *   7. min-p                            of those, all at least this often as likely as the likeliest
 *   8. temperature                      then one is drawn, the tokens in a row by their ids
 * Probabilities in 6 and 7 are those at temperature 1. Among equal logits the lower id comes first, everywhere.
 *
 * The same logits, options and history give the same tokens on every machine: probabilities are integers, computed
 * with a fixed order of operations, and the random numbers are the sampler's own.
 *
 * Threads: one call at a time on a sampler.
 */
#ifndef QUERN_SAMPLER_H
#define QUERN_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_logit_bias {
    int32_t token;
    float bias; /* -INFINITY forbids the token */
};

/* Zero is the default of every field but struct_size; all zero is greedy. */
struct qn_sampler_options {
    size_t struct_size;
    float temperature;       /* 0: greedy */
    uint32_t top_k;          /* 0: all */
    float top_p;             /* 0 or 1: all */
    float min_p;             /* 0: all */
    float repeat_penalty;    /* 0 or 1: none; above 1 makes repetition less likely */
    float frequency_penalty; /* 0: none */
    float presence_penalty;  /* 0: none */
    int32_t repeat_last_n;   /* tokens that the penalties look back over; 0: 64; -1: all */
    uint64_t seed;
    const struct qn_logit_bias *biases; /* copied; the biases of a token that stands twice add up */
    size_t bias_count;
};

struct qn_sampler;

/* A sampler for vocabularies of up to `vocabulary` tokens. options NULL means zero. allocator NULL means the default;
 * all memory is taken here. Options out of range are QN_INVALID_ARGUMENT, by name. */
qn_status qn_sampler_create(const struct qn_sampler_options *options, uint32_t vocabulary,
                            const struct qn_allocator *allocator, struct qn_sampler **out) QN_MUST_USE;
void qn_sampler_free(struct qn_sampler *sampler); /* NULL is allowed */

/* Chooses from logits[0..count), which stay as they are. NaN or +infinity among them, or nothing above -infinity, is
 * QN_INVALID_ARGUMENT and names the token. Does not count as accepted. */
qn_status qn_sampler_sample(struct qn_sampler *sampler, const float *logits, uint32_t count,
                            int32_t *token) QN_MUST_USE;

/* Appends a token, of the prompt or of the answer, to the history that the penalties look at. */
qn_status qn_sampler_accept(struct qn_sampler *sampler, int32_t token) QN_MUST_USE;

/* Forgets the history and starts the random numbers again from `seed`. */
void qn_sampler_reset(struct qn_sampler *sampler, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif

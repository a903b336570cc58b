/* What makes an embedding of an encoder's hidden states: pooling, dense layers, normalisation, prompts. As a
 * sentence-transformers folder says it (modules.json and what it names), or a GGUF file's pooling_type. */
#ifndef QN_LLM_SENTENCE_H
#define QN_LLM_SENTENCE_H

#include "base/arena.h"
#include "base/status.h"
#include "quern/encoder.h"

struct qn_sentence_dense {
    uint32_t in, out;
    int64_t activation;  /* enum qn_activation */
    const float *weight; /* [out, in] */
    const float *bias;   /* [out] or NULL */
    const float *skip;   /* [out, in]: the input's own part of the result, or NULL */
    bool residual;       /* the input joins the result, through skip where there is one */
};

struct qn_sentence_prompt {
    const char *name, *text;
};

struct qn_sentence {
    uint32_t pooling;    /* enum qn_pooling */
    bool without_prompt; /* tokens of the prompt are left out of pooling */
    bool normalizes;
    uint32_t max_tokens; /* 0: no limit of its own */
    const struct qn_sentence_dense *dense;
    uint32_t dense_count;
    const struct qn_sentence_prompt *prompts;
    uint32_t prompt_count;
    const char *default_prompt; /* a name, or NULL */
};

/* Reads it for a model whose hidden states have `dim` elements; a model without any of it gives mean pooling. What is
 * read lies in the arena. Errors name the file and the key. */
qn_status qn_sentence_read(const struct qn_model *model, uint32_t dim, struct qn_arena *arena,
                           struct qn_sentence *out) QN_MUST_USE;

/* Pools rows [rows, dim] into `out`, dim floats for each bit of `pooling`. The first `skip` rows do not count. */
void qn_sentence_pool(uint32_t pooling, const float *data, size_t rows, size_t dim, size_t skip, float *out);
/* out [dense->out] of x [dense->in]. */
void qn_sentence_dense(const struct qn_sentence_dense *dense, const float *x, float *out);
/* To length 1; a vector of length 0 stays. */
void qn_sentence_normalize(float *x, size_t size);

#endif

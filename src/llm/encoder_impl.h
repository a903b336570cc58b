/* Inside of a qn_encoder. */
#ifndef QN_LLM_ENCODER_IMPL_H
#define QN_LLM_ENCODER_IMPL_H

#include "arch/encoder_graph.h"
#include "base/arena.h"
#include "exec/compiled.h"
#include "llm/sentence.h"
#include "quern/encoder.h"

/* Inputs of one run, in the order of arch/encoder_graph.h. */
struct qn_encoder_step {
    int32_t *tokens, *types, *pos, *last, *seq, *out_rows; /* chunk of each */
    int32_t *rows;                                         /* row_count of them */
    size_t row_count;
};

struct qn_encoder {
    const struct qn_allocator *allocator;
    const struct qn_model *model;
    struct qn_encoder_config config;
    struct qn_sentence sentence;
    struct qn_compiled compiled;
    struct qn_frame *frame;
    struct qn_encoder_step step;
    int32_t *step_memory;
    size_t step_count; /* int32_t in step_memory */
    uint32_t chunk;
    const char **labels; /* in the arena, NULL where the model names none */
    struct qn_arena arena;
    volatile int cancelled;
    char cpu[128];
};

/* A run's result for one text: `rows` of them, `columns` wide, valid during the call. */
struct qn_encoder_result {
    size_t text;
    const float *data;
    size_t rows, columns;
};

/* What to compute of texts, and who takes it. */
struct qn_encoder_job {
    const struct qn_encoder_text *texts;
    size_t count;
    bool logits;               /* otherwise hidden states */
    const uint32_t *positions; /* logits of these tokens only (of the one text), or NULL */
    size_t position_count;
    void (*take)(void *context, const struct qn_encoder_result *result);
    void *context;
};

/* Checks the texts, then runs them, the longest first, as many together as the chunk holds. */
qn_status qn_encoder_run(struct qn_encoder *encoder, const struct qn_encoder_job *job) QN_MUST_USE;

#endif

/* Inside of a qn_llm. */
#ifndef QN_LLM_LLM_H
#define QN_LLM_LLM_H

#include "arch/arch.h"
#include "exec/compiled.h"
#include "llm/kv_pages.h"
#include "quern/llm.h"

#define QN_LLM_UNSETTLED UINT32_MAX

/* Inputs of one forward step, in the order of arch.h. */
struct qn_llm_step {
    int32_t *tokens, *pos, *slot, *seq, *out_rows, *stretch; /* chunk of each */
    int32_t *rows;                                           /* context of them */
};

struct qn_llm {
    const struct qn_allocator *allocator;
    const struct qn_model *model;
    struct qn_lm_config config;
    struct qn_lm_options graph_options;
    struct qn_compiled compiled;
    struct qn_kv_pages pages;
    struct qn_kv_sequence sequence;
    struct qn_llm_step step;
    int32_t *step_memory;
    size_t step_count; /* int32_t in step_memory */
    uint32_t settled;  /* positions that recurrent states have seen; QN_LLM_UNSETTLED: nobody knows */
    int32_t *history;  /* tokens of the sequence, context of them */
    uint32_t context, chunk;
    bool stretched; /* LongRoPE: the cache holds keys as they are beyond the original context */
    float *logits;  /* of the last token, in the executor's output or NULL */
    volatile int cancelled;
    char cpu[128];
};

#endif

/* Sessions: a model's graph, optimised, planned and ready to run on named or positional tensors.
 *
 *     struct qn_session *session = NULL;
 *     status = qn_session_create(model, NULL, &session);
 *     struct qn_tensor inputs[N] = {...}, outputs[M] = {0};
 *     status = qn_session_run(session, inputs, N, outputs, M);
 *
 * A language model is a graph like any other; its inputs and states are those that the importer gives it (tokens,
 * positions, cache rows). quern/llm.h drives such a session; this header is for whoever wants to do it by hand.
 *
 * Threads: one run at a time on a session; several sessions of one model may run at once.
 */
#ifndef QUERN_SESSION_H
#define QUERN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/status.h"
#include "quern/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_model;
struct qn_session;

/* Zero is the default of every field but struct_size. */
struct qn_session_options {
    size_t struct_size;
    uint32_t threads;            /* 0: one a physical core */
    bool f32_activations;        /* never round activations to int8 or bf16 */
    const char *disabled_passes; /* names separated by commas, "all", or NULL */
    const struct qn_allocator *allocator;
    /* Language models */
    uint32_t context;  /* rows of the KV cache; 0: what the model was made for */
    uint32_t chunk;    /* most tokens in a run; 0: 512 */
    qn_dtype kv_dtype; /* 0: f16 */
};

/* The model must outlive the session. */
qn_status qn_session_create(struct qn_model *model, const struct qn_session_options *options,
                            struct qn_session **out) QN_MUST_USE;
void qn_session_destroy(struct qn_session *session); /* NULL is allowed */

/* An input, output or state as the graph states it. */
struct qn_slot_info {
    size_t struct_size;
    const char *name;
    qn_dtype dtype;
    uint32_t rank;
    int64_t dims[QN_TENSOR_MAX_RANK]; /* -1 where the size is symbolic */
};

enum qn_slot_kind { QN_SLOT_INPUT = 0, QN_SLOT_OUTPUT = 1, QN_SLOT_STATE = 2 };

uint32_t qn_session_slot_count(const struct qn_session *session, enum qn_slot_kind kind);
/* QN_OUT_OF_RANGE past the end. Names live as long as the session. */
qn_status qn_session_slot(const struct qn_session *session, enum qn_slot_kind kind, uint32_t index,
                          struct qn_slot_info *out) QN_MUST_USE;
/* The position of a name, or -1. */
int32_t qn_session_find(const struct qn_session *session, enum qn_slot_kind kind, const char *name);

/* Runs once. inputs stand in the order of the slots, all of them; wrong dtypes and shapes are errors that name the
 * input, with what was expected and given. An output whose data is NULL receives the session's own buffer, valid until
 * the next run; otherwise the result is written to data if `bytes` is enough. dtype, rank and dims are filled in. */
qn_status qn_session_run(struct qn_session *session, const struct qn_tensor *inputs, uint32_t input_count,
                         struct qn_tensor *outputs, uint32_t output_count) QN_MUST_USE;

/* Fills all states with zeros, as after creation. */
void qn_session_reset(struct qn_session *session);
/* Makes the run under way, or the next one, end with QN_CANCELLED. Any thread or signal handler may call it. */
void qn_session_cancel(struct qn_session *session);

/* ---- looking inside ------------------------------------------------------------------------------------------- */

/* The model's graph in its text form, before the passes (optimised false) or after them. The text is allocated with the
 * session options' allocator and released by qn_graph_text_free. */
qn_status qn_graph_text(struct qn_model *model, const struct qn_session_options *options, bool optimised, char **text,
                        size_t *size) QN_MUST_USE;
void qn_graph_text_free(const struct qn_session_options *options, char *text, size_t size);

/* One pass of the pipeline over a model: nodes alive before and after. */
struct qn_pass_info {
    const char *name, *summary;
    bool enabled;
    uint32_t nodes_before, nodes_after;
};
/* Runs the pipeline and reports each pass in order; *count holds the room in `infos` and receives the number. */
qn_status qn_graph_passes(struct qn_model *model, const struct qn_session_options *options, struct qn_pass_info *infos,
                          uint32_t *count) QN_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif

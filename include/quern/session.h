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
 * Whoever runs often, from many threads, or wants to keep buffers bound, makes a qn_run for each thread:
 *
 *     struct qn_run *run = NULL;
 *     status = qn_run_create(session, &run);
 *     status = qn_run_bind_input(run, 0, &data);          (any of the inputs, as often as they change)
 *     status = qn_run_execute(run);
 *     status = qn_run_output(run, 0, &result);            (lives until the next execute)
 *
 * Threads: a session may be used by many threads at once; a run belongs to one thread at a time (but for
 * qn_run_cancel).
 */
#ifndef QUERN_SESSION_H
#define QUERN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/observe.h"
#include "quern/status.h"
#include "quern/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_model;
struct qn_session;

/* A symbolic dimension of the model with a size of its own for this session: "batch", 4. */
struct qn_dim_size {
    const char *name;
    int64_t size;
};

struct qn_extension; /* quern/extension.h: custom ops and backends */

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
    /* Other models */
    const struct qn_dim_size *dims;
    uint32_t dim_count;
    const char *backends; /* names in the order of preference, separated by commas; NULL: "cpu" */
    const struct qn_extension *const *extensions;
    uint32_t extension_count;
    /* Inputs for which the model has a default (qn_model_port), an initialiser of the same name: a default is a
     * constant of the session unless the input is named here; then it is an input like any other, to be bound for
     * every run. A name that is no input of the model is an error. */
    const char *const *given_inputs;
    uint32_t given_count;
    /* Weights that kernels read in a form of their own are brought to it when the session is created. Otherwise the
     * first run does it for a step at a time and the second one for good: the first result is there sooner, and a model
     * that runs once takes less memory. Results do not depend on it. */
    bool prepare;
};

/* The model must outlive the session. */
qn_status qn_session_create(struct qn_model *model, const struct qn_session_options *options,
                            struct qn_session **out) QN_MUST_USE;
void qn_session_destroy(struct qn_session *session); /* NULL is allowed */

enum qn_data_message { QN_DATA_MESSAGE_TENSOR = 0, QN_DATA_MESSAGE_SEQUENCE, QN_DATA_MESSAGE_OPTIONAL };

/* An input, output or state as the graph states it. */
struct qn_slot_info {
    size_t struct_size;
    const char *name;
    qn_dtype dtype; /* NONE where it is no tensor */
    uint32_t rank;
    int64_t dims[QN_TENSOR_MAX_RANK]; /* -1 where the size is symbolic */
    enum qn_data_kind kind; /* TENSOR; NONE: whatever the run gives (sequences, optionals, maps, any tensor) */
    const char *dim_names[QN_TENSOR_MAX_RANK]; /* of symbolic dims, NULL where there is none */
    enum qn_data_message message;              /* how a .pb file of it is written */
    bool optional;                             /* an input that may be left unbound */
};

enum qn_slot_kind { QN_SLOT_INPUT = 0, QN_SLOT_OUTPUT = 1, QN_SLOT_STATE = 2 };

/* Threads that its runs share, the caller's among them. */
uint32_t qn_session_threads(const struct qn_session *session);

/* Slots of a kind: `index` of qn_session_slot runs below it. */
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

/* ---- runs ----------------------------------------------------------------------------------------------------- */

struct qn_run;

/* The session must outlive its runs. */
qn_status qn_run_create(struct qn_session *session, struct qn_run **out) QN_MUST_USE;
void qn_run_destroy(struct qn_run *run); /* NULL is allowed */

/* The data an input is read from: borrowed, with all it points to, until it is bound anew or the run is destroyed. NULL
 * unbinds. */
qn_status qn_run_bind_input(struct qn_run *run, uint32_t index, const struct qn_data *data) QN_MUST_USE;
/* Where an output is to be written; tensor NULL: the run's own memory. An output that turns out larger than the room,
 * or is no tensor of that dtype, is an error of qn_run_execute. */
qn_status qn_run_bind_output(struct qn_run *run, uint32_t index, const struct qn_tensor *tensor) QN_MUST_USE;
/* Outputs that nobody wants are not computed, nor is what only they need. All are wanted at first. */
qn_status qn_run_want_output(struct qn_run *run, uint32_t index, bool wanted) QN_MUST_USE;
/* Errors name the input, or the node. */
qn_status qn_run_execute(struct qn_run *run) QN_MUST_USE;
/* What the last execute gave; its memory lives until the next one. Kind NONE for an output that was not wanted. */
qn_status qn_run_output(const struct qn_run *run, uint32_t index, struct qn_data *out) QN_MUST_USE;
/* Makes the execute under way, or the next one, end with QN_CANCELLED: also inside a long step, some ms after the call,
 * and inside loops. Custom ops and backends are waited for. Any thread or signal handler may call it. */
void qn_run_cancel(struct qn_run *run);

/* Times of each node from now on. The trace is JSON in the trace event format that trace viewers open. */
qn_status qn_run_profile(struct qn_run *run) QN_MUST_USE;
qn_status qn_run_trace(const struct qn_run *run, char **json,
                       size_t *size) QN_MUST_USE; /* free with qn_run_trace_free */
void qn_run_trace_free(const struct qn_run *run, char *json, size_t size);

/* Shows every step of the runs from now on; NULL: none. */
void qn_run_observe(struct qn_run *run, qn_observe_fn fn, void *context);

/* Bytes that the session holds in packed weights, and the run in workspace and kept memory. */
struct qn_run_memory {
    size_t struct_size;
    uint64_t weights, workspace, kept;
};
qn_status qn_run_memory(const struct qn_run *run, struct qn_run_memory *out) QN_MUST_USE;

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

/* Which backend runs which node of the optimised graph: told for each backend that was asked about a node, in the
 * order of options->backends. `why` is NULL where the backend takes the node, otherwise its reason not to. Texts live
 * during the call. */
typedef void (*qn_partition_fn)(void *context, const char *node, const char *op, const char *backend, const char *why);
qn_status qn_graph_partition(struct qn_model *model, const struct qn_session_options *options, qn_partition_fn told,
                             void *context) QN_MUST_USE;

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

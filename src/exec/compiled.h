/* A graph made ready to run: optimised, planned, with its memory and the mapped weights. What sessions and language
 * models are made of. */
#ifndef QN_EXEC_COMPILED_H
#define QN_EXEC_COMPILED_H

#include "exec/exec.h"
#include "quern/model.h"

struct qn_compile_options {
    uint32_t threads; /* 0: one a physical core */
    bool f32_activations;
    const char *disabled_passes; /* names separated by commas, "all", or NULL */
    bool prepare;                /* weights are packed now, not by the first runs */
    /* Backends asked before the CPU, in order; they must outlive what is compiled. */
    const struct qn_backend *const *backends;
    uint32_t backend_count;
    const struct qn_body_source *bodies; /* of calls; NULL for a graph without */
    void (*partition)(void *context, const struct qn_graph *graph, qn_node node, const struct qn_backend *backend,
                      const char *why); /* see struct qn_plan_options; NULL: none */
    void *partition_context;
    bool is_inner; /* of what is computed while another graph is compiled */
};

struct qn_compiled {
    const struct qn_allocator *allocator;
    struct qn_pool *pool;
    struct qn_plan *plan;
    struct qn_exec *exec;
    uint32_t features; /* enum qn_cpu_feature */
};

/* Takes the graph over, in success and failure. The model (whose files the graph's blobs refer to) must outlive it;
 * NULL for a graph without file blobs. */
qn_status qn_compiled_init(struct qn_compiled *compiled, struct qn_graph *graph, const struct qn_model *model,
                           const struct qn_compile_options *options, const struct qn_allocator *allocator) QN_MUST_USE;
void qn_compiled_deinit(struct qn_compiled *compiled);

/* Computes what only constants decide and puts the results into the graph. What fails is left to the runs, which tell
 * of it. Where the pass `fold` is left out, nothing is done. */
void qn_precompute(struct qn_graph **graph, const struct qn_model *model, const struct qn_compile_options *options,
                   const struct qn_allocator *allocator);

/* Whether a list of passes to leave out names this one, or all. */
bool qn_optimise_leaves_out(const char *list, const char *name);

struct qn_pass_report;

/* Optimises a graph in place by all passes but the disabled ones. Nodes that one of the backends claims are not fused
 * into others. reports: QN_PASS_COUNT of them (passes/pass.h), or NULL. */
qn_status qn_optimise(struct qn_graph **graph, const char *disabled_passes, const struct qn_backend *const *backends,
                      uint32_t backend_count, struct qn_pass_report *reports) QN_MUST_USE;

#endif

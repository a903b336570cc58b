/* Passes: each turns a graph into an equal, better one. The list and its order are passes.def. */
#ifndef QN_PASSES_PASS_H
#define QN_PASSES_PASS_H

#include "ir/ir.h"

enum qn_pass_id {
#define QN_PASS_ROW(name, function, summary) QN_PASS_##name,
#include "passes/passes.def"
#undef QN_PASS_ROW
    QN_PASS_COUNT,
};

/* Writes the new graph into the empty `to`, or leaves it empty: nothing is to change. */
typedef qn_status (*qn_pass_fn)(const struct qn_graph *from, struct qn_graph *to);

#define QN_PASS_ROW(name, function, summary) \
    qn_status qn_pass_##function(const struct qn_graph *from, struct qn_graph *to);
#include "passes/passes.def"
#undef QN_PASS_ROW

struct qn_pass {
    const char *name, *summary;
    qn_pass_fn run;
};

/* The table, in order. Static storage. */
extern const struct qn_pass qn_passes[QN_PASS_COUNT];

struct qn_pass_report {
    uint32_t nodes_before, nodes_after;
    bool ran; /* false: switched off */
};

struct qn_pass_options {
    const struct qn_str *off; /* names of passes to leave out */
    uint32_t off_count;
    bool verify;                    /* check the graph after every pass; builds with QN_DEBUG always do */
    struct qn_pass_report *reports; /* QN_PASS_COUNT records or NULL */
};

/* Runs the passes over *graph and replaces it by the result; the old graphs are destroyed. On failure *graph is the
 * result of the last pass that worked. options NULL: all passes. A name in `off` that is no pass is an error that lists
 * the names. Graphs keep their allocator. */
qn_status qn_pass_run_all(struct qn_graph **graph, const struct qn_pass_options *options) QN_MUST_USE;

/* Runs one pass, as above. */
qn_status qn_pass_run(struct qn_graph **graph, enum qn_pass_id pass) QN_MUST_USE;

#endif

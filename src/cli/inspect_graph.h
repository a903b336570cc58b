/* The sections of `quern inspect` that look at a model's graph instead of its file. */
#ifndef QN_CLI_INSPECT_GRAPH_H
#define QN_CLI_INSPECT_GRAPH_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/args.h"
#include "cli/json_out.h"
#include "quern/model.h"

/* The IR text, before the passes or after them. passes_off: names separated by commas, or NULL. */
qn_status qn_inspect_graph(struct qn_model *model, bool optimised, const char *passes_off, FILE *out) QN_MUST_USE;

/* Nodes before and after each pass. */
qn_status qn_inspect_passes(struct qn_model *model, const char *passes_off, bool json, FILE *out) QN_MUST_USE;

/* Who runs what: one line a node and backend that was asked. extensions: shared libraries to load first. */
qn_status qn_inspect_partition(struct qn_model *model, const char *backends, const struct qn_arg_list *extensions,
                               const char *passes_off, bool json, FILE *out) QN_MUST_USE;

#endif

/* The section of `quern inspect` that shows a graph's inputs, outputs and operators, for files that carry a graph. */
#ifndef QN_CLI_INSPECT_PORTS_H
#define QN_CLI_INSPECT_PORTS_H

#include <stdio.h>

#include "cli/json_out.h"
#include "quern/model.h"

qn_status qn_inspect_ports_text(const struct qn_model *model, FILE *out) QN_MUST_USE;
/* Adds "inputs", "outputs", "symbols" and "ops" to the object under way. */
qn_status qn_inspect_ports_json(const struct qn_model *model, struct qn_json_out *json) QN_MUST_USE;

#endif

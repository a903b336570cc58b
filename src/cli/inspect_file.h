/* The sections of `quern inspect` that show a model's file: overview, the graph's inputs and operators, metadata,
 * tensors; as text or JSON. */
#ifndef QN_CLI_INSPECT_FILE_H
#define QN_CLI_INSPECT_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "quern/model.h"

/* A new section is an enumerator here and a row of the table at the end of inspect_file.c. */
enum qn_inspect_section {
    QN_INSPECT_OVERVIEW,
    QN_INSPECT_PORTS, /* inputs, outputs, operators: of files that carry a graph */
    QN_INSPECT_METADATA,
    QN_INSPECT_TENSORS,
    QN_INSPECT_SECTIONS,
};

struct qn_inspect_options {
    bool sections[QN_INSPECT_SECTIONS]; /* which to show; all where none is chosen */
    bool json;                          /* JSON in place of text; never shortened */
    bool full;                          /* text: long arrays and texts are shown whole */
};

qn_status qn_inspect_file(const struct qn_model *model, const struct qn_inspect_options *options,
                          FILE *out) QN_MUST_USE;

#endif

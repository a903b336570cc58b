/* An ONNX model as IR graphs: the main one, and the bodies that runs ask for (ir/body.h).
 *
 * Names are resolved once, when the program is made: every value of every graph, subgraph and function call has a
 * number, nodes stand in topological order, model-local functions are written out, and an op that Quern lacks is an
 * error that lists them all. Graphs are then imported from that, as often as they are asked for.
 *
 * Initialisers are constants, also where the model lists them among its inputs (IR version 3, or a default that a
 * caller may override in ONNX): they are no inputs of the graph, unless the options name them.
 */
#ifndef QN_FORMAT_ONNX_IMPORT_H
#define QN_FORMAT_ONNX_IMPORT_H

#include "format/onnx/onnx_file.h"
#include "ir/body.h"
#include "quern/extension.h"
#include "quern/session.h"

struct qn_onnx_program;

struct qn_onnx_import_options {
    const struct qn_dim_size *dims; /* sizes of symbolic dimensions, by name */
    uint32_t dim_count;
    const struct qn_extension *const *extensions; /* their ops are taken too */
    uint32_t extension_count;
    const char *const *given_inputs; /* inputs of the graph even where an initialiser has their name */
    uint32_t given_count;
    /* Inputs whose dims are not all numbers enter without a type: what reads them is imported when they are at hand,
     * with their sizes, and nothing is taken for granted about these. */
    bool sizes_at_hand;
};

/* The file must outlive the program and all its graphs. options may be NULL. */
qn_status qn_onnx_program_create(const struct qn_onnx_file *file, const struct qn_onnx_import_options *options,
                                 const struct qn_allocator *allocator, struct qn_onnx_program **out) QN_MUST_USE;
void qn_onnx_program_destroy(struct qn_onnx_program *program); /* NULL is allowed */

/* The main graph. */
qn_status qn_onnx_program_graph(struct qn_onnx_program *program, const struct qn_allocator *allocator,
                                struct qn_graph **out) QN_MUST_USE;
/* What the graph's calls refer to; lives as long as the program. */
struct qn_body_source *qn_onnx_program_source(struct qn_onnx_program *program);

#endif

/* Nodes as extensions see them (quern/extension.h): names, attributes by name, types of inputs and outputs. */
#ifndef QN_IR_NODE_VIEW_H
#define QN_IR_NODE_VIEW_H

#include "ir/ir.h"
#include "quern/extension.h"

struct qn_node_view_attr {
    struct qn_str name;
    enum { QN_NODE_VIEW_INTS, QN_NODE_VIEW_FLOATS, QN_NODE_VIEW_TEXT } kind;
    bool single; /* one number, not a list */
    uint32_t count;
    const int64_t *ints;
    const float *floats;
    struct qn_str text;
};

struct qn_node_view {
    const char *op, *name;
    const struct qn_node_view_attr *attrs;
    uint32_t attr_count, input_count, output_count;
    /* Data NULL; dims -1 where symbolic. outputs NULL: their types are what is asked for. */
    const struct qn_tensor *inputs, *outputs;
};

/* A node of a graph, with the fields of its record as attributes (dims that are symbolic: -1). Everything is in the
 * arena. */
qn_status qn_node_view_make(const struct qn_graph *graph, qn_node node, struct qn_arena *arena,
                            struct qn_node_view **out) QN_MUST_USE;

/* A type as extensions see it. */
struct qn_tensor qn_node_view_type(const struct qn_type *type);

#endif

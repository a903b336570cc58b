/* Bodies: pieces of a program that become graphs only when they are called, because what they need to know is known
 * only then. Branches of If, bodies of Loop and Scan, and the rest of a graph behind a value whose rank or dtype
 * could not be told at load.  The executor asks for a body with the inputs of the call at hand and keeps the
 * compiled result for calls that look the same: equal dtypes, ranks and dims, and equal bytes of the inputs that the
 * body was specialised for. When the same body is asked for with ever new dims, those that changed are asked for as
 * symbols. */
#ifndef QN_IR_BODY_H
#define QN_IR_BODY_H

#include "ir/ir.h"

struct qn_body_input {
    qn_dtype dtype; /* OBJECT: a sequence, optional or map; NONE: absent */
    uint32_t rank;
    int64_t dims[QN_MAX_RANK];
    uint32_t symbolic; /* bit k: dims[k] shall be a symbol of the graph */
    const void *data;  /* the tensor's bytes, contiguous; valid during the call */
    bool pinned;       /* out: the graph holds for these bytes only */
};

struct qn_body_source {
    void *context;
    /* The graph of a body for these inputs: graph inputs stand in this order, "0", "1", ... (an absent one has
     * none), its outputs in the body's order. Where a wanted symbol cannot be kept (the body's types depend on the
     * number), the importer clears its bit and takes the number. Several threads may ask at once. */
    qn_status (*graph)(void *context, uint32_t body, struct qn_body_input *inputs, uint32_t count,
                       const struct qn_allocator *allocator, struct qn_graph **out);
    /* What the program says of a tensor that a body gives, where it is not known by other means; dims -1 where it gives
     * no size, rank 0 where it gives no shape. False when it says nothing; NULL: it never does. */
    bool (*declared)(void *context, uint32_t body, uint32_t output, struct qn_type *out);
    /* Axes and directions of a Scan, by the number in its call. */
    const struct qn_scan *(*scan)(void *context, uint32_t scan);
    /* A node of a custom op, by the number in its record; lives as long as the source. */
    const struct qn_custom_node *(*custom)(void *context, uint32_t number);
    void (*destroy)(void *context); /* releases the source; no graph of it may run any more */
};

struct qn_custom_node {
    const struct qn_custom_op *op;   /* quern/extension.h */
    const struct qn_node_view *view; /* ir/node_view.h; input types as they were at load */
};

struct qn_scan {
    uint32_t scanned_inputs, scanned_outputs;
    const int64_t *input_axes, *input_reversed;   /* scanned_inputs */
    const int64_t *output_axes, *output_reversed; /* scanned_outputs */
};

#endif

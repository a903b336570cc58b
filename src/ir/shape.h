/* Shape rules: one function a rule named in ops.def. Each checks the inputs' dtypes and shapes and gives the outputs'
 * types. Messages speak of inputs by number and show their types; the builder adds op and node. */
#ifndef QN_IR_SHAPE_H
#define QN_IR_SHAPE_H

#include "ir/ir.h"

#define QN_OP_ROW(serial, name, min, max, outs, record, traits, rule, decomposition) \
    qn_status qn_shape_##rule(const struct qn_shape_context *context);
#include "ir/ops.def"
#undef QN_OP_ROW

/* Negative axes become positive, an empty list of axes to reduce becomes all, a step of 0 becomes 1: equal nodes get
 * equal records. `attr` is a whole record of the op; `type` is the first input's, NULL where there is none. */
void qn_attr_normalise(uint16_t op, void *attr, const struct qn_type *type);

/* Copies the fields alone, so that padding and the unused ends of lists are zero. */
void qn_attr_copy(uint16_t op, void *to, const void *from);

/* Takes a and b for one size: *out is the one that is a number, otherwise a. Where it cannot be told whether they are
 * equal, the run checks it; where they differ for sure, *fits is false. */
qn_status qn_shape_equal(const struct qn_shape_context *c, qn_dim a, qn_dim b, qn_dim *out, bool *fits) QN_MUST_USE;
/* The same for a <= b. */
qn_status qn_shape_at_most(const struct qn_shape_context *c, qn_dim a, qn_dim b, bool *fits) QN_MUST_USE;
/* Broadcasting: 1 gives way; a symbol gives way to a number and otherwise to a, and may turn out 1 at run. */
qn_status qn_shape_broadcast_dim(const struct qn_shape_context *c, qn_dim a, qn_dim b, qn_dim *out,
                                 bool *fits) QN_MUST_USE;

/* A node whose output types are given, not inferred. */
static inline bool qn_op_is_call(uint16_t op)
{
    return op == QN_OP_call || op == QN_OP_custom;
}
/* Its record and types may hold late symbols that it binds. */
bool qn_op_binds(uint16_t op);

/* Walking a graph from its end: marks in `live` (by node) the binders of late symbols that a dim, a record or the types
 * and record of a node mention. Costs nothing in a graph without late symbols. */
struct qn_need {
    const struct qn_graph *graph;
    const struct qn_allocator *allocator;
    uint8_t *live;
    qn_node *binders; /* by symbol; NULL: the graph has no late ones */
    uint8_t *seen;    /* by expression */
};
qn_status qn_need_init(struct qn_need *need, const struct qn_graph *g, uint8_t *live,
                       const struct qn_allocator *allocator) QN_MUST_USE;
void qn_need_deinit(struct qn_need *need);
void qn_need_dim(struct qn_need *need, qn_dim dim);
void qn_need_attr(struct qn_need *need, uint16_t op, const void *attr);
void qn_need_node(struct qn_need *need, qn_node n);

/* Checks that builder and verifier share: dims and dtype of a type, the dims inside a record, the output types that
 * the op's rule gives (`outputs` has room for the op's). They only ever add expressions to the graph. */
qn_status qn_type_check(const struct qn_graph *g, const struct qn_type *type) QN_MUST_USE;
qn_status qn_attr_check(const struct qn_graph *g, uint16_t op, const void *attr) QN_MUST_USE;
qn_status qn_shape_infer(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                         struct qn_type *outputs) QN_MUST_USE;
qn_status qn_blob_check(const struct qn_graph *g, const struct qn_type *type, const struct qn_blob *blob) QN_MUST_USE;

/* Inputs of ops that name how many they take, and outputs of all ops but calls; the others have QN_ANY, up to
 * QN_MAX_OPERANDS. */
enum { QN_MAX_INPUTS = 16, QN_MAX_OUTPUTS = 5, QN_MAX_OPERANDS = 60000 };

/* Room for any record, aligned. */
union qn_attr_any {
#define QN_ATTR_BEGIN(record) struct qn_attr_##record record;
#define QN_ATTR_FIELD(record, kind, field)
#define QN_ATTR_END(record)
#include "ir/attrs.def"
#undef QN_ATTR_BEGIN
#undef QN_ATTR_FIELD
#undef QN_ATTR_END
};

#endif

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

/* Checks that builder and verifier share: dims and dtype of a type, the dims inside a record, the output types that
 * the op's rule gives (`outputs` has room for the op's). They only ever add expressions to the graph. */
qn_status qn_type_check(const struct qn_graph *g, const struct qn_type *type) QN_MUST_USE;
qn_status qn_attr_check(const struct qn_graph *g, uint16_t op, const void *attr) QN_MUST_USE;
qn_status qn_shape_infer(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                         struct qn_type *outputs) QN_MUST_USE;
qn_status qn_blob_check(const struct qn_graph *g, const struct qn_type *type, const struct qn_blob *blob) QN_MUST_USE;

enum { QN_MAX_INPUTS = 16, QN_MAX_OUTPUTS = 4 };

#endif

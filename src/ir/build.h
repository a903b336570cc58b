/* Writing graphs by hand: a thin layer over qn_graph_add_node for importers and decompositions.
 *
 * The first error sticks: later calls return value 0 and do nothing, so that a whole block is written without a check a
 * line and `status` is looked at once at the end.
 */
#ifndef QN_IR_BUILD_H
#define QN_IR_BUILD_H

#include "ir/ir.h"

struct qn_build {
    struct qn_graph *graph;
    qn_status status;    /* first error; whoever finishes takes it */
    struct qn_str scope; /* "blk.3": prefix of node names */
};

/* One output; absent optional inputs are 0. name is appended to the scope ("blk.3.attn_q"); NULL: no name. */
qn_value qn_build_node(struct qn_build *b, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                       const char *name);
qn_value qn_build_unary(struct qn_build *b, uint16_t op, qn_value x);
qn_value qn_build_binary(struct qn_build *b, uint16_t op, qn_value x, qn_value y);

/* A constant f32 of rank 0. */
qn_value qn_build_scalar(struct qn_build *b, float value);
/* A rank-0 i32. */
qn_value qn_build_scalar_i32(struct qn_build *b, int32_t value);
/* A rank-0 constant of any float dtype, as decompositions need it: the constant beside an f16 value is an f16. */
qn_value qn_build_scalar_as(struct qn_build *b, qn_dtype dtype, double value);
qn_value qn_build_cast(struct qn_build *b, qn_value x, qn_dtype dtype);
qn_value qn_build_where(struct qn_build *b, qn_value condition, qn_value x, qn_value y);
qn_value qn_build_reshape(struct qn_build *b, qn_value x, uint32_t rank, const qn_dim *dims);
qn_value qn_build_transpose(struct qn_build *b, qn_value x, uint32_t rank, const int64_t *perm);
qn_value qn_build_slice(struct qn_build *b, qn_value x, int64_t axis, qn_dim start, qn_dim stop);
qn_value qn_build_concat(struct qn_build *b, qn_value x, qn_value y, int64_t axis);
qn_value qn_build_matmul(struct qn_build *b, qn_value x, qn_value w, bool trans_b, const char *name);
qn_value qn_build_gather(struct qn_build *b, qn_value data, qn_value indices, int64_t axis, qn_dtype dtype);
qn_value qn_build_reduce(struct qn_build *b, uint16_t op, qn_value x, int64_t axis, bool keepdims);
qn_value qn_build_softmax(struct qn_build *b, qn_value x, int64_t axis);
/* cap * tanh(x / cap): x, bent to stay within -cap and cap. */
qn_value qn_build_soft_cap(struct qn_build *b, qn_value x, double cap);
/* Softmax over the last axis of scores [..., l] with one more score, sinks (f32, broadcastable to [..., 1]), whose
 * share is left out of the result [..., l]. sinks 0: a plain softmax. */
qn_value qn_build_sink_softmax(struct qn_build *b, qn_value scores, qn_value sinks);
/* enum qn_activation written as core ops; NONE gives x. */
qn_value qn_build_activation(struct qn_build *b, qn_value x, int64_t activation, float alpha, float beta);
qn_dim qn_build_expr(struct qn_build *b, enum qn_expr_op op, qn_dim x, qn_dim y);

static inline qn_dim qn_build_dim(const struct qn_build *b, qn_value x, uint32_t axis)
{
    const struct qn_type *type = b->status ? NULL : &b->graph->values.items[x].type;
    return type && axis < type->rank ? type->dims[axis] : 0; /* a node on an axis that is none fails with words */
}

#endif

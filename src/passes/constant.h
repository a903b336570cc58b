/* Computing small constants: what a node gives when all it reads is known. */
#ifndef QN_PASSES_CONSTANT_H
#define QN_PASSES_CONSTANT_H

#include "ir/ir.h"

/* Computes node (op, attr) on constants of `g` when that is cheap and gives the very bits that a run would: integer,
 * boolean and exactly rounded float operations, and moves, up to 4096 elements. *out is the constant, 0 when the op or
 * the inputs are not of that kind. */
qn_status qn_constant_compute(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                              const struct qn_type *type, qn_value *out) QN_MUST_USE;

#endif

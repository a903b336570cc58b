/* Checks that shape rules share. Errors name inputs by number and show their types. */
#ifndef QN_IR_SHAPE_CHECKS_H
#define QN_IR_SHAPE_CHECKS_H

#include "ir/shape.h"

/* Classes of dtypes that an input may have. */
enum {
    QN_TAKE_FLOATS = 1,
    QN_TAKE_INTS = 2,
    QN_TAKE_BOOLS = 4,
    QN_TAKE_BLOCKS = 8,
    QN_TAKE_STRINGS = 16,
    QN_TAKE_COMPLEX = 32,
    QN_TAKE_NUMBERS = QN_TAKE_FLOATS | QN_TAKE_INTS,
    QN_TAKE_PLAIN = QN_TAKE_FLOATS | QN_TAKE_INTS | QN_TAKE_BOOLS,
    QN_TAKE_MOVABLE = QN_TAKE_PLAIN | QN_TAKE_STRINGS | QN_TAKE_COMPLEX, /* whatever has elements of its own */
};

#define QN_TYPE_TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

/* Input i is of one of the classes and carries no affine encoding; of this rank. */
qn_status qn_take(const struct qn_shape_context *c, uint32_t i, unsigned classes) QN_MUST_USE;
qn_status qn_take_rank(const struct qn_shape_context *c, uint32_t i, unsigned classes, uint32_t rank) QN_MUST_USE;
/* Weights: plain floats, blocks or affine-encoded integers; they mean their dequantised values. */
qn_status qn_take_weight(const struct qn_shape_context *c, uint32_t i) QN_MUST_USE;
/* Inputs `first` and i have one dtype. */
qn_status qn_same_dtype(const struct qn_shape_context *c, uint32_t first, uint32_t i) QN_MUST_USE;
/* Dim `axis` of input i is dim `other` of input k, for sure or checked by the run. */
qn_status qn_same_dim(const struct qn_shape_context *c, uint32_t i, uint32_t axis, uint32_t k,
                      uint32_t other) QN_MUST_USE;
/* Broadcasts `type`'s leading dims (all but the last `skip`) onto *out's, both aligned at their ends. */
qn_status qn_broadcast_onto(const struct qn_shape_context *c, struct qn_type *out, const struct qn_type *type,
                            uint32_t skip, bool *fits) QN_MUST_USE;
/* The dtype of a product of two: floats narrower than f64 and blocks give f32, f64 and integers their own. */
qn_status qn_product_dtype(const struct qn_shape_context *c, uint32_t a, uint32_t b, qn_dtype *out) QN_MUST_USE;

#endif

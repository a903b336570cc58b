/* Small questions that rules ask about the old graph. "Inner" nodes are those that a fusion swallows: they must have
 * one reader, or they would have to be computed all the same. */
#ifndef QN_PASSES_MATCH_H
#define QN_PASSES_MATCH_H

#include "passes/rewrite.h"

/* The node of this op that makes v, 0 when something else does. */
qn_node qn_match_op(const struct qn_rewrite *r, qn_value v, uint16_t op);
/* The same, with v read once. */
qn_node qn_match_inner(const struct qn_rewrite *r, qn_value v, uint16_t op);

static inline qn_value qn_match_input(const struct qn_rewrite *r, qn_node n, uint32_t i)
{
    return qn_graph_input_of(r->from, n, i);
}
static inline const struct qn_type *qn_match_type(const struct qn_rewrite *r, qn_value v)
{
    return qn_graph_type(r->from, v);
}
static inline qn_value qn_match_result(const struct qn_rewrite *r, qn_node n)
{
    return qn_graph_node(r->from, n)->first_output;
}

/* v is a constant of one element held in memory. Not for half floats. */
bool qn_match_scalar(const struct qn_rewrite *r, qn_value v, double *out);
/* |a - b| <= 1e-4 |b| */
bool qn_match_near(double a, double b);
/* A binary node with one scalar constant: the other input, and the constant. */
bool qn_match_with_scalar(const struct qn_rewrite *r, qn_node n, qn_value *other, double *scalar);
/* A binary node, one of whose inputs is `known`: the other. */
bool qn_match_other(const struct qn_rewrite *r, qn_node n, qn_value known, qn_value *other);

/* A product taken apart: scale * factors / divisors, through mul, div, reciprocal and neg with one reader. What
 * cannot be taken apart is a factor. */
struct qn_match_product {
    double scale;
    uint32_t factor_count, divisor_count;
    qn_value factors[6], divisors[6];
};
/* `top` may have any number of readers. False when it has too many parts. */
bool qn_match_product(const struct qn_rewrite *r, qn_value top, struct qn_match_product *product);
/* Takes factor i out. */
qn_value qn_match_take_factor(struct qn_match_product *product, uint32_t i);

/* v is x^2, spelled mul(x, x) or pow(x, 2): x, otherwise 0. */
qn_value qn_match_square(const struct qn_rewrite *r, qn_value v);
/* v is the mean of x over its last axis, which stays as 1, read once: x, otherwise 0. */
qn_value qn_match_mean(const struct qn_rewrite *r, qn_value v);

/* Looks through reshapes, whoever else reads them. */
qn_value qn_match_through_reshape(const struct qn_rewrite *r, qn_value v);
/* Slice of x along an axis of its rank with step 1: x, otherwise 0. */
qn_value qn_match_slice(const struct qn_rewrite *r, qn_value v, int64_t axis, qn_dim start, qn_dim stop);

/* v lies in a state's storage, of either graph: a later node may write into it, so it must be read where it is read
 * now and no later. */
bool qn_match_may_change(const struct qn_graph *g, qn_value v);

/* Sets what replaces the root. */
void qn_match_set(struct qn_match *match, uint16_t op, const qn_value *inputs, uint32_t count);

#endif

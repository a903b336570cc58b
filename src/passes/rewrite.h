/* The frame of every pass: copies a graph node by node, and lets the pass put something else in a node's place.
 *
 * First the old graph is walked from its end. A node that is read is shown to the pass's rule; where the rule matches,
 * the values that the match names are read instead of the node's own inputs. So what lies between a match's root and
 * its inputs is not copied unless somebody else reads it, and neither is dead code. Then the new graph is written in
 * the old order, through the builder, which shares equal nodes.
 *
 * Rules look only at the old graph, and name old values. Nodes that bind a late symbol stay while something that is
 * copied mentions the symbol; since they stand before all that mention it, and the new graph is written in the old
 * order, they stay before it.
 */
#ifndef QN_PASSES_REWRITE_H
#define QN_PASSES_REWRITE_H

#include "ir/ir.h"
#include "ir/shape.h"

enum { QN_MATCH_INPUTS = QN_MAX_INPUTS, QN_MATCH_ATTR = sizeof(union qn_attr_any) };

struct qn_rewrite {
    const struct qn_graph *from;
    struct qn_graph *to;
    const uint32_t *uses;   /* readers of each old value: live nodes, outputs, states */
    const qn_value *values; /* new value of each old one */
    const void *context;    /* of qn_rewrite_with */
    struct qn_rewrite_state *state;
};

struct qn_match;

/* Writes the replacement. inputs: the new values of match->inputs; outs: one for each output of the root. */
typedef qn_status (*qn_emit_fn)(struct qn_rewrite *r, qn_node root, const struct qn_match *match,
                                const qn_value *inputs, qn_value *outs);

struct qn_match {
    uint16_t op; /* one node of this op replaces the root; QN_OP_NONE: inputs[0] does */
    uint32_t input_count;
    qn_value inputs[QN_MATCH_INPUTS];        /* old values; 0 where an optional one is absent */
    _Alignas(8) uint8_t attr[QN_MATCH_ATTR]; /* the op's record, dims as in the old graph */
    qn_emit_fn emit;                         /* NULL: as `op` says */
    qn_node named;                           /* whose name the new node takes where the root has none; 0: nobody's */
};

/* Fills a zeroed match and gives true where something else shall stand in the place of `root`. A match that would read
 * a value at the root which something has overwritten by then is dropped by the frame. */
typedef bool (*qn_match_fn)(const struct qn_rewrite *r, qn_node root, struct qn_match *match);

/* Copies `from` into the empty graph `to` under a rule; rule NULL copies what is alive. Where the copy would be the
 * same graph again, `to` stays empty. */
qn_status qn_rewrite_run(const struct qn_graph *from, struct qn_graph *to, qn_match_fn rule) QN_MUST_USE;

/* The same for a rule that makes less of the graph for whoever runs it. The rules of qn_rewrite_run are for our own
 * kernels: a match that would take in a node that the graph's `claims` want is dropped. */
qn_status qn_rewrite_simplify(const struct qn_graph *from, struct qn_graph *to, qn_match_fn rule) QN_MUST_USE;

/* The same for a rule that needs to know more than the graph: what it finds in r->context. */
qn_status qn_rewrite_with(const struct qn_graph *from, struct qn_graph *to, qn_match_fn rule,
                          const void *context) QN_MUST_USE;

/* For emit functions: an old dim or record in terms of the new graph, and the node as it stands on new inputs. */
qn_status qn_rewrite_dim(struct qn_rewrite *r, qn_dim dim, qn_dim *out) QN_MUST_USE;
qn_status qn_rewrite_attr(struct qn_rewrite *r, uint16_t op, const void *attr, void *out) QN_MUST_USE;
qn_status qn_rewrite_copy(struct qn_rewrite *r, qn_node node, const qn_value *inputs, qn_value *outs) QN_MUST_USE;

#endif

/* Ops through the whole house: a graph of one node, planned for an instruction set, run by the executor, against the
 * same node decomposed into core ops (or itself, for a core op) on the reference kernels. */
#ifndef QN_CONFORMANCE_GRAPH_OPS_H
#define QN_CONFORMANCE_GRAPH_OPS_H

#include <stdint.h>

/* Runs every op on every type that its shape rule takes, at every level of `features`. Prints what failed and the table
 * op x type x ISA. Gives the number of failures; *runs counts runs. QN_CONFORMANCE_OP=<op> runs that op alone. */
int64_t cf_graph_ops(uint32_t features, int64_t *runs);

#endif

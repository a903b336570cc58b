/* The graph's hash index: finds what already exists, so that emitting shares it. Private to src/ir.
 *
 * Slots hold (id << 4 | kind), 0 is empty; hashes are computed again when the table grows. Nothing is ever removed.
 */
#ifndef QN_IR_SHARE_H
#define QN_IR_SHARE_H

#include "ir/ir.h"

enum qn_share_kind {
    QN_SHARE_EXPR = 1, /* id: index into exprs; key: struct qn_expr */
    QN_SHARE_NODE,     /* id: node; key: struct qn_share_node */
    QN_SHARE_CONSTANT, /* id: value; key: struct qn_share_constant */
    QN_SHARE_SYMBOL,   /* the rest: ids are indices, keys struct qn_str */
    QN_SHARE_FILE,
    QN_SHARE_INPUT,
    QN_SHARE_OUTPUT,
    QN_SHARE_STATE,
};

enum { QN_SHARE_MAX_ID = (1 << 28) - 1 };

struct qn_share_node {
    uint16_t op;
    const qn_value *inputs;
    uint32_t input_count;
    const void *attr;
};

struct qn_share_constant {
    const struct qn_type *type;
    const struct qn_blob *blob;
};

/* The id of what equals the key, or UINT32_MAX. */
uint32_t qn_share_find(const struct qn_graph *g, enum qn_share_kind kind, const void *key);

/* Makes room for one more entry; qn_share_add cannot fail then. */
bool qn_share_reserve(struct qn_graph *g);

/* Enters what the graph holds under this id. */
void qn_share_add(struct qn_graph *g, enum qn_share_kind kind, uint32_t id);

#endif

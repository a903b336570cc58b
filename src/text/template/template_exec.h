/* Loops, and the call of a call block: what running statements needs of the other parts. */
#ifndef QN_TEXT_TEMPLATE_EXEC_H
#define QN_TEXT_TEMPLATE_EXEC_H

#include "text/template/template_machine.h"

/* A loop over `iterable`; NULL after an error. */
struct qn_loop *qn_loop_new(struct qn_tpl *t, const struct qn_tpl_node *node, struct qn_scope *outer,
                            struct qn_val iterable, int64_t depth0);
/* Goes on to the next item that the loop's condition takes. */
bool qn_loop_next(struct qn_tpl *t, struct qn_loop *loop, struct qn_val *item, bool *end);

/* The call with `caller` as one more argument. */
bool qn_tpl_eval_call_block(struct qn_tpl *t, struct qn_scope *scope, const struct qn_tpl_node *call,
                            struct qn_val caller, struct qn_val *out);

#endif

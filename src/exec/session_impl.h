/* What session.c and run.c share. */
#ifndef QN_EXEC_SESSION_IMPL_H
#define QN_EXEC_SESSION_IMPL_H

#include "exec/compiled.h"
#include "exec/custom_backend.h"
#include "format/model_graph.h"
#include "quern/session.h"

struct qn_session {
    const struct qn_allocator *allocator;
    const struct qn_model *model;
    struct qn_body_source *source; /* of calls; NULL for a graph without */
    struct qn_backends backends;
    struct qn_compiled compiled;
    struct qn_slot_info *slots[3]; /* by enum qn_slot_kind */
    uint32_t slot_counts[3];
    struct qn_run *run;     /* of qn_session_run */
    int busy;               /* somebody is in qn_session_run */
    volatile int cancelled; /* before there was a run to cancel */
};

/* Fills the states with zeros. */
void qn_run_reset(struct qn_run *run);

#endif

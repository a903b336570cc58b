/* What session.c and run.c share. */
#ifndef QN_EXEC_SESSION_IMPL_H
#define QN_EXEC_SESSION_IMPL_H

#include "exec/compiled.h"
#include "exec/custom_backend.h"
#include "base/arena.h"
#include "format/model_graph.h"
#include "platform/mutex.h"
#include "quern/session.h"

struct qn_session {
    const struct qn_allocator *allocator;
    const struct qn_model *model;
    struct qn_body_source *source; /* of calls; NULL for a graph without */
    struct qn_backends backends;
    struct qn_compiled compiled;
    struct qn_slot_info *slots[3]; /* by enum qn_slot_kind */
    uint32_t slot_counts[3];
    struct qn_run *run;   /* of qn_session_run */
    int busy;             /* somebody is in qn_session_run */
    int cancelled;        /* of that run, which may not be there yet; set by any thread */
    struct qn_arena kept; /* what the options point to */
    struct qn_session_options options;
    struct qn_mutex lock;       /* guards `general` */
    struct qn_session *general; /* the same without assumptions about sizes; NULL: not needed yet */
};

/* One plan serves all sizes because some are taken for granted: of two dims with different names that meet, that they
 * are equal or the second is 1. A run whose sizes are otherwise is given to this session, which plans when sizes are at
 * hand. It belongs to the first one; any thread. */
qn_status qn_session_general(struct qn_session *session, struct qn_session **out) QN_MUST_USE;

/* Fills the states with zeros. */
void qn_run_reset(struct qn_run *run);

/* `flag`, which outlives the run, is what cancels it from now on: read and set as an atomic. */
void qn_run_cancelled_by(struct qn_run *run, int *flag);

#endif

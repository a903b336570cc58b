/* The executor: walks a plan's steps over the thread pool.
 *
 * What does not change lies in the executor: the plan, the addresses of constants, packed weights, compiled bodies.
 * What a run needs for itself lies in a frame: workspace, scratch, states, the memory of what only the run can size.
 * Frames are kept and reused; a run whose sizes the frame has seen before takes no memory from the allocator.
 *
 * Threads: any number of frames may run at once; a frame belongs to one thread at a time.
 */
#ifndef QN_EXEC_EXEC_H
#define QN_EXEC_EXEC_H

#include "ir/body.h"
#include "platform/file.h"
#include "plan/plan.h"
#include "pool/pool.h"
#include "quern/observe.h"

/* Source files, in the order of the graph's files. One with `make` holds tensors that are made on demand: a blob's
 * offset is the number of one, and make writes all its bytes. */
struct qn_exec_file {
    struct qn_file_map map;
    qn_status (*make)(const void *context, uint64_t number, void *out, uint64_t bytes);
    const void *context;
};

struct qn_exec;
struct qn_frame;

/* The plan, the pool and the files must outlive the executor. Weights that kernels want packed are packed for a step at
 * a time by the first run and for good by the second one (what a file makes on demand: here), with the pool's threads;
 * the files' pages that are not read any more are let go. The bits of a result do not depend on it. */
qn_status qn_exec_create(const struct qn_plan *plan, struct qn_pool *pool, const struct qn_exec_file *files,
                         uint32_t file_count, const struct qn_allocator *allocator, struct qn_exec **out) QN_MUST_USE;
/* Takes constants that were only read to be packed out of the plan, which is the executor's own; no frame may run. */
qn_status qn_exec_forget_packed(struct qn_exec *exec, struct qn_plan *plan) QN_MUST_USE;
/* Packs all weights now: the first run is like all others. Any thread, any time. */
qn_status qn_exec_prepare(struct qn_exec *exec) QN_MUST_USE;
void qn_exec_destroy(struct qn_exec *exec); /* NULL is allowed; no frame may run */

/* Where bodies that calls name come from, and how they are compiled. */
struct qn_exec_bodies {
    const struct qn_body_source *source; /* must outlive the executor */
    const struct qn_backend *backend;
    const char *disabled_passes; /* copied */
    struct qn_plan_options plan; /* `preferred` must outlive the executor */
};
/* Before the first run, once. Without it a call is an error of the run. */
qn_status qn_exec_set_bodies(struct qn_exec *exec, const struct qn_exec_bodies *bodies) QN_MUST_USE;

/* An input or output: a contiguous tensor, or an object.
 *
 * Input: a tensor of the caller's (dtype NONE: the one that the plan has), or an object, which must stay alive during
 * the run; where the plan has a tensor, the object must be one. data NULL with elements and no object: absent, an
 * error.
 *
 * Output: data NULL asks for the frame's own memory, valid until its next run; otherwise `bytes` says how much room
 * there is. dtype, rank, dims and data are filled in. `object` receives what is no plain tensor (dtype OBJECT; the
 * frame keeps it until its next run). */
struct qn_exec_tensor {
    void *data;
    uint64_t bytes; /* outputs only */
    qn_dtype dtype;
    uint32_t rank;
    int64_t dims[QN_MAX_RANK];
    struct qn_object *object;
    bool as_object; /* output: `object` shall be a reference for the caller, whatever it is */
};

/* Runs all steps on a frame that nobody uses, made when there is none. inputs stand in the plan's order, their dims fix
 * the symbols; outputs (in the plan's order) receive their dims, and data where that was NULL. With states there is one
 * frame only, and a second caller waits. `cancel` may be NULL; once it is non-zero the run stops between steps, inside
 * loops, or between tiles, with QN_CANCELLED. Errors name the input or the step. */
qn_status qn_exec_run(struct qn_exec *exec, const struct qn_exec_tensor *inputs, struct qn_exec_tensor *outputs,
                      const volatile int *cancel) QN_MUST_USE;

/* ---- frames for those who keep them --------------------------------------------------------------------------- */

/* A frame of the caller's own, with states of its own, filled with zeros. */
qn_status qn_frame_create(struct qn_exec *exec, struct qn_frame **out) QN_MUST_USE;
void qn_frame_destroy(struct qn_frame *frame); /* NULL is allowed; before the executor */
/* As qn_exec_run; several frames at once from several threads. */
qn_status qn_frame_run(struct qn_frame *frame, const struct qn_exec_tensor *inputs, struct qn_exec_tensor *outputs,
                       const volatile int *cancel) QN_MUST_USE;
/* The last run ended at its start, since what the plan takes for granted about sizes does not hold for the inputs'. */
bool qn_frame_misfit(const struct qn_frame *frame);
/* What only an output needs that is not wanted is not computed; all are wanted at first. */
qn_status qn_frame_want(struct qn_frame *frame, uint32_t output, bool wanted) QN_MUST_USE;
/* For objects that the caller makes as inputs: they live until they are released, at the latest before the frame is
 * destroyed. */
qn_status qn_frame_store(struct qn_frame *frame, struct qn_store **out) QN_MUST_USE;
void qn_frame_clear_states(struct qn_frame *frame);

/* A step of the last run. Texts live as long as the executor. */
struct qn_frame_event {
    const char *name, *op, *kernel; /* kernel NULL: no kernel */
    uint64_t start_ns, ns;          /* start: by the clock of platform/clock.h */
    uint32_t depth;                 /* of calls: 0 is the graph itself */
    uint32_t threads;               /* at most this many took part */
    struct qn_view out;             /* the first output's dtype and dims; no data */
};
/* Keeps events from now on. */
void qn_frame_profile(struct qn_frame *frame);
const struct qn_frame_event *qn_frame_events(const struct qn_frame *frame, uint32_t *count);

/* Tells `fn` of every step from now on, bodies included; NULL: nobody. The second one is for all frames. */
void qn_frame_observe(struct qn_frame *frame, qn_observe_fn fn, void *context);
void qn_exec_observe(struct qn_exec *exec, qn_observe_fn fn, void *context);

/* Bytes in states, in workspace, scratch and outputs together, and in the store of what only runs can size. */
struct qn_frame_memory {
    uint64_t states, workspace, kept;
};
struct qn_frame_memory qn_frame_memory(const struct qn_frame *frame);

/* ---- the executor's own frame --------------------------------------------------------------------------------- */

/* Fills all states with zeros. */
void qn_exec_clear_states(struct qn_exec *exec);

/* Bytes held by states, and by workspace, scratch and outputs together, of all frames that qn_exec_run made. */
void qn_exec_memory(const struct qn_exec *exec, uint64_t *states, uint64_t *workspace);
/* Bytes of packed weights, those of bodies too. */
uint64_t qn_exec_packed_bytes(const struct qn_exec *exec);
/* Layouts of the workspace made so far by all frames: for tests and figures. */
uint64_t qn_exec_layouts(const struct qn_exec *exec);

/* Time by step, summed over runs of all frames since profiling was switched on; NULL before. steps.count entries. */
struct qn_exec_time {
    uint64_t ns, runs;
};
qn_status qn_exec_profile(struct qn_exec *exec) QN_MUST_USE;
const struct qn_exec_time *qn_exec_times(const struct qn_exec *exec);

#endif

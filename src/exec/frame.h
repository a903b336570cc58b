/* What the executor's files share. Private to src/exec. */
#ifndef QN_EXEC_FRAME_H
#define QN_EXEC_FRAME_H

#include "exec/bodies.h"
#include "exec/exec.h"
#include "plan/layout.h"
#include "platform/mutex.h"

struct qn_region {
    void *data;
    uint64_t bytes;
};

/* Weights in the form that their kernel reads. */
struct qn_exec_packed {
    const void *data; /* NULL: not made yet; read and set as an atomic */
    uint64_t offset;  /* where they will lie in qn_exec.weights */
};

struct qn_observer {
    qn_observe_fn fn; /* NULL: nobody */
    void *context;
};

struct qn_exec {
    const struct qn_allocator *allocator;
    const struct qn_plan *plan;
    struct qn_pool *pool;
    const struct qn_exec_file *files;
    uint32_t file_count;
    const void **blobs;            /* address of each constant */
    struct qn_exec_packed *packed; /* by packed weight of the plan */
    struct qn_region weights;      /* room for all of them */
    struct qn_region lent;         /* for those of one step at a time, while the first run is under way */
    uint32_t *readers;          /* by constant: 1 where steps read it as it lies, and packed weights to be made of it */
    struct qn_packing *packing; /* weights.c; NULL: all weights are packed */
    struct qn_mutex pack_lock;  /* of these */
    bool begun;                 /* the first run is */
    struct qn_region *made;     /* by blob: memory of those that the source makes on demand */
    struct qn_bodies *bodies;   /* shared by all executors of one model; NULL: none */
    bool owns_bodies;
    struct qn_exec_time *times;
    uint64_t layouts;
    struct qn_mutex lock; /* of the two lists */
    uint32_t waiting;     /* a count that goes up when a frame comes back: what waits for one sleeps on it */
    struct qn_frame *idle, *frames;
    struct qn_observer observer;
};

/* Offsets of the workspace's buffers for a range of sizes. */
struct qn_frame_layout {
    int64_t *key; /* by symbol: the upper end of its bucket */
    uint64_t *offsets;
    uint64_t bytes;
};

enum { QN_FRAME_LAYOUTS = 32, QN_MAX_DEPTH = 64 };

struct qn_frame {
    struct qn_exec *exec;
    struct qn_frame *next_idle, *next;
    struct qn_region workspace, scratch, shared;
    uint64_t scratch_bytes; /* of one thread */
    struct qn_region *states, *outputs;
    struct qn_object **slots;
    struct qn_object **kept; /* by output: given to the caller until the next run */
    int64_t *symbols, *values, *bounds;
    struct qn_step_views views;
    struct qn_object **in_objects, **out_objects; /* of the step under way */
    const uint64_t *offsets;                      /* the layout in force */
    struct qn_frame_layout layouts[QN_FRAME_LAYOUTS];
    uint32_t layout_count, layout_next;
    struct qn_layout_memory layout_memory;
    bool *wanted;    /* by output */
    bool *active;    /* by step; NULL: all */
    bool all_wanted; /* nothing is left out */
    struct qn_store *own_store;
    bool profiling;
    struct qn_observer observer;
    QN_ARRAY(struct qn_frame_event) events;
    /* The run under way */
    const struct qn_exec_tensor *in;
    struct qn_exec_tensor *out;
    struct qn_store *store;
    struct qn_frame *top; /* keeps the events */
    const volatile int *cancel;
    uint32_t depth;
    int32_t fault;
    uint32_t skipped; /* tiles were left out because the run is cancelled */
    bool first;       /* the executor's first run: see qn_frame_weights */
    bool misfit;      /* the last run ended because what the plan takes for granted about sizes does not hold */
};

/* exec.c */
/* An executor of a body: it shares the collection and its packed weights. */
qn_status qn_exec_create_inside(const struct qn_plan *plan, struct qn_bodies *bodies, struct qn_pool *pool,
                                const struct qn_exec_file *files, uint32_t file_count,
                                const struct qn_allocator *allocator, struct qn_exec **out) QN_MUST_USE;
qn_status qn_region_grow(struct qn_region *region, uint64_t bytes, const char *what) QN_MUST_USE;
void qn_region_free(struct qn_region *region);
qn_status qn_exec_acquire(struct qn_exec *exec, struct qn_frame **out) QN_MUST_USE;
void qn_exec_release(struct qn_exec *exec, struct qn_frame *frame);
qn_status qn_frame_scratch(struct qn_frame *frame, uint64_t bytes) QN_MUST_USE;

/* weights.c */
qn_status qn_exec_setup(struct qn_exec *exec) QN_MUST_USE;
void qn_exec_end_packing(struct qn_exec *exec);
/* Makes weights number `index` of the plan, for a step that has been bound but for them.
 *
 * An executor's first run packs them into memory that the next step takes over; the second one begins with packing all
 * of them to where they stay. A model that runs once never fills memory of the size of its weights, which can take
 * longer than the run. */
qn_status qn_frame_weights(struct qn_frame *frame, const struct qn_plan_step *step, const struct qn_bind *bind,
                           uint32_t index, const void **out) QN_MUST_USE;

/* frame.c: sizes, inputs and outputs. */
qn_status qn_frame_start(struct qn_frame *frame) QN_MUST_USE;
qn_status qn_frame_finish(struct qn_frame *frame) QN_MUST_USE;
void qn_frame_drop(struct qn_frame *frame); /* what a run that failed has left in slots */
void *qn_frame_address(const struct qn_frame *frame, const struct qn_plan_tensor *tensor);
/* Late symbols from what a step has made: object against the tensor's type. */
qn_status qn_frame_accept(struct qn_frame *frame, const struct qn_plan_step *step, uint32_t output, uint32_t tensor,
                          const struct qn_object *object) QN_MUST_USE;
qn_status qn_frame_bind(struct qn_frame *frame, qn_dim dim, int64_t size, bool *matches) QN_MUST_USE;
/* After binding: all that follows from it. */
qn_status qn_frame_settle(struct qn_frame *frame) QN_MUST_USE;
/* An operand as a value: a tensor with its dtype and dims (and its object where it has one), an object, or absent
 * (dtype NONE). */
qn_status qn_frame_value(struct qn_frame *frame, uint32_t tensor, struct qn_exec_tensor *out) QN_MUST_USE;

/* observe.c: tells the observer of a step that is done. */
qn_status qn_frame_show(struct qn_frame *frame, const struct qn_observer *observer, uint32_t index) QN_MUST_USE;

/* step.c */
/* "matmul", "activation", ... */
const char *qn_step_op(const struct qn_plan_step *step);
qn_status qn_frame_step(struct qn_frame *frame, uint32_t index) QN_MUST_USE;

/* call.c: fills frame->out_objects with a reference each. */
qn_status qn_frame_call(struct qn_frame *frame, uint32_t step) QN_MUST_USE;
/* Runs on behalf of another frame's step. */
qn_status qn_frame_run_inside(struct qn_frame *frame, struct qn_frame *caller, const struct qn_exec_tensor *inputs,
                              struct qn_exec_tensor *outputs) QN_MUST_USE;

static inline const char *qn_step_name(const struct qn_plan *plan, const struct qn_plan_step *step)
{
    return plan->text.items + step->name;
}

static inline bool qn_frame_cancelled(const struct qn_frame *frame)
{
    return frame->cancel && __atomic_load_n(frame->cancel, __ATOMIC_RELAXED);
}

#endif

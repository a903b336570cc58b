/* The executor: walks a plan's steps over the thread pool.
 *
 * It owns the workspace, the states and the scratch memory, all taken at creation: a run allocates nothing. Weights
 * stay where their files are mapped.
 *
 * Threads: one run at a time. The pool is the caller's and may serve several executors that do not run together.
 */
#ifndef QN_EXEC_EXEC_H
#define QN_EXEC_EXEC_H

#include "plan/plan.h"
#include "pool/pool.h"

/* Mapped source files, in the order of the graph's files. */
struct qn_exec_file {
    const void *data;
    uint64_t size;
};

struct qn_exec;

/* The plan, the pool and the files must outlive the executor. */
qn_status qn_exec_create(const struct qn_plan *plan, struct qn_pool *pool, const struct qn_exec_file *files,
                         uint32_t file_count, const struct qn_allocator *allocator, struct qn_exec **out) QN_MUST_USE;
void qn_exec_destroy(struct qn_exec *exec); /* NULL is allowed */

/* A contiguous tensor of the caller. For an output, data NULL asks for the executor's own buffer (valid until the next
 * run); otherwise `bytes` says how much room there is. */
struct qn_exec_tensor {
    void *data;
    uint64_t bytes; /* outputs only */
    uint32_t rank;
    int64_t dims[QN_MAX_RANK];
};

/* Runs all steps. inputs stand in the plan's order, their dims fix the symbols; outputs (in the plan's order) receive
 * their dims, and data where that was NULL. `cancel` may be NULL; once it is non-zero the run stops between steps with
 * QN_CANCELLED. Errors name the input or the step. */
qn_status qn_exec_run(struct qn_exec *exec, const struct qn_exec_tensor *inputs, struct qn_exec_tensor *outputs,
                      const volatile int *cancel) QN_MUST_USE;

/* Fills all states with zeros. */
void qn_exec_clear_states(struct qn_exec *exec);

/* Bytes held by states, and by workspace, scratch and outputs together. */
void qn_exec_memory(const struct qn_exec *exec, uint64_t *states, uint64_t *workspace);

/* Time by step, summed over runs since profiling was switched on; NULL before. steps.count entries. */
struct qn_exec_time {
    uint64_t ns, runs;
};
qn_status qn_exec_profile(struct qn_exec *exec) QN_MUST_USE;
const struct qn_exec_time *qn_exec_times(const struct qn_exec *exec);

#endif

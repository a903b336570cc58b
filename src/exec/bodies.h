/* Compiled bodies of calls, kept by what they were called with: dtypes, ranks, dims and pinned bytes. All executors of
 * a model share one collection; it may be asked from several threads. Private to src/exec. */
#ifndef QN_EXEC_BODIES_H
#define QN_EXEC_BODIES_H

#include "exec/exec.h"

struct qn_bodies;

struct qn_body {
    uint32_t number;
    uint32_t users; /* calls under way; with `used`, under the collection's lock */
    uint64_t used;
    struct qn_body_input *inputs; /* pinned ones with bytes of their own */
    uint32_t input_count;
    uint32_t *map; /* by input of the plan: which of the call's */
    struct qn_plan *plan;
    struct qn_exec *exec;
};

qn_status qn_bodies_create(const struct qn_exec_bodies *options, struct qn_pool *pool, const struct qn_exec_file *files,
                           uint32_t file_count, const struct qn_allocator *allocator,
                           struct qn_bodies **out) QN_MUST_USE;
void qn_bodies_destroy(struct qn_bodies *bodies); /* NULL is allowed */

/* The compiled body for these inputs; exact: made for these very sizes. Give it back with qn_bodies_put. */
qn_status qn_bodies_get(struct qn_bodies *bodies, uint32_t number, const struct qn_body_input *inputs, uint32_t count,
                        bool exact, struct qn_body **out) QN_MUST_USE;
void qn_bodies_put(struct qn_bodies *bodies, struct qn_body *body);
/* Packed weights that all bodies share: found by where they come from and what packs them. `data` NULL: not packed yet;
 * whoever makes them sets it. NULL without memory. Called while a body is being compiled. */
struct qn_shared_weights {
    struct qn_blob blob;
    uint32_t kernel;
    uint64_t bytes;
    uint8_t params[sizeof(struct qn_params)]; /* without addresses; bytes, since blocks of memory are less aligned */
    void *data;                               /* pages */
};
struct qn_shared_weights *qn_bodies_weights(struct qn_bodies *bodies, const struct qn_shared_weights *key);
const struct qn_body_source *qn_bodies_source(const struct qn_bodies *bodies); /* NULL gives NULL */
const struct qn_scan *qn_bodies_scan(const struct qn_bodies *bodies, uint32_t number);
/* No body goes any more: texts of events point into their plans. */
void qn_bodies_keep(struct qn_bodies *bodies);
uint64_t qn_bodies_packed_bytes(const struct qn_bodies *bodies);

#endif

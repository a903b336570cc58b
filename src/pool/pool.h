/* The thread pool: a parallel-for over tiles with dynamic claiming. Passed in, never hidden.
 *
 * The calling thread works too, so a pool of n threads has n - 1 workers. Between calls workers spin for a short time
 * and then sleep, so that an idle pool uses no CPU and a machine with other work to do is not held up. The result of a
 * call never depends on the number of threads: a tile is the unit of work, whoever runs it.
 */
#ifndef QN_POOL_POOL_H
#define QN_POOL_POOL_H

#include <stdint.h>

#include "base/status.h"
#include "quern/allocator.h"

struct qn_pool;

/* threads >= 1 (1: the serial twin, no thread is made); 0: one a physical core the process may use. */
qn_status qn_pool_create(uint32_t threads, const struct qn_allocator *allocator, struct qn_pool **out) QN_MUST_USE;
void qn_pool_destroy(struct qn_pool *pool); /* NULL is allowed; no call may be under way */
uint32_t qn_pool_threads(const struct qn_pool *pool);

/* Runs fn over [0, tiles) in ranges of at least `grain` tiles (the last may be shorter); returns when all are done.
 * `thread` is below qn_pool_threads and distinct among the ranges of this call that run at the same time (for scratch
 * memory of the caller's). Any thread may call at any time, a range of another call too: while one call is under way,
 * the tiles of others are run by their callers. */
typedef void (*qn_pool_fn)(void *context, int64_t begin, int64_t end, uint32_t thread);
void qn_pool_for(struct qn_pool *pool, int64_t tiles, int64_t grain, qn_pool_fn fn, void *context);

#endif

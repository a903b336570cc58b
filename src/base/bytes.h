/* Bytes with several owners: large constants go from graph to graph, and on into the plan, without a copy. */
#ifndef QN_BASE_BYTES_H
#define QN_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct qn_bytes; /* the header; the bytes lie behind it, aligned to 64 */

/* Uninitialised bytes with one owner, NULL without memory. `allocator` frees them in the end, on whichever thread the
 * last owner lets go. */
struct qn_bytes *qn_bytes_create(const struct qn_allocator *allocator, uint64_t size);
void *qn_bytes_data(struct qn_bytes *bytes);

/* One owner more, one less; NULL is allowed. Any thread. */
struct qn_bytes *qn_bytes_hold(struct qn_bytes *bytes);
void qn_bytes_release(struct qn_bytes *bytes);

#endif

/* Where buffers lie in the workspace: those alive at the same time never overlap. */
#ifndef QN_PLAN_WORKSPACE_H
#define QN_PLAN_WORKSPACE_H

#include "base/arena.h"
#include "base/status.h"

struct qn_buffer {
    uint64_t bytes;       /* at most; 0: takes no room */
    uint32_t first, last; /* steps between which it is alive, both inclusive */
    uint64_t offset;      /* result, a multiple of 64 */
};

/* Places all buffers (largest first, lowest gap that fits) and gives the total size. `order` has room for 2 * count. */
qn_status qn_workspace_layout(struct qn_buffer *buffers, uint32_t count, struct qn_buffer **order,
                              uint64_t *total) QN_MUST_USE;

#endif

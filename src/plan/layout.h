/* Where the workspace's buffers lie at given sizes. */
#ifndef QN_PLAN_LAYOUT_H
#define QN_PLAN_LAYOUT_H

#include "plan/plan.h"
#include "plan/workspace.h"

/* Memory that laying out needs, kept between layouts so that a second one takes none. */
struct qn_layout_memory {
    struct qn_buffer *buffers;
    struct qn_buffer **order; /* twice as many */
    struct qn_step_views views;
};
qn_status qn_layout_memory_init(struct qn_layout_memory *memory, const struct qn_plan *plan,
                                const struct qn_allocator *allocator) QN_MUST_USE;
void qn_layout_memory_deinit(struct qn_layout_memory *memory, const struct qn_plan *plan,
                             const struct qn_allocator *allocator);

/* Offsets of all buffers, in `offsets` (buffers.count of them), for the expressions' largest values. Errors name the
 * step whose tensor has no size or is too large. */
qn_status qn_plan_layout(const struct qn_plan *plan, const int64_t *largest, struct qn_layout_memory *memory,
                         uint64_t *offsets, uint64_t *total) QN_MUST_USE;

#endif

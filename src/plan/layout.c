#include "plan/layout.h"

#include "base/checked.h"

qn_status qn_layout_memory_init(struct qn_layout_memory *memory, const struct qn_plan *plan,
                                const struct qn_allocator *allocator)
{
    uint32_t count = plan->buffers.count + 1;
    memory->buffers = qn_calloc(allocator, count, sizeof *memory->buffers);
    memory->order = qn_calloc(allocator, count, 2 * sizeof(struct qn_buffer *));
    bool views = qn_step_views_init(&memory->views, plan, allocator);
    return memory->buffers && memory->order && views ? NULL : QN_OOM();
}

void qn_layout_memory_deinit(struct qn_layout_memory *memory, const struct qn_plan *plan,
                             const struct qn_allocator *allocator)
{
    uint32_t count = plan->buffers.count + 1;
    qn_free(allocator, memory->buffers, count * sizeof *memory->buffers);
    qn_free(allocator, memory->order, count * 2 * sizeof(struct qn_buffer *));
    qn_step_views_deinit(&memory->views, plan, allocator);
}

/* The packed weights' bytes are what the row says for the step that packs them. */
static bool packed_bytes(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *largest,
                         const struct qn_step_views *views, uint64_t *bytes)
{
    struct qn_bind bind;
    if (!qn_plan_bind(plan, step, largest, views, &bind))
        return false;
    int64_t needed = qn_plan_row(plan, step)->packed_bytes(&bind);
    *bytes = needed > 0 ? (uint64_t)needed : 0;
    return true;
}

qn_status qn_plan_layout(const struct qn_plan *plan, const int64_t *largest, struct qn_layout_memory *memory,
                         uint64_t *offsets, uint64_t *total)
{
    for (uint32_t i = 0; i < plan->buffers.count; i++) {
        const struct qn_plan_buffer *from = &plan->buffers.items[i];
        struct qn_buffer *to = &memory->buffers[i];
        struct qn_view view;
        uint64_t bytes = 0;
        bool ok = from->pack_step
                      ? packed_bytes(plan, &plan->steps.items[from->pack_step - 1], largest, &memory->views, &bytes)
                      : qn_plan_view(&plan->tensors.items[from->tensor], largest, &view, &bytes);
        if (!ok)
            return QN_ERROR(QN_OUT_OF_MEMORY, "step '%s': a tensor's size is below zero or overflows",
                            plan->text.items + plan->steps.items[from->first].name);
        *to = (struct qn_buffer){bytes, from->first, from->last, 0};
    }
    QN_TRY(qn_workspace_layout(memory->buffers, plan->buffers.count, memory->order, total));
    for (uint32_t i = 0; i < plan->buffers.count; i++)
        offsets[i] = memory->buffers[i].offset;
    return NULL;
}

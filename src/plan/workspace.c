#include "plan/workspace.h"

#include <stdlib.h>

#include "base/checked.h"

enum { ALIGN = 64 };

static int by_size(const void *a, const void *b)
{
    const struct qn_buffer *x = *(struct qn_buffer *const *)a, *y = *(struct qn_buffer *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x < y ? -1 : 1; /* the same layout on every machine */
}

static bool overlap_in_time(const struct qn_buffer *a, const struct qn_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* `placed` is kept in rising order of offset. */
static uint64_t lowest_gap(const struct qn_buffer *buffer, struct qn_buffer *const *placed, uint32_t count)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!overlap_in_time(buffer, placed[i]))
            continue;
        if (placed[i]->offset >= at && placed[i]->offset - at >= buffer->bytes)
            break;
        uint64_t end = placed[i]->offset + placed[i]->bytes;
        if (end > at)
            at = end;
    }
    return at;
}

qn_status qn_workspace_layout(struct qn_buffer *buffers, uint32_t count, const struct qn_allocator *allocator,
                              uint64_t *total)
{
    *total = 0;
    if (count == 0)
        return NULL;
    struct qn_buffer **order = qn_calloc(allocator, count, 2 * sizeof *order);
    if (!order)
        return QN_OOM();
    struct qn_buffer **placed = order + count;
    uint32_t placed_count = 0;
    qn_status status = NULL;
    for (uint32_t i = 0; i < count; i++) {
        order[i] = &buffers[i];
        if (!qn_align_u64(buffers[i].bytes, ALIGN, &buffers[i].bytes) || buffers[i].bytes > INT64_MAX / 4)
            QN_TRY_GOTO(QN_ERROR(QN_OUT_OF_MEMORY, "a tensor of %llu bytes does not fit in memory",
                                 (unsigned long long)buffers[i].bytes),
                        done);
    }
    qsort(order, count, sizeof *order, by_size);
    for (uint32_t i = 0; i < count; i++) {
        struct qn_buffer *buffer = order[i];
        if (buffer->bytes == 0)
            continue;
        buffer->offset = lowest_gap(buffer, placed, placed_count);
        uint32_t at = placed_count++;
        for (; at > 0 && placed[at - 1]->offset > buffer->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = buffer;
        uint64_t end;
        if (!qn_add_u64(buffer->offset, buffer->bytes, &end) || end > INT64_MAX)
            QN_TRY_GOTO(QN_ERROR(QN_OUT_OF_MEMORY, "the workspace does not fit in memory"), done);
        if (end > *total)
            *total = end;
    }
done:
    qn_free(allocator, order, 2 * sizeof *order * count);
    return status;
}

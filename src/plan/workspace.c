#include "plan/workspace.h"

#include <stdbool.h>

#include "base/checked.h"

enum { ALIGN = 64 };

/* Largest first; the same layout on every machine. */
static bool before(const struct qn_buffer *x, const struct qn_buffer *y)
{
    return x->bytes != y->bytes ? x->bytes > y->bytes : x < y;
}

static void sift(struct qn_buffer **heap, uint32_t at, uint32_t count)
{
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(heap[child], heap[child + 1]))
            child++;
        if (!before(heap[at], heap[child]))
            return;
        struct qn_buffer *swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

/* In place: the library's qsort may allocate, and a run lays out again. */
static void sort(struct qn_buffer **items, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift(items, i, count);
    for (uint32_t left = count; left-- > 1;) {
        struct qn_buffer *swap = items[0];
        items[0] = items[left];
        items[left] = swap;
        sift(items, 0, left);
    }
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

qn_status qn_workspace_layout(struct qn_buffer *buffers, uint32_t count, struct qn_buffer **order, uint64_t *total)
{
    struct qn_buffer **placed = order + count;
    uint32_t placed_count = 0;
    *total = 0;
    for (uint32_t i = 0; i < count; i++) {
        order[i] = &buffers[i];
        buffers[i].offset = 0;
        if (!qn_align_u64(buffers[i].bytes, ALIGN, &buffers[i].bytes) || buffers[i].bytes > INT64_MAX / 4)
            return QN_ERROR(QN_OUT_OF_MEMORY, "a tensor of %llu bytes does not fit in memory",
                            (unsigned long long)buffers[i].bytes);
    }
    sort(order, count);
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
            return QN_ERROR(QN_OUT_OF_MEMORY, "the workspace does not fit in memory");
        if (end > *total)
            *total = end;
    }
    return NULL;
}

#include "llm/kv_pages.h"

qn_status qn_kv_pages_init(struct qn_kv_pages *pages, uint32_t page_count, const struct qn_allocator *allocator)
{
    *pages = (struct qn_kv_pages){.allocator = allocator, .page_count = page_count, .free_count = page_count};
    pages->free = qn_calloc(allocator, page_count, sizeof *pages->free);
    if (!pages->free)
        return QN_OOM();
    for (uint32_t i = 0; i < page_count; i++)
        pages->free[i] = page_count - 1 - i; /* the lowest pages are taken first */
    return NULL;
}

void qn_kv_pages_deinit(struct qn_kv_pages *pages)
{
    qn_free(pages->allocator, pages->free, pages->page_count * sizeof *pages->free);
    pages->free = NULL;
}

qn_status qn_kv_grow(struct qn_kv_pages *pages, struct qn_kv_sequence *sequence, uint32_t positions)
{
    uint32_t want = (positions + QN_KV_PAGE - 1) / QN_KV_PAGE;
    if (want > sequence->pages.count) {
        if (want - sequence->pages.count > pages->free_count)
            return QN_ERROR(QN_OUT_OF_RANGE, "the KV cache is full: %u positions wanted, %u pages of %u are free",
                            positions, pages->free_count, QN_KV_PAGE);
        if (!qn_array_reserve(&sequence->pages, pages->allocator, want))
            return QN_OOM();
        while (sequence->pages.count < want)
            sequence->pages.items[sequence->pages.count++] = pages->free[--pages->free_count];
    }
    if (positions > sequence->positions)
        sequence->positions = positions;
    return NULL;
}

void qn_kv_truncate(struct qn_kv_pages *pages, struct qn_kv_sequence *sequence, uint32_t positions)
{
    uint32_t keep = (positions + QN_KV_PAGE - 1) / QN_KV_PAGE;
    while (sequence->pages.count > keep)
        pages->free[pages->free_count++] = sequence->pages.items[--sequence->pages.count];
    if (positions < sequence->positions)
        sequence->positions = positions;
}

void qn_kv_release(struct qn_kv_pages *pages, struct qn_kv_sequence *sequence)
{
    qn_kv_truncate(pages, sequence, 0);
    qn_array_free(&sequence->pages, pages->allocator);
}

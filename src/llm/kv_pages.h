/* Pages of the KV cache: rows are given to sequences in runs of QN_KV_PAGE, from one free list.
 *
 * A sequence's position j lies in row pages[j / QN_KV_PAGE] * QN_KV_PAGE + j % QN_KV_PAGE, so that nothing has to move
 * when a sequence grows or ends, and any order of pages gives the same results.
 */
#ifndef QN_LLM_KV_PAGES_H
#define QN_LLM_KV_PAGES_H

#include "base/array.h"
#include "base/status.h"

enum { QN_KV_PAGE = 64 }; /* rows */

struct qn_kv_pages {
    const struct qn_allocator *allocator;
    uint32_t *free; /* stack of page numbers */
    uint32_t free_count, page_count;
};

struct qn_kv_sequence {
    QN_ARRAY(uint32_t) pages;
    uint32_t positions; /* in use */
};

qn_status qn_kv_pages_init(struct qn_kv_pages *pages, uint32_t page_count,
                           const struct qn_allocator *allocator) QN_MUST_USE;
void qn_kv_pages_deinit(struct qn_kv_pages *pages);

/* Gives the sequence pages for `positions` positions; QN_OUT_OF_RANGE (and no change) when too few are free. */
qn_status qn_kv_grow(struct qn_kv_pages *pages, struct qn_kv_sequence *sequence, uint32_t positions) QN_MUST_USE;
/* Keeps the first `positions` and returns the pages that are not needed any more. */
void qn_kv_truncate(struct qn_kv_pages *pages, struct qn_kv_sequence *sequence, uint32_t positions);
void qn_kv_release(struct qn_kv_pages *pages, struct qn_kv_sequence *sequence);

static inline int32_t qn_kv_row(const struct qn_kv_sequence *sequence, uint32_t position)
{
    return (int32_t)(sequence->pages.items[position / QN_KV_PAGE] * QN_KV_PAGE + position % QN_KV_PAGE);
}

#endif

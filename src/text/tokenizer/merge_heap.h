/* The pairs of neighbours that can merge, the best one first; what kinds of byte-pair merging share. */
#ifndef QN_TEXT_MERGE_HEAP_H
#define QN_TEXT_MERGE_HEAP_H

#include <string.h>

#include "base/array.h"
#include "text/tokenizer/vocab.h"

/* The lowest key goes first: what the vocabulary prefers, then the left symbol. */
struct qn_merge_entry {
    uint64_t key;   /* preference << 32 | left symbol */
    int32_t merged; /* token that the pair becomes, where there is one */
    uint32_t size;  /* bytes of both: symbols only grow, so that other neighbours have another size */
};

struct qn_merge_heap {
    QN_ARRAY(struct qn_merge_entry) list;
};

/* False on lack of memory. */
static inline bool qn_merge_heap_push(struct qn_merge_heap *heap, const struct qn_allocator *allocator,
                                      struct qn_merge_entry entry)
{
    if (!qn_array_push(&heap->list, allocator, entry))
        return false;
    struct qn_merge_entry *items = heap->list.items;
    uint32_t at = heap->list.count - 1;
    while (at && entry.key < items[(at - 1) / 2].key) {
        items[at] = items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    items[at] = entry;
    return true;
}

/* The heap is not empty. */
static inline struct qn_merge_entry qn_merge_heap_pop(struct qn_merge_heap *heap)
{
    struct qn_merge_entry *items = heap->list.items, top = items[0], last = items[--heap->list.count];
    uint32_t at = 0, count = heap->list.count;
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && items[child + 1].key < items[child].key;
        if (last.key <= items[child].key)
            break;
        items[at] = items[child];
    }
    items[at] = last;
    return top;
}

/* What the vocabulary merges both tokens into, or NULL. */
static inline const struct qn_merge_slot *qn_merge_find(const struct qn_tokenizer *t, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    for (uint32_t at = qn_merge_hash(pair);; at++) {
        const struct qn_merge_slot *slot = &t->merges[at & t->merge_mask];
        if (slot->merged < 0)
            return NULL;
        if (slot->pair == pair)
            return slot;
    }
}

/* Orders as the score does, the highest first: a float's bits, turned so that they compare as an integer. */
static inline uint32_t qn_score_order(float score)
{
    uint32_t bits;
    score += 0.0f; /* -0 is 0 */
    memcpy(&bits, &score, sizeof bits);
    uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ~ascending;
}

#endif

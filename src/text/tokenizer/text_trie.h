/* A trie over token texts, for finding all tokens that begin at a place of a text. */
#ifndef QN_TEXT_TEXT_TRIE_H
#define QN_TEXT_TEXT_TRIE_H

#include "base/array.h"
#include "base/status.h"

struct qn_text_trie_key {
    const char *text;
    uint32_t size;
    int32_t id;
    uint32_t weight; /* of equal texts the heaviest counts, of these the one with the highest id */
};

struct qn_text_trie_node {
    uint32_t children; /* index of the first; they stand together, sorted by label */
    uint16_t count;
    uint8_t label; /* the byte that leads here */
    int32_t id;    /* token that ends here, or -1 */
};

struct qn_text_trie {
    const struct qn_allocator *allocator;
    QN_ARRAY(struct qn_text_trie_node) nodes; /* 0 is the root; none in an empty trie */
};

/* Sorts the keys; empty ones are ignored. */
qn_status qn_text_trie_init(struct qn_text_trie *trie, struct qn_text_trie_key *keys, uint32_t count,
                            const struct qn_allocator *allocator) QN_MUST_USE;
void qn_text_trie_deinit(struct qn_text_trie *trie);

/* The child of a node for a byte; 0 when there is none. */
static inline uint32_t qn_text_trie_step(const struct qn_text_trie *trie, uint32_t node, uint8_t label)
{
    const struct qn_text_trie_node *at = &trie->nodes.items[node];
    uint32_t low = at->children, high = low + at->count;
    while (high - low > 4) {
        uint32_t middle = low + (high - low) / 2;
        if (trie->nodes.items[middle].label <= label)
            low = middle;
        else
            high = middle;
    }
    for (; low < high; low++)
        if (trie->nodes.items[low].label == label)
            return low;
    return 0;
}

#endif

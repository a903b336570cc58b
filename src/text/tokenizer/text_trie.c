#include "text/tokenizer/text_trie.h"

#include <stdlib.h>

/* Keys of the node that is being filled: sorted[low .. high), equal in their first `depth` bytes. */
struct range {
    uint32_t low, high, depth;
};

static int compare_keys(const void *left, const void *right)
{
    const struct qn_text_trie_key *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
    if (order)
        return order;
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    if (a->weight != b->weight)
        return a->weight < b->weight ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static bool add_node(struct qn_text_trie *trie, uint8_t label)
{
    return qn_array_push(&trie->nodes, trie->allocator, (struct qn_text_trie_node){.label = label, .id = -1});
}

qn_status qn_text_trie_init(struct qn_text_trie *trie, struct qn_text_trie_key *keys, uint32_t count,
                            const struct qn_allocator *allocator)
{
    *trie = (struct qn_text_trie){.allocator = allocator};
    if (count == 0)
        return NULL;
    qsort(keys, count, sizeof *keys, compare_keys);
    QN_ARRAY(struct range) ranges = {0}; /* one a node, breadth first */
    bool ok = add_node(trie, 0) && qn_array_push(&ranges, allocator, (struct range){0, count, 0});
    for (uint32_t node = 0; ok && node < trie->nodes.count; node++) {
        struct range r = ranges.items[node];
        while (r.low < r.high && keys[r.low].size == r.depth) {
            if (r.depth)
                trie->nodes.items[node].id = keys[r.low].id;
            r.low++;
        }
        trie->nodes.items[node].children = trie->nodes.count;
        for (uint32_t low = r.low, high = low; ok && low < r.high; low = high) {
            char label = keys[low].text[r.depth];
            while (high < r.high && keys[high].text[r.depth] == label)
                high++;
            ok = add_node(trie, (uint8_t)label) &&
                 qn_array_push(&ranges, allocator, (struct range){low, high, r.depth + 1});
            trie->nodes.items[node].count++;
        }
    }
    qn_array_free(&ranges, allocator);
    return ok ? NULL : QN_OOM();
}

void qn_text_trie_deinit(struct qn_text_trie *trie)
{
    qn_array_free(&trie->nodes, trie->allocator);
}

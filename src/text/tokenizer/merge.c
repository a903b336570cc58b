/* Byte-pair merging: the best pair of neighbours becomes one symbol, until no pair is left. A heap over the pairs of
 * a linked list keeps that O(n log n) for words of any length. */
#include "base/utf8.h"
#include "text/tokenizer/encoding.h"
#include "text/tokenizer/pre.h"

/* ---- pairs ---------------------------------------------------------------------------------------------------- */

/* Puts the pair into the heap when the vocabulary can merge it. False on lack of memory. */
static bool try_pair(struct qn_encoding *e, const char *word, uint32_t left, uint32_t right)
{
    const struct qn_tokenizer *t = e->tokenizer;
    const struct qn_symbol *l = &e->symbols.items[left], *r = &e->symbols.items[right];
    uint32_t preference, size = l->size + r->size;
    int32_t merged;
    if (t->kind == QN_TOKENIZER_BPE) {
        const struct qn_merge_slot *slot = l->id >= 0 && r->id >= 0 ? qn_merge_find(t, l->id, r->id) : NULL;
        if (!slot)
            return true;
        preference = slot->rank;
        merged = slot->merged;
    } else {
        merged = qn_text_ids_find(&t->by_match, word + l->begin, size);
        if (merged < 0)
            return true;
        preference = qn_score_order(t->tokens[merged].score);
    }
    struct qn_merge_entry entry = {(uint64_t)preference << 32 | left, merged, size};
    return qn_merge_heap_push(&e->heap, e->allocator, entry);
}

/* ---- a word --------------------------------------------------------------------------------------------------- */

/* The symbols that merging starts from: bytes, or characters. False on lack of memory. */
static bool split_word(struct qn_encoding *e, const char *word, uint32_t size)
{
    const struct qn_tokenizer *t = e->tokenizer;
    bool bytes = t->kind == QN_TOKENIZER_BPE && !(t->pre_flags & QN_PRE_CHARACTERS);
    e->symbols.count = 0;
    if (!qn_array_reserve(&e->symbols, e->allocator, size))
        return false;
    struct qn_symbol *symbols = e->symbols.items;
    uint32_t count = 0;
    for (uint32_t at = 0; at < size; count++) {
        uint32_t length = bytes || (uint8_t)word[at] < 0x80 ? 1 : (uint32_t)qn_utf8_step(word + at, size - at);
        int32_t id = bytes ? t->byte_ids[(uint8_t)word[at]] : qn_text_ids_find(&t->by_match, word + at, length);
        symbols[count] = (struct qn_symbol){at, length, id, count - 1, count + 1};
        at += length;
    }
    symbols[0].prev = QN_SYMBOL_NONE;
    symbols[count - 1].next = QN_SYMBOL_NONE;
    e->symbols.count = count;
    return true;
}

static bool merge_symbols(struct qn_encoding *e, const char *word)
{
    struct qn_symbol *symbols = e->symbols.items;
    e->heap.list.count = 0;
    for (uint32_t i = 1; i < e->symbols.count; i++)
        if (!try_pair(e, word, i - 1, i))
            return false;
    while (e->heap.list.count) {
        struct qn_merge_entry best = qn_merge_heap_pop(&e->heap);
        uint32_t left = (uint32_t)best.key;
        struct qn_symbol *l = &symbols[left];
        if (l->size == 0 || l->next == QN_SYMBOL_NONE || l->size + symbols[l->next].size != best.size)
            continue; /* one of them has been merged since */
        struct qn_symbol *r = &symbols[l->next];
        l->size = best.size;
        l->id = best.merged;
        l->next = r->next;
        r->size = 0;
        if (r->next != QN_SYMBOL_NONE)
            symbols[r->next].prev = left;
        if ((l->prev != QN_SYMBOL_NONE && !try_pair(e, word, l->prev, left)) ||
            (l->next != QN_SYMBOL_NONE && !try_pair(e, word, left, l->next)))
            return false;
    }
    return true;
}

static bool emit_symbols(struct qn_encoding *e, const char *word)
{
    for (uint32_t i = 0; i != QN_SYMBOL_NONE; i = e->symbols.items[i].next) {
        const struct qn_symbol *symbol = &e->symbols.items[i];
        if (symbol->id >= 0 && !qn_encoding_emit(e, symbol->id))
            return false;
        if (symbol->id < 0 && !qn_encoding_emit_bytes(e, word + symbol->begin, symbol->size))
            return false;
    }
    return true;
}

/* A word that is a token as a whole, where the vocabulary says that this counts; otherwise -1. */
static int32_t whole_word(const struct qn_tokenizer *t, const char *word, size_t size)
{
    if (t->kind != QN_TOKENIZER_BPE || !(t->pre_flags & (QN_PRE_WHOLE_WORDS | QN_PRE_NEWLINES)))
        return -1;
    for (size_t i = 0; i < size && !(t->pre_flags & QN_PRE_WHOLE_WORDS); i++)
        if (word[i] != '\n')
            return -1;
    return qn_text_ids_find(&t->by_match, word, size);
}

/* ---- words that came before ----------------------------------------------------------------------------------- */

enum { CACHED_WORD_BYTES = 64 };

static struct qn_word_slot *word_slot(struct qn_encoding *e, const char *word, size_t size)
{
    return &e->words[(uint32_t)qn_hash(word, size) & (QN_CACHED_WORDS - 1)];
}

qn_status qn_merge_word(struct qn_encoding *e, const char *text, size_t begin, size_t size)
{
    const char *word = text + begin;
    struct qn_word_slot *slot = e->words && size > 1 && size <= CACHED_WORD_BYTES ? word_slot(e, word, size) : NULL;
    if (slot && slot->epoch == e->epoch && slot->size == size && memcmp(text + slot->begin, word, size) == 0) {
        if (e->out->capacity - e->out->count < slot->count && !qn_encoding_grow(e->out, slot->count))
            return QN_OOM();
        memcpy(e->out->ids + e->out->count, e->out->ids + slot->first, slot->count * sizeof *e->out->ids);
        e->out->count += slot->count;
        return NULL;
    }
    size_t first = e->out->count;
    int32_t whole = whole_word(e->tokenizer, word, size);
    bool ok = whole >= 0 ? qn_encoding_emit(e, whole)
                         : split_word(e, word, (uint32_t)size) && merge_symbols(e, word) && emit_symbols(e, word);
    if (!ok)
        return QN_OOM();
    size_t count = e->out->count - first;
    if (slot && first + count <= UINT32_MAX)
        *slot = (struct qn_word_slot){(uint32_t)begin, (uint32_t)size, e->epoch, (uint32_t)first, (uint32_t)count};
    return NULL;
}

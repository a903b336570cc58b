/* The models of a pipeline: a piece of text becomes tokens of the vocabulary. */
#include <stdio.h>

#include "base/utf8.h"
#include "text/tokenizer/pipeline.h"

#define NONE UINT32_MAX

void qn_units_deinit(struct qn_units *u)
{
    qn_array_free(&u->list, u->allocator);
    qn_array_free(&u->symbols, u->allocator);
    qn_array_free(&u->heap.list, u->allocator);
    qn_array_free(&u->bests, u->allocator);
    qn_array_free(&u->pairs, u->allocator);
    qn_strbuf_deinit(&u->buffer);
}

bool qn_unit_emit(struct qn_units *u, int32_t id, size_t begin, size_t end)
{
    struct qn_unit unit = {id, (uint32_t)begin, (uint32_t)end, {NULL, 0}};
    return qn_array_push(&u->list, u->allocator, unit);
}

/* A token whose text is not the vocabulary's. */
static bool emit_as(struct qn_units *u, int32_t id, size_t begin, size_t end, struct qn_str text)
{
    struct qn_unit unit = {id, (uint32_t)begin, (uint32_t)end, text};
    return qn_array_push(&u->list, u->allocator, unit);
}

static qn_status fail_unknown(const struct qn_tokenizer *t, struct qn_str piece)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    if (m->names_unknown)
        return QN_ERROR(QN_INVALID_ARGUMENT, "'%.*s' is not in the vocabulary, and neither is its unknown token '%.*s'",
                        QN_STR_ARG(piece), QN_STR_ARG(m->unknown_text));
    return QN_ERROR(QN_INVALID_ARGUMENT, "'%.*s' is not in the vocabulary, which has no unknown token",
                    QN_STR_ARG(piece));
}

/* ---- BPE ------------------------------------------------------------------------------------------------------ */

static bool add_symbol(struct qn_units *u, int32_t id, uint32_t size)
{
    uint32_t count = u->symbols.count;
    struct qn_unit_symbol symbol = {id, count ? count - 1 : NONE, NONE, size};
    if (count)
        u->symbols.items[count - 1].next = count;
    return qn_array_push(&u->symbols, u->allocator, symbol);
}

static bool try_pair(const struct qn_tokenizer *t, struct qn_units *u, uint32_t left, uint32_t right)
{
    const struct qn_unit_symbol *l = &u->symbols.items[left], *r = &u->symbols.items[right];
    const struct qn_merge_slot *slot = qn_merge_find(t, l->id, r->id);
    if (!slot)
        return true;
    struct qn_merge_entry entry = {(uint64_t)slot->rank << 32 | left, slot->merged, l->size + r->size};
    return qn_merge_heap_push(&u->heap, u->allocator, entry);
}

static bool merge_symbols(const struct qn_tokenizer *t, struct qn_units *u)
{
    struct qn_unit_symbol *symbols = u->symbols.items;
    u->heap.list.count = 0;
    for (uint32_t i = 1; i < u->symbols.count; i++)
        if (!try_pair(t, u, i - 1, i))
            return false;
    while (u->heap.list.count) {
        struct qn_merge_entry best = qn_merge_heap_pop(&u->heap);
        uint32_t at = (uint32_t)best.key;
        struct qn_unit_symbol *left = &symbols[at];
        if (left->size == 0 || left->next == NONE)
            continue;
        struct qn_unit_symbol *right = &symbols[left->next];
        const struct qn_merge_slot *slot = qn_merge_find(t, left->id, right->id);
        if (!slot || slot->merged != best.merged)
            continue; /* one of them has been merged since */
        left->id = best.merged;
        left->size += right->size;
        left->next = right->next;
        right->size = 0;
        if (left->next != NONE)
            symbols[left->next].prev = at;
        if ((left->prev != NONE && !try_pair(t, u, left->prev, at)) ||
            (left->next != NONE && !try_pair(t, u, at, left->next)))
            return false;
    }
    return true;
}

/* The token of a character, with what its place in the word puts before and after it. *text is what was looked up. */
static int32_t character_id(const struct qn_tokenizer *t, struct qn_units *u, struct qn_str character, bool first,
                            bool last, struct qn_str *text)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    bool prefix = m->has_prefix && !first, suffix = m->has_suffix && last;
    *text = character;
    if (!prefix && !suffix) {
        uint32_t c = QN_QUICK_CHARACTERS;
        qn_utf8_decode(character.data, character.size, &c);
        return c < QN_QUICK_CHARACTERS ? m->character_ids[c]
                                       : qn_text_ids_find(&t->by_text, character.data, character.size);
    }
    qn_strbuf_clear(&u->buffer);
    if (prefix)
        qn_strbuf_append(&u->buffer, m->prefix.data, m->prefix.size);
    qn_strbuf_append(&u->buffer, character.data, character.size);
    if (suffix)
        qn_strbuf_append(&u->buffer, m->suffix.data, m->suffix.size);
    *text = qn_strbuf_view(&u->buffer);
    return qn_text_ids_find(&t->by_text, text->data, text->size);
}

static bool add_bytes(const struct qn_unit_model *m, struct qn_units *u, struct qn_str text, bool *ok)
{
    for (size_t i = 0; i < text.size; i++)
        if (m->byte_ids[(uint8_t)text.data[i]] < 0)
            return false;
    for (size_t i = 0; i < text.size && *ok; i++)
        *ok = add_symbol(u, m->byte_ids[(uint8_t)text.data[i]], 1);
    return true;
}

/* The symbols that merging starts from. Bytes that stand for a character do not end a run of unknown ones before them,
 * which therefore comes after them. */
static qn_status split_word(const struct qn_tokenizer *t, struct qn_units *u, struct qn_str word)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    uint32_t unknown = 0; /* bytes of the unknown token that waits */
    bool ok = true;
    u->symbols.count = 0;
    for (size_t at = 0, end; at < word.size && ok; at = end) {
        struct qn_str text, character = {word.data + at, qn_utf8_step(word.data + at, word.size - at)};
        end = at + character.size;
        int32_t id = character_id(t, u, character, at == 0, end == word.size, &text);
        if (u->buffer.failed)
            return QN_OOM();
        if (id >= 0) {
            ok = (!unknown || add_symbol(u, m->unknown, unknown)) && add_symbol(u, id, (uint32_t)character.size);
            unknown = 0;
            continue;
        }
        if (m->byte_fallback && add_bytes(m, u, text, &ok))
            continue;
        if (!m->names_unknown)
            continue;
        if (m->unknown < 0)
            return fail_unknown(t, character);
        if (unknown && !m->fuse_unknown) {
            ok = add_symbol(u, m->unknown, unknown);
            unknown = 0;
        }
        unknown += (uint32_t)character.size;
    }
    ok = ok && (!unknown || add_symbol(u, m->unknown, unknown));
    return ok ? NULL : QN_OOM();
}

static qn_status tokenize_bpe(const struct qn_tokenizer *t, struct qn_str piece, struct qn_units *u)
{
    if (t->pipeline->model.ignore_merges) {
        int32_t whole = qn_text_ids_find(&t->by_text, piece.data, piece.size);
        if (whole >= 0)
            return qn_unit_emit(u, whole, 0, piece.size) ? NULL : QN_OOM();
    }
    QN_TRY(split_word(t, u, piece));
    if (!merge_symbols(t, u))
        return QN_OOM();
    uint32_t at = 0;
    for (uint32_t i = 0; i < u->symbols.count; i++) {
        const struct qn_unit_symbol *symbol = &u->symbols.items[i];
        if (symbol->size && !qn_unit_emit(u, symbol->id, at, at + symbol->size))
            return QN_OOM();
        at += symbol->size;
    }
    return NULL;
}

/* ---- Unigram -------------------------------------------------------------------------------------------------- */

static void improve(struct qn_unit_best *best, double score, size_t from, int32_t id)
{
    if (best->from == NONE || score > best->score)
        *best = (struct qn_unit_best){score, (uint32_t)from, id};
}

static qn_status find_best(const struct qn_tokenizer *t, struct qn_str text, struct qn_unit_best *bests)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    const double unknown_penalty = 10;
    double unknown_score = m->lowest_score - unknown_penalty;
    for (size_t i = 0; i <= text.size; i++)
        bests[i] = (struct qn_unit_best){0, NONE, 0};
    for (size_t at = 0, step; at < text.size; at += step) {
        step = qn_utf8_step(text.data + at, text.size - at);
        double score = bests[at].score;
        bool covered = false;
        uint32_t node = 0;
        for (size_t end = at; t->words.nodes.count && end < text.size; end++) {
            node = qn_text_trie_step(&t->words, node, (uint8_t)text.data[end]);
            if (!node)
                break;
            int32_t id = t->words.nodes.items[node].id;
            if (id < 0)
                continue;
            improve(&bests[end + 1], m->scores[id] + score, at, id);
            covered |= end + 1 - at == step;
        }
        if (covered)
            continue;
        struct qn_unit_best *best = &bests[at + step];
        if ((best->from == NONE || unknown_score + score > best->score) && m->unknown < 0)
            return fail_unknown(t, (struct qn_str){text.data + at, step});
        improve(best, unknown_score + score, at, m->unknown);
    }
    return NULL;
}

/* A stretch of the best split: a token, or unknown characters in a row, which may be a token together. */
static bool emit_stretch(const struct qn_tokenizer *t, struct qn_units *u, struct qn_str piece, size_t begin,
                         size_t end)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    struct qn_str text = {piece.data + begin, end - begin};
    int32_t id = qn_text_ids_find(&t->by_text, text.data, text.size);
    if (id >= 0)
        return qn_unit_emit(u, id, begin, end);
    bool bytes = m->byte_fallback;
    for (size_t i = 0; i < text.size && bytes; i++)
        bytes = m->byte_ids[(uint8_t)text.data[i]] >= 0;
    if (!bytes)
        return emit_as(u, m->unknown, begin, end, text);
    bool ok = true;
    for (size_t i = 0; i < text.size && ok; i++)
        ok = qn_unit_emit(u, m->byte_ids[(uint8_t)text.data[i]], begin, end);
    return ok;
}

static qn_status tokenize_unigram(const struct qn_tokenizer *t, struct qn_str piece, struct qn_units *u)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    if (!qn_array_reserve(&u->bests, u->allocator, piece.size + 1))
        return QN_OOM();
    struct qn_unit_best *bests = u->bests.items;
    QN_TRY(find_best(t, piece, bests));
    /* turn the path round: each end gets the one after it, in `id` of the place where it begins */
    size_t at = piece.size, next = piece.size;
    uint32_t count = 0;
    u->symbols.count = 0;
    while (at > 0) {
        bool unknown = bests[at].id == m->unknown;
        size_t from = bests[at].from;
        while (unknown && from > 0 && bests[from].id == m->unknown)
            from = bests[from].from;
        if (!qn_array_push(&u->symbols, u->allocator, (struct qn_unit_symbol){0, (uint32_t)from, (uint32_t)at, 0}))
            return QN_OOM();
        count++;
        at = next = from;
    }
    (void)next;
    while (count--)
        if (!emit_stretch(t, u, piece, u->symbols.items[count].prev, u->symbols.items[count].next))
            return QN_OOM();
    return NULL;
}

/* ---- WordPiece and whole words -------------------------------------------------------------------------------- */

static qn_status emit_unknown(const struct qn_tokenizer *t, struct qn_units *u, struct qn_str piece)
{
    int32_t unknown = t->pipeline->model.unknown;
    if (unknown < 0)
        return fail_unknown(t, piece);
    return qn_unit_emit(u, unknown, 0, piece.size) ? NULL : QN_OOM();
}

/* The longest token that begins at the place. */
static int32_t longest_at(const struct qn_tokenizer *t, struct qn_str text, struct qn_str prefix, size_t *length)
{
    int32_t best = -1;
    uint32_t node = 0;
    if (!t->words.nodes.count)
        return -1;
    for (size_t i = 0; i < prefix.size; i++) {
        node = qn_text_trie_step(&t->words, node, (uint8_t)prefix.data[i]);
        if (!node)
            return -1;
    }
    for (size_t i = 0; i < text.size; i++) {
        node = qn_text_trie_step(&t->words, node, (uint8_t)text.data[i]);
        if (!node)
            break;
        if (t->words.nodes.items[node].id >= 0) {
            best = t->words.nodes.items[node].id;
            *length = i + 1;
        }
    }
    return best;
}

static qn_status tokenize_wordpiece(const struct qn_tokenizer *t, struct qn_str piece, struct qn_units *u)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    uint64_t characters = 0;
    uint32_t before = u->list.count;
    for (size_t i = 0; i < piece.size; i++)
        characters += ((uint8_t)piece.data[i] & 0xc0) != 0x80;
    if (characters > m->longest_word)
        return emit_unknown(t, u, piece);
    for (size_t at = 0, length; at < piece.size; at += length) {
        struct qn_str rest = {piece.data + at, piece.size - at};
        int32_t id = longest_at(t, rest, at ? m->prefix : (struct qn_str){"", 0}, &length);
        if (id < 0) {
            u->list.count = before;
            return emit_unknown(t, u, piece);
        }
        if (!qn_unit_emit(u, id, at, at + length))
            return QN_OOM();
    }
    return NULL;
}

static qn_status tokenize_word(const struct qn_tokenizer *t, struct qn_str piece, struct qn_units *u)
{
    int32_t id = qn_text_ids_find(&t->by_text, piece.data, piece.size);
    if (id < 0)
        return emit_unknown(t, u, piece);
    return qn_unit_emit(u, id, 0, piece.size) ? NULL : QN_OOM();
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

qn_status qn_unit_tokenize(const struct qn_tokenizer *t, struct qn_str piece, struct qn_units *u)
{
    switch (t->pipeline->model.kind) {
    case QN_UNIT_BPE:
        return tokenize_bpe(t, piece, u);
    case QN_UNIT_UNIGRAM:
        return tokenize_unigram(t, piece, u);
    case QN_UNIT_WORDPIECE:
        return tokenize_wordpiece(t, piece, u);
    case QN_UNIT_WORDLEVEL:
        return tokenize_word(t, piece, u);
    case QN_UNIT_SENTENCE_BPE:
        return qn_unit_sentence_bpe(t, piece, u);
    case QN_UNIT_SENTENCE_UNIGRAM:
        return qn_unit_sentence_unigram(t, piece, u);
    }
    return NULL;
}

/* SentencePiece's own normalizer, models and decoder, for tokenizer.model. */
#include <float.h>

#include "base/utf8.h"
#include "text/tokenizer/pipeline.h"

#define NONE UINT32_MAX

/* The longest text of a trie at text[0..size); 0: none. */
static size_t longest_in(const struct qn_text_trie *trie, const char *text, size_t size)
{
    size_t best = 0;
    uint32_t node = 0;
    if (!trie || !trie->nodes.count)
        return 0;
    for (size_t at = 0; at < size && (node = qn_text_trie_step(trie, node, (uint8_t)text[at])); at++)
        if (trie->nodes.items[node].id >= 0)
            best = at + 1;
    return best;
}

/* ---- normalising ---------------------------------------------------------------------------------------------- */

/* The next stretch of the text and what stands for it. */
static size_t next_stretch(const struct qn_normalizer *n, const char *text, size_t size, struct qn_str *becomes)
{
    size_t length = longest_in(n->kept, text, size);
    if (!length && (length = qn_charsmap_find(&n->charsmap, text, size, true, becomes)))
        return length;
    length = length ? length : qn_utf8_step(text, size);
    *becomes = (struct qn_str){text, length};
    return length;
}

static struct qn_str mark_of(const struct qn_normalizer *n)
{
    return n->mark_spaces ? (struct qn_str){QN_SPACE_MARK, 3} : (struct qn_str){" ", 1};
}

static bool append_marked(const struct qn_normalizer *n, struct qn_aligned *out, struct qn_str text,
                          struct qn_span span)
{
    bool ok = true;
    for (size_t i = 0; i < text.size && ok; i++) {
        struct qn_str part = text.data[i] == ' ' ? mark_of(n) : (struct qn_str){text.data + i, 1};
        ok = qn_aligned_append_at(out, part.data, part.size, span);
    }
    return ok;
}

qn_status qn_spiece_normalize(const struct qn_normalizer *n, struct qn_pretext *p)
{
    const struct qn_aligned *in = &p->scratch[0];
    struct qn_aligned *out = &p->scratch[1];
    const char *text = in->text.items;
    size_t at = 0, size = in->text.count;
    struct qn_str becomes, mark = mark_of(n);
    bool after_space = n->merge_spaces, ok = true;
    out->text.count = out->spans.count = 0;
    out->original = in->original;
    out->original_end = in->original_end;
    for (size_t length; n->merge_spaces && at < size; at += length) {
        length = next_stretch(n, text + at, size - at, &becomes);
        if (becomes.size != 1 || becomes.data[0] != ' ')
            break;
    }
    if (at == size)
        return NULL;
    struct qn_str rest = {text + at, size - at};
    bool marked = n->mark_missing && (rest.data[0] == ' ' || qn_str_starts(rest, mark));
    if (n->mark_before && !p->continued && !(n->mark_once && in->original) && !marked)
        ok = qn_aligned_append_at(out, mark.data, mark.size, in->spans.items[at]);
    for (size_t length; at < size && ok; at += length) {
        length = next_stretch(n, text + at, size - at, &becomes);
        for (; after_space && becomes.size && becomes.data[0] == ' '; becomes.size--)
            becomes.data++;
        struct qn_span span = {in->spans.items[at].begin, in->spans.items[at + length - 1].end};
        ok = append_marked(n, out, becomes, span);
        if (becomes.size)
            after_space = becomes.data[becomes.size - 1] == ' ';
        after_space &= n->merge_spaces;
    }
    while (n->merge_spaces && qn_str_ends(qn_aligned_view(out), mark))
        out->text.count = out->spans.count -= (uint32_t)mark.size;
    if (ok && n->mark_behind)
        ok = qn_aligned_append_at(out, mark.data, mark.size, qn_aligned_before(out, out->text.count));
    return ok ? NULL : QN_OOM();
}

/* ---- results of both models ----------------------------------------------------------------------------------- */

static int32_t id_of(const struct qn_tokenizer *t, const char *text, size_t size)
{
    int32_t id = qn_text_ids_find(&t->by_text, text, size);
    return id >= 0 ? id : t->pipeline->model.unknown;
}

/* Adds a piece of the text; unknown ones become bytes, or one token with the unknown one before. */
static bool put(const struct qn_tokenizer *t, struct qn_units *u, struct qn_str text, size_t begin, size_t end,
                int32_t id, bool *unknown_before)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    bool unknown = id == m->unknown, ok = true, joins = unknown && *unknown_before && !m->byte_fallback;
    *unknown_before = unknown;
    if (joins) {
        u->list.items[u->list.count - 1].end = (uint32_t)end;
        return true;
    }
    if (!unknown || !m->byte_fallback)
        return qn_unit_emit(u, id, begin, end);
    for (size_t i = begin; i < end && ok; i++) {
        int32_t byte = m->byte_ids[(uint8_t)text.data[i]];
        ok = qn_unit_emit(u, byte >= 0 ? byte : m->unknown, begin, end);
    }
    return ok;
}

/* ---- Unigram -------------------------------------------------------------------------------------------------- */

/* Sums are made and compared in single precision: of two orders of the same pieces the one that rounds higher wins. */
static void improve(struct qn_unit_best *best, float score, size_t from, int32_t id)
{
    if (best->from == NONE || score > best->score)
        *best = (struct qn_unit_best){score, (uint32_t)from, id};
}

static float score_of(const struct qn_tokenizer *t, int32_t id, size_t length)
{
    if (t->tokens[id].flags & QN_TOKEN_USER_DEFINED) /* always wins */
        return (float)length * t->pipeline->model.highest_score - 0.1f;
    return t->tokens[id].score;
}

static void find_best(const struct qn_tokenizer *t, struct qn_str text, struct qn_unit_best *bests)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    const float unknown_score = (float)m->lowest_score - 10.0f;
    for (size_t i = 0; i <= text.size; i++)
        bests[i] = (struct qn_unit_best){0, NONE, 0};
    for (size_t at = 0, step; at < text.size; at += step) {
        step = qn_utf8_step(text.data + at, text.size - at);
        float score = bests[at].score;
        bool covered = false;
        uint32_t node = 0;
        for (size_t end = at; t->words.nodes.count && end < text.size; end++) {
            node = qn_text_trie_step(&t->words, node, (uint8_t)text.data[end]);
            if (!node)
                break;
            int32_t id = t->words.nodes.items[node].id;
            if (id < 0 || (t->tokens[id].flags & QN_TOKEN_UNUSED))
                continue;
            improve(&bests[end + 1], score_of(t, id, end + 1 - at) + score, at, id);
            covered |= end + 1 - at == step;
        }
        if (!covered)
            improve(&bests[at + step], unknown_score + score, at, m->unknown);
    }
}

qn_status qn_unit_sentence_unigram(const struct qn_tokenizer *t, struct qn_str text, struct qn_units *u)
{
    if (!qn_array_reserve(&u->bests, u->allocator, text.size + 1))
        return QN_OOM();
    struct qn_unit_best *bests = u->bests.items;
    find_best(t, text, bests);
    u->symbols.count = 0;
    for (size_t at = text.size; at > 0; at = bests[at].from)
        if (!qn_array_push(&u->symbols, u->allocator,
                           (struct qn_unit_symbol){bests[at].id, bests[at].from, (uint32_t)at, 0}))
            return QN_OOM();
    bool unknown = false, ok = true;
    for (uint32_t i = u->symbols.count; i-- && ok;) {
        const struct qn_unit_symbol *s = &u->symbols.items[i];
        ok = put(t, u, text, s->prev, s->next, s->id, &unknown);
    }
    return ok ? NULL : QN_OOM();
}

/* ---- BPE ------------------------------------------------------------------------------------------------------ */

/* A symbol's place in the text: the sizes of those before it. */
struct word {
    const struct qn_tokenizer *tokenizer;
    struct qn_units *u;
    struct qn_str text;
};

enum { FROZEN = 1 };

/* u->bests[i].from holds where symbol i begins. */
static uint32_t begin_of(const struct word *w, uint32_t symbol)
{
    return w->u->bests.items[symbol].from;
}

static bool try_pair(const struct word *w, uint32_t left, uint32_t right)
{
    const uint32_t never = QN_TOKEN_CONTROL | QN_TOKEN_UNKNOWN | QN_TOKEN_BYTE;
    const struct qn_tokenizer *t = w->tokenizer;
    const struct qn_unit_symbol *l = &w->u->symbols.items[left], *r = &w->u->symbols.items[right];
    if (l->id == FROZEN || r->id == FROZEN)
        return true;
    uint32_t begin = begin_of(w, left), size = l->size + r->size;
    int32_t id = qn_text_ids_find(&t->by_text, w->text.data + begin, size);
    if (id < 0 || (t->tokens[id].flags & never))
        return true;
    if ((t->tokens[id].flags & QN_TOKEN_UNUSED) &&
        !qn_array_push(&w->u->pairs, w->u->allocator, (struct qn_unit_pair){begin, size, l->size}))
        return false;
    uint64_t key = (uint64_t)qn_score_order(t->tokens[id].score) << 32 | left;
    return qn_merge_heap_push(&w->u->heap, w->u->allocator, (struct qn_merge_entry){key, id, size});
}

static bool split(const struct word *w)
{
    struct qn_units *u = w->u;
    u->symbols.count = u->bests.count = u->pairs.count = u->heap.list.count = 0;
    for (size_t at = 0; at < w->text.size;) {
        size_t kept = longest_in(&w->tokenizer->special, w->text.data + at, w->text.size - at);
        size_t size = kept ? kept : qn_utf8_step(w->text.data + at, w->text.size - at);
        uint32_t i = u->symbols.count;
        struct qn_unit_symbol symbol = {kept ? FROZEN : 0, i ? i - 1 : NONE, i + 1, (uint32_t)size};
        if (!qn_array_push(&u->symbols, u->allocator, symbol) ||
            !qn_array_push(&u->bests, u->allocator, (struct qn_unit_best){0, (uint32_t)at, 0}))
            return false;
        at += size;
    }
    u->symbols.items[u->symbols.count - 1].next = NONE;
    return true;
}

static bool merge(const struct word *w)
{
    struct qn_units *u = w->u;
    struct qn_unit_symbol *symbols = u->symbols.items;
    for (uint32_t i = 1; i < u->symbols.count; i++)
        if (!try_pair(w, i - 1, i))
            return false;
    while (u->heap.list.count) {
        struct qn_merge_entry best = qn_merge_heap_pop(&u->heap);
        uint32_t at = (uint32_t)best.key;
        struct qn_unit_symbol *l = &symbols[at];
        if (l->size == 0 || l->next == NONE || l->size + symbols[l->next].size != best.size)
            continue; /* one of them has been merged since */
        struct qn_unit_symbol *r = &symbols[l->next];
        l->size = best.size;
        l->next = r->next;
        r->size = 0;
        if (l->next != NONE)
            symbols[l->next].prev = at;
        if ((l->prev != NONE && !try_pair(w, l->prev, at)) || (l->next != NONE && !try_pair(w, at, l->next)))
            return false;
    }
    return true;
}

/* Adds a symbol's token; an unused one falls apart into what it was merged from. */
static bool put_symbol(const struct word *w, uint32_t begin, uint32_t size, bool *unknown, uint32_t depth)
{
    enum { DEPTH_MAX = 1000 };
    const struct qn_tokenizer *t = w->tokenizer;
    int32_t id = id_of(t, w->text.data + begin, size);
    bool unused = t->tokens[id].flags & QN_TOKEN_UNUSED;
    for (uint32_t i = w->u->pairs.count; i-- && unused && depth < DEPTH_MAX;) {
        struct qn_unit_pair pair = w->u->pairs.items[i];
        if (pair.size == size && memcmp(w->text.data + pair.begin, w->text.data + begin, size) == 0)
            return put_symbol(w, begin, pair.left, unknown, depth + 1) &&
                   put_symbol(w, begin + pair.left, size - pair.left, unknown, depth + 1);
    }
    return put(t, w->u, w->text, begin, begin + size, id, unknown);
}

qn_status qn_unit_sentence_bpe(const struct qn_tokenizer *t, struct qn_str text, struct qn_units *u)
{
    struct word w = {t, u, text};
    if (!split(&w) || !merge(&w))
        return QN_OOM();
    bool unknown = false, ok = true;
    for (uint32_t i = 0; i != NONE && ok; i = u->symbols.items[i].next)
        ok = put_symbol(&w, begin_of(&w, i), u->symbols.items[i].size, &unknown, 0);
    return ok ? NULL : QN_OOM();
}

/* ---- decoding ------------------------------------------------------------------------------------------------- */

static void append_bytes(struct qn_strbuf *out, struct qn_str bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        uint32_t c;
        size_t size = qn_utf8_decode(bytes.data + at, bytes.size - at, &c);
        if (size)
            qn_strbuf_append(out, bytes.data + at, size);
        else
            qn_strbuf_append(out, "\xef\xbf\xbd", 3);
        at += size ? size : 1;
    }
}

static void append_unmarked(struct qn_strbuf *out, struct qn_str text)
{
    for (size_t at = 0; at < text.size;) {
        bool mark = text.size - at >= 3 && memcmp(text.data + at, QN_SPACE_MARK, 3) == 0;
        qn_strbuf_append(out, mark ? " " : text.data + at, 1);
        at += mark ? 3 : 1;
    }
}

/* The text of one token; *mark: a mark was dropped from its beginning. */
static void append_token(const struct qn_tokenizer *t, const struct qn_token *token, bool special, bool begins,
                         struct qn_strbuf *out, bool *mark)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    struct qn_str text = {token->text, token->text_size}, all = {QN_SPACE_MARK, 3};
    *mark = false;
    if (t->pipeline->hidden[token - t->tokens]) {
        if (special)
            qn_strbuf_append(out, text.data, text.size);
        return;
    }
    if (token->flags & QN_TOKEN_UNKNOWN) {
        qn_strbuf_append(out, m->unknown_shown.data, m->unknown_shown.size);
        return;
    }
    if (begins && m->trims_mark && qn_str_starts(text, all)) {
        text = (struct qn_str){text.data + 3, text.size - 3};
        *mark = !m->trims_marks;
    }
    append_unmarked(out, text);
}

qn_status qn_spiece_decode(const struct qn_tokenizer *t, const int32_t *ids, size_t count, bool special,
                           struct qn_strbuf *out)
{
    struct qn_strbuf bytes;
    size_t before = out->size;
    bool begins = true, mark = false;
    qn_strbuf_init(&bytes, t->arena.allocator);
    for (size_t i = 0; i < count; i++) {
        const struct qn_token *token = &t->tokens[ids[i]];
        if (token->flags & QN_TOKEN_BYTE) {
            qn_strbuf_append(&bytes, token->piece, token->piece_size);
            continue;
        }
        append_bytes(out, qn_strbuf_view(&bytes));
        qn_strbuf_clear(&bytes);
        begins &= !mark && out->size == before;
        append_token(t, token, special, begins, out, &mark);
    }
    append_bytes(out, qn_strbuf_view(&bytes));
    bool failed = bytes.failed || out->failed;
    qn_strbuf_deinit(&bytes);
    return failed ? QN_OOM() : NULL;
}

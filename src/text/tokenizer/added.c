/* Added tokens: found in the text as it came, then in the normalised text. */
#include "base/utf8.h"
#include "text/tokenizer/character_set.h"
#include "text/tokenizer/pipeline.h"

int32_t qn_added_at(const struct qn_text_trie *trie, const char *text, size_t size, size_t *length)
{
    int32_t best = -1;
    uint32_t node = 0;
    if (!trie->nodes.count)
        return -1;
    for (size_t at = 0; at < size && (node = qn_text_trie_step(trie, node, (uint8_t)text[at])); at++)
        if (trie->nodes.items[node].id >= 0) {
            best = trie->nodes.items[node].id;
            *length = at + 1;
        }
    return best;
}

/* ---- what stands around a match ------------------------------------------------------------------------------- */

static uint32_t character_at(const char *text, size_t size, size_t *length)
{
    uint32_t c = 0xfffd;
    *length = qn_utf8_decode(text, size, &c);
    *length = *length ? *length : 1;
    return c;
}

/* The last character of text[0..end), and where it begins. */
static uint32_t character_before(const char *text, size_t end, size_t *begin)
{
    size_t length, at = end - 1;
    while (at && ((uint8_t)text[at] & 0xc0) == 0x80)
        at--;
    *begin = at;
    return character_at(text + at, end - at, &length);
}

static bool stands_alone(struct qn_str text, size_t begin, size_t end)
{
    size_t unused;
    return !(begin && qn_is_word(character_before(text.data, begin, &unused))) &&
           !(end < text.size && qn_is_word(character_at(text.data + end, text.size - end, &unused)));
}

static size_t before_white(struct qn_str text, size_t end)
{
    for (size_t begin; end && qn_is_white(character_before(text.data, end, &begin));)
        end = begin;
    return end;
}

static size_t behind_white(struct qn_str text, size_t at)
{
    for (size_t length; at < text.size && qn_is_white(character_at(text.data + at, text.size - at, &length));)
        at += length;
    return at;
}

/* ---- searching ------------------------------------------------------------------------------------------------ */

struct search {
    const struct qn_pipeline *pipeline;
    const struct qn_text_trie *trie;
    const bool *starts;
    bool special;
};

/* Adds text[begin..end) of an aligned text as a fragment of its own. */
static bool push(struct qn_pretext *p, const struct qn_aligned *in, size_t begin, size_t end, int32_t added)
{
    if (begin >= end)
        return true;
    struct qn_fragment f = {(uint32_t)begin, (uint32_t)end, in->spans.items[begin].begin, in->spans.items[end - 1].end,
                            added};
    return qn_array_push(&p->next_fragments, p->allocator, f);
}

static qn_status search(const struct search *s, struct qn_pretext *p, const struct qn_aligned *in)
{
    struct qn_str text = qn_aligned_view(in);
    size_t done = 0;
    for (size_t at = 0; at < text.size;) {
        size_t length = 0;
        int32_t index = -1;
        if (s->starts[(uint8_t)text.data[at]])
            index = qn_added_at(s->trie, text.data + at, text.size - at, &length);
        if (index < 0) {
            at++;
            continue;
        }
        const struct qn_added_token *token = &s->pipeline->added[index];
        size_t begin = at, end = at + length;
        at = end; /* a match that is passed over still ends here */
        if ((token->special && !s->special) || (token->single_word && !stands_alone(text, begin, end)))
            continue;
        if (token->lstrip) {
            size_t stripped = before_white(text, begin);
            begin = stripped > done ? stripped : done;
        }
        if (token->rstrip)
            end = behind_white(text, end);
        if ((done < begin && !push(p, in, done, begin, -1)) || !push(p, in, begin, end, index))
            return QN_OOM();
        done = end;
    }
    return done == text.size || push(p, in, done, text.size, -1) ? NULL : QN_OOM();
}

/* ---- both passes ---------------------------------------------------------------------------------------------- */

/* Makes text[f] of `from` the text of scratch[0]. */
static qn_status load(struct qn_pretext *p, const struct qn_aligned *from, const struct qn_fragment *f)
{
    struct qn_aligned *to = &p->scratch[0];
    to->text.count = to->spans.count = 0;
    to->original = f->original;
    to->original_end = f->original_end;
    bool ok = qn_aligned_append(to, from->text.items + f->begin, from->spans.items + f->begin, f->end - f->begin);
    return ok ? NULL : QN_OOM();
}

/* Moves the new fragments from the i-th on behind the working text's end. */
static bool settle(struct qn_pretext *p, uint32_t first, const struct qn_aligned *from)
{
    uint32_t shift = p->text.text.count;
    for (uint32_t i = first; i < p->next_fragments.count; i++) {
        p->next_fragments.items[i].begin += shift;
        p->next_fragments.items[i].end += shift;
    }
    return qn_aligned_append(&p->text, from->text.items, from->spans.items, from->text.count);
}

qn_status qn_find_added(const struct qn_pipeline *pipeline, struct qn_pretext *p, bool special)
{
    struct search raw = {pipeline, &pipeline->added_raw, pipeline->starts_raw, special};
    struct search normalized = {pipeline, &pipeline->added_normalized, pipeline->starts_normalized, special};
    /* first the text as it came, which moves to p->next */
    QN_TRY(search(&raw, p, &p->scratch[0]));
    struct qn_aligned whole = p->scratch[0];
    p->scratch[0] = p->next;
    p->next = whole;
    uint32_t count = p->next_fragments.count;
    struct qn_fragment *fragments = p->next_fragments.items;
    uint32_t capacity = p->next_fragments.capacity;
    p->next_fragments.items = p->fragments.items;
    p->next_fragments.capacity = p->fragments.capacity;
    p->next_fragments.count = 0;
    p->fragments.items = fragments;
    p->fragments.capacity = capacity;
    p->fragments.count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct qn_fragment *f = &p->fragments.items[i];
        uint32_t first = p->next_fragments.count;
        QN_TRY(load(p, &p->next, f));
        if (f->added >= 0) {
            if (!push(p, &p->scratch[0], 0, p->scratch[0].text.count, f->added))
                return QN_OOM();
        } else {
            QN_TRY(qn_normalize(pipeline, p));
            QN_TRY(search(&normalized, p, &p->scratch[0]));
        }
        if (!settle(p, first, &p->scratch[0]))
            return QN_OOM();
    }
    p->fragments.items = p->next_fragments.items;
    p->fragments.count = p->next_fragments.count;
    p->fragments.capacity = p->next_fragments.capacity;
    p->next_fragments.items = fragments;
    p->next_fragments.count = 0;
    p->next_fragments.capacity = capacity;
    p->next.text.count = p->next.spans.count = 0;
    return NULL;
}

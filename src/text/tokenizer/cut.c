/* The pre-tokenizers of a pipeline: each cuts every fragment that is no added token, some change its text first. */
#include "base/utf8.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/character_set.h"
#include "text/tokenizer/pipeline.h"

/* ---- fragments ------------------------------------------------------------------------------------------------ */

static struct qn_str text_of(const struct qn_pretext *p, const struct qn_fragment *f)
{
    return (struct qn_str){p->text.text.items + f->begin, f->end - f->begin};
}

static uint32_t next_character(struct qn_str text, size_t *at)
{
    uint32_t c = (uint8_t)text.data[*at];
    size_t size = c < 0x80 ? 1 : qn_utf8_decode(text.data + *at, text.size - *at, &c);
    *at += size ? size : 1;
    return size ? c : 0xfffd;
}

/* Adds the pieces of a fragment, which count from its beginning, to the next fragments. */
static qn_status take_pieces(struct qn_pretext *p, const struct qn_fragment *f)
{
    const struct qn_span *spans = p->text.spans.items;
    for (uint32_t i = 0; i < p->pieces.list.count; i++) {
        uint32_t begin = f->begin + p->pieces.list.items[i].begin, end = f->begin + p->pieces.list.items[i].end;
        struct qn_fragment piece = {begin, end, spans[begin].begin, spans[end - 1].end, -1};
        if (!qn_array_push(&p->next_fragments, p->allocator, piece))
            return QN_OOM();
    }
    p->pieces.list.count = 0;
    return NULL;
}

static void swap_fragments(struct qn_pretext *p)
{
    struct qn_fragment *items = p->fragments.items;
    uint32_t capacity = p->fragments.capacity;
    p->fragments.items = p->next_fragments.items;
    p->fragments.count = p->next_fragments.count;
    p->fragments.capacity = p->next_fragments.capacity;
    p->next_fragments.items = items;
    p->next_fragments.count = 0;
    p->next_fragments.capacity = capacity;
}

/* ---- cutting by characters ------------------------------------------------------------------------------------ */

struct delimiter {
    bool (*is)(uint32_t c);
    uint32_t c; /* when `is` is NULL */
};

static bool is_delimiter(const struct delimiter *d, uint32_t c)
{
    return d->is ? d->is(c) : c == d->c;
}

static qn_status cut_at(struct qn_pretext *p, struct qn_str text, const struct delimiter *d,
                        enum qn_split_behavior behavior)
{
    struct qn_splitter s;
    size_t last = 0;
    bool ok = true;
    qn_splitter_begin(&s, behavior, false, p->allocator, &p->pieces);
    for (size_t at = 0; at < text.size && ok;) {
        size_t from = at;
        if (!is_delimiter(d, next_character(text, &at)))
            continue;
        ok = (last == from || qn_splitter_add(&s, last, from, false)) && qn_splitter_add(&s, from, at, true);
        last = at;
    }
    ok = ok && (last == text.size || qn_splitter_add(&s, last, text.size, false));
    if (!ok)
        return QN_OOM();
    qn_splitter_end(&s);
    return NULL;
}

static bool push_piece(struct qn_pretext *p, size_t begin, size_t end)
{
    return begin == end ||
           qn_array_push(&p->pieces.list, p->allocator, (struct qn_piece){(uint32_t)begin, (uint32_t)end});
}

/* Runs of word characters, and runs of what is neither such nor white. */
static qn_status cut_words(struct qn_pretext *p, struct qn_str text)
{
    enum { SPACE, WORD, OTHER } last = SPACE;
    size_t begin = 0;
    for (size_t at = 0; at < text.size;) {
        size_t from = at;
        uint32_t c = next_character(text, &at);
        int kind = qn_is_word(c) ? WORD : qn_is_white(c) ? SPACE : OTHER;
        if (kind == (int)last)
            continue;
        if (last != SPACE && !push_piece(p, begin, from))
            return QN_OOM();
        begin = from;
        last = kind;
    }
    return last == SPACE || push_piece(p, begin, text.size) ? NULL : QN_OOM();
}

/* Runs of one script; what goes with any belongs to the run before it, and is dropped at the beginning. */
static qn_status cut_scripts(struct qn_pretext *p, struct qn_str text)
{
    enum { KANA_MARK = 0x30fc };
    uint32_t han = qn_script_of(0x4e00), hiragana = qn_script_of(0x3042), katakana = qn_script_of(0x30a2), last = 0;
    size_t begin = 0;
    for (size_t at = 0; at < text.size;) {
        size_t from = at;
        uint32_t c = next_character(text, &at), script = qn_script_of(c);
        if (script == hiragana || script == katakana || c == KANA_MARK)
            script = han;
        if (c == ' ')
            script = 0;
        if (script && script != last) {
            if (last && !push_piece(p, begin, from))
                return QN_OOM();
            begin = from;
            last = script;
        }
    }
    return !last || push_piece(p, begin, text.size) ? NULL : QN_OOM();
}

static qn_status cut_lengths(struct qn_pretext *p, struct qn_str text, uint64_t length)
{
    size_t begin = 0;
    uint64_t count = 0;
    for (size_t at = 0; at < text.size;) {
        next_character(text, &at);
        if (++count < length && at < text.size)
            continue;
        if (!push_piece(p, begin, at))
            return QN_OOM();
        begin = at;
        count = 0;
    }
    return NULL;
}

static qn_status cut_pattern(struct qn_pretext *p, struct qn_str text, const struct qn_split *split)
{
    if (!p->matcher)
        QN_TRY(qn_matcher_create(p->allocator, &p->matcher));
    return qn_split_piece(split, p->matcher, text.data, (struct qn_piece){0, (uint32_t)text.size}, p->allocator,
                          &p->pieces);
}

/* ---- changing the text ---------------------------------------------------------------------------------------- */

/* Moves the text of a fragment to the end of p->next and lets the fragment point there. `before`: what is put before
 * it; `from`, `to`: a byte that becomes a text. */
static qn_status rewrite(struct qn_pretext *p, struct qn_fragment *f, bool mark, struct qn_str to, struct qn_str before)
{
    struct qn_aligned *next = &p->next;
    const struct qn_span *spans = p->text.spans.items;
    const char *text = p->text.text.items;
    uint32_t begin = next->text.count;
    bool ok = before.size == 0 || qn_aligned_append_at(next, before.data, before.size, spans[f->begin]);
    for (uint32_t at = f->begin; at < f->end && ok;) {
        const char *space = mark ? memchr(text + at, ' ', f->end - at) : NULL;
        uint32_t end = space ? (uint32_t)(space - text) : f->end;
        ok = qn_aligned_append(next, text + at, spans + at, end - at) &&
             (!space || qn_aligned_append_at(next, to.data, to.size, spans[end]));
        at = end + (space != NULL);
    }
    f->begin = begin;
    f->end = next->text.count;
    return ok ? NULL : QN_OOM();
}

/* Makes p->next the working text. */
static void swap_texts(struct qn_pretext *p)
{
    struct qn_aligned other = p->text;
    p->text = p->next;
    p->next = other;
    p->next.text.count = p->next.spans.count = 0;
}

/* All fragments move, added tokens too. */
static qn_status metaspace(const struct qn_cutter *cutter, struct qn_pretext *p)
{
    char mark[4];
    struct qn_str to = {mark, qn_utf8_encode(cutter->c, mark)};
    for (uint32_t i = 0; i < p->fragments.count; i++) {
        struct qn_fragment *f = &p->fragments.items[i];
        struct qn_str text = text_of(p, f);
        bool starts = qn_str_starts(text, to) || qn_str_starts(text, QN_STR(" "));
        bool wants = cutter->scheme == QN_PREPEND_ALWAYS || (cutter->scheme == QN_PREPEND_FIRST && f->original == 0);
        bool put = wants && !starts && !p->continued && f->added < 0;
        QN_TRY(rewrite(p, f, f->added < 0, to, put ? to : (struct qn_str){"", 0}));
    }
    swap_texts(p);
    for (uint32_t i = 0; i < p->fragments.count; i++) {
        const struct qn_fragment *f = &p->fragments.items[i];
        struct delimiter delimiter = {NULL, cutter->c};
        if (f->added >= 0 || !cutter->each) {
            if (!qn_array_push(&p->next_fragments, p->allocator, *f))
                return QN_OOM();
            continue;
        }
        QN_TRY(cut_at(p, text_of(p, f), &delimiter, QN_SPLIT_MERGED_WITH_NEXT));
        QN_TRY(take_pieces(p, f));
    }
    swap_fragments(p);
    return NULL;
}

/* Appends the fragment in GPT-2's alphabet. */
static qn_status spell_bytes(struct qn_pretext *p, struct qn_fragment *f)
{
    struct qn_aligned *next = &p->next;
    uint32_t begin = next->text.count;
    for (uint32_t at = f->begin; at < f->end; at++) {
        char utf8[4];
        size_t size = qn_utf8_encode(qn_byte_level_character((uint8_t)p->text.text.items[at]), utf8);
        if (!qn_aligned_append_at(next, utf8, size, p->text.spans.items[at]))
            return QN_OOM();
    }
    f->begin = begin;
    f->end = next->text.count;
    return NULL;
}

static qn_status byte_level(const struct qn_cutter *cutter, const struct qn_pipeline *pipeline, struct qn_pretext *p)
{
    struct qn_split split = {.regex = pipeline->gpt2, .behavior = QN_SPLIT_ISOLATED};
    if (cutter->prefix_space && !p->continued) {
        for (uint32_t i = 0; i < p->fragments.count; i++) {
            struct qn_fragment *f = &p->fragments.items[i];
            bool put = f->added < 0 && p->text.text.items[f->begin] != ' ';
            QN_TRY(rewrite(p, f, false, QN_STR(""), put ? QN_STR(" ") : QN_STR("")));
        }
        swap_texts(p);
    }
    for (uint32_t i = 0; i < p->fragments.count; i++) {
        const struct qn_fragment *f = &p->fragments.items[i];
        if (f->added >= 0 || !cutter->use_regex) {
            if (!qn_array_push(&p->next_fragments, p->allocator, *f))
                return QN_OOM();
            continue;
        }
        QN_TRY(cut_pattern(p, text_of(p, f), &split));
        QN_TRY(take_pieces(p, f));
    }
    swap_fragments(p);
    for (uint32_t i = 0; i < p->fragments.count; i++) {
        struct qn_fragment *f = &p->fragments.items[i];
        QN_TRY(f->added >= 0 ? rewrite(p, f, false, QN_STR(""), QN_STR("")) : spell_bytes(p, f));
    }
    swap_texts(p);
    return NULL;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static qn_status cut_fragment(const struct qn_cutter *cutter, struct qn_pretext *p, struct qn_str text)
{
    struct delimiter white = {qn_is_white, 0}, number = {qn_is_numeric, 0}, punctuation = {qn_is_punctuation, 0},
                     one = {NULL, cutter->c};
    switch (cutter->kind) {
    case QN_CUTTER_DELIMITER:
        return cut_at(p, text, &one, QN_SPLIT_REMOVED);
    case QN_CUTTER_BERT: /* in two passes, of which this is the first */
    case QN_CUTTER_WHITESPACE_SPLIT:
        return cut_at(p, text, &white, QN_SPLIT_REMOVED);
    case QN_CUTTER_PUNCTUATION:
        return cut_at(p, text, &punctuation, cutter->split.behavior);
    case QN_CUTTER_DIGITS:
        return cut_at(p, text, &number, cutter->each ? QN_SPLIT_ISOLATED : QN_SPLIT_CONTIGUOUS);
    case QN_CUTTER_WHITESPACE:
        return cut_words(p, text);
    case QN_CUTTER_SPLIT:
        return cut_pattern(p, text, &cutter->split);
    case QN_CUTTER_SCRIPTS:
        return cut_scripts(p, text);
    case QN_CUTTER_FIXED_LENGTH:
        return cut_lengths(p, text, cutter->length);
    case QN_CUTTER_BYTE_LEVEL:
    case QN_CUTTER_METASPACE:
        break;
    }
    return NULL;
}

static qn_status cut_all(const struct qn_cutter *cutter, struct qn_pretext *p)
{
    for (uint32_t i = 0; i < p->fragments.count; i++) {
        const struct qn_fragment *f = &p->fragments.items[i];
        if (f->added >= 0) {
            if (!qn_array_push(&p->next_fragments, p->allocator, *f))
                return QN_OOM();
            continue;
        }
        QN_TRY(cut_fragment(cutter, p, text_of(p, f)));
        QN_TRY(take_pieces(p, f));
    }
    swap_fragments(p);
    return NULL;
}

static qn_status apply(const struct qn_cutter *cutter, const struct qn_pipeline *pipeline, struct qn_pretext *p)
{
    static const struct qn_cutter punctuation = {.kind = QN_CUTTER_PUNCTUATION,
                                                 .split = {.behavior = QN_SPLIT_ISOLATED}};
    switch (cutter->kind) {
    case QN_CUTTER_BYTE_LEVEL:
        return byte_level(cutter, pipeline, p);
    case QN_CUTTER_METASPACE:
        return metaspace(cutter, p);
    case QN_CUTTER_BERT:
        QN_TRY(cut_all(cutter, p));
        return cut_all(&punctuation, p);
    default:
        return cut_all(cutter, p);
    }
}

qn_status qn_cut(const struct qn_pipeline *pipeline, struct qn_pretext *p)
{
    for (uint32_t i = 0; i < pipeline->cutter_count; i++)
        QN_TRY(apply(&pipeline->cutters[i], pipeline, p));
    return NULL;
}

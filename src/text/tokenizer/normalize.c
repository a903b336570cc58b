/* The normalizers of a pipeline: each makes a list of changes, which the text then goes through. */
#include "base/utf8.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/character_set.h"
#include "text/tokenizer/pipeline.h"

#include <utf8proc.h>

/* ---- changes -------------------------------------------------------------------------------------------------- */

static bool put(struct qn_pretext *p, uint32_t c, int32_t change)
{
    return qn_array_push(&p->changes.list, p->allocator, (struct qn_change){c, change});
}

static uint32_t next_character(struct qn_str text, size_t *at)
{
    uint32_t c = (uint8_t)text.data[*at];
    size_t size = c < 0x80 ? 1 : qn_utf8_decode(text.data + *at, text.size - *at, &c);
    *at += size ? size : 1;
    return size ? c : 0xfffd;
}

static struct qn_str current(const struct qn_pretext *p)
{
    return qn_aligned_view(&p->scratch[0]);
}

/* Makes scratch[1] the current text. */
static void swap(struct qn_pretext *p)
{
    struct qn_aligned other = p->scratch[0];
    p->scratch[0] = p->scratch[1];
    p->scratch[1] = other;
}

/* Lets the text go through p->changes, which are then used up. */
static qn_status transform(struct qn_pretext *p, size_t removed)
{
    QN_TRY(qn_aligned_transform(&p->scratch[0], &p->changes, removed, &p->scratch[1]));
    p->changes.list.count = 0;
    swap(p);
    return NULL;
}

/* Keeps the characters that `keep` names. */
static qn_status filter(struct qn_pretext *p, bool (*keep)(uint32_t c))
{
    struct qn_str text = current(p);
    size_t removed_first = 0;
    int32_t removed = 0;
    bool any = false;
    for (size_t at = 0; at < text.size;) {
        uint32_t c = next_character(text, &at);
        if (!keep(c)) {
            removed++;
            continue;
        }
        if (any)
            p->changes.list.items[p->changes.list.count - 1].change = -removed;
        else
            removed_first = (size_t)removed;
        if (!put(p, c, 0))
            return QN_OOM();
        any = true;
        removed = 0;
    }
    if (any)
        p->changes.list.items[p->changes.list.count - 1].change = -removed;
    return transform(p, removed_first);
}

static qn_status map(struct qn_pretext *p, uint32_t (*to)(uint32_t c))
{
    struct qn_str text = current(p);
    for (size_t at = 0; at < text.size;)
        if (!put(p, to(next_character(text, &at)), 0))
            return QN_OOM();
    return transform(p, 0);
}

static bool is_ascii(struct qn_str text)
{
    uint8_t all = 0;
    for (size_t i = 0; i < text.size; i++)
        all |= (uint8_t)text.data[i];
    return all < 0x80;
}

/* Characters that were put in before the beginning of the original are left alone by some steps: then the short ways
 * do not apply. */
static bool is_plain(const struct qn_pretext *p)
{
    const struct qn_aligned *a = &p->scratch[0];
    return a->spans.count == 0 || a->spans.items[0].begin < a->spans.items[0].end;
}

/* ---- letters -------------------------------------------------------------------------------------------------- */

static qn_status lowercase(struct qn_pretext *p)
{
    struct qn_str text = current(p);
    if (is_plain(p) && is_ascii(text)) {
        char *bytes = p->scratch[0].text.items;
        for (size_t i = 0; i < text.size; i++)
            bytes[i] = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] | 0x20) : bytes[i];
        return NULL;
    }
    for (size_t at = 0; at < text.size;) {
        uint32_t c = next_character(text, &at);
        bool two = c == 0x130; /* the one letter whose small form is two */
        if (!put(p, two ? 'i' : qn_to_lower(c), 0) || (two && !put(p, 0x307, 1)))
            return QN_OOM();
    }
    return transform(p, 0);
}

static qn_status normal_form(struct qn_pretext *p, enum qn_normal_form form)
{
    if (is_plain(p) && qn_normal_already(current(p)))
        return NULL;
    QN_TRY(qn_normal_form(form, current(p), p->allocator, &p->changes));
    return transform(p, 0);
}

static bool is_no_mark(uint32_t c)
{
    return !qn_is_mark(c);
}

static bool is_no_accent(uint32_t c)
{
    return !qn_is_accent(c);
}

/* ---- BERT ----------------------------------------------------------------------------------------------------- */

static bool is_shown(uint32_t c)
{
    return !qn_is_hidden(c);
}

static uint32_t plain_space(uint32_t c)
{
    return qn_is_white(c) ? ' ' : c;
}

static qn_status part_chinese(struct qn_pretext *p)
{
    struct qn_str text = current(p);
    bool any = false;
    for (size_t at = 0; at < text.size && !any;)
        any = qn_is_chinese(next_character(text, &at));
    if (!any && is_plain(p))
        return NULL;
    for (size_t at = 0; at < text.size;) {
        uint32_t c = next_character(text, &at);
        bool chinese = qn_is_chinese(c);
        if (!put(p, chinese ? ' ' : c, 0) || (chinese && (!put(p, c, 1) || !put(p, ' ', 1))))
            return QN_OOM();
    }
    return transform(p, 0);
}

static bool is_clean(struct qn_str text)
{
    uint8_t flaws = 0;
    for (size_t i = 0; i < text.size; i++)
        flaws |= (uint8_t)text.data[i] < 0x20 || (uint8_t)text.data[i] >= 0x7f;
    return !flaws;
}

static qn_status bert(const struct qn_normalizer *n, struct qn_pretext *p)
{
    if (n->clean && !(is_plain(p) && is_clean(current(p)))) {
        QN_TRY(filter(p, is_shown));
        QN_TRY(map(p, plain_space));
    }
    if (n->chinese)
        QN_TRY(part_chinese(p));
    if (n->accents && !(is_plain(p) && is_ascii(current(p)))) {
        QN_TRY(normal_form(p, QN_NFD));
        QN_TRY(filter(p, is_no_accent));
    }
    return n->lower ? lowercase(p) : NULL;
}

/* ---- white space ---------------------------------------------------------------------------------------------- */

/* In the package the last kept character takes along what is stripped after it only where the text's bytes are as many
 * as its characters; offsets of what remains do not show the difference. */
static qn_status strip(const struct qn_normalizer *n, struct qn_pretext *p)
{
    struct qn_str text = current(p);
    size_t begin = 0, end = text.size, removed = 0;
    for (size_t at = 0; n->left && begin < text.size && qn_is_white(next_character(text, &at)); removed++)
        begin = at;
    while (n->right && end) {
        size_t at = end - 1;
        while (at && ((uint8_t)text.data[at] & 0xc0) == 0x80)
            at--;
        size_t from = at;
        if (!qn_is_white(next_character(text, &at)))
            break;
        end = from;
    }
    if (begin == 0 && end == text.size)
        return NULL;
    for (size_t at = begin; at < end;)
        if (!put(p, next_character(text, &at), 0))
            return QN_OOM();
    return transform(p, removed);
}

static bool is_kept_by_nmt(uint32_t c)
{
    return !((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f);
}

static uint32_t nmt_space(uint32_t c)
{
    bool space = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
                 c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
    return space ? ' ' : c;
}

/* ---- replacements --------------------------------------------------------------------------------------------- */

/* Puts new_text for `old_count` characters. */
static bool put_replacement(struct qn_pretext *p, size_t old_count, struct qn_str new_text)
{
    size_t new_count = 0;
    uint32_t first = p->changes.list.count;
    for (size_t at = 0; at < new_text.size; new_count++)
        if (!put(p, next_character(new_text, &at), 0))
            return false;
    uint32_t count = p->changes.list.count;
    for (size_t i = old_count; i < new_count; i++)
        p->changes.list.items[first + i].change = 1;
    /* with nothing before it to take them along, the removed characters shift what follows: so it is there */
    if (new_count < old_count && count)
        p->changes.list.items[count - 1].change -= (int32_t)(old_count - new_count);
    return true;
}

/* The end of the user-perceived character at text[at], and how many characters it has. */
static size_t grapheme_end(struct qn_str text, size_t at, size_t *count)
{
    utf8proc_int32_t state = 0;
    uint32_t c = next_character(text, &at);
    *count = 1;
    while (at < text.size) {
        size_t after = at;
        uint32_t next = next_character(text, &after);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)next, &state))
            break;
        c = next;
        at = after;
        (*count)++;
    }
    return at;
}

static qn_status precompiled(const struct qn_charsmap *charsmap, struct qn_pretext *p)
{
    enum { SHORT = 6 }; /* bytes: longer graphemes are looked up character by character */
    struct qn_str text = current(p), replacement;
    bool modified = false;
    for (size_t at = 0, end; at < text.size; at = end) {
        size_t count;
        end = grapheme_end(text, at, &count);
        if (end - at < SHORT && qn_charsmap_find(charsmap, text.data + at, end - at, false, &replacement)) {
            modified = true;
            if (!put_replacement(p, count, replacement))
                return QN_OOM();
            continue;
        }
        for (size_t from = at, to; from < end; from = to) {
            to = from;
            uint32_t c = next_character(text, &to);
            bool found = qn_charsmap_find(charsmap, text.data + from, to - from, false, &replacement);
            modified |= found;
            if (!(found ? put_replacement(p, 1, replacement) : put(p, c, 0)))
                return QN_OOM();
        }
    }
    if (modified)
        return transform(p, 0);
    p->changes.list.count = 0;
    return NULL;
}

static qn_status replace(const struct qn_normalizer *n, struct qn_pretext *p)
{
    const struct qn_aligned *in = &p->scratch[0];
    struct qn_aligned *out = &p->scratch[1];
    struct qn_match_walk walk = {0};
    size_t size = in->text.count, last = 0;
    bool any = false;
    if (size == 0)
        return NULL;
    if (!p->matcher)
        QN_TRY(qn_matcher_create(p->allocator, &p->matcher));
    out->text.count = out->spans.count = 0;
    out->original = in->original;
    out->original_end = in->original_end;
    for (bool found = true; found;) {
        size_t begin, end;
        QN_TRY(qn_match_next(n->regex, p->matcher, in->text.items, size, &walk, &begin, &end, &found));
        if (!found)
            break;
        any = true;
        if (!qn_aligned_append(out, in->text.items + last, in->spans.items + last, begin - last) ||
            !qn_aligned_append_at(out, n->content.data, n->content.size, qn_aligned_before(in, end)))
            return QN_OOM();
        last = end;
    }
    if (!any)
        return NULL;
    if (!qn_aligned_append(out, in->text.items + last, in->spans.items + last, size - last))
        return QN_OOM();
    swap(p);
    return NULL;
}

static qn_status prepend(struct qn_str content, struct qn_pretext *p)
{
    if (p->scratch[0].text.count == 0 || p->continued)
        return NULL;
    QN_TRY(qn_aligned_prepend(&p->scratch[0], content, &p->scratch[1]));
    swap(p);
    return NULL;
}

static qn_status byte_level(struct qn_pretext *p)
{
    struct qn_str text = current(p);
    for (size_t i = 0; i < text.size; i++) {
        bool inner = ((uint8_t)text.data[i] & 0xc0) == 0x80;
        if (!put(p, qn_byte_level_character((uint8_t)text.data[i]), inner))
            return QN_OOM();
    }
    return transform(p, 0);
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static qn_status apply(const struct qn_normalizer *n, struct qn_pretext *p)
{
    switch (n->kind) {
    case QN_NORMALIZER_BERT:
        return bert(n, p);
    case QN_NORMALIZER_STRIP:
        return strip(n, p);
    case QN_NORMALIZER_STRIP_ACCENTS:
        return is_plain(p) && is_ascii(current(p)) ? NULL : filter(p, is_no_mark);
    case QN_NORMALIZER_FORM:
        return normal_form(p, n->form);
    case QN_NORMALIZER_LOWERCASE:
        return lowercase(p);
    case QN_NORMALIZER_NMT:
        QN_TRY(filter(p, is_kept_by_nmt));
        return map(p, nmt_space);
    case QN_NORMALIZER_PRECOMPILED:
        return precompiled(&n->charsmap, p);
    case QN_NORMALIZER_REPLACE:
        return replace(n, p);
    case QN_NORMALIZER_PREPEND:
        return prepend(n->content, p);
    case QN_NORMALIZER_BYTE_LEVEL:
        return byte_level(p);
    case QN_NORMALIZER_SENTENCEPIECE:
        QN_TRY(qn_spiece_normalize(n, p));
        swap(p);
        return NULL;
    }
    return NULL;
}

qn_status qn_normalize(const struct qn_pipeline *pipeline, struct qn_pretext *p)
{
    for (uint32_t i = 0; i < pipeline->normalizer_count; i++) {
        p->changes.list.count = 0;
        QN_TRY(apply(&pipeline->normalizers[i], p));
    }
    return NULL;
}

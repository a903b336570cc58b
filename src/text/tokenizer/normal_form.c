#include "text/tokenizer/normal_form.h"

#include <utf8proc.h>

#include "base/utf8.h"
#include "text/tokenizer/character_set.h"

/* Characters that wait for their order: a starter and the marks after it. */
struct former {
    enum qn_normal_form form;
    const struct qn_allocator *allocator;
    struct qn_changes *out;
    QN_ARRAY(struct qn_change) pending;
    uint32_t composee; /* index in *out of the character that marks may join; UINT32_MAX: none */
    uint8_t last_class;
};

#define NO_COMPOSEE UINT32_MAX

static uint8_t class_of(uint32_t c)
{
    return qn_is_normalizing(c) ? (uint8_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class : 0;
}

/* ---- composing ------------------------------------------------------------------------------------------------ */

/* The one character that two stand for, or 0. */
static uint32_t compose(uint32_t first, uint32_t second)
{
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)first, (utf8proc_int32_t)second};
    if (!qn_is_normalizing(second))
        return 0;
    utf8proc_ssize_t size = utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    bool composed = size == 1 && qn_is_normalizing((uint32_t)pair[0]);
    return composed ? (uint32_t)pair[0] : 0;
}

/* Takes the next character in canonical order. */
static bool put(struct former *f, struct qn_change next)
{
    if (!(f->form & QN_NFC))
        return qn_array_push(&f->out->list, f->allocator, next);
    uint8_t class = class_of(next.c);
    bool blocked = f->last_class && f->last_class >= class;
    if (f->composee != NO_COMPOSEE && !blocked) {
        struct qn_change *composee = &f->out->list.items[f->composee];
        uint32_t joined = compose(composee->c, next.c);
        if (joined) {
            composee->c = joined;
            composee->change += next.change - 1;
            return true;
        }
    }
    if (class == 0) {
        f->composee = f->out->list.count;
        f->last_class = 0;
    } else if (f->composee != NO_COMPOSEE) {
        f->last_class = class;
    }
    return qn_array_push(&f->out->list, f->allocator, next);
}

/* ---- taking apart --------------------------------------------------------------------------------------------- */

/* Gives the pending characters out, sorted by class; those of one class stay in the order of the text. A text may have
 * any number of marks in a row: each class costs one pass. */
static bool flush(struct former *f)
{
    uint32_t count = f->pending.count;
    bool ok = true;
    int class = 0;
    while (class < 256 && ok) {
        int next = 256;
        for (uint32_t i = 0; i < count && ok; i++) {
            int at = class_of(f->pending.items[i].c);
            if (at == class)
                ok = put(f, f->pending.items[i]);
            else if (at > class && at < next)
                next = at;
        }
        class = next;
    }
    f->pending.count = 0;
    return ok;
}

static bool add(struct former *f, uint32_t c, bool first)
{
    if (class_of(c) == 0 && !flush(f))
        return false;
    return qn_array_push(&f->pending, f->allocator, (struct qn_change){c, !first});
}

static bool take_apart(struct former *f, uint32_t c)
{
    enum { MOST = 18 }; /* characters in the longest decomposition */
    utf8proc_int32_t parts[MOST];
    int boundary = 0;
    int options = UTF8PROC_DECOMPOSE | (f->form & QN_NFKD ? UTF8PROC_COMPAT : 0);
    if (!qn_is_normalizing(c))
        return add(f, c, true);
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)c, parts, MOST, (utf8proc_option_t)options, &boundary);
    if (count < 1 || count > MOST)
        return add(f, c, true);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        if (!add(f, (uint32_t)parts[i], i == 0))
            return false;
    return true;
}

qn_status qn_normal_form(enum qn_normal_form form, struct qn_str text, const struct qn_allocator *allocator,
                         struct qn_changes *out)
{
    struct former f = {.form = form, .allocator = allocator, .out = out, .composee = NO_COMPOSEE};
    bool ok = true;
    for (size_t at = 0; at < text.size && ok;) {
        uint32_t c = 0xfffd;
        size_t size = qn_utf8_decode(text.data + at, text.size - at, &c);
        at += size ? size : 1;
        ok = take_apart(&f, c);
    }
    ok = ok && flush(&f);
    qn_array_free(&f.pending, allocator);
    return ok ? NULL : QN_OOM();
}

bool qn_normal_already(struct qn_str text)
{
    for (size_t at = 0; at < text.size;) {
        uint32_t c = (uint8_t)text.data[at];
        size_t size = c < 0x80 ? 1 : qn_utf8_decode(text.data + at, text.size - at, &c);
        if (size == 0 || qn_is_normalizing(c))
            return false;
        at += size;
    }
    return true;
}

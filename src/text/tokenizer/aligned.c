#include "text/tokenizer/aligned.h"

#include "base/utf8.h"

void qn_aligned_deinit(struct qn_aligned *a)
{
    if (!a->allocator)
        return;
    qn_array_free(&a->text, a->allocator);
    qn_array_free(&a->spans, a->allocator);
}

static bool reserve(struct qn_aligned *a, size_t size)
{
    uint64_t want = (uint64_t)a->text.count + size;
    return want <= INT32_MAX && qn_array_reserve(&a->text, a->allocator, want) &&
           qn_array_reserve(&a->spans, a->allocator, want);
}

bool qn_aligned_append(struct qn_aligned *a, const char *text, const struct qn_span *spans, size_t size)
{
    if (!reserve(a, size))
        return false;
    if (size) {
        memcpy(a->text.items + a->text.count, text, size);
        memcpy(a->spans.items + a->spans.count, spans, size * sizeof *spans);
    }
    a->text.count += (uint32_t)size;
    a->spans.count += (uint32_t)size;
    return true;
}

bool qn_aligned_append_at(struct qn_aligned *a, const char *text, size_t size, struct qn_span span)
{
    if (!reserve(a, size))
        return false;
    for (size_t i = 0; i < size; i++) {
        a->text.items[a->text.count++] = text[i];
        a->spans.items[a->spans.count++] = span;
    }
    return true;
}

/* ---- transforming --------------------------------------------------------------------------------------------- */

/* The bytes of the text that stand for the original as a whole: characters that were put in before its beginning are
 * left out. */
static struct qn_span transformed_range(const struct qn_aligned *in)
{
    uint32_t count = in->text.count, begin = 0;
    while (begin < count && in->spans.items[begin].begin == in->spans.items[begin].end)
        begin++;
    return (struct qn_span){begin, count};
}

/* The length of the next `count` characters from text[at] on, and no further than the end. */
static size_t skip(const struct qn_aligned *in, size_t at, size_t end, size_t count)
{
    size_t from = at;
    while (count-- && at < end)
        at += qn_utf8_step(in->text.items + at, end - at);
    return at - from;
}

/* Appends the changed characters of in->text[range]. */
static bool apply(const struct qn_aligned *in, struct qn_span range, const struct qn_changes *changes, size_t removed,
                  struct qn_aligned *out)
{
    size_t at = range.begin + skip(in, range.begin, range.end, removed);
    for (uint32_t i = 0; i < changes->list.count; i++) {
        struct qn_change change = changes->list.items[i];
        char utf8[4];
        size_t size = qn_utf8_encode(change.c, utf8);
        struct qn_span span = qn_aligned_before(in, at);
        if (change.change <= 0) {
            if (at < in->spans.count)
                span = in->spans.items[at];
            at += skip(in, at, range.end, (size_t)-change.change + 1);
        }
        if (!qn_aligned_append_at(out, utf8, size, span))
            return false;
    }
    return true;
}

qn_status qn_aligned_transform(const struct qn_aligned *in, const struct qn_changes *changes, size_t removed,
                               struct qn_aligned *out)
{
    struct qn_span range = transformed_range(in);
    out->text.count = out->spans.count = 0;
    out->original = in->original;
    out->original_end = in->original_end;
    bool ok =
        qn_aligned_append(out, in->text.items, in->spans.items, range.begin) && apply(in, range, changes, removed, out);
    return ok ? NULL : QN_OOM();
}

qn_status qn_aligned_prepend(const struct qn_aligned *in, struct qn_str content, struct qn_aligned *out)
{
    uint32_t size = in->text.count;
    uint32_t first = (uint32_t)qn_utf8_step(in->text.items, size);
    out->text.count = out->spans.count = 0;
    out->original = in->original;
    out->original_end = in->original_end;
    /* the content takes the place of the first character, which then follows as if it were new: all share its place */
    struct qn_span span = in->spans.items[0];
    bool ok = qn_aligned_append_at(out, content.data, content.size, span);
    if (content.size == 0) /* nothing went before: the character has no place to share */
        span = qn_aligned_before(in, 0);
    ok = ok && qn_aligned_append_at(out, in->text.items, first, span) &&
         qn_aligned_append(out, in->text.items + first, in->spans.items + first, size - first);
    return ok ? NULL : QN_OOM();
}

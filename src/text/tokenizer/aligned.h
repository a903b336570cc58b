/* A text under transformation, with the place in the original that each of its bytes came from. The rules are those of
 * the `tokenizers` package, to the last odd case, since offsets are compared with it. */
#ifndef QN_TEXT_ALIGNED_H
#define QN_TEXT_ALIGNED_H

#include "base/array.h"
#include "base/status.h"
#include "base/str.h"

/* Bytes begin .. end - 1 of the original. */
struct qn_span {
    uint32_t begin, end;
};

struct qn_aligned {
    const struct qn_allocator *allocator;
    QN_ARRAY(char) text;             /* UTF-8 without a flaw */
    QN_ARRAY(struct qn_span) spans;  /* one a byte; all bytes of a character have the same */
    uint32_t original, original_end; /* the stretch of the original that this is the text of */
};

/* A character of the transformed text. change 1: it is new and shares the place of the one before it; 0: it replaces
 * one; -n: it replaces one and the n after it. */
struct qn_change {
    uint32_t c;
    int32_t change;
};

struct qn_changes {
    QN_ARRAY(struct qn_change) list;
};

static inline struct qn_str qn_aligned_view(const struct qn_aligned *a)
{
    return (struct qn_str){a->text.items, a->text.count};
}

void qn_aligned_deinit(struct qn_aligned *a);
/* Appends bytes of one place each; false on lack of memory, and then nothing is added. */
bool qn_aligned_append(struct qn_aligned *a, const char *text, const struct qn_span *spans, size_t size);
/* Appends bytes that all have one place. */
bool qn_aligned_append_at(struct qn_aligned *a, const char *text, size_t size, struct qn_span span);

/* Appends to *out what becomes of text `in` as a whole: `removed` characters at its beginning go, then each change in
 * turn takes what it replaces. *out gets the same stretch of the original. */
qn_status qn_aligned_transform(const struct qn_aligned *in, const struct qn_changes *changes, size_t removed,
                               struct qn_aligned *out) QN_MUST_USE;
/* The same with content put before the first character, which must exist. */
qn_status qn_aligned_prepend(const struct qn_aligned *in, struct qn_str content, struct qn_aligned *out) QN_MUST_USE;

/* The place that new characters at text[at] of `a` share. */
static inline struct qn_span qn_aligned_before(const struct qn_aligned *a, size_t at)
{
    if (at == 0 || at > a->spans.count)
        return (struct qn_span){a->original, a->original};
    return a->spans.items[at - 1];
}

#endif

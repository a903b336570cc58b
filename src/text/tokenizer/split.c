#include "text/tokenizer/split.h"

#include "base/utf8.h"

/* The pieces that one call appends: out->list.items[first ..]. */
struct splitter {
    const struct qn_split *split;
    const struct qn_allocator *allocator;
    struct qn_pieces *out;
    uint32_t first;
    bool last_was_match;
};

static bool push(struct splitter *s, size_t begin, size_t end)
{
    return qn_array_push(&s->out->list, s->allocator, (struct qn_piece){(uint32_t)begin, (uint32_t)end});
}

static bool extend_last(struct splitter *s, size_t end)
{
    s->out->list.items[s->out->list.count - 1].end = (uint32_t)end;
    return true;
}

/* Takes the next stretch of the text, a match or what lies between two. */
static bool add(struct splitter *s, size_t begin, size_t end, bool match)
{
    bool last_was_match = s->last_was_match, any = s->out->list.count > s->first;
    match = match != s->split->invert;
    s->last_was_match = match;
    switch (s->split->behavior) {
    case QN_SPLIT_REMOVED:
        return match || push(s, begin, end);
    case QN_SPLIT_CONTIGUOUS:
        return any && match == last_was_match ? extend_last(s, end) : push(s, begin, end);
    case QN_SPLIT_MERGED_WITH_PREVIOUS:
        return any && match && !last_was_match ? extend_last(s, end) : push(s, begin, end);
    case QN_SPLIT_MERGED_WITH_NEXT:
        /* only the last of several matches joins what follows; a match at the end stands alone */
        return any && !match && last_was_match ? extend_last(s, end) : push(s, begin, end);
    case QN_SPLIT_ISOLATED:
        break;
    }
    return push(s, begin, end);
}

static void drop_empty(struct splitter *s)
{
    uint32_t kept = s->first;
    for (uint32_t i = s->first; i < s->out->list.count; i++)
        if (s->out->list.items[i].begin < s->out->list.items[i].end)
            s->out->list.items[kept++] = s->out->list.items[i];
    s->out->list.count = kept;
}

qn_status qn_split_piece(const struct qn_split *split, struct qn_matcher *matcher, const char *text,
                         struct qn_piece piece, const struct qn_allocator *allocator, struct qn_pieces *out)
{
    struct splitter s = {split, allocator, out, out->list.count, false};
    const char *subject = text + piece.begin;
    size_t size = piece.end - piece.begin, from = 0, last_end = 0;
    bool matched_before = false;
    while (from <= size) {
        size_t begin, end;
        bool found = false;
        QN_TRY(qn_regex_find(split->regex, matcher, subject, size, from, &begin, &end, &found));
        if (!found)
            break;
        if (begin == end && matched_before && end == last_end) { /* an empty match right behind the last one */
            from += from < size ? qn_utf8_step(subject + from, size - from) : 1;
            continue;
        }
        if ((last_end < begin && !add(&s, piece.begin + last_end, piece.begin + begin, false)) ||
            !add(&s, piece.begin + begin, piece.begin + end, true))
            return QN_OOM();
        from = last_end = end;
        matched_before = true;
    }
    if (last_end < size && !add(&s, piece.begin + last_end, piece.end, false))
        return QN_OOM();
    drop_empty(&s);
    return NULL;
}

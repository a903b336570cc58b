#include "text/tokenizer/split.h"

#include "base/utf8.h"

void qn_splitter_begin(struct qn_splitter *s, enum qn_split_behavior behavior, bool invert,
                       const struct qn_allocator *allocator, struct qn_pieces *out)
{
    *s = (struct qn_splitter){behavior, invert, allocator, out, out->list.count, false};
}

static bool push(struct qn_splitter *s, size_t begin, size_t end)
{
    return qn_array_push(&s->out->list, s->allocator, (struct qn_piece){(uint32_t)begin, (uint32_t)end});
}

static bool extend_last(struct qn_splitter *s, size_t end)
{
    s->out->list.items[s->out->list.count - 1].end = (uint32_t)end;
    return true;
}

bool qn_splitter_add(struct qn_splitter *s, size_t begin, size_t end, bool match)
{
    bool last_was_match = s->last_was_match, any = s->out->list.count > s->first;
    match = match != s->invert;
    s->last_was_match = match;
    switch (s->behavior) {
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

void qn_splitter_end(struct qn_splitter *s)
{
    uint32_t kept = s->first;
    for (uint32_t i = s->first; i < s->out->list.count; i++)
        if (s->out->list.items[i].begin < s->out->list.items[i].end)
            s->out->list.items[kept++] = s->out->list.items[i];
    s->out->list.count = kept;
}

qn_status qn_match_next(const struct qn_regex *regex, struct qn_matcher *matcher, const char *text, size_t size,
                        struct qn_match_walk *walk, size_t *begin, size_t *end, bool *found)
{
    *found = false;
    while (walk->from <= size) {
        QN_TRY(qn_regex_find(regex, matcher, text, size, walk->from, begin, end, found));
        if (!*found)
            return NULL;
        bool again = *begin == *end && walk->matched_before && *end == walk->last_end;
        if (!again) {
            walk->from = walk->last_end = *end;
            walk->matched_before = true;
            return NULL;
        }
        *found = false;
        walk->from += walk->from < size ? qn_utf8_step(text + walk->from, size - walk->from) : 1;
    }
    return NULL;
}

qn_status qn_split_piece(const struct qn_split *split, struct qn_matcher *matcher, const char *text,
                         struct qn_piece piece, const struct qn_allocator *allocator, struct qn_pieces *out)
{
    struct qn_splitter s;
    struct qn_match_walk walk = {0};
    const char *subject = text + piece.begin;
    size_t size = piece.end - piece.begin, last_end = 0;
    qn_splitter_begin(&s, split->behavior, split->invert, allocator, out);
    for (bool found = true; found;) {
        size_t begin, end;
        QN_TRY(qn_match_next(split->regex, matcher, subject, size, &walk, &begin, &end, &found));
        if (!found)
            break;
        if ((last_end < begin && !qn_splitter_add(&s, piece.begin + last_end, piece.begin + begin, false)) ||
            !qn_splitter_add(&s, piece.begin + begin, piece.begin + end, true))
            return QN_OOM();
        last_end = end;
    }
    if (last_end < size && !qn_splitter_add(&s, piece.begin + last_end, piece.end, false))
        return QN_OOM();
    qn_splitter_end(&s);
    return NULL;
}

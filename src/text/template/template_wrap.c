/* Wrapping of lines as Python's textwrap does: words, hyphens, words that are too long. */
#define _GNU_SOURCE
#include <string.h>

#include "text/template/template_builtin.h"

static uint32_t char_at(struct qn_str text, size_t at, size_t *length)
{
    return qn_uni_first((struct qn_str){text.data + at, text.size - at}, length);
}

static bool is_gap(char c) /* what textwrap takes for white space */
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_letter(uint32_t c)
{
    return qn_uni_is_word(c) && !qn_uni_is_decimal(c) && c != '_';
}

/* The end of the hyphenated part that begins at `at`: letters, "-", and a letter behind it; or 0. */
static size_t hyphen_end(struct qn_str text, size_t at, size_t end)
{
    size_t length, next_length, previous_length;
    for (size_t i = at; i < end; i += length) {
        uint32_t c = char_at(text, i, &length);
        if (c != '-' || i == at || i + 1 >= end)
            continue;
        if (text.data[i + 1] == '-' && i + 2 < end) { /* a dash of two or more stands alone */
            size_t dash = i;
            while (dash < end && text.data[dash] == '-')
                dash++;
            if (dash < end)
                return i;
        }
        uint32_t before = qn_uni_last((struct qn_str){text.data + at, i - at}, &previous_length);
        uint32_t after = char_at(text, i + 1, &next_length);
        uint32_t second = i + 1 + next_length < end ? char_at(text, i + 1 + next_length, &next_length) : 0;
        size_t first_end = at;
        char_at(text, at, &first_end);
        bool two = i - at > previous_length &&
                   is_letter(qn_uni_last((struct qn_str){text.data + at, i - at - previous_length}, &next_length));
        if (two && is_letter(before) && is_letter(after) && (is_letter(second) || second == '-'))
            return i + 1;
    }
    return 0;
}

/* Cuts a line into words, gaps and parts of hyphenated words. */
static bool chunks_of(struct qn_tpl *t, struct qn_str line, bool hyphens, struct qn_val_list *chunks)
{
    for (size_t at = 0; at < line.size;) {
        size_t end = at;
        bool gap = is_gap(line.data[at]);
        while (end < line.size && is_gap(line.data[end]) == gap)
            end++;
        if (!gap && hyphens) {
            size_t dash = at;
            while (dash < end && line.data[dash] == '-')
                dash++;
            size_t cut =
                dash > at + 1 && dash < end && at && !is_gap(line.data[at - 1]) ? dash : hyphen_end(line, at, end);
            end = cut ? cut : end;
        }
        struct qn_val chunk;
        if (!qn_val_str_view(t, (struct qn_str){line.data + at, end - at}, &chunk) ||
            !qn_val_list_push(t, chunks, chunk))
            return false;
        at = end;
    }
    return true;
}

static bool is_blank(struct qn_val chunk)
{
    return qn_uni_strip(qn_val_text(chunk), true, false).size == 0;
}

/* Cuts `room` characters off a word that fits no line. */
static bool cut_word(struct qn_tpl *t, struct qn_val *chunk, int64_t room, bool hyphens, struct qn_val *head)
{
    struct qn_val to[3] = {{0}, qn_val_int(room), {0}}, from[3] = {{0}};
    if (!qn_tpl_slice(t, *chunk, to, head))
        return false;
    struct qn_str text = qn_val_text(*head);
    if (hyphens && chunk->str->chars > (size_t)room && text.size) { /* rather behind a hyphen */
        const char *hyphen = memrchr(text.data, '-', text.size);
        bool word = false;
        for (const char *c = text.data; hyphen && c < hyphen; c++)
            word |= *c != '-';
        if (hyphen && hyphen > text.data && word) {
            room = (int64_t)qn_val_chars((struct qn_str){text.data, (size_t)(hyphen + 1 - text.data)});
            to[1] = qn_val_int(room);
            if (!qn_tpl_slice(t, *chunk, to, head))
                return false;
        }
    }
    from[0] = qn_val_int(room);
    return qn_tpl_slice(t, *chunk, from, chunk);
}

struct line {
    struct qn_strbuf text;
    int64_t chars;
    struct qn_val last; /* the last part */
};

static void add_part(struct line *line, struct qn_val part)
{
    qn_strbuf_append(&line->text, part.str->data, part.str->size);
    line->chars += (int64_t)part.str->chars;
    line->last = part;
}

/* One line from chunks[*at] on; a chunk that is cut stays with its rest. */
static bool fill_line(struct qn_tpl *t, struct qn_val_list *chunks, uint32_t *at, int64_t width, bool break_long,
                      bool hyphens, struct line *line)
{
    for (; *at < chunks->count && line->chars + (int64_t)chunks->items[*at].str->chars <= width; ++*at)
        add_part(line, chunks->items[*at]);
    if (*at >= chunks->count || (int64_t)chunks->items[*at].str->chars <= width)
        return true;
    struct qn_val head = chunks->items[*at];
    if (break_long) {
        if (!cut_word(t, &chunks->items[*at], width - line->chars, hyphens, &head))
            return false;
        add_part(line, head); /* even when nothing of it fits: then a gap before it stays, as in textwrap */
    } else if (!line->last.kind) {
        add_part(line, head);
        ++*at;
    }
    return true;
}

bool qn_tpl_wordwrap(struct qn_tpl *t, struct qn_str text, int64_t width, bool break_long, bool hyphens,
                     struct qn_val_list *lines)
{
    struct qn_val_list chunks = {0};
    uint32_t at = 0;
    if (!chunks_of(t, text, hyphens, &chunks))
        return false;
    while (at < chunks.count) {
        struct line line = {.chars = 0};
        struct qn_val out;
        if (is_blank(chunks.items[at]) && lines->count && ++at == chunks.count)
            break;
        qn_strbuf_init(&line.text, &t->allocator);
        bool good = fill_line(t, &chunks, &at, width, break_long, hyphens, &line) && qn_tpl_buf_ok(t, &line.text);
        struct qn_str kept = qn_strbuf_view(&line.text);
        if (good && line.last.kind && is_blank(line.last))
            kept.size -= line.last.str->size;
        good = good && (!kept.size || (qn_val_str(t, kept, &out) && qn_val_list_push(t, lines, out)));
        qn_strbuf_deinit(&line.text);
        if (!good)
            return false;
    }
    return true;
}

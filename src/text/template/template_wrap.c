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
        bool two = i - at > previous_length && is_letter(qn_uni_last((struct qn_str){text.data + at, i - at - previous_length}, &next_length));
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
            size_t cut = dash > at + 1 && dash < end && at && !is_gap(line.data[at - 1]) ? dash : hyphen_end(line, at, end);
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

bool qn_tpl_wordwrap(struct qn_tpl *t, struct qn_str line, int64_t width, bool break_long, bool hyphens,
                     struct qn_val_list *lines)
{
    struct qn_val_list chunks = {0};
    struct qn_val out;
    uint32_t at = 0;
    if (!chunks_of(t, line, hyphens, &chunks))
        return false;
    while (at < chunks.count) {
        int64_t used = 0;
        uint32_t begin = at;
        struct qn_strbuf buf;
        size_t kept;
        if (is_blank(chunks.items[at]) && lines->count)
            begin = ++at;
        qn_strbuf_init(&buf, &t->allocator);
        for (; at < chunks.count && used + (int64_t)chunks.items[at].str->chars <= width; at++) {
            used += (int64_t)chunks.items[at].str->chars;
            qn_strbuf_append(&buf, chunks.items[at].str->data, chunks.items[at].str->size);
        }
        bool good = true, first = at == begin;
        if (at < chunks.count && (int64_t)chunks.items[at].str->chars > width) {
            struct qn_val head = chunks.items[at];
            if (break_long) {
                good = cut_word(t, &chunks.items[at], width - used > 0 ? width - used : 1, hyphens, &head);
                if (good)
                    qn_strbuf_append(&buf, head.str->data, head.str->size);
            } else if (first) {
                qn_strbuf_append(&buf, head.str->data, head.str->size);
                at++;
            }
        }
        struct qn_str text = qn_strbuf_view(&buf);
        if (at > begin && is_blank(chunks.items[at - 1]) && !(break_long && at < chunks.count &&
            text.size && !is_gap(text.data[text.size - 1])))
            text.size -= chunks.items[at - 1].str->size;
        kept = text.size;
        good = good && qn_tpl_buf_ok(t, &buf) && (!kept || (qn_val_str(t, text, &out) && qn_val_list_push(t, lines, out)));
        qn_strbuf_deinit(&buf);
        if (!good)
            return false;
    }
    return true;
}

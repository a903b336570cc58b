#include "text/template/template_unicode.h"

#include <utf8proc.h>

#include "base/utf8.h"

struct case_row {
    uint32_t from;
    uint32_t to[3];
};

struct char_range {
    uint32_t first, last;
};

#include "text/template/template_unicode_tables.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool in_ranges(const struct char_range *ranges, size_t count, uint32_t c)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = (low + count) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else if (c < ranges[middle].first)
            count = middle;
        else
            return true;
    }
    return false;
}

static const struct case_row *find_row(const struct case_row *rows, size_t count, uint32_t c)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = (low + count) / 2;
        if (rows[middle].from == c)
            return &rows[middle];
        if (rows[middle].from < c)
            low = middle + 1;
        else
            count = middle;
    }
    return NULL;
}

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool qn_uni_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool qn_uni_is_line_break(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool qn_uni_is_alpha(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool qn_uni_is_decimal(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_ND;
}

bool qn_uni_is_digit(uint32_t c)
{
    return qn_uni_is_decimal(c) || in_ranges(digit_extra, COUNT(digit_extra), c);
}

bool qn_uni_is_numeric(uint32_t c)
{
    return qn_uni_is_decimal(c) || in_ranges(numeric_extra, COUNT(numeric_extra), c);
}

bool qn_uni_is_printable(uint32_t c)
{
    if (c < 0x7f)
        return c >= ' ';
    utf8proc_category_t k = category(c);
    return k != UTF8PROC_CATEGORY_CN && k < UTF8PROC_CATEGORY_ZS;
}

bool qn_uni_is_lower(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LL || in_ranges(lower_extra, COUNT(lower_extra), c);
}

bool qn_uni_is_upper(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LU || in_ranges(upper_extra, COUNT(upper_extra), c);
}

bool qn_uni_is_title(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LT;
}

bool qn_uni_is_word(uint32_t c)
{
    return c == '_' || qn_uni_is_alpha(c) || qn_uni_is_numeric(c);
}

/* ---- case ----------------------------------------------------------------------------------------------------- */

static bool is_cased(uint32_t c)
{
    return qn_uni_is_lower(c) || qn_uni_is_upper(c) || qn_uni_is_title(c);
}

/* Characters that stand between letters without ending a word: marks, modifiers, apostrophes. */
static bool is_case_ignorable(uint32_t c)
{
    if (c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xa8 || c == 0xad || c == 0xaf || c == 0xb4 ||
        c == 0xb7 || c == 0xb8 || c == 0x2018 || c == 0x2019 || c == 0x2024 || c == 0x2027)
        return true;
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF ||
           k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_SK;
}

static void put(struct qn_strbuf *out, uint32_t c)
{
    char bytes[4];
    qn_strbuf_append(out, bytes, qn_utf8_encode(c, bytes));
}

static void put_row(struct qn_strbuf *out, const struct case_row *rows, size_t count, uint32_t c,
                    utf8proc_int32_t (*simple)(utf8proc_int32_t))
{
    const struct case_row *row = find_row(rows, count, c);
    if (!row) {
        put(out, (uint32_t)simple((utf8proc_int32_t)c));
        return;
    }
    for (size_t i = 0; i < 3 && row->to[i]; i++)
        put(out, row->to[i]);
}

uint32_t qn_uni_first(struct qn_str text, size_t *size)
{
    uint32_t c = (uint8_t)text.data[0];
    *size = qn_utf8_decode(text.data, text.size, &c);
    if (!*size)
        *size = 1;
    return c;
}

uint32_t qn_uni_last(struct qn_str text, size_t *size)
{
    size_t at = text.size - 1;
    while (at && ((uint8_t)text.data[at] & 0xc0) == 0x80)
        at--;
    *size = text.size - at;
    uint32_t c = (uint8_t)text.data[at];
    qn_utf8_decode(text.data + at, text.size - at, &c);
    return c;
}

/* A sigma at text[at..) is final when a letter stands before it and none after it. */
static bool is_final_sigma(struct qn_str text, size_t at, size_t length)
{
    struct qn_str before = {text.data, at}, after = {text.data + at + length, text.size - at - length};
    size_t size;
    bool letter = false;
    while (before.size) {
        uint32_t c = qn_uni_last(before, &size);
        before.size -= size;
        if (!is_case_ignorable(c)) {
            letter = is_cased(c);
            break;
        }
    }
    while (letter && after.size) {
        uint32_t c = qn_uni_first(after, &size);
        after.data += size;
        after.size -= size;
        if (!is_case_ignorable(c))
            return !is_cased(c);
    }
    return letter;
}

static void put_lower(struct qn_str text, size_t at, size_t length, uint32_t c, struct qn_strbuf *out)
{
    if (c == 0x3a3)
        put(out, is_final_sigma(text, at, length) ? 0x3c2 : 0x3c3);
    else
        put_row(out, lower_rows, COUNT(lower_rows), c, utf8proc_tolower);
}

static void put_fold(uint32_t c, struct qn_strbuf *out)
{
    utf8proc_int32_t folded[8];
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)c, folded, 8, UTF8PROC_CASEFOLD, NULL);
    for (utf8proc_ssize_t i = 0; i < count && i < 8; i++)
        put(out, (uint32_t)folded[i]);
}

void qn_uni_change_case(struct qn_str text, enum qn_uni_case how, struct qn_strbuf *out)
{
    bool after_letter = false;
    for (size_t at = 0, length; at < text.size; at += length) {
        uint32_t c = qn_uni_first((struct qn_str){text.data + at, text.size - at}, &length);
        enum qn_uni_case now = how;
        if (how == QN_UNI_TITLE)
            now = after_letter ? QN_UNI_LOWER : QN_UNI_TITLE;
        else if (how == QN_UNI_CAPITALIZE)
            now = at ? QN_UNI_LOWER : QN_UNI_TITLE;
        else if (how == QN_UNI_SWAP)
            now = qn_uni_is_upper(c) ? QN_UNI_LOWER : qn_uni_is_lower(c) ? QN_UNI_UPPER : QN_UNI_SWAP;
        if (now == QN_UNI_UPPER)
            put_row(out, upper_rows, COUNT(upper_rows), c, utf8proc_toupper);
        else if (now == QN_UNI_TITLE)
            put_row(out, title_rows, COUNT(title_rows), c, utf8proc_totitle);
        else if (now == QN_UNI_LOWER)
            put_lower(text, at, length, c, out);
        else if (now == QN_UNI_FOLD)
            put_fold(c, out);
        else
            put(out, c);
        after_letter = is_cased(c);
    }
}

/* ---- stripping ------------------------------------------------------------------------------------------------ */

struct qn_str qn_uni_strip(struct qn_str text, bool left, bool right)
{
    size_t size;
    while (left && text.size && qn_uni_is_space(qn_uni_first(text, &size))) {
        text.data += size;
        text.size -= size;
    }
    while (right && text.size && qn_uni_is_space(qn_uni_last(text, &size)))
        text.size -= size;
    return text;
}

static bool has_char(struct qn_str chars, uint32_t c)
{
    for (size_t at = 0, size; at < chars.size; at += size)
        if (qn_uni_first((struct qn_str){chars.data + at, chars.size - at}, &size) == c)
            return true;
    return false;
}

struct qn_str qn_uni_strip_chars(struct qn_str text, struct qn_str chars, bool left, bool right)
{
    size_t size;
    while (left && text.size && has_char(chars, qn_uni_first(text, &size))) {
        text.data += size;
        text.size -= size;
    }
    while (right && text.size && has_char(chars, qn_uni_last(text, &size)))
        text.size -= size;
    return text;
}

#include "ir/lex.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

qn_status qn_lex_fail_at(const struct qn_lex *p, size_t at, const char *expected)
{
    unsigned column = (unsigned)(at - p->line_start) + 1;
    if (at >= p->text.size)
        return QN_ERROR(QN_INVALID_FILE, "%u:%u: expected %s, the text ends", p->line, column, expected);
    unsigned char c = (unsigned char)p->text.data[at];
    if (c > 32 && c < 127)
        return QN_ERROR(QN_INVALID_FILE, "%u:%u: expected %s, found '%c'", p->line, column, expected, c);
    return QN_ERROR(QN_INVALID_FILE, "%u:%u: expected %s, found byte 0x%02x", p->line, column, expected, c);
}

qn_status qn_lex_fail(const struct qn_lex *p, const char *expected)
{
    return qn_lex_fail_at(p, p->at, expected);
}

qn_status qn_lex_note(const struct qn_lex *p, size_t at, qn_status status)
{
    return qn_status_note(status, "%u:%u", p->line, (unsigned)(at - p->line_start) + 1);
}

/* ---- words ---------------------------------------------------------------------------------------------------- */

void qn_lex_skip_blanks(struct qn_lex *p)
{
    while (qn_lex_peek(p) == ' ' || qn_lex_peek(p) == '\t' || qn_lex_peek(p) == '\r')
        p->at++;
}

bool qn_lex_accept(struct qn_lex *p, char c)
{
    qn_lex_skip_blanks(p);
    if (p->at >= p->text.size || p->text.data[p->at] != c)
        return false;
    p->at++;
    return true;
}

qn_status qn_lex_expect(struct qn_lex *p, char c)
{
    char expected[] = {'\'', c, '\'', 0};
    return qn_lex_accept(p, c) ? NULL : qn_lex_fail(p, expected);
}

struct qn_str qn_lex_word(struct qn_lex *p)
{
    qn_lex_skip_blanks(p);
    size_t start = p->at;
    while (qn_lex_is_letter(qn_lex_peek(p)) ||
           (p->at > start && (qn_lex_is_digit(qn_lex_peek(p)) || qn_lex_peek(p) == '.')))
        p->at++;
    return (struct qn_str){p->text.data + start, p->at - start};
}

qn_status qn_lex_expect_word(struct qn_lex *p, const char *expected)
{
    size_t start = p->at;
    if (qn_str_is(qn_lex_word(p), expected))
        return NULL;
    p->at = start;
    qn_lex_skip_blanks(p);
    return qn_lex_fail(p, expected);
}

qn_status qn_lex_u64(struct qn_lex *p, uint64_t most, uint64_t *out)
{
    qn_lex_skip_blanks(p);
    size_t start = p->at;
    uint64_t value = 0;
    if (!qn_lex_is_digit(qn_lex_peek(p)))
        return qn_lex_fail(p, "a number");
    for (; qn_lex_is_digit(qn_lex_peek(p)); p->at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(qn_lex_peek(p) - '0'), &value) || value > most)
            return qn_lex_note(p, start, QN_ERROR(QN_INVALID_FILE, "number is larger than %" PRIu64, most));
    *out = value;
    return NULL;
}

qn_status qn_lex_u32(struct qn_lex *p, uint32_t *out)
{
    uint64_t value;
    QN_TRY(qn_lex_u64(p, UINT32_MAX, &value));
    *out = (uint32_t)value;
    return NULL;
}

qn_status qn_lex_i64(struct qn_lex *p, int64_t *out)
{
    uint64_t value;
    bool negative = qn_lex_accept(p, '-');
    QN_TRY(qn_lex_u64(p, negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &value));
    *out = (int64_t)(negative ? 0 - value : value);
    return NULL;
}

qn_status qn_lex_f64(struct qn_lex *p, double *out)
{
    char digits[64];
    size_t count = 0;
    qn_lex_skip_blanks(p);
    size_t start = p->at;
    while (qn_lex_is_letter(qn_lex_peek(p)) || qn_lex_is_digit(qn_lex_peek(p)) || qn_lex_peek(p) == '.' ||
           qn_lex_peek(p) == '-' || qn_lex_peek(p) == '+') {
        if (count + 1 >= sizeof digits)
            return qn_lex_fail_at(p, start, "a shorter number");
        digits[count++] = qn_lex_peek(p) == '.' ? localeconv()->decimal_point[0] : qn_lex_peek(p);
        p->at++;
    }
    digits[count] = 0;
    char *end;
    const char *first = digits + (digits[0] == '-');
    bool word_like = strcmp(first, "inf") == 0 || strcmp(first, "nan") == 0;
    *out = strtod(digits, &end);
    if (end == digits || *end || (!qn_lex_is_digit(*first) && !word_like) || strchr(digits, 'x'))
        return qn_lex_fail_at(p, start, "a number");
    return NULL;
}

qn_status qn_lex_f32(struct qn_lex *p, float *out)
{
    double value;
    size_t start = p->at;
    QN_TRY(qn_lex_f64(p, &value));
    *out = (float)value;
    if (isinf(*out) && !isinf(value))
        return qn_lex_note(p, start, QN_ERROR(QN_INVALID_FILE, "number is too large for f32"));
    return NULL;
}

qn_status qn_lex_string(struct qn_lex *p, struct qn_str *out)
{
    QN_TRY(qn_lex_expect(p, '"'));
    size_t end = p->at;
    while (end < p->text.size && p->text.data[end] != '"' && p->text.data[end] != '\n')
        end += p->text.data[end] == '\\' ? 2 : 1;
    if (end >= p->text.size || p->text.data[end] != '"')
        return qn_lex_fail_at(p, end < p->text.size ? end : p->text.size, "a closing quote");
    char *copy = qn_arena_alloc(p->strings, end - p->at + 1, 1);
    if (!copy)
        return QN_OOM();
    size_t size = 0;
    while (p->at < end) {
        char c = p->text.data[p->at++];
        if (c == '\\') {
            c = p->text.data[p->at++];
            if (c == 'x') {
                int high = p->at + 1 < end ? qn_lex_hex_digit(p->text.data[p->at]) : -1;
                int low = high >= 0 ? qn_lex_hex_digit(p->text.data[p->at + 1]) : -1;
                if (low < 0)
                    return qn_lex_fail(p, "two hexadecimal digits");
                c = (char)(high << 4 | low);
                p->at += 2;
            } else if (c != '"' && c != '\\') {
                return qn_lex_fail_at(p, p->at - 1, "one of \\\" \\\\ \\x");
            }
        }
        copy[size++] = c;
    }
    p->at = end + 1;
    *out = (struct qn_str){copy, size};
    return NULL;
}

qn_status qn_lex_optional_string(struct qn_lex *p, struct qn_str *out)
{
    *out = (struct qn_str){0};
    qn_lex_skip_blanks(p);
    return qn_lex_peek(p) == '"' ? qn_lex_string(p, out) : NULL;
}

bool qn_lex_next_line(struct qn_lex *p, bool *clean)
{
    qn_lex_skip_blanks(p);
    if (qn_lex_peek(p) == '#')
        while (p->at < p->text.size && qn_lex_peek(p) != '\n')
            p->at++;
    *clean = p->at >= p->text.size || qn_lex_peek(p) == '\n';
    if (p->at >= p->text.size || !*clean)
        return false;
    p->at++;
    p->line++;
    p->line_start = p->at;
    return true;
}

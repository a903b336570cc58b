/* Cutting a template into tokens, as Jinja2's lexer does with trim_blocks and lstrip_blocks. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/template/template_ast.h"
#include "text/template/template_machine.h"
#include "text/template/template_unicode.h"

struct lexer {
    struct qn_str text;
    const char *name;
    struct qn_arena *arena;
    const struct qn_allocator *allocator;
    qn_tpl_tokens *tokens;
    size_t at;
    size_t marked; /* line and column belong to this byte */
    uint32_t line, column;
    bool line_start; /* the last match ended a line */
};

/* Line and column of a byte; bytes are asked for in rising order. */
static void mark(struct lexer *l, size_t at)
{
    for (; l->marked < at; l->marked++) {
        uint8_t byte = (uint8_t)l->text.data[l->marked];
        if (byte == '\n') {
            l->line++;
            l->column = 1;
        } else if ((byte & 0xc0) != 0x80) {
            l->column++;
        }
    }
}

static qn_status fail_at(struct lexer *l, size_t at, const char *words)
{
    if (at < l->marked) {
        l->marked = 0;
        l->line = l->column = 1;
    }
    mark(l, at);
    return qn_tpl_error_at(QN_INVALID_FILE, l->name, l->line, l->column, words);
}

static qn_status push(struct lexer *l, enum qn_tpl_token_kind kind, size_t at, struct qn_str text)
{
    mark(l, at);
    struct qn_tpl_token token = {.kind = (uint8_t)kind, .line = l->line, .column = l->column, .text = text};
    return qn_array_push(l->tokens, l->allocator, token) ? NULL : QN_OOM();
}

static bool looks_at(const struct lexer *l, size_t at, const char *text)
{
    size_t size = strlen(text);
    return at <= l->text.size && l->text.size - at >= size && memcmp(l->text.data + at, text, size) == 0;
}

static size_t skip_space(const struct lexer *l, size_t at)
{
    while (at < l->text.size) {
        uint32_t c;
        size_t length = qn_utf8_decode(l->text.data + at, l->text.size - at, &c);
        if (!length || !qn_uni_is_space(c))
            break;
        at += length;
    }
    return at;
}

static struct qn_str part(const struct lexer *l, size_t begin, size_t end)
{
    return (struct qn_str){l->text.data + begin, end - begin};
}

static void advance(struct lexer *l, size_t at)
{
    if (at > l->at)
        l->line_start = l->text.data[at - 1] == '\n';
    l->at = at;
}

/* The end of a tag at `at` ("+%}", "-%}" with the white space behind it, "%}" with a line break): where it ends, or 0.
 */
static size_t tag_end(const struct lexer *l, size_t at, const char *end, bool trims)
{
    if (looks_at(l, at, "-") && looks_at(l, at + 1, end))
        return skip_space(l, at + 1 + strlen(end));
    if (trims && looks_at(l, at, "+") && looks_at(l, at + 1, end))
        return at + 1 + strlen(end);
    if (!looks_at(l, at, end))
        return 0;
    at += strlen(end);
    return trims && looks_at(l, at, "\n") ? at + 1 : at;
}

/* The text before a tag that begins with two bytes at `tag`: without what the sign behind them or lstrip_blocks takes
 * off. */
static qn_status push_data(struct lexer *l, size_t tag, bool variable)
{
    struct qn_str text = part(l, l->at, tag);
    char sign = tag + 2 < l->text.size ? l->text.data[tag + 2] : 0;
    if (sign == '-') {
        text = qn_uni_strip(text, false, true);
    } else if (sign != '+' && !variable) {
        size_t line = text.size;
        while (line && text.data[line - 1] != '\n')
            line--;
        struct qn_str rest = {text.data + line, text.size - line};
        if ((line || l->line_start) && rest.size && qn_uni_strip(rest, true, false).size == 0)
            text.size = line;
    }
    return text.size ? push(l, QN_TOK_DATA, l->at, text) : NULL;
}

static size_t sign_size(const struct lexer *l, size_t at)
{
    return at < l->text.size && (l->text.data[at] == '-' || l->text.data[at] == '+');
}

/* "{% raw %}" at `at`: where it ends, or 0. */
static size_t raw_begin(const struct lexer *l, size_t at)
{
    if (!looks_at(l, at, "{%"))
        return 0;
    at = skip_space(l, at + 2 + sign_size(l, at + 2));
    if (!looks_at(l, at, "raw"))
        return 0;
    at = skip_space(l, at + 3);
    return tag_end(l, at, "%}", false);
}

static size_t raw_end(const struct lexer *l, size_t at)
{
    if (!looks_at(l, at, "{%"))
        return 0;
    at = skip_space(l, at + 2 + sign_size(l, at + 2));
    if (!looks_at(l, at, "endraw"))
        return 0;
    return tag_end(l, skip_space(l, at + 6), "%}", true);
}

static qn_status lex_raw(struct lexer *l, size_t tag, size_t begin)
{
    advance(l, begin);
    for (size_t at = begin; at < l->text.size; at++) {
        size_t end = raw_end(l, at);
        if (!end)
            continue;
        QN_TRY(push_data(l, at, false));
        advance(l, end);
        return NULL;
    }
    /* Jinja2 lets a tag at the very end pass */
    return begin == l->text.size ? NULL : fail_at(l, tag, "this raw block has no end");
}

static qn_status lex_comment(struct lexer *l, size_t tag)
{
    advance(l, tag + 2 + sign_size(l, tag + 2));
    for (size_t at = l->at; at < l->text.size; at++) {
        size_t end = tag_end(l, at, "#}", true);
        if (end) {
            advance(l, end);
            return NULL;
        }
    }
    return l->at == l->text.size ? NULL : fail_at(l, tag, "this comment has no end");
}

/* ---- literals ------------------------------------------------------------------------------------------------- */

static size_t digits_end(const struct lexer *l, size_t at, int (*is)(int))
{
    size_t end = at;
    while (at < l->text.size) {
        if (is((uint8_t)l->text.data[at]))
            end = ++at;
        else if (l->text.data[at] == '_' && end == at && end)
            at++;
        else
            break;
    }
    return end;
}

static int is_binary(int c)
{
    return c == '0' || c == '1';
}
static int is_octal(int c)
{
    return c >= '0' && c <= '7';
}
static int is_zero(int c)
{
    return c == '0';
}

/* Where a fraction or an exponent at `at` ends, or `at`. */
static size_t fraction_end(const struct lexer *l, size_t at)
{
    size_t end = at;
    if (looks_at(l, at, ".") && at + 1 < l->text.size && isdigit((uint8_t)l->text.data[at + 1]))
        at = end = digits_end(l, at + 1, isdigit);
    if (at < l->text.size && (l->text.data[at] == 'e' || l->text.data[at] == 'E')) {
        at++;
        at += sign_size(l, at);
        if (at < l->text.size && isdigit((uint8_t)l->text.data[at]))
            end = digits_end(l, at, isdigit);
    }
    return end;
}

static qn_status lex_number(struct lexer *l)
{
    size_t begin = l->at, end = 0;
    int base = 10;
    char digits[400];
    size_t size = 0;
    bool after_point = begin && l->text.data[begin - 1] == '.';
    size_t whole = digits_end(l, begin, isdigit);
    size_t real = after_point ? whole : fraction_end(l, whole);
    char second = begin + 1 < l->text.size ? (char)tolower((uint8_t)l->text.data[begin + 1]) : 0;
    if (real > whole) {
        end = real;
    } else if (l->text.data[begin] != '0') {
        end = whole;
    } else {
        int (*is)(int) = second == 'x' ? isxdigit : second == 'o' ? is_octal : second == 'b' ? is_binary : NULL;
        size_t skip = begin + 2 + (is && looks_at(l, begin + 2, "_"));
        end = is ? digits_end(l, skip, is) : 0;
        base = is && end > skip ? (second == 'x' ? 16 : second == 'o' ? 8 : 2) : 10;
        if (base == 10)
            end = digits_end(l, begin, is_zero);
    }
    QN_TRY(push(l, real > whole ? QN_TOK_FLOAT : QN_TOK_INT, begin, part(l, begin, end)));
    for (size_t i = begin + (base != 10 ? 2 : 0); i < end; i++)
        if (l->text.data[i] != '_' && size < sizeof digits - 1)
            digits[size++] = l->text.data[i];
    digits[size] = 0;
    struct qn_tpl_token *token = &l->tokens->items[l->tokens->count - 1];
    if (real > whole) {
        if (size == sizeof digits - 1 || !qn_val_parse_float((struct qn_str){digits, size}, &token->number))
            return fail_at(l, begin, "this number is too long");
    } else {
        errno = 0;
        token->integer = strtoll(digits, NULL, base);
        if (errno || size == sizeof digits - 1)
            return fail_at(l, begin, "this integer does not fit 64 bits");
    }
    advance(l, end);
    return NULL;
}

static int hex_digits(struct qn_str text, size_t at, size_t count, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        if (at + i >= text.size || !isxdigit((uint8_t)text.data[at + i]))
            return 0;
        char c = text.data[at + i];
        *out = *out << 4 | (uint32_t)(isdigit((uint8_t)c) ? c - '0' : tolower((uint8_t)c) - 'a' + 10);
    }
    return 1;
}

/* One escape sequence at text[at] == '\\': its code point, or -1 for bytes that stay as they are, -2 for nothing, -3
 * for a mistake; *size: bytes it takes. */
static int64_t escape(struct qn_str text, size_t at, size_t *size)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = text.data[at + 1];
    const char *simple = c ? strchr(from, c) : NULL;
    uint32_t value, low;
    *size = 2;
    if (simple)
        return to[simple - from];
    if (c == '\n')
        return -2;
    if (c >= '0' && c <= '7') {
        value = 0;
        for (*size = 1; *size < 4 && at + *size < text.size && is_octal(text.data[at + *size]); (*size)++)
            value = value * 8 + (uint32_t)(text.data[at + *size] - '0');
        return value;
    }
    if (c == 'N')
        return -3;
    size_t count = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!count)
        return -1;
    if (!hex_digits(text, at + 2, count, &value) || value > 0x10ffff)
        return -3;
    *size = 2 + count;
    if (value >= 0xd800 && value < 0xdc00 && at + 7 < text.size && memcmp(text.data + at + 6, "\\u", 2) == 0 &&
        hex_digits(text, at + 8, 4, &low) && low >= 0xdc00 && low < 0xe000) {
        *size = 12;
        return 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
    }
    return value >= 0xd800 && value < 0xe000 ? -3 : (int64_t)value;
}

static qn_status unescape(struct lexer *l, size_t begin, struct qn_str *text)
{
    if (!memchr(text->data, '\\', text->size))
        return NULL;
    char *out = qn_arena_alloc(l->arena, 2 * text->size, 1); /* \377 becomes two bytes */
    size_t size = 0, step;
    if (!out)
        return QN_OOM();
    for (size_t at = 0; at < text->size; at += step) {
        step = 1;
        if (text->data[at] != '\\') {
            out[size++] = text->data[at];
            continue;
        }
        int64_t c = escape(*text, at, &step);
        if (c == -3)
            return fail_at(l, begin, "a backslash in this text begins no escape sequence that can be read");
        if (c == -1) {
            out[size++] = '\\';
            step = 1;
        } else if (c >= 0) {
            size += qn_utf8_encode((uint32_t)c, out + size);
        }
    }
    *text = (struct qn_str){out, size};
    return NULL;
}

static qn_status lex_string(struct lexer *l)
{
    size_t begin = l->at, at = begin + 1;
    char quote = l->text.data[begin];
    while (at < l->text.size && l->text.data[at] != quote)
        at += l->text.data[at] == '\\' ? 2 : 1;
    if (at >= l->text.size)
        return fail_at(l, begin, "this text has no closing quote");
    QN_TRY(push(l, QN_TOK_STRING, begin, part(l, begin + 1, at)));
    QN_TRY(unescape(l, begin, &l->tokens->items[l->tokens->count - 1].text));
    advance(l, at + 1);
    return NULL;
}

/* ---- tags ----------------------------------------------------------------------------------------------------- */

static bool is_name_byte(uint8_t c)
{
    return isalnum(c) || c == '_' || c >= 0x80;
}

static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

struct brackets {
    char open[256];
    size_t count;
};

static qn_status balance(struct lexer *l, struct brackets *b, const char *op)
{
    char c = op[1] ? 0 : op[0], words[64];
    if (c == '(' || c == '[' || c == '{') {
        if (b->count == sizeof b->open)
            return fail_at(l, l->at, "brackets are nested too deeply");
        b->open[b->count++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (!b->count || b->open[--b->count] != c) {
            snprintf(words, sizeof words, "unexpected '%c'", c);
            return fail_at(l, l->at, words);
        }
    }
    return NULL;
}

static qn_status lex_operator(struct lexer *l, struct brackets *b)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (looks_at(l, l->at, operators[i])) {
            QN_TRY(balance(l, b, operators[i]));
            size_t end = l->at + strlen(operators[i]);
            QN_TRY(push(l, QN_TOK_OPERATOR, l->at, part(l, l->at, end)));
            advance(l, end);
            return NULL;
        }
    return fail_at(l, l->at, "this character has no meaning here");
}

static qn_status lex_tag(struct lexer *l, size_t tag, bool variable)
{
    struct brackets brackets = {.count = 0};
    const char *end_text = variable ? "}}" : "%}";
    QN_TRY(push(l, variable ? QN_TOK_VARIABLE_BEGIN : QN_TOK_BLOCK_BEGIN, tag, part(l, tag, tag + 2)));
    advance(l, tag + 2 + sign_size(l, tag + 2));
    while (l->at < l->text.size) {
        size_t end = brackets.count ? 0 : tag_end(l, l->at, end_text, !variable);
        uint8_t c = (uint8_t)l->text.data[l->at];
        size_t space = skip_space(l, l->at);
        if (end) {
            QN_TRY(push(l, variable ? QN_TOK_VARIABLE_END : QN_TOK_BLOCK_END, l->at, part(l, l->at, end)));
            advance(l, end);
            return NULL;
        }
        if (space > l->at) {
            advance(l, space);
        } else if (isdigit(c)) {
            QN_TRY(lex_number(l));
        } else if (is_name_byte(c)) {
            end = l->at;
            while (end < l->text.size && is_name_byte((uint8_t)l->text.data[end]))
                end++;
            QN_TRY(push(l, QN_TOK_NAME, l->at, part(l, l->at, end)));
            advance(l, end);
        } else if (c == '"' || c == '\'') {
            QN_TRY(lex_string(l));
        } else {
            QN_TRY(lex_operator(l, &brackets));
        }
    }
    return fail_at(l, tag, variable ? "this '{{' has no '}}'" : "this '{%' has no '%}'");
}

static qn_status lex_all(struct lexer *l)
{
    while (l->at < l->text.size) {
        size_t tag = l->at;
        while (tag < l->text.size && !(l->text.data[tag] == '{' && tag + 1 < l->text.size &&
                                       strchr("{%#", l->text.data[tag + 1]) && l->text.data[tag + 1]))
            tag++;
        if (tag >= l->text.size) {
            QN_TRY(push(l, QN_TOK_DATA, l->at, part(l, l->at, tag)));
            l->at = tag;
            break;
        }
        bool variable = l->text.data[tag + 1] == '{';
        size_t raw = raw_begin(l, tag);
        QN_TRY(push_data(l, tag, variable));
        l->at = tag;
        if (raw)
            QN_TRY(lex_raw(l, tag, raw));
        else if (l->text.data[tag + 1] == '#')
            QN_TRY(lex_comment(l, tag));
        else
            QN_TRY(lex_tag(l, tag, variable));
    }
    return push(l, QN_TOK_END, l->text.size, (struct qn_str){"", 0});
}

qn_status qn_tpl_lex(struct qn_str text, const char *name, struct qn_arena *arena, const struct qn_allocator *allocator,
                     qn_tpl_tokens *tokens)
{
    struct lexer lexer = {.text = text,
                          .name = name,
                          .arena = arena,
                          .allocator = allocator,
                          .tokens = tokens,
                          .line = 1,
                          .column = 1,
                          .line_start = true};
    return lex_all(&lexer);
}

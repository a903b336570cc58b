/* Oniguruma (Ruby's syntax) to PCRE2. What differs and is rewritten here:
 *
 *   \d \s \w \h \b, POSIX classes      Unicode sets of their own, written out
 *   [a[bc]], [a&&b], [^\W]             nested classes, as alternatives and look-aheads
 *   X{n,m}+, X{n}{m}                   a repeated group, not a possessive quantifier
 *   X{,n}                              X{0,n}
 *   (?m)                               the dot matches \n: (?s)
 *   a(?i)b|c                           the option reaches over '|' to the end of the group
 *   (?i:ss)                            also matches the one letter that folds to it, and the reverse
 *   \v \u1234 \O, unknown escapes      a vertical tab, a code point, any character, the letter itself
 */
#include <ctype.h>
#include <utf8proc.h>

#include "text/tokenizer/regex.h"
#include "text/tokenizer/regex_class.h"
#include "base/utf8.h"

struct translator {
    struct qn_regex_reader reader;
    struct qn_strbuf *out;
    bool caseless;
};

static qn_status translate_group(struct translator *t);

static char peek(const struct translator *t, size_t ahead)
{
    size_t at = t->reader.at + ahead;
    return at < t->reader.pattern.size ? t->reader.pattern.data[at] : 0;
}

static bool done(const struct translator *t)
{
    return t->reader.at >= t->reader.pattern.size;
}

/* ---- letters that fold to several ----------------------------------------------------------------------------- */

/* Every code point whose full case folding is longer than one character, as ranges (Unicode CaseFolding, status F). */
static const uint16_t folding_ranges[][2] = {
    {0xdf, 0xdf},     {0x130, 0x130},   {0x149, 0x149},   {0x1f0, 0x1f0},   {0x390, 0x390},   {0x3b0, 0x3b0},
    {0x587, 0x587},   {0x1e96, 0x1e9a}, {0x1e9e, 0x1e9e}, {0x1f50, 0x1f56}, {0x1f80, 0x1faf}, {0x1fb2, 0x1fb7},
    {0x1fbc, 0x1fbc}, {0x1fc2, 0x1fc7}, {0x1fcc, 0x1fcc}, {0x1fd2, 0x1fd7}, {0x1fe2, 0x1fe7}, {0x1ff2, 0x1ff7},
    {0x1ffc, 0x1ffc}, {0xfb00, 0xfb06}, {0xfb13, 0xfb17},
};

/* Full case folding into folded[4]; the number of characters. */
static size_t fold(uint32_t c, utf8proc_int32_t folded[4])
{
    int boundary = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)c, folded, 4, UTF8PROC_CASEFOLD, &boundary);
    if (count < 1 || count > 4) {
        folded[0] = (utf8proc_int32_t)c;
        return 1;
    }
    return (size_t)count;
}

/* The plain letter `index` letters on, when there is one and no quantifier follows it. 0 otherwise. */
static uint32_t letter_ahead(const struct translator *t, size_t index, size_t *length)
{
    size_t at = t->reader.at;
    for (;; index--) {
        uint32_t c = 0;
        size_t size = t->reader.pattern.size - at;
        size_t step = size ? qn_utf8_decode(t->reader.pattern.data + at, size, &c) : 0;
        if (!step || (c < 0x80 && !isalpha((int)c)))
            return 0;
        at += step;
        if (index == 0) {
            char next = at < t->reader.pattern.size ? t->reader.pattern.data[at] : 0;
            *length = at - t->reader.at;
            return next && strchr("*+?{", next) ? 0 : c;
        }
    }
}

/* At letters that are the folding of one character: their length in the pattern, otherwise 0. */
static size_t match_folding(const struct translator *t, const utf8proc_int32_t *folded, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        utf8proc_int32_t one[4];
        uint32_t c = letter_ahead(t, i, &length);
        if (!c || fold(c, one) != 1 || one[0] != folded[i])
            return 0;
    }
    return length;
}

/* (?i:ss) -> (?:s s|ß|ẞ) and (?i:ß) -> (?:ß|ẞ|s s). False when no such character is involved. */
static bool translate_folding(struct translator *t)
{
    utf8proc_int32_t folded[4], other[4];
    size_t count = 0, length = 0;
    uint32_t here = letter_ahead(t, 0, &length);
    bool expands = here >= 0x80 && (count = fold(here, folded)) > 1;
    for (size_t i = 0; i < sizeof folding_ranges / sizeof folding_ranges[0] && !expands && here; i++)
        for (uint32_t c = folding_ranges[i][0]; c <= folding_ranges[i][1] && !expands; c++) {
            count = fold(c, folded);
            expands = count > 1 && (length = match_folding(t, folded, count)) > 0;
        }
    if (!expands)
        return false;
    qn_strbuf_add(t->out, "(?:");
    for (size_t i = 0; i < count; i++)
        qn_regex_write_char(t->out, (uint32_t)folded[i]);
    for (size_t i = 0; i < sizeof folding_ranges / sizeof folding_ranges[0]; i++)
        for (uint32_t c = folding_ranges[i][0]; c <= folding_ranges[i][1]; c++)
            if (fold(c, other) == count && memcmp(other, folded, count * sizeof *other) == 0)
                qn_strbuf_printf(t->out, "|\\x{%x}", c);
    qn_strbuf_add(t->out, ")");
    t->reader.at += length;
    return true;
}

/* ---- atoms ---------------------------------------------------------------------------------------------------- */

static qn_status copy_name(struct translator *t, char close)
{
    const char *from = t->reader.pattern.data + t->reader.at;
    const char *to = memchr(from, close, t->reader.pattern.size - t->reader.at);
    if (!to)
        return qn_regex_fail(&t->reader, "name without its end");
    size_t size = (size_t)(to - from) + 1;
    qn_strbuf_append(t->out, from, size);
    t->reader.at += size;
    return NULL;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* "\1", or the character of "\101". */
static qn_status translate_reference(struct translator *t)
{
    unsigned number = 0;
    if (is_octal(peek(t, 1)) && is_octal(peek(t, 2)) && is_octal(peek(t, 3))) {
        qn_regex_write_char(t->out, (uint32_t)((peek(t, 1) & 3) << 6 | (peek(t, 2) & 7) << 3 | (peek(t, 3) & 7)));
        t->reader.at += 4;
        return NULL;
    }
    t->reader.at++;
    while (isdigit((unsigned char)peek(t, 0)) && number < 1000)
        number = number * 10 + (unsigned)(t->reader.pattern.data[t->reader.at++] - '0');
    qn_strbuf_printf(t->out, "\\g{%u}", number);
    return NULL;
}

static qn_status translate_escape(struct translator *t)
{
    char letter = peek(t, 1), lower = (char)tolower((unsigned char)letter);
    const char *members = qn_regex_shorthand(lower == 'w' ? 'W' : lower);
    if (members) {
        qn_strbuf_printf(t->out, isupper((unsigned char)letter) ? "[^%s]" : "[%s]", members);
        t->reader.at += 2;
        return NULL;
    }
    if (lower == 'p') {
        struct qn_strbuf property;
        bool negated = false;
        qn_strbuf_init(&property, t->out->allocator);
        t->reader.at += 2;
        qn_status status = qn_regex_read_property(&t->reader, letter, &property, &negated);
        if (!status && property.failed)
            status = QN_OOM();
        if (!status && strcmp(property.data, qn_regex_shorthand('w')) == 0)
            qn_strbuf_printf(t->out, negated ? "[^%s]" : "[%s]", qn_regex_shorthand('W'));
        else if (!status)
            qn_strbuf_printf(t->out, negated ? "[^%s]" : "[%s]", property.data);
        qn_strbuf_deinit(&property);
        return status;
    }
    if (lower == 'b') {
        const char *word = qn_regex_shorthand('W');
        const char *form =
            letter == 'b' ? "(?:(?<=[%s])(?![%s])|(?<![%s])(?=[%s]))" : "(?:(?<=[%s])(?=[%s])|(?<![%s])(?![%s]))";
        qn_strbuf_printf(t->out, form, word, word, word, word);
        t->reader.at += 2;
        return NULL;
    }
    if (letter && strchr("AzZGKRXN", letter)) {
        qn_strbuf_append(t->out, t->reader.pattern.data + t->reader.at, 2);
        t->reader.at += 2;
        return NULL;
    }
    if (letter == 'O') {
        qn_strbuf_add(t->out, "(?s:.)");
        t->reader.at += 2;
        return NULL;
    }
    if (letter == 'y' || letter == 'Y')
        return qn_regex_fail(&t->reader, "text segment boundaries are not supported");
    if (letter >= '1' && letter <= '9')
        return translate_reference(t);
    if ((letter == 'k' || letter == 'g') && (peek(t, 2) == '<' || peek(t, 2) == '\'')) {
        qn_strbuf_append(t->out, t->reader.pattern.data + t->reader.at, 3);
        t->reader.at += 3;
        return copy_name(t, peek(t, (size_t)-1) == '<' ? '>' : '\'');
    }
    uint32_t c;
    QN_TRY(qn_regex_read_char(&t->reader, false, &c));
    qn_regex_write_char(t->out, c);
    return NULL;
}

/* "(?imx-imx" up to ':' or ')', with m written as s. */
static qn_status translate_options(struct translator *t)
{
    bool off = false;
    for (;; t->reader.at++) {
        char c = peek(t, 0);
        if (c == 'i')
            t->caseless = !off;
        if (c == '-')
            off = true;
        if (!c || !strchr("imsx-", c))
            break;
        qn_strbuf_add(t->out, (char[2]){c == 'm' ? 's' : c, 0});
    }
    if (peek(t, 0) != ':' && peek(t, 0) != ')')
        return qn_regex_fail(&t->reader, "unknown group");
    return NULL;
}

/* A group at '('; *open true when it was an option that lasts to the end of the surrounding group ("(?i)"). */
static qn_status translate_paren(struct translator *t, bool *open)
{
    static const char *const plain[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"};
    bool caseless = t->caseless;
    *open = false;
    if (qn_regex_at(&t->reader, "(?#")) {
        const char *from = t->reader.pattern.data + t->reader.at;
        const char *close = memchr(from, ')', t->reader.pattern.size - t->reader.at);
        if (!close)
            return qn_regex_fail(&t->reader, "comment without ')'");
        t->reader.at += (size_t)(close - from) + 1;
        return NULL;
    }
    size_t size = peek(t, 1) == '?' ? 0 : 1;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0] && !size; i++)
        if (qn_regex_at(&t->reader, plain[i]))
            size = strlen(plain[i]);
    if (size) {
        qn_strbuf_append(t->out, t->reader.pattern.data + t->reader.at, size);
        t->reader.at += size;
    } else if (peek(t, 2) == '<' || peek(t, 2) == '\'') {
        qn_strbuf_append(t->out, t->reader.pattern.data + t->reader.at, 3);
        t->reader.at += 3;
        QN_TRY(copy_name(t, peek(t, (size_t)-1) == '<' ? '>' : '\''));
    } else {
        qn_strbuf_add(t->out, "(?");
        t->reader.at += 2;
        QN_TRY(translate_options(t));
        qn_strbuf_add(t->out, ":");
        *open = t->reader.pattern.data[t->reader.at++] == ')';
        if (*open)
            return NULL;
    }
    QN_TRY(translate_group(t));
    if (peek(t, 0) != ')')
        return qn_regex_fail(&t->reader, "group without ')'");
    t->reader.at++;
    qn_strbuf_add(t->out, ")");
    t->caseless = caseless;
    return NULL;
}

static qn_status translate_atom(struct translator *t, bool *open)
{
    char c = peek(t, 0);
    *open = false;
    if (c == '(')
        return translate_paren(t, open);
    if (c == '[')
        return qn_regex_class(&t->reader, t->out);
    if (c == '\\')
        return translate_escape(t);
    if (c && strchr(".^$", c)) {
        qn_strbuf_append(t->out, &c, 1);
        t->reader.at++;
        return NULL;
    }
    if (t->caseless && translate_folding(t))
        return NULL;
    uint32_t literal;
    QN_TRY(qn_regex_read_char(&t->reader, false, &literal));
    qn_regex_write_char(t->out, literal);
    return NULL;
}

/* ---- quantifiers ---------------------------------------------------------------------------------------------- */

/* "{n}", "{n,}", "{,m}", "{n,m}" at the reader's place: its length, 0 when the brace is a literal. */
static size_t interval_length(const struct translator *t, bool *no_low)
{
    size_t at = 1;
    while (isdigit((unsigned char)peek(t, at)))
        at++;
    *no_low = at == 1;
    size_t digits = at - 1;
    if (peek(t, at) == ',') {
        at++;
        while (isdigit((unsigned char)peek(t, at))) {
            at++;
            digits++;
        }
    }
    return digits && peek(t, at) == '}' ? at + 1 : 0;
}

/* One quantifier with its suffix; *found false when there is none. */
static void translate_quantifier(struct translator *t, bool *found)
{
    char c = peek(t, 0);
    bool no_low = false;
    size_t length = c && strchr("*+?", c) ? 1 : c == '{' ? interval_length(t, &no_low) : 0;
    *found = length > 0;
    if (!length)
        return;
    const char *text = t->reader.pattern.data + t->reader.at;
    if (no_low) {
        qn_strbuf_add(t->out, "{0");
        qn_strbuf_append(t->out, text + 1, length - 1);
    } else {
        qn_strbuf_append(t->out, text, length);
    }
    t->reader.at += length;
    char suffix = peek(t, 0);
    if (suffix == '?' || (suffix == '+' && c != '{')) {
        qn_strbuf_append(t->out, &suffix, 1);
        t->reader.at++;
    }
}

/* Puts "(?:" before what was written since `start`, and ")" after it. */
static void wrap(struct qn_strbuf *out, size_t start)
{
    qn_strbuf_add(out, "(?:)");
    if (out->failed)
        return;
    memmove(out->data + start + 3, out->data + start, out->size - 4 - start);
    memcpy(out->data + start, "(?:", 3);
    out->data[out->size - 1] = ')';
}

static qn_status translate_item(struct translator *t, bool *open)
{
    size_t start = t->out->size;
    QN_TRY(translate_atom(t, open));
    bool found = !*open;
    for (uint32_t count = 0; found; count++) {
        char next = peek(t, 0);
        bool no_low;
        bool more = next && (strchr("*+?", next) || (next == '{' && interval_length(t, &no_low)));
        if (count > QN_REGEX_DEPTH_MAX)
            return qn_regex_fail(&t->reader, "too many quantifiers in a row");
        if (count && more)
            wrap(t->out, start);
        translate_quantifier(t, &found);
    }
    return NULL;
}

/* Alternatives up to the closing parenthesis, which stays unread, or the end. */
static qn_status translate_group(struct translator *t)
{
    if (++t->reader.depth > QN_REGEX_DEPTH_MAX)
        return qn_regex_fail(&t->reader, "groups nested too deeply");
    uint32_t open_count = 0;
    while (!done(t) && peek(t, 0) != ')') {
        char c = peek(t, 0);
        bool open = false;
        if (c == '|') {
            qn_strbuf_add(t->out, "|");
            t->reader.at++;
        } else if (c && strchr("*+?", c)) {
            return qn_regex_fail(&t->reader, "nothing to repeat");
        } else {
            QN_TRY(translate_item(t, &open));
        }
        open_count += open;
        if (open_count > QN_REGEX_DEPTH_MAX)
            return qn_regex_fail(&t->reader, "groups nested too deeply");
    }
    while (open_count--)
        qn_strbuf_add(t->out, ")");
    t->reader.depth--;
    return NULL;
}

qn_status qn_regex_translate(struct qn_str pattern, struct qn_strbuf *out)
{
    struct translator t = {{pattern, 0, 0}, out, false};
    QN_TRY(translate_group(&t));
    if (!done(&t))
        return qn_regex_fail(&t.reader, "')' without '('");
    return out->failed ? QN_OOM() : NULL;
}

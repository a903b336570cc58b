#define _GNU_SOURCE /* strtod_l, newlocale: numbers do not follow the user's language */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"

enum { DEFAULT_DEPTH = 256, NO_PARENT = 0 };

struct reader {
    const char *name;
    const char *text, *at, *end;
    struct qn_arena *arena;
    QN_ARRAY(struct qn_json) nodes;
    uint32_t parent; /* open container + 1; while it is open, its span holds the one around it */
    uint32_t depth, max_depth;
    bool unique_keys;
    locale_t plain; /* 0 until a number needs it */
};

/* Raises an error at the reader's position. */
#define AT(r, ...) error_at((r), qn_status_make(QN_INVALID_FILE, __FILE__, __LINE__, __VA_ARGS__))

static qn_status error_at(const struct reader *r, qn_status status)
{
    return qn_status_note(status, "%s: byte %zu", r->name, (size_t)(r->at - r->text));
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static qn_status add_node(struct reader *r, struct qn_json node)
{
    if (!qn_array_push(&r->nodes, r->arena->allocator, node))
        return QN_OOM();
    return NULL;
}

/* ---- strings -------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Reads the four digits after "\u". */
static bool hex4(struct reader *r, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int digit = r->at < r->end ? hex_digit(*r->at) : -1;
        if (digit < 0)
            return false;
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

/* Reads an escape, at its backslash, and writes what it stands for. */
static qn_status unescape(struct reader *r, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->end - r->at < 2)
        return AT(r, "the text ends in an escape");
    const char *plain = r->at[1] ? strchr(from, r->at[1]) : NULL;
    if (plain) {
        *(*out)++ = to[plain - from];
        r->at += 2;
        return NULL;
    }
    if (r->at[1] != 'u')
        return AT(r, "unknown escape");
    r->at += 2;
    uint32_t c, low;
    if (!hex4(r, &c))
        return AT(r, "expected four hexadecimal digits");
    if (c >= 0xdc00 && c < 0xe000)
        return AT(r, "second half of a surrogate pair without the first");
    if (c >= 0xd800 && c < 0xdc00) {
        if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
            return AT(r, "first half of a surrogate pair without the second");
        r->at += 2;
        if (!hex4(r, &low) || low < 0xdc00 || low >= 0xe000)
            return AT(r, "expected the second half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *out += qn_utf8_encode(c, *out);
    return NULL;
}

/* Passes over plain characters, checking them, up to a quote or a backslash. */
static qn_status plain_run(struct reader *r)
{
    while (r->at < r->end) {
        uint8_t c = (uint8_t)*r->at;
        if (c == '"' || c == '\\')
            return NULL;
        if (c < 0x20)
            return AT(r, "control character 0x%02x in a string", c);
        if (c < 0x80) {
            r->at++;
            continue;
        }
        uint32_t codepoint;
        size_t length = qn_utf8_decode(r->at, (size_t)(r->end - r->at), &codepoint);
        if (!length)
            return AT(r, "not UTF-8");
        r->at += length;
    }
    return AT(r, "the text ends in a string");
}

/* The rest of a string that holds escapes: [start, r->at) is plain. An escape is never longer than what it gives. */
static qn_status escaped_string(struct reader *r, const char *start, struct qn_str *out)
{
    const char *close = r->at; /* finds the end first: that much memory is enough */
    while (close < r->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= r->end)
        close = r->end; /* the loop below says what is wrong */
    char *text = qn_arena_alloc(r->arena, (size_t)(close - start), 1), *to = text;
    if (!text)
        return QN_OOM();
    const char *from = start;
    for (;;) {
        memcpy(to, from, (size_t)(r->at - from));
        to += r->at - from;
        if (*r->at == '"')
            break;
        QN_TRY(unescape(r, &to));
        from = r->at;
        QN_TRY(plain_run(r));
    }
    *out = (struct qn_str){text, (size_t)(to - text)};
    return NULL;
}

static qn_status read_string(struct reader *r)
{
    r->at++;
    struct qn_str text = {r->at, 0};
    QN_TRY(plain_run(r));
    text.size = (size_t)(r->at - text.data);
    if (*r->at == '\\')
        QN_TRY(escaped_string(r, text.data, &text));
    r->at++;
    return add_node(r, (struct qn_json){.kind = QN_JSON_STRING, .size = (uint32_t)text.size, .text = text.data});
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

/* Any number, slowly and exactly. */
static qn_status slow_double(struct reader *r, const char *start, double *out)
{
    char small[64], *copy = small;
    size_t size = (size_t)(r->at - start);
    if (size >= sizeof small && !(copy = qn_arena_alloc(r->arena, size + 1, 1)))
        return QN_OOM();
    memcpy(copy, start, size);
    copy[size] = 0;
    if (!r->plain && !(r->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0)))
        return QN_OOM();
    *out = strtod_l(copy, NULL, r->plain);
    if (isinf(*out)) {
        r->at = start;
        return AT(r, "number too large for a double");
    }
    return NULL;
}

static bool digit_here(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* Digits into *mantissa while they fit; *exact goes false when they do not. Gives the number of digits. */
static size_t digits(struct reader *r, uint64_t *mantissa, bool *exact)
{
    const char *start = r->at;
    for (; digit_here(r); r->at++)
        if (__builtin_mul_overflow(*mantissa, (uint64_t)10, mantissa) ||
            __builtin_add_overflow(*mantissa, (uint64_t)(*r->at - '0'), mantissa))
            *exact = false;
    return (size_t)(r->at - start);
}

static qn_status read_number(struct reader *r)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *start = r->at;
    bool minus = *r->at == '-', exact = true, whole = true, large_exponent = false;
    r->at += minus;
    const char *first = r->at;
    uint64_t mantissa = 0, exponent_digits = 0;
    int64_t exponent = 0;
    size_t count = digits(r, &mantissa, &exact);
    if (count == 0)
        return AT(r, "expected a digit");
    if (count > 1 && *first == '0')
        return AT(r, "a number with a leading zero");
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        whole = false;
        size_t fraction = digits(r, &mantissa, &exact);
        if (fraction == 0)
            return AT(r, "expected a digit after the point");
        exponent -= (int64_t)fraction;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        whole = false;
        bool negative = r->at < r->end && *r->at == '-', fits = true;
        r->at += negative || (r->at < r->end && *r->at == '+');
        if (digits(r, &exponent_digits, &fits) == 0)
            return AT(r, "expected a digit in the exponent");
        large_exponent = !fits || exponent_digits > 400;
        if (!large_exponent)
            exponent += negative ? -(int64_t)exponent_digits : (int64_t)exponent_digits;
    }
    if (whole && exact && mantissa <= (uint64_t)INT64_MAX + minus && !(minus && mantissa == 0))
        return add_node(r,
                        (struct qn_json){.kind = QN_JSON_INT, .integer = (int64_t)(minus ? 0 - mantissa : mantissa)});
    double value = 0;
    /* Both operands are exact doubles, so that one operation rounds once: correct to the last bit. */
    if (exact && !large_exponent && mantissa <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
        value = exponent < 0 ? (double)mantissa / tens[-exponent] : (double)mantissa * tens[exponent];
        value = minus ? -value : value;
    } else {
        QN_TRY(slow_double(r, start, &value));
    }
    return add_node(r, (struct qn_json){.kind = QN_JSON_DOUBLE, .number = value});
}

/* ---- containers ----------------------------------------------------------------------------------------------- */

static qn_status read_word(struct reader *r)
{
    static const struct {
        struct qn_str word;
        struct qn_json node;
    } words[] = {
        {{"null", 4}, {.kind = QN_JSON_NULL}},
        {{"true", 4}, {.kind = QN_JSON_BOOL, .boolean = true}},
        {{"false", 5}, {.kind = QN_JSON_BOOL, .boolean = false}},
    };
    struct qn_str rest = {r->at, (size_t)(r->end - r->at)};
    for (size_t i = 0; i < 3; i++) {
        if (qn_str_starts(rest, words[i].word)) {
            r->at += words[i].word.size;
            return add_node(r, words[i].node);
        }
    }
    return AT(r, "expected a value");
}

static qn_status open_container(struct reader *r, enum qn_json_kind kind)
{
    if (r->depth == r->max_depth)
        return AT(r, "more than %u levels deep", r->max_depth);
    QN_TRY(add_node(r, (struct qn_json){.kind = kind, .span = r->parent}));
    r->parent = r->nodes.count;
    r->depth++;
    r->at++;
    return NULL;
}

static qn_status check_unique(struct reader *r, const struct qn_json *object)
{
    struct qn_arena scratch;
    struct qn_map seen;
    qn_arena_init(&scratch, r->arena->allocator);
    qn_status status = qn_map_init(&seen, &scratch, object->size) ? NULL : QN_OOM();
    const struct qn_json *key = qn_json_first(object);
    for (uint32_t i = 0; i < object->size && !status; i++, key = qn_json_next(qn_json_next(key))) {
        struct qn_str text = qn_json_str(key);
        enum qn_map_result result = qn_map_put(&seen, text, i);
        if (result == QN_MAP_FAILED)
            status = QN_OOM();
        else if (result == QN_MAP_REPLACED)
            status = AT(r, "key '%.*s' stands twice in the object that ends here", QN_STR_ARG(text));
    }
    qn_arena_deinit(&scratch);
    return status;
}

static qn_status close_container(struct reader *r)
{
    struct qn_json *container = &r->nodes.items[r->parent - 1];
    uint32_t outer = (uint32_t)container->span;
    container->span = r->nodes.count - (r->parent - 1);
    if (r->unique_keys && container->kind == QN_JSON_OBJECT && container->size > 1)
        QN_TRY(check_unique(r, container));
    r->parent = outer;
    r->depth--;
    r->at++;
    return NULL;
}

static qn_status read_key(struct reader *r)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != '"')
        return AT(r, "expected a key in quotes");
    QN_TRY(read_string(r));
    skip_blanks(r);
    if (r->at == r->end || *r->at != ':')
        return AT(r, "expected ':'");
    r->at++;
    return NULL;
}

/* Reads a value; of a container, its opening alone. *complete is false when a container was opened. */
static qn_status read_value(struct reader *r, bool *complete)
{
    *complete = true;
    skip_blanks(r);
    if (r->at == r->end)
        return AT(r, "the text ends where a value is expected");
    switch (*r->at) {
    case '"':
        return read_string(r);
    case '{':
    case '[':
        *complete = false;
        return open_container(r, *r->at == '{' ? QN_JSON_OBJECT : QN_JSON_ARRAY);
    case '-':
    case '0' ... '9':
        return read_number(r);
    default:
        return read_word(r);
    }
}

/* After a value: counts it in its container and reads what follows, closings included, up to the next value. */
static qn_status after_value(struct reader *r)
{
    while (r->parent != NO_PARENT) {
        struct qn_json *container = &r->nodes.items[r->parent - 1];
        container->size++;
        bool object = container->kind == QN_JSON_OBJECT;
        skip_blanks(r);
        char c = r->at < r->end ? *r->at : 0;
        if (c == ',') {
            r->at++;
            return object ? read_key(r) : NULL;
        }
        if (c != (object ? '}' : ']'))
            return AT(r, object ? "expected ',' or '}'" : "expected ',' or ']'");
        QN_TRY(close_container(r));
    }
    return NULL;
}

static qn_status read_document(struct reader *r)
{
    do {
        bool complete;
        QN_TRY(read_value(r, &complete));
        if (!complete) {
            bool object = r->nodes.items[r->parent - 1].kind == QN_JSON_OBJECT;
            skip_blanks(r);
            if (r->at == r->end || *r->at != (object ? '}' : ']')) {
                if (object)
                    QN_TRY(read_key(r));
                continue;
            }
            QN_TRY(close_container(r)); /* an empty one */
        }
        QN_TRY(after_value(r));
    } while (r->parent != NO_PARENT);
    skip_blanks(r);
    return r->at == r->end ? NULL : AT(r, "more text behind the value");
}

qn_status qn_json_read(struct qn_str text, const struct qn_json_options *options, struct qn_arena *arena,
                       const struct qn_json **root)
{
    static const struct qn_json_options none = {0};
    *root = NULL;
    options = options ? options : &none;
    if (!text.data)
        text = QN_STR("");
    struct reader r = {
        .name = options->name ? options->name : "JSON",
        .text = text.data,
        .at = text.data,
        .end = text.data + text.size,
        .arena = arena,
        .max_depth = options->max_depth ? options->max_depth : DEFAULT_DEPTH,
        .unique_keys = options->unique_keys,
    };
    if (text.size > UINT32_MAX)
        return QN_ERROR(QN_UNSUPPORTED, "%s: %zu bytes of JSON; at most 4 GiB can be read", r.name, text.size);
    qn_status status = read_document(&r);
    if (!status) {
        struct qn_json *nodes = QN_ARENA_ARRAY(arena, struct qn_json, r.nodes.count);
        if (nodes)
            memcpy(nodes, r.nodes.items, r.nodes.count * sizeof *nodes);
        else
            status = QN_OOM();
        *root = nodes;
    }
    qn_array_free(&r.nodes, arena->allocator);
    if (r.plain)
        freelocale(r.plain);
    return status;
}

const struct qn_json *qn_json_member(const struct qn_json *object, const char *key)
{
    if (!object || object->kind != QN_JSON_OBJECT)
        return NULL;
    struct qn_str wanted = qn_str_from(key);
    const struct qn_json *at = qn_json_first(object);
    for (uint32_t i = 0; i < object->size; i++, at = qn_json_next(qn_json_next(at)))
        if (qn_str_eq(qn_json_str(at), wanted))
            return at + 1;
    return NULL;
}

const char *qn_json_kind_name(enum qn_json_kind kind)
{
    static const char *const names[] = {
        [QN_JSON_NULL] = "null",     [QN_JSON_BOOL] = "boolean",  [QN_JSON_INT] = "number",
        [QN_JSON_DOUBLE] = "number", [QN_JSON_STRING] = "string", [QN_JSON_ARRAY] = "array",
        [QN_JSON_OBJECT] = "object",
    };
    return (unsigned)kind < sizeof names / sizeof names[0] && names[kind] ? names[kind] : "?";
}

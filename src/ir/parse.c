#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "ir/ir.h"
#include "ir/shape.h"
#include "ir/share.h"

/* A statement a line, in the order that print.c writes; '#' starts a comment, and the types of a node's outputs may be
 * left out. Nothing is allocated that the text's own length does not justify, and nesting is bounded. */

enum { MAX_NESTING = 64, MIN_IDS = 1024 };

struct parser {
    struct qn_str text;
    size_t at, line_start;
    uint32_t line;
    uint32_t nesting;
    struct qn_graph *g;
    struct qn_arena names; /* unquoted strings */
    QN_ARRAY(qn_value) values; /* of the text's numbers; 0 where one is not defined yet */
};

static qn_status fail_at(const struct parser *p, size_t at, const char *expected)
{
    unsigned column = (unsigned)(at - p->line_start) + 1;
    if (at >= p->text.size)
        return QN_ERROR(QN_INVALID_FILE, "%u:%u: expected %s, the text ends", p->line, column, expected);
    unsigned char c = (unsigned char)p->text.data[at];
    if (c > 32 && c < 127)
        return QN_ERROR(QN_INVALID_FILE, "%u:%u: expected %s, found '%c'", p->line, column, expected, c);
    return QN_ERROR(QN_INVALID_FILE, "%u:%u: expected %s, found byte 0x%02x", p->line, column, expected, c);
}

static qn_status fail(const struct parser *p, const char *expected)
{
    return fail_at(p, p->at, expected);
}

static qn_status here(const struct parser *p, size_t at, qn_status status)
{
    return qn_status_note(status, "%u:%u", p->line, (unsigned)(at - p->line_start) + 1);
}

/* ---- words -------------------------------------------------------------------------------------------------- */

static char peek(const struct parser *p)
{
    return p->at < p->text.size ? p->text.data[p->at] : 0;
}

static void skip_blanks(struct parser *p)
{
    while (peek(p) == ' ' || peek(p) == '\t' || peek(p) == '\r')
        p->at++;
}

static bool accept(struct parser *p, char c)
{
    skip_blanks(p);
    if (p->at >= p->text.size || p->text.data[p->at] != c)
        return false;
    p->at++;
    return true;
}

static qn_status expect(struct parser *p, char c)
{
    char expected[] = {'\'', c, '\'', 0};
    return accept(p, c) ? NULL : fail(p, expected);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Letters, digits, '_' and '.', not starting with a digit; empty where there is none. */
static struct qn_str word(struct parser *p)
{
    skip_blanks(p);
    size_t start = p->at;
    while (is_letter(peek(p)) || (p->at > start && (is_digit(peek(p)) || peek(p) == '.')))
        p->at++;
    return (struct qn_str){p->text.data + start, p->at - start};
}

static qn_status expect_word(struct parser *p, const char *expected)
{
    size_t start = p->at;
    if (qn_str_is(word(p), expected))
        return NULL;
    p->at = start;
    skip_blanks(p);
    return fail(p, expected);
}

static qn_status parse_u64(struct parser *p, uint64_t most, uint64_t *out)
{
    skip_blanks(p);
    size_t start = p->at;
    uint64_t value = 0;
    if (!is_digit(peek(p)))
        return fail(p, "a number");
    for (; is_digit(peek(p)); p->at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(peek(p) - '0'), &value) || value > most)
            return here(p, start, QN_ERROR(QN_INVALID_FILE, "number is larger than %" PRIu64, most));
    *out = value;
    return NULL;
}

static qn_status parse_u32(struct parser *p, uint32_t *out)
{
    uint64_t value;
    QN_TRY(parse_u64(p, UINT32_MAX, &value));
    *out = (uint32_t)value;
    return NULL;
}

static qn_status parse_i64(struct parser *p, int64_t *out)
{
    uint64_t value;
    bool negative = accept(p, '-');
    QN_TRY(parse_u64(p, negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &value));
    *out = (int64_t)(negative ? 0 - value : value);
    return NULL;
}

/* A decimal number, inf, -inf or nan. */
static qn_status parse_f64(struct parser *p, double *out)
{
    char digits[64];
    size_t count = 0;
    skip_blanks(p);
    size_t start = p->at;
    while (is_letter(peek(p)) || is_digit(peek(p)) || peek(p) == '.' || peek(p) == '-' || peek(p) == '+') {
        if (count + 1 >= sizeof digits)
            return fail_at(p, start, "a shorter number");
        digits[count++] = peek(p) == '.' ? localeconv()->decimal_point[0] : peek(p);
        p->at++;
    }
    digits[count] = 0;
    char *end;
    const char *first = digits + (digits[0] == '-');
    bool word_like = strcmp(first, "inf") == 0 || strcmp(first, "nan") == 0;
    *out = strtod(digits, &end);
    if (end == digits || *end || (!is_digit(*first) && !word_like) || strchr(digits, 'x'))
        return fail_at(p, start, "a number");
    return NULL;
}

static qn_status parse_single(struct parser *p, float *out)
{
    double value;
    size_t start = p->at;
    QN_TRY(parse_f64(p, &value));
    *out = (float)value;
    if (isinf(*out) && !isinf(value))
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "number is too large for f32"));
    return NULL;
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A quoted string; \xx is a byte. The copy lies in the parser's arena. */
static qn_status parse_string(struct parser *p, struct qn_str *out)
{
    QN_TRY(expect(p, '"'));
    size_t end = p->at;
    while (end < p->text.size && p->text.data[end] != '"' && p->text.data[end] != '\n')
        end += p->text.data[end] == '\\' ? 2 : 1;
    if (end >= p->text.size || p->text.data[end] != '"')
        return fail_at(p, end < p->text.size ? end : p->text.size, "a closing quote");
    char *copy = qn_arena_alloc(&p->names, end - p->at + 1, 1);
    if (!copy)
        return QN_OOM();
    size_t size = 0;
    while (p->at < end) {
        char c = p->text.data[p->at++];
        if (c == '\\') {
            c = p->text.data[p->at++];
            if (c == 'x') {
                int high = p->at + 1 < end ? hex_digit(p->text.data[p->at]) : -1;
                int low = high >= 0 ? hex_digit(p->text.data[p->at + 1]) : -1;
                if (low < 0)
                    return fail(p, "two hexadecimal digits");
                c = (char)(high << 4 | low);
                p->at += 2;
            } else if (c != '"' && c != '\\') {
                return fail_at(p, p->at - 1, "one of \\\" \\\\ \\x");
            }
        }
        copy[size++] = c;
    }
    p->at = end + 1;
    *out = (struct qn_str){copy, size};
    return NULL;
}

static qn_status parse_optional_string(struct parser *p, struct qn_str *out)
{
    *out = (struct qn_str){0};
    skip_blanks(p);
    return peek(p) == '"' ? parse_string(p, out) : NULL;
}

/* ---- dims and types ----------------------------------------------------------------------------------------- */

static qn_status parse_dim(struct parser *p, qn_dim *out);

static qn_status parse_symbol(struct parser *p, struct qn_str name, size_t start, qn_dim *out)
{
    if (qn_share_find(p->g, QN_SHARE_SYMBOL, &name) != UINT32_MAX)
        return qn_graph_symbol(p->g, name, 0, 0, out);
    return here(p, start, QN_ERROR(QN_INVALID_FILE, "unknown symbol '%.*s'", QN_STR_ARG(name)));
}

static qn_status parse_min_or_max(struct parser *p, enum qn_expr_op op, qn_dim *out)
{
    qn_dim a, b;
    size_t start = p->at;
    QN_TRY(expect(p, '('));
    QN_TRY(parse_dim(p, &a));
    QN_TRY(expect(p, ','));
    QN_TRY(parse_dim(p, &b));
    QN_TRY(expect(p, ')'));
    return here(p, start, qn_graph_expr(p->g, op, a, b, out));
}

static qn_status parse_atom(struct parser *p, qn_dim *out)
{
    skip_blanks(p);
    size_t start = p->at;
    if (is_digit(peek(p))) {
        uint64_t value;
        QN_TRY(parse_u64(p, INT64_MAX, &value));
        *out = (qn_dim)value;
        return NULL;
    }
    if (accept(p, '(')) {
        QN_TRY(parse_dim(p, out));
        return expect(p, ')');
    }
    struct qn_str name;
    if (peek(p) == '"') {
        QN_TRY(parse_string(p, &name));
        return parse_symbol(p, name, start, out);
    }
    name = word(p);
    if (name.size == 0)
        return fail(p, "a dimension");
    if (qn_str_is(name, "min"))
        return parse_min_or_max(p, QN_EXPR_MIN, out);
    if (qn_str_is(name, "max"))
        return parse_min_or_max(p, QN_EXPR_MAX, out);
    return parse_symbol(p, name, start, out);
}

static qn_status parse_product(struct parser *p, qn_dim *out)
{
    QN_TRY(parse_atom(p, out));
    for (;;) {
        skip_blanks(p);
        size_t start = p->at;
        char c = peek(p);
        if (c != '*' && c != '/' && c != '%')
            return NULL;
        p->at++;
        qn_dim right;
        QN_TRY(parse_atom(p, &right));
        enum qn_expr_op op = c == '*' ? QN_EXPR_MUL : c == '/' ? QN_EXPR_DIV : QN_EXPR_MOD;
        QN_TRY(here(p, start, qn_graph_expr(p->g, op, *out, right, out)));
    }
}

static qn_status parse_dim(struct parser *p, qn_dim *out)
{
    if (++p->nesting > MAX_NESTING)
        return fail(p, "fewer parentheses");
    QN_TRY(parse_product(p, out));
    for (;;) {
        skip_blanks(p);
        size_t start = p->at;
        char c = peek(p);
        if (c != '+' && c != '-')
            break;
        p->at++;
        qn_dim right;
        QN_TRY(parse_product(p, &right));
        QN_TRY(here(p, start, qn_graph_expr(p->g, c == '+' ? QN_EXPR_ADD : QN_EXPR_SUB, *out, right, out)));
    }
    p->nesting--;
    return NULL;
}

/* [a,b,c] of dims or of plain integers */
static qn_status parse_list(struct parser *p, bool dims, int64_t *items, uint32_t *count)
{
    *count = 0;
    QN_TRY(expect(p, '['));
    if (accept(p, ']'))
        return NULL;
    do {
        if (*count == QN_MAX_RANK)
            return fail(p, "at most 8 entries");
        QN_TRY(dims ? parse_dim(p, &items[*count]) : parse_i64(p, &items[*count]));
        ++*count;
    } while (accept(p, ','));
    return expect(p, ']');
}

static qn_status parse_dtype(struct parser *p, qn_dtype *out)
{
    skip_blanks(p);
    size_t start = p->at;
    struct qn_str name = word(p);
    *out = name.size ? qn_dtype_from_name(name.data, name.size) : QN_DTYPE_NONE;
    return *out == QN_DTYPE_NONE ? fail_at(p, start, "a dtype") : NULL;
}

static qn_status parse_type(struct parser *p, struct qn_type *out)
{
    *out = (struct qn_type){0};
    QN_TRY(parse_dtype(p, &out->dtype));
    if (accept(p, '<')) {
        QN_TRY(parse_u32(p, &out->encoding));
        QN_TRY(expect(p, '>'));
    }
    return parse_list(p, true, out->dims, &out->rank);
}

/* ---- values ------------------------------------------------------------------------------------------------- */

/* A new number of the text: %7. Numbers cannot be larger than a text of this length could need. */
static qn_status parse_new_id(struct parser *p, uint32_t *out)
{
    size_t start = p->at;
    uint64_t most = p->text.size < MIN_IDS ? MIN_IDS : p->text.size, id;
    QN_TRY(expect(p, '%'));
    QN_TRY(parse_u64(p, most < UINT32_MAX / 2 ? most : UINT32_MAX / 2, &id));
    if (id == 0)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "%%0 is no value"));
    if (!qn_array_reserve(&p->values, p->g->allocator, id + 1))
        return QN_OOM();
    while (p->values.count <= id)
        p->values.items[p->values.count++] = 0;
    if (p->values.items[id])
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "%%%u is defined twice", (uint32_t)id));
    *out = (uint32_t)id;
    return NULL;
}

static qn_status parse_value(struct parser *p, qn_value *out)
{
    skip_blanks(p);
    size_t start = p->at;
    uint32_t id;
    QN_TRY(expect(p, '%'));
    QN_TRY(parse_u32(p, &id));
    if (id >= p->values.count || p->values.items[id] == 0)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "%%%u is not defined above", id));
    *out = p->values.items[id];
    return NULL;
}

/* ---- constants ---------------------------------------------------------------------------------------------- */

static qn_status fail_range(const struct parser *p, size_t start, qn_dtype dtype)
{
    return here(p, start, QN_ERROR(QN_INVALID_FILE, "number does not fit %s", qn_dtype_name(dtype)));
}

static qn_status parse_integer_element(struct parser *p, qn_dtype dtype, struct qn_strbuf *out)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    uint32_t bits = info->block_bytes * 8;
    size_t start = p->at;
    uint64_t value;
    if (info->class_ == QN_DTYPE_CLASS_INT) {
        int64_t number;
        QN_TRY(parse_i64(p, &number));
        if (bits < 64 && (number >= (int64_t)1 << (bits - 1) || number < -((int64_t)1 << (bits - 1))))
            return fail_range(p, start, dtype);
        value = (uint64_t)number;
    } else {
        QN_TRY(parse_u64(p, UINT64_MAX, &value));
        if (bits < 64 && value >> bits)
            return fail_range(p, start, dtype);
    }
    for (uint32_t i = 0; i < bits; i += 8) { /* blobs are little-endian */
        uint8_t byte = (uint8_t)(value >> i);
        qn_strbuf_append(out, &byte, 1);
    }
    return NULL;
}

static qn_status parse_element(struct parser *p, qn_dtype dtype, struct qn_strbuf *out)
{
    switch (qn_dtype_info(dtype)->class_) {
    case QN_DTYPE_CLASS_FLOAT:
        if (dtype == QN_DTYPE_F32) {
            float single;
            QN_TRY(parse_single(p, &single));
            qn_strbuf_append(out, &single, sizeof single);
            return NULL;
        }
        if (dtype == QN_DTYPE_F64) {
            double wide;
            QN_TRY(parse_f64(p, &wide));
            qn_strbuf_append(out, &wide, sizeof wide);
            return NULL;
        }
        break;
    case QN_DTYPE_CLASS_INT:
    case QN_DTYPE_CLASS_UINT:
    case QN_DTYPE_CLASS_BOOL:
        return parse_integer_element(p, dtype, out);
    default:
        break;
    }
    return fail(p, "hexadecimal data (x\"...\") for this dtype");
}

static qn_status parse_numbers(struct parser *p, qn_dtype dtype, struct qn_strbuf *out)
{
    if (accept(p, '}'))
        return NULL;
    do
        QN_TRY(parse_element(p, dtype, out));
    while (accept(p, ','));
    return expect(p, '}');
}

static qn_status parse_hex(struct parser *p, struct qn_strbuf *out)
{
    if (peek(p) != '"')
        return fail(p, "'\"'");
    for (p->at++; peek(p) != '"'; p->at += 2) {
        int high = hex_digit(peek(p));
        int low = high >= 0 && p->at + 1 < p->text.size ? hex_digit(p->text.data[p->at + 1]) : -1;
        if (low < 0)
            return fail(p, "two hexadecimal digits");
        uint8_t byte = (uint8_t)(high << 4 | low);
        qn_strbuf_append(out, &byte, 1);
    }
    p->at++;
    return NULL;
}

static qn_status parse_file_range(struct parser *p, struct qn_blob *blob)
{
    QN_TRY(parse_u32(p, &blob->file));
    QN_TRY(expect(p, ':'));
    QN_TRY(parse_u64(p, UINT64_MAX, &blob->offset));
    QN_TRY(expect(p, ':'));
    return parse_u64(p, UINT64_MAX, &blob->bytes);
}

static qn_status parse_blob(struct parser *p, qn_dtype dtype, struct qn_blob *blob, struct qn_strbuf *bytes)
{
    *blob = (struct qn_blob){.place = QN_BLOB_MEMORY};
    if (accept(p, '@')) {
        blob->place = QN_BLOB_FILE;
        return parse_file_range(p, blob);
    }
    if (accept(p, '{'))
        QN_TRY(parse_numbers(p, dtype, bytes));
    else if (accept(p, 'x'))
        QN_TRY(parse_hex(p, bytes));
    else
        return fail(p, "@file:offset:bytes, {numbers} or x\"hexadecimal\"");
    if (bytes->failed)
        return QN_OOM();
    blob->data = qn_strbuf_view(bytes).data;
    blob->bytes = bytes->size;
    return NULL;
}

static qn_status parse_constant(struct parser *p, const struct qn_type *type, size_t start, qn_value *out)
{
    struct qn_blob blob;
    struct qn_strbuf bytes;
    struct qn_str name;
    qn_strbuf_init(&bytes, p->g->allocator);
    qn_status status = parse_blob(p, type->dtype, &blob, &bytes);
    if (!status)
        status = parse_optional_string(p, &name);
    if (!status)
        status = here(p, start, qn_graph_add_constant(p->g, name, type, &blob, out));
    qn_strbuf_deinit(&bytes);
    return status;
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

static qn_status parse_field(struct parser *p, const struct qn_attr_field *field, void *at)
{
    struct qn_ints *ints = at;
    uint64_t flag;
    qn_dtype dtype;
    switch (field->kind) {
    case QN_ATTR_bool_:
        QN_TRY(parse_u64(p, 1, &flag));
        *(uint8_t *)at = (uint8_t)flag;
        return NULL;
    case QN_ATTR_i64:
        return parse_i64(p, at);
    case QN_ATTR_f32:
        return parse_single(p, at);
    case QN_ATTR_dtype:
        QN_TRY(parse_dtype(p, &dtype));
        *(uint32_t *)at = dtype;
        return NULL;
    case QN_ATTR_ints:
        return parse_list(p, false, ints->items, &ints->count);
    case QN_ATTR_dim:
        return parse_dim(p, at);
    case QN_ATTR_dims:
        return parse_list(p, true, ints->items, &ints->count);
    }
    return fail(p, "a field");
}

static qn_status parse_attr(struct parser *p, const struct qn_op_info *info, char *attr)
{
    uint32_t seen = 0;
    if (!accept(p, '{'))
        return NULL;
    do {
        skip_blanks(p);
        size_t start = p->at;
        struct qn_str name = word(p);
        uint32_t i = 0;
        while (i < info->field_count && !qn_str_is(name, info->fields[i].name))
            i++;
        if (i == info->field_count || seen & 1u << i)
            return here(p, start, QN_ERROR(QN_INVALID_FILE, "%s has no such attribute, or it is given twice: '%.*s'",
                                           info->name, QN_STR_ARG(name)));
        seen |= 1u << i;
        QN_TRY(expect(p, '='));
        QN_TRY(parse_field(p, &info->fields[i], attr + info->fields[i].offset));
    } while (accept(p, ','));
    return expect(p, '}');
}

struct definition {
    uint32_t count;
    uint32_t ids[QN_MAX_OUTPUTS];
    struct qn_type types[QN_MAX_OUTPUTS];
};

static qn_status parse_inputs(struct parser *p, qn_value *inputs, uint32_t *count)
{
    *count = 0;
    QN_TRY(expect(p, '('));
    if (accept(p, ')'))
        return NULL;
    do {
        if (*count == QN_MAX_INPUTS)
            return fail(p, "at most 16 inputs");
        inputs[*count] = 0;
        if (!accept(p, '_'))
            QN_TRY(parse_value(p, &inputs[*count]));
        ++*count;
    } while (accept(p, ','));
    return expect(p, ')');
}

static qn_status parse_node(struct parser *p, const struct definition *def, uint16_t op, size_t start)
{
    const struct qn_op_info *info = qn_op_info(op);
    _Alignas(8) char attr[256] = {0};
    qn_value inputs[QN_MAX_INPUTS], outs[QN_MAX_OUTPUTS];
    uint32_t input_count;
    struct qn_str name;
    _Static_assert(sizeof(struct qn_attr_reduce) <= sizeof attr && sizeof(struct qn_attr_slice) <= sizeof attr,
                   "records fit");
    if (info->attr_size > sizeof attr)
        return QN_ERROR(QN_INTERNAL, "attribute record '%s' is larger than the parser's room", info->record);
    QN_TRY(parse_inputs(p, inputs, &input_count));
    QN_TRY(parse_attr(p, info, attr));
    QN_TRY(parse_optional_string(p, &name));
    if (def->count != info->outputs)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "%s has %u outputs, %u are named", info->name, info->outputs,
                                       def->count));
    QN_TRY(here(p, start, qn_graph_add_node(p->g, op, inputs, input_count, attr, name, outs)));
    for (uint32_t i = 0; i < def->count; i++) {
        const struct qn_type *type = qn_graph_type(p->g, outs[i]);
        bool stated = def->types[i].dtype != QN_DTYPE_NONE;
        if (stated && !qn_type_equal(type, &def->types[i]))
            return here(p, start, QN_ERROR(QN_INVALID_FILE, "%%%u is %s, the text says %s", def->ids[i],
                                           qn_type_text(p->g, type).text, qn_type_text(p->g, &def->types[i]).text));
        p->values.items[def->ids[i]] = outs[i];
    }
    return NULL;
}

static qn_status parse_leaf(struct parser *p, const struct definition *def, struct qn_str what, size_t start)
{
    qn_value out = 0;
    struct qn_str name;
    if (def->count != 1)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "%.*s defines one value, %u are named", QN_STR_ARG(what),
                                       def->count));
    if (def->types[0].dtype == QN_DTYPE_NONE)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "%.*s needs a type: %%%u:f32[...]", QN_STR_ARG(what),
                                       def->ids[0]));
    if (qn_str_is(what, "const")) {
        QN_TRY(parse_constant(p, &def->types[0], start, &out));
    } else {
        QN_TRY(parse_string(p, &name));
        QN_TRY(here(p, start, qn_str_is(what, "input")
                                  ? qn_graph_add_input(p->g, name, &def->types[0], &out)
                                  : qn_graph_add_state(p->g, name, &def->types[0], &out)));
    }
    p->values.items[def->ids[0]] = out;
    return NULL;
}

/* %7:f32[N,32], %8:i32[N,32] = what... */
static qn_status parse_definition(struct parser *p)
{
    struct definition def = {0};
    do {
        if (def.count == QN_MAX_OUTPUTS)
            return fail(p, "fewer outputs");
        skip_blanks(p);
        size_t start = p->at;
        QN_TRY(parse_new_id(p, &def.ids[def.count]));
        for (uint32_t i = 0; i < def.count; i++)
            if (def.ids[i] == def.ids[def.count])
                return here(p, start, QN_ERROR(QN_INVALID_FILE, "%%%u is defined twice", def.ids[i]));
        if (accept(p, ':'))
            QN_TRY(parse_type(p, &def.types[def.count]));
        def.count++;
    } while (accept(p, ','));
    QN_TRY(expect(p, '='));
    skip_blanks(p);
    size_t start = p->at;
    struct qn_str what = word(p);
    if (qn_str_is(what, "input") || qn_str_is(what, "state") || qn_str_is(what, "const"))
        return parse_leaf(p, &def, what, start);
    uint16_t op = qn_op_from_name(what);
    if (op == QN_OP_NONE)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "unknown op '%.*s'", QN_STR_ARG(what)));
    return parse_node(p, &def, op, start);
}

/* ---- statements --------------------------------------------------------------------------------------------- */

static qn_status parse_symbol_line(struct parser *p)
{
    struct qn_str name;
    uint64_t min, max;
    qn_dim dim;
    skip_blanks(p);
    size_t start = p->at;
    if (peek(p) == '"')
        QN_TRY(parse_string(p, &name));
    else
        name = word(p);
    if (name.size == 0)
        return fail(p, "a name");
    if (qn_share_find(p->g, QN_SHARE_SYMBOL, &name) != UINT32_MAX)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "symbol '%.*s' is declared twice", QN_STR_ARG(name)));
    QN_TRY(parse_u64(p, INT64_MAX, &min));
    QN_TRY(expect(p, '.'));
    QN_TRY(expect(p, '.'));
    QN_TRY(parse_u64(p, INT64_MAX, &max));
    return here(p, start, qn_graph_symbol(p->g, name, (int64_t)min, (int64_t)max, &dim));
}

static qn_status parse_file_line(struct parser *p)
{
    uint32_t index, file;
    struct qn_str path;
    size_t start = p->at;
    QN_TRY(parse_u32(p, &index));
    QN_TRY(parse_string(p, &path));
    QN_TRY(qn_graph_file(p->g, path, &file));
    if (file != index)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "file %u is number %u of the graph, or named twice", index,
                                       file));
    return NULL;
}

static qn_status parse_named_number(struct parser *p, const char *name, int64_t min, int64_t max, int64_t *out)
{
    QN_TRY(expect_word(p, name));
    QN_TRY(expect(p, '='));
    size_t start = p->at;
    QN_TRY(parse_i64(p, out));
    if (*out < min || *out > max)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "%s is out of range", name));
    return NULL;
}

static qn_status parse_encoding_line(struct parser *p)
{
    struct qn_encoding encoding = {0};
    uint32_t index, found;
    int64_t axis, block;
    size_t start = p->at;
    QN_TRY(parse_u32(p, &index));
    QN_TRY(parse_named_number(p, "axis", -1, QN_MAX_RANK - 1, &axis));
    QN_TRY(parse_named_number(p, "block", 0, UINT32_MAX, &block));
    encoding.axis = (int32_t)axis;
    encoding.block_size = (uint32_t)block;
    QN_TRY(expect_word(p, "scales"));
    QN_TRY(expect(p, '='));
    QN_TRY(parse_value(p, &encoding.scales));
    skip_blanks(p);
    if (is_letter(peek(p))) {
        QN_TRY(expect_word(p, "zero_points"));
        QN_TRY(expect(p, '='));
        QN_TRY(parse_value(p, &encoding.zero_points));
    }
    QN_TRY(here(p, start, qn_graph_add_encoding(p->g, &encoding, &found)));
    if (found != index)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "encoding %u is number %u of the graph, or given twice",
                                       index, found));
    return NULL;
}

static qn_status parse_store_line(struct parser *p)
{
    struct qn_str name;
    qn_value value;
    skip_blanks(p);
    size_t start = p->at;
    QN_TRY(parse_string(p, &name));
    QN_TRY(expect(p, '='));
    QN_TRY(parse_value(p, &value));
    uint32_t found = qn_share_find(p->g, QN_SHARE_STATE, &name);
    if (found == UINT32_MAX)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "unknown state '%.*s'", QN_STR_ARG(name)));
    const struct qn_state *state = &p->g->states.items[found];
    if (state->out != state->in)
        return here(p, start, QN_ERROR(QN_INVALID_FILE, "state '%.*s' is stored twice", QN_STR_ARG(name)));
    qn_graph_set_state(p->g, state->in, value);
    return NULL;
}

static qn_status parse_output_line(struct parser *p)
{
    struct qn_str name;
    qn_value value;
    skip_blanks(p);
    size_t start = p->at;
    QN_TRY(parse_string(p, &name));
    QN_TRY(expect(p, '='));
    QN_TRY(parse_value(p, &value));
    return here(p, start, qn_graph_add_output(p->g, name, value));
}

static qn_status parse_statement(struct parser *p)
{
    static const struct {
        const char *word;
        qn_status (*parse)(struct parser *p);
    } statements[] = {
        {"symbol", parse_symbol_line},     {"file", parse_file_line},     {"encoding", parse_encoding_line},
        {"store", parse_store_line},       {"output", parse_output_line},
    };
    size_t start = p->at;
    if (peek(p) == '%')
        return parse_definition(p);
    struct qn_str first = word(p);
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (qn_str_is(first, statements[i].word))
            return statements[i].parse(p);
    return fail_at(p, start, "a statement: symbol, file, encoding, store, output or %number");
}

/* Ends the line; false at the end of the text. */
static bool next_line(struct parser *p, bool *clean)
{
    skip_blanks(p);
    if (peek(p) == '#')
        while (p->at < p->text.size && peek(p) != '\n')
            p->at++;
    *clean = p->at >= p->text.size || peek(p) == '\n';
    if (p->at >= p->text.size || !*clean)
        return false;
    p->at++;
    p->line++;
    p->line_start = p->at;
    return true;
}

static qn_status parse_lines(struct parser *p)
{
    bool clean = true;
    for (;;) {
        while (next_line(p, &clean)) {
        }
        if (p->at >= p->text.size)
            return NULL;
        p->nesting = 0;
        QN_TRY(parse_statement(p));
        if (!next_line(p, &clean) && !clean)
            return fail(p, "the end of the line");
    }
}

static qn_status parse_graph(struct parser *p, const struct qn_allocator *allocator)
{
    bool clean;
    struct qn_str name;
    while (next_line(p, &clean)) {
    }
    QN_TRY(expect_word(p, "graph"));
    QN_TRY(parse_string(p, &name));
    QN_TRY(qn_graph_create(allocator, name, &p->g));
    if (!next_line(p, &clean) && !clean)
        return fail(p, "the end of the line");
    QN_TRY(parse_lines(p));
    return qn_graph_verify(p->g);
}

qn_status qn_graph_parse(struct qn_str text, const struct qn_allocator *allocator, struct qn_graph **out)
{
    struct parser p = {.text = text, .line = 1};
    *out = NULL;
    if (!allocator)
        allocator = qn_allocator_default();
    qn_arena_init(&p.names, allocator);
    qn_status status = parse_graph(&p, allocator);
    qn_array_free(&p.values, allocator);
    qn_arena_deinit(&p.names);
    if (status)
        qn_graph_destroy(p.g);
    else
        *out = p.g;
    return status;
}

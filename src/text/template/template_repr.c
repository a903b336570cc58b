/* Texts of values: str(), repr(), JSON, numbers. */
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/template/template_machine.h"
#include "text/template/template_unicode.h"

/* ---- numbers -------------------------------------------------------------------------------------------------- */

void qn_val_print_double(struct qn_strbuf *out, char conversion, int precision, bool alternate, double value)
{
    char fmt[8] = {'%', 0}, text[1600], *dot;
    size_t at = 1;
    if (alternate)
        fmt[at++] = '#';
    memcpy(fmt + at, ".*", 2);
    fmt[at + 2] = conversion;
    fmt[at + 3] = 0;
    if (precision > 1200)
        precision = 1200;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, fmt, precision, value);
#pragma GCC diagnostic pop
    char point = *localeconv()->decimal_point;
    if (point != '.' && (dot = strchr(text, point)))
        *dot = '.';
    qn_strbuf_add(out, text);
}

void qn_val_repr_double(double value, struct qn_strbuf *out)
{
    char text[64], digits[32];
    if (isnan(value) || isinf(value)) {
        qn_strbuf_add(out, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    for (int precision = 0; precision < 17; precision++) { /* in the user's locale both ways, which cancels out */
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    size_t count = 0;
    char *at = text;
    for (; *at && *at != 'e'; at++)
        if (isdigit((uint8_t)*at))
            digits[count++] = *at;
    int exponent = *at ? (int)strtol(at + 1, NULL, 10) : 0;
    if (signbit(value))
        qn_strbuf_add(out, "-");
    if (exponent < -4 || exponent >= 16) {
        qn_strbuf_append(out, digits, 1);
        if (count > 1) {
            qn_strbuf_add(out, ".");
            qn_strbuf_append(out, digits + 1, count - 1);
        }
        qn_strbuf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        qn_strbuf_append(out, "0.0000", (size_t)(1 - exponent));
        qn_strbuf_append(out, digits, count);
    } else {
        for (size_t i = 0; i < count || i <= (size_t)exponent; i++) {
            if (i == (size_t)exponent + 1)
                qn_strbuf_add(out, ".");
            qn_strbuf_append(out, i < count ? &digits[i] : "0", 1);
        }
        if (count <= (size_t)exponent + 1)
            qn_strbuf_add(out, ".0");
    }
}

/* Takes "_" between digits out; false where Python refuses. */
static bool plain_digits(struct qn_str text, char *out, size_t capacity)
{
    size_t size = 0;
    text = qn_uni_strip(text, true, true);
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '_') {
            if (!i || i + 1 == text.size || !isalnum((uint8_t)text.data[i - 1]) || !isalnum((uint8_t)text.data[i + 1]))
                return false;
            continue;
        }
        if (size + 1 >= capacity || !c || (uint8_t)c >= 0x80)
            return false;
        out[size++] = c;
    }
    out[size] = 0;
    return size > 0;
}

static const char *skip_digits(const char *at, size_t *count)
{
    for (; isdigit((uint8_t)*at); at++)
        ++*count;
    return at;
}

static bool is_float(const char *at)
{
    size_t digits = 0, exponent = 0;
    at += *at == '-' || *at == '+';
    if (strcasecmp(at, "inf") == 0 || strcasecmp(at, "infinity") == 0 || strcasecmp(at, "nan") == 0)
        return true;
    at = skip_digits(at, &digits);
    if (*at == '.')
        at = skip_digits(at + 1, &digits);
    if (!digits)
        return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        at = skip_digits(at, &exponent);
        if (!exponent)
            return false;
    }
    return *at == 0;
}

bool qn_val_parse_float(struct qn_str text, double *out)
{
    char buffer[512], *dot;
    if (!plain_digits(text, buffer, sizeof buffer) || !is_float(buffer))
        return false;
    char point = *localeconv()->decimal_point;
    if (point != '.' && (dot = strchr(buffer, '.')))
        *dot = point;
    *out = strtod(buffer, NULL);
    return true;
}

static int digit_value(char c)
{
    return isdigit((uint8_t)c) ? c - '0' : isalpha((uint8_t)c) ? tolower((uint8_t)c) - 'a' + 10 : 99;
}

bool qn_val_parse_int(struct qn_str text, int base, int64_t *out, bool *overflow)
{
    char buffer[256];
    *overflow = false;
    if (!plain_digits(text, buffer, sizeof buffer))
        return false;
    const char *at = buffer;
    bool negative = *at == '-';
    at += *at == '-' || *at == '+';
    int prefix = at[0] == '0' ? (tolower((uint8_t)at[1]) == 'x'   ? 16
                                 : tolower((uint8_t)at[1]) == 'o' ? 8
                                 : tolower((uint8_t)at[1]) == 'b' ? 2
                                                                  : 0)
                              : 0;
    if (prefix && (base == 0 || base == prefix)) {
        base = prefix;
        at += 2;
    } else if (base == 0) {
        base = 10;
    }
    if (!*at)
        return false;
    __int128 value = 0;
    for (; *at; at++) {
        int digit = digit_value(*at);
        if (digit >= base)
            return false;
        value = value * base + digit;
        if (value > (__int128)1 << 64) {
            *overflow = true;
            value = (__int128)1 << 64;
        }
    }
    value = negative ? -value : value;
    if (value > INT64_MAX || value < INT64_MIN)
        *overflow = true;
    *out = (int64_t)value;
    return true;
}

/* ---- repr and str --------------------------------------------------------------------------------------------- */

void qn_val_repr_str(struct qn_str text, bool ascii, struct qn_strbuf *out)
{
    bool single = text.size && memchr(text.data, '\'', text.size),
         twice = text.size && memchr(text.data, '"', text.size);
    char quote = single && !twice ? '"' : '\'';
    qn_strbuf_append(out, &quote, 1);
    for (size_t at = 0, length; at < text.size; at += length) {
        uint32_t c = qn_uni_first((struct qn_str){text.data + at, text.size - at}, &length);
        const char *known = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : c == '\\' ? "\\\\" : NULL;
        if (known)
            qn_strbuf_add(out, known);
        else if (c == (uint8_t)quote)
            qn_strbuf_printf(out, "\\%c", quote);
        else if (qn_uni_is_printable(c) && !(ascii && c >= 0x80))
            qn_strbuf_append(out, text.data + at, length);
        else
            qn_strbuf_printf(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    qn_strbuf_append(out, &quote, 1);
}

static bool repr_items(struct qn_tpl *t, struct qn_val v, struct qn_strbuf *out)
{
    bool tuple = v.kind == QN_VAL_TUPLE;
    qn_strbuf_add(out, tuple ? "(" : "[");
    for (uint32_t i = 0; i < v.list->count; i++) {
        if (i)
            qn_strbuf_add(out, ", ");
        if (!qn_val_repr(t, v.list->items[i], out))
            return false;
    }
    qn_strbuf_add(out, tuple ? v.list->count == 1 ? ",)" : ")" : "]");
    return true;
}

static bool repr_dict(struct qn_tpl *t, const struct qn_val_dict *dict, struct qn_strbuf *out)
{
    bool first = true;
    qn_strbuf_add(out, "{");
    for (uint32_t i = 0; i < dict->used; i++) {
        if (!dict->entries[i].key.kind)
            continue;
        if (!first)
            qn_strbuf_add(out, ", ");
        first = false;
        if (!qn_val_repr(t, dict->entries[i].key, out))
            return false;
        qn_strbuf_add(out, ": ");
        if (!qn_val_repr(t, dict->entries[i].value, out))
            return false;
    }
    qn_strbuf_add(out, "}");
    return true;
}

static bool repr_view(struct qn_tpl *t, struct qn_val v, struct qn_strbuf *out)
{
    struct qn_val list;
    if (!qn_val_to_list(t, v, &list))
        return false;
    qn_strbuf_printf(out, "%s(", qn_val_type(v));
    bool good = repr_items(t, list, out);
    qn_strbuf_add(out, ")");
    return good;
}

static bool repr_loop(struct qn_tpl *t, struct qn_loop *loop, struct qn_strbuf *out)
{
    struct qn_val index, length;
    bool found;
    if (!qn_tpl_loop_attr(t, loop, QN_STR("index"), &index, &found) ||
        !qn_tpl_loop_attr(t, loop, QN_STR("length"), &length, &found))
        return false;
    qn_strbuf_printf(out, "<LoopContext %lld/%lld>", (long long)index.integer, (long long)length.integer);
    return true;
}

static bool repr_compound(struct qn_tpl *t, struct qn_val v, struct qn_strbuf *out)
{
    bool good = true;
    switch ((enum qn_val_kind)v.kind) {
    case QN_VAL_LIST:
    case QN_VAL_TUPLE:
        return repr_items(t, v, out);
    case QN_VAL_DICT:
        return repr_dict(t, v.dict, out);
    case QN_VAL_VIEW:
        return repr_view(t, v, out);
    case QN_VAL_NAMESPACE:
        qn_strbuf_add(out, "<Namespace ");
        good = repr_dict(t, v.dict, out);
        qn_strbuf_add(out, ">");
        return good;
    case QN_VAL_LOOP:
        return repr_loop(t, v.loop, out);
    case QN_VAL_RANGE:
        qn_strbuf_printf(out, "range(%lld, %lld", (long long)v.range->start, (long long)v.range->stop);
        if (v.range->step != 1)
            qn_strbuf_printf(out, ", %lld", (long long)v.range->step);
        qn_strbuf_add(out, ")");
        return true;
    case QN_VAL_MACRO:
        qn_strbuf_add(out, "<Macro ");
        if (v.macro->name.size)
            qn_val_repr_str(v.macro->name, false, out);
        else
            qn_strbuf_add(out, "anonymous");
        qn_strbuf_add(out, ">");
        return true;
    default: /* Python shows an address here */
        qn_strbuf_printf(out, "<%s>", qn_val_type(v));
        return true;
    }
}

bool qn_val_repr(struct qn_tpl *t, struct qn_val v, struct qn_strbuf *out)
{
    if (out->failed || out->size > t->max_output)
        return qn_tpl_buf_ok(t, out);
    if (!qn_tpl_step(t, 1))
        return false;
    switch ((enum qn_val_kind)v.kind) {
    case QN_VAL_MISSING:
    case QN_VAL_UNDEFINED:
        qn_strbuf_add(out, "Undefined");
        return true;
    case QN_VAL_NONE:
        qn_strbuf_add(out, "None");
        return true;
    case QN_VAL_BOOL:
        qn_strbuf_add(out, v.boolean ? "True" : "False");
        return true;
    case QN_VAL_INT:
        qn_strbuf_printf(out, "%lld", (long long)v.integer);
        return true;
    case QN_VAL_FLOAT:
        qn_val_repr_double(v.number, out);
        return true;
    case QN_VAL_STR:
        if (v.safe)
            qn_strbuf_add(out, "Markup(");
        qn_val_repr_str(qn_val_text(v), false, out);
        if (v.safe)
            qn_strbuf_add(out, ")");
        return qn_tpl_bytes(t, v.str->size * 8);
    default:
        break;
    }
    if (!qn_tpl_enter(t))
        return false;
    bool good = repr_compound(t, v, out);
    t->depth--;
    return good;
}

bool qn_val_print(struct qn_tpl *t, struct qn_val v, struct qn_strbuf *out)
{
    if (v.kind == QN_VAL_STR) {
        qn_strbuf_append(out, v.str->data, v.str->size);
        return qn_tpl_bytes(t, v.str->size) && qn_tpl_buf_ok(t, out);
    }
    return v.kind == QN_VAL_UNDEFINED || (qn_val_repr(t, v, out) && qn_tpl_buf_ok(t, out));
}

bool qn_val_to_str(struct qn_tpl *t, struct qn_val v, struct qn_val *out)
{
    struct qn_strbuf buf;
    *out = v;
    if (v.kind == QN_VAL_STR)
        return true;
    qn_strbuf_init(&buf, &t->allocator);
    if (!qn_val_print(t, v, &buf)) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    return qn_val_strbuf(t, &buf, out);
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static void json_str(struct qn_str text, bool ascii, struct qn_strbuf *out)
{
    qn_strbuf_add(out, "\"");
    for (size_t at = 0, length; at < text.size; at += length) {
        uint32_t c = qn_uni_first((struct qn_str){text.data + at, text.size - at}, &length);
        static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
        const char *known = c && c < 0x80 ? strchr(from, (int)c) : NULL;
        if (known)
            qn_strbuf_printf(out, "\\%c", to[known - from]);
        else if (c >= 0x10000 && ascii)
            qn_strbuf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
        else if (c < ' ' || (ascii && c >= 0x7f))
            qn_strbuf_printf(out, "\\u%04x", c);
        else
            qn_strbuf_append(out, text.data + at, length);
    }
    qn_strbuf_add(out, "\"");
}

struct json_writer {
    const struct qn_val_json *options;
    struct qn_strbuf *out;
    int64_t level;
};

static bool json_value(struct qn_tpl *t, struct qn_val v, struct json_writer *w);

static void json_break(const struct json_writer *w)
{
    struct qn_val indent = w->options->indent;
    if (indent.kind == QN_VAL_NONE)
        return;
    qn_strbuf_add(w->out, "\n");
    for (int64_t i = 0; i < w->level; i++) {
        if (indent.kind == QN_VAL_STR)
            qn_strbuf_append(w->out, indent.str->data, indent.str->size);
        for (int64_t j = 0; indent.kind != QN_VAL_STR && j < qn_val_as_int(indent) && !w->out->failed; j++)
            qn_strbuf_add(w->out, " ");
    }
}

static bool json_list(struct qn_tpl *t, const struct qn_val_list *list, struct json_writer *w)
{
    qn_strbuf_add(w->out, "[");
    w->level++;
    for (uint32_t i = 0; i < list->count; i++) {
        if (i)
            qn_strbuf_append(w->out, w->options->item_sep.data, w->options->item_sep.size);
        json_break(w);
        if (!json_value(t, list->items[i], w))
            return false;
    }
    w->level--;
    if (list->count)
        json_break(w);
    qn_strbuf_add(w->out, "]");
    return true;
}

static bool json_key(struct qn_tpl *t, struct qn_val key, struct json_writer *w)
{
    if (key.kind == QN_VAL_STR) {
        json_str(qn_val_text(key), w->options->ascii, w->out);
        return true;
    }
    if (key.kind != QN_VAL_NONE && !qn_val_is_number(key))
        return QN_TPL_FAIL(t, "keys must be str, int, float, bool or None, not %s", qn_val_type(key));
    qn_strbuf_add(w->out, "\"");
    if (!json_value(t, key, w))
        return false;
    qn_strbuf_add(w->out, "\"");
    return true;
}

static bool json_dict(struct qn_tpl *t, const struct qn_val_dict *dict, struct json_writer *w)
{
    struct qn_val *keys = qn_tpl_array(t, dict->count, sizeof *keys);
    uint32_t count = 0;
    if (!keys)
        return false;
    for (uint32_t i = 0; i < dict->used; i++)
        if (dict->entries[i].key.kind)
            keys[count++] = dict->entries[i].key;
    if (w->options->sort_keys && !qn_val_sort(t, keys, keys, count, false))
        return false;
    qn_strbuf_add(w->out, "{");
    w->level++;
    for (uint32_t i = 0; i < count; i++) {
        struct qn_val_entry *entry;
        if (i)
            qn_strbuf_append(w->out, w->options->item_sep.data, w->options->item_sep.size);
        json_break(w);
        if (!json_key(t, keys[i], w) || !qn_val_dict_get(t, dict, keys[i], &entry))
            return false;
        qn_strbuf_append(w->out, w->options->key_sep.data, w->options->key_sep.size);
        if (!json_value(t, entry->value, w))
            return false;
    }
    w->level--;
    if (count)
        json_break(w);
    qn_strbuf_add(w->out, "}");
    return true;
}

static bool json_value(struct qn_tpl *t, struct qn_val v, struct json_writer *w)
{
    bool good;
    if (!qn_tpl_step(t, 1) || !qn_tpl_buf_ok(t, w->out))
        return false;
    switch ((enum qn_val_kind)v.kind) {
    case QN_VAL_NONE:
        qn_strbuf_add(w->out, "null");
        return true;
    case QN_VAL_BOOL:
        qn_strbuf_add(w->out, v.boolean ? "true" : "false");
        return true;
    case QN_VAL_INT:
        qn_strbuf_printf(w->out, "%lld", (long long)v.integer);
        return true;
    case QN_VAL_FLOAT:
        if (isfinite(v.number))
            qn_val_repr_double(v.number, w->out);
        else
            qn_strbuf_add(w->out, isnan(v.number) ? "NaN" : v.number < 0 ? "-Infinity" : "Infinity");
        return true;
    case QN_VAL_STR:
        json_str(qn_val_text(v), w->options->ascii, w->out);
        return qn_tpl_bytes(t, v.str->size * 8);
    case QN_VAL_LIST:
    case QN_VAL_TUPLE:
    case QN_VAL_DICT:
        if (!qn_tpl_enter(t))
            return false;
        good = v.kind == QN_VAL_DICT ? json_dict(t, v.dict, w) : json_list(t, v.list, w);
        t->depth--;
        return good;
    default:
        return QN_TPL_FAIL(t, "Object of type %s is not JSON serializable", qn_val_type(v));
    }
}

bool qn_val_to_json(struct qn_tpl *t, struct qn_val v, const struct qn_val_json *options, struct qn_strbuf *out)
{
    struct json_writer writer = {.options = options, .out = out};
    return json_value(t, v, &writer) && qn_tpl_buf_ok(t, out);
}

/* ---- HTML ----------------------------------------------------------------------------------------------------- */

void qn_val_escape(struct qn_str text, struct qn_strbuf *out)
{
    size_t done = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        const char *to = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&#34;" : "&#39;";
        if (c != '&' && c != '<' && c != '>' && c != '"' && c != '\'')
            continue;
        qn_strbuf_append(out, text.data + done, i - done);
        qn_strbuf_add(out, to);
        done = i + 1;
    }
    qn_strbuf_append(out, text.data + done, text.size - done);
}

/* Filters on texts and numbers. */
#define _GNU_SOURCE
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template/template_builtin.h"

static bool soft(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_str *text)
{
    if (!qn_val_to_str(t, call->object, &call->object))
        return false;
    *text = qn_val_text(call->object);
    return qn_tpl_bytes(t, text->size * 4);
}

/* A text that is one already: other kinds have no such operation. */
static bool only_str(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_str *text)
{
    return qn_tpl_arg_str(t, call->object, "value", text) && qn_tpl_bytes(t, text->size);
}

static bool finish(struct qn_tpl *t, struct qn_strbuf *buf, bool safe, struct qn_val *out)
{
    bool good = qn_val_strbuf(t, buf, out);
    out->safe = safe;
    return good;
}

static bool view(struct qn_tpl *t, struct qn_str text, bool safe, struct qn_val *out)
{
    bool good = qn_val_str_view(t, text, out);
    out->safe = safe;
    return good;
}

/* ---- case and white space ------------------------------------------------------------------------------------- */

static bool change_case(struct qn_tpl *t, struct qn_tpl_call *call, enum qn_uni_case how, struct qn_val *out)
{
    struct qn_str text;
    struct qn_strbuf buf;
    if (!soft(t, call, &text))
        return false;
    qn_strbuf_init(&buf, &t->allocator);
    qn_uni_change_case(text, how, &buf);
    return finish(t, &buf, call->object.safe, out);
}

static bool do_upper(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return change_case(t, call, QN_UNI_UPPER, out);
}

static bool do_lower(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return change_case(t, call, QN_UNI_LOWER, out);
}

static bool do_capitalize(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return change_case(t, call, QN_UNI_CAPITALIZE, out);
}

static bool is_word_gap(uint32_t c)
{
    return qn_uni_is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

/* The first character behind white space, a hyphen or an opening bracket in upper case, the others in lower case. */
static bool do_title(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text;
    struct qn_strbuf buf;
    if (!soft(t, call, &text))
        return false;
    qn_strbuf_init(&buf, &t->allocator);
    while (text.size) {
        size_t end = 0, length = 0, first;
        while (end < text.size && is_word_gap(qn_uni_first((struct qn_str){text.data + end, text.size - end}, &length)))
            end += length;
        qn_strbuf_append(&buf, text.data, end);
        text = (struct qn_str){text.data + end, text.size - end};
        for (end = 0; end < text.size; end += length)
            if (is_word_gap(qn_uni_first((struct qn_str){text.data + end, text.size - end}, &length)))
                break;
        if (!end)
            continue;
        qn_uni_first(text, &first);
        qn_uni_change_case((struct qn_str){text.data, first}, QN_UNI_UPPER, &buf);
        qn_uni_change_case((struct qn_str){text.data + first, end - first}, QN_UNI_LOWER, &buf);
        text = (struct qn_str){text.data + end, text.size - end};
    }
    return finish(t, &buf, false, out);
}

static bool do_trim(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text, chars;
    if (!soft(t, call, &text))
        return false;
    if (call->arg[0].kind <= QN_VAL_NONE && call->arg[0].kind != QN_VAL_UNDEFINED)
        return view(t, qn_uni_strip(text, true, true), call->object.safe, out);
    return qn_tpl_arg_str(t, call->arg[0], "chars", &chars) && qn_tpl_step(t, text.size * chars.size / 16) &&
           view(t, qn_uni_strip_chars(text, chars, true, true), call->object.safe, out);
}

static bool do_string(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_strbuf buf;
    struct qn_val_json json = {.indent = qn_val_none(), .item_sep = QN_STR(", "), .key_sep = QN_STR(": ")};
    if (call->object.kind != QN_VAL_LIST && call->object.kind != QN_VAL_DICT && call->object.kind != QN_VAL_TUPLE)
        return qn_val_to_str(t, call->object, out);
    qn_strbuf_init(&buf, &t->allocator); /* as JSON: the published templates that do this mean it */
    if (!qn_val_to_json(t, call->object, &json, &buf)) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    return finish(t, &buf, false, out);
}

static bool do_replace(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text;
    struct qn_val old, new;
    int64_t count = -1;
    if (!soft(t, call, &text) || !qn_val_to_str(t, call->arg[0], &old) || !qn_val_to_str(t, call->arg[1], &new))
        return false;
    if (call->arg[2].kind != QN_VAL_NONE && !qn_tpl_arg_int(t, call->arg[2], "count", -1, &count))
        return false;
    return qn_tpl_replace(t, text, qn_val_text(old), qn_val_text(new), count, out);
}

static bool do_indent(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text, spaces = {0};
    struct qn_strbuf buf;
    int64_t width = 0;
    bool first = qn_val_truth(call->arg[1]), blank = qn_val_truth(call->arg[2]);
    if (!only_str(t, call, &text))
        return false;
    if (call->arg[0].kind == QN_VAL_STR)
        spaces = qn_val_text(call->arg[0]);
    else if (!qn_tpl_arg_int(t, call->arg[0], "width", 4, &width))
        return false;
    if (width > 100000)
        return QN_TPL_FAIL(t, "filter 'indent': a width of %lld", (long long)width);
    qn_strbuf_init(&buf, &t->allocator);
    for (size_t at = 0, line = 0; (at < text.size || line == 0) && qn_tpl_buf_ok(t, &buf); line++) {
        size_t next, end = qn_tpl_line_end(text, at, &next);
        if (line)
            qn_strbuf_add(&buf, "\n");
        if (line ? end > at || blank : first) {
            qn_strbuf_append(&buf, spaces.data, spaces.size);
            for (int64_t i = 0; i < width; i++)
                qn_strbuf_add(&buf, " ");
        }
        qn_strbuf_append(&buf, text.data + at, end - at);
        at = next;
        if (at == text.size && end < at) { /* a break at the end begins one more line */
            qn_strbuf_add(&buf, "\n");
            for (int64_t i = 0; i < width && blank; i++)
                qn_strbuf_add(&buf, " ");
            if (blank)
                qn_strbuf_append(&buf, spaces.data, spaces.size);
        }
    }
    return finish(t, &buf, call->object.safe, out);
}

static bool do_center(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text;
    int64_t width;
    return soft(t, call, &text) && qn_tpl_arg_int(t, call->arg[0], "width", 80, &width) &&
           qn_tpl_pad(t, call->object, width, QN_STR(" "), 0, out);
}

/* ---- parts of a text ------------------------------------------------------------------------------------------ */

static bool do_truncate(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text, end = QN_STR("...");
    int64_t length, leeway = 5;
    struct qn_val cut;
    uint64_t any;
    if (call->object.kind != QN_VAL_STR && qn_val_length(call->object, &any) && any <= 255) {
        int64_t most = 255;
        if (!qn_tpl_arg_int(t, call->arg[0], "length", 255, &most))
            return false;
        if ((int64_t)any <= most + 5) { /* what is short enough stays itself, whatever it is */
            *out = call->object;
            return true;
        }
    }
    if (!only_str(t, call, &text) || !qn_tpl_arg_int(t, call->arg[0], "length", 255, &length) ||
        (call->arg[2].kind && !qn_tpl_arg_str(t, call->arg[2], "end", &end)) ||
        (call->arg[3].kind != QN_VAL_NONE && !qn_tpl_arg_int(t, call->arg[3], "leeway", 5, &leeway)))
        return false;
    int64_t end_chars = (int64_t)qn_val_chars(end), chars = (int64_t)call->object.str->chars;
    if (length < end_chars || leeway < 0)
        return QN_TPL_FAIL(t, "filter 'truncate': expected length >= %lld and leeway >= 0", (long long)end_chars);
    if (chars - leeway <= length) {
        *out = call->object;
        return true;
    }
    struct qn_val bounds[3] = {{0}, qn_val_int(length - end_chars), {0}};
    if (!qn_tpl_slice(t, call->object, bounds, &cut))
        return false;
    struct qn_str kept = qn_val_text(cut);
    const char *space = kept.size && !qn_val_truth(call->arg[1]) ? memrchr(kept.data, ' ', kept.size) : NULL;
    if (space)
        cut.str->size = (size_t)(space - kept.data), cut.str->chars = qn_val_chars(qn_val_text(cut));
    cut.str->buffer = NULL;
    return qn_val_concat(t, cut, end, out);
}

static bool do_wordcount(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text;
    int64_t count = 0;
    bool word = false;
    struct qn_val object = call->object;
    if (!soft(t, call, &text))
        return false;
    if (object.kind == QN_VAL_ITER) /* Python shows its function, and its address as a number */
        text = strcmp(object.iter->type, "generator") == 0 ? QN_STR("generator object sync_do_map at 0x7f00")
                                                           : QN_STR("list_reverseiterator object at 0x7f00");
    for (size_t at = 0, length; at < text.size; at += length) {
        bool is = qn_uni_is_word(qn_uni_first((struct qn_str){text.data + at, text.size - at}, &length));
        count += is && !word;
        word = is;
    }
    *out = qn_val_int(count);
    return true;
}

static bool do_wordwrap(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text, wrap = QN_STR("\n");
    struct qn_val_list lines = {0};
    int64_t width;
    struct qn_strbuf buf;
    bool break_long = !call->arg[1].kind || qn_val_truth(call->arg[1]);
    bool break_hyphens = !call->arg[3].kind || qn_val_truth(call->arg[3]);
    if (!only_str(t, call, &text) || !qn_tpl_arg_int(t, call->arg[0], "width", 79, &width) ||
        (call->arg[2].kind > QN_VAL_NONE && !qn_tpl_arg_str(t, call->arg[2], "wrapstring", &wrap)))
        return false;
    if (width <= 0)
        return QN_TPL_FAIL(t, "filter 'wordwrap': invalid width %lld (must be > 0)", (long long)width);
    qn_strbuf_init(&buf, &t->allocator);
    for (size_t at = 0, next; at < text.size; at = next) {
        size_t end = qn_tpl_line_end(text, at, &next);
        lines.count = 0;
        if (!qn_tpl_wordwrap(t, (struct qn_str){text.data + at, end - at}, width, break_long, break_hyphens, &lines)) {
            qn_strbuf_deinit(&buf);
            return false;
        }
        for (uint32_t i = 0; i < lines.count; i++) {
            if (i)
                qn_strbuf_append(&buf, wrap.data, wrap.size);
            qn_strbuf_append(&buf, lines.items[i].str->data, lines.items[i].str->size);
        }
        if (next < text.size)
            qn_strbuf_append(&buf, wrap.data, wrap.size);
    }
    return finish(t, &buf, false, out);
}

/* ---- HTML and URLs -------------------------------------------------------------------------------------------- */

static bool do_escape(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return qn_tpl_escape(t, call->object, out);
}

static bool do_forceescape(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    call->object.safe = call->object.kind == QN_VAL_STR ? 0 : call->object.safe;
    return qn_tpl_escape(t, call->object, out);
}

static bool do_safe(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    bool good = qn_val_to_str(t, call->object, out);
    out->safe = 1;
    return good;
}

/* Takes <!-- --> and < > out. */
static void strip_tags(struct qn_str text, struct qn_strbuf *out)
{
    while (text.size) {
        const char *open = memchr(text.data, '<', text.size), *close;
        struct qn_str rest = open ? (struct qn_str){open, (size_t)(text.data + text.size - open)} : text;
        bool comment = open && qn_str_starts(rest, QN_STR("<!--"));
        close = !open ? NULL : comment ? memmem(rest.data, rest.size, "-->", 3) : memchr(rest.data, '>', rest.size);
        if (!close)
            break;
        close += comment ? 3 : 1;
        qn_strbuf_append(out, text.data, (size_t)(open - text.data));
        text = (struct qn_str){close, (size_t)(text.data + text.size - close)};
    }
    qn_strbuf_append(out, text.data, text.size);
}

static size_t put_entity(struct qn_str text, struct qn_strbuf *out)
{
    static const struct {
        const char *name, *to;
    } known[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}, {"&nbsp;", "\u00a0"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (qn_str_starts(text, qn_str_from(known[i].name))) {
            qn_strbuf_add(out, known[i].to);
            return strlen(known[i].name);
        }
    char digits[16] = {0}, bytes[4], *end;
    memcpy(digits, text.data, text.size < 15 ? text.size : 15);
    if (digits[1] == '#') {
        bool hex = digits[2] == 'x' || digits[2] == 'X';
        unsigned long c = isalnum((uint8_t)digits[2 + hex]) ? strtoul(digits + 2 + hex, &end, hex ? 16 : 10) : 0;
        if (c && *end == ';' && c < 0x110000 && !(c >= 0xd800 && c < 0xe000)) {
            qn_strbuf_append(out, bytes, qn_utf8_encode((uint32_t)c, bytes));
            return (size_t)(end + 1 - digits);
        }
    }
    qn_strbuf_add(out, "&");
    return 1;
}

static bool do_striptags(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text;
    struct qn_strbuf plain, buf;
    bool gap = false;
    if (!soft(t, call, &text))
        return false;
    qn_strbuf_init(&plain, &t->allocator);
    qn_strbuf_init(&buf, &t->allocator);
    strip_tags(text, &plain);
    text = qn_uni_strip(qn_strbuf_view(&plain), true, true);
    for (size_t at = 0, length; at < text.size; at += length) {
        struct qn_str rest = {text.data + at, text.size - at};
        bool space = qn_uni_is_space(qn_uni_first(rest, &length));
        if (!space && gap)
            qn_strbuf_add(&buf, " ");
        gap = space;
        if (!space && rest.data[0] == '&')
            length = put_entity(rest, &buf);
        else if (!space)
            qn_strbuf_append(&buf, rest.data, length);
    }
    bool good = qn_tpl_buf_ok(t, &plain);
    qn_strbuf_deinit(&plain);
    return finish(t, &buf, false, out) && good;
}

static void url_quote(struct qn_str text, bool query, struct qn_strbuf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = (uint8_t)text.data[i];
        if ((c < 0x80 && isalnum(c)) || (c && strchr("_.-~", c)) || (c == '/' && !query))
            qn_strbuf_append(out, &text.data[i], 1);
        else if (c == ' ' && query)
            qn_strbuf_add(out, "+");
        else
            qn_strbuf_printf(out, "%%%02X", c);
    }
}

static bool url_pair(struct qn_tpl *t, struct qn_val pair, struct qn_strbuf *out)
{
    struct qn_val items, key, value;
    if (!qn_val_to_list(t, pair, &items))
        return false;
    if (items.list->count != 2)
        return QN_TPL_FAIL(t, "filter 'urlencode': expected pairs of a key and a value");
    if (!qn_val_to_str(t, items.list->items[0], &key) || !qn_val_to_str(t, items.list->items[1], &value))
        return false;
    url_quote(qn_val_text(key), true, out);
    qn_strbuf_add(out, "=");
    url_quote(qn_val_text(value), true, out);
    return qn_tpl_buf_ok(t, out);
}

static bool do_urlencode(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_strbuf buf;
    struct qn_str text;
    bool good = true;
    qn_strbuf_init(&buf, &t->allocator);
    if (call->object.kind == QN_VAL_STR || !qn_val_iterable(call->object)) {
        if ((good = soft(t, call, &text)))
            url_quote(text, false, &buf);
    } else {
        struct qn_val source = call->object, list;
        if (source.kind == QN_VAL_DICT)
            source = (struct qn_val){.kind = QN_VAL_VIEW, .safe = QN_VIEW_ITEMS, .dict = source.dict};
        good = qn_val_to_list(t, source, &list);
        for (uint32_t i = 0; good && i < list.list->count; i++) {
            if (i)
                qn_strbuf_add(&buf, "&");
            good = url_pair(t, list.list->items[i], &buf);
        }
    }
    if (!good)
        qn_strbuf_deinit(&buf);
    return good && finish(t, &buf, false, out);
}

static bool do_xmlattr(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_strbuf buf;
    bool space = !call->arg[0].kind || qn_val_truth(call->arg[0]);
    if (call->object.kind != QN_VAL_DICT)
        return QN_TPL_FAIL(t, "filter 'xmlattr': expected a mapping, not %s", qn_val_type(call->object));
    qn_strbuf_init(&buf, &t->allocator);
    for (uint32_t i = 0; i < call->object.dict->used; i++) {
        const struct qn_val_entry *entry = &call->object.dict->entries[i];
        struct qn_val key, value;
        if (!entry->key.kind || entry->value.kind == QN_VAL_NONE || entry->value.kind == QN_VAL_UNDEFINED)
            continue;
        bool good = qn_tpl_escape(t, entry->key, &key) && qn_tpl_escape(t, entry->value, &value);
        for (size_t c = 0; good && c < key.str->size; c++)
            if (strchr(" \t\n\r\f\v/>=", key.str->data[c]))
                good = QN_TPL_FAIL(t, "invalid character in attribute name");
        if (!good) {
            qn_strbuf_deinit(&buf);
            return false;
        }
        if (buf.size || space)
            qn_strbuf_add(&buf, " ");
        qn_strbuf_append(&buf, key.str->data, key.str->size);
        qn_strbuf_add(&buf, "=\"");
        qn_strbuf_append(&buf, value.str->data, value.str->size);
        qn_strbuf_add(&buf, "\"");
    }
    return finish(t, &buf, false, out);
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

static bool int_of_double(struct qn_tpl *t, double d, struct qn_val *out)
{
    if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0))
        return QN_TPL_FAIL(t, "%g does not fit an integer of 64 bits", d);
    *out = qn_val_int((int64_t)d);
    return true;
}

static bool do_int(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val v = call->object;
    int64_t base = 10, integer;
    bool overflow;
    double number;
    if (!qn_tpl_arg_int(t, call->arg[1], "base", 10, &base))
        return false;
    *out = call->arg[0].kind ? call->arg[0] : qn_val_int(0);
    if (v.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, v);
    if (qn_val_is_integer(v)) {
        *out = qn_val_int(qn_val_as_int(v));
        return true;
    }
    if (v.kind == QN_VAL_FLOAT)
        return isnan(v.number) || int_of_double(t, v.number, out);
    if (v.kind != QN_VAL_STR)
        return true;
    if (base >= 0 && base <= 36 && base != 1 && qn_val_parse_int(qn_val_text(v), (int)base, &integer, &overflow)) {
        if (overflow)
            return QN_TPL_FAIL(t, "'%.*s' does not fit an integer of 64 bits", QN_STR_ARG(qn_val_text(v)));
        *out = qn_val_int(integer);
        return true;
    }
    if (qn_val_parse_float(qn_val_text(v), &number) && isfinite(number))
        return int_of_double(t, number, out);
    return true;
}

static bool do_float(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val v = call->object;
    double number;
    *out = call->arg[0].kind ? call->arg[0] : qn_val_float(0);
    if (v.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, v);
    if (qn_val_is_number(v))
        *out = qn_val_float(qn_val_as_double(v));
    else if (v.kind == QN_VAL_STR && qn_val_parse_float(qn_val_text(v), &number))
        *out = qn_val_float(number);
    return true;
}

static bool do_abs(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val v = call->object;
    if (v.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, v);
    if (!qn_val_is_number(v))
        return QN_TPL_FAIL(t, "bad operand type for abs(): '%s'", qn_val_type(v));
    if (v.kind == QN_VAL_FLOAT)
        *out = qn_val_float(fabs(v.number));
    else if (qn_val_as_int(v) == INT64_MIN)
        return QN_TPL_FAIL(t, "the result of abs() does not fit 64 bits");
    else
        *out = qn_val_int(qn_val_as_int(v) < 0 ? -qn_val_as_int(v) : qn_val_as_int(v));
    return true;
}

/* To so many digits behind the point, ties to even, on the exact decimal value as Python does. */
static double round_double(double value, int64_t digits)
{
    char text[400];
    if (!isfinite(value) || digits > 22)
        return value;
    if (digits >= 0) {
        snprintf(text, sizeof text, "%.*f", (int)digits, value); /* in the user's locale both ways */
        return strtod(text, NULL);
    }
    if (digits < -308)
        return copysign(0, value);
    long double unit = powl(10, (long double)-digits);
    return (double)(rintl((long double)value / unit) * unit);
}

static int64_t round_int(int64_t value, int64_t digits)
{
    int64_t unit = 1;
    if (digits < -18)
        return 0;
    for (int64_t i = digits; i < 0; i++)
        unit *= 10;
    int64_t rest = value % unit, whole = value - rest, twice = rest < 0 ? -2 * (rest / 2) - 2 * (rest % 2) : 2 * rest;
    if (unit == 1)
        return value;
    if (rest < 0)
        twice = -2 * rest;
    bool up = twice > unit || (twice == unit && (whole / unit) % 2 != 0);
    return whole + (up ? (value < 0 ? -unit : unit) : 0);
}

static bool do_round(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val v = call->object;
    struct qn_str method = QN_STR("common");
    int64_t digits;
    if (v.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, v);
    if (!qn_tpl_arg_int(t, call->arg[0], "precision", 0, &digits) ||
        (call->arg[1].kind && !qn_tpl_arg_str(t, call->arg[1], "method", &method)))
        return false;
    bool ceiling = qn_str_is(method, "ceil"), floors = qn_str_is(method, "floor");
    if (!ceiling && !floors && !qn_str_is(method, "common"))
        return QN_TPL_FAIL(t, "method must be common, ceil or floor");
    if (!qn_val_is_number(v))
        return QN_TPL_FAIL(t, "type %s doesn't define __round__ method", qn_val_type(v));
    if (ceiling || floors) {
        double unit = pow(10, (double)digits), scaled = qn_val_as_double(v) * unit;
        *out = qn_val_float((ceiling ? ceil(scaled) : floor(scaled)) / unit);
    } else if (v.kind == QN_VAL_FLOAT) {
        *out = qn_val_float(round_double(v.number, digits));
    } else {
        *out = qn_val_int(round_int(qn_val_as_int(v), digits));
    }
    return true;
}

static bool do_filesizeformat(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    static const char letters[] = "kMGTPEZY";
    bool binary = qn_val_truth(call->arg[0]);
    double base = binary ? 1024 : 1000, bytes, unit;
    struct qn_strbuf buf;
    if (call->object.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, call->object);
    if (qn_val_is_number(call->object))
        bytes = qn_val_as_double(call->object);
    else if (call->object.kind != QN_VAL_STR || !qn_val_parse_float(qn_val_text(call->object), &bytes))
        return QN_TPL_FAIL(t, "filter 'filesizeformat': expected a number, not %s", qn_val_type(call->object));
    qn_strbuf_init(&buf, &t->allocator);
    if (bytes == 1) {
        qn_strbuf_add(&buf, "1 Byte");
    } else if (bytes < base) {
        qn_strbuf_printf(&buf, "%.0f Bytes", trunc(bytes));
    } else {
        size_t i = 0;
        for (unit = base * base; bytes >= unit && i < 7; i++)
            unit *= base;
        qn_val_print_double(&buf, 'f', 1, false, base * bytes / unit);
        qn_strbuf_printf(&buf, binary ? " %ciB" : " %cB", binary ? toupper(letters[i]) : letters[i]);
    }
    return finish(t, &buf, false, out);
}

/* ---- formats -------------------------------------------------------------------------------------------------- */

static bool do_format(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str text;
    struct qn_strbuf buf;
    struct qn_val values;
    const struct qn_tpl_args *args = call->args;
    if (args->count && args->named_count)
        return QN_TPL_FAIL(t, "can't handle positional and keyword arguments at the same time");
    if (!soft(t, call, &text))
        return false;
    if (args->named_count) {
        if (!qn_tpl_named_dict(t, args, &values))
            return false;
    } else {
        if (!qn_val_list_new(t, args->count, &values))
            return false;
        values.kind = QN_VAL_TUPLE;
        for (uint32_t i = 0; i < args->count; i++)
            values.list->items[values.list->count++] = args->items[i];
    }
    qn_strbuf_init(&buf, &t->allocator);
    if (!qn_tpl_printf(t, text, call->object.safe, values, &buf)) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    return finish(t, &buf, call->object.safe, out);
}

static bool separators(struct qn_tpl *t, struct qn_val v, struct qn_val_json *json)
{
    struct qn_val list;
    if (!v.kind || v.kind == QN_VAL_NONE)
        return true;
    if (!qn_val_to_list(t, v, &list))
        return false;
    if (list.list->count != 2)
        return QN_TPL_FAIL(t, "filter 'tojson': expected two separators");
    return qn_tpl_arg_str(t, list.list->items[0], "separators", &json->item_sep) &&
           qn_tpl_arg_str(t, list.list->items[1], "separators", &json->key_sep);
}

/* tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False), as transformers defines it */
static bool do_tojson(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_strbuf buf;
    struct qn_val_json json = {.ascii = qn_val_truth(call->arg[0]),
                               .sort_keys = qn_val_truth(call->arg[3]),
                               .indent = call->arg[1].kind ? call->arg[1] : qn_val_none(),
                               .item_sep = QN_STR(", "),
                               .key_sep = QN_STR(": ")};
    bool indented = json.indent.kind != QN_VAL_NONE;
    if (indented && json.indent.kind != QN_VAL_STR && !qn_val_is_integer(json.indent))
        return QN_TPL_FAIL(t, "filter 'tojson': indent must be an integer or a text, not %s", qn_val_type(json.indent));
    if (qn_val_is_integer(json.indent) && qn_val_as_int(json.indent) > 1000)
        return QN_TPL_FAIL(t, "filter 'tojson': an indent of %lld", (long long)qn_val_as_int(json.indent));
    if (indented)
        json.item_sep = QN_STR(",");
    if (!separators(t, call->arg[2], &json))
        return false;
    qn_strbuf_init(&buf, &t->allocator);
    if (!qn_val_to_json(t, call->object, &json, &buf)) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    return finish(t, &buf, false, out);
}

const struct qn_tpl_function qn_tpl_filters_text[] = {
    {"upper", "", do_upper},
    {"lower", "", do_lower},
    {"capitalize", "", do_capitalize},
    {"title", "", do_title},
    {"trim", "chars=", do_trim},
    {"string", "", do_string},
    {"replace", "old,new,count=", do_replace},
    {"indent", "width=,first=,blank=", do_indent},
    {"center", "width=", do_center},
    {"truncate", "length=,killwords=,end=,leeway=", do_truncate},
    {"wordcount", "", do_wordcount},
    {"wordwrap", "width=,break_long_words=,wrapstring=,break_on_hyphens=", do_wordwrap},
    {"escape", "", do_escape},
    {"e", "", do_escape},
    {"forceescape", "", do_forceescape},
    {"safe", "", do_safe},
    {"striptags", "", do_striptags},
    {"urlencode", "", do_urlencode},
    {"xmlattr", "autospace=", do_xmlattr},
    {"int", "default=,base=", do_int},
    {"float", "default=", do_float},
    {"abs", "", do_abs},
    {"round", "precision=,method=", do_round},
    {"filesizeformat", "binary=", do_filesizeformat},
    {"format", NULL, do_format},
    {"tojson", "ensure_ascii=,indent=,separators=,sort_keys=", do_tojson},
    {NULL, NULL, NULL},
};

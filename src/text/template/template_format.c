#include "text/template/template_format.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum { MAX_WIDTH = 1 << 20 };

/* ---- padding -------------------------------------------------------------------------------------------------- */

bool qn_tpl_put_padded(struct qn_tpl *t, const struct qn_tpl_spec *spec, char align, struct qn_str prefix,
                       struct qn_str body, struct qn_strbuf *out)
{
    int64_t chars = (int64_t)(qn_val_chars(prefix) + qn_val_chars(body)), gap = spec->width - chars;
    if (spec->width > MAX_WIDTH)
        return QN_TPL_FAIL(t, "a width of %lld is too large", (long long)spec->width);
    if (!qn_tpl_bytes(t, body.size + (size_t)(gap > 0 ? gap : 0)))
        return false;
    gap = gap > 0 ? gap : 0;
    int64_t before = align == '>' ? gap : align == '^' ? gap / 2 : 0, inside = align == '=' ? gap : 0;
    for (int64_t i = 0; i < before; i++)
        qn_strbuf_append(out, spec->fill.data, spec->fill.size);
    qn_strbuf_append(out, prefix.data, prefix.size);
    for (int64_t i = 0; i < inside; i++)
        qn_strbuf_append(out, spec->fill.data, spec->fill.size);
    qn_strbuf_append(out, body.data, body.size);
    for (int64_t i = before + inside; i < gap; i++)
        qn_strbuf_append(out, spec->fill.data, spec->fill.size);
    return qn_tpl_buf_ok(t, out);
}

static struct qn_str sign_of(const struct qn_tpl_spec *spec, bool negative)
{
    return negative ? QN_STR("-") : spec->sign == '+' ? QN_STR("+") : spec->sign == ' ' ? QN_STR(" ") : QN_STR("");
}

/* Separators between groups of digits before the point; zeros from "0" padding are grouped too. */
static void group_digits(const struct qn_tpl_spec *spec, struct qn_str prefix, struct qn_str body, int size,
                         struct qn_strbuf *out)
{
    size_t whole = 0;
    while (whole < body.size && isxdigit((uint8_t)body.data[whole]))
        whole++;
    size_t digits = whole;
    if (spec->align == '=' && qn_str_is(spec->fill, "0"))
        while (prefix.size + digits + (digits - (digits > 0)) / (size_t)size + (body.size - whole) <
               (size_t)(spec->width > 0 ? spec->width : 0))
            digits++;
    for (size_t i = 0; i < digits; i++) {
        if (i && (digits - i) % (size_t)size == 0)
            qn_strbuf_append(out, &spec->grouping, 1);
        qn_strbuf_append(out, i < digits - whole ? "0" : &body.data[i - (digits - whole)], 1);
    }
    qn_strbuf_append(out, body.data + whole, body.size - whole);
}

static bool put_number(struct qn_tpl *t, const struct qn_tpl_spec *spec, struct qn_str prefix, struct qn_str body,
                       int group, struct qn_strbuf *out)
{
    struct qn_strbuf grouped;
    char align = spec->align ? spec->align : '>';
    if (!spec->grouping || spec->width > MAX_WIDTH)
        return qn_tpl_put_padded(t, spec, align, prefix, body, out);
    qn_strbuf_init(&grouped, &t->allocator);
    group_digits(spec, prefix, body, group, &grouped);
    bool good = qn_tpl_buf_ok(t, &grouped) && qn_tpl_put_padded(t, spec, align, prefix, qn_strbuf_view(&grouped), out);
    qn_strbuf_deinit(&grouped);
    return good;
}

/* ---- numbers and texts ---------------------------------------------------------------------------------------- */

bool qn_tpl_put_int(struct qn_tpl *t, const struct qn_tpl_spec *spec, int64_t value, struct qn_strbuf *out)
{
    char digits[80], prefix[8], utf8[4];
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned base = spec->type == 'b' ? 2 : spec->type == 'o' ? 8 : spec->type == 'x' || spec->type == 'X' ? 16 : 10;
    size_t at = sizeof digits;
    if (spec->type == 'c') {
        if (value < 0 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return QN_TPL_FAIL(t, "%%c arg not in range(0x110000)");
        size_t size = qn_utf8_encode((uint32_t)value, utf8);
        return qn_tpl_put_padded(t, spec, spec->align ? spec->align : '<', QN_STR(""), (struct qn_str){utf8, size},
                                 out);
    }
    do {
        digits[--at] = (spec->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[rest % base];
        rest /= base;
    } while (rest);
    snprintf(prefix, sizeof prefix, "%s%s", sign_of(spec, value < 0).data,
             !spec->alternate || base == 10 ? ""
             : base == 2                    ? "0b"
             : base == 8                    ? "0o"
             : spec->type == 'X'            ? "0X"
                                            : "0x");
    return put_number(t, spec, qn_str_from(prefix), (struct qn_str){digits + at, sizeof digits - at},
                      base == 10 ? 3 : 4, out);
}

bool qn_tpl_put_float(struct qn_tpl *t, const struct qn_tpl_spec *spec, double value, struct qn_strbuf *out)
{
    struct qn_strbuf body;
    bool negative = signbit(value) && !isnan(value);
    char type = spec->type;
    double positive = fabs(value);
    if (spec->precision > 1000)
        return QN_TPL_FAIL(t, "precision too big");
    qn_strbuf_init(&body, &t->allocator);
    if (!isfinite(value))
        qn_strbuf_add(&body, isnan(value) ? (isupper((uint8_t)type) ? "NAN" : "nan")
                                          : (isupper((uint8_t)type) ? "INF" : "inf"));
    else if (!type && spec->precision < 0)
        qn_val_repr_double(positive, &body);
    else
        qn_val_print_double(&body,
                            !type || type == 'n' ? 'g'
                            : type == '%'        ? 'f'
                                                 : type,
                            spec->precision < 0 ? 6 : (int)spec->precision, spec->alternate,
                            type == '%' ? positive * 100 : positive);
    if (type == '%')
        qn_strbuf_add(&body, "%");
    if (!type && body.data && isfinite(value) && !strpbrk(body.data, ".e"))
        qn_strbuf_add(&body, ".0");
    bool good = qn_tpl_buf_ok(t, &body) && put_number(t, spec, sign_of(spec, negative), qn_strbuf_view(&body), 3, out);
    qn_strbuf_deinit(&body);
    return good;
}

bool qn_tpl_put_str(struct qn_tpl *t, const struct qn_tpl_spec *spec, struct qn_str text, struct qn_strbuf *out)
{
    if (spec->precision >= 0) {
        size_t end = 0;
        for (int64_t i = 0; i < spec->precision && end < text.size; i++)
            end += qn_utf8_step(text.data + end, text.size - end);
        text.size = end;
    }
    return qn_tpl_put_padded(t, spec, spec->align ? spec->align : '<', QN_STR(""), text, out);
}

/* ---- "%s" % values -------------------------------------------------------------------------------------------- */

struct printf_state {
    struct qn_val args;
    uint32_t next; /* of a TUPLE; else whether the one value is used */
    bool safe;
};

static bool next_value(struct qn_tpl *t, struct printf_state *s, struct qn_val *out)
{
    bool tuple = s->args.kind == QN_VAL_TUPLE;
    if (s->next >= (tuple ? s->args.list->count : 1))
        return QN_TPL_FAIL(t, "not enough arguments for format string");
    *out = tuple ? s->args.list->items[s->next] : s->args;
    s->next++;
    return true;
}

static bool read_number(struct qn_tpl *t, struct printf_state *s, struct qn_str format, size_t *at, int64_t *out)
{
    if (*at < format.size && format.data[*at] == '*') {
        struct qn_val v;
        ++*at;
        if (!next_value(t, s, &v))
            return false;
        if (!qn_val_is_integer(v))
            return QN_TPL_FAIL(t, "* wants int");
        *out = qn_val_as_int(v);
        return true;
    }
    for (*out = 0; *at < format.size && isdigit((uint8_t)format.data[*at]); ++*at)
        *out = *out < MAX_WIDTH ? *out * 10 + (format.data[*at] - '0') : *out;
    return true;
}

static bool put_text(struct qn_tpl *t, const struct printf_state *s, const struct qn_tpl_spec *spec, struct qn_val v,
                     struct qn_strbuf *out)
{
    struct qn_strbuf buf;
    struct qn_val text;
    if (spec->type == 's') {
        if (!qn_val_to_str(t, v, &text))
            return false;
    } else {
        qn_strbuf_init(&buf, &t->allocator);
        if (!qn_val_repr(t, v, &buf)) {
            qn_strbuf_deinit(&buf);
            return false;
        }
        if (!qn_val_strbuf(t, &buf, &text))
            return false;
    }
    return qn_tpl_soft(t, s->safe, text, &text) && qn_tpl_put_str(t, spec, qn_val_text(text), out);
}

static bool put_converted(struct qn_tpl *t, const struct printf_state *s, struct qn_tpl_spec *spec, struct qn_val v,
                          struct qn_strbuf *out)
{
    char c = spec->type;
    if (c == 's' || c == 'r' || c == 'a')
        return put_text(t, s, spec, v, out);
    if (v.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, v);
    if (c == 'c') {
        if (v.kind == QN_VAL_STR && v.str->chars == 1)
            return qn_tpl_put_str(t, spec, qn_val_text(v), out);
        return qn_val_is_integer(v) ? qn_tpl_put_int(t, spec, qn_val_as_int(v), out)
                                    : QN_TPL_FAIL(t, "%%c requires int or char");
    }
    if (!spec->align)
        spec->align = '>';
    if (c && strchr("diuxXo", c)) {
        bool hex = c == 'x' || c == 'X' || c == 'o';
        if (!qn_val_is_integer(v) && (hex || v.kind != QN_VAL_FLOAT))
            return QN_TPL_FAIL(t,
                               hex ? "%%%c format: an integer is required, not %s"
                                   : "%%%c format: a real number is required, not %s",
                               c, qn_val_type(v));
        if (v.kind == QN_VAL_FLOAT && !(fabs(v.number) < 9.2e18))
            return QN_TPL_FAIL(t, "%g does not fit an integer of 64 bits", v.number);
        spec->type = hex ? c : 'd';
        return qn_tpl_put_int(t, spec, v.kind == QN_VAL_FLOAT ? (int64_t)v.number : qn_val_as_int(v), out);
    }
    if (c && strchr("eEfFgG", c)) {
        if (!qn_val_is_number(v))
            return QN_TPL_FAIL(t, "must be real number, not %s", qn_val_type(v));
        return qn_tpl_put_float(t, spec, qn_val_as_double(v), out);
    }
    return QN_TPL_FAIL(t, "unsupported format character '%c'", c);
}

/* One conversion; *at stands behind its '%'. */
static bool put_conversion(struct qn_tpl *t, struct printf_state *s, struct qn_str format, size_t *at,
                           struct qn_strbuf *out)
{
    struct qn_tpl_spec spec = {.fill = QN_STR(" "), .sign = '-', .precision = -1};
    struct qn_val value = {0};
    bool left = false, zero = false;
    if (*at < format.size && format.data[*at] == '(') {
        size_t end = *at + 1;
        struct qn_val_entry *entry;
        for (int open = 1; end < format.size; end++) {
            open += (format.data[end] == '(') - (format.data[end] == ')');
            if (!open)
                break;
        }
        struct qn_val key;
        if (end >= format.size || s->args.kind != QN_VAL_DICT)
            return QN_TPL_FAIL(t, end >= format.size ? "incomplete format key" : "format requires a mapping");
        if (!qn_val_str_view(t, (struct qn_str){format.data + *at + 1, end - *at - 1}, &key) ||
            !qn_val_dict_get(t, s->args.dict, key, &entry))
            return false;
        if (!entry)
            return QN_TPL_FAIL(t, "the format's key '%.*s' is not in the mapping", QN_STR_ARG(qn_val_text(key)));
        value = entry->value;
        *at = end + 1;
    }
    for (; *at < format.size && format.data[*at] && strchr("#0- +", format.data[*at]); ++*at) {
        char flag = format.data[*at];
        left |= flag == '-';
        zero |= flag == '0';
        spec.alternate |= flag == '#';
        if (flag == '+' || (flag == ' ' && spec.sign != '+'))
            spec.sign = flag;
    }
    if (!read_number(t, s, format, at, &spec.width))
        return false;
    if (spec.width < 0) {
        left = true;
        spec.width = -spec.width;
    }
    if (*at < format.size && format.data[*at] == '.') {
        ++*at;
        if (!read_number(t, s, format, at, &spec.precision))
            return false;
        spec.precision = spec.precision < 0 ? 0 : spec.precision;
    }
    while (*at < format.size && format.data[*at] && strchr("hlL", format.data[*at]))
        ++*at;
    if (*at >= format.size)
        return QN_TPL_FAIL(t, "incomplete format");
    spec.type = format.data[(*at)++];
    if (spec.type == '%') {
        qn_strbuf_add(out, "%");
        return true;
    }
    if (!value.kind && !next_value(t, s, &value))
        return false;
    bool number = spec.type && strchr("diuxXoeEfFgG", spec.type);
    spec.align = left ? '<' : zero && number ? '=' : '>';
    if (zero && number && !left)
        spec.fill = QN_STR("0");
    return put_converted(t, s, &spec, value, out);
}

bool qn_tpl_printf(struct qn_tpl *t, struct qn_str format, bool safe, struct qn_val args, struct qn_strbuf *out)
{
    struct printf_state s = {.args = args, .safe = safe};
    for (size_t at = 0; at < format.size;) {
        const char *percent = memchr(format.data + at, '%', format.size - at);
        size_t end = percent ? (size_t)(percent - format.data) : format.size;
        qn_strbuf_append(out, format.data + at, end - at);
        at = end + 1;
        if (percent && !put_conversion(t, &s, format, &at, out))
            return false;
    }
    /* to Python whatever can be asked for a key is a mapping, whose entries need not be used */
    bool one = args.kind != QN_VAL_TUPLE && args.kind != QN_VAL_DICT && args.kind != QN_VAL_LIST &&
               args.kind != QN_VAL_RANGE && args.kind != QN_VAL_UNDEFINED;
    if ((one && !s.next) || (args.kind == QN_VAL_TUPLE && s.next < args.list->count))
        return QN_TPL_FAIL(t, "not all arguments converted during string formatting");
    return qn_tpl_bytes(t, format.size) && qn_tpl_buf_ok(t, out);
}

/* str.format: replacement fields and their specifications. */
#include <ctype.h>
#include <string.h>

#include "base/utf8.h"
#include "text/template/template_format.h"

struct fields {
    const struct qn_tpl_args *args;
    int64_t next; /* of the automatic numbers; -1: fields are numbered by hand */
};

static bool read_spec(struct qn_tpl *t, struct qn_str text, struct qn_tpl_spec *spec)
{
    size_t at = 0, first = text.size ? qn_utf8_step(text.data, text.size) : 0;
    *spec = (struct qn_tpl_spec){.fill = QN_STR(" "), .sign = '-', .precision = -1};
#define MORE (at < text.size)
    if (first && first < text.size && strchr("<>=^", text.data[first]) && text.data[first]) {
        spec->fill = (struct qn_str){text.data, first};
        spec->align = text.data[first];
        at = first + 1;
    } else if (MORE && text.data[0] && strchr("<>=^", text.data[0])) {
        spec->align = text.data[at++];
    }
    if (MORE && text.data[at] && strchr("+- ", text.data[at]))
        spec->sign = text.data[at++];
    if (MORE && text.data[at] == '#') {
        spec->alternate = true;
        at++;
    }
    if (MORE && text.data[at] == '0') {
        if (!spec->align) {
            spec->align = '=';
            spec->fill = QN_STR("0");
        } else if (spec->fill.size == 1 && spec->fill.data[0] == ' ' && first && text.data[0] != ' ') {
            spec->fill = QN_STR("0");
        }
        at++;
    }
    for (; MORE && isdigit((uint8_t)text.data[at]); at++)
        spec->width = spec->width < 1 << 24 ? spec->width * 10 + (text.data[at] - '0') : spec->width;
    if (MORE && (text.data[at] == ',' || text.data[at] == '_'))
        spec->grouping = text.data[at++];
    if (MORE && text.data[at] == '.') {
        at++;
        if (!MORE || !isdigit((uint8_t)text.data[at]))
            return QN_TPL_FAIL(t, "format specifier missing precision");
        for (spec->precision = 0; MORE && isdigit((uint8_t)text.data[at]); at++)
            spec->precision =
                spec->precision < 1 << 24 ? spec->precision * 10 + (text.data[at] - '0') : spec->precision;
    }
    if (MORE)
        spec->type = text.data[at++];
    return !MORE || QN_TPL_FAIL(t, "invalid format specifier '%.*s'", QN_STR_ARG(text));
#undef MORE
}

static bool put_formatted(struct qn_tpl *t, struct qn_val v, struct qn_str text, struct qn_strbuf *out)
{
    struct qn_tpl_spec spec;
    if (!text.size)
        return qn_val_print(t, v, out);
    if (!read_spec(t, text, &spec))
        return false;
    if (v.kind == QN_VAL_STR) {
        if ((spec.type && spec.type != 's') || spec.grouping)
            return QN_TPL_FAIL(t, "unknown format code '%c' for object of type 'str'", spec.type);
        if (spec.align == '=' && qn_str_is(spec.fill, "0") && text.data[0] == '0')
            spec.align = '<'; /* "05" on a text: zeros behind it */
        else if (spec.align == '=')
            return QN_TPL_FAIL(t, "'=' alignment not allowed in string format specifier");
        return qn_tpl_put_str(t, &spec, qn_val_text(v), out);
    }
    if (!qn_val_is_number(v))
        return QN_TPL_FAIL(t, "unsupported format string passed to %s.__format__", qn_val_type(v));
    bool integer = !spec.type || (spec.type && strchr("bcdnoxX", spec.type));
    if (v.kind != QN_VAL_FLOAT && integer) {
        if (spec.precision >= 0)
            return QN_TPL_FAIL(t, "precision not allowed in integer format specifier");
        return qn_tpl_put_int(t, &spec, qn_val_as_int(v), out);
    }
    if (spec.type && !strchr("eEfFgGn%", spec.type))
        return QN_TPL_FAIL(t, "unknown format code '%c' for object of type '%s'", spec.type, qn_val_type(v));
    return qn_tpl_put_float(t, &spec, qn_val_as_double(v), out);
}

static bool parse_index(struct qn_str text, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!isdigit((uint8_t)text.data[i]) || *out > 1000000)
            return false;
        *out = *out * 10 + (text.data[i] - '0');
    }
    return text.size > 0;
}

static bool first_value(struct qn_tpl *t, struct fields *f, struct qn_str name, struct qn_val *out)
{
    int64_t index;
    if (!name.size) {
        if (f->next < 0)
            return QN_TPL_FAIL(t, "cannot switch from manual field specification to automatic field numbering");
        index = f->next++;
    } else if (parse_index(name, &index)) {
        if (f->next > 0)
            return QN_TPL_FAIL(t, "cannot switch from automatic field numbering to manual field specification");
        f->next = -1;
    } else {
        for (uint32_t i = 0; i < f->args->named_count; i++)
            if (qn_str_eq(f->args->named[i].name, name)) {
                *out = f->args->named[i].value;
                return true;
            }
        return QN_TPL_FAIL(t, "format: there is no argument '%.*s'", QN_STR_ARG(name));
    }
    if (index >= f->args->count)
        return QN_TPL_FAIL(t, "Replacement index %lld out of range for positional args tuple", (long long)index);
    *out = f->args->items[index];
    return true;
}

/* name.attribute[key]... */
static bool field_value(struct qn_tpl *t, struct fields *f, struct qn_str path, struct qn_val *out)
{
    size_t end = 0;
    while (end < path.size && path.data[end] != '.' && path.data[end] != '[')
        end++;
    if (!first_value(t, f, (struct qn_str){path.data, end}, out))
        return false;
    while (end < path.size) {
        bool attr = path.data[end] == '.';
        size_t begin = ++end;
        while (end < path.size && (attr ? path.data[end] != '.' && path.data[end] != '[' : path.data[end] != ']'))
            end++;
        struct qn_str part = {path.data + begin, end - begin};
        struct qn_val key;
        int64_t index;
        if (!part.size || (!attr && end >= path.size))
            return QN_TPL_FAIL(t, "empty attribute in format string");
        end += !attr;
        if (attr) {
            if (!qn_tpl_getattr(t, *out, part, out))
                return false;
        } else {
            key = qn_val_int(0);
            if (parse_index(part, &index))
                key = qn_val_int(index);
            else if (!qn_val_str_view(t, part, &key))
                return false;
            if (!qn_tpl_getitem(t, *out, key, out))
                return false;
        }
    }
    return true;
}

static bool format_into(struct qn_tpl *t, struct fields *f, struct qn_str text, int depth, struct qn_strbuf *out);

static bool convert(struct qn_tpl *t, char how, struct qn_val *v)
{
    struct qn_strbuf buf;
    if (how == 's')
        return qn_val_to_str(t, *v, v);
    if (how != 'r' && how != 'a')
        return QN_TPL_FAIL(t, "unknown conversion specifier '%c'", how);
    qn_strbuf_init(&buf, &t->allocator);
    if (!qn_val_repr(t, *v, &buf)) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    return qn_val_strbuf(t, &buf, v);
}

/* The inside of { }. */
static bool put_field(struct qn_tpl *t, struct fields *f, struct qn_str field, int depth, struct qn_strbuf *out)
{
    size_t end = 0, brackets = 0;
    struct qn_val value;
    struct qn_strbuf spec;
    while (end < field.size && (brackets || (field.data[end] != ':' && field.data[end] != '!'))) {
        brackets += field.data[end] == '[';
        brackets -= brackets && field.data[end] == ']';
        end++;
    }
    if (!field_value(t, f, (struct qn_str){field.data, end}, &value))
        return false;
    if (end < field.size && field.data[end] == '!') {
        if (end + 1 >= field.size || !convert(t, field.data[end + 1], &value))
            return QN_TPL_FAIL(t, "end of string while looking for conversion specifier");
        end += 2;
        if (end < field.size && field.data[end] != ':')
            return QN_TPL_FAIL(t, "expected ':' after conversion specifier");
    }
    end += end < field.size;
    qn_strbuf_init(&spec, &t->allocator);
    bool good = format_into(t, f, (struct qn_str){field.data + end, field.size - end}, depth + 1, &spec) &&
                put_formatted(t, value, qn_strbuf_view(&spec), out);
    qn_strbuf_deinit(&spec);
    return good;
}

static bool format_into(struct qn_tpl *t, struct fields *f, struct qn_str text, int depth, struct qn_strbuf *out)
{
    if (depth > 3)
        return QN_TPL_FAIL(t, "max string recursion exceeded");
    for (size_t at = 0; at < text.size;) {
        char c = text.data[at];
        bool twice = at + 1 < text.size && text.data[at + 1] == c;
        if ((c == '{' || c == '}') && twice) {
            qn_strbuf_append(out, &c, 1);
            at += 2;
            continue;
        }
        if (c == '}')
            return QN_TPL_FAIL(t, "single '}' encountered in format string");
        if (c != '{') {
            qn_strbuf_append(out, &c, 1);
            at++;
            continue;
        }
        size_t end = at + 1, open = 1;
        for (; end < text.size; end++) {
            open += text.data[end] == '{';
            open -= text.data[end] == '}';
            if (!open)
                break;
        }
        if (end >= text.size)
            return QN_TPL_FAIL(t, at + 1 < text.size ? "expected '}' before end of string"
                                                     : "single '{' encountered in format string");
        if (!qn_tpl_step(t, 1) || !put_field(t, f, (struct qn_str){text.data + at + 1, end - at - 1}, depth, out))
            return false;
        at = end + 1;
    }
    return qn_tpl_bytes(t, text.size) && qn_tpl_buf_ok(t, out);
}

bool qn_tpl_format(struct qn_tpl *t, struct qn_str format, const struct qn_tpl_args *args, struct qn_strbuf *out)
{
    struct fields fields = {.args = args};
    return format_into(t, &fields, format, 1, out);
}

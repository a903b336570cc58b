/* Methods of texts, and what filters share with them. */
#define _GNU_SOURCE
#include <string.h>

#include "text/template/template_builtin.h"

typedef struct qn_tpl_call call_t;

static struct qn_str self(const call_t *call)
{
    return qn_val_text(call->object);
}

static bool give(struct qn_tpl *t, const call_t *call, struct qn_str text, struct qn_val *out)
{
    bool good = qn_val_str_view(t, text, out);
    out->safe = call->object.safe;
    return good;
}

static bool push_part(struct qn_tpl *t, const call_t *call, struct qn_str text, struct qn_val list)
{
    struct qn_val part;
    return give(t, call, text, &part) && qn_val_list_push(t, list.list, part);
}

/* ---- shared with filters -------------------------------------------------------------------------------------- */

size_t qn_tpl_line_end(struct qn_str text, size_t at, size_t *next)
{
    while (at < text.size) {
        size_t length;
        uint32_t c = qn_uni_first((struct qn_str){text.data + at, text.size - at}, &length);
        if (qn_uni_is_line_break(c)) {
            *next = at + length + (c == '\r' && at + 1 < text.size && text.data[at + 1] == '\n');
            return at;
        }
        at += length;
    }
    *next = at;
    return at;
}

bool qn_tpl_replace(struct qn_tpl *t, struct qn_str text, struct qn_str old, struct qn_str new, int64_t count,
                    struct qn_val *out)
{
    struct qn_strbuf buf;
    size_t done = 0, at = 0;
    qn_strbuf_init(&buf, &t->allocator);
    while (count != 0 && qn_tpl_buf_ok(t, &buf)) {
        const char *found = old.size ? memmem(text.data + at, text.size - at, old.data, old.size) : text.data + at;
        if (!found || !qn_tpl_step(t, 1))
            break;
        qn_strbuf_append(&buf, text.data + done, (size_t)(found - text.data) - done);
        qn_strbuf_append(&buf, new.data, new.size);
        done = at = (size_t)(found - text.data) + old.size;
        count -= count > 0;
        if (!old.size) {
            if (at >= text.size)
                break;
            at += qn_utf8_step(text.data + at, text.size - at);
        }
    }
    qn_strbuf_append(&buf, text.data + done, text.size - done);
    bool good = qn_val_strbuf(t, &buf, out) && qn_tpl_bytes(t, text.size);
    return good && !t->status;
}

bool qn_tpl_pad(struct qn_tpl *t, struct qn_val text, int64_t width, struct qn_str fill, int side, struct qn_val *out)
{
    struct qn_strbuf buf;
    int64_t chars = (int64_t)text.str->chars, gap = width - chars;
    *out = text;
    if (gap <= 0)
        return true;
    if ((uint64_t)gap > t->max_output || !qn_tpl_step(t, (uint64_t)gap / 16))
        return qn_tpl_fail(t, QN_OUT_OF_RANGE, "a width of %lld is too large", (long long)width);
    int64_t left = side < 0 ? 0 : side > 0 ? gap : gap / 2 + (gap & width & 1);
    qn_strbuf_init(&buf, &t->allocator);
    for (int64_t i = 0; i <= gap; i++) {
        if (i == left)
            qn_strbuf_append(&buf, text.str->data, text.str->size);
        if (i < gap)
            qn_strbuf_append(&buf, fill.data, fill.size);
    }
    uint8_t safe = text.safe;
    bool good = qn_val_strbuf(t, &buf, out);
    out->safe = safe;
    return good;
}

/* ---- case and classes ----------------------------------------------------------------------------------------- */

static bool change(struct qn_tpl *t, call_t *call, enum qn_uni_case how, struct qn_val *out)
{
    struct qn_strbuf buf;
    if (!qn_tpl_bytes(t, self(call).size * 8))
        return false;
    qn_strbuf_init(&buf, &t->allocator);
    qn_uni_change_case(self(call), how, &buf);
    bool good = qn_val_strbuf(t, &buf, out);
    out->safe = call->object.safe;
    return good;
}

#define CASE_METHOD(name, how)                                           \
    static bool name(struct qn_tpl *t, call_t *call, struct qn_val *out) \
    {                                                                    \
        return change(t, call, how, out);                                \
    }

CASE_METHOD(str_upper, QN_UNI_UPPER)
CASE_METHOD(str_lower, QN_UNI_LOWER)
CASE_METHOD(str_title, QN_UNI_TITLE)
CASE_METHOD(str_capitalize, QN_UNI_CAPITALIZE)
CASE_METHOD(str_swapcase, QN_UNI_SWAP)
CASE_METHOD(str_casefold, QN_UNI_FOLD)

/* All characters are of a class, and there is one. */
static bool all_are(struct qn_tpl *t, call_t *call, bool (*is)(uint32_t), bool empty, struct qn_val *out)
{
    struct qn_str text = self(call);
    bool all = text.size || empty;
    for (size_t at = 0, length; at < text.size && all; at += length)
        all = is(qn_uni_first((struct qn_str){text.data + at, text.size - at}, &length));
    *out = qn_val_bool(all);
    return qn_tpl_bytes(t, text.size * 4);
}

static bool is_alnum(uint32_t c)
{
    return qn_uni_is_alpha(c) || qn_uni_is_numeric(c);
}

static bool is_ascii(uint32_t c)
{
    return c < 0x80;
}

#define CLASS_METHOD(name, is, empty)                                    \
    static bool name(struct qn_tpl *t, call_t *call, struct qn_val *out) \
    {                                                                    \
        return all_are(t, call, is, empty, out);                         \
    }

CLASS_METHOD(str_isalpha, qn_uni_is_alpha, false)
CLASS_METHOD(str_isdigit, qn_uni_is_digit, false)
CLASS_METHOD(str_isdecimal, qn_uni_is_decimal, false)
CLASS_METHOD(str_isnumeric, qn_uni_is_numeric, false)
CLASS_METHOD(str_isspace, qn_uni_is_space, false)
CLASS_METHOD(str_isprintable, qn_uni_is_printable, true)
CLASS_METHOD(str_isalnum, is_alnum, false)
CLASS_METHOD(str_isascii, is_ascii, true)

static bool has_case(struct qn_tpl *t, call_t *call, bool upper, struct qn_val *out)
{
    struct qn_tpl_args none = {0};
    bool is;
    if (!qn_tpl_call_test(t, upper ? QN_STR("upper") : QN_STR("lower"), call->object, &none, &is))
        return false;
    *out = qn_val_bool(is);
    return true;
}

static bool str_islower(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return has_case(t, call, false, out);
}

static bool str_isupper(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return has_case(t, call, true, out);
}

static bool str_istitle(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_str text = self(call);
    bool cased = false, after = false, good = true;
    for (size_t at = 0, length; at < text.size && good; at += length) {
        uint32_t c = qn_uni_first((struct qn_str){text.data + at, text.size - at}, &length);
        bool upper = qn_uni_is_upper(c) || qn_uni_is_title(c), lower = qn_uni_is_lower(c);
        good = !(upper && after) && !(lower && !after);
        after = upper || lower;
        cased |= after;
    }
    *out = qn_val_bool(cased && good);
    return qn_tpl_bytes(t, text.size * 4);
}

static bool str_isidentifier(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_str text = self(call);
    bool good = text.size > 0;
    for (size_t at = 0, length; at < text.size && good; at += length) {
        uint32_t c = qn_uni_first((struct qn_str){text.data + at, text.size - at}, &length);
        good = c == '_' || qn_uni_is_alpha(c) || (at && qn_uni_is_decimal(c));
    }
    *out = qn_val_bool(good);
    return qn_tpl_bytes(t, text.size * 4);
}

/* ---- stripping and padding ------------------------------------------------------------------------------------ */

static bool strip(struct qn_tpl *t, call_t *call, bool left, bool right, struct qn_val *out)
{
    struct qn_str chars;
    if (!call->arg[0].kind || call->arg[0].kind == QN_VAL_NONE)
        return give(t, call, qn_uni_strip(self(call), left, right), out);
    return qn_tpl_arg_str(t, call->arg[0], "chars", &chars) && qn_tpl_step(t, self(call).size * chars.size / 16) &&
           give(t, call, qn_uni_strip_chars(self(call), chars, left, right), out);
}

static bool str_strip(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return strip(t, call, true, true, out);
}

static bool str_lstrip(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return strip(t, call, true, false, out);
}

static bool str_rstrip(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return strip(t, call, false, true, out);
}

static bool str_removeprefix(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_str part, text = self(call);
    if (!qn_tpl_arg_str(t, call->arg[0], "prefix", &part))
        return false;
    size_t skip = qn_str_starts(text, part) ? part.size : 0;
    return give(t, call, (struct qn_str){text.data + skip, text.size - skip}, out);
}

static bool str_removesuffix(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_str part, text = self(call);
    if (!qn_tpl_arg_str(t, call->arg[0], "suffix", &part))
        return false;
    return give(t, call, (struct qn_str){text.data, text.size - (qn_str_ends(text, part) ? part.size : 0)}, out);
}

static bool pad(struct qn_tpl *t, call_t *call, int side, struct qn_val *out)
{
    struct qn_str fill = QN_STR(" ");
    int64_t width;
    if (!qn_tpl_arg_int(t, call->arg[0], "width", 0, &width) ||
        (call->arg[1].kind && !qn_tpl_arg_str(t, call->arg[1], "fillchar", &fill)))
        return false;
    if (qn_val_chars(fill) != 1)
        return QN_TPL_FAIL(t, "the fill character must be exactly one character long");
    return qn_tpl_pad(t, call->object, width, fill, side, out);
}

static bool str_ljust(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return pad(t, call, -1, out);
}

static bool str_center(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return pad(t, call, 0, out);
}

static bool str_rjust(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return pad(t, call, 1, out);
}

static bool str_zfill(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_str text = self(call);
    struct qn_val rest, padded;
    int64_t width;
    size_t sign = text.size && (text.data[0] == '-' || text.data[0] == '+');
    if (!qn_tpl_arg_int(t, call->arg[0], "width", 0, &width) ||
        !qn_val_str_view(t, (struct qn_str){text.data + sign, text.size - sign}, &rest) ||
        !qn_tpl_pad(t, rest, width - (int64_t)sign, QN_STR("0"), 1, &padded))
        return false;
    if (!sign) {
        *out = padded;
        return true;
    }
    return qn_val_str_view(t, (struct qn_str){text.data, 1}, &rest) && qn_val_concat(t, rest, qn_val_text(padded), out);
}

static bool str_expandtabs(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_str text = self(call);
    struct qn_strbuf buf;
    int64_t size, column = 0;
    if (!qn_tpl_arg_int(t, call->arg[0], "tabsize", 8, &size))
        return false;
    if (size > 10000)
        return QN_TPL_FAIL(t, "a tab size of %lld", (long long)size);
    qn_strbuf_init(&buf, &t->allocator);
    for (size_t i = 0; i < text.size && qn_tpl_buf_ok(t, &buf); i++) {
        if (text.data[i] == '\t') {
            for (int64_t n = size > 0 ? size - column % size : 0; n > 0; n--, column++)
                qn_strbuf_add(&buf, " ");
            continue;
        }
        column += ((uint8_t)text.data[i] & 0xc0) != 0x80;
        if (text.data[i] == '\n' || text.data[i] == '\r')
            column = 0;
        qn_strbuf_append(&buf, &text.data[i], 1);
    }
    return qn_val_strbuf(t, &buf, out) && qn_tpl_bytes(t, text.size);
}

/* ---- splitting ------------------------------------------------------------------------------------------------ */

static bool split_space(struct qn_tpl *t, call_t *call, int64_t most, struct qn_val list)
{
    struct qn_str text = qn_uni_strip(self(call), true, false);
    while (text.size) {
        size_t end = 0, length;
        if (most-- == 0)
            return push_part(t, call, text, list);
        while (end < text.size &&
               !qn_uni_is_space(qn_uni_first((struct qn_str){text.data + end, text.size - end}, &length)))
            end += length;
        if (!push_part(t, call, (struct qn_str){text.data, end}, list))
            return false;
        text = qn_uni_strip((struct qn_str){text.data + end, text.size - end}, true, false);
    }
    return true;
}

static bool rsplit_space(struct qn_tpl *t, call_t *call, int64_t most, struct qn_val list)
{
    struct qn_str text = qn_uni_strip(self(call), false, true);
    while (text.size) {
        size_t begin = text.size, length;
        if (most-- == 0)
            return push_part(t, call, text, list);
        while (begin && !qn_uni_is_space(qn_uni_last((struct qn_str){text.data, begin}, &length)))
            begin -= length;
        if (!push_part(t, call, (struct qn_str){text.data + begin, text.size - begin}, list))
            return false;
        text = qn_uni_strip((struct qn_str){text.data, begin}, false, true);
    }
    return true;
}

/* Compares at every place, which costs text x part at the worst. */
static const char *find_last(struct qn_tpl *t, struct qn_str text, struct qn_str part)
{
    if (!qn_tpl_step(t, text.size / 64 * (part.size / 16 + 1)))
        return NULL;
    for (size_t at = text.size >= part.size ? text.size - part.size + 1 : 0; at-- > 0;)
        if (memcmp(text.data + at, part.data, part.size) == 0)
            return text.data + at;
    return NULL;
}

static bool split_by(struct qn_tpl *t, call_t *call, struct qn_str sep, int64_t most, bool right, struct qn_val list)
{
    struct qn_str text = self(call);
    for (;;) {
        const char *found = most == 0 ? NULL
                            : right   ? find_last(t, text, sep)
                                      : memmem(text.data, text.size, sep.data, sep.size);
        if (!found)
            return !t->status && push_part(t, call, text, list);
        most -= most > 0;
        size_t before = (size_t)(found - text.data), after = text.size - before - sep.size;
        struct qn_str left = {text.data, before}, rest = {found + sep.size, after};
        if (!push_part(t, call, right ? rest : left, list))
            return false;
        text = right ? left : rest;
    }
}

static bool split(struct qn_tpl *t, call_t *call, bool right, struct qn_val *out)
{
    struct qn_str sep;
    int64_t most;
    bool good;
    if (!qn_tpl_arg_int(t, call->arg[1], "maxsplit", -1, &most) || !qn_val_list_new(t, 0, out) ||
        !qn_tpl_bytes(t, self(call).size * 4))
        return false;
    if (!call->arg[0].kind || call->arg[0].kind == QN_VAL_NONE) {
        good = right ? rsplit_space(t, call, most, *out) : split_space(t, call, most, *out);
    } else {
        if (!qn_tpl_arg_str(t, call->arg[0], "sep", &sep))
            return false;
        if (!sep.size)
            return QN_TPL_FAIL(t, "empty separator");
        good = split_by(t, call, sep, most, right, *out);
    }
    for (uint32_t i = 0; right && good && i < out->list->count / 2; i++) {
        struct qn_val item = out->list->items[i];
        out->list->items[i] = out->list->items[out->list->count - 1 - i];
        out->list->items[out->list->count - 1 - i] = item;
    }
    return good;
}

static bool str_split(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return split(t, call, false, out);
}

static bool str_rsplit(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return split(t, call, true, out);
}

static bool str_splitlines(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_str text = self(call);
    bool keep = qn_val_truth(call->arg[0]);
    if (!qn_val_list_new(t, 0, out) || !qn_tpl_bytes(t, text.size * 4))
        return false;
    for (size_t at = 0, next; at < text.size; at = next) {
        size_t end = qn_tpl_line_end(text, at, &next);
        if (!push_part(t, call, (struct qn_str){text.data + at, (keep ? next : end) - at}, *out))
            return false;
    }
    return true;
}

static bool partition(struct qn_tpl *t, call_t *call, bool right, struct qn_val *out)
{
    struct qn_str sep, text = self(call);
    if (!qn_tpl_arg_str(t, call->arg[0], "sep", &sep) || !qn_val_list_new(t, 3, out))
        return false;
    if (!sep.size)
        return QN_TPL_FAIL(t, "empty separator");
    out->kind = QN_VAL_TUPLE;
    const char *found = right ? find_last(t, text, sep) : memmem(text.data, text.size, sep.data, sep.size);
    size_t before = found ? (size_t)(found - text.data) : 0;
    struct qn_str empty = {text.data, 0};
    struct qn_str left = found ? (struct qn_str){text.data, before} : right ? empty : text;
    struct qn_str rest = found   ? (struct qn_str){found + sep.size, text.size - before - sep.size}
                         : right ? text
                                 : empty;
    return qn_tpl_bytes(t, text.size * 4) && push_part(t, call, left, *out) &&
           push_part(t, call, found ? sep : empty, *out) && push_part(t, call, rest, *out);
}

static bool str_partition(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return partition(t, call, false, out);
}

static bool str_rpartition(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return partition(t, call, true, out);
}

static bool str_join(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_walk walk;
    struct qn_strbuf buf;
    struct qn_val item;
    struct qn_str glue = self(call);
    bool end = false;
    uint32_t at = 0;
    if (!qn_walk_begin(t, call->arg[0], &walk))
        return false;
    qn_strbuf_init(&buf, &t->allocator);
    for (; qn_walk_next(t, &walk, &item, &end) && !end; at++) {
        if (item.kind != QN_VAL_STR && !call->object.safe) {
            QN_TPL_FAIL(t, "sequence item %u: expected str instance, %s found", at, qn_val_type(item));
            break;
        }
        if (at)
            qn_strbuf_append(&buf, glue.data, glue.size);
        if (!qn_tpl_soft(t, call->object.safe, item, &item) || !qn_val_print(t, item, &buf))
            break;
    }
    if (!end) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    bool good = qn_val_strbuf(t, &buf, out);
    out->safe = call->object.safe;
    return good;
}

/* ---- searching ------------------------------------------------------------------------------------------------ */

struct range {
    struct qn_str text; /* the part to search */
    int64_t start;      /* its first character */
    bool empty;         /* start lies behind the end: not even "" is found */
};

static bool part_of(struct qn_tpl *t, call_t *call, struct range *out)
{
    int64_t chars = (int64_t)call->object.str->chars, start = 0, stop = chars;
    struct qn_val cut, bounds[3] = {{0}};
    if ((call->arg[1].kind != QN_VAL_NONE && !qn_tpl_arg_int(t, call->arg[1], "start", 0, &start)) ||
        (call->arg[2].kind != QN_VAL_NONE && !qn_tpl_arg_int(t, call->arg[2], "end", chars, &stop)) ||
        !qn_tpl_bytes(t, self(call).size))
        return false;
    start = start < 0 ? start + chars : start;
    stop = stop < 0 ? stop + chars : stop;
    start = start < 0 ? 0 : start;
    stop = stop < 0 ? 0 : stop > chars ? chars : stop;
    *out = (struct range){self(call), start, start > stop};
    if (start == 0 && stop == chars)
        return true;
    bounds[0] = qn_val_int(start > stop ? stop : start);
    bounds[1] = qn_val_int(stop);
    if (!qn_tpl_slice(t, call->object, bounds, &cut))
        return false;
    out->text = qn_val_text(cut);
    return true;
}

static bool find(struct qn_tpl *t, call_t *call, bool right, bool must, struct qn_val *out)
{
    struct range range;
    struct qn_str sub;
    if (!qn_tpl_arg_str(t, call->arg[0], "sub", &sub) || !part_of(t, call, &range))
        return false;
    const char *found = range.empty ? NULL
                        : right     ? find_last(t, range.text, sub)
                                    : memmem(range.text.data, range.text.size, sub.data, sub.size);
    if (!found && must)
        return QN_TPL_FAIL(t, "substring not found");
    struct qn_str before = {range.text.data, found ? (size_t)(found - range.text.data) : 0};
    *out = qn_val_int(found ? range.start + (int64_t)qn_val_chars(before) : -1);
    return true;
}

static bool str_find(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return find(t, call, false, false, out);
}

static bool str_rfind(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return find(t, call, true, false, out);
}

static bool str_index(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return find(t, call, false, true, out);
}

static bool str_rindex(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return find(t, call, true, true, out);
}

static bool str_count(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct range range;
    struct qn_str sub;
    int64_t count = 0;
    if (!qn_tpl_arg_str(t, call->arg[0], "sub", &sub) || !part_of(t, call, &range))
        return false;
    if (!range.empty && !sub.size) {
        count = (int64_t)qn_val_chars(range.text) + 1;
    } else if (!range.empty) {
        const char *found;
        struct qn_str rest = range.text;
        while ((found = memmem(rest.data, rest.size, sub.data, sub.size))) {
            count++;
            size_t skip = (size_t)(found - rest.data) + sub.size;
            rest = (struct qn_str){rest.data + skip, rest.size - skip};
        }
    }
    *out = qn_val_int(count);
    return true;
}

static bool edge(struct qn_tpl *t, call_t *call, bool end, struct qn_val *out)
{
    struct range range;
    struct qn_val one = call->arg[0], *items = &one;
    uint32_t count = 1;
    bool is = false;
    if (!part_of(t, call, &range))
        return false;
    if (one.kind == QN_VAL_TUPLE) {
        items = one.list->items;
        count = one.list->count;
    }
    for (uint32_t i = 0; i < count && !is; i++) {
        struct qn_str part;
        if (!qn_tpl_arg_str(t, items[i], end ? "suffix" : "prefix", &part))
            return false;
        is = !range.empty && (end ? qn_str_ends(range.text, part) : qn_str_starts(range.text, part));
    }
    *out = qn_val_bool(is);
    return true;
}

static bool str_startswith(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return edge(t, call, false, out);
}

static bool str_endswith(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return edge(t, call, true, out);
}

static bool str_replace(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_str old, new;
    int64_t count;
    bool safe = call->object.safe;
    if (!qn_tpl_arg_str(t, call->arg[0], "old", &old) || !qn_tpl_arg_str(t, call->arg[1], "new", &new) ||
        !qn_tpl_arg_int(t, call->arg[2], "count", -1, &count))
        return false;
    if (!qn_tpl_soft(t, safe, call->arg[1], &call->arg[1]) ||
        !qn_tpl_replace(t, self(call), old, qn_val_text(call->arg[1]), count, out))
        return false;
    out->safe = safe;
    return true;
}

static bool str_format(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, &t->allocator);
    if (!qn_tpl_format(t, self(call), call->args, &buf)) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    bool good = qn_val_strbuf(t, &buf, out);
    out->safe = call->object.safe;
    return good;
}

const struct qn_tpl_method qn_tpl_str_methods[] = {
    {"upper", "", str_upper},
    {"lower", "", str_lower},
    {"title", "", str_title},
    {"capitalize", "", str_capitalize},
    {"swapcase", "", str_swapcase},
    {"casefold", "", str_casefold},
    {"isalpha", "", str_isalpha},
    {"isdigit", "", str_isdigit},
    {"isdecimal", "", str_isdecimal},
    {"isnumeric", "", str_isnumeric},
    {"isspace", "", str_isspace},
    {"isprintable", "", str_isprintable},
    {"isalnum", "", str_isalnum},
    {"isascii", "", str_isascii},
    {"islower", "", str_islower},
    {"isupper", "", str_isupper},
    {"istitle", "", str_istitle},
    {"isidentifier", "", str_isidentifier},
    {"strip", "chars=", str_strip},
    {"lstrip", "chars=", str_lstrip},
    {"rstrip", "chars=", str_rstrip},
    {"removeprefix", "prefix", str_removeprefix},
    {"removesuffix", "suffix", str_removesuffix},
    {"ljust", "width,fillchar=", str_ljust},
    {"center", "width,fillchar=", str_center},
    {"rjust", "width,fillchar=", str_rjust},
    {"zfill", "width", str_zfill},
    {"expandtabs", "tabsize=", str_expandtabs},
    {"split", "sep=,maxsplit=", str_split},
    {"rsplit", "sep=,maxsplit=", str_rsplit},
    {"splitlines", "keepends=", str_splitlines},
    {"partition", "sep", str_partition},
    {"rpartition", "sep", str_rpartition},
    {"join", "iterable", str_join},
    {"find", "sub,start=,end=", str_find},
    {"rfind", "sub,start=,end=", str_rfind},
    {"index", "sub,start=,end=", str_index},
    {"rindex", "sub,start=,end=", str_rindex},
    {"count", "sub,start=,end=", str_count},
    {"startswith", "prefix,start=,end=", str_startswith},
    {"endswith", "suffix,start=,end=", str_endswith},
    {"replace", "old,new,count=", str_replace},
    {"format", NULL, str_format},
    {NULL, NULL, NULL},
};

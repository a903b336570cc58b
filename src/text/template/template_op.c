/* Operators and members: arithmetic, attributes, items, slices. */
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "text/template/template_machine.h"

/* ---- arithmetic ----------------------------------------------------------------------------------------------- */

static const char *const words[] = {
    [QN_OP_ADD] = "+",       [QN_OP_SUB] = "-", [QN_OP_MUL] = "*",           [QN_OP_DIV] = "/",
    [QN_OP_FLOORDIV] = "//", [QN_OP_MOD] = "%", [QN_OP_POW] = "** or pow()",
};

static bool too_large(struct qn_tpl *t, enum qn_tpl_op op)
{
    return QN_TPL_FAIL(t, "the result of '%.2s' does not fit 64 bits", words[op]);
}

static double floor_mod(double a, double b)
{
    double mod = fmod(a, b);
    if (mod != 0 && (b < 0) != (mod < 0))
        mod += b;
    return mod != 0 ? mod : copysign(0, b);
}

static double floor_div(double a, double b)
{
    double mod = fmod(a, b), div = (a - mod) / b;
    if (mod != 0 && (b < 0) != (mod < 0))
        div -= 1;
    if (div == 0)
        return copysign(0, a / b);
    double rounded = floor(div);
    return div - rounded > 0.5 ? rounded + 1 : rounded;
}

static bool float_op(struct qn_tpl *t, enum qn_tpl_op op, double a, double b, struct qn_val *out)
{
    double r = 0;
    if (b == 0 && (op == QN_OP_DIV || op == QN_OP_FLOORDIV || op == QN_OP_MOD))
        return QN_TPL_FAIL(t, "division by zero");
    switch (op) {
    case QN_OP_ADD:
        r = a + b;
        break;
    case QN_OP_SUB:
        r = a - b;
        break;
    case QN_OP_MUL:
        r = a * b;
        break;
    case QN_OP_DIV:
        r = a / b;
        break;
    case QN_OP_FLOORDIV:
        r = floor_div(a, b);
        break;
    case QN_OP_MOD:
        r = floor_mod(a, b);
        break;
    default:
        if (a == 0 && b < 0)
            return QN_TPL_FAIL(t, "0.0 cannot be raised to a negative power");
        if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
            return QN_TPL_FAIL(t, "a negative number to a power that is not whole is complex");
        r = pow(a, b);
        if (isinf(r) && isfinite(a) && isfinite(b))
            return QN_TPL_FAIL(t, "the result of '**' is too large");
        break;
    }
    *out = qn_val_float(r);
    return true;
}

static bool int_pow(struct qn_tpl *t, int64_t a, int64_t b, struct qn_val *out)
{
    int64_t result = 1;
    if (b < 0)
        return float_op(t, QN_OP_POW, (double)a, (double)b, out);
    while (b) {
        if ((b & 1) && __builtin_mul_overflow(result, a, &result))
            return too_large(t, QN_OP_POW);
        b >>= 1;
        if (b && __builtin_mul_overflow(a, a, &a))
            return too_large(t, QN_OP_POW);
    }
    *out = qn_val_int(result);
    return true;
}

static bool is_exact(int64_t value) /* as a double */
{
    return value >= -(1LL << 53) && value <= 1LL << 53;
}

static bool int_op(struct qn_tpl *t, enum qn_tpl_op op, int64_t a, int64_t b, struct qn_val *out)
{
    int64_t r = 0;
    bool over = false;
    if (b == 0 && (op == QN_OP_DIV || op == QN_OP_FLOORDIV || op == QN_OP_MOD))
        return QN_TPL_FAIL(t, op == QN_OP_DIV ? "division by zero" : "integer division or modulo by zero");
    if (b == -1 && a == INT64_MIN && (op == QN_OP_FLOORDIV || op == QN_OP_MOD))
        return too_large(t, op);
    switch (op) {
    case QN_OP_ADD:
        over = __builtin_add_overflow(a, b, &r);
        break;
    case QN_OP_SUB:
        over = __builtin_sub_overflow(a, b, &r);
        break;
    case QN_OP_MUL:
        over = __builtin_mul_overflow(a, b, &r);
        break;
    case QN_OP_DIV:
        *out = qn_val_float(is_exact(a) && is_exact(b) ? (double)a / (double)b
                                                       : (double)((long double)a / (long double)b));
        return true;
    case QN_OP_FLOORDIV:
        r = a / b - (a % b != 0 && (a % b < 0) != (b < 0));
        break;
    case QN_OP_MOD:
        r = a % b;
        if (r && (r < 0) != (b < 0))
            r += b;
        break;
    default:
        return int_pow(t, a, b, out);
    }
    *out = qn_val_int(r);
    return over ? too_large(t, op) : true;
}

/* ---- texts and lists ------------------------------------------------------------------------------------------ */

bool qn_tpl_escape(struct qn_tpl *t, struct qn_val v, struct qn_val *out)
{
    struct qn_strbuf buf;
    if (!qn_val_to_str(t, v, out))
        return false;
    if (!out->safe) {
        struct qn_str text = qn_val_text(*out);
        qn_strbuf_init(&buf, &t->allocator);
        qn_val_escape(text, &buf);
        if (!qn_val_strbuf(t, &buf, out))
            return false;
    }
    out->safe = 1;
    return true;
}

bool qn_tpl_soft(struct qn_tpl *t, bool safe, struct qn_val b, struct qn_val *hold)
{
    if (safe && !b.safe)
        return qn_tpl_escape(t, b, hold);
    *hold = b;
    return true;
}

static bool add_texts(struct qn_tpl *t, struct qn_val a, struct qn_val b, struct qn_val *out)
{
    bool safe = a.safe || b.safe;
    if (!qn_tpl_soft(t, safe, a, &a) || !qn_tpl_soft(t, safe, b, &b) || !qn_val_concat(t, a, qn_val_text(b), out))
        return false;
    out->safe = safe;
    return true;
}

static bool add_lists(struct qn_tpl *t, struct qn_val a, struct qn_val b, struct qn_val *out)
{
    uint64_t count = (uint64_t)a.list->count + b.list->count;
    if (count > UINT32_MAX)
        return qn_tpl_oom(t);
    if (!qn_tpl_step(t, count) || !qn_val_list_new(t, (uint32_t)count, out))
        return false;
    out->kind = a.kind;
    if (a.list->count)
        memcpy(out->list->items, a.list->items, a.list->count * sizeof *a.list->items);
    if (b.list->count)
        memcpy(out->list->items + a.list->count, b.list->items, b.list->count * sizeof *b.list->items);
    out->list->count = (uint32_t)count;
    return true;
}

/* A text or a list so many times. */
static bool repeat(struct qn_tpl *t, struct qn_val a, int64_t times, struct qn_val *out)
{
    bool text = a.kind == QN_VAL_STR;
    uint64_t size = text ? a.str->size : a.list->count, total;
    if (times < 0 || !size)
        times = 0;
    if (__builtin_mul_overflow(size, (uint64_t)times, &total) || total > UINT32_MAX - 1)
        return qn_tpl_fail(t, QN_OUT_OF_RANGE, "the result of '*' is too large");
    if (!qn_tpl_step(t, text ? total / 64 : total))
        return false;
    if (text) {
        char *data = qn_tpl_alloc(t, (size_t)total + 1);
        if (!data)
            return false;
        for (uint64_t i = 0; i < (uint64_t)times; i++)
            memcpy(data + i * size, a.str->data, (size_t)size);
        bool good = qn_val_str_view(t, (struct qn_str){data, (size_t)total}, out);
        out->safe = a.safe;
        return good;
    }
    if (!qn_val_list_new(t, (uint32_t)total, out))
        return false;
    out->kind = a.kind;
    for (uint64_t i = 0; i < (uint64_t)times; i++)
        memcpy(out->list->items + i * size, a.list->items, (size_t)size * sizeof *a.list->items);
    out->list->count = (uint32_t)total;
    return true;
}

static bool is_repeatable(struct qn_val v)
{
    return v.kind == QN_VAL_STR || v.kind == QN_VAL_LIST || v.kind == QN_VAL_TUPLE;
}

bool qn_tpl_binary(struct qn_tpl *t, enum qn_tpl_op op, struct qn_val a, struct qn_val b, struct qn_val *out)
{
    struct qn_strbuf buf;
    if (op == QN_OP_MOD && a.kind == QN_VAL_STR) {
        qn_strbuf_init(&buf, &t->allocator);
        if (!qn_tpl_printf(t, qn_val_text(a), a.safe, b, &buf)) {
            qn_strbuf_deinit(&buf);
            return false;
        }
        bool good = qn_val_strbuf(t, &buf, out);
        out->safe = a.safe;
        return good;
    }
    if (a.kind == QN_VAL_UNDEFINED || b.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, a.kind == QN_VAL_UNDEFINED ? a : b);
    if (qn_val_is_number(a) && qn_val_is_number(b)) {
        if (a.kind == QN_VAL_FLOAT || b.kind == QN_VAL_FLOAT)
            return float_op(t, op, qn_val_as_double(a), qn_val_as_double(b), out);
        return int_op(t, op, qn_val_as_int(a), qn_val_as_int(b), out);
    }
    if (op == QN_OP_ADD && a.kind == QN_VAL_STR && b.kind == QN_VAL_STR)
        return add_texts(t, a, b, out);
    if (op == QN_OP_ADD && a.kind == b.kind && (a.kind == QN_VAL_LIST || a.kind == QN_VAL_TUPLE))
        return add_lists(t, a, b, out);
    if (op == QN_OP_MUL && is_repeatable(a) && qn_val_is_integer(b))
        return repeat(t, a, qn_val_as_int(b), out);
    if (op == QN_OP_MUL && is_repeatable(b) && qn_val_is_integer(a))
        return repeat(t, b, qn_val_as_int(a), out);
    if (op == QN_OP_ADD && a.kind == QN_VAL_STR)
        return QN_TPL_FAIL(t, "can only concatenate str (not \"%s\") to str", qn_val_type(b));
    if (op == QN_OP_ADD && (a.kind == QN_VAL_LIST || a.kind == QN_VAL_TUPLE))
        return QN_TPL_FAIL(t, "can only concatenate %s (not \"%s\") to %s", qn_val_type(a), qn_val_type(b),
                           qn_val_type(a));
    return QN_TPL_FAIL(t, "unsupported operand type(s) for %s: '%s' and '%s'", words[op], qn_val_type(a),
                       qn_val_type(b));
}

/* ---- members -------------------------------------------------------------------------------------------------- */

static const struct qn_tpl_method *find_in(const struct qn_tpl_method *table, struct qn_str name)
{
    for (; table->name; table++)
        if (qn_str_is(name, table->name))
            return table;
    return NULL;
}

const struct qn_tpl_method *qn_tpl_method_find(struct qn_val object, struct qn_str name)
{
    switch ((enum qn_val_kind)object.kind) {
    case QN_VAL_STR:
        return find_in(qn_tpl_str_methods, name);
    case QN_VAL_LIST:
        return find_in(qn_tpl_list_methods, name);
    case QN_VAL_TUPLE:
    case QN_VAL_RANGE:
        return find_in(qn_tpl_tuple_methods, name);
    case QN_VAL_DICT:
        return find_in(qn_tpl_dict_methods, name);
    case QN_VAL_BOOL:
    case QN_VAL_INT:
    case QN_VAL_FLOAT:
        return find_in(qn_tpl_number_methods, name);
    case QN_VAL_LOOP:
        return find_in(qn_tpl_loop_methods, name);
    case QN_VAL_CYCLER:
        return find_in(qn_tpl_cycler_methods, name);
    default:
        return NULL;
    }
}

/* Attributes that are values, not methods. */
static bool data_attr(struct qn_tpl *t, struct qn_val object, struct qn_str name, struct qn_val *out, bool *found)
{
    *found = true;
    if (object.kind == QN_VAL_LOOP)
        return qn_tpl_loop_attr(t, object.loop, name, out, found);
    if (object.kind == QN_VAL_MACRO && qn_str_is(name, "name")) {
        if (object.macro->name.size)
            return qn_val_str_view(t, object.macro->name, out);
        *out = qn_val_none();
        return true;
    }
    if (object.kind == QN_VAL_RANGE &&
        (qn_str_is(name, "start") || qn_str_is(name, "stop") || qn_str_is(name, "step"))) {
        *out = qn_val_int(qn_str_is(name, "start")  ? object.range->start
                          : qn_str_is(name, "stop") ? object.range->stop
                                                    : object.range->step);
        return true;
    }
    if (object.kind == QN_VAL_TUPLE && object.safe && (qn_str_is(name, "grouper") || qn_str_is(name, "list"))) {
        *out = object.list->items[qn_str_is(name, "list")]; /* of groupby */
        return true;
    }
    if (object.kind == QN_VAL_CYCLER && qn_str_is(name, "current")) {
        *out = object.cycler->items.items[object.cycler->at];
        return true;
    }
    if (qn_val_is_number(object) && (qn_str_is(name, "real") || qn_str_is(name, "imag"))) {
        *out = qn_str_is(name, "real") ? object : qn_val_int(0);
        return true;
    }
    *found = false;
    return true;
}

static bool find_attr(struct qn_tpl *t, struct qn_val object, struct qn_str name, struct qn_val *out, bool *found)
{
    if (object.kind == QN_VAL_NAMESPACE) {
        const struct qn_val_entry *entry = qn_val_dict_find(object.dict, name);
        *found = entry != NULL;
        if (entry)
            *out = entry->value;
        return true;
    }
    const struct qn_tpl_method *method = qn_tpl_method_find(object, name);
    *found = method != NULL;
    if (!method)
        return data_attr(t, object, name, out, found);
    struct qn_val_method *bound = qn_tpl_alloc(t, sizeof *bound);
    if (!bound)
        return false;
    *bound = (struct qn_val_method){object, method};
    *out = QN_VAL(QN_VAL_METHOD, method, bound);
    return true;
}

bool qn_tpl_getattr(struct qn_tpl *t, struct qn_val object, struct qn_str name, struct qn_val *out)
{
    bool found;
    if (object.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, object);
    if (!find_attr(t, object, name, out, &found))
        return false;
    if (found)
        return true;
    if (object.kind == QN_VAL_DICT) {
        const struct qn_val_entry *entry = qn_val_dict_find(object.dict, name);
        if (entry) {
            *out = entry->value;
            return true;
        }
    }
    struct qn_val key;
    return qn_val_str_view(t, name, &key) && qn_val_undefined(t, object, key, out);
}

/* The place in bytes of character `index` of a text. */
static size_t char_at(struct qn_str text, size_t chars, size_t index)
{
    size_t at = 0;
    if (chars == text.size)
        return index;
    for (; index; index--)
        at += qn_utf8_step(text.data + at, text.size - at);
    return at;
}

static bool index_sequence(struct qn_tpl *t, struct qn_val object, int64_t index, struct qn_val *out, bool *found)
{
    uint64_t count = 0;
    qn_val_length(object, &count);
    if (index < 0)
        index += (int64_t)count;
    *found = index >= 0 && (uint64_t)index < count;
    if (!*found)
        return true;
    if (object.kind == QN_VAL_RANGE) {
        *out = qn_val_int(object.range->start + index * object.range->step);
        return true;
    }
    if (object.kind != QN_VAL_STR) {
        *out = object.list->items[index];
        return true;
    }
    struct qn_str text = qn_val_text(object);
    size_t at = char_at(text, object.str->chars, (size_t)index);
    bool good = qn_tpl_bytes(t, object.str->chars == text.size ? 0 : at) &&
                qn_val_str_view(t, (struct qn_str){text.data + at, qn_utf8_step(text.data + at, text.size - at)}, out);
    out->safe = object.safe;
    return good;
}

static bool find_item(struct qn_tpl *t, struct qn_val object, struct qn_val key, struct qn_val *out, bool *found)
{
    *found = false;
    switch ((enum qn_val_kind)object.kind) {
    case QN_VAL_DICT: {
        struct qn_val_entry *entry;
        if (key.kind == QN_VAL_LIST || key.kind == QN_VAL_DICT) /* cannot be a key: Jinja2 finds nothing */
            return true;
        if (!qn_val_dict_get(t, object.dict, key, &entry))
            return false;
        *found = entry != NULL;
        if (entry)
            *out = entry->value;
        return true;
    }
    case QN_VAL_STR:
    case QN_VAL_LIST:
    case QN_VAL_TUPLE:
    case QN_VAL_RANGE:
        return !qn_val_is_integer(key) || index_sequence(t, object, qn_val_as_int(key), out, found);
    default:
        return true;
    }
}

bool qn_tpl_getitem(struct qn_tpl *t, struct qn_val object, struct qn_val key, struct qn_val *out)
{
    bool found;
    if (object.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, object);
    if (!find_item(t, object, key, out, &found))
        return false;
    if (!found && key.kind == QN_VAL_STR && !find_attr(t, object, qn_val_text(key), out, &found))
        return false;
    return found || qn_val_undefined(t, object, key, out);
}

/* ---- slices --------------------------------------------------------------------------------------------------- */

struct slice {
    int64_t start, step;
    uint64_t count;
};

static int64_t clamp_bound(int64_t bound, int64_t length, bool backwards)
{
    if (bound < 0)
        bound += length;
    if (bound < 0)
        return backwards ? -1 : 0;
    return bound < length ? bound : backwards ? length - 1 : length;
}

static bool resolve_slice(struct qn_tpl *t, const struct qn_val bounds[3], int64_t length, struct slice *out)
{
    int64_t given[3] = {0};
    for (int i = 0; i < 3; i++) {
        if (bounds[i].kind == QN_VAL_UNDEFINED)
            return qn_tpl_fail_undefined(t, bounds[i]);
        if (bounds[i].kind && bounds[i].kind != QN_VAL_NONE) {
            if (!qn_val_is_integer(bounds[i]))
                return QN_TPL_FAIL(t, "slice indices must be integers or None");
            given[i] = qn_val_as_int(bounds[i]);
        }
    }
    bool no_start = bounds[0].kind <= QN_VAL_NONE, no_stop = bounds[1].kind <= QN_VAL_NONE;
    int64_t step = bounds[2].kind <= QN_VAL_NONE ? 1 : given[2];
    if (step == 0)
        return QN_TPL_FAIL(t, "slice step cannot be zero");
    if (step < -INT64_MAX)
        step = -INT64_MAX;
    bool back = step < 0;
    int64_t start = no_start ? (back ? length - 1 : 0) : clamp_bound(given[0], length, back);
    int64_t stop = no_stop ? (back ? -1 : length) : clamp_bound(given[1], length, back);
    int64_t span = back ? start - stop : stop - start, stride = back ? -step : step;
    *out = (struct slice){start, step, span > 0 ? (uint64_t)((span - 1) / stride + 1) : 0};
    return true;
}

static bool slice_text(struct qn_tpl *t, struct qn_val object, struct slice s, struct qn_val *out)
{
    struct qn_str text = qn_val_text(object);
    size_t chars = object.str->chars;
    bool good;
    if (s.step == 1 || !s.count) {
        size_t begin = s.count ? char_at(text, chars, (size_t)s.start) : 0;
        struct qn_str rest = {text.data + begin, text.size - begin};
        size_t size = s.count ? char_at(rest, chars == text.size ? rest.size : SIZE_MAX, (size_t)s.count) : 0;
        good = qn_tpl_bytes(t, chars == text.size ? 0 : text.size) &&
               qn_val_str_view(t, (struct qn_str){rest.data, size}, out);
    } else {
        size_t *starts = chars == text.size ? NULL : qn_tpl_array(t, chars + 1, sizeof *starts), size = 0;
        char *data = qn_tpl_alloc(t, text.size + 1);
        if (!data || (chars != text.size && !starts) || !qn_tpl_step(t, chars))
            return false;
        for (size_t i = 0, at = 0; starts && i <= chars; i++) {
            starts[i] = at;
            if (i < chars)
                at += qn_utf8_step(text.data + at, text.size - at);
        }
        for (uint64_t i = 0; i < s.count; i++) {
            size_t c = (size_t)(s.start + (int64_t)i * s.step), at = starts ? starts[c] : c;
            size_t length = starts ? starts[c + 1] - at : 1;
            memcpy(data + size, text.data + at, length);
            size += length;
        }
        good = qn_val_str_view(t, (struct qn_str){data, size}, out);
    }
    out->safe = object.safe;
    return good;
}

bool qn_tpl_slice(struct qn_tpl *t, struct qn_val object, const struct qn_val bounds[3], struct qn_val *out)
{
    uint64_t length;
    struct slice s = {0};
    if (object.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, object);
    bool sliceable = object.kind == QN_VAL_STR || object.kind == QN_VAL_LIST || object.kind == QN_VAL_TUPLE ||
                     object.kind == QN_VAL_RANGE;
    if (!sliceable)
        return QN_TPL_FAIL(t, "'%s' object is not subscriptable", qn_val_type(object));
    qn_val_length(object, &length);
    if (!resolve_slice(t, bounds, (int64_t)length, &s))
        return false;
    if (object.kind == QN_VAL_STR)
        return slice_text(t, object, s, out);
    if (object.kind == QN_VAL_RANGE) {
        struct qn_val_range *range = qn_tpl_alloc(t, sizeof *range);
        if (!range)
            return false;
        *range = (struct qn_val_range){object.range->start + s.start * object.range->step, 0,
                                       object.range->step * s.step, s.count};
        range->stop = range->start + (int64_t)s.count * range->step;
        *out = QN_VAL(QN_VAL_RANGE, range, range);
        return true;
    }
    if (!qn_tpl_step(t, s.count) || !qn_val_list_new(t, (uint32_t)s.count, out))
        return false;
    out->kind = object.kind;
    for (uint64_t i = 0; i < s.count; i++)
        out->list->items[out->list->count++] = object.list->items[s.start + (int64_t)i * s.step];
    return true;
}

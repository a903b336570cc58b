#define _GNU_SOURCE
#include "text/template/template_value.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "text/template/template_machine.h"

/* ---- texts ---------------------------------------------------------------------------------------------------- */

size_t qn_val_chars(struct qn_str text)
{
    size_t chars = 0;
    for (size_t i = 0; i < text.size; i++)
        chars += ((uint8_t)text.data[i] & 0xc0) != 0x80;
    return chars;
}

bool qn_val_str_view(struct qn_tpl *t, struct qn_str text, struct qn_val *out)
{
    struct qn_val_str *str = qn_tpl_bytes(t, text.size) ? qn_tpl_alloc(t, sizeof *str) : NULL;
    if (!str)
        return false;
    *str = (struct qn_val_str){text.data, text.size, qn_val_chars(text), NULL};
    *out = QN_VAL(QN_VAL_STR, str, str);
    return true;
}

bool qn_val_str(struct qn_tpl *t, struct qn_str text, struct qn_val *out)
{
    char *data = qn_tpl_alloc(t, text.size + 1);
    if (!data)
        return false;
    if (text.size)
        memcpy(data, text.data, text.size);
    return qn_val_str_view(t, (struct qn_str){data, text.size}, out);
}

bool qn_val_strbuf(struct qn_tpl *t, struct qn_strbuf *buf, struct qn_val *out)
{
    bool good = qn_tpl_buf_ok(t, buf) && qn_val_str(t, qn_strbuf_view(buf), out);
    qn_strbuf_deinit(buf);
    return good;
}

bool qn_val_concat(struct qn_tpl *t, struct qn_val a, struct qn_str b, struct qn_val *out)
{
    struct qn_val_str *left = a.str, *str;
    struct qn_val_buffer *buffer = left->buffer;
    size_t size = left->size + b.size;
    if (!qn_tpl_bytes(t, b.size) || !(str = qn_tpl_alloc(t, sizeof *str)))
        return false;
    char *data = (char *)(uintptr_t)left->data; /* written behind its end only, where the buffer has room */
    if (!buffer || buffer->end != data + left->size || (size_t)(buffer->limit - buffer->end) < b.size) {
        size_t capacity = size < 32 ? 64 : 2 * size;
        buffer = qn_tpl_bytes(t, left->size) ? qn_tpl_alloc(t, sizeof *buffer) : NULL;
        data = buffer ? qn_tpl_alloc(t, capacity) : NULL;
        if (!data)
            return false;
        memcpy(data, left->data, left->size);
        buffer->end = data + left->size;
        buffer->limit = data + capacity;
    }
    if (b.size)
        memmove(buffer->end, b.data, b.size);
    buffer->end += b.size;
    *str = (struct qn_val_str){data, size, left->chars + qn_val_chars(b), buffer};
    *out = QN_VAL(QN_VAL_STR, str, str);
    return true;
}

/* ---- lists ---------------------------------------------------------------------------------------------------- */

bool qn_val_list_new(struct qn_tpl *t, uint32_t capacity, struct qn_val *out)
{
    struct qn_val_list *list = qn_tpl_alloc(t, sizeof *list);
    if (!list || (capacity && !(list->items = qn_tpl_array(t, capacity, sizeof *list->items))))
        return false;
    list->capacity = capacity;
    *out = QN_VAL(QN_VAL_LIST, list, list);
    return true;
}

bool qn_val_list_push(struct qn_tpl *t, struct qn_val_list *list, struct qn_val item)
{
    if (!qn_tpl_step(t, 1))
        return false;
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 8;
        struct qn_val *items = capacity > list->capacity ? qn_tpl_array(t, capacity, sizeof *items) : NULL;
        if (!items)
            return qn_tpl_oom(t);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

bool qn_val_pair(struct qn_tpl *t, struct qn_val a, struct qn_val b, struct qn_val *out)
{
    if (!qn_val_list_new(t, 2, out))
        return false;
    out->kind = QN_VAL_TUPLE;
    out->list->items[0] = a;
    out->list->items[1] = b;
    out->list->count = 2;
    return true;
}

/* ---- dicts ---------------------------------------------------------------------------------------------------- */

/* Equal values have equal hashes: numbers of all kinds by their value. */
static bool hash_of(struct qn_tpl *t, struct qn_val v, uint64_t *out)
{
    uint64_t part, sum = 17;
    switch ((enum qn_val_kind)v.kind) {
    case QN_VAL_FLOAT:
        if (!(v.number >= -9.2e18 && v.number <= 9.2e18 && v.number == (double)(int64_t)v.number)) {
            *out = qn_hash(&v.number, sizeof v.number);
            return true;
        }
        v = qn_val_int((int64_t)v.number);
        __attribute__((fallthrough));
    case QN_VAL_BOOL:
    case QN_VAL_INT: {
        int64_t integer = qn_val_as_int(v);
        *out = qn_hash(&integer, sizeof integer);
        return true;
    }
    case QN_VAL_STR:
        *out = qn_hash(v.str->data, v.str->size);
        return true;
    case QN_VAL_TUPLE:
        if (!qn_tpl_enter(t))
            return false;
        for (uint32_t i = 0; i < v.list->count; i++) {
            if (!hash_of(t, v.list->items[i], &part))
                return false;
            sum = sum * 1000003 ^ part;
        }
        t->depth--;
        *out = sum;
        return true;
    case QN_VAL_LIST:
    case QN_VAL_DICT:
        return QN_TPL_FAIL(t, "unhashable type: '%s'", qn_val_type(v));
    case QN_VAL_NONE:
    case QN_VAL_UNDEFINED:
        *out = v.kind;
        return true;
    default:
        *out = qn_hash(&v.pointer, sizeof v.pointer);
        return true;
    }
}

enum { SMALL = 8 }; /* entries that are searched one by one */

static uint32_t *index_slot(const struct qn_val_dict *dict, uint64_t hash)
{
    return &dict->index[hash & (dict->index_size - 1)];
}

static void index_add(struct qn_val_dict *dict, uint32_t entry)
{
    uint32_t mask = dict->index_size - 1, at = (uint32_t)dict->entries[entry].hash & mask;
    while (dict->index[at])
        at = (at + 1) & mask;
    dict->index[at] = entry + 1;
}

static bool grow_dict(struct qn_tpl *t, struct qn_val_dict *dict)
{
    uint32_t capacity = dict->count < 4 ? 8 : dict->count * 2;
    struct qn_val_entry *entries =
        capacity >= dict->count ? qn_tpl_array(t, capacity, sizeof *entries) : (qn_tpl_oom(t), NULL);
    if (!entries)
        return false;
    uint32_t used = 0;
    for (uint32_t i = 0; i < dict->used; i++)
        if (dict->entries[i].key.kind)
            entries[used++] = dict->entries[i];
    dict->entries = entries;
    dict->used = used;
    dict->capacity = capacity;
    dict->index = NULL;
    if (capacity > SMALL) {
        uint32_t size = 16;
        while (size < 2 * capacity)
            size *= 2;
        uint32_t *index = qn_tpl_array(t, size, sizeof *index);
        if (!index)
            return false;
        dict->index = index;
        dict->index_size = size;
        for (uint32_t i = 0; i < used; i++)
            index_add(dict, i);
    }
    return true;
}

static bool same_key(struct qn_tpl *t, const struct qn_val_entry *entry, struct qn_val key, uint64_t hash, bool *same)
{
    *same = false;
    if (entry->hash != hash || !entry->key.kind)
        return true;
    return qn_val_equal(t, entry->key, key, same);
}

static bool find_entry(struct qn_tpl *t, const struct qn_val_dict *dict, struct qn_val key, uint64_t hash,
                       struct qn_val_entry **found)
{
    bool same;
    *found = NULL;
    if (!dict->index) {
        for (uint32_t i = 0; i < dict->used; i++) {
            if (!same_key(t, &dict->entries[i], key, hash, &same))
                return false;
            if (same) {
                *found = &dict->entries[i];
                break;
            }
        }
        return true;
    }
    for (uint32_t *slot = index_slot(dict, hash); *slot;) {
        if (!qn_tpl_step(t, 1) || !same_key(t, &dict->entries[*slot - 1], key, hash, &same))
            return false;
        if (same) {
            *found = &dict->entries[*slot - 1];
            return true;
        }
        slot = slot + 1 == dict->index + dict->index_size ? dict->index : slot + 1;
    }
    return true;
}

bool qn_val_dict_new(struct qn_tpl *t, struct qn_val *out)
{
    struct qn_val_dict *dict = qn_tpl_alloc(t, sizeof *dict);
    if (!dict)
        return false;
    *out = QN_VAL(QN_VAL_DICT, dict, dict);
    return true;
}

bool qn_val_dict_get(struct qn_tpl *t, const struct qn_val_dict *dict, struct qn_val key, struct qn_val_entry **found)
{
    uint64_t hash;
    return hash_of(t, key, &hash) && find_entry(t, dict, key, hash, found);
}

struct qn_val_entry *qn_val_dict_find(const struct qn_val_dict *dict, struct qn_str key)
{
    uint64_t hash = qn_hash(key.data, key.size);
    if (!dict->index) {
        for (uint32_t i = 0; i < dict->used; i++) {
            struct qn_val_entry *entry = &dict->entries[i];
            if (entry->hash == hash && entry->key.kind == QN_VAL_STR && qn_str_eq(qn_val_text(entry->key), key))
                return entry;
        }
        return NULL;
    }
    for (uint32_t *slot = index_slot(dict, hash); *slot;) {
        struct qn_val_entry *entry = &dict->entries[*slot - 1];
        if (entry->hash == hash && entry->key.kind == QN_VAL_STR && qn_str_eq(qn_val_text(entry->key), key))
            return entry;
        slot = slot + 1 == dict->index + dict->index_size ? dict->index : slot + 1;
    }
    return NULL;
}

bool qn_val_dict_set(struct qn_tpl *t, struct qn_val_dict *dict, struct qn_val key, struct qn_val value)
{
    struct qn_val_entry *found;
    uint64_t hash;
    if (!qn_tpl_step(t, 1) || !hash_of(t, key, &hash) || !find_entry(t, dict, key, hash, &found))
        return false;
    if (found) {
        found->value = value;
        return true;
    }
    if (dict->used == dict->capacity && !grow_dict(t, dict))
        return false;
    dict->entries[dict->used] = (struct qn_val_entry){key, value, hash};
    if (dict->index)
        index_add(dict, dict->used);
    dict->used++;
    dict->count++;
    return true;
}

void qn_val_dict_remove(struct qn_val_dict *dict, struct qn_val_entry *entry)
{
    entry->key = entry->value = (struct qn_val){0};
    dict->count--;
}

/* ---- undefined, iterators ------------------------------------------------------------------------------------- */

bool qn_val_undefined(struct qn_tpl *t, struct qn_val object, struct qn_val name, struct qn_val *out)
{
    struct qn_val_undefined *undefined = qn_tpl_alloc(t, sizeof *undefined);
    if (!undefined)
        return false;
    undefined->object = object;
    undefined->name = name;
    *out = QN_VAL(QN_VAL_UNDEFINED, undefined, undefined);
    return true;
}

bool qn_val_undefined_hint(struct qn_tpl *t, const char *hint, struct qn_val *out)
{
    if (!qn_val_undefined(t, (struct qn_val){0}, (struct qn_val){0}, out))
        return false;
    out->undefined->hint = hint;
    return true;
}

static bool next_of_list(struct qn_tpl *t, struct qn_val_iter *iter, struct qn_val *out, bool *end)
{
    return qn_walk_next(t, &iter->walk, out, end);
}

bool qn_val_iter_of(struct qn_tpl *t, const char *type, struct qn_val list, struct qn_val *out)
{
    struct qn_val_iter *iter = qn_tpl_alloc(t, sizeof *iter);
    if (!iter)
        return false;
    *iter = (struct qn_val_iter){.type = type, .next = next_of_list, .walk = {.source = list}};
    *out = QN_VAL(QN_VAL_ITER, iter, iter);
    return true;
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

const char *qn_val_type(struct qn_val v)
{
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    static const char *const names[] = {
        [QN_VAL_MISSING] = "missing",   [QN_VAL_UNDEFINED] = "Undefined",
        [QN_VAL_NONE] = "NoneType",     [QN_VAL_BOOL] = "bool",
        [QN_VAL_INT] = "int",           [QN_VAL_FLOAT] = "float",
        [QN_VAL_STR] = "str",           [QN_VAL_LIST] = "list",
        [QN_VAL_TUPLE] = "tuple",       [QN_VAL_DICT] = "dict",
        [QN_VAL_RANGE] = "range",       [QN_VAL_NAMESPACE] = "TemplateNamespace",
        [QN_VAL_MACRO] = "Macro",       [QN_VAL_METHOD] = "builtin_function_or_method",
        [QN_VAL_FUNCTION] = "function", [QN_VAL_LOOP] = "LoopContext",
        [QN_VAL_CYCLER] = "Cycler",     [QN_VAL_JOINER] = "Joiner",
    };
    if (v.kind == QN_VAL_STR && v.safe)
        return "Markup";
    return v.kind == QN_VAL_VIEW ? views[v.safe] : v.kind == QN_VAL_ITER ? v.iter->type : names[v.kind];
}

bool qn_val_length(struct qn_val v, uint64_t *out)
{
    switch ((enum qn_val_kind)v.kind) {
    case QN_VAL_STR:
        *out = v.str->chars;
        return true;
    case QN_VAL_LIST:
    case QN_VAL_TUPLE:
        *out = v.list->count;
        return true;
    case QN_VAL_DICT:
    case QN_VAL_VIEW:
        *out = v.dict->count;
        return true;
    case QN_VAL_RANGE:
        *out = v.range->count;
        return true;
    case QN_VAL_UNDEFINED:
        *out = 0;
        return true;
    default:
        return false;
    }
}

bool qn_val_truth(struct qn_val v)
{
    uint64_t length;
    switch ((enum qn_val_kind)v.kind) {
    case QN_VAL_MISSING:
    case QN_VAL_NONE:
        return false;
    case QN_VAL_BOOL:
        return v.boolean;
    case QN_VAL_INT:
        return v.integer != 0;
    case QN_VAL_FLOAT:
        return v.number != 0;
    default:
        return !qn_val_length(v, &length) || length != 0;
    }
}

static bool equal_lists(struct qn_tpl *t, const struct qn_val_list *a, const struct qn_val_list *b, bool *out)
{
    *out = a->count == b->count;
    for (uint32_t i = 0; i < a->count && i < b->count && *out; i++)
        if (!qn_tpl_step(t, 1) || !qn_val_equal(t, a->items[i], b->items[i], out))
            return false;
    return true;
}

static bool equal_dicts(struct qn_tpl *t, const struct qn_val_dict *a, const struct qn_val_dict *b, bool *out)
{
    *out = a->count == b->count;
    for (uint32_t i = 0; i < a->used && *out; i++) {
        struct qn_val_entry *other;
        if (!a->entries[i].key.kind)
            continue;
        if (!qn_tpl_step(t, 1) || !find_entry(t, b, a->entries[i].key, a->entries[i].hash, &other))
            return false;
        *out = other != NULL;
        if (other && !qn_val_equal(t, a->entries[i].value, other->value, out))
            return false;
    }
    return true;
}

static bool equal_numbers(struct qn_val a, struct qn_val b)
{
    if (a.kind != QN_VAL_FLOAT && b.kind != QN_VAL_FLOAT)
        return qn_val_as_int(a) == qn_val_as_int(b);
    if (a.kind == QN_VAL_FLOAT && b.kind == QN_VAL_FLOAT)
        return a.number == b.number;
    double number = a.kind == QN_VAL_FLOAT ? a.number : b.number;
    int64_t integer = qn_val_as_int(a.kind == QN_VAL_FLOAT ? b : a);
    return number >= -9223372036854775808.0 && number < 9223372036854775808.0 && (double)(int64_t)number == number &&
           (int64_t)number == integer;
}

bool qn_val_equal(struct qn_tpl *t, struct qn_val a, struct qn_val b, bool *out)
{
    bool good = true;
    *out = false;
    if (qn_val_is_number(a) && qn_val_is_number(b)) {
        *out = equal_numbers(a, b);
        return true;
    }
    if (a.kind != b.kind)
        return true;
    switch ((enum qn_val_kind)a.kind) {
    case QN_VAL_UNDEFINED:
    case QN_VAL_NONE:
        *out = true;
        return true;
    case QN_VAL_STR:
        *out = qn_str_eq(qn_val_text(a), qn_val_text(b));
        return qn_tpl_bytes(t, a.str->size);
    case QN_VAL_LIST:
    case QN_VAL_TUPLE:
        if (!qn_tpl_enter(t))
            return false;
        good = equal_lists(t, a.list, b.list, out);
        t->depth--;
        return good;
    case QN_VAL_DICT:
        if (!qn_tpl_enter(t))
            return false;
        good = equal_dicts(t, a.dict, b.dict, out);
        t->depth--;
        return good;
    case QN_VAL_RANGE:
        *out = a.range->count == b.range->count &&
               (!a.range->count ||
                (a.range->start == b.range->start && (a.range->count == 1 || a.range->step == b.range->step)));
        return true;
    case QN_VAL_METHOD:
        *out = a.method->method == b.method->method && a.method->object.pointer == b.method->object.pointer;
        return true;
    default:
        *out = a.pointer == b.pointer;
        return true;
    }
}

static bool compare_lists(struct qn_tpl *t, struct qn_val a, struct qn_val b, const char *op, int *out)
{
    for (uint32_t i = 0; i < a.list->count && i < b.list->count; i++) {
        bool same;
        if (!qn_tpl_step(t, 1) || !qn_val_equal(t, a.list->items[i], b.list->items[i], &same))
            return false;
        if (!same)
            return qn_val_compare(t, a.list->items[i], b.list->items[i], op, out);
    }
    *out = (a.list->count > b.list->count) - (a.list->count < b.list->count);
    return true;
}

bool qn_val_compare(struct qn_tpl *t, struct qn_val a, struct qn_val b, const char *op, int *out)
{
    if (a.kind == QN_VAL_UNDEFINED || b.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, a.kind == QN_VAL_UNDEFINED ? a : b);
    if (qn_val_is_number(a) && qn_val_is_number(b)) {
        if (a.kind != QN_VAL_FLOAT && b.kind != QN_VAL_FLOAT) {
            *out = (qn_val_as_int(a) > qn_val_as_int(b)) - (qn_val_as_int(a) < qn_val_as_int(b));
        } else {
            double x = qn_val_as_double(a), y = qn_val_as_double(b);
            *out = isnan(x) || isnan(y) ? 2 : (x > y) - (x < y);
        }
        return true;
    }
    if (a.kind == QN_VAL_STR && b.kind == QN_VAL_STR) { /* the order of UTF-8 is that of code points */
        size_t size = a.str->size < b.str->size ? a.str->size : b.str->size;
        int order = size ? memcmp(a.str->data, b.str->data, size) : 0;
        *out = order ? (order > 0) - (order < 0) : (a.str->size > b.str->size) - (a.str->size < b.str->size);
        return qn_tpl_bytes(t, size);
    }
    if (a.kind == b.kind && (a.kind == QN_VAL_LIST || a.kind == QN_VAL_TUPLE)) {
        if (!qn_tpl_enter(t))
            return false;
        bool good = compare_lists(t, a, b, op, out);
        t->depth--;
        return good;
    }
    return QN_TPL_FAIL(t, "'%s' not supported between instances of '%s' and '%s'", op, qn_val_type(a), qn_val_type(b));
}

bool qn_val_contains(struct qn_tpl *t, struct qn_val container, struct qn_val item, bool *out)
{
    struct qn_walk walk;
    *out = false;
    if (container.kind == QN_VAL_STR) {
        if (item.kind != QN_VAL_STR)
            return QN_TPL_FAIL(t, "'in <string>' requires string as left operand, not %s", qn_val_type(item));
        *out = !item.str->size || memmem(container.str->data, container.str->size, item.str->data, item.str->size);
        return qn_tpl_bytes(t, container.str->size);
    }
    if (container.kind == QN_VAL_DICT || (container.kind == QN_VAL_VIEW && container.safe == QN_VIEW_KEYS)) {
        struct qn_val_entry *found;
        if (!qn_val_dict_get(t, container.dict, item, &found))
            return false;
        *out = found != NULL;
        return true;
    }
    if (!qn_val_iterable(container))
        return QN_TPL_FAIL(t, "argument of type '%s' is not iterable", qn_val_type(container));
    bool end = false, good = qn_walk_begin(t, container, &walk);
    while (good && !*out) {
        struct qn_val element;
        good = qn_walk_next(t, &walk, &element, &end);
        if (end)
            break;
        good = good && qn_val_equal(t, element, item, out);
    }
    return good;
}

/* Merge sort of order[0..count), indices into keys. */
static bool merge_sort(struct qn_tpl *t, const struct qn_val *keys, uint32_t *order, uint32_t *spare, uint32_t count,
                       bool reverse)
{
    if (count < 2)
        return true;
    uint32_t half = count / 2;
    if (!merge_sort(t, keys, order, spare, half, reverse) ||
        !merge_sort(t, keys, order + half, spare, count - half, reverse))
        return false;
    memcpy(spare, order, half * sizeof *order);
    for (uint32_t a = 0, b = half, to = 0; a < half;) {
        int compared = -1;
        bool second = false;
        if (b < count) {
            if (!qn_tpl_step(t, 1) || !qn_val_compare(t, keys[reverse ? spare[a] : order[b]],
                                                      keys[reverse ? order[b] : spare[a]], "<", &compared))
                return false;
            second = compared == -1;
        }
        order[to++] = second ? order[b++] : spare[a++];
    }
    return true;
}

bool qn_val_sort(struct qn_tpl *t, struct qn_val *items, struct qn_val *keys, uint32_t count, bool reverse)
{
    uint32_t *order = qn_tpl_array(t, count, sizeof *order), *spare = qn_tpl_array(t, count, sizeof *spare);
    struct qn_val *sorted = qn_tpl_array(t, count, sizeof *sorted);
    if (!order || !spare || !sorted)
        return false;
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    if (!merge_sort(t, keys, order, spare, count, reverse))
        return false;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = items[order[i]];
    if (count)
        memcpy(items, sorted, count * sizeof *items);
    return true;
}

/* ---- walks ---------------------------------------------------------------------------------------------------- */

bool qn_val_iterable(struct qn_val v)
{
    uint64_t length;
    return v.kind == QN_VAL_ITER || qn_val_length(v, &length);
}

bool qn_walk_begin(struct qn_tpl *t, struct qn_val source, struct qn_walk *walk)
{
    *walk = (struct qn_walk){.source = source};
    return qn_val_iterable(source) || QN_TPL_FAIL(t, "'%s' object is not iterable", qn_val_type(source));
}

static bool next_entry(struct qn_tpl *t, struct qn_walk *walk, enum qn_val_view view, struct qn_val *out, bool *end)
{
    const struct qn_val_dict *dict = walk->source.dict;
    while (walk->at < dict->used && !dict->entries[walk->at].key.kind)
        walk->at++;
    *end = walk->at >= dict->used;
    if (*end)
        return true;
    const struct qn_val_entry *entry = &dict->entries[walk->at++];
    if (view == QN_VIEW_ITEMS)
        return qn_val_pair(t, entry->key, entry->value, out);
    *out = view == QN_VIEW_KEYS ? entry->key : entry->value;
    return true;
}

bool qn_walk_next(struct qn_tpl *t, struct qn_walk *walk, struct qn_val *out, bool *end)
{
    struct qn_val v = walk->source;
    *end = false;
    if (!qn_tpl_step(t, 1))
        return false;
    switch ((enum qn_val_kind)v.kind) {
    case QN_VAL_STR: {
        if ((*end = walk->at >= v.str->size))
            return true;
        const char *data = v.str->data + walk->at;
        size_t length = qn_utf8_step(data, v.str->size - walk->at);
        walk->at += length;
        return qn_val_str_view(t, (struct qn_str){data, length}, out);
    }
    case QN_VAL_LIST:
    case QN_VAL_TUPLE:
        if ((*end = walk->at >= v.list->count))
            return true;
        *out = v.list->items[walk->at++];
        return true;
    case QN_VAL_DICT:
        return next_entry(t, walk, QN_VIEW_KEYS, out, end);
    case QN_VAL_VIEW:
        return next_entry(t, walk, (enum qn_val_view)v.safe, out, end);
    case QN_VAL_RANGE:
        if ((*end = walk->at >= v.range->count))
            return true;
        *out = qn_val_int(v.range->start + (int64_t)walk->at++ * v.range->step);
        return true;
    case QN_VAL_ITER:
        return v.iter->next(t, v.iter, out, end);
    default:
        *end = true;
        return true;
    }
}

bool qn_val_to_list(struct qn_tpl *t, struct qn_val v, struct qn_val *out)
{
    struct qn_walk walk;
    bool end = false;
    if (!qn_walk_begin(t, v, &walk) || !qn_val_list_new(t, 0, out))
        return false;
    for (;;) {
        struct qn_val item;
        if (!qn_walk_next(t, &walk, &item, &end))
            return false;
        if (end)
            return true;
        if (!qn_val_list_push(t, out->list, item))
            return false;
    }
}

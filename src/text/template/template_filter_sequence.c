/* Filters on sequences and mappings. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "text/template/template_builtin.h"

/* ---- attributes ----------------------------------------------------------------------------------------------- */

bool qn_tpl_attr_path(struct qn_tpl *t, struct qn_val item, struct qn_val attribute, struct qn_val fallback,
                      struct qn_val *out)
{
    *out = item;
    if (attribute.kind <= QN_VAL_NONE)
        return true;
    if (attribute.kind != QN_VAL_STR) {
        if (!qn_tpl_getitem(t, item, attribute, out))
            return false;
        if (fallback.kind > QN_VAL_NONE && out->kind == QN_VAL_UNDEFINED)
            *out = fallback;
        return true;
    }
    struct qn_str path = qn_val_text(attribute);
    for (bool more = true; more;) {
        const char *dot = path.size ? memchr(path.data, '.', path.size) : NULL;
        struct qn_str part = {path.data, dot ? (size_t)(dot - path.data) : path.size};
        struct qn_val key;
        int64_t index = 0;
        bool digits = part.size > 0 && part.size < 18;
        for (size_t i = 0; i < part.size && digits; i++) {
            digits = isdigit((uint8_t)part.data[i]);
            index = index * 10 + (part.data[i] - '0');
        }
        key = qn_val_int(index);
        if ((!digits && !qn_val_str_view(t, part, &key)) || !qn_tpl_getitem(t, *out, key, out))
            return false;
        if (fallback.kind > QN_VAL_NONE && out->kind == QN_VAL_UNDEFINED)
            *out = fallback;
        more = dot != NULL;
        path = (struct qn_str){path.data + part.size + more, path.size - part.size - more};
    }
    return true;
}

bool qn_tpl_ignore_case(struct qn_tpl *t, struct qn_val v, struct qn_val *out)
{
    struct qn_strbuf buf;
    *out = v;
    if (v.kind != QN_VAL_STR)
        return true;
    qn_strbuf_init(&buf, &t->allocator);
    qn_uni_change_case(qn_val_text(v), QN_UNI_LOWER, &buf);
    return qn_tpl_bytes(t, v.str->size * 4) && qn_val_strbuf(t, &buf, out);
}

static bool sort_key(struct qn_tpl *t, struct qn_val item, struct qn_val attribute, bool sensitive, struct qn_val *out)
{
    return qn_tpl_attr_path(t, item, attribute, (struct qn_val){0}, out) &&
           (sensitive || qn_tpl_ignore_case(t, *out, out));
}

/* ---- simple ones ---------------------------------------------------------------------------------------------- */

static bool do_length(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    uint64_t length;
    bool found;
    if (call->object.kind == QN_VAL_LOOP)
        return qn_tpl_loop_attr(t, call->object.loop, QN_STR("length"), out, &found);
    if (!qn_val_length(call->object, &length))
        return QN_TPL_FAIL(t, "object of type '%s' has no len()", qn_val_type(call->object));
    *out = qn_val_int((int64_t)length);
    return true;
}

static bool do_default(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    bool replace = call->object.kind == QN_VAL_UNDEFINED || (qn_val_truth(call->arg[1]) && !qn_val_truth(call->object));
    *out = replace ? call->arg[0] : call->object;
    return !replace || call->arg[0].kind || qn_val_str_view(t, QN_STR(""), out);
}

static bool do_first(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_walk walk;
    bool end;
    return qn_walk_begin(t, call->object, &walk) && qn_walk_next(t, &walk, out, &end) &&
           (!end || qn_val_undefined_hint(t, "No first item, sequence was empty.", out));
}

static bool do_last(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val list = call->object;
    if (call->object.kind == QN_VAL_ITER || !qn_val_iterable(call->object))
        return QN_TPL_FAIL(t, "'%s' object is not reversible", qn_val_type(call->object));
    if (list.kind != QN_VAL_LIST && list.kind != QN_VAL_TUPLE && !qn_val_to_list(t, call->object, &list))
        return false;
    if (!list.list->count)
        return qn_val_undefined_hint(t, "No last item, sequence was empty.", out);
    *out = list.list->items[list.list->count - 1];
    return true;
}

static bool do_list(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return qn_val_to_list(t, call->object, out);
}

static bool do_join(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_walk walk;
    struct qn_strbuf buf;
    struct qn_val glue, item;
    bool end = false, first = true;
    if (!qn_walk_begin(t, call->object, &walk) ||
        (call->arg[0].kind ? !qn_val_to_str(t, call->arg[0], &glue) : !qn_val_str_view(t, QN_STR(""), &glue)))
        return false;
    qn_strbuf_init(&buf, &t->allocator);
    while (qn_walk_next(t, &walk, &item, &end) && !end) {
        if (!first)
            qn_strbuf_append(&buf, glue.str->data, glue.str->size);
        first = false;
        if (!qn_tpl_attr_path(t, item, call->arg[1], (struct qn_val){0}, &item) || !qn_val_print(t, item, &buf))
            break;
    }
    if (end)
        return qn_val_strbuf(t, &buf, out);
    qn_strbuf_deinit(&buf);
    return false;
}

static bool do_reverse(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val v = call->object, list;
    struct qn_val bounds[3] = {{0}, {0}, qn_val_int(-1)};
    if (v.kind == QN_VAL_STR)
        return qn_tpl_slice(t, v, bounds, out);
    if (!qn_val_iterable(v))
        return QN_TPL_FAIL(t, "argument must be iterable");
    if (!qn_val_to_list(t, v, &list) || !qn_tpl_slice(t, list, bounds, &list))
        return false;
    *out = list;
    if (v.kind == QN_VAL_ITER)
        return true;
    return qn_val_iter_of(t, v.kind == QN_VAL_LIST ? "list_reverseiterator" : "reversed", list, out);
}

static bool do_attr(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_str name;
    if (!qn_tpl_arg_str(t, call->arg[0], "name", &name))
        return false;
    if (call->object.kind == QN_VAL_DICT && !qn_tpl_method_find(call->object, name))
        return qn_val_undefined(t, call->object, call->arg[0], out);
    return qn_tpl_getattr(t, call->object, name, out);
}

/* Those that are generators in Python do nothing before somebody asks for the first item. */
struct lazy {
    qn_tpl_builtin *start; /* gives an iterator or a list */
    struct qn_tpl_call call;
    struct qn_tpl_args args;
    bool started;
};

static bool next_lazy(struct qn_tpl *t, struct qn_val_iter *iter, struct qn_val *out, bool *end)
{
    struct lazy *lazy = iter->state;
    struct qn_val source;
    if (!lazy->started) {
        lazy->started = true;
        if (!lazy->start(t, &lazy->call, &source) || !qn_walk_begin(t, source, &iter->walk))
            return false;
    }
    return qn_walk_next(t, &iter->walk, out, end);
}

static bool make_lazy(struct qn_tpl *t, const struct qn_tpl_call *call, qn_tpl_builtin *start, struct qn_val *out)
{
    struct qn_val_iter *iter = qn_tpl_alloc(t, sizeof *iter);
    struct lazy *lazy = iter ? qn_tpl_alloc(t, sizeof *lazy) : NULL;
    if (!lazy)
        return false;
    *lazy = (struct lazy){.start = start, .call = *call, .args = *call->args};
    lazy->call.args = &lazy->args;
    *iter = (struct qn_val_iter){.type = "generator", .next = next_lazy, .state = lazy};
    *out = QN_VAL(QN_VAL_ITER, iter, iter);
    return true;
}

#define LAZY_FILTER(name, start)                                                     \
    static bool name(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out) \
    {                                                                                \
        return make_lazy(t, call, start, out);                                       \
    }

/* ---- those that give one item after the other ----------------------------------------------------------------- */

static bool start_items(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val view = {.kind = QN_VAL_VIEW, .safe = QN_VIEW_ITEMS, .dict = call->object.dict};
    if (call->object.kind == QN_VAL_UNDEFINED)
        view = call->object;
    else if (call->object.kind != QN_VAL_DICT)
        return QN_TPL_FAIL(t, "can only get item pairs from a mapping, not %s", qn_val_type(call->object));
    *out = view;
    return true;
}

LAZY_FILTER(do_items, start_items)

struct picker {
    struct qn_str name; /* of the filter or test; empty: the truth of the value */
    struct qn_tpl_args args;
    struct qn_val attribute, fallback;
    bool keep; /* select, not reject */
};

static bool next_mapped(struct qn_tpl *t, struct qn_val_iter *iter, struct qn_val *out, bool *end)
{
    struct picker *p = iter->state;
    if (!qn_walk_next(t, &iter->walk, out, end) || *end)
        return !t->status;
    if (qn_str_is(p->name, "string")) /* not the JSON that `tools|string` alone gives */
        return qn_val_to_str(t, *out, out);
    return p->name.size ? qn_tpl_call_filter(t, p->name, *out, &p->args, out)
                        : qn_tpl_attr_path(t, *out, p->attribute, p->fallback, out);
}

static bool next_selected(struct qn_tpl *t, struct qn_val_iter *iter, struct qn_val *out, bool *end)
{
    struct picker *p = iter->state;
    for (;;) {
        struct qn_val value;
        bool is;
        if (!qn_walk_next(t, &iter->walk, out, end))
            return false;
        if (*end)
            return true;
        if (!qn_tpl_attr_path(t, *out, p->attribute, (struct qn_val){0}, &value))
            return false;
        is = qn_val_truth(value);
        if (p->name.size && !qn_tpl_call_test(t, p->name, value, &p->args, &is))
            return false;
        if (is == p->keep)
            return true;
    }
}

/* Takes the name of the filter or test out of the arguments. */
static bool take_name(struct qn_tpl *t, struct picker *p)
{
    if (!qn_tpl_arg_str(t, p->args.items[0], "name", &p->name))
        return false;
    p->args.items++;
    p->args.count--;
    return p->name.size > 0 || QN_TPL_FAIL(t, "the name of a filter or test is empty");
}

static bool make_iter(struct qn_tpl *t, struct qn_val source, struct picker *p, const char *type,
                      bool (*next)(struct qn_tpl *, struct qn_val_iter *, struct qn_val *, bool *), struct qn_val *out)
{
    struct qn_val_iter *iter = qn_tpl_alloc(t, sizeof *iter);
    if (!iter)
        return false;
    *iter = (struct qn_val_iter){.type = type, .next = next, .state = p};
    *out = QN_VAL(QN_VAL_ITER, iter, iter);
    if (!qn_val_truth(source)) { /* nothing, whatever it is */
        iter->walk.source = qn_val_none();
        return true;
    }
    return qn_walk_begin(t, source, &iter->walk);
}

static bool start_map(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct picker *p = qn_tpl_alloc(t, sizeof *p);
    if (!p)
        return false;
    p->args = *call->args;
    for (uint32_t i = 0; i < call->args->named_count && !call->args->count; i++) {
        const struct qn_tpl_kwarg *named = &call->args->named[i];
        if (qn_str_is(named->name, "attribute"))
            p->attribute = named->value;
        else if (qn_str_is(named->name, "default"))
            p->fallback = named->value;
        else
            return QN_TPL_FAIL(t, "unexpected keyword argument '%.*s'", QN_STR_ARG(named->name));
    }
    if (!p->attribute.kind && !call->args->count)
        return QN_TPL_FAIL(t, "map requires a filter argument");
    return (p->attribute.kind || take_name(t, p)) && make_iter(t, call->object, p, "generator", next_mapped, out);
}

LAZY_FILTER(do_map, start_map)

static bool select_or_reject(struct qn_tpl *t, struct qn_tpl_call *call, bool by_attr, bool keep, struct qn_val *out)
{
    struct picker *p = qn_tpl_alloc(t, sizeof *p);
    if (!p)
        return false;
    p->args = *call->args;
    p->keep = keep;
    if (by_attr) {
        if (!p->args.count)
            return QN_TPL_FAIL(t, "missing parameter for attribute name");
        p->attribute = *p->args.items++;
        p->args.count--;
    }
    if (p->args.count && !take_name(t, p))
        return false;
    return make_iter(t, call->object, p, "generator", next_selected, out);
}

static bool start_select(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return select_or_reject(t, call, false, true, out);
}

LAZY_FILTER(do_select, start_select)

static bool start_reject(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return select_or_reject(t, call, false, false, out);
}

LAZY_FILTER(do_reject, start_reject)

static bool start_selectattr(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return select_or_reject(t, call, true, true, out);
}

LAZY_FILTER(do_selectattr, start_selectattr)

static bool start_rejectattr(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return select_or_reject(t, call, true, false, out);
}

LAZY_FILTER(do_rejectattr, start_rejectattr)

static bool start_unique(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val source, seen, kept;
    if (!qn_val_to_list(t, call->object, &source) || !qn_val_dict_new(t, &seen) || !qn_val_list_new(t, 0, &kept))
        return false;
    for (uint32_t i = 0; i < source.list->count; i++) {
        struct qn_val key;
        struct qn_val_entry *found;
        if (!sort_key(t, source.list->items[i], call->arg[1], qn_val_truth(call->arg[0]), &key) ||
            !qn_val_dict_get(t, seen.dict, key, &found))
            return false;
        if (!found && (!qn_val_dict_set(t, seen.dict, key, qn_val_none()) ||
                       !qn_val_list_push(t, kept.list, source.list->items[i])))
            return false;
    }
    *out = kept;
    return true;
}

LAZY_FILTER(do_unique, start_unique)

/* ---- parts ---------------------------------------------------------------------------------------------------- */

static bool start_batch(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val source, rows, row = {0};
    int64_t size;
    if (!qn_tpl_arg_int(t, call->arg[0], "linecount", 0, &size) || !qn_val_to_list(t, call->object, &source) ||
        !qn_val_list_new(t, 0, &rows))
        return false;
    for (uint32_t i = 0; i < source.list->count; i++) {
        if (!row.kind || row.list->count == size)
            if (!qn_val_list_new(t, 0, &row) || !qn_val_list_push(t, rows.list, row))
                return false;
        if (!qn_val_list_push(t, row.list, source.list->items[i]))
            return false;
    }
    while (row.kind && call->arg[1].kind > QN_VAL_NONE && row.list->count < size)
        if (!qn_val_list_push(t, row.list, call->arg[1]))
            return false;
    *out = rows;
    return true;
}

LAZY_FILTER(do_batch, start_batch)

static bool start_slice(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val source, columns, column;
    int64_t slices;
    uint32_t at = 0;
    if (!qn_tpl_arg_int(t, call->arg[0], "slices", 0, &slices) || !qn_val_to_list(t, call->object, &source) ||
        !qn_val_list_new(t, 0, &columns))
        return false;
    if (slices == 0)
        return QN_TPL_FAIL(t, "integer division or modulo by zero");
    for (int64_t i = 0; i < slices; i++) {
        uint32_t length = source.list->count, extra = length % (uint64_t)slices;
        uint32_t size = (uint32_t)(length / (uint64_t)slices) + ((uint64_t)i < extra);
        if (!qn_val_list_new(t, size, &column) || !qn_val_list_push(t, columns.list, column))
            return false;
        for (uint32_t j = 0; j < size; j++)
            if (!qn_val_list_push(t, column.list, source.list->items[at++]))
                return false;
        if (call->arg[1].kind > QN_VAL_NONE && (uint64_t)i >= extra && !qn_val_list_push(t, column.list, call->arg[1]))
            return false;
    }
    *out = columns;
    return true;
}

LAZY_FILTER(do_slice, start_slice)

static bool do_groupby(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val source, keys, group = {0}, last = {0};
    bool sensitive = qn_val_truth(call->arg[2]);
    if (!qn_val_to_list(t, call->object, &source) || !qn_val_list_new(t, source.list->count, &keys) ||
        !qn_val_list_new(t, 0, out))
        return false;
    for (uint32_t i = 0; i < source.list->count; i++) {
        struct qn_val key;
        if (!qn_tpl_attr_path(t, source.list->items[i], call->arg[0], call->arg[1], &key) ||
            (!sensitive && !qn_tpl_ignore_case(t, key, &key)) || !qn_val_list_push(t, keys.list, key))
            return false;
    }
    if (!qn_val_sort(t, source.list->items, keys.list->items, source.list->count, false))
        return false;
    for (uint32_t i = 0; i < source.list->count; i++) {
        struct qn_val item = source.list->items[i], shown, key, pair;
        bool same = false;
        if (!qn_tpl_attr_path(t, item, call->arg[0], call->arg[1], &shown))
            return false;
        key = shown;
        if ((!sensitive && !qn_tpl_ignore_case(t, shown, &key)) || (group.kind && !qn_val_equal(t, last, key, &same)))
            return false;
        if (!same) {
            if (!qn_val_list_new(t, 0, &group) || !qn_val_pair(t, shown, group, &pair))
                return false;
            pair.safe = 1; /* with .grouper and .list */
            if (!qn_val_list_push(t, out->list, pair))
                return false;
        }
        last = key;
        if (!qn_val_list_push(t, group.list, item))
            return false;
    }
    return true;
}

/* ---- order and sums ------------------------------------------------------------------------------------------- */

/* The keys of one item for "a,b": a LIST of them. */
static bool multi_key(struct qn_tpl *t, struct qn_val item, struct qn_val attribute, bool sensitive, struct qn_val *out)
{
    struct qn_val key;
    if (!qn_val_list_new(t, 0, out))
        return false;
    if (attribute.kind != QN_VAL_STR)
        return sort_key(t, item, attribute, sensitive, &key) && qn_val_list_push(t, out->list, key);
    struct qn_str rest = qn_val_text(attribute);
    for (bool more = true; more;) {
        const char *comma = rest.size ? memchr(rest.data, ',', rest.size) : NULL;
        size_t size = comma ? (size_t)(comma - rest.data) : rest.size;
        struct qn_val part;
        if (!qn_val_str_view(t, (struct qn_str){rest.data, size}, &part) || !sort_key(t, item, part, sensitive, &key) ||
            !qn_val_list_push(t, out->list, key))
            return false;
        more = comma != NULL;
        rest = (struct qn_str){rest.data + size + more, rest.size - size - more};
    }
    return true;
}

static bool do_sort(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val keys, key;
    if (!qn_val_to_list(t, call->object, out) || !qn_val_list_new(t, out->list->count, &keys))
        return false;
    for (uint32_t i = 0; i < out->list->count; i++)
        if (!multi_key(t, out->list->items[i], call->arg[2], qn_val_truth(call->arg[1]), &key) ||
            !qn_val_list_push(t, keys.list, key))
            return false;
    return qn_val_sort(t, out->list->items, keys.list->items, out->list->count, qn_val_truth(call->arg[0]));
}

static bool do_dictsort(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val view = {.kind = QN_VAL_VIEW, .safe = QN_VIEW_ITEMS, .dict = call->object.dict}, keys, key;
    struct qn_str by = QN_STR("key");
    if (call->object.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, call->object);
    if (call->object.kind != QN_VAL_DICT)
        return QN_TPL_FAIL(t, "'%s' object has no attribute 'items'", qn_val_type(call->object));
    if (call->arg[1].kind && !qn_tpl_arg_str(t, call->arg[1], "by", &by))
        return false;
    if (!qn_str_is(by, "key") && !qn_str_is(by, "value"))
        return QN_TPL_FAIL(t, "you can only sort by either \"key\" or \"value\"");
    if (!qn_val_to_list(t, view, out) || !qn_val_list_new(t, out->list->count, &keys))
        return false;
    for (uint32_t i = 0; i < out->list->count; i++) {
        key = out->list->items[i].list->items[qn_str_is(by, "value")];
        if ((!qn_val_truth(call->arg[0]) && !qn_tpl_ignore_case(t, key, &key)) || !qn_val_list_push(t, keys.list, key))
            return false;
    }
    return qn_val_sort(t, out->list->items, keys.list->items, out->list->count, qn_val_truth(call->arg[2]));
}

static bool min_or_max(struct qn_tpl *t, struct qn_tpl_call *call, int wanted, struct qn_val *out)
{
    struct qn_walk walk;
    struct qn_val item, key, best = {0};
    bool end = false;
    int order;
    if (!qn_walk_begin(t, call->object, &walk))
        return false;
    while (qn_walk_next(t, &walk, &item, &end) && !end) {
        if (!sort_key(t, item, call->arg[1], qn_val_truth(call->arg[0]), &key))
            return false;
        order = wanted;
        if (best.kind && !qn_val_compare(t, key, best, wanted < 0 ? "<" : ">", &order))
            return false;
        if (order == wanted) {
            best = key;
            *out = item;
        }
    }
    if (!end)
        return false;
    return best.kind || qn_val_undefined_hint(t, "No aggregated item, sequence was empty.", out);
}

static bool do_min(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return min_or_max(t, call, -1, out);
}

static bool do_max(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return min_or_max(t, call, 1, out);
}

static bool do_sum(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_walk walk;
    struct qn_val item;
    bool end = false;
    *out = call->arg[1].kind ? call->arg[1] : qn_val_int(0);
    if (out->kind == QN_VAL_STR)
        return QN_TPL_FAIL(t, "sum() can't sum strings [use ''.join(seq) instead]");
    if (!qn_walk_begin(t, call->object, &walk))
        return false;
    while (qn_walk_next(t, &walk, &item, &end) && !end)
        if (!qn_tpl_attr_path(t, item, call->arg[0], (struct qn_val){0}, &item) ||
            !qn_tpl_binary(t, QN_OP_ADD, *out, item, out))
            return false;
    return end;
}

const struct qn_tpl_function qn_tpl_filters_sequence[] = {
    {"length", "", do_length},
    {"count", "", do_length},
    {"default", "default_value=,boolean=", do_default},
    {"d", "default_value=,boolean=", do_default},
    {"first", "", do_first},
    {"last", "", do_last},
    {"list", "", do_list},
    {"items", "", do_items},
    {"join", "d=,attribute=", do_join},
    {"reverse", "", do_reverse},
    {"attr", "name", do_attr},
    {"map", NULL, do_map},
    {"select", NULL, do_select},
    {"reject", NULL, do_reject},
    {"selectattr", NULL, do_selectattr},
    {"rejectattr", NULL, do_rejectattr},
    {"unique", "case_sensitive=,attribute=", do_unique},
    {"batch", "linecount,fill_with=", do_batch},
    {"slice", "slices,fill_with=", do_slice},
    {"groupby", "attribute,default=,case_sensitive=", do_groupby},
    {"sort", "reverse=,case_sensitive=,attribute=", do_sort},
    {"dictsort", "case_sensitive=,by=,reverse=", do_dictsort},
    {"min", "case_sensitive=,attribute=", do_min},
    {"max", "case_sensitive=,attribute=", do_max},
    {"sum", "attribute=,start=", do_sum},
    {NULL, NULL, NULL},
};

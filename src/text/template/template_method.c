/* Methods of lists, tuples, dicts and numbers. */
#include <math.h>
#include <string.h>

#include "text/template/template_builtin.h"

static bool none(struct qn_val *out)
{
    *out = qn_val_none();
    return true;
}

/* ---- lists ---------------------------------------------------------------------------------------------------- */

static bool list_append(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return qn_val_list_push(t, call->object.list, call->arg[0]) && none(out);
}

static bool list_extend(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val items;
    if (!qn_val_to_list(t, call->arg[0], &items))
        return false;
    for (uint32_t i = 0; i < items.list->count; i++)
        if (!qn_val_list_push(t, call->object.list, items.list->items[i]))
            return false;
    return none(out);
}

static bool list_insert(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_list *list = call->object.list;
    int64_t at;
    if (!qn_tpl_arg_int(t, call->arg[0], "index", 0, &at) || !qn_val_list_push(t, list, call->arg[1]) ||
        !qn_tpl_step(t, list->count / 16))
        return false;
    int64_t count = (int64_t)list->count - 1;
    at = at < 0 ? at + count : at;
    at = at < 0 ? 0 : at > count ? count : at;
    memmove(&list->items[at + 1], &list->items[at], (size_t)(count - at) * sizeof *list->items);
    list->items[at] = call->arg[1];
    return none(out);
}

static bool remove_at(struct qn_tpl *t, struct qn_val_list *list, uint32_t at)
{
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof *list->items);
    return qn_tpl_step(t, list->count / 16);
}

static bool list_pop(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_list *list = call->object.list;
    int64_t at;
    if (!qn_tpl_arg_int(t, call->arg[0], "index", -1, &at))
        return false;
    at = at < 0 ? at + list->count : at;
    if (!list->count)
        return QN_TPL_FAIL(t, "pop from empty list");
    if (at < 0 || at >= list->count)
        return QN_TPL_FAIL(t, "pop index out of range");
    *out = list->items[at];
    return remove_at(t, list, (uint32_t)at);
}

/* The place of an item from [start, stop) on; found false: none. */
static bool find_item(struct qn_tpl *t, struct qn_tpl_call *call, int64_t *at, bool *found)
{
    struct qn_val items = call->object;
    int64_t start, stop;
    *found = false;
    if (items.kind == QN_VAL_RANGE && !qn_val_to_list(t, items, &items))
        return false;
    if (!qn_tpl_arg_int(t, call->arg[1], "start", 0, &start) ||
        !qn_tpl_arg_int(t, call->arg[2], "stop", INT64_MAX, &stop))
        return false;
    start = start < 0 ? start + items.list->count : start;
    stop = stop < 0 ? stop + items.list->count : stop;
    for (*at = start < 0 ? 0 : start; *at < stop && *at < items.list->count && !*found; ++*at)
        if (!qn_tpl_step(t, 1) || !qn_val_equal(t, items.list->items[*at], call->arg[0], found))
            return false;
    *at -= *found;
    return true;
}

static bool list_remove(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    int64_t at;
    bool found;
    if (!find_item(t, call, &at, &found))
        return false;
    if (!found)
        return QN_TPL_FAIL(t, "list.remove(x): x not in list");
    return remove_at(t, call->object.list, (uint32_t)at) && none(out);
}

static bool list_index(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    int64_t at;
    bool found;
    if (!find_item(t, call, &at, &found))
        return false;
    *out = qn_val_int(at);
    return found || QN_TPL_FAIL(t, "the value is not in the %s", qn_val_type(call->object));
}

static bool list_count(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val items;
    int64_t count = 0;
    if (!qn_val_to_list(t, call->object, &items))
        return false;
    for (uint32_t i = 0; i < items.list->count; i++) {
        bool same;
        if (!qn_val_equal(t, items.list->items[i], call->arg[0], &same))
            return false;
        count += same;
    }
    *out = qn_val_int(count);
    return true;
}

static bool list_reverse(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_list *list = call->object.list;
    for (uint32_t i = 0; i < list->count / 2; i++) {
        struct qn_val item = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = item;
    }
    return qn_tpl_step(t, list->count) && none(out);
}

static bool list_clear(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    (void)t;
    call->object.list->count = 0;
    return none(out);
}

static bool list_copy(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return qn_val_to_list(t, call->object, out);
}

static bool list_sort(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_list *list = call->object.list;
    return qn_val_sort(t, list->items, list->items, list->count, qn_val_truth(call->arg[0])) && none(out);
}

const struct qn_tpl_method qn_tpl_list_methods[] = {
    {"append", "object", list_append}, {"extend", "iterable", list_extend}, {"insert", "index,object", list_insert},
    {"pop", "index=", list_pop},       {"remove", "value", list_remove},    {"index", "value,start=,stop=", list_index},
    {"count", "value", list_count},    {"reverse", "", list_reverse},       {"clear", "", list_clear},
    {"copy", "", list_copy},           {"sort", "reverse=", list_sort},     {NULL, NULL, NULL},
};

const struct qn_tpl_method qn_tpl_tuple_methods[] = {
    {"index", "value,start=,stop=", list_index},
    {"count", "value", list_count},
    {NULL, NULL, NULL},
};

/* ---- dicts ---------------------------------------------------------------------------------------------------- */

static bool view(struct qn_tpl_call *call, enum qn_val_view kind, struct qn_val *out)
{
    *out = (struct qn_val){.kind = QN_VAL_VIEW, .safe = (uint8_t)kind, .dict = call->object.dict};
    return true;
}

static bool dict_items(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    (void)t;
    return view(call, QN_VIEW_ITEMS, out);
}

static bool dict_keys(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    (void)t;
    return view(call, QN_VIEW_KEYS, out);
}

static bool dict_values(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    (void)t;
    return view(call, QN_VIEW_VALUES, out);
}

static bool dict_get(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_entry *found;
    if (!qn_val_dict_get(t, call->object.dict, call->arg[0], &found))
        return false;
    *out = found ? found->value : call->arg[1].kind ? call->arg[1] : qn_val_none();
    return true;
}

static bool dict_setdefault(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_entry *found;
    if (!qn_val_dict_get(t, call->object.dict, call->arg[0], &found))
        return false;
    *out = found ? found->value : call->arg[1].kind ? call->arg[1] : qn_val_none();
    return found || qn_val_dict_set(t, call->object.dict, call->arg[0], *out);
}

static bool dict_update(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val more;
    return qn_tpl_dict_of(t, call->args, &more) && qn_tpl_dict_update(t, call->object.dict, more) && none(out);
}

static bool dict_pop(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_entry *found;
    if (!qn_val_dict_get(t, call->object.dict, call->arg[0], &found))
        return false;
    if (!found && !call->arg[1].kind)
        return QN_TPL_FAIL(t, "pop: the dictionary has no such key");
    *out = found ? found->value : call->arg[1];
    if (found)
        qn_val_dict_remove(call->object.dict, found);
    return true;
}

static bool dict_popitem(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_dict *dict = call->object.dict;
    for (uint32_t i = dict->used; i-- > 0;)
        if (dict->entries[i].key.kind) {
            if (!qn_val_pair(t, dict->entries[i].key, dict->entries[i].value, out))
                return false;
            qn_val_dict_remove(dict, &dict->entries[i]);
            return true;
        }
    return QN_TPL_FAIL(t, "popitem(): dictionary is empty");
}

static bool dict_clear(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    (void)t;
    *call->object.dict = (struct qn_val_dict){0};
    return none(out);
}

static bool dict_copy(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return qn_val_dict_new(t, out) && qn_tpl_dict_update(t, out->dict, call->object);
}

const struct qn_tpl_method qn_tpl_dict_methods[] = {
    {"items", "", dict_items},
    {"keys", "", dict_keys},
    {"values", "", dict_values},
    {"get", "key,default=", dict_get},
    {"setdefault", "key,default=", dict_setdefault},
    {"update", NULL, dict_update},
    {"pop", "key,default=", dict_pop},
    {"popitem", "", dict_popitem},
    {"clear", "", dict_clear},
    {"copy", "", dict_copy},
    {NULL, NULL, NULL},
};

/* ---- numbers -------------------------------------------------------------------------------------------------- */

static bool number_is_integer(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val v = call->object;
    (void)t;
    *out = qn_val_bool(v.kind != QN_VAL_FLOAT || (isfinite(v.number) && v.number == floor(v.number)));
    return true;
}

static bool number_bit_length(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    if (!qn_val_is_integer(call->object))
        return QN_TPL_FAIL(t, "'float object' has no attribute 'bit_length'");
    int64_t value = qn_val_as_int(call->object);
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    *out = qn_val_int(size ? 64 - __builtin_clzll(size) : 0);
    return true;
}

const struct qn_tpl_method qn_tpl_number_methods[] = {
    {"is_integer", "", number_is_integer},
    {"bit_length", "", number_bit_length},
    {NULL, NULL, NULL},
};

/* Global functions. */
#include <string.h>

#include "text/template/template_builtin.h"

enum { MAX_RANGE = 100000 }; /* as in Jinja2's sandbox */

static bool do_range(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    int64_t start, stop, step;
    bool one = !call->arg[1].kind;
    struct qn_val_range *range = qn_tpl_alloc(t, sizeof *range);
    if (!range || !qn_tpl_arg_int(t, call->arg[0], one ? "stop" : "start", 0, &start) ||
        !qn_tpl_arg_int(t, call->arg[1], "stop", start, &stop) || !qn_tpl_arg_int(t, call->arg[2], "step", 1, &step))
        return false;
    if (one)
        start = 0;
    if (step == 0)
        return QN_TPL_FAIL(t, "range() arg 3 must not be zero");
    __int128 span = step > 0 ? (__int128)stop - start : (__int128)start - stop;
    __int128 stride = step > 0 ? step : -(__int128)step;
    __int128 count = span > 0 ? (span - 1) / stride + 1 : 0;
    if (count > MAX_RANGE)
        return qn_tpl_fail(t, QN_OUT_OF_RANGE, "range too big: a range has at most %d items", MAX_RANGE);
    *range = (struct qn_val_range){start, stop, step, (uint64_t)count};
    *out = QN_VAL(QN_VAL_RANGE, range, range);
    return true;
}

bool qn_tpl_named_dict(struct qn_tpl *t, const struct qn_tpl_args *args, struct qn_val *out)
{
    if (!qn_val_dict_new(t, out))
        return false;
    for (uint32_t i = 0; i < args->named_count; i++) {
        struct qn_val key;
        if (!qn_val_str_view(t, args->named[i].name, &key) || !qn_val_dict_set(t, out->dict, key, args->named[i].value))
            return false;
    }
    return true;
}

bool qn_tpl_dict_update(struct qn_tpl *t, struct qn_val_dict *dict, struct qn_val source)
{
    struct qn_walk walk;
    struct qn_val item, pair;
    bool end = false;
    if (source.kind == QN_VAL_DICT)
        source = (struct qn_val){.kind = QN_VAL_VIEW, .safe = QN_VIEW_ITEMS, .dict = source.dict};
    if (!qn_walk_begin(t, source, &walk))
        return false;
    while (qn_walk_next(t, &walk, &item, &end) && !end) {
        if (!qn_val_to_list(t, item, &pair))
            return false;
        if (pair.list->count != 2)
            return QN_TPL_FAIL(t, "a dictionary is made of pairs; this element has length %u", pair.list->count);
        if (!qn_val_dict_set(t, dict, pair.list->items[0], pair.list->items[1]))
            return false;
    }
    return end;
}

bool qn_tpl_dict_of(struct qn_tpl *t, const struct qn_tpl_args *args, struct qn_val *out)
{
    struct qn_val named;
    if (args->count > 1)
        return QN_TPL_FAIL(t, "dict expected at most 1 argument, got %u", args->count);
    return qn_val_dict_new(t, out) && (!args->count || qn_tpl_dict_update(t, out->dict, args->items[0])) &&
           qn_tpl_named_dict(t, args, &named) && qn_tpl_dict_update(t, out->dict, named);
}

static bool do_dict(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    return qn_tpl_dict_of(t, call->args, out);
}

static bool do_namespace(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    if (!qn_tpl_dict_of(t, call->args, out))
        return false;
    for (uint32_t i = 0; i < out->dict->used; i++) {
        struct qn_val key = out->dict->entries[i].key;
        if (key.kind == QN_VAL_STR && key.str->size && key.str->data[0] == '_')
            return QN_TPL_FAIL(t, "the attribute '%.*s' of a namespace may not begin with '_'",
                               QN_STR_ARG(qn_val_text(key)));
    }
    out->kind = QN_VAL_NAMESPACE;
    return true;
}

static bool do_cycler(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_cycler *cycler = qn_tpl_alloc(t, sizeof *cycler);
    if (!cycler)
        return false;
    if (!call->args->count || call->args->named_count)
        return QN_TPL_FAIL(t, "at least one item has to be provided");
    cycler->items = (struct qn_val_list){call->args->items, call->args->count, call->args->count};
    *out = QN_VAL(QN_VAL_CYCLER, cycler, cycler);
    return true;
}

static bool do_joiner(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_cycler *joiner = qn_tpl_alloc(t, sizeof *joiner);
    struct qn_val sep = call->arg[0];
    if (!joiner || (!sep.kind && !qn_val_str_view(t, QN_STR(", "), &sep)) || !qn_val_list_push(t, &joiner->items, sep))
        return false;
    *out = QN_VAL(QN_VAL_JOINER, cycler, joiner);
    return true;
}

static bool do_raise(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val words;
    (void)out;
    return qn_val_to_str(t, call->arg[0], &words) &&
           QN_TPL_FAIL(t, "the template says: %.*s", QN_STR_ARG(qn_val_text(words)));
}

static bool do_strftime_now(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_strbuf buf;
    struct qn_str format;
    if (!qn_tpl_arg_str(t, call->arg[0], "format", &format))
        return false;
    qn_strbuf_init(&buf, &t->allocator);
    if (!qn_tpl_strftime(t, format, &buf)) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    return qn_val_strbuf(t, &buf, out);
}

static bool do_lipsum(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    (void)call;
    (void)out;
    return qn_tpl_fail(t, QN_UNSUPPORTED, "lipsum() is not supported: its text is random");
}

const struct qn_tpl_function qn_tpl_globals[] = {
    {"range", "start,stop=,step=", do_range},
    {"dict", NULL, do_dict},
    {"namespace", NULL, do_namespace},
    {"cycler", NULL, do_cycler},
    {"joiner", "sep=", do_joiner},
    {"raise_exception", "message", do_raise},
    {"strftime_now", "format", do_strftime_now},
    {"lipsum", NULL, do_lipsum},
    {NULL, NULL, NULL},
};

/* ---- cyclers -------------------------------------------------------------------------------------------------- */

static bool cycler_next(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_val_cycler *cycler = call->object.cycler;
    (void)t;
    *out = cycler->items.items[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->items.count;
    return true;
}

static bool cycler_reset(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    (void)t;
    call->object.cycler->at = 0;
    *out = qn_val_none();
    return true;
}

const struct qn_tpl_method qn_tpl_cycler_methods[] = {
    {"next", "", cycler_next},
    {"reset", "", cycler_reset},
    {NULL, NULL, NULL},
};

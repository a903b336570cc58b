/* The walk of a loop and the variable `loop`. Items are taken one at a time, so that a condition and what it reads may
 * change on the way, and ahead of time only when somebody asks for the last one or the length. */
#include <string.h>

#include "text/template/template_exec.h"

struct qn_loop *qn_loop_new(struct qn_tpl *t, const struct qn_tpl_node *node, struct qn_scope *outer,
                            struct qn_val iterable, int64_t depth0)
{
    struct qn_loop *loop = qn_tpl_alloc(t, sizeof *loop);
    if (!loop)
        return NULL;
    loop->node = node;
    loop->outer = outer;
    loop->iterable = iterable;
    loop->index0 = -1;
    loop->depth0 = depth0;
    if (iterable.kind == QN_VAL_UNDEFINED) {
        loop->ended = true;
        return loop;
    }
    return qn_walk_begin(t, iterable, &loop->walk) ? loop : NULL;
}

/* The next item of the walk that the condition takes, past those that were taken ahead. */
static bool pull(struct qn_tpl *t, struct qn_loop *loop, struct qn_val *item, bool *end)
{
    const struct qn_tpl_node *n = loop->node;
    struct qn_scope *scope = NULL;
    for (;;) {
        struct qn_val is;
        *end = loop->ended;
        if (loop->ended)
            return true;
        if (!qn_walk_next(t, &loop->walk, item, end))
            return false;
        loop->ended = *end;
        if (*end || !n->c)
            return true;
        if (!scope && !(scope = qn_scope_new(t, loop->outer)))
            return false;
        if (!qn_tpl_assign(t, scope, n->a, *item) || !qn_tpl_eval(t, scope, n->c, &is))
            return false;
        if (qn_val_truth(is))
            return true;
        scope = scope->captured ? NULL : scope;
    }
}

bool qn_loop_next(struct qn_tpl *t, struct qn_loop *loop, struct qn_val *item, bool *end)
{
    *end = false;
    if (loop->ahead_at < loop->ahead.count) {
        *item = loop->ahead.items[loop->ahead_at++];
    } else {
        loop->ahead.count = loop->ahead_at = 0;
        if (!pull(t, loop, item, end))
            return false;
    }
    if (*end)
        return true;
    loop->index0++;
    loop->previous = loop->current;
    loop->current = *item;
    return true;
}

static bool peek(struct qn_tpl *t, struct qn_loop *loop, struct qn_val *item, bool *end)
{
    *end = false;
    if (loop->ahead_at == loop->ahead.count) {
        loop->ahead.count = loop->ahead_at = 0;
        if (!pull(t, loop, item, end))
            return false;
        return *end || qn_val_list_push(t, &loop->ahead, *item);
    }
    *item = loop->ahead.items[loop->ahead_at];
    return true;
}

static bool find_length(struct qn_tpl *t, struct qn_loop *loop, int64_t *out)
{
    uint64_t length;
    if (loop->length.kind) {
        *out = loop->length.integer;
        return true;
    }
    if (!loop->node->c && qn_val_length(loop->iterable, &length)) {
        *out = (int64_t)length;
    } else {
        for (bool end = false; !end;) {
            struct qn_val item;
            if (!pull(t, loop, &item, &end) || (!end && !qn_val_list_push(t, &loop->ahead, item)))
                return false;
        }
        *out = loop->index0 + 1 + (int64_t)(loop->ahead.count - loop->ahead_at);
    }
    loop->length = qn_val_int(*out);
    return true;
}

static bool neighbour(struct qn_tpl *t, struct qn_loop *loop, bool next, struct qn_val *out)
{
    bool end;
    if (!next) {
        *out = loop->previous;
        return loop->index0 > 0 || qn_val_undefined_hint(t, "there is no previous item", out);
    }
    return peek(t, loop, out, &end) && (!end || qn_val_undefined_hint(t, "there is no next item", out));
}

bool qn_tpl_loop_attr(struct qn_tpl *t, struct qn_loop *loop, struct qn_str name, struct qn_val *out, bool *found)
{
    int64_t length;
    struct qn_val item;
    bool end;
    *found = true;
    if (qn_str_is(name, "index") || qn_str_is(name, "index0")) {
        *out = qn_val_int(loop->index0 + (name.size == 5));
        return true;
    }
    if (qn_str_is(name, "first")) {
        *out = qn_val_bool(loop->index0 == 0);
        return true;
    }
    if (qn_str_is(name, "last")) {
        if (!peek(t, loop, &item, &end))
            return false;
        *out = qn_val_bool(end);
        return true;
    }
    if (qn_str_is(name, "length") || qn_str_is(name, "revindex") || qn_str_is(name, "revindex0")) {
        if (!find_length(t, loop, &length))
            return false;
        *out = qn_val_int(name.size == 6 ? length : length - loop->index0 - (name.size == 9));
        return true;
    }
    if (qn_str_is(name, "depth") || qn_str_is(name, "depth0")) {
        *out = qn_val_int(loop->depth0 + (name.size == 5));
        return true;
    }
    if (qn_str_is(name, "previtem") || qn_str_is(name, "nextitem"))
        return neighbour(t, loop, name.data[0] == 'n', out);
    *found = false;
    return true;
}

/* ---- methods -------------------------------------------------------------------------------------------------- */

static bool loop_cycle(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    const struct qn_tpl_args *args = call->args;
    if (!args->count || args->named_count)
        return QN_TPL_FAIL(t, "no items for cycling given");
    *out = args->items[(uint64_t)call->object.loop->index0 % args->count];
    return true;
}

static bool loop_changed(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out)
{
    struct qn_loop *loop = call->object.loop;
    struct qn_val now;
    bool same = false;
    if (!qn_val_list_new(t, call->args->count, &now))
        return false;
    now.kind = QN_VAL_TUPLE;
    for (uint32_t i = 0; i < call->args->count; i++)
        if (!qn_val_list_push(t, now.list, call->args->items[i]))
            return false;
    if (loop->changed.kind && !qn_val_equal(t, loop->changed, now, &same))
        return false;
    loop->changed = now;
    *out = qn_val_bool(!same);
    return true;
}

const struct qn_tpl_method qn_tpl_loop_methods[] = {
    {"cycle", NULL, loop_cycle},
    {"changed", NULL, loop_changed},
    {NULL, NULL, NULL},
};

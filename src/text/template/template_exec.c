/* Running statements: output, loops, macros, blocks. */
#include <string.h>

#include "text/template/template_exec.h"
#include "text/template/template_machine.h"

typedef struct qn_tpl_node node;

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAIL };

static enum flow run_body(struct qn_tpl *t, struct qn_scope *scope, const node *body);

/* ---- output --------------------------------------------------------------------------------------------------- */

static enum flow write_value(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_val value;
    if (!qn_tpl_eval(t, scope, n->a, &value))
        return FLOW_FAIL;
    t->at = n;
    return qn_val_print(t, value, t->out) ? FLOW_NEXT : FLOW_FAIL;
}

static enum flow write_text(struct qn_tpl *t, const node *n)
{
    t->at = n;
    qn_strbuf_append(t->out, n->name.data, n->name.size);
    return qn_tpl_bytes(t, n->name.size) && qn_tpl_buf_ok(t, t->out) ? FLOW_NEXT : FLOW_FAIL;
}

/* Runs a body whose output becomes a value. */
static enum flow capture(struct qn_tpl *t, struct qn_scope *scope, const node *body, struct qn_val *out)
{
    struct qn_strbuf buf, *outer = t->out;
    qn_strbuf_init(&buf, &t->allocator);
    t->out = &buf;
    enum flow flow = run_body(t, scope, body);
    t->out = outer;
    if (flow != FLOW_NEXT)
        qn_strbuf_deinit(&buf);
    else if (!qn_val_strbuf(t, &buf, out))
        flow = FLOW_FAIL;
    return flow;
}

/* ---- assignment ----------------------------------------------------------------------------------------------- */

static bool assign_tuple(struct qn_tpl *t, struct qn_scope *scope, const node *target, struct qn_val value)
{
    struct qn_walk walk;
    bool end = false;
    uint32_t got = 0;
    t->at = target;
    if (!qn_val_iterable(value))
        return QN_TPL_FAIL(t, "cannot unpack non-iterable %s object", qn_val_type(value));
    if (!qn_walk_begin(t, value, &walk))
        return false;
    struct qn_val *items = qn_tpl_array(t, target->count, sizeof *items), extra;
    if (!items)
        return false;
    for (; got < target->count; got++) {
        if (!qn_walk_next(t, &walk, &items[got], &end))
            return false;
        if (end)
            return QN_TPL_FAIL(t, "not enough values to unpack (expected %u, got %u)", target->count, got);
    }
    if (!qn_walk_next(t, &walk, &extra, &end))
        return false;
    if (!end)
        return QN_TPL_FAIL(t, "too many values to unpack (expected %u)", target->count);
    got = 0;
    for (const node *item = target->list; item; item = item->next)
        if (!qn_tpl_assign(t, scope, item, items[got++]))
            return false;
    return true;
}

static bool assign_attr(struct qn_tpl *t, struct qn_scope *scope, const node *target, struct qn_val value)
{
    node name = {.kind = QN_NODE_NAME, .line = target->line, .column = target->column, .name = target->name};
    struct qn_val object, key;
    if (!qn_tpl_eval(t, scope, &name, &object))
        return false;
    t->at = target;
    if (object.kind != QN_VAL_NAMESPACE)
        return QN_TPL_FAIL(t, "cannot assign attribute on non-namespace object");
    if (target->a->name.data[0] == '_')
        return QN_TPL_FAIL(t, "the attribute '%.*s' of a namespace may not begin with '_'",
                           QN_STR_ARG(target->a->name));
    return qn_val_str_view(t, target->a->name, &key) && qn_val_dict_set(t, object.dict, key, value);
}

bool qn_tpl_assign(struct qn_tpl *t, struct qn_scope *scope, const node *target, struct qn_val value)
{
    if (target->kind == QN_NODE_NAME)
        return qn_scope_set(t, scope, target->name.data, value);
    return target->kind == QN_NODE_TUPLE ? assign_tuple(t, scope, target, value) : assign_attr(t, scope, target, value);
}

static enum flow run_set(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_val value;
    return qn_tpl_eval(t, scope, n->b, &value) && qn_tpl_assign(t, scope, n->a, value) ? FLOW_NEXT : FLOW_FAIL;
}

/* Filters over what a body wrote. */
static bool filter_captured(struct qn_tpl *t, struct qn_scope *scope, const node *filters, struct qn_val *value)
{
    struct qn_val outer = t->captured;
    t->captured = *value;
    bool good = qn_tpl_eval(t, scope, filters, value);
    t->captured = outer;
    return good;
}

static enum flow run_set_block(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_scope *inner = qn_scope_new(t, scope);
    struct qn_val value = {0};
    enum flow flow = inner ? capture(t, inner, n->body, &value) : FLOW_FAIL;
    if (flow != FLOW_NEXT)
        return flow;
    if (n->b && !filter_captured(t, inner, n->b, &value))
        return FLOW_FAIL;
    return qn_tpl_assign(t, scope, n->a, value) ? FLOW_NEXT : FLOW_FAIL;
}

static enum flow run_filter_block(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_scope *inner = qn_scope_new(t, scope);
    struct qn_val value = {0};
    enum flow flow = inner ? capture(t, inner, n->body, &value) : FLOW_FAIL;
    if (flow != FLOW_NEXT)
        return flow;
    if (!filter_captured(t, inner, n->b, &value))
        return FLOW_FAIL;
    t->at = n;
    return qn_val_print(t, value, t->out) ? FLOW_NEXT : FLOW_FAIL;
}

/* ---- loops ---------------------------------------------------------------------------------------------------- */

static enum flow run_loop(struct qn_tpl *t, struct qn_loop *loop)
{
    const node *n = loop->node;
    struct qn_scope *scope = NULL;
    bool finished_one = false; /* a body that ran to its end: otherwise the `else` part runs, as in Jinja2 */
    for (;;) {
        struct qn_val item;
        bool end;
        t->at = n;
        if (!qn_loop_next(t, loop, &item, &end))
            return FLOW_FAIL;
        if (end)
            break;
        if (!scope || scope->captured)
            scope = qn_scope_new(t, loop->outer);
        else
            scope->count = 0;
        if (!scope || !qn_tpl_assign(t, scope, n->a, item) ||
            !qn_scope_set(t, scope, t->template->word_loop, QN_VAL(QN_VAL_LOOP, loop, loop)))
            return FLOW_FAIL;
        enum flow flow = run_body(t, scope, n->body);
        if (flow == FLOW_FAIL)
            return flow;
        if (flow == FLOW_BREAK)
            break;
        finished_one |= flow == FLOW_NEXT;
    }
    if (finished_one || !n->other)
        return FLOW_NEXT;
    scope = qn_scope_new(t, loop->outer);
    return scope ? run_body(t, scope, n->other) : FLOW_FAIL;
}

static enum flow run_for(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_val iterable;
    if (!qn_tpl_eval(t, scope, n->b, &iterable))
        return FLOW_FAIL;
    t->at = n->b;
    struct qn_loop *loop = qn_loop_new(t, n, scope, iterable, 0);
    return loop ? run_loop(t, loop) : FLOW_FAIL;
}

bool qn_tpl_call_loop(struct qn_tpl *t, struct qn_loop *loop, const struct qn_tpl_args *args, struct qn_val *out)
{
    struct qn_strbuf buf, *outer = t->out;
    struct qn_val arg[QN_TPL_PARAMS];
    if (!loop->node->flag)
        return QN_TPL_FAIL(t, "the loop must have the 'recursive' marker to be called recursively");
    if (!qn_tpl_bind(t, "function", "loop", "iterable", args, arg) || !qn_tpl_enter(t))
        return false;
    struct qn_loop *inner = qn_loop_new(t, loop->node, loop->outer, arg[0], loop->depth0 + 1);
    if (!inner)
        return false;
    qn_strbuf_init(&buf, &t->allocator);
    t->out = &buf;
    enum flow flow = run_loop(t, inner);
    t->out = outer;
    t->depth--;
    if (flow == FLOW_FAIL) {
        qn_strbuf_deinit(&buf);
        return false;
    }
    return qn_val_strbuf(t, &buf, out);
}

/* ---- macros --------------------------------------------------------------------------------------------------- */

/* A macro keeps the scopes around it: loops may not use them again for their next round. */
static void keep_scopes(struct qn_scope *scope)
{
    for (; scope && !scope->captured; scope = scope->parent)
        scope->captured = true;
}

static bool make_macro(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val_macro *macro = qn_tpl_alloc(t, sizeof *macro);
    if (!macro)
        return false;
    *macro = (struct qn_val_macro){n, scope, n->name};
    keep_scopes(scope);
    *out = QN_VAL(QN_VAL_MACRO, macro, macro);
    return true;
}

static const char *macro_name(const struct qn_val_macro *macro)
{
    return macro->name.size ? macro->name.data : "caller"; /* names of the table are terminated */
}

/* Takes the named argument out of args; MISSING when there is none. */
static struct qn_val take_named(struct qn_tpl_args *args, struct qn_str name)
{
    struct qn_val value = {0};
    for (uint32_t i = 0; i < args->named_count; i++)
        if (qn_str_eq(args->named[i].name, name)) {
            value = args->named[i].value;
            args->named_count--;
            memmove(&args->named[i], &args->named[i + 1], (args->named_count - i) * sizeof *args->named);
            break;
        }
    return value;
}

static bool bind_params(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_tpl_args *args)
{
    uint32_t at = 0;
    for (const node *param = n->list; param; param = param->next, at++) {
        struct qn_val value = at < args->count ? args->items[at] : take_named(args, param->name), name;
        if (!value.kind && param->a) {
            if (!qn_tpl_eval(t, scope, param->a, &value))
                return false;
        } else if (!value.kind) {
            struct qn_str words =
                qn_arena_printf(&t->arena, "parameter '%.*s' was not provided", QN_STR_ARG(param->name));
            if (!words.data)
                return qn_tpl_oom(t);
            if (!qn_val_undefined_hint(t, words.data, &value) || !qn_val_str_view(t, param->name, &name))
                return false;
            value.undefined->name = name;
        }
        if (!qn_scope_set(t, scope, param->name.data, value))
            return false;
    }
    return true;
}

static bool bind_rest(struct qn_tpl *t, struct qn_scope *scope, const struct qn_val_macro *macro,
                      struct qn_tpl_args *args)
{
    const node *n = macro->node;
    struct qn_val value, name;
    if (n->uses_caller) {
        value = take_named(args, QN_STR("caller"));
        if (!value.kind && !qn_val_undefined_hint(t, "No caller defined", &value))
            return false;
        if (!qn_scope_set(t, scope, t->template->word_caller, value))
            return false;
    }
    if (n->uses_kwargs) {
        if (!qn_val_dict_new(t, &value))
            return false;
        for (uint32_t i = 0; i < args->named_count; i++)
            if (!qn_val_str_view(t, args->named[i].name, &name) ||
                !qn_val_dict_set(t, value.dict, name, args->named[i].value))
                return false;
        if (!qn_scope_set(t, scope, t->template->word_kwargs, value))
            return false;
    } else if (args->named_count) {
        return QN_TPL_FAIL(t, "macro '%s' takes no keyword argument '%.*s'", macro_name(macro),
                           QN_STR_ARG(args->named[0].name));
    }
    if (n->uses_varargs) {
        if (!qn_val_list_new(t, 0, &value))
            return false;
        value.kind = QN_VAL_TUPLE;
        for (uint32_t i = n->count; i < args->count; i++)
            if (!qn_val_list_push(t, value.list, args->items[i]))
                return false;
        return qn_scope_set(t, scope, t->template->word_varargs, value);
    }
    if (args->count > n->count)
        return QN_TPL_FAIL(t, "macro '%s' takes not more than %u argument(s)", macro_name(macro), n->count);
    return true;
}

bool qn_tpl_call_macro(struct qn_tpl *t, struct qn_val callee, const struct qn_tpl_args *given, struct qn_val *out)
{
    const struct qn_val_macro *macro = callee.macro;
    struct qn_scope *scope = qn_scope_new(t, macro->scope);
    struct qn_tpl_args args = *given;
    if (!scope || !qn_tpl_enter(t))
        return false;
    if (args.named_count) { /* taken out one by one */
        args.named = qn_tpl_array(t, given->named_count, sizeof *args.named);
        if (!args.named)
            return false;
        memcpy(args.named, given->named, given->named_count * sizeof *args.named);
    }
    bool good = bind_params(t, scope, macro->node, &args) && bind_rest(t, scope, macro, &args) &&
                capture(t, scope, macro->node->body, out) == FLOW_NEXT;
    t->depth--;
    return good;
}

static enum flow run_macro(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_val macro;
    return make_macro(t, scope, n, &macro) && qn_scope_set(t, scope, n->name.data, macro) ? FLOW_NEXT : FLOW_FAIL;
}

static enum flow run_call_block(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_val caller, value;
    if (!make_macro(t, scope, n, &caller) || !qn_tpl_eval_call_block(t, scope, n->a, caller, &value))
        return FLOW_FAIL;
    t->at = n;
    return qn_val_print(t, value, t->out) ? FLOW_NEXT : FLOW_FAIL;
}

/* ---- the other blocks ----------------------------------------------------------------------------------------- */

static enum flow run_if(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    for (const node *branch = n->list; branch; branch = branch->next) {
        struct qn_val condition = qn_val_bool(true);
        if (branch->a && !qn_tpl_eval(t, scope, branch->a, &condition))
            return FLOW_FAIL;
        if (qn_val_truth(condition))
            return run_body(t, scope, branch->body);
    }
    return FLOW_NEXT;
}

static enum flow run_with(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_scope *inner = qn_scope_new(t, scope);
    if (!inner)
        return FLOW_FAIL;
    for (const node *set = n->list; set; set = set->next) {
        struct qn_val value;
        if (!qn_tpl_eval(t, scope, set->b, &value) || !qn_tpl_assign(t, inner, set->a, value))
            return FLOW_FAIL;
    }
    return run_body(t, inner, n->body);
}

static enum flow run_generation(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_scope *inner = qn_scope_new(t, scope);
    struct qn_tpl_span span = {t->out->size, 0};
    enum flow flow = inner ? run_body(t, inner, n->body) : FLOW_FAIL;
    span.end = t->out->size;
    if (flow == FLOW_NEXT && t->out == t->final && !qn_array_push(&t->generations, &t->allocator, span)) {
        qn_tpl_oom(t);
        return FLOW_FAIL;
    }
    return flow;
}

static enum flow run_block(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    struct qn_scope *inner = qn_scope_new(t, n->flag ? scope : t->root);
    return inner ? run_body(t, inner, n->body) : FLOW_FAIL;
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

static enum flow run_statement(struct qn_tpl *t, struct qn_scope *scope, const node *n)
{
    switch ((enum qn_tpl_node_kind)n->kind) {
    case QN_NODE_TEXT:
        return write_text(t, n);
    case QN_NODE_OUTPUT:
        return write_value(t, scope, n);
    case QN_NODE_IF:
        return run_if(t, scope, n);
    case QN_NODE_FOR:
        return run_for(t, scope, n);
    case QN_NODE_SET:
        return run_set(t, scope, n);
    case QN_NODE_SET_BLOCK:
        return run_set_block(t, scope, n);
    case QN_NODE_MACRO:
        return run_macro(t, scope, n);
    case QN_NODE_CALL_BLOCK:
        return run_call_block(t, scope, n);
    case QN_NODE_FILTER_BLOCK:
        return run_filter_block(t, scope, n);
    case QN_NODE_WITH:
        return run_with(t, scope, n);
    case QN_NODE_GENERATION:
        return run_generation(t, scope, n);
    case QN_NODE_BLOCK:
        return run_block(t, scope, n);
    case QN_NODE_BREAK:
        return FLOW_BREAK;
    case QN_NODE_CONTINUE:
        return FLOW_CONTINUE;
    default:
        qn_tpl_fail(t, QN_INTERNAL, "a node of kind %u is no statement", n->kind);
        return FLOW_FAIL;
    }
}

static enum flow run_body(struct qn_tpl *t, struct qn_scope *scope, const node *body)
{
    enum flow flow = FLOW_NEXT;
    if (body)
        t->at = body;
    if (!qn_tpl_enter(t))
        return FLOW_FAIL;
    for (; body && flow == FLOW_NEXT; body = body->next) {
        t->at = body;
        flow = qn_tpl_step(t, 1) ? run_statement(t, scope, body) : FLOW_FAIL;
    }
    t->depth--;
    return flow;
}

bool qn_tpl_run_root(struct qn_tpl *t)
{
    return run_body(t, t->root, t->template->body) == FLOW_NEXT;
}

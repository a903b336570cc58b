/* Evaluating expressions. */
#include <stdio.h>
#include <string.h>

#include "text/template/template_exec.h"

typedef struct qn_tpl_node node;

static bool eval(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    return qn_tpl_eval(t, scope, n, out);
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

static bool eval_name(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    for (struct qn_scope *s = scope; s; s = s->parent)
        for (uint32_t i = 0; i < s->count; i++)
            if (s->vars[i].name == n->name.data) {
                *out = s->vars[i].value;
                return qn_tpl_step(t, i / 16);
            }
    const struct qn_val_entry *entry = qn_val_dict_find(t->variables, n->name);
    if (entry) {
        *out = entry->value;
        return true;
    }
    const struct qn_tpl_function *function = qn_tpl_global_find(n->name);
    if (function) {
        *out = QN_VAL(QN_VAL_FUNCTION, function, function);
        return true;
    }
    struct qn_val name;
    return qn_val_str_view(t, n->name, &name) && qn_val_undefined(t, (struct qn_val){0}, name, out);
}

/* ---- literals ------------------------------------------------------------------------------------------------- */

static bool eval_list(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    if (!qn_val_list_new(t, n->count, out))
        return false;
    if (n->kind == QN_NODE_TUPLE)
        out->kind = QN_VAL_TUPLE;
    for (const node *item = n->list; item; item = item->next) {
        struct qn_val value;
        if (!eval(t, scope, item, &value) || !qn_val_list_push(t, out->list, value))
            return false;
    }
    return true;
}

static bool eval_dict(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    if (!qn_val_dict_new(t, out))
        return false;
    for (const node *key = n->list; key; key = key->next->next) {
        struct qn_val name, value;
        if (!eval(t, scope, key, &name) || !eval(t, scope, key->next, &value))
            return false;
        t->at = key;
        if (!qn_val_dict_set(t, out->dict, name, value))
            return false;
    }
    return true;
}

static bool eval_concat(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    bool good = true;
    *out = (struct qn_val){0};
    for (const node *item = n->list; item && good; item = item->next) {
        struct qn_val value, text;
        good = eval(t, scope, item, &value) && qn_val_to_str(t, value, &text);
        if (!good)
            break;
        text.safe = 0;
        if (out->kind)
            good = qn_val_concat(t, *out, qn_val_text(text), out);
        else
            *out = text;
    }
    return good;
}

/* ---- operators ------------------------------------------------------------------------------------------------ */

static bool compare_once(struct qn_tpl *t, enum qn_tpl_op op, struct qn_val a, struct qn_val b, bool *out)
{
    static const char *const words[] = {[QN_OP_LT] = "<", [QN_OP_LE] = "<=", [QN_OP_GT] = ">", [QN_OP_GE] = ">="};
    int order;
    bool good;
    switch (op) {
    case QN_OP_EQ:
        return qn_val_equal(t, a, b, out);
    case QN_OP_NE:
        good = qn_val_equal(t, a, b, out);
        *out = !*out;
        return good;
    case QN_OP_IN:
        return qn_val_contains(t, b, a, out);
    case QN_OP_NOT_IN:
        good = qn_val_contains(t, b, a, out);
        *out = !*out;
        return good;
    default:
        if (!qn_val_compare(t, a, b, words[op], &order))
            return false;
        *out = op == QN_OP_LT   ? order == -1
               : op == QN_OP_LE ? order == -1 || order == 0
               : op == QN_OP_GT ? order == 1
                                : order == 1 || order == 0;
        return true;
    }
}

static bool eval_compare(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val left, right;
    bool is = true;
    if (!eval(t, scope, n->a, &left))
        return false;
    for (const node *operand = n->list; operand && is; operand = operand->next) {
        if (!eval(t, scope, operand->a, &right))
            return false;
        t->at = operand;
        if (!compare_once(t, (enum qn_tpl_op)operand->op, left, right, &is))
            return false;
        left = right;
    }
    *out = qn_val_bool(is);
    return true;
}

static bool eval_sign(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    bool minus = n->kind == QN_NODE_NEGATE;
    struct qn_val v;
    if (!eval(t, scope, n->a, &v))
        return false;
    t->at = n;
    if (v.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, v);
    if (v.kind == QN_VAL_FLOAT) {
        *out = qn_val_float(minus ? -v.number : v.number);
        return true;
    }
    if (!qn_val_is_integer(v))
        return QN_TPL_FAIL(t, "bad operand type for unary %c: '%s'", minus ? '-' : '+', qn_val_type(v));
    int64_t value = qn_val_as_int(v);
    if (minus && value == INT64_MIN)
        return QN_TPL_FAIL(t, "the result of '-' does not fit 64 bits");
    *out = qn_val_int(minus ? -value : value);
    return true;
}

static bool eval_logic(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    if (!eval(t, scope, n->a, out))
        return false;
    if (qn_val_truth(*out) == (n->kind == QN_NODE_OR))
        return true;
    return eval(t, scope, n->b, out);
}

static bool eval_cond(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val condition;
    if (!eval(t, scope, n->a, &condition))
        return false;
    if (qn_val_truth(condition))
        return eval(t, scope, n->b, out);
    if (n->c)
        return eval(t, scope, n->c, out);
    return qn_val_undefined_hint(t, "the inline if-expression evaluated to false and no else section was defined.",
                                 out);
}

static bool eval_binary(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val a, b;
    if (!eval(t, scope, n->a, &a) || !eval(t, scope, n->b, &b))
        return false;
    t->at = n;
    return qn_tpl_binary(t, (enum qn_tpl_op)n->op, a, b, out);
}

/* ---- members -------------------------------------------------------------------------------------------------- */

static bool eval_slice(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val object, bounds[3] = {{0}};
    int i = 0;
    if (!eval(t, scope, n->a, &object))
        return false;
    for (const node *bound = n->list; bound; bound = bound->next, i++)
        if (bound->kind != QN_NODE_NOTHING && !eval(t, scope, bound, &bounds[i]))
            return false;
    t->at = n;
    return qn_tpl_slice(t, object, bounds, out);
}

static bool eval_member(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val object, key;
    if (!eval(t, scope, n->a, &object))
        return false;
    if (n->kind == QN_NODE_GETITEM && !eval(t, scope, n->b, &key))
        return false;
    t->at = n;
    return n->kind == QN_NODE_GETITEM ? qn_tpl_getitem(t, object, key, out) : qn_tpl_getattr(t, object, n->name, out);
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

typedef QN_ARRAY(struct qn_tpl_kwarg) kwarg_list;

static bool add_named(struct qn_tpl *t, struct qn_tpl_args *args, uint32_t *capacity, struct qn_str name,
                      struct qn_val value)
{
    for (uint32_t i = 0; i < args->named_count; i++)
        if (qn_str_eq(args->named[i].name, name))
            return QN_TPL_FAIL(t, "got multiple values for keyword argument '%.*s'", QN_STR_ARG(name));
    if (args->named_count == *capacity) {
        uint32_t grown = *capacity ? *capacity * 2 : 4;
        struct qn_tpl_kwarg *named = qn_tpl_array(t, grown, sizeof *named);
        if (!named)
            return false;
        if (args->named_count)
            memcpy(named, args->named, args->named_count * sizeof *named);
        args->named = named;
        *capacity = grown;
    }
    args->named[args->named_count++] = (struct qn_tpl_kwarg){name, value};
    return qn_tpl_step(t, args->named_count);
}

static bool spread_named(struct qn_tpl *t, struct qn_tpl_args *args, uint32_t *capacity, struct qn_val v)
{
    if (v.kind != QN_VAL_DICT)
        return QN_TPL_FAIL(t, "the argument after ** must be a mapping, not %s", qn_val_type(v));
    for (uint32_t i = 0; i < v.dict->used; i++) {
        const struct qn_val_entry *entry = &v.dict->entries[i];
        if (!entry->key.kind)
            continue;
        if (entry->key.kind != QN_VAL_STR)
            return QN_TPL_FAIL(t, "keywords must be strings");
        if (!add_named(t, args, capacity, qn_val_text(entry->key), entry->value))
            return false;
    }
    return true;
}

static bool spread(struct qn_tpl *t, struct qn_val_list *list, struct qn_val v)
{
    struct qn_val items;
    if (!qn_val_to_list(t, v, &items))
        return false;
    for (uint32_t i = 0; i < items.list->count; i++)
        if (!qn_val_list_push(t, list, items.list->items[i]))
            return false;
    return true;
}

static bool eval_arguments(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_tpl_args *args)
{
    struct qn_val_list list = {0};
    uint32_t capacity = 0;
    *args = (struct qn_tpl_args){0};
    for (const node *item = n->list; item; item = item->next) {
        struct qn_val value;
        bool marked =
            item->kind == QN_NODE_SPREAD || item->kind == QN_NODE_SPREAD_NAMED || item->kind == QN_NODE_KEYWORD;
        if (!eval(t, scope, marked ? item->a : item, &value))
            return false;
        t->at = item;
        bool good = item->kind == QN_NODE_SPREAD         ? spread(t, &list, value)
                    : item->kind == QN_NODE_SPREAD_NAMED ? spread_named(t, args, &capacity, value)
                    : item->kind == QN_NODE_KEYWORD      ? add_named(t, args, &capacity, item->name, value)
                                                         : qn_val_list_push(t, &list, value);
        if (!good)
            return false;
    }
    args->items = list.items;
    args->count = list.count;
    return true;
}

static bool eval_call(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val callee;
    struct qn_tpl_args args;
    if (!eval(t, scope, n->a, &callee) || !eval_arguments(t, scope, n, &args))
        return false;
    t->at = n->a->kind == QN_NODE_GETATTR || n->a->kind == QN_NODE_NAME ? n->a : n;
    return qn_tpl_call(t, callee, &args, out);
}

bool qn_tpl_eval_call_block(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val caller,
                            struct qn_val *out)
{
    struct qn_val callee;
    struct qn_tpl_args args;
    uint32_t capacity;
    if (!eval(t, scope, n->a, &callee) || !eval_arguments(t, scope, n, &args))
        return false;
    t->at = n;
    capacity = args.named_count;
    return add_named(t, &args, &capacity, QN_STR("caller"), caller) && qn_tpl_call(t, callee, &args, out);
}

static bool eval_filter(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val value;
    struct qn_tpl_args args;
    if (!eval(t, scope, n->a, &value) || !eval_arguments(t, scope, n, &args))
        return false;
    t->at = n;
    return qn_tpl_call_filter(t, n->name, value, &args, out);
}

static bool eval_test(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val value;
    struct qn_tpl_args args;
    bool is;
    if (!eval(t, scope, n->a, &value) || !eval_arguments(t, scope, n, &args))
        return false;
    t->at = n;
    if (!qn_tpl_call_test(t, n->name, value, &args, &is))
        return false;
    *out = qn_val_bool(is);
    return true;
}

static const struct qn_tpl_function *find_in(const struct qn_tpl_function *table, struct qn_str name)
{
    for (; table->name; table++)
        if (qn_str_is(name, table->name))
            return table;
    return NULL;
}

const struct qn_tpl_function *qn_tpl_filter_find(struct qn_str name)
{
    const struct qn_tpl_function *found = find_in(qn_tpl_filters_text, name);
    return found ? found : find_in(qn_tpl_filters_sequence, name);
}

const struct qn_tpl_function *qn_tpl_test_find(struct qn_str name)
{
    return find_in(qn_tpl_tests, name);
}

const struct qn_tpl_function *qn_tpl_global_find(struct qn_str name)
{
    return find_in(qn_tpl_globals, name);
}

static bool call_builtin(struct qn_tpl *t, const char *what, const struct qn_tpl_function *f, struct qn_val object,
                         const struct qn_tpl_args *args, struct qn_val *out)
{
    struct qn_tpl_call call = {.object = object, .args = args};
    if (f->params && !qn_tpl_bind(t, what, f->name, f->params, args, call.arg))
        return false;
    return qn_tpl_step(t, 1) && f->call(t, &call, out);
}

bool qn_tpl_call_filter(struct qn_tpl *t, struct qn_str name, struct qn_val value, const struct qn_tpl_args *args,
                        struct qn_val *out)
{
    const struct qn_tpl_function *filter = qn_tpl_filter_find(name);
    if (!filter)
        return qn_tpl_fail(t, QN_UNSUPPORTED, "unknown filter '%.*s'", QN_STR_ARG(name));
    return call_builtin(t, "filter", filter, value, args, out);
}

bool qn_tpl_call_test(struct qn_tpl *t, struct qn_str name, struct qn_val value, const struct qn_tpl_args *args,
                      bool *out)
{
    const struct qn_tpl_function *test = qn_tpl_test_find(name);
    struct qn_val is = {0};
    if (!test)
        return qn_tpl_fail(t, QN_UNSUPPORTED, "unknown test '%.*s'", QN_STR_ARG(name));
    bool good = call_builtin(t, "test", test, value, args, &is);
    *out = qn_val_truth(is);
    return good;
}

bool qn_tpl_call(struct qn_tpl *t, struct qn_val callee, const struct qn_tpl_args *args, struct qn_val *out)
{
    switch ((enum qn_val_kind)callee.kind) {
    case QN_VAL_UNDEFINED:
        return qn_tpl_fail_undefined(t, callee);
    case QN_VAL_FUNCTION:
        return call_builtin(t, "function", callee.function, callee, args, out);
    case QN_VAL_METHOD: {
        const struct qn_tpl_method *m = callee.method->method;
        struct qn_tpl_function f = {m->name, m->params, m->call};
        return call_builtin(t, "method", &f, callee.method->object, args, out);
    }
    case QN_VAL_MACRO:
        return qn_tpl_call_macro(t, callee, args, out);
    case QN_VAL_LOOP:
        return qn_tpl_call_loop(t, callee.loop, args, out);
    case QN_VAL_JOINER:
        if (args->count || args->named_count)
            return QN_TPL_FAIL(t, "a joiner takes no arguments");
        *out = callee.cycler->items.items[0];
        if (!callee.cycler->at)
            return qn_val_str_view(t, QN_STR(""), out) && (callee.cycler->at = 1);
        return true;
    default:
        return QN_TPL_FAIL(t, "'%s' object is not callable", qn_val_type(callee));
    }
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

static bool eval_node(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    struct qn_val v;
    switch ((enum qn_tpl_node_kind)n->kind) {
    case QN_NODE_LIST:
    case QN_NODE_TUPLE:
        return eval_list(t, scope, n, out);
    case QN_NODE_DICT:
        return eval_dict(t, scope, n, out);
    case QN_NODE_GETATTR:
    case QN_NODE_GETITEM:
        return eval_member(t, scope, n, out);
    case QN_NODE_SLICE:
        return eval_slice(t, scope, n, out);
    case QN_NODE_CALL:
        return eval_call(t, scope, n, out);
    case QN_NODE_FILTER:
        return eval_filter(t, scope, n, out);
    case QN_NODE_TEST:
        return eval_test(t, scope, n, out);
    case QN_NODE_NOT:
        if (!eval(t, scope, n->a, &v))
            return false;
        *out = qn_val_bool(!qn_val_truth(v));
        return true;
    case QN_NODE_NEGATE:
    case QN_NODE_PLUS:
        return eval_sign(t, scope, n, out);
    case QN_NODE_BINARY:
        return eval_binary(t, scope, n, out);
    case QN_NODE_COMPARE:
        return eval_compare(t, scope, n, out);
    case QN_NODE_CONCAT:
        return eval_concat(t, scope, n, out);
    case QN_NODE_AND:
    case QN_NODE_OR:
        return eval_logic(t, scope, n, out);
    case QN_NODE_COND:
        return eval_cond(t, scope, n, out);
    default:
        return qn_tpl_fail(t, QN_INTERNAL, "a node of kind %u is no expression", n->kind);
    }
}

bool qn_tpl_eval(struct qn_tpl *t, struct qn_scope *scope, const node *n, struct qn_val *out)
{
    t->at = n;
    if (!qn_tpl_step(t, 1))
        return false;
    switch ((enum qn_tpl_node_kind)n->kind) { /* those without parts of their own */
    case QN_NODE_CONST:
        *out = n->value;
        return true;
    case QN_NODE_NAME:
        return eval_name(t, scope, n, out);
    case QN_NODE_CAPTURED:
        *out = t->captured;
        return true;
    default:
        break;
    }
    if (!qn_tpl_enter(t))
        return false;
    bool good = eval_node(t, scope, n, out);
    t->depth--;
    return good;
}

/* The parser of expressions: Jinja2's grammar and precedences. */
#include <stdio.h>
#include <string.h>

#include "text/template/template_ast.h"

typedef struct qn_tpl_node node;
typedef struct qn_tpl_parser parser;

static node *parse_unary(parser *p, bool with_filter);

static node *fail(parser *p, const char *words)
{
    qn_tpl_parse_fail(p, p->at, QN_INVALID_FILE, "%s", words);
    return NULL;
}

/* Appends to a list of siblings; false when there is nothing to append, which is an error already. */
static bool add(node *owner, node ***end, node *item)
{
    if (!item)
        return false;
    **end = item;
    *end = &item->next;
    owner->count++;
    return true;
}

static node *binary(parser *p, enum qn_tpl_node_kind kind, enum qn_tpl_op op, const struct qn_tpl_token *at, node *a,
                    node *b)
{
    node *n = a && b ? qn_tpl_node_new(p, kind, at) : NULL;
    if (n) {
        n->op = (uint8_t)op;
        n->a = a;
        n->b = b;
    }
    return n;
}

/* ---- primaries ------------------------------------------------------------------------------------------------ */

static node *constant(parser *p, const struct qn_tpl_token *at, struct qn_val value)
{
    node *n = qn_tpl_node_new(p, QN_NODE_CONST, at);
    if (n)
        n->value = value;
    return n;
}

/* Texts that stand one behind the other are one. */
static node *parse_string(parser *p)
{
    const struct qn_tpl_token *first = p->at;
    size_t size = 0;
    for (; p->at->kind == QN_TOK_STRING; p->at++)
        size += p->at->text.size;
    char *data = qn_arena_alloc(&p->template->arena, size, 1);
    struct qn_val_str *str = QN_ARENA_NEW(&p->template->arena, struct qn_val_str);
    if (!data || !str) {
        qn_tpl_parse_fail(p, first, QN_OUT_OF_MEMORY, " ");
        return NULL;
    }
    size = 0;
    for (const struct qn_tpl_token *t = first; t < p->at; size += t->text.size, t++)
        memcpy(data + size, t->text.data, t->text.size);
    *str = (struct qn_val_str){data, size, qn_val_chars((struct qn_str){data, size}), NULL};
    return constant(p, first, QN_VAL(QN_VAL_STR, str, str));
}

static void note_use(parser *p, const char *name)
{
    for (node *m = p->macro; m; m = m->other) {
        m->uses_caller |= name == p->template->word_caller;
        m->uses_kwargs |= name == p->template->word_kwargs;
        m->uses_varargs |= name == p->template->word_varargs;
    }
}

static node *parse_name(parser *p, bool with_namespace)
{
    const struct qn_tpl_token *at = p->at++;
    if (qn_str_is(at->text, "true") || qn_str_is(at->text, "True"))
        return constant(p, at, qn_val_bool(true));
    if (qn_str_is(at->text, "false") || qn_str_is(at->text, "False"))
        return constant(p, at, qn_val_bool(false));
    if (qn_str_is(at->text, "none") || qn_str_is(at->text, "None"))
        return constant(p, at, qn_val_none());
    bool reference = with_namespace && qn_tpl_skip_op(p, ".");
    node *n = qn_tpl_node_new(p, reference ? QN_NODE_NSREF : QN_NODE_NAME, at);
    if (!n)
        return NULL;
    n->name = qn_tpl_intern(p, at->text);
    if (!reference) {
        qn_tpl_note_read(p, at->text);
        note_use(p, n->name.data);
        return n;
    }
    if (p->at->kind != QN_TOK_NAME)
        return fail(p, "expected the name of an attribute");
    n->a = qn_tpl_node_new(p, QN_NODE_NAME, p->at);
    if (n->a)
        n->a->name = qn_tpl_intern(p, p->at->text);
    p->at++;
    return n->a ? n : NULL;
}

static node *parse_list(parser *p)
{
    node *n = qn_tpl_node_new(p, QN_NODE_LIST, p->at++), **end = n ? &n->list : NULL;
    while (n && !qn_tpl_is_op(p, "]")) {
        if (n->count && !qn_tpl_expect_op(p, ","))
            return NULL;
        if (qn_tpl_is_op(p, "]"))
            break;
        if (!add(n, &end, qn_tpl_parse_expression(p, true)))
            return NULL;
    }
    return n && qn_tpl_expect_op(p, "]") ? n : NULL;
}

static node *parse_dict(parser *p)
{
    node *n = qn_tpl_node_new(p, QN_NODE_DICT, p->at++), **end = n ? &n->list : NULL;
    while (n && !qn_tpl_is_op(p, "}")) {
        if (n->count && !qn_tpl_expect_op(p, ","))
            return NULL;
        if (qn_tpl_is_op(p, "}"))
            break;
        if (!add(n, &end, qn_tpl_parse_expression(p, true)) || !qn_tpl_expect_op(p, ":") ||
            !add(n, &end, qn_tpl_parse_expression(p, true)))
            return NULL;
    }
    return n && qn_tpl_expect_op(p, "}") ? n : NULL;
}

node *qn_tpl_parse_primary(parser *p, bool with_namespace)
{
    const struct qn_tpl_token *at = p->at;
    char words[64], message[96];
    switch ((enum qn_tpl_token_kind)at->kind) {
    case QN_TOK_NAME:
        return parse_name(p, with_namespace);
    case QN_TOK_STRING:
        return parse_string(p);
    case QN_TOK_INT:
        p->at++;
        return constant(p, at, qn_val_int(at->integer));
    case QN_TOK_FLOAT:
        p->at++;
        return constant(p, at, qn_val_float(at->number));
    default:
        break;
    }
    if (qn_tpl_skip_op(p, "(")) {
        node *n = qn_tpl_parse_tuple(p, true, NULL, true);
        return n && qn_tpl_expect_op(p, ")") ? n : NULL;
    }
    if (qn_tpl_is_op(p, "["))
        return parse_list(p);
    if (qn_tpl_is_op(p, "{"))
        return parse_dict(p);
    snprintf(message, sizeof message, "expected an expression, found %s", qn_tpl_token_words(at, words));
    return fail(p, message);
}

/* ---- subscripts, calls, filters, tests ------------------------------------------------------------------------ */

static node *parse_bound(parser *p)
{
    if (qn_tpl_is_op(p, ":") || qn_tpl_is_op(p, "]") || qn_tpl_is_op(p, ","))
        return qn_tpl_node_new(p, QN_NODE_NOTHING, p->at);
    return qn_tpl_parse_expression(p, true);
}

/* What stands in brackets: an expression, or start:stop:step as a SLICE without an object. */
static node *parse_subscribed(parser *p)
{
    const struct qn_tpl_token *at = p->at;
    node *first = parse_bound(p);
    if (!first || !qn_tpl_is_op(p, ":"))
        return first && first->kind == QN_NODE_NOTHING ? fail(p, "expected an expression between the brackets") : first;
    node *n = qn_tpl_node_new(p, QN_NODE_SLICE, at), **end = n ? &n->list : NULL;
    if (!n || !add(n, &end, first))
        return NULL;
    for (int i = 0; i < 2; i++) {
        node *bound = qn_tpl_skip_op(p, ":") ? parse_bound(p) : qn_tpl_node_new(p, QN_NODE_NOTHING, p->at);
        if (!add(n, &end, bound))
            return NULL;
    }
    return n;
}

static node *parse_subscript(parser *p, node *object)
{
    const struct qn_tpl_token *at = p->at++;
    node *n = NULL;
    if (at->text.data[0] == '.') {
        if (p->at->kind != QN_TOK_NAME && p->at->kind != QN_TOK_INT)
            return fail(p, "expected a name or a number behind the point");
        bool name = p->at->kind == QN_TOK_NAME;
        n = qn_tpl_node_new(p, name ? QN_NODE_GETATTR : QN_NODE_GETITEM, at);
        if (!n)
            return NULL;
        n->a = object;
        if (name)
            n->name = qn_tpl_intern(p, p->at->text);
        else if (!(n->b = constant(p, p->at, qn_val_int(p->at->integer))))
            return NULL;
        p->at++;
        return n;
    }
    node *tuple = qn_tpl_node_new(p, QN_NODE_TUPLE, at), **end = tuple ? &tuple->list : NULL;
    bool sliced = false;
    while (tuple && !qn_tpl_is_op(p, "]")) {
        if (tuple->count && !qn_tpl_expect_op(p, ","))
            return NULL;
        node *part = parse_subscribed(p);
        if (!add(tuple, &end, part))
            return NULL;
        sliced |= part->kind == QN_NODE_SLICE;
        if (tuple->count > 1 && sliced)
            return fail(p, "a slice in several dimensions");
    }
    if (!tuple || !qn_tpl_expect_op(p, "]"))
        return NULL;
    node *key = tuple->count == 1 ? tuple->list : tuple;
    if (key->kind == QN_NODE_SLICE) {
        key->a = object;
        return key;
    }
    return binary(p, QN_NODE_GETITEM, QN_OP_ADD, at, object, key);
}

/* (a, b, *c, name=d, **e): fills the list of `owner`. */
static bool parse_arguments(parser *p, node *owner)
{
    node **end = &owner->list;
    bool spread = false, named = false, spread_named = false;
    p->at++;
    while (!qn_tpl_is_op(p, ")")) {
        if (owner->count && !qn_tpl_expect_op(p, ","))
            return false;
        if (qn_tpl_is_op(p, ")"))
            break;
        const struct qn_tpl_token *at = p->at;
        enum qn_tpl_node_kind kind = QN_NODE_NOTHING;
        if (qn_tpl_skip_op(p, "*"))
            kind = QN_NODE_SPREAD;
        else if (qn_tpl_skip_op(p, "**"))
            kind = QN_NODE_SPREAD_NAMED;
        else if (at->kind == QN_TOK_NAME && at[1].kind == QN_TOK_OPERATOR && qn_str_is(at[1].text, "="))
            kind = QN_NODE_KEYWORD;
        if (spread_named || (kind == QN_NODE_SPREAD && spread) || (kind == QN_NODE_NOTHING && (spread || named)))
            return fail(p, "arguments stand in the wrong order");
        spread |= kind == QN_NODE_SPREAD;
        named |= kind == QN_NODE_KEYWORD;
        spread_named |= kind == QN_NODE_SPREAD_NAMED;
        p->at += kind == QN_NODE_KEYWORD ? 2 : 0;
        node *value = qn_tpl_parse_expression(p, true), *item = value;
        if (value && kind != QN_NODE_NOTHING && (item = qn_tpl_node_new(p, kind, at))) {
            item->a = value;
            if (kind == QN_NODE_KEYWORD)
                item->name = qn_tpl_intern(p, at->text);
        }
        if (!add(owner, &end, item))
            return false;
    }
    return qn_tpl_expect_op(p, ")");
}

static node *parse_call(parser *p, node *callee)
{
    node *n = qn_tpl_node_new(p, QN_NODE_CALL, p->at);
    if (!n || !parse_arguments(p, n))
        return NULL;
    n->a = callee;
    return n;
}

static node *parse_postfix(parser *p, node *n)
{
    while (n) {
        if (qn_tpl_is_op(p, ".") || qn_tpl_is_op(p, "["))
            n = parse_subscript(p, n);
        else if (qn_tpl_is_op(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

/* a.b.c as one name */
static bool parse_dotted(parser *p, node *n)
{
    const struct qn_tpl_token *first = p->at;
    if (first->kind != QN_TOK_NAME)
        return fail(p, "expected a name");
    struct qn_str name = first->text;
    p->at++;
    while (qn_tpl_skip_op(p, ".")) {
        if (p->at->kind != QN_TOK_NAME)
            return fail(p, "expected a name");
        name = qn_arena_printf(&p->template->arena, "%.*s.%.*s", QN_STR_ARG(name), QN_STR_ARG(p->at->text));
        if (!name.data)
            return qn_tpl_parse_fail(p, first, QN_OUT_OF_MEMORY, " ");
        p->at++;
    }
    n->name = qn_tpl_intern(p, name);
    return true;
}

node *qn_tpl_parse_filters(parser *p, node *value, bool first)
{
    while (first || qn_tpl_is_op(p, "|")) {
        if (!first)
            p->at++;
        first = false;
        node *n = qn_tpl_node_new(p, QN_NODE_FILTER, p->at);
        if (!n || !parse_dotted(p, n) || (qn_tpl_is_op(p, "(") && !parse_arguments(p, n)))
            return NULL;
        n->a = value;
        value = n;
    }
    return value;
}

static node *parse_test(parser *p, node *value)
{
    const struct qn_tpl_token *at = p->at++;
    bool negated = qn_tpl_skip_name(p, "not");
    node *n = qn_tpl_node_new(p, QN_NODE_TEST, at), **end = n ? &n->list : NULL;
    if (!n || !parse_dotted(p, n))
        return NULL;
    n->a = value;
    enum qn_tpl_token_kind kind = (enum qn_tpl_token_kind)p->at->kind;
    if (qn_tpl_is_op(p, "(")) {
        if (!parse_arguments(p, n))
            return NULL;
    } else if ((kind == QN_TOK_NAME && !qn_tpl_is_name(p, "else") && !qn_tpl_is_name(p, "or") &&
                !qn_tpl_is_name(p, "and")) ||
               kind == QN_TOK_STRING || kind == QN_TOK_INT || kind == QN_TOK_FLOAT || qn_tpl_is_op(p, "[") ||
               qn_tpl_is_op(p, "{")) {
        if (qn_tpl_is_name(p, "is"))
            return fail(p, "tests with 'is' cannot be chained");
        node *argument = qn_tpl_parse_primary(p, false);
        if (!add(n, &end, argument ? parse_postfix(p, argument) : NULL))
            return NULL;
    }
    if (!negated)
        return n;
    node *not_node = qn_tpl_node_new(p, QN_NODE_NOT, at);
    if (not_node)
        not_node->a = n;
    return not_node;
}

static node *parse_filter_expression(parser *p, node *n)
{
    while (n) {
        if (qn_tpl_is_op(p, "|"))
            n = qn_tpl_parse_filters(p, n, false);
        else if (qn_tpl_is_name(p, "is"))
            n = parse_test(p, n);
        else if (qn_tpl_is_op(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

/* ---- operators ------------------------------------------------------------------------------------------------ */

static node *parse_unary(parser *p, bool with_filter)
{
    const struct qn_tpl_token *at = p->at;
    node *n;
    if (!qn_tpl_parse_depth(p))
        return NULL;
    if (qn_tpl_is_op(p, "-") || qn_tpl_is_op(p, "+")) {
        bool minus = qn_tpl_is_op(p, "-");
        p->at++;
        node *operand = parse_unary(p, false);
        n = operand ? qn_tpl_node_new(p, minus ? QN_NODE_NEGATE : QN_NODE_PLUS, at) : NULL;
        if (n)
            n->a = operand;
    } else {
        n = qn_tpl_parse_primary(p, false);
    }
    n = n ? parse_postfix(p, n) : NULL;
    if (n && with_filter)
        n = parse_filter_expression(p, n);
    p->depth--;
    return n;
}

struct level {
    const char *text;
    enum qn_tpl_op op;
};

static const struct level pow_ops[] = {{"**", QN_OP_POW}, {NULL, QN_OP_ADD}};
static const struct level product_ops[] = {
    {"*", QN_OP_MUL}, {"/", QN_OP_DIV}, {"//", QN_OP_FLOORDIV}, {"%", QN_OP_MOD}, {NULL, QN_OP_ADD}};
static const struct level sum_ops[] = {{"+", QN_OP_ADD}, {"-", QN_OP_SUB}, {NULL, QN_OP_ADD}};
static const struct level compare_ops[] = {{"==", QN_OP_EQ}, {"!=", QN_OP_NE}, {"<", QN_OP_LT},  {"<=", QN_OP_LE},
                                           {">", QN_OP_GT},  {">=", QN_OP_GE}, {NULL, QN_OP_ADD}};

static const struct level *operator_at(const parser *p, const struct level *levels)
{
    for (; levels->text; levels++)
        if (qn_tpl_is_op(p, levels->text))
            return levels;
    return NULL;
}

static node *parse_pow(parser *p)
{
    node *left = parse_unary(p, true);
    while (left && operator_at(p, pow_ops)) {
        const struct qn_tpl_token *at = p->at++;
        left = binary(p, QN_NODE_BINARY, QN_OP_POW, at, left, parse_unary(p, true));
    }
    return left;
}

static node *parse_product(parser *p)
{
    const struct level *op;
    node *left = parse_pow(p);
    while (left && (op = operator_at(p, product_ops))) {
        const struct qn_tpl_token *at = p->at++;
        left = binary(p, QN_NODE_BINARY, op->op, at, left, parse_pow(p));
    }
    return left;
}

static node *parse_concat(parser *p)
{
    const struct qn_tpl_token *at = p->at;
    node *first = parse_product(p);
    if (!first || !qn_tpl_is_op(p, "~"))
        return first;
    node *n = qn_tpl_node_new(p, QN_NODE_CONCAT, at), **end = n ? &n->list : NULL;
    if (!n || !add(n, &end, first))
        return NULL;
    while (qn_tpl_skip_op(p, "~"))
        if (!add(n, &end, parse_product(p)))
            return NULL;
    return n;
}

static node *parse_sum(parser *p)
{
    const struct level *op;
    node *left = parse_concat(p);
    while (left && (op = operator_at(p, sum_ops))) {
        const struct qn_tpl_token *at = p->at++;
        left = binary(p, QN_NODE_BINARY, op->op, at, left, parse_concat(p));
    }
    return left;
}

static node *parse_compare(parser *p)
{
    const struct qn_tpl_token *at = p->at;
    node *first = parse_sum(p), *n = NULL, **end = NULL;
    while (first) {
        const struct qn_tpl_token *op_at = p->at;
        const struct level *level = operator_at(p, compare_ops);
        enum qn_tpl_op op = level ? level->op : QN_OP_IN;
        if (!level && qn_tpl_is_name(p, "not") && p->at[1].kind == QN_TOK_NAME && qn_str_is(p->at[1].text, "in")) {
            op = QN_OP_NOT_IN;
            p->at++;
        } else if (!level && !qn_tpl_is_name(p, "in")) {
            return n ? n : first;
        }
        p->at++;
        node *operand = qn_tpl_node_new(p, QN_NODE_OPERAND, op_at);
        if (!operand || !(operand->a = parse_sum(p)))
            return NULL;
        operand->op = (uint8_t)op;
        if (!n) {
            if (!(n = qn_tpl_node_new(p, QN_NODE_COMPARE, at)))
                return NULL;
            n->a = first;
            end = &n->list;
        }
        add(n, &end, operand);
    }
    return NULL;
}

static node *parse_not(parser *p)
{
    const struct qn_tpl_token *at = p->at;
    if (!qn_tpl_skip_name(p, "not"))
        return parse_compare(p);
    if (!qn_tpl_parse_depth(p))
        return NULL;
    node *operand = parse_not(p), *n = operand ? qn_tpl_node_new(p, QN_NODE_NOT, at) : NULL;
    if (n)
        n->a = operand;
    p->depth--;
    return n;
}

static node *parse_and(parser *p)
{
    node *left = parse_not(p);
    while (left && qn_tpl_is_name(p, "and")) {
        const struct qn_tpl_token *at = p->at++;
        left = binary(p, QN_NODE_AND, QN_OP_ADD, at, left, parse_not(p));
    }
    return left;
}

static node *parse_or(parser *p)
{
    node *left = parse_and(p);
    while (left && qn_tpl_is_name(p, "or")) {
        const struct qn_tpl_token *at = p->at++;
        left = binary(p, QN_NODE_OR, QN_OP_ADD, at, left, parse_and(p));
    }
    return left;
}

node *qn_tpl_parse_expression(parser *p, bool with_if)
{
    if (!qn_tpl_parse_depth(p))
        return NULL;
    node *value = parse_or(p);
    while (value && with_if && qn_tpl_is_name(p, "if")) {
        const struct qn_tpl_token *at = p->at++;
        node *condition = parse_or(p);
        node *other = condition && qn_tpl_skip_name(p, "else") ? qn_tpl_parse_expression(p, true) : NULL;
        if (p->status)
            return NULL;
        value = binary(p, QN_NODE_COND, QN_OP_ADD, at, condition, value);
        if (value)
            value->c = other;
    }
    p->depth--;
    return value;
}

/* ---- tuples and targets --------------------------------------------------------------------------------------- */

static bool is_tuple_end(const parser *p, const char *end)
{
    return p->at->kind == QN_TOK_VARIABLE_END || p->at->kind == QN_TOK_BLOCK_END || qn_tpl_is_op(p, ")") ||
           (end && qn_tpl_is_name(p, end));
}

static node *parse_items(parser *p, bool target, bool with_namespace, bool with_if, const char *end, bool parentheses)
{
    const struct qn_tpl_token *at = p->at;
    node *n = qn_tpl_node_new(p, QN_NODE_TUPLE, at), **tail = n ? &n->list : NULL;
    bool tuple = false;
    while (n) {
        if (n->count && !qn_tpl_expect_op(p, ","))
            return NULL;
        if (is_tuple_end(p, end))
            break;
        if (!add(n, &tail, target ? qn_tpl_parse_primary(p, with_namespace) : qn_tpl_parse_expression(p, with_if)))
            return NULL;
        if (!qn_tpl_is_op(p, ","))
            break;
        tuple = true;
    }
    if (!n || tuple)
        return n;
    if (n->count)
        return n->list;
    return parentheses ? n : fail(p, "expected an expression");
}

node *qn_tpl_parse_tuple(parser *p, bool with_if, const char *end, bool parentheses)
{
    return parse_items(p, false, false, with_if, end, parentheses);
}

static bool check_target(parser *p, const struct qn_tpl_token *at, const node *target)
{
    bool good = target->kind == QN_NODE_NAME || target->kind == QN_NODE_NSREF || target->kind == QN_NODE_TUPLE;
    for (const node *item = target->kind == QN_NODE_TUPLE ? target->list : NULL; item && good; item = item->next)
        if (!check_target(p, at, item))
            return false;
    return good || qn_tpl_parse_fail(p, at, QN_INVALID_FILE, "nothing can be assigned to this");
}

node *qn_tpl_parse_target(parser *p, const char *end, bool with_namespace)
{
    const struct qn_tpl_token *at = p->at;
    node *target = parse_items(p, true, with_namespace, false, end, false);
    return target && check_target(p, at, target) ? target : NULL;
}

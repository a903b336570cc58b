/* The parser of statements, and the compiled template. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "text/template/template_ast.h"
#include "text/template/template_machine.h"

typedef struct qn_tpl_node node;
typedef struct qn_tpl_parser parser;

enum { MAX_NESTING = 200 };

/* ---- what both parsers use ------------------------------------------------------------------------------------ */

qn_status qn_tpl_error_at(enum qn_code code, const char *name, uint32_t line, uint32_t column, const char *words)
{
    return QN_ERROR(code, "%s: line %u, column %u: %s", name, line, column, words);
}

bool qn_tpl_parse_fail(parser *p, const struct qn_tpl_token *at, enum qn_code code, const char *fmt, ...)
{
    char words[512];
    va_list args;
    if (p->status)
        return false;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    p->status =
        code == QN_OUT_OF_MEMORY ? QN_OOM() : qn_tpl_error_at(code, p->template->name, at->line, at->column, words);
    return false;
}

node *qn_tpl_node_new(parser *p, enum qn_tpl_node_kind kind, const struct qn_tpl_token *at)
{
    node *n = p->status ? NULL : QN_ARENA_NEW(&p->template->arena, node);
    if (n) {
        n->kind = (uint8_t)kind;
        n->line = at->line;
        n->column = at->column;
    } else {
        qn_tpl_parse_fail(p, at, QN_OUT_OF_MEMORY, " ");
    }
    return n;
}

static struct qn_tpl_name *name_slot(const struct qn_template *template, struct qn_str name)
{
    uint32_t mask = template->name_capacity - 1;
    uint32_t at = (uint32_t)qn_hash(name.data, name.size) & mask;
    while (template->names[at].text.data && !qn_str_eq(template->names[at].text, name))
        at = (at + 1) & mask;
    return &template->names[at];
}

static bool grow_names(struct qn_template *template)
{
    struct qn_tpl_name *old = template->names;
    uint32_t old_capacity = template->name_capacity;
    uint32_t capacity = old_capacity ? old_capacity * 2 : 64;
    struct qn_tpl_name *names = QN_ARENA_ARRAY(&template->arena, struct qn_tpl_name, capacity);
    if (!names)
        return false;
    template->names = names;
    template->name_capacity = capacity;
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i].text.data)
            *name_slot(template, old[i].text) = old[i];
    return true;
}

static struct qn_tpl_name *intern(parser *p, struct qn_str name)
{
    struct qn_template *template = p->template;
    if (template->name_count * 2 >= template->name_capacity && !grow_names(template)) {
        qn_tpl_parse_fail(p, p->at, QN_OUT_OF_MEMORY, " ");
        return NULL;
    }
    struct qn_tpl_name *slot = name_slot(template, name);
    if (!slot->text.data) {
        slot->text = qn_arena_str(&template->arena, name);
        if (!slot->text.data) {
            qn_tpl_parse_fail(p, p->at, QN_OUT_OF_MEMORY, " ");
            return NULL;
        }
        template->name_count++;
    }
    return slot;
}

struct qn_str qn_tpl_intern(parser *p, struct qn_str name)
{
    struct qn_tpl_name *slot = intern(p, name);
    return slot ? slot->text : (struct qn_str){"", 0};
}

void qn_tpl_note_read(parser *p, struct qn_str name)
{
    struct qn_tpl_name *slot = intern(p, name);
    if (slot)
        slot->read = true;
}

bool qn_tpl_is_op(const parser *p, const char *op)
{
    return p->at->kind == QN_TOK_OPERATOR && qn_str_is(p->at->text, op);
}

bool qn_tpl_is_name(const parser *p, const char *name)
{
    return p->at->kind == QN_TOK_NAME && qn_str_is(p->at->text, name);
}

bool qn_tpl_skip_op(parser *p, const char *op)
{
    bool is = qn_tpl_is_op(p, op);
    p->at += is;
    return is;
}

bool qn_tpl_skip_name(parser *p, const char *name)
{
    bool is = qn_tpl_is_name(p, name);
    p->at += is;
    return is;
}

const char *qn_tpl_token_words(const struct qn_tpl_token *token, char buffer[64])
{
    switch ((enum qn_tpl_token_kind)token->kind) {
    case QN_TOK_END:
        return "the end of the template";
    case QN_TOK_DATA:
        return "text";
    case QN_TOK_BLOCK_BEGIN:
        return "'{%'";
    case QN_TOK_BLOCK_END:
        return "'%}'";
    case QN_TOK_VARIABLE_BEGIN:
        return "'{{'";
    case QN_TOK_VARIABLE_END:
        return "'}}'";
    case QN_TOK_STRING:
        return "a text";
    default:
        snprintf(buffer, 64, "'%.*s'", (int)(token->text.size > 40 ? 40 : token->text.size), token->text.data);
        return buffer;
    }
}

static bool expect(parser *p, const char *wanted, bool is)
{
    char words[64];
    if (!is)
        return qn_tpl_parse_fail(p, p->at, QN_INVALID_FILE, "expected %s, found %s", wanted,
                                 qn_tpl_token_words(p->at, words));
    p->at++;
    return true;
}

bool qn_tpl_expect_op(parser *p, const char *op)
{
    char wanted[8];
    snprintf(wanted, sizeof wanted, "'%s'", op);
    return expect(p, wanted, qn_tpl_is_op(p, op));
}

static bool expect_name(parser *p, const char *name)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, "'%s'", name);
    return expect(p, wanted, qn_tpl_is_name(p, name));
}

static bool expect_block_end(parser *p)
{
    return expect(p, "'%}'", p->at->kind == QN_TOK_BLOCK_END);
}

bool qn_tpl_parse_depth(parser *p)
{
    if (++p->depth > MAX_NESTING) {
        p->depth--;
        return qn_tpl_parse_fail(p, p->at, QN_OUT_OF_RANGE, "nested more than %d levels deep", MAX_NESTING);
    }
    return !p->status;
}

/* ---- bodies --------------------------------------------------------------------------------------------------- */

static node *parse_statement(parser *p);

static node *text_node(parser *p)
{
    const struct qn_tpl_token *at = p->at++;
    node *n = qn_tpl_node_new(p, QN_NODE_TEXT, at);
    if (n)
        n->name = at->text;
    return n;
}

static node *output_node(parser *p)
{
    const struct qn_tpl_token *at = ++p->at;
    node *value = qn_tpl_parse_tuple(p, true, NULL, false);
    node *n = value ? qn_tpl_node_new(p, QN_NODE_OUTPUT, at) : NULL;
    if (!n || !expect(p, "'}}'", p->at->kind == QN_TOK_VARIABLE_END))
        return NULL;
    n->a = value;
    return n;
}

static bool at_end_tag(const parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (qn_tpl_is_name(p, *ends))
            return true;
    return false;
}

/* Statements up to a tag that begins with one of `ends`, which stays to be read (NULL: up to the end of the template).
 * opener: the tag to close, for messages. */
static bool parse_body(parser *p, const char *const *ends, const struct qn_tpl_token *opener, node **body)
{
    if (!qn_tpl_parse_depth(p))
        return false;
    for (node **end = body; !p->status;) {
        node *n = NULL;
        if (p->at->kind == QN_TOK_END) {
            if (ends)
                return qn_tpl_parse_fail(p, opener, QN_INVALID_FILE, "this '%.*s' has no '%s'",
                                         QN_STR_ARG(opener->text), ends[0]);
            break;
        } else if (p->at->kind == QN_TOK_DATA) {
            n = text_node(p);
        } else if (p->at->kind == QN_TOK_VARIABLE_BEGIN) {
            n = output_node(p);
        } else {
            p->at++;
            if (at_end_tag(p, ends))
                break;
            const struct qn_tpl_token *tag = p->at;
            n = parse_statement(p);
            if (n && !expect_block_end(p))
                return false;
            if (!n && !p->status)
                return qn_tpl_parse_fail(p, tag, QN_INTERNAL, "no statement");
        }
        if (n) {
            *end = n;
            while (n->next)
                n = n->next;
            end = &n->next;
        }
    }
    p->depth--;
    return !p->status;
}

/* The body behind a tag; the end tag's name is read too, unless `stop` asks for it. */
static bool parse_block(parser *p, const char *const *ends, const struct qn_tpl_token *opener, node **body)
{
    qn_tpl_skip_op(p, ":");
    return expect_block_end(p) && parse_body(p, ends, opener, body);
}

static bool parse_to(parser *p, const char *end, const struct qn_tpl_token *opener, node **body)
{
    const char *const ends[] = {end, NULL};
    return parse_block(p, ends, opener, body) && expect_name(p, end);
}

/* ---- statements ----------------------------------------------------------------------------------------------- */

static node *parse_for(parser *p, const struct qn_tpl_token *at)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    node *n = qn_tpl_node_new(p, QN_NODE_FOR, at);
    if (!n || !(n->a = qn_tpl_parse_target(p, "in", false)) || !expect_name(p, "in") ||
        !(n->b = qn_tpl_parse_tuple(p, false, "recursive", false)))
        return NULL;
    if (qn_tpl_skip_name(p, "if") && !(n->c = qn_tpl_parse_expression(p, true)))
        return NULL;
    n->flag = qn_tpl_skip_name(p, "recursive");
    p->loops++;
    bool good = parse_block(p, ends, at, &n->body);
    p->loops--;
    if (!good)
        return NULL;
    if (qn_tpl_skip_name(p, "else"))
        return parse_to(p, "endfor", at, &n->other) ? n : NULL;
    return expect_name(p, "endfor") ? n : NULL;
}

static node *parse_if(parser *p, const struct qn_tpl_token *at)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL}, *const last[] = {"endif", NULL};
    node *n = qn_tpl_node_new(p, QN_NODE_IF, at), **end = n ? &n->list : NULL;
    for (bool more = true, other = false; n && more;) {
        node *branch = qn_tpl_node_new(p, QN_NODE_BRANCH, p->at);
        if (!branch || (!other && !(branch->a = qn_tpl_parse_tuple(p, false, NULL, false))) ||
            !parse_block(p, other ? last : ends, at, &branch->body))
            return NULL;
        *end = branch;
        end = &branch->next;
        more = !other && !qn_tpl_is_name(p, "endif");
        other = more && qn_tpl_is_name(p, "else");
        p->at++;
    }
    return n;
}

static node *parse_set(parser *p, const struct qn_tpl_token *at)
{
    node *target = qn_tpl_parse_target(p, NULL, true), *n;
    if (!target)
        return NULL;
    if (qn_tpl_skip_op(p, "=")) {
        n = qn_tpl_node_new(p, QN_NODE_SET, at);
        if (!n || !(n->b = qn_tpl_parse_tuple(p, true, NULL, false)))
            return NULL;
        n->a = target;
        return n;
    }
    n = qn_tpl_node_new(p, QN_NODE_SET_BLOCK, at);
    if (!n)
        return NULL;
    n->a = target;
    if (qn_tpl_is_op(p, "|")) {
        node *captured = qn_tpl_node_new(p, QN_NODE_CAPTURED, p->at);
        if (!captured || !(n->b = qn_tpl_parse_filters(p, captured, false)))
            return NULL;
    }
    return parse_to(p, "endset", at, &n->body) ? n : NULL;
}

static bool parse_signature(parser *p, node *macro)
{
    node **end = &macro->list;
    bool defaults = false;
    if (!qn_tpl_expect_op(p, "("))
        return false;
    while (!qn_tpl_is_op(p, ")")) {
        if (macro->count && !qn_tpl_expect_op(p, ","))
            return false;
        if (p->at->kind != QN_TOK_NAME)
            return expect(p, "the name of a parameter", false);
        node *param = qn_tpl_node_new(p, QN_NODE_PARAM, p->at);
        if (!param)
            return false;
        param->name = qn_tpl_intern(p, p->at->text);
        p->at++;
        if (qn_tpl_skip_op(p, "=")) {
            defaults = true;
            if (!(param->a = qn_tpl_parse_expression(p, true)))
                return false;
        } else if (defaults) {
            return qn_tpl_parse_fail(p, p->at, QN_INVALID_FILE,
                                     "a parameter without a default stands behind one with a default");
        }
        *end = param;
        end = &param->next;
        macro->count++;
    }
    return qn_tpl_expect_op(p, ")");
}

/* The body of a macro, a call block or a generation block: a function of its own, which no `break` leaves. */
static bool parse_function(parser *p, node *n, const char *end, const struct qn_tpl_token *at)
{
    uint32_t loops = p->loops;
    n->other = p->macro;
    p->macro = n;
    p->loops = 0;
    bool good = parse_to(p, end, at, &n->body);
    p->loops = loops;
    p->macro = n->other;
    n->other = NULL;
    return good;
}

/* A parameter of that name is an ordinary one. */
static void hide_parameters(const parser *p, node *macro)
{
    for (const node *param = macro->list; param; param = param->next) {
        if (param->name.data == p->template->word_caller)
            macro->uses_caller = false;
        if (param->name.data == p->template->word_kwargs)
            macro->uses_kwargs = false;
        if (param->name.data == p->template->word_varargs)
            macro->uses_varargs = false;
    }
}

static node *parse_macro(parser *p, const struct qn_tpl_token *at)
{
    node *n = qn_tpl_node_new(p, QN_NODE_MACRO, at);
    if (!n)
        return NULL;
    if (p->at->kind != QN_TOK_NAME) {
        expect(p, "the name of the macro", false);
        return NULL;
    }
    n->name = qn_tpl_intern(p, p->at->text);
    p->at++;
    if (!parse_signature(p, n) || !parse_function(p, n, "endmacro", at))
        return NULL;
    hide_parameters(p, n);
    return n;
}

static node *parse_call_block(parser *p, const struct qn_tpl_token *at)
{
    node *n = qn_tpl_node_new(p, QN_NODE_CALL_BLOCK, at);
    if (!n || (qn_tpl_is_op(p, "(") && !parse_signature(p, n)) || !(n->a = qn_tpl_parse_expression(p, true)))
        return NULL;
    if (n->a->kind != QN_NODE_CALL) {
        qn_tpl_parse_fail(p, at, QN_INVALID_FILE, "expected a call behind 'call'");
        return NULL;
    }
    if (!parse_function(p, n, "endcall", at))
        return NULL;
    hide_parameters(p, n);
    return n;
}

static node *parse_filter_block(parser *p, const struct qn_tpl_token *at)
{
    node *n = qn_tpl_node_new(p, QN_NODE_FILTER_BLOCK, at), *captured = qn_tpl_node_new(p, QN_NODE_CAPTURED, at);
    if (!n || !captured || !(n->b = qn_tpl_parse_filters(p, captured, true)))
        return NULL;
    return parse_to(p, "endfilter", at, &n->body) ? n : NULL;
}

static node *parse_with(parser *p, const struct qn_tpl_token *at)
{
    node *n = qn_tpl_node_new(p, QN_NODE_WITH, at), **end = n ? &n->list : NULL;
    while (n && p->at->kind != QN_TOK_BLOCK_END) {
        if (n->count && !qn_tpl_expect_op(p, ","))
            return NULL;
        node *set = qn_tpl_node_new(p, QN_NODE_SET, p->at);
        if (!set || !(set->a = qn_tpl_parse_target(p, NULL, false)) || !qn_tpl_expect_op(p, "=") ||
            !(set->b = qn_tpl_parse_expression(p, true)))
            return NULL;
        *end = set;
        end = &set->next;
        n->count++;
    }
    return n && parse_to(p, "endwith", at, &n->body) ? n : NULL;
}

static node *parse_generation(parser *p, const struct qn_tpl_token *at)
{
    node *n = qn_tpl_node_new(p, QN_NODE_GENERATION, at);
    return n && parse_function(p, n, "endgeneration", at) ? n : NULL;
}

static node *parse_named_block(parser *p, const struct qn_tpl_token *at)
{
    node *n = qn_tpl_node_new(p, QN_NODE_BLOCK, at);
    if (!n || p->at->kind != QN_TOK_NAME) {
        expect(p, "the name of the block", false);
        return NULL;
    }
    struct qn_str name = p->at->text;
    p->at++;
    n->flag = qn_tpl_skip_name(p, "scoped");
    qn_tpl_skip_name(p, "required");
    if (!parse_function(p, n, "endblock", at))
        return NULL;
    if (p->at->kind == QN_TOK_NAME && qn_str_eq(p->at->text, name))
        p->at++;
    return n;
}

static node *parse_autoescape(parser *p, const struct qn_tpl_token *at)
{
    node *value = qn_tpl_parse_expression(p, true);
    if (!value)
        return NULL;
    if (value->kind != QN_NODE_CONST || value->value.kind != QN_VAL_BOOL || value->value.boolean) {
        qn_tpl_parse_fail(p, at, QN_UNSUPPORTED, "only 'autoescape false' is supported");
        return NULL;
    }
    node *n = qn_tpl_node_new(p, QN_NODE_WITH, at);
    return n && parse_to(p, "endautoescape", at, &n->body) ? n : NULL;
}

/* {% print a, b %}: as many outputs, one behind the other. */
static node *parse_print(parser *p)
{
    node *first = NULL, **end = &first;
    do {
        node *n = qn_tpl_node_new(p, QN_NODE_OUTPUT, p->at);
        if (!n || !(n->a = qn_tpl_parse_expression(p, true)))
            return NULL;
        *end = n;
        end = &n->next;
    } while (qn_tpl_skip_op(p, ","));
    return first;
}

static node *parse_jump(parser *p, const struct qn_tpl_token *at, enum qn_tpl_node_kind kind)
{
    if (p->loops)
        return qn_tpl_node_new(p, kind, at);
    qn_tpl_parse_fail(p, at, QN_INVALID_FILE, "'%.*s' outside of a loop", QN_STR_ARG(at->text));
    return NULL;
}

static node *refuse(parser *p, const struct qn_tpl_token *at)
{
    static const char *const others[] = {"include", "import", "from", "extends"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (qn_str_is(at->text, others[i])) {
            qn_tpl_parse_fail(p, at, QN_UNSUPPORTED,
                              "'%s' is not supported: a chat template is one text, there is no other to load",
                              others[i]);
            return NULL;
        }
    if (at->text.size > 3 && memcmp(at->text.data, "end", 3) == 0)
        qn_tpl_parse_fail(p, at, QN_INVALID_FILE, "'%.*s' closes nothing that is open here", QN_STR_ARG(at->text));
    else
        qn_tpl_parse_fail(p, at, QN_INVALID_FILE, "unknown tag '%.*s'", QN_STR_ARG(at->text));
    return NULL;
}

static node *parse_statement(parser *p)
{
    static const struct {
        const char *name;
        node *(*parse)(parser *p, const struct qn_tpl_token *at);
    } tags[] = {
        {"for", parse_for},           {"if", parse_if},
        {"set", parse_set},           {"macro", parse_macro},
        {"call", parse_call_block},   {"filter", parse_filter_block},
        {"with", parse_with},         {"generation", parse_generation},
        {"block", parse_named_block}, {"autoescape", parse_autoescape},
    };
    const struct qn_tpl_token *at = p->at;
    if (at->kind != QN_TOK_NAME) {
        expect(p, "the name of a tag", false);
        return NULL;
    }
    p->at++;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        if (qn_str_is(at->text, tags[i].name))
            return tags[i].parse(p, at);
    if (qn_str_is(at->text, "print"))
        return parse_print(p);
    if (qn_str_is(at->text, "break"))
        return parse_jump(p, at, QN_NODE_BREAK);
    if (qn_str_is(at->text, "continue"))
        return parse_jump(p, at, QN_NODE_CONTINUE);
    return refuse(p, at);
}

/* ---- the template --------------------------------------------------------------------------------------------- */

/* A copy with \n for every line break, without the last one. */
static qn_status copy_text(struct qn_template *template, struct qn_str text, struct qn_str *out)
{
    char *data = qn_arena_alloc(&template->arena, text.size, 1);
    size_t size = 0;
    if (!data)
        return QN_OOM();
    for (size_t at = 0, length; at < text.size; at += length) {
        uint32_t c;
        length = qn_utf8_decode(text.data + at, text.size - at, &c);
        if (!length)
            return QN_ERROR(QN_INVALID_FILE, "%s: byte %zu is not UTF-8", template->name, at);
        if (c == '\r') {
            data[size++] = '\n';
            length += at + 1 < text.size && text.data[at + 1] == '\n';
        } else {
            memcpy(data + size, text.data + at, length);
            size += length;
        }
    }
    *out = (struct qn_str){data, size - (size && data[size - 1] == '\n')};
    return NULL;
}

static void find_words(parser *p)
{
    p->template->word_loop = qn_tpl_intern(p, QN_STR("loop")).data;
    p->template->word_caller = qn_tpl_intern(p, QN_STR("caller")).data;
    p->template->word_kwargs = qn_tpl_intern(p, QN_STR("kwargs")).data;
    p->template->word_varargs = qn_tpl_intern(p, QN_STR("varargs")).data;
}

static qn_status compile(struct qn_template *template, struct qn_str text, qn_tpl_tokens *tokens)
{
    struct qn_str source;
    QN_TRY(copy_text(template, text, &source));
    QN_TRY(qn_tpl_lex(source, template->name, &template->arena, template->allocator, tokens));
    parser p = {.template = template, .at = tokens->items};
    find_words(&p);
    if (!p.status)
        parse_body(&p, NULL, NULL, &template->body);
    return p.status;
}

qn_status qn_template_compile(const char *text, size_t size, const struct qn_template_options *options,
                              struct qn_template **out)
{
    struct qn_template_options o = {0};
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    const struct qn_allocator *allocator = o.allocator ? o.allocator : qn_allocator_default();
    struct qn_template *template = qn_calloc(allocator, 1, sizeof *template);
    *out = NULL;
    if (!template)
        return QN_OOM();
    template->allocator = allocator;
    qn_arena_init(&template->arena, allocator);
    template->name = qn_arena_str(&template->arena, qn_str_from(o.name ? o.name : "template")).data;
    qn_tpl_tokens tokens = {0};
    qn_status status = template->name ? compile(template, (struct qn_str){text, size}, &tokens) : QN_OOM();
    qn_array_free(&tokens, allocator);
    if (status) {
        qn_template_free(template);
        return status;
    }
    *out = template;
    return NULL;
}

void qn_template_free(struct qn_template *template)
{
    if (!template)
        return;
    qn_arena_deinit(&template->arena);
    qn_free(template->allocator, template, sizeof *template);
}

bool qn_template_reads(const struct qn_template *template, const char *name)
{
    return template->name_capacity && name_slot(template, qn_str_from(name))->read;
}

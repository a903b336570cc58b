#include "text/template/template_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"

/* ---- errors and limits ---------------------------------------------------------------------------------------- */

bool qn_tpl_fail(struct qn_tpl *t, enum qn_code code, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    if (t->status)
        return false;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    const struct qn_tpl_node *at = t->at;
    t->status = qn_tpl_error_at(code, t->template->name, at ? at->line : 1, at ? at->column : 1, words);
    return false;
}

bool qn_tpl_oom(struct qn_tpl *t)
{
    if (t->budget.passed)
        return qn_tpl_fail(t, QN_OUT_OF_RANGE, "the template takes more than the limit of %zu bytes of memory",
                           t->budget.limit);
    if (!t->status)
        t->status = QN_OOM();
    return false;
}

bool qn_tpl_steps_passed(struct qn_tpl *t)
{
    return qn_tpl_fail(t, QN_OUT_OF_RANGE, "the template takes more than the limit of %llu steps",
                       (unsigned long long)t->max_steps);
}

bool qn_tpl_enter(struct qn_tpl *t)
{
    if (++t->depth > t->max_depth) {
        t->depth--;
        return qn_tpl_fail(t, QN_OUT_OF_RANGE, "the template nests deeper than the limit of %u levels", t->max_depth);
    }
    return true;
}

static void *budget_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    struct qn_tpl_budget *budget = context;
    if (new_size > old_size && new_size - old_size > budget->limit - budget->used) {
        budget->passed = true;
        return NULL;
    }
    void *out = budget->inner->resize(budget->inner->context, ptr, old_size, new_size);
    if (out || new_size == 0)
        budget->used = budget->used - old_size + new_size;
    return out;
}

void *qn_tpl_alloc(struct qn_tpl *t, size_t size)
{
    if (!qn_tpl_step(t, size / 256))
        return NULL;
    void *out = qn_arena_alloc(&t->arena, size, 16);
    if (!out)
        qn_tpl_oom(t);
    return out;
}

void *qn_tpl_array(struct qn_tpl *t, size_t count, size_t elem_size)
{
    size_t size;
    if (!qn_mul_size(count, elem_size, &size)) {
        qn_tpl_oom(t);
        return NULL;
    }
    return qn_tpl_alloc(t, size);
}

bool qn_tpl_buf_ok(struct qn_tpl *t, const struct qn_strbuf *buf)
{
    if (buf->failed)
        return qn_tpl_oom(t);
    if (buf->size > t->max_output)
        return qn_tpl_fail(t, QN_OUT_OF_RANGE, "the template writes more than the limit of %zu bytes", t->max_output);
    return true;
}

/* ---- arguments ------------------------------------------------------------------------------------------------ */

static bool bind_named(struct qn_tpl *t, const char *what, const char *name, const char *params,
                       const struct qn_tpl_kwarg *named, struct qn_val out[QN_TPL_PARAMS])
{
    size_t at = 0;
    for (const char *p = params; *p; at++) {
        size_t size = strcspn(p, ",="), skip = strcspn(p, ",");
        if (named->name.size == size && memcmp(named->name.data, p, size) == 0) {
            if (out[at].kind)
                return QN_TPL_FAIL(t, "%s '%s' got two values for '%.*s'", what, name, (int)size, p);
            out[at] = named->value;
            return true;
        }
        p += skip + (p[skip] == ',');
    }
    return QN_TPL_FAIL(t, "%s '%s' has no parameter '%.*s'", what, name, QN_STR_ARG(named->name));
}

bool qn_tpl_bind(struct qn_tpl *t, const char *what, const char *name, const char *params,
                 const struct qn_tpl_args *args, struct qn_val out[QN_TPL_PARAMS])
{
    uint32_t count = 0;
    memset(out, 0, QN_TPL_PARAMS * sizeof *out);
    for (const char *p = params; *p; count++) {
        size_t skip = strcspn(p, ",");
        p += skip + (p[skip] == ',');
    }
    if (args->count > count)
        return QN_TPL_FAIL(t, "%s '%s' takes at most %u arguments, %u are given", what, name, count, args->count);
    for (uint32_t i = 0; i < args->count; i++)
        out[i] = args->items[i];
    for (uint32_t i = 0; i < args->named_count; i++)
        if (!bind_named(t, what, name, params, &args->named[i], out))
            return false;
    size_t at = 0;
    for (const char *p = params; *p; at++) {
        size_t size = strcspn(p, ",=");
        if (!out[at].kind && p[size] != '=')
            return QN_TPL_FAIL(t, "%s '%s' lacks the argument '%.*s'", what, name, (int)size, p);
        size_t skip = strcspn(p, ",");
        p += skip + (p[skip] == ',');
    }
    return true;
}

bool qn_tpl_arg_int(struct qn_tpl *t, struct qn_val v, const char *what, int64_t missing, int64_t *out)
{
    *out = missing;
    if (!v.kind)
        return true;
    if (!qn_val_is_integer(v))
        return v.kind == QN_VAL_UNDEFINED ? qn_tpl_fail_undefined(t, v)
                                          : QN_TPL_FAIL(t, "'%s' must be an integer, not %s", what, qn_val_type(v));
    *out = qn_val_as_int(v);
    return true;
}

bool qn_tpl_arg_str(struct qn_tpl *t, struct qn_val v, const char *what, struct qn_str *out)
{
    if (v.kind == QN_VAL_UNDEFINED)
        return qn_tpl_fail_undefined(t, v);
    if (v.kind != QN_VAL_STR)
        return QN_TPL_FAIL(t, "'%s' must be a text, not %s", what, qn_val_type(v));
    *out = qn_val_text(v);
    return true;
}

bool qn_tpl_fail_undefined(struct qn_tpl *t, struct qn_val v)
{
    const struct qn_val_undefined *u = v.undefined;
    if (u->hint)
        return QN_TPL_FAIL(t, "%s", u->hint);
    if (!u->object.kind)
        return QN_TPL_FAIL(t, "'%.*s' is undefined", QN_STR_ARG(qn_val_text(u->name)));
    const char *object = u->object.kind == QN_VAL_NONE ? "None" : qn_val_type(u->object);
    const char *suffix = u->object.kind == QN_VAL_NONE ? "" : " object";
    if (u->name.kind == QN_VAL_STR)
        return QN_TPL_FAIL(t, "'%s%s' has no attribute '%.*s'", object, suffix, QN_STR_ARG(qn_val_text(u->name)));
    struct qn_strbuf key;
    qn_strbuf_init(&key, &t->allocator);
    if (qn_val_repr(t, u->name, &key))
        QN_TPL_FAIL(t, "%s%s has no element %.*s", object, suffix, QN_STR_ARG(qn_strbuf_view(&key)));
    qn_strbuf_deinit(&key);
    return false;
}

/* ---- scopes --------------------------------------------------------------------------------------------------- */

struct qn_scope *qn_scope_new(struct qn_tpl *t, struct qn_scope *parent)
{
    struct qn_scope *scope = qn_tpl_alloc(t, sizeof *scope);
    if (scope)
        scope->parent = parent;
    return scope;
}

bool qn_scope_set(struct qn_tpl *t, struct qn_scope *scope, const char *name, struct qn_val value)
{
    for (uint32_t i = 0; i < scope->count; i++)
        if (scope->vars[i].name == name) {
            scope->vars[i].value = value;
            return true;
        }
    if (!qn_tpl_step(t, scope->count / 16))
        return false;
    if (scope->count == scope->capacity) {
        uint32_t capacity = scope->capacity ? scope->capacity * 2 : 8;
        struct qn_scope_var *vars = qn_tpl_array(t, capacity, sizeof *vars);
        if (!vars)
            return false;
        if (scope->count)
            memcpy(vars, scope->vars, scope->count * sizeof *vars);
        scope->vars = vars;
        scope->capacity = capacity;
    }
    scope->vars[scope->count++] = (struct qn_scope_var){name, value};
    return true;
}

/* ---- the caller's variables ----------------------------------------------------------------------------------- */

static bool from_json(struct qn_tpl *t, const struct qn_json *json, struct qn_val *out);

static bool list_from_json(struct qn_tpl *t, const struct qn_json *json, struct qn_val *out)
{
    if (!qn_val_list_new(t, json->size, out))
        return false;
    const struct qn_json *item = qn_json_first(json);
    for (uint32_t i = 0; i < json->size; i++, item = qn_json_next(item)) {
        struct qn_val value;
        if (!from_json(t, item, &value) || !qn_val_list_push(t, out->list, value))
            return false;
    }
    return true;
}

static bool dict_from_json(struct qn_tpl *t, const struct qn_json *json, struct qn_val *out)
{
    if (!qn_val_dict_new(t, out))
        return false;
    const struct qn_json *key = qn_json_first(json);
    for (uint32_t i = 0; i < json->size; i++) {
        const struct qn_json *item = qn_json_next(key);
        struct qn_val name, value;
        if (!from_json(t, key, &name) || !from_json(t, item, &value) || !qn_val_dict_set(t, out->dict, name, value))
            return false;
        key = qn_json_next(item);
    }
    return true;
}

static bool from_json(struct qn_tpl *t, const struct qn_json *json, struct qn_val *out)
{
    switch (json->kind) {
    case QN_JSON_NULL:
        *out = qn_val_none();
        return true;
    case QN_JSON_BOOL:
        *out = qn_val_bool(json->boolean);
        return true;
    case QN_JSON_INT:
        *out = qn_val_int(json->integer);
        return true;
    case QN_JSON_DOUBLE:
        *out = qn_val_float(json->number);
        return true;
    case QN_JSON_STRING:
        return qn_val_str_view(t, qn_json_str(json), out);
    case QN_JSON_ARRAY:
        return list_from_json(t, json, out);
    case QN_JSON_OBJECT:
        return dict_from_json(t, json, out);
    }
    return QN_TPL_FAIL(t, "a variable of an unknown kind");
}

/* ---- rendering ------------------------------------------------------------------------------------------------ */

static qn_status read_variables(struct qn_tpl *t, struct qn_str json, struct qn_val *out)
{
    const struct qn_json *root = NULL;
    if (json.size) {
        const struct qn_json_options options = {.name = "template variables"};
        qn_status status = qn_json_read(json, &options, &t->arena, &root);
        if (status && t->budget.passed) {
            qn_status_ignore(status);
            qn_tpl_oom(t);
            return t->status;
        }
        QN_TRY(status);
        if (root->kind != QN_JSON_OBJECT)
            return QN_ERROR(QN_INVALID_ARGUMENT, "template variables: expected an object, found %s",
                            qn_json_kind_name(root->kind));
        from_json(t, root, out);
    } else {
        qn_val_dict_new(t, out);
    }
    return t->status;
}

static qn_status append_output(const struct qn_strbuf *buf, struct qn_text *out)
{
    const struct qn_allocator *allocator = out->allocator ? out->allocator : qn_allocator_default();
    size_t need;
    if (!qn_add_size(out->size, buf->size, &need) || !qn_add_size(need, 1, &need))
        return QN_OOM();
    if (need > out->capacity) {
        char *data = qn_resize(allocator, out->data, out->capacity, need);
        if (!data)
            return QN_OOM();
        out->data = data;
        out->capacity = need;
    }
    if (buf->size)
        memcpy(out->data + out->size, buf->data, buf->size);
    out->size += buf->size;
    out->data[out->size] = 0;
    return NULL;
}

static qn_status run(struct qn_tpl *t, struct qn_str json, struct qn_text *out)
{
    struct qn_val variables = {0};
    QN_TRY(read_variables(t, json, &variables));
    t->variables = variables.dict;
    t->root = qn_scope_new(t, NULL);
    if (!t->root || !qn_tpl_run_root(t))
        return t->status;
    QN_TRY(append_output(t->final, out));
    for (uint32_t i = 0; i < t->generations.count && t->options->on_generation; i++)
        t->options->on_generation(t->options->context, t->generations.items[i].begin, t->generations.items[i].end);
    return NULL;
}

qn_status qn_template_render(const struct qn_template *template, const char *json, size_t size,
                             const struct qn_template_render_options *options, struct qn_text *out)
{
    struct qn_template_render_options o = {0};
    struct qn_strbuf buf;
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    struct qn_tpl t = {
        .template = template,
        .options = &o,
        .budget = {.inner = template->allocator, .limit = o.max_memory ? o.max_memory : (size_t)256 << 20},
        .max_steps = o.max_steps ? o.max_steps : 50000000,
        .max_depth = o.max_depth ? o.max_depth : 1500,
        .max_output = o.max_output ? o.max_output : (size_t)64 << 20,
    };
    t.allocator = (struct qn_allocator){&t.budget, budget_resize};
    qn_arena_init(&t.arena, &t.allocator);
    qn_strbuf_init(&buf, &t.allocator);
    t.out = t.final = &buf;
    qn_status status = run(&t, (struct qn_str){json, size}, out);
    qn_array_free(&t.generations, &t.allocator);
    qn_strbuf_deinit(&buf);
    qn_arena_deinit(&t.arena);
    return status;
}

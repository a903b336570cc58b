/* Fields of tokenizer.json. */
#include "base/utf8.h"
#include "text/tokenizer/tokenizer_json.h"

const struct qn_json *qn_field(const struct qn_json *object, const char *key)
{
    const struct qn_json *value = qn_json_member(object, key);
    return value && value->kind != QN_JSON_NULL ? value : NULL;
}

static qn_status fail_missing(const char *key)
{
    return QN_ERROR(QN_INVALID_FILE, "'%s' is missing", key);
}

static qn_status fail_kind(const char *key, const char *expected, const struct qn_json *found)
{
    return QN_ERROR(QN_INVALID_FILE, "'%s' is a %s, expected %s", key, qn_json_kind_name(found->kind), expected);
}

qn_status qn_json_expect(const struct qn_json *value, const char *what, enum qn_json_kind kind)
{
    if (!value)
        return fail_missing(what);
    return value->kind == kind ? NULL : fail_kind(what, qn_json_kind_name(kind), value);
}

qn_status qn_field_bool(const struct qn_json *object, const char *key, bool needed, bool *out)
{
    const struct qn_json *value = qn_field(object, key);
    if (!value)
        return needed ? fail_missing(key) : NULL;
    if (value->kind != QN_JSON_BOOL)
        return fail_kind(key, "true or false", value);
    *out = value->boolean;
    return NULL;
}

qn_status qn_field_count(const struct qn_json *object, const char *key, bool needed, uint64_t *out)
{
    const struct qn_json *value = qn_field(object, key);
    if (!value)
        return needed ? fail_missing(key) : NULL;
    if (value->kind != QN_JSON_INT)
        return fail_kind(key, "a whole number", value);
    if (value->integer < 0)
        return QN_ERROR(QN_INVALID_FILE, "'%s' is %lld, expected 0 or more", key, (long long)value->integer);
    *out = (uint64_t)value->integer;
    return NULL;
}

qn_status qn_field_text(const struct qn_json *object, const char *key, bool needed, struct qn_arena *arena,
                        struct qn_str *out)
{
    const struct qn_json *value = qn_field(object, key);
    if (!value)
        return needed ? fail_missing(key) : NULL;
    if (value->kind != QN_JSON_STRING)
        return fail_kind(key, "a string", value);
    *out = qn_arena_str(arena, qn_json_str(value));
    return out->data ? NULL : QN_OOM();
}

qn_status qn_field_character(const struct qn_json *object, const char *key, uint32_t *out)
{
    const struct qn_json *value = qn_field(object, key);
    if (!value)
        return fail_missing(key);
    if (value->kind != QN_JSON_STRING)
        return fail_kind(key, "a string of one character", value);
    struct qn_str text = qn_json_str(value);
    if (text.size == 0 || qn_utf8_decode(text.data, text.size, out) != text.size)
        return QN_ERROR(QN_INVALID_FILE, "'%s' is '%.*s', expected one character", key, QN_STR_ARG(text));
    return NULL;
}

qn_status qn_field_choice(const struct qn_json *object, const char *key, bool needed, const char *const *names,
                          int *out)
{
    const struct qn_json *value = qn_field(object, key);
    if (!value)
        return needed ? fail_missing(key) : NULL;
    if (value->kind != QN_JSON_STRING)
        return fail_kind(key, "a string", value);
    for (int i = 0; names[i]; i++)
        if (qn_str_is(qn_json_str(value), names[i])) {
            *out = i;
            return NULL;
        }
    return QN_ERROR(QN_UNSUPPORTED, "'%s' is '%.*s', which is not known", key, QN_STR_ARG(qn_json_str(value)));
}

qn_status qn_json_id(const struct qn_json *value, const char *what, int32_t *out)
{
    if (!value)
        return fail_missing(what);
    if (value->kind != QN_JSON_INT)
        return fail_kind(what, "a token id", value);
    if (value->integer < 0 || value->integer >= INT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "'%s' is %lld, which is no token id", what, (long long)value->integer);
    *out = (int32_t)value->integer;
    return NULL;
}

void *qn_arena_push(struct qn_arena *arena, void *items, uint32_t *count, uint32_t *capacity, size_t elem_size)
{
    if (*count == *capacity) {
        uint32_t grown = *capacity ? *capacity * 2 : 4;
        void *room = grown < *capacity ? NULL : qn_arena_array(arena, grown, elem_size, 16);
        if (!room)
            return NULL;
        if (*count)
            memcpy(room, items, *count * elem_size);
        items = room;
        *capacity = grown;
    }
    (*count)++;
    return items;
}

qn_status qn_pipeline_regex(struct qn_pipeline_reader *r, struct qn_str pattern, bool literal, struct qn_regex **out)
{
    struct qn_pipeline *p = r->pipeline;
    struct qn_strbuf escaped;
    qn_strbuf_init(&escaped, r->arena->allocator);
    for (size_t i = 0; i < pattern.size && literal; i++) {
        if (pattern.data[i] && strchr("\\.+*?()|[]{}^$", pattern.data[i]))
            qn_strbuf_append(&escaped, "\\", 1);
        qn_strbuf_append(&escaped, pattern.data + i, 1);
    }
    struct qn_regex **regexes =
        qn_arena_push(r->arena, p->regexes, &p->regex_count, &p->regex_capacity, sizeof *p->regexes);
    qn_status status = escaped.failed || !regexes ? QN_OOM() : NULL;
    if (regexes) {
        p->regexes = regexes;
        p->regexes[p->regex_count - 1] = NULL;
    }
    if (!status)
        status = qn_regex_create(literal ? qn_strbuf_view(&escaped) : pattern, r->arena->allocator, out);
    if (!status)
        p->regexes[p->regex_count - 1] = *out;
    qn_strbuf_deinit(&escaped);
    return status;
}

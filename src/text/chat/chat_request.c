/* From a request to the variables of the template. */
#define _GNU_SOURCE
#include <string.h>

#include "base/utf8.h"
#include "text/chat/chat_parts.h"

static const char continue_tag[] = "CONTINUE_FINAL_MESSAGE_TAG ";

struct request {
    const struct qn_chat *chat;
    struct qn_arena arena;
    struct qn_strbuf json;
    struct qn_json_writer writer;
    bool mark; /* the texts written now are untrusted */
    bool last; /* the message written now is to be continued */
    bool continued;
};

/* ---- values --------------------------------------------------------------------------------------------------- */

static size_t control_at(const struct qn_chat *chat, struct qn_str text)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < chat->controls.count; i++)
        if (chat->controls.items[i].size > longest && qn_str_starts(text, chat->controls.items[i]))
            longest = chat->controls.items[i].size;
    return longest;
}

/* The text with its control tokens between marks, and without marks of its own. */
static struct qn_str marked(struct request *r, struct qn_str text)
{
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, r->chat->allocator);
    for (size_t at = 0, size; at < text.size; at += size) {
        struct qn_str rest = {text.data + at, text.size - at};
        size = control_at(r->chat, rest);
        if (size) {
            qn_strbuf_add(&buf, "\xef\xb7\x90");
            qn_strbuf_append(&buf, rest.data, size);
            qn_strbuf_add(&buf, "\xef\xb7\x91");
            continue;
        }
        size = qn_utf8_step(rest.data, rest.size);
        if (size != 3 || memcmp(rest.data, "\xef\xb7", 2) != 0 || ((uint8_t)rest.data[2] & 0xfe) != 0x90)
            qn_strbuf_append(&buf, rest.data, size);
    }
    struct qn_str out = qn_arena_str(&r->arena, qn_strbuf_view(&buf));
    if (buf.failed || !out.data) {
        r->json.failed = true;
        out = QN_STR("");
    }
    qn_strbuf_deinit(&buf);
    return out;
}

static void put_key(struct request *r, struct qn_str key)
{
    struct qn_str copy = qn_arena_str(&r->arena, key); /* terminated */
    r->json.failed |= !copy.data;
    qn_json_key(&r->writer, copy.data ? copy.data : "");
}

static void put_value(struct request *r, const struct qn_json *v)
{
    const struct qn_json *item = v->kind >= QN_JSON_ARRAY ? qn_json_first(v) : NULL;
    switch (v->kind) {
    case QN_JSON_NULL:
        qn_json_write_null(&r->writer);
        return;
    case QN_JSON_BOOL:
        qn_json_write_bool(&r->writer, v->boolean);
        return;
    case QN_JSON_INT:
        qn_json_write_int(&r->writer, v->integer);
        return;
    case QN_JSON_DOUBLE: {
        size_t before = r->json.size;
        qn_json_write_double(&r->writer, v->number);
        if (r->json.data && !r->json.failed && !strpbrk(r->json.data + before, ".eEn"))
            qn_strbuf_add(&r->json, ".0"); /* 1.0 stays a float */
        return;
    }
    case QN_JSON_STRING:
        qn_json_write_str(&r->writer, r->mark ? marked(r, qn_json_str(v)) : qn_json_str(v));
        return;
    case QN_JSON_ARRAY:
        qn_json_begin_array(&r->writer);
        for (uint32_t i = 0; i < v->size; i++, item = qn_json_next(item))
            put_value(r, item);
        qn_json_end_array(&r->writer);
        return;
    case QN_JSON_OBJECT:
        qn_json_begin_object(&r->writer);
        for (uint32_t i = 0; i < v->size; i++, item = qn_json_next(item)) {
            put_key(r, qn_json_str(item));
            item = qn_json_next(item);
            put_value(r, item);
        }
        qn_json_end_object(&r->writer);
        return;
    }
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

/* The arguments as a text, for templates that want them so. */
static void put_as_text(struct request *r, const struct qn_json *v)
{
    struct qn_strbuf all = r->json;
    struct qn_json_writer writer = r->writer;
    qn_strbuf_init(&r->json, r->chat->allocator);
    r->writer = (struct qn_json_writer){.out = &r->json};
    put_value(r, v);
    struct qn_str text = qn_arena_str(&r->arena, qn_strbuf_view(&r->json));
    bool failed = r->json.failed || !text.data;
    qn_strbuf_deinit(&r->json);
    r->json = all;
    r->writer = writer;
    r->json.failed |= failed;
    qn_json_write_str(&r->writer, text.data ? text : QN_STR(""));
}

/* Arguments that are a text with a JSON object, as the OpenAI interface sends them, become the object. */
static void put_arguments(struct request *r, const struct qn_json *v)
{
    if (r->chat->arguments_as_text && v->kind == QN_JSON_OBJECT) {
        put_as_text(r, v);
        return;
    }
    if (r->chat->arguments_as_text) {
        put_value(r, v);
        return;
    }
    const struct qn_json *object = NULL;
    qn_status status = v->kind == QN_JSON_STRING ? qn_json_read(qn_json_str(v), NULL, &r->arena, &object) : NULL;
    qn_status_free(status);
    put_value(r, !status && object && object->kind == QN_JSON_OBJECT ? object : v);
}

/* Copies an object; the value of `key` goes through `put`. */
static void put_with(struct request *r, const struct qn_json *object, const char *key,
                     void (*put)(struct request *r, const struct qn_json *v))
{
    if (object->kind != QN_JSON_OBJECT) {
        put_value(r, object);
        return;
    }
    const struct qn_json *item = qn_json_first(object);
    qn_json_begin_object(&r->writer);
    for (uint32_t i = 0; i < object->size; i++, item = qn_json_next(item)) {
        bool is = qn_str_is(qn_json_str(item), key);
        put_key(r, qn_json_str(item));
        item = qn_json_next(item);
        (is ? put : put_value)(r, item);
    }
    qn_json_end_object(&r->writer);
}

static void put_function(struct request *r, const struct qn_json *v)
{
    put_with(r, v, "arguments", put_arguments);
}

static void put_calls(struct request *r, const struct qn_json *v)
{
    if (v->kind != QN_JSON_ARRAY) {
        put_value(r, v);
        return;
    }
    const struct qn_json *item = qn_json_first(v);
    qn_json_begin_array(&r->writer);
    for (uint32_t i = 0; i < v->size; i++, item = qn_json_next(item))
        put_with(r, item, "function", put_function);
    qn_json_end_array(&r->writer);
}

static const struct qn_json *reasoning_of(const struct qn_json *message)
{
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    for (size_t i = 0; i < 3; i++) {
        const struct qn_json *v = qn_json_member(message, names[i]);
        if (v && v->kind != QN_JSON_NULL)
            return v;
    }
    return NULL;
}

static void put_content(struct request *r, const struct qn_json *v)
{
    if (!r->last || v->kind != QN_JSON_STRING) {
        put_value(r, v);
        return;
    }
    char *joined = qn_arena_alloc(&r->arena, v->size + sizeof continue_tag, 1);
    if (!joined) {
        r->json.failed = true;
        return;
    }
    memcpy(joined, v->text, v->size);
    memcpy(joined + v->size, continue_tag, sizeof continue_tag);
    qn_json_write_str(&r->writer, (struct qn_str){joined, v->size + sizeof continue_tag - 1});
    r->continued = true;
}

static void put_message(struct request *r, const struct qn_json *message, bool marks)
{
    if (message->kind != QN_JSON_OBJECT) {
        put_value(r, message);
        return;
    }
    const struct qn_json *role = qn_json_member(message, "role"), *reasoning = reasoning_of(message);
    bool assistant = role && role->kind == QN_JSON_STRING && qn_str_is(qn_json_str(role), "assistant");
    const struct qn_json *item = qn_json_first(message);
    qn_json_begin_object(&r->writer);
    if (reasoning && !qn_json_member(message, "thinking")) {
        qn_json_key(&r->writer, "thinking");
        put_value(r, reasoning);
    }
    for (uint32_t i = 0; i < message->size; i++, item = qn_json_next(item)) {
        struct qn_str key = qn_json_str(item);
        item = qn_json_next(item);
        if (reasoning && qn_str_is(key, "reasoning_content"))
            continue;
        put_key(r, key);
        r->mark = marks && !assistant && !qn_str_is(key, "role");
        if (qn_str_is(key, "tool_calls"))
            put_calls(r, item);
        else if (qn_str_is(key, "content"))
            put_content(r, item);
        else
            put_value(r, item);
        r->mark = false;
    }
    if (reasoning) {
        qn_json_key(&r->writer, "reasoning_content");
        put_value(r, reasoning);
    }
    qn_json_end_object(&r->writer);
}

/* ---- the request ---------------------------------------------------------------------------------------------- */

static void put_token(struct request *r, const char *name, enum qn_token_role role, const struct qn_json *root)
{
    const struct qn_tokenizer *t = r->chat->tokenizer;
    int32_t id = t ? qn_tokenizer_role(t, role) : QN_TOKEN_NONE;
    struct qn_str text;
    if (id == QN_TOKEN_NONE || qn_json_member(root, name))
        return;
    text.data = qn_tokenizer_text(t, id, &text.size);
    qn_json_key(&r->writer, name);
    qn_json_write_str(&r->writer, text);
}

static void put_request(struct request *r, const struct qn_json *root, bool marks, bool continued)
{
    static const char *const optional[] = {"tools", "documents"};
    const struct qn_json *item = qn_json_first(root);
    qn_json_begin_object(&r->writer);
    for (uint32_t i = 0; i < root->size; i++, item = qn_json_next(item)) {
        struct qn_str key = qn_json_str(item);
        item = qn_json_next(item);
        put_key(r, key);
        if (!qn_str_is(key, "messages") || item->kind != QN_JSON_ARRAY) {
            put_value(r, item);
            continue;
        }
        const struct qn_json *message = qn_json_first(item);
        qn_json_begin_array(&r->writer);
        for (uint32_t j = 0; j < item->size; j++, message = qn_json_next(message)) {
            r->last = continued && j + 1 == item->size;
            put_message(r, message, marks);
        }
        r->last = false;
        qn_json_end_array(&r->writer);
    }
    for (size_t i = 0; i < 2; i++)
        if (!qn_json_member(root, optional[i])) {
            qn_json_key(&r->writer, optional[i]);
            qn_json_write_null(&r->writer);
        }
    if (!qn_json_member(root, "add_generation_prompt")) {
        qn_json_key(&r->writer, "add_generation_prompt");
        qn_json_write_bool(&r->writer, false);
    }
    put_token(r, "bos_token", QN_TOKEN_BOS, root);
    put_token(r, "eos_token", QN_TOKEN_EOS, root);
    put_token(r, "unk_token", QN_TOKEN_UNK, root);
    put_token(r, "sep_token", QN_TOKEN_SEP, root);
    put_token(r, "pad_token", QN_TOKEN_PAD, root);
    put_token(r, "mask_token", QN_TOKEN_MASK, root);
    qn_json_end_object(&r->writer);
}

/* Cuts the text where the last message ends, and white space that the template would have trimmed with it. */
static qn_status cut_end(struct qn_text *out, size_t before)
{
    const size_t tag = sizeof continue_tag - 2; /* without its space */
    for (size_t at = out->size; at-- > before;) {
        if (out->size - at < tag || memcmp(out->data + at, continue_tag, tag) != 0)
            continue;
        bool kept = out->size - at > tag && out->data[at + tag] == ' ';
        while (!kept && at > before && strchr(" \t\r\n", out->data[at - 1]))
            at--;
        out->size = at;
        out->data[at] = 0;
        return NULL;
    }
    return QN_ERROR(QN_INVALID_ARGUMENT, "continue_final_message: the template does not write the last message");
}

static bool is_set(const struct qn_json *v)
{
    return v && v->kind != QN_JSON_NULL && !(v->kind == QN_JSON_BOOL && !v->boolean) &&
           !(v->kind == QN_JSON_ARRAY && !v->size);
}

static qn_status render(struct request *r, struct qn_str request, bool marks, struct qn_text *out)
{
    const struct qn_json_options json_options = {.name = "chat request"};
    const struct qn_template_render_options options = {.struct_size = sizeof options,
                                                       .now = r->chat->timed ? &r->chat->now : NULL};
    const struct qn_json *root;
    QN_TRY(qn_json_read(request, &json_options, &r->arena, &root));
    const struct qn_json *messages = qn_json_member(root, "messages");
    if (!messages || messages->kind != QN_JSON_ARRAY)
        return QN_ERROR(QN_INVALID_ARGUMENT, "chat request: expected an object with a list 'messages'");
    bool continued = is_set(qn_json_member(root, "continue_final_message"));
    if (continued && is_set(qn_json_member(root, "add_generation_prompt")))
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "chat request: continue_final_message and add_generation_prompt exclude each other");
    put_request(r, root, marks, continued);
    if (r->json.failed)
        return QN_OOM();
    if (continued && !r->continued)
        return QN_ERROR(QN_INVALID_ARGUMENT, "continue_final_message: the last message has no text");
    const struct qn_template *template =
        r->chat->with_tools && is_set(qn_json_member(root, "tools")) ? r->chat->with_tools : r->chat->usual;
    size_t before = out->size;
    QN_TRY(qn_template_render(template, r->json.data, r->json.size, &options, out));
    return continued ? cut_end(out, before) : NULL;
}

qn_status qn_chat_render_marked(const struct qn_chat *chat, struct qn_str request, bool marks, struct qn_text *out)
{
    struct request r = {.chat = chat};
    qn_arena_init(&r.arena, chat->allocator);
    qn_strbuf_init(&r.json, chat->allocator);
    r.writer.out = &r.json;
    qn_status status = render(&r, request, marks, out);
    qn_strbuf_deinit(&r.json);
    qn_arena_deinit(&r.arena);
    return status;
}

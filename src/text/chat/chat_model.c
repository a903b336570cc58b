/* Where templates come from, and encoding what they give. */
#define _GNU_SOURCE
#include <string.h>

#include "format/model.h"
#include "platform/file.h"
#include "quern/model.h"
#include "text/chat/chat_parts.h"

static const char plain[] =
    "{%- for message in messages -%}"
    "{%- if message.role == 'user' -%}{{ 'User: ' ~ message.content ~ '\\n' }}"
    "{%- elif message.role == 'assistant' -%}{{ 'Assistant: ' ~ (message.content or '')|trim ~ '\\n' }}"
    "{%- else -%}{{ (message.content or '') ~ '\\n\\n' }}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}Assistant:{%- endif -%}";

/* ---- templates ------------------------------------------------------------------------------------------------ */

struct source {
    struct qn_str text, tools; /* data NULL: none */
    const char *name;
};

static qn_status keep(struct qn_chat *chat, struct qn_str text, struct qn_str *out)
{
    *out = qn_arena_str(&chat->arena, text);
    return out->data ? NULL : QN_OOM();
}

/* The content of a file of the folder; data NULL when there is none. */
static qn_status read_file(struct qn_chat *chat, const char *folder, const char *name, struct qn_str *out)
{
    struct qn_str path = qn_arena_printf(&chat->arena, "%s%s", folder, name);
    struct qn_file_map map;
    *out = (struct qn_str){0};
    if (!path.data)
        return QN_OOM();
    if (!qn_file_exists(path.data))
        return NULL;
    QN_TRY(qn_file_map_beneath(folder, name, &map));
    qn_status status = keep(chat, (struct qn_str){(const char *)map.data, map.size}, out);
    qn_file_unmap(&map);
    return status;
}

/* A text, or a list of {name, template}. */
static void take_templates(const struct qn_json *templates, struct source *out)
{
    if (!templates)
        return;
    if (templates->kind == QN_JSON_STRING && !out->text.data)
        out->text = qn_json_str(templates);
    if (templates->kind != QN_JSON_ARRAY)
        return;
    const struct qn_json *item = qn_json_first(templates);
    for (uint32_t i = 0; i < templates->size; i++, item = qn_json_next(item)) {
        const struct qn_json *name = qn_json_member(item, "name"), *text = qn_json_member(item, "template");
        if (!name || name->kind != QN_JSON_STRING || !text || text->kind != QN_JSON_STRING)
            continue;
        if (qn_str_is(qn_json_str(name), "default") && !out->text.data)
            out->text = qn_json_str(text);
        if (qn_str_is(qn_json_str(name), "tool_use") && !out->tools.data)
            out->tools = qn_json_str(text);
    }
}

static qn_status from_folder(struct qn_chat *chat, const char *folder, struct source *out)
{
    static const char *const files[] = {"chat_template.json", "tokenizer_config.json"};
    QN_TRY(read_file(chat, folder, "chat_template.jinja", &out->text));
    QN_TRY(read_file(chat, folder, "additional_chat_templates/tool_use.jinja", &out->tools));
    out->name = "chat_template.jinja";
    for (size_t i = 0; i < 2 && !out->text.data; i++) {
        struct qn_str json;
        const struct qn_json *root;
        const struct qn_json_options options = {.name = files[i]};
        QN_TRY(read_file(chat, folder, files[i], &json));
        if (!json.data)
            continue;
        QN_TRY(qn_json_read(json, &options, &chat->arena, &root));
        take_templates(qn_json_member(root, "chat_template"), out);
        out->name = files[i];
    }
    return NULL;
}

static qn_status from_model(struct qn_chat *chat, const struct qn_model *model, struct source *out)
{
    struct qn_model_text text;
    bool found = false;
    const char *folder = qn_model_folder(model);
    if (folder)
        return from_folder(chat, folder, out);
    out->name = "tokenizer.chat_template";
    QN_TRY(qn_model_get_text(model, "tokenizer.chat_template", &text, &found));
    if (found)
        out->text = (struct qn_str){text.data, text.size};
    QN_TRY(qn_model_get_text(model, "tokenizer.chat_template.tool_use", &text, &found));
    if (found)
        out->tools = (struct qn_str){text.data, text.size};
    return NULL;
}

static qn_status compile(struct qn_chat *chat, const struct source *source)
{
    const struct qn_template_options options = {
        .struct_size = sizeof options, .name = source->name, .allocator = chat->allocator};
    chat->own = source->text.data != NULL;
    QN_TRY(keep(chat, chat->own ? source->text : (struct qn_str){plain, sizeof plain - 1}, &chat->source));
    QN_TRY(qn_template_compile(chat->source.data, chat->source.size, &options, &chat->usual));
    return source->tools.data ? qn_template_compile(source->tools.data, source->tools.size, &options, &chat->with_tools)
                              : NULL;
}

static qn_status find_controls(struct qn_chat *chat)
{
    uint32_t count = chat->tokenizer ? qn_tokenizer_count(chat->tokenizer) : 0;
    for (uint32_t id = 0; id < count; id++) {
        struct qn_str text;
        if (!(qn_tokenizer_flags(chat->tokenizer, (int32_t)id) & QN_TOKEN_CONTROL))
            continue;
        text.data = qn_tokenizer_text(chat->tokenizer, (int32_t)id, &text.size);
        if (text.size && !qn_array_push(&chat->controls, chat->allocator, text))
            return QN_OOM();
    }
    return NULL;
}

static qn_status set_up(struct qn_chat *chat, const struct qn_model *model, const struct qn_chat_options *o)
{
    struct source source = {.name = o->template_file};
    if (o->template_text)
        source.text = (struct qn_str){o->template_text, o->template_size};
    else if (model)
        QN_TRY(from_model(chat, model, &source));
    QN_TRY(compile(chat, &source));
    QN_TRY(find_controls(chat));
    return qn_chat_probe(chat);
}

qn_status qn_chat_create(const struct qn_model *model, const struct qn_tokenizer *tokenizer,
                         const struct qn_chat_options *options, struct qn_chat **out)
{
    struct qn_chat_options o = {0};
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    const struct qn_allocator *allocator = o.allocator ? o.allocator : qn_allocator_default();
    struct qn_chat *chat = qn_calloc(allocator, 1, sizeof *chat);
    *out = NULL;
    if (!chat)
        return QN_OOM();
    chat->allocator = allocator;
    chat->tokenizer = tokenizer;
    if (o.now) {
        chat->now = *o.now;
        chat->timed = true;
    }
    qn_arena_init(&chat->arena, allocator);
    qn_status status = set_up(chat, model, &o);
    if (status) {
        qn_chat_free(chat);
        return status;
    }
    *out = chat;
    return NULL;
}

void qn_chat_free(struct qn_chat *chat)
{
    if (!chat)
        return;
    qn_template_free(chat->usual);
    qn_template_free(chat->with_tools);
    qn_array_free(&chat->controls, chat->allocator);
    qn_arena_deinit(&chat->arena);
    qn_free(chat->allocator, chat, sizeof *chat);
}

bool qn_chat_has_template(const struct qn_chat *chat)
{
    return chat->own;
}

const char *qn_chat_stop(const struct qn_chat *chat)
{
    return chat->own ? NULL : "\nUser:";
}

qn_status qn_chat_render(const struct qn_chat *chat, const char *request, size_t size, struct qn_text *out)
{
    return qn_chat_render_marked(chat, (struct qn_str){request, size}, false, out);
}

/* ---- tokens --------------------------------------------------------------------------------------------------- */

static qn_status encode_part(const struct qn_chat *chat, struct qn_str text, bool trusted, bool first,
                             struct qn_tokens *tokens)
{
    const struct qn_encode_options options = {
        .struct_size = sizeof options, .bare = !first, .parse_special = trusted, .continued = !first};
    return text.size || first ? qn_tokenizer_encode(chat->tokenizer, text.data, text.size, &options, tokens) : NULL;
}

/* The plain template writes no BOS: encoding adds it where the model wants one, and an EOS behind it is taken back. */
static qn_status add_start(const struct qn_chat *chat, struct qn_tokens *tokens)
{
    size_t before = tokens->count;
    QN_TRY(encode_part(chat, QN_STR(""), true, true, tokens));
    while (tokens->count > before && tokens->ids[tokens->count - 1] != qn_tokenizer_role(chat->tokenizer, QN_TOKEN_BOS))
        tokens->count--;
    return NULL;
}

/* Cuts the text at the marks: what stands between two of them is text, whatever it looks like. A mark whose partner the
 * template has cut off only cuts. */
static qn_status encode_marked(const struct qn_chat *chat, struct qn_str text, struct qn_tokens *tokens)
{
    static const char begin[] = "\xef\xb7\x90", end[] = "\xef\xb7\x91";
    while (text.size) {
        const char *open = memmem(text.data, text.size, begin, 3), *shut = memmem(text.data, text.size, end, 3);
        bool inside = shut && (!open || shut < open);
        const char *cut = inside ? shut : open;
        size_t size = cut ? (size_t)(cut - text.data) : text.size;
        QN_TRY(encode_part(chat, (struct qn_str){text.data, size}, !inside, false, tokens));
        size += cut ? 3 : 0;
        text = (struct qn_str){text.data + size, text.size - size};
    }
    return NULL;
}

qn_status qn_chat_encode(const struct qn_chat *chat, const char *request, size_t size, struct qn_tokens *tokens)
{
    struct qn_text text = {.allocator = chat->allocator};
    size_t before = tokens->count;
    if (!chat->tokenizer)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a chat without a tokenizer encodes nothing");
    qn_status status = qn_chat_render_marked(chat, (struct qn_str){request, size}, true, &text);
    if (!status && !chat->own)
        status = add_start(chat, tokens);
    if (!status)
        status = encode_marked(chat, (struct qn_str){text.data, text.size}, tokens);
    if (status)
        tokens->count = before;
    qn_text_free(&text);
    return status;
}

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "convert/gguf_vocab.h"
#include "platform/file.h"

enum { SPECIAL_COUNT = 7 };

struct folder {
    const char *path;
    const struct qn_allocator *allocator;
    struct qn_arena arena;
    QN_ARRAY(struct qn_file_map) maps;
    const struct qn_json *tokenizer, *tokenizer_config, *special_map, *config, *generation;
    struct qn_gguf_vocab vocab;
    struct qn_gguf_writer *writer;
};

/* ---- reading the folder --------------------------------------------------------------------------------------- */

/* The bytes of a file of the folder, that live as long as f; data NULL when there is none. */
static qn_status map_file(struct folder *f, const char *name, struct qn_str *out, const char **path)
{
    struct qn_file_map map;
    struct qn_str full = qn_arena_printf(&f->arena, "%s%s", f->path, name);
    *out = (struct qn_str){0};
    if (!full.data)
        return QN_OOM();
    *path = full.data;
    if (!qn_file_exists(full.data))
        return NULL;
    QN_TRY(qn_file_map(full.data, &map));
    if (!qn_array_push(&f->maps, f->allocator, map)) {
        qn_file_unmap(&map);
        return QN_OOM();
    }
    *out = (struct qn_str){map.data ? (const char *)map.data : "", (size_t)map.size};
    return NULL;
}

/* *out NULL when there is no such file. */
static qn_status read_json(struct folder *f, const char *name, const struct qn_json **out)
{
    struct qn_str text;
    struct qn_json_options options = {0};
    *out = NULL;
    QN_TRY(map_file(f, name, &text, &options.name));
    return text.data ? qn_json_read(text, &options, &f->arena, out) : NULL;
}

static qn_status read_vocab(struct folder *f, uint32_t rows)
{
    struct qn_gguf_vocab *v = &f->vocab;
    *v = (struct qn_gguf_vocab){
        .arena = &f->arena, .count = rows, .add_bos = -1, .add_eos = -1, .add_space = -1, .remove_spaces = -1};
    if (f->tokenizer) {
        QN_TRY(qn_status_note(qn_gguf_vocab_json(f->tokenizer, v), "%stokenizer.json", f->path));
        if (v->model && strcmp(v->model, "gpt2") == 0)
            return qn_status_note(qn_gguf_pre_name(f->tokenizer, f->allocator, &v->pre), "%stokenizer.json", f->path);
        return NULL;
    }
    struct qn_str model;
    const char *path;
    QN_TRY(map_file(f, "tokenizer.model", &model, &path));
    if (!model.data)
        return NULL;
    return qn_status_note(qn_gguf_vocab_sentencepiece((const uint8_t *)model.data, model.size, v), "%s", path);
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static qn_status set_str(struct folder *f, const char *key, struct qn_str text)
{
    struct qn_gguf_value value = {.type = QN_GGUF_STRING, .count = 1, .as.str = text};
    return qn_gguf_writer_set(f->writer, qn_str_from(key), &value);
}

static qn_status set_bool(struct folder *f, const char *key, int said)
{
    struct qn_gguf_value value = {.type = QN_GGUF_BOOL, .count = 1, .as.u = said == 1};
    return said < 0 ? NULL : qn_gguf_writer_set(f->writer, qn_str_from(key), &value);
}

static qn_status set_strings(struct folder *f, const char *key, const struct qn_str *items, uint32_t count)
{
    struct qn_gguf_value value = {
        .type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_STRING, .count = count, .as.strings = items};
    return qn_gguf_writer_set(f->writer, qn_str_from(key), &value);
}

/* Arrays of four-byte (or one-byte) numbers; the machine's byte order is GGUF's. */
static qn_status set_numbers(struct folder *f, const char *key, enum qn_gguf_type type, const void *items,
                             uint64_t count)
{
    struct qn_gguf_value value = {.type = QN_GGUF_ARRAY,
                                  .elem_type = type,
                                  .count = count,
                                  .as.items = items,
                                  .item_bytes = count * qn_gguf_type_bytes(type)};
    return qn_gguf_writer_set(f->writer, qn_str_from(key), &value);
}

static qn_status write_lists(struct folder *f)
{
    struct qn_gguf_vocab *v = &f->vocab;
    for (uint32_t i = 0; i < v->count; i++)
        if (!v->tokens[i].data && !(v->tokens[i] = qn_arena_printf(&f->arena, "[PAD%u]", i)).data)
            return QN_OOM();
    QN_TRY(set_str(f, "tokenizer.ggml.model", qn_str_from(v->model)));
    if (v->pre || strcmp(v->model, "llama") == 0)
        QN_TRY(set_str(f, "tokenizer.ggml.pre", qn_str_from(v->pre ? v->pre : "default")));
    QN_TRY(set_strings(f, "tokenizer.ggml.tokens", v->tokens, v->count));
    if (v->scores)
        QN_TRY(set_numbers(f, "tokenizer.ggml.scores", QN_GGUF_F32, v->scores, v->count));
    QN_TRY(set_numbers(f, "tokenizer.ggml.token_type", QN_GGUF_I32, v->types, v->count));
    if (v->merges)
        QN_TRY(set_strings(f, "tokenizer.ggml.merges", v->merges, v->merge_count));
    if (v->charsmap)
        QN_TRY(set_numbers(f, "tokenizer.ggml.precompiled_charsmap", QN_GGUF_U8, v->charsmap, v->charsmap_size));
    QN_TRY(set_bool(f, "tokenizer.ggml.add_space_prefix", v->add_space));
    return set_bool(f, "tokenizer.ggml.remove_extra_whitespaces", v->remove_spaces);
}

static const struct {
    const char *name, *key; /* bos: bos_token, bos_token_id */
} specials[SPECIAL_COUNT] = {
    {"bos", "tokenizer.ggml.bos_token_id"},     {"eos", "tokenizer.ggml.eos_token_id"},
    {"unk", "tokenizer.ggml.unknown_token_id"}, {"sep", "tokenizer.ggml.seperator_token_id"},
    {"pad", "tokenizer.ggml.padding_token_id"}, {"cls", "tokenizer.ggml.cls_token_id"},
    {"mask", "tokenizer.ggml.mask_token_id"},
};

/* "bos_token": "<s>", or {"content": "<s>"}. */
static const uint32_t *id_by_text(const struct folder *f, const struct qn_json *file, const char *key)
{
    const struct qn_json *value = qn_json_member(file, key);
    if (value && value->kind == QN_JSON_OBJECT)
        value = qn_json_member(value, "content");
    return value && value->kind == QN_JSON_STRING ? qn_map_get(&f->vocab.ids, qn_json_str(value)) : NULL;
}

static bool id_by_number(const struct folder *f, const struct qn_json *file, const char *key, uint32_t *out)
{
    const struct qn_json *value = qn_json_member(file, key);
    if (value && value->kind == QN_JSON_ARRAY && value->size)
        value = qn_json_first(value); /* several ends: the first is the tokenizer's */
    if (!value || value->kind != QN_JSON_INT || value->integer < 0 || value->integer >= f->vocab.count)
        return false;
    *out = (uint32_t)value->integer;
    return true;
}

static qn_status write_specials(struct folder *f)
{
    for (int i = 0; i < SPECIAL_COUNT; i++) {
        char text_key[24], id_key[24];
        uint32_t id = 0;
        snprintf(text_key, sizeof text_key, "%s_token", specials[i].name);
        snprintf(id_key, sizeof id_key, "%s_token_id", specials[i].name);
        const uint32_t *by_text = id_by_text(f, f->tokenizer_config, text_key);
        if (!by_text)
            by_text = id_by_text(f, f->special_map, text_key);
        const struct qn_json *text_config = qn_json_member(f->config, "text_config");
        if (by_text)
            id = *by_text;
        else if (!id_by_number(f, f->config, id_key, &id) && !id_by_number(f, text_config, id_key, &id) &&
                 !id_by_number(f, f->generation, id_key, &id))
            continue;
        struct qn_gguf_value value = {.type = QN_GGUF_U32, .count = 1, .as.u = id};
        QN_TRY(qn_gguf_writer_set(f->writer, qn_str_from(specials[i].key), &value));
    }
    return NULL;
}

static int flag_of(const struct qn_json *file, const char *key, int otherwise)
{
    const struct qn_json *value = qn_json_member(file, key);
    return value && value->kind == QN_JSON_BOOL ? value->boolean : otherwise;
}

static qn_status write_ends(struct folder *f)
{
    int bos = f->vocab.add_bos, eos = f->vocab.add_eos;
    if (!f->tokenizer) { /* what LlamaTokenizer does */
        bos = flag_of(f->tokenizer_config, "add_bos_token", strcmp(f->vocab.model, "llama") == 0 ? 1 : -1);
        eos = flag_of(f->tokenizer_config, "add_eos_token", 0);
    }
    QN_TRY(set_bool(f, "tokenizer.ggml.add_bos_token", bos));
    return set_bool(f, "tokenizer.ggml.add_eos_token", eos);
}

/* One template, or several by name. */
static qn_status write_templates(struct folder *f, const struct qn_json *templates)
{
    if (templates->kind == QN_JSON_STRING)
        return set_str(f, "tokenizer.chat_template", qn_json_str(templates));
    if (templates->kind != QN_JSON_ARRAY)
        return NULL;
    struct qn_str *names = QN_ARENA_ARRAY(&f->arena, struct qn_str, templates->size);
    uint32_t count = 0;
    if (!names)
        return QN_OOM();
    const struct qn_json *item = qn_json_first(templates);
    for (uint32_t i = 0; i < templates->size; i++, item = qn_json_next(item)) {
        const struct qn_json *name = qn_json_member(item, "name"), *text = qn_json_member(item, "template");
        if (!name || name->kind != QN_JSON_STRING || !text || text->kind != QN_JSON_STRING)
            continue;
        if (qn_str_is(qn_json_str(name), "default")) {
            QN_TRY(set_str(f, "tokenizer.chat_template", qn_json_str(text)));
            continue;
        }
        struct qn_str key = qn_arena_printf(&f->arena, "tokenizer.chat_template.%.*s", QN_STR_ARG(qn_json_str(name)));
        if (!key.data)
            return QN_OOM();
        QN_TRY(set_str(f, key.data, qn_json_str(text)));
        names[count++] = qn_json_str(name);
    }
    return count ? set_strings(f, "tokenizer.chat_templates", names, count) : NULL;
}

static qn_status write_template(struct folder *f)
{
    struct qn_str text;
    const char *path;
    QN_TRY(map_file(f, "chat_template.jinja", &text, &path));
    if (text.data)
        return set_str(f, "tokenizer.chat_template", text);
    const struct qn_json *own;
    QN_TRY(read_json(f, "chat_template.json", &own));
    const struct qn_json *templates = qn_json_member(own, "chat_template");
    if (!templates)
        templates = qn_json_member(f->tokenizer_config, "chat_template");
    return templates ? write_templates(f, templates) : NULL;
}

static qn_status write_all(struct folder *f, uint32_t rows, bool *found)
{
    QN_TRY(read_json(f, "tokenizer.json", &f->tokenizer));
    QN_TRY(read_json(f, "tokenizer_config.json", &f->tokenizer_config));
    QN_TRY(read_json(f, "special_tokens_map.json", &f->special_map));
    QN_TRY(read_json(f, "config.json", &f->config));
    QN_TRY(read_json(f, "generation_config.json", &f->generation));
    QN_TRY(read_vocab(f, rows));
    *found = f->vocab.model != NULL;
    if (!*found)
        return set_str(f, "tokenizer.ggml.model", QN_STR("no_vocab"));
    QN_TRY(write_lists(f));
    QN_TRY(write_specials(f));
    QN_TRY(write_ends(f));
    return write_template(f);
}

qn_status qn_gguf_vocab_write(const char *folder, uint32_t rows, const struct qn_allocator *allocator,
                              struct qn_gguf_writer *writer, bool *found)
{
    struct folder f = {.path = folder, .allocator = allocator, .writer = writer};
    qn_arena_init(&f.arena, allocator);
    qn_status status = write_all(&f, rows, found);
    for (uint32_t i = 0; i < f.maps.count; i++)
        qn_file_unmap(&f.maps.items[i]);
    qn_array_free(&f.maps, allocator);
    qn_arena_deinit(&f.arena);
    return status;
}

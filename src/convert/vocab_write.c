#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "convert/gguf_vocab.h"
#include "platform/file.h"
#include "text/tokenizer/folder_json.h"

enum special { BOS, EOS, UNK, SEP, PAD, CLS, MASK, EOT, SPECIAL_COUNT };

struct folder {
    const char *path;
    const struct qn_allocator *allocator;
    struct qn_arena arena;
    QN_ARRAY(struct qn_file_map) maps;
    const struct qn_json *tokenizer, *tokenizer_config, *special_map, *config, *generation;
    struct qn_gguf_vocab vocab;
    struct qn_str texts[SPECIAL_COUNT]; /* of the special tokens that are known by their text; data NULL: not */
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

/* Tokens that were added to a SentencePiece model. */
static qn_status add_token(struct qn_gguf_vocab *v, const struct qn_json *id, struct qn_str text, bool special)
{
    if (!id || id->kind != QN_JSON_INT || id->integer < 0 || id->integer >= v->count)
        return NULL;
    v->scores[id->integer] = -1000.0f;
    return qn_gguf_vocab_add(v, (uint64_t)id->integer, text, special);
}

static qn_status add_tokens(struct folder *f)
{
    const struct qn_json *added, *decoder = qn_json_member(f->tokenizer_config, "added_tokens_decoder");
    QN_TRY(read_json(f, "added_tokens.json", &added));
    const struct qn_json *item = added && added->kind == QN_JSON_OBJECT ? qn_json_first(added) : NULL;
    for (uint32_t i = 0; item && i < added->size; i++) { /* text, id */
        QN_TRY(add_token(&f->vocab, qn_json_next(item), qn_json_str(item), false));
        item = qn_json_next(qn_json_next(item));
    }
    item = decoder && decoder->kind == QN_JSON_OBJECT ? qn_json_first(decoder) : NULL;
    for (uint32_t i = 0; item && i < decoder->size; i++) { /* id, {content, special} */
        const struct qn_json *value = qn_json_next(item), *text = qn_json_member(value, "content"),
                             *special = qn_json_member(value, "special");
        struct qn_json id = {.kind = QN_JSON_INT};
        for (uint32_t k = 0; k < item->size && id.integer <= UINT32_MAX; k++)
            id.integer = item->text[k] >= '0' && item->text[k] <= '9' ? id.integer * 10 + (item->text[k] - '0')
                                                                      : (int64_t)UINT32_MAX + 1;
        if (text && text->kind == QN_JSON_STRING)
            QN_TRY(add_token(&f->vocab, &id, qn_json_str(text),
                             special && special->kind == QN_JSON_BOOL && special->boolean));
        item = qn_json_next(value);
    }
    return NULL;
}

/* The tokenizer.json of a folder whose files are older. */
static qn_status read_older(struct folder *f)
{
    struct qn_strbuf text;
    qn_strbuf_init(&text, f->allocator);
    qn_status status = qn_tokenizer_folder_json(f->path, f->allocator, &text);
    struct qn_str copy = text.size && !status ? qn_arena_str(&f->arena, qn_strbuf_view(&text)) : (struct qn_str){0};
    bool lost = text.size && !status && !copy.data;
    qn_strbuf_deinit(&text);
    if (status || lost)
        return status ? status : QN_OOM();
    return copy.data ? qn_json_read(copy, NULL, &f->arena, &f->tokenizer) : NULL;
}

static qn_status read_vocab(struct folder *f, uint32_t rows)
{
    struct qn_gguf_vocab *v = &f->vocab;
    *v = (struct qn_gguf_vocab){.arena = &f->arena,
                                .count = rows,
                                .add_bos = -1,
                                .add_eos = -1,
                                .add_sep = -1,
                                .add_space = -1,
                                .remove_spaces = -1,
                                .lowercase = -1,
                                .strip_accents = -1};
    if (!f->tokenizer)
        QN_TRY(read_older(f));
    if (f->tokenizer) {
        QN_TRY(qn_status_note(qn_gguf_vocab_json(f->tokenizer, v), "%stokenizer.json", f->path));
        if (v->model && strcmp(v->model, "gpt2") == 0)
            return qn_status_note(qn_gguf_pre_name(f->tokenizer, f->allocator, &v->pre), "%stokenizer.json", f->path);
        return NULL;
    }
    static const char *const names[] = {"tokenizer.model", "sentencepiece.bpe.model", "spiece.model"};
    struct qn_str model = {0};
    const char *path = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !model.data; i++)
        QN_TRY(map_file(f, names[i], &model, &path));
    if (!model.data)
        return NULL;
    QN_TRY(qn_status_note(qn_gguf_vocab_sentencepiece((const uint8_t *)model.data, model.size, v), "%s", path));
    return add_tokens(f);
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
    bool uncased = strcmp(v->model, "bert") == 0 && v->lowercase == 1;
    QN_TRY(set_str(f, "tokenizer.ggml.pre", qn_str_from(v->pre ? v->pre : uncased ? "bert-bge" : "default")));
    QN_TRY(set_strings(f, "tokenizer.ggml.tokens", v->tokens, v->count));
    if (v->scores)
        QN_TRY(set_numbers(f, "tokenizer.ggml.scores", QN_GGUF_F32, v->scores, v->count));
    QN_TRY(set_numbers(f, "tokenizer.ggml.token_type", QN_GGUF_I32, v->types, v->count));
    if (v->merges)
        QN_TRY(set_strings(f, "tokenizer.ggml.merges", v->merges, v->merge_count));
    if (v->charsmap)
        QN_TRY(set_numbers(f, "tokenizer.ggml.precompiled_charsmap", QN_GGUF_U8, v->charsmap, v->charsmap_size));
    QN_TRY(set_bool(f, "tokenizer.ggml.add_space_prefix", v->add_space));
    QN_TRY(set_bool(f, "tokenizer.ggml.remove_extra_whitespaces", v->remove_spaces));
    QN_TRY(set_bool(f, "tokenizer.ggml.normalizer.lowercase", v->lowercase));
    return set_bool(f, "tokenizer.ggml.normalizer.strip_accents", v->strip_accents);
}

static const struct {
    const char *name, *key; /* bos: bos_token, bos_token_id */
} specials[SPECIAL_COUNT] = {
    [BOS] = {"bos", "tokenizer.ggml.bos_token_id"},     [EOS] = {"eos", "tokenizer.ggml.eos_token_id"},
    [UNK] = {"unk", "tokenizer.ggml.unknown_token_id"}, [SEP] = {"sep", "tokenizer.ggml.seperator_token_id"},
    [PAD] = {"pad", "tokenizer.ggml.padding_token_id"}, [CLS] = {"cls", "tokenizer.ggml.cls_token_id"},
    [MASK] = {"mask", "tokenizer.ggml.mask_token_id"},  [EOT] = {"eot", "tokenizer.ggml.eot_token_id"},
};

/* "bos_token": "<s>", or {"content": "<s>"}. */
static struct qn_str text_of(const struct qn_json *file, const char *key)
{
    const struct qn_json *value = qn_json_member(file, key);
    if (value && value->kind == QN_JSON_OBJECT)
        value = qn_json_member(value, "content");
    return value && value->kind == QN_JSON_STRING ? qn_json_str(value) : (struct qn_str){0};
}

static bool is_text(struct qn_str a, struct qn_str b)
{
    return a.data && b.data && qn_str_eq(a, b);
}

/* The special tokens' texts. GGUF puts "bos" and "eos" around a text, so they are what the tokenizer puts there: a CLS
 * and a SEP where there is no other, or the last token of its template, whose eos is then the end of a turn. */
static void find_specials(struct folder *f)
{
    struct qn_str *t = f->texts;
    struct qn_gguf_template *around = &f->vocab.around;
    for (int i = 0; i < EOT; i++) {
        char key[24];
        snprintf(key, sizeof key, "%s_token", specials[i].name);
        t[i] = text_of(f->tokenizer_config, key);
        if (!t[i].data)
            t[i] = text_of(f->special_map, key);
        if (!t[i].data)
            t[i] = text_of(f->tokenizer, key); /* read_older says it */
    }
    if (!f->tokenizer)
        return;
    if (!t[BOS].data)
        t[BOS] = t[CLS].data ? t[CLS] : around->first;
    if (!t[EOS].data)
        t[EOS] = t[SEP];
    if (around->first.data && !is_text(around->first, t[BOS]) && !is_text(around->first, t[CLS]))
        f->vocab.add_bos = 0; /* GGUF has no word for it */
    if (around->last.data && !is_text(around->last, t[EOS])) {
        t[EOT] = t[EOS];
        t[EOS] = around->last;
    }
    for (uint32_t i = 0; i < around->between_count && f->vocab.add_sep < 1; i++) {
        bool separates = is_text(around->between[i], t[SEP]) || is_text(around->between[i], t[EOS]);
        f->vocab.add_sep = separates && (i == 1 || !around->last.data);
    }
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
    const struct qn_json *text_config = qn_json_member(f->config, "text_config");
    find_specials(f);
    for (int i = 0; i < SPECIAL_COUNT; i++) {
        char id_key[24];
        uint32_t id = 0;
        snprintf(id_key, sizeof id_key, "%s_token_id", specials[i].name);
        const uint32_t *by_text = f->texts[i].data ? qn_map_get(&f->vocab.ids, f->texts[i]) : NULL;
        if (by_text)
            id = *by_text;
        else if (i == EOT || (!id_by_number(f, f->config, id_key, &id) && !id_by_number(f, text_config, id_key, &id) &&
                              !id_by_number(f, f->generation, id_key, &id)))
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
    if (bos < 0) /* without tokenizer.json: what LlamaTokenizer does */
        bos = flag_of(f->tokenizer_config, "add_bos_token",
                      f->tokenizer                           ? 0
                      : strcmp(f->vocab.model, "llama") == 0 ? 1
                                                             : -1);
    if (eos < 0)
        eos = flag_of(f->tokenizer_config, "add_eos_token", 0);
    QN_TRY(set_bool(f, "tokenizer.ggml.add_bos_token", bos));
    QN_TRY(set_bool(f, "tokenizer.ggml.add_sep_token", f->vocab.add_sep));
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

/* What generation_config.json says of sampling. */
static qn_status write_sampling(struct folder *f)
{
    static const struct {
        const char *from, *to;
        bool whole;
    } keys[] = {{"top_k", "general.sampling.top_k", true},
                {"top_p", "general.sampling.top_p", false},
                {"min_p", "general.sampling.min_p", false},
                {"temperature", "general.sampling.temp", false}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct qn_json *value = qn_json_member(f->generation, keys[i].from);
        bool whole = value && value->kind == QN_JSON_INT;
        if (!value || (!whole && (value->kind != QN_JSON_DOUBLE || keys[i].whole)) ||
            (whole && (value->integer < 0 || value->integer > INT32_MAX)))
            continue;
        struct qn_gguf_value number = {.type = keys[i].whole ? QN_GGUF_I32 : QN_GGUF_F32, .count = 1};
        if (keys[i].whole)
            number.as.u = (uint64_t)value->integer;
        else
            number.as.f = whole ? (double)value->integer : value->number;
        QN_TRY(qn_gguf_writer_set(f->writer, qn_str_from(keys[i].to), &number));
    }
    return NULL;
}

static qn_status write_all(struct folder *f, uint32_t rows, bool *found)
{
    QN_TRY(read_json(f, "tokenizer.json", &f->tokenizer));
    QN_TRY(read_json(f, "tokenizer_config.json", &f->tokenizer_config));
    QN_TRY(read_json(f, "special_tokens_map.json", &f->special_map));
    QN_TRY(read_json(f, "config.json", &f->config));
    QN_TRY(read_json(f, "generation_config.json", &f->generation));
    QN_TRY(write_sampling(f));
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

/* qn_tokenizer_open: from a file or a model's folder. */
#include "base/json.h"
#include "format/gguf/gguf.h"
#include "platform/file.h"
#include "quern/model.h"
#include "text/tokenizer/vocab_files.h"

/* ---- the files of a folder ------------------------------------------------------------------------------------ */

/* A JSON file that may be absent; its nodes point into the map. */
struct side_file {
    struct qn_file_map map;
    const struct qn_json *root; /* NULL: absent */
};

struct folder {
    struct qn_arena arena;
    const char *path;
    struct side_file config, specials;
};

static char *path_in(struct folder *f, const char *name)
{
    return (char *)qn_arena_printf(&f->arena, "%s/%s", f->path, name).data;
}

static qn_status read_side_file(struct folder *f, const char *name, struct side_file *out)
{
    char *path = path_in(f, name);
    if (!path)
        return QN_OOM();
    if (!qn_file_exists(path))
        return NULL;
    struct qn_json_options options = {.name = path};
    QN_TRY(qn_file_map(path, &out->map));
    struct qn_str text = {(const char *)out->map.data, out->map.size};
    return qn_json_read(text, &options, &f->arena, &out->root);
}

/* "<s>" or {"content": "<s>", ...} */
static struct qn_str token_text(const struct qn_json *value)
{
    if (value && value->kind == QN_JSON_OBJECT)
        value = qn_json_member(value, "content");
    return value && value->kind == QN_JSON_STRING ? qn_json_str(value) : (struct qn_str){0};
}

static bool switch_of(const struct folder *f, const char *key, bool otherwise)
{
    const struct qn_json *value = qn_json_member(f->config.root, key);
    return value && value->kind == QN_JSON_BOOL ? value->boolean : otherwise;
}

static void read_extras(const struct folder *f, struct qn_tokenizer_extras *extras)
{
    static const struct {
        const char *key;
        enum qn_token_role role;
    } rows[] = {
        {"bos_token", QN_TOKEN_BOS},   {"cls_token", QN_TOKEN_BOS}, {"eos_token", QN_TOKEN_EOS},
        {"unk_token", QN_TOKEN_UNK},   {"sep_token", QN_TOKEN_SEP}, {"pad_token", QN_TOKEN_PAD},
        {"mask_token", QN_TOKEN_MASK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qn_str *text = &extras->roles[rows[i].role];
        if (!text->size)
            *text = token_text(qn_json_member(f->config.root, rows[i].key));
        if (!text->size)
            *text = token_text(qn_json_member(f->specials.root, rows[i].key));
    }
    extras->added = qn_json_member(f->config.root, "added_tokens_decoder");
    extras->add_bos = switch_of(f, "add_bos_token", true);
    extras->add_eos = switch_of(f, "add_eos_token", false);
    extras->keep_case = !switch_of(f, "do_lower_case", true);
    extras->keep_chinese = !switch_of(f, "tokenize_chinese_chars", true);
    const struct qn_json *accents = qn_json_member(f->config.root, "strip_accents");
    if (accents && accents->kind == QN_JSON_BOOL)
        extras->strip_accents = accents->boolean ? 1 : -1;
}

/* ---- one file ------------------------------------------------------------------------------------------------- */

typedef qn_status (*open_function)(struct qn_str data, const char *name, const struct qn_tokenizer_extras *extras,
                                   const struct qn_allocator *allocator, struct qn_tokenizer **out);

/* Known by their names' ends, in the order in which they are looked for in a folder. */
static const struct {
    const char *name, *suffix;
    open_function open;
} kinds[] = {
    {"tokenizer.json", ".json", qn_tokenizer_from_json},
    {"tokenizer.model", ".model", qn_tokenizer_from_sentencepiece},
    {"sentencepiece.bpe.model", ".model", qn_tokenizer_from_sentencepiece},
    {"spiece.model", ".model", qn_tokenizer_from_sentencepiece},
    {"vocab.txt", ".txt", qn_tokenizer_from_vocab_txt},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static qn_status open_file(const char *path, open_function open, const struct qn_tokenizer_extras *extras,
                           const struct qn_allocator *allocator, struct qn_tokenizer **out)
{
    struct qn_file_map map;
    QN_TRY(qn_file_map(path, &map));
    struct qn_str data = {map.data ? (const char *)map.data : "", map.size};
    qn_status status = open(data, path, extras, allocator, out);
    qn_file_unmap(&map);
    return status;
}

static qn_status open_folder(struct folder *f, const struct qn_allocator *allocator, struct qn_tokenizer **out)
{
    struct qn_tokenizer_extras extras = {0};
    QN_TRY(read_side_file(f, "tokenizer_config.json", &f->config));
    QN_TRY(read_side_file(f, "special_tokens_map.json", &f->specials));
    read_extras(f, &extras);
    for (int i = 0; i < KINDS; i++) {
        char *path = path_in(f, kinds[i].name);
        if (!path)
            return QN_OOM();
        if (qn_file_exists(path))
            return open_file(path, kinds[i].open, &extras, allocator, out);
    }
    return QN_ERROR(QN_NOT_FOUND, "'%s' holds no tokenizer.json, tokenizer.model or vocab.txt", f->path);
}

static bool ends(const char *path, const char *suffix)
{
    return qn_str_ends(qn_str_from(path), qn_str_from(suffix));
}

qn_status qn_tokenizer_open(const char *path, const struct qn_allocator *allocator, struct qn_tokenizer **out)
{
    bool folder = qn_folder_exists(path);
    for (int i = 0; i < KINDS && !folder; i++)
        if (ends(path, kinds[i].suffix))
            return open_file(path, kinds[i].open, NULL, allocator, out);
    if (!folder) {
        struct qn_model *model;
        QN_TRY(qn_model_open(path, NULL, &model));
        qn_status status = qn_tokenizer_create(model, allocator, out);
        qn_model_close(model);
        return status;
    }
    struct folder f = {.path = path};
    qn_arena_init(&f.arena, allocator);
    qn_status status = open_folder(&f, allocator, out);
    qn_file_unmap(&f.config.map);
    qn_file_unmap(&f.specials.map);
    qn_arena_deinit(&f.arena);
    return status;
}

/* qn_tokenizer_open: from a file or a model's folder. */
#include "base/json.h"
#include "format/gguf/gguf.h"
#include "platform/file.h"
#include "quern/model.h"
#include "text/tokenizer/folder_json.h"
#include "text/tokenizer/vocab_files.h"

/* ---- the files of a folder ------------------------------------------------------------------------------------ */

enum { CONFIG, SPECIALS, ADDED, MODEL, MERGES, SIDE_FILES };

struct folder {
    struct qn_arena arena;
    const char *path;
    struct qn_file_map maps[SIDE_FILES];
};

static char *path_in(struct folder *f, const char *name)
{
    return (char *)qn_arena_printf(&f->arena, "%s/%s", f->path, name).data;
}

/* A file that may be absent: data NULL. */
static qn_status map_side_file(struct folder *f, int which, const char *name, struct qn_str *out, const char **path)
{
    *out = (struct qn_str){0};
    *path = path_in(f, name);
    if (!*path)
        return QN_OOM();
    if (!qn_file_exists(*path))
        return NULL;
    QN_TRY(qn_file_map(*path, &f->maps[which]));
    *out = (struct qn_str){f->maps[which].data ? (const char *)f->maps[which].data : "", f->maps[which].size};
    return NULL;
}

/* Its nodes point into the map. */
static qn_status read_side_file(struct folder *f, int which, const char *name, const struct qn_json **out)
{
    struct qn_str text;
    struct qn_json_options options = {0};
    QN_TRY(map_side_file(f, which, name, &text, &options.name));
    return text.data ? qn_json_read(text, &options, &f->arena, out) : NULL;
}

static qn_status read_extras(struct folder *f, struct qn_tokenizer_extras *extras)
{
    struct qn_folder_files files = {0};
    const char *path;
    struct qn_str merges;
    QN_TRY(read_side_file(f, CONFIG, "tokenizer_config.json", &files.config));
    QN_TRY(read_side_file(f, SPECIALS, "special_tokens_map.json", &files.specials));
    QN_TRY(read_side_file(f, ADDED, "added_tokens.json", &files.added));
    QN_TRY(read_side_file(f, MODEL, "config.json", &files.model));
    QN_TRY(qn_folder_tokens(&files, &f->arena, extras));
    QN_TRY(map_side_file(f, MERGES, "merges.txt", &merges, &path));
    extras->merges = merges;
    return NULL;
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
    {"vocab.json", ".json", qn_tokenizer_from_vocab_json},
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

/* Opens the tokenizer of a folder. `json`, which may be NULL, is given its tokenizer.json where that is not what was
 * read and can be written. */
static qn_status open_folder(struct folder *f, const struct qn_allocator *allocator, struct qn_strbuf *json,
                             struct qn_tokenizer **out)
{
    struct qn_tokenizer_extras extras = {0};
    qn_status status = read_extras(f, &extras);
    if (status)
        return qn_status_note(status, "tokenizer of '%s'", f->path);
    for (int i = 0; i < KINDS; i++) {
        char *path = path_in(f, kinds[i].name);
        if (!path)
            return QN_OOM();
        if (!qn_file_exists(path))
            continue;
        QN_TRY(open_file(path, kinds[i].open, &extras, allocator, out));
        if (json && (*out)->pipeline && (*out)->pipeline->steps.cutter.data)
            qn_pipeline_write_json(*out, extras.merges, json);
        return NULL;
    }
    return QN_ERROR(QN_NOT_FOUND, "'%s' holds no tokenizer.json, tokenizer.model, vocab.txt or vocab.json", f->path);
}

static qn_status open_path(const char *path, const struct qn_allocator *allocator, struct qn_strbuf *json,
                           struct qn_tokenizer **out)
{
    struct folder f = {.path = path};
    qn_arena_init(&f.arena, allocator);
    qn_status status = open_folder(&f, allocator, json, out);
    for (int i = 0; i < SIDE_FILES; i++)
        qn_file_unmap(&f.maps[i]);
    qn_arena_deinit(&f.arena);
    return status;
}

qn_status qn_tokenizer_folder_json(const char *folder, const struct qn_allocator *allocator, struct qn_strbuf *out)
{
    struct qn_tokenizer *t = NULL;
    qn_status status = open_path(folder, allocator, out, &t);
    qn_tokenizer_free(t);
    if (status && qn_status_code(status) == QN_NOT_FOUND) { /* none at all, or one that has no merges */
        qn_status_free(status);
        return NULL;
    }
    return status || !out->failed ? status : QN_OOM();
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
    return open_path(path, allocator, NULL, out);
}

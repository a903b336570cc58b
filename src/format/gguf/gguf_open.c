#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "format/gguf/gguf.h"
#include "format/gguf/gguf_read.h"

/* What a split model says of itself in each of its parts. */
struct split {
    uint64_t number, count; /* number from 0; count 1: not split */
    uint64_t tensors;       /* of all parts together */
    bool has_tensors;
};

/* build_map takes the name at the start of either. */
_Static_assert(offsetof(struct qn_gguf_kv, key) == 0 && offsetof(struct qn_gguf_tensor, name) == 0, "names first");

enum { MAX_NAMED_MISSING = 4, SUFFIX_SIZE = 64 };

/* ---- split models --------------------------------------------------------------------------------------------- */

static const struct qn_gguf_value *find_in_part(const struct qn_gguf_part *part, const char *key)
{
    for (uint32_t i = 0; i < part->kv_count; i++)
        if (qn_str_is(part->kvs[i].key, key))
            return &part->kvs[i].value;
    return NULL;
}

static qn_status read_split_key(const struct qn_gguf_part *part, const char *key, uint64_t *out, bool *found)
{
    const struct qn_gguf_value *value = find_in_part(part, key);
    *found = value != NULL;
    if (!value)
        return NULL;
    bool is_signed = value->type == QN_GGUF_I8 || value->type == QN_GGUF_I16 || value->type == QN_GGUF_I32 ||
                     value->type == QN_GGUF_I64;
    bool is_unsigned = value->type == QN_GGUF_U8 || value->type == QN_GGUF_U16 || value->type == QN_GGUF_U32 ||
                       value->type == QN_GGUF_U64;
    if (!(is_signed && value->as.i >= 0) && !is_unsigned)
        return QN_ERROR(QN_INVALID_FILE, "key '%s': expected a whole number of at least 0", key);
    *out = value->as.u;
    return NULL;
}

static qn_status read_split(const struct qn_gguf_part *part, struct split *split)
{
    bool has_count, has_number;
    *split = (struct split){.count = 1};
    QN_TRY(read_split_key(part, "split.count", &split->count, &has_count));
    QN_TRY(read_split_key(part, "split.no", &split->number, &has_number));
    QN_TRY(read_split_key(part, "split.tensors.count", &split->tensors, &split->has_tensors));
    if (split->count < 2)
        split->count = 1;
    if (split->count > 99999)
        return QN_ERROR(QN_INVALID_FILE, "key 'split.count': %" PRIu64 " parts, expected at most 99999", split->count);
    if (split->count > 1 && !has_number)
        return QN_ERROR(QN_INVALID_FILE, "key 'split.no' is missing, yet 'split.count' is %" PRIu64, split->count);
    if (split->number >= split->count)
        return QN_ERROR(QN_INVALID_FILE, "key 'split.no': part %" PRIu64 " of %" PRIu64, split->number, split->count);
    return NULL;
}

/* "-00002-of-00005.gguf" */
static void format_suffix(char suffix[SUFFIX_SIZE], uint64_t number, uint64_t count)
{
    snprintf(suffix, SUFFIX_SIZE, "-%05" PRIu64 "-of-%05" PRIu64 ".gguf", number + 1, count);
}

/* What stands before the suffix in the path of this part. */
static qn_status split_prefix(struct qn_str path, const struct split *split, struct qn_str *prefix)
{
    char suffix[SUFFIX_SIZE];
    format_suffix(suffix, split->number, split->count);
    if (!qn_str_ends(path, qn_str_from(suffix)))
        return QN_ERROR(QN_INVALID_FILE,
                        "part %" PRIu64 " of a model split into %" PRIu64 " files: expected a file "
                        "name that ends in '%s', to find the others",
                        split->number + 1, split->count, suffix);
    *prefix = (struct qn_str){path.data, path.size - strlen(suffix)};
    return NULL;
}

/* Names the parts of the first file's split that are not there. Asked before memory is taken for them. */
static qn_status check_siblings(struct qn_arena *arena, struct qn_str prefix, const struct split *split)
{
    struct qn_str missing = {0};
    uint32_t named = 0;
    for (uint64_t i = 1; i < split->count && named < MAX_NAMED_MISSING; i++) {
        char suffix[SUFFIX_SIZE];
        format_suffix(suffix, i, split->count);
        struct qn_str path = qn_arena_printf(arena, "%.*s%s", (int)prefix.size, prefix.data, suffix);
        if (!path.data)
            return QN_OOM();
        if (qn_file_exists(path.data))
            continue;
        missing = qn_arena_printf(arena, "%s%s'%s'", named ? missing.data : "", named ? ", " : "", path.data);
        if (!missing.data)
            return QN_OOM();
        named++;
    }
    if (named)
        return QN_ERROR(QN_NOT_FOUND, "the model is split into %" PRIu64 " files, of which are missing: %s%s",
                        split->count, missing.data, named == MAX_NAMED_MISSING ? " and perhaps more" : "");
    return NULL;
}

static qn_status check_part(const struct qn_gguf_part *part, uint64_t number, const struct split *first)
{
    struct split split;
    QN_TRY(read_split(part, &split));
    if (split.count != first->count)
        return QN_ERROR(QN_INVALID_FILE, "key 'split.count' is %" PRIu64 ", but the first part says %" PRIu64,
                        split.count, first->count);
    if (split.number != number)
        return QN_ERROR(QN_INVALID_FILE, "key 'split.no' is %" PRIu64 ", expected %" PRIu64, split.number, number);
    if (split.has_tensors && first->has_tensors && split.tensors != first->tensors)
        return QN_ERROR(QN_INVALID_FILE, "key 'split.tensors.count' is %" PRIu64 ", but the first part says %" PRIu64,
                        split.tensors, first->tensors);
    return NULL;
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

static qn_status note_file(qn_status status, const struct qn_gguf *gguf, uint32_t file)
{
    return qn_status_note(status, "%s", gguf->files[file].path.data);
}

static qn_status open_part(struct qn_gguf *gguf, uint32_t file, struct qn_str path, struct qn_gguf_part *part)
{
    gguf->files[file].path = path;
    if (!gguf->borrowed)
        QN_TRY(qn_file_map(path.data, &gguf->files[file].map));
    const struct qn_file_map *map = &gguf->files[file].map;
    return note_file(qn_gguf_read_part(map->data, map->size, file, &gguf->arena, part), gguf, file);
}

static qn_status open_siblings(struct qn_gguf *gguf, struct qn_str prefix, const struct split *split,
                               struct qn_gguf_part *parts)
{
    struct qn_gguf_file *files = QN_ARENA_ARRAY(&gguf->arena, struct qn_gguf_file, (size_t)split->count);
    if (!files)
        return QN_OOM();
    files[0] = gguf->files[0];
    gguf->files = files;
    gguf->file_count = (uint32_t)split->count;
    for (uint32_t i = 1; i < gguf->file_count; i++) {
        char suffix[SUFFIX_SIZE];
        format_suffix(suffix, i, split->count);
        struct qn_str path = qn_arena_printf(&gguf->arena, "%.*s%s", (int)prefix.size, prefix.data, suffix);
        if (!path.data)
            return QN_OOM();
        QN_TRY(open_part(gguf, i, path, &parts[i]));
        QN_TRY(note_file(check_part(&parts[i], i, split), gguf, i));
    }
    return NULL;
}

/* Brings the parts' tensors into one array; metadata are those of the first. */
static qn_status join_parts(struct qn_gguf *gguf, const struct qn_gguf_part *parts)
{
    gguf->version = parts[0].version;
    gguf->alignment = parts[0].alignment;
    gguf->kvs = parts[0].kvs;
    gguf->kv_count = parts[0].kv_count;
    gguf->tensors = parts[0].tensors;
    gguf->tensor_count = parts[0].tensor_count;
    if (gguf->file_count == 1)
        return NULL;
    uint64_t total = 0;
    for (uint32_t i = 0; i < gguf->file_count; i++)
        total += parts[i].tensor_count;
    if (total >= UINT32_MAX / 2)
        return QN_ERROR(QN_INVALID_FILE, "%" PRIu64 " tensors in all parts", total);
    gguf->tensors = QN_ARENA_ARRAY(&gguf->arena, struct qn_gguf_tensor, (size_t)total);
    if (!gguf->tensors)
        return QN_OOM();
    gguf->tensor_count = 0;
    for (uint32_t i = 0; i < gguf->file_count; i++) {
        if (parts[i].tensor_count)
            memcpy(gguf->tensors + gguf->tensor_count, parts[i].tensors, parts[i].tensor_count * sizeof *gguf->tensors);
        gguf->tensor_count += parts[i].tensor_count;
    }
    return NULL;
}

/* Maps the names of items[0..count) to their indexes; each item starts with its name. A name that occurs twice is an
 * error that starts with `noun`. */
static qn_status build_map(struct qn_map *map, struct qn_arena *arena, const void *items, uint32_t count, size_t stride,
                           const char *noun)
{
    if (!qn_map_init(map, arena, count))
        return QN_OOM();
    for (uint32_t i = 0; i < count; i++) {
        struct qn_str name = *(const struct qn_str *)((const char *)items + stride * i);
        enum qn_map_result result = qn_map_put(map, name, i);
        if (result == QN_MAP_FAILED)
            return QN_OOM();
        if (result == QN_MAP_REPLACED)
            return QN_ERROR(QN_INVALID_FILE, "%s '%.*s' occurs more than once", noun, QN_STR_ARG(name));
    }
    return NULL;
}

static qn_status build_maps(struct qn_gguf *gguf)
{
    struct qn_arena *arena = &gguf->arena;
    QN_TRY(build_map(&gguf->kv_map, arena, gguf->kvs, gguf->kv_count, sizeof *gguf->kvs, "key"));
    return build_map(&gguf->tensor_map, arena, gguf->tensors, gguf->tensor_count, sizeof *gguf->tensors, "tensor");
}

/* Reads what the first file says of its split and sees that the other files are there. */
static qn_status prepare_split(struct qn_gguf *gguf, const struct qn_gguf_part *first, struct split *split,
                               struct qn_str *prefix)
{
    QN_TRY(read_split(first, split));
    if (split->count == 1)
        return NULL;
    if (gguf->borrowed)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a model split into %" PRIu64 " files can only be opened by path",
                        split->count);
    QN_TRY(split_prefix(gguf->files[0].path, split, prefix));
    if (split->number) {
        char suffix[SUFFIX_SIZE];
        format_suffix(suffix, 0, split->count);
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "part %" PRIu64 " of a model split into %" PRIu64 " files; open the first, '%.*s%s'",
                        split->number + 1, split->count, QN_STR_ARG(*prefix), suffix);
    }
    return check_siblings(&gguf->arena, *prefix, split);
}

static qn_status join_and_map(struct qn_gguf *gguf, const struct qn_gguf_part *parts, const struct split *split)
{
    QN_TRY(join_parts(gguf, parts));
    if (split->count > 1 && split->has_tensors && split->tensors != gguf->tensor_count)
        return QN_ERROR(QN_INVALID_FILE,
                        "key 'split.tensors.count' is %" PRIu64 ", but the parts have %" PRIu32 " tensors",
                        split->tensors, gguf->tensor_count);
    return build_maps(gguf);
}

/* Opens over files[0].map when it is borrowed, otherwise by path. */
static qn_status open_all(struct qn_gguf *gguf, const char *path)
{
    struct qn_gguf_part first, *parts = &first;
    struct qn_str name = qn_arena_str(&gguf->arena, qn_str_from(path)), prefix = {0};
    struct split split;
    if (!name.data)
        return QN_OOM();
    QN_TRY(open_part(gguf, 0, name, &first));
    QN_TRY(note_file(prepare_split(gguf, &first, &split, &prefix), gguf, 0));
    if (split.count > 1) {
        parts = QN_ARENA_ARRAY(&gguf->arena, struct qn_gguf_part, (size_t)split.count);
        if (!parts)
            return QN_OOM();
        parts[0] = first;
        QN_TRY(open_siblings(gguf, prefix, &split, parts));
    }
    return note_file(join_and_map(gguf, parts, &split), gguf, 0);
}

static qn_status create(const char *path, const void *data, size_t size, bool borrowed,
                        const struct qn_allocator *allocator, struct qn_gguf **out)
{
    *out = NULL;
    if (!allocator)
        allocator = qn_allocator_default();
    struct qn_gguf *gguf = qn_calloc(allocator, 1, sizeof *gguf);
    if (!gguf)
        return QN_OOM();
    qn_arena_init(&gguf->arena, allocator);
    gguf->borrowed = borrowed;
    gguf->files = QN_ARENA_NEW(&gguf->arena, struct qn_gguf_file);
    if (!gguf->files) {
        qn_gguf_close(gguf);
        return QN_OOM();
    }
    gguf->file_count = 1;
    gguf->files[0].map = (struct qn_file_map){.data = data, .size = size};
    qn_status status = open_all(gguf, path);
    if (status)
        qn_gguf_close(gguf);
    else
        *out = gguf;
    return status;
}

qn_status qn_gguf_open(const char *path, const struct qn_allocator *allocator, struct qn_gguf **out)
{
    return create(path, NULL, 0, false, allocator, out);
}

qn_status qn_gguf_open_memory(const void *data, size_t size, const char *name, const struct qn_allocator *allocator,
                              struct qn_gguf **out)
{
    return create(name, data, size, true, allocator, out);
}

void qn_gguf_close(struct qn_gguf *gguf)
{
    if (!gguf)
        return;
    for (uint32_t i = 0; i < gguf->file_count; i++)
        qn_file_unmap(&gguf->files[i].map);
    const struct qn_allocator *allocator = gguf->arena.allocator;
    qn_arena_deinit(&gguf->arena);
    qn_free(allocator, gguf, sizeof *gguf);
}

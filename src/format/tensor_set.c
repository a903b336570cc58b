#include "format/tensor_set.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "base/utf8.h"

struct kind {
    const char *name;
    qn_set_probe_fn *probe;
    qn_set_read_fn *read;
};

static const struct kind kinds[] = {
#define QN_TENSOR_FILE(id, name, probe, read) {name, probe, read},
#include "format/tensor_files.def"
#undef QN_TENSOR_FILE
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0], NAMED_MISSING = 4 };

/* ---- life ----------------------------------------------------------------------------------------------------- */

qn_status qn_set_init(struct qn_tensor_set *set, const struct qn_allocator *allocator)
{
    *set = (struct qn_tensor_set){.allocator = allocator};
    qn_arena_init(&set->arena, allocator);
    return qn_map_init(&set->by_name, &set->arena, 64) ? NULL : QN_OOM();
}

void qn_set_deinit(struct qn_tensor_set *set)
{
    if (!set->allocator)
        return;
    for (uint32_t i = 0; i < set->files.count; i++)
        qn_file_unmap(&set->files.items[i].map);
    for (uint32_t i = 0; i < set->blocks.count; i++)
        qn_free(set->allocator, set->blocks.items[i].data, set->blocks.items[i].size);
    qn_array_free(&set->files, set->allocator);
    qn_array_free(&set->tensors, set->allocator);
    qn_array_free(&set->texts, set->allocator);
    qn_array_free(&set->blocks, set->allocator);
    qn_arena_deinit(&set->arena);
    *set = (struct qn_tensor_set){0};
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

static qn_status read_file(struct qn_tensor_set *set, uint32_t file)
{
    struct qn_set_file *f = &set->files.items[file];
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (kinds[i].probe(f->map.data, f->map.size)) {
            f->kind = kinds[i].name;
            return kinds[i].read(set, file);
        }
    return QN_ERROR(QN_INVALID_FILE, "not a file of tensors of a known kind (safetensors, PyTorch, npy, npz)");
}

/* Takes the map over. */
static qn_status add_file(struct qn_tensor_set *set, const char *path, struct qn_file_map *map)
{
    struct qn_set_file file = {.map = *map};
    file.path = qn_arena_str(&set->arena, qn_str_from(path));
    if (!file.path.data || !qn_array_push(&set->files, set->allocator, file)) {
        qn_file_unmap(map);
        return QN_OOM();
    }
    return qn_status_note(read_file(set, set->files.count - 1), "%s", path);
}

qn_status qn_set_add_file(struct qn_tensor_set *set, const char *path)
{
    struct qn_file_map map;
    QN_TRY(qn_file_map(path, &map));
    return add_file(set, path, &map);
}

qn_status qn_set_add_memory(struct qn_tensor_set *set, const void *data, uint64_t size, const char *name)
{
    struct qn_file_map map = {.data = data, .size = size};
    return add_file(set, name, &map);
}

/* ---- shards --------------------------------------------------------------------------------------------------- */

/* A name in an index: a relative path that does not climb. */
static bool is_shard_name(struct qn_str name)
{
    if (name.size == 0 || name.data[0] == '/' || memchr(name.data, 0, name.size))
        return false;
    for (size_t i = 0, start = 0; i <= name.size; i++)
        if (i == name.size || name.data[i] == '/') {
            if (i - start == 2 && name.data[start] == '.' && name.data[start + 1] == '.')
                return false;
            start = i + 1;
        }
    return true;
}

struct shards {
    struct qn_str folder;          /* with the slash at its end, or empty */
    const struct qn_json *names;   /* weight_map */
    struct qn_map numbers;         /* by file name: number in paths */
    QN_ARRAY(struct qn_str) paths; /* of files that the index names */
    uint32_t first;                /* index of the first of them in the set */
};

static qn_status list_shards(struct qn_tensor_set *set, struct shards *s)
{
    if (!qn_map_init(&s->numbers, &set->arena, 16))
        return QN_OOM();
    const struct qn_json *item = qn_json_first(s->names);
    for (uint32_t i = 0; i < s->names->size; i++) {
        struct qn_str tensor = qn_json_str(item);
        item = qn_json_next(item);
        if (item->kind != QN_JSON_STRING || !is_shard_name(qn_json_str(item)))
            return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': expected the name of a file in the same folder",
                            QN_STR_ARG(tensor));
        struct qn_str name = qn_json_str(item);
        item = qn_json_next(item);
        if (qn_map_get(&s->numbers, name))
            continue;
        struct qn_str path =
            qn_arena_printf(&set->arena, "%.*s%.*s", (int)s->folder.size, s->folder.data, (int)name.size, name.data);
        if (!path.data || qn_map_put(&s->numbers, name, s->paths.count) == QN_MAP_FAILED ||
            !qn_array_push(&s->paths, set->allocator, path))
            return QN_OOM();
    }
    return NULL;
}

static qn_status check_shards_exist(const struct qn_tensor_set *set, const struct shards *s)
{
    uint32_t missing = 0;
    struct qn_strbuf words;
    qn_strbuf_init(&words, set->allocator);
    for (uint32_t i = 0; i < s->paths.count; i++) {
        if (qn_file_exists(s->paths.items[i].data))
            continue;
        if (missing++ < NAMED_MISSING)
            qn_strbuf_printf(&words, "%s%s", missing > 1 ? ", " : "", s->paths.items[i].data);
    }
    qn_status status = NULL;
    if (missing)
        status = words.failed
                     ? QN_OOM()
                     : QN_ERROR(QN_NOT_FOUND, "%u of %u shards %s missing: %s%s", missing, s->paths.count,
                                missing > 1 ? "are" : "is", words.data, missing > NAMED_MISSING ? ", ..." : "");
    qn_strbuf_deinit(&words);
    return status;
}

/* Each tensor that the index lists lies where it says, and it lists them all. */
static qn_status check_index(const struct qn_tensor_set *set, const struct shards *s, uint32_t first_tensor)
{
    const struct qn_json *item = qn_json_first(s->names);
    for (uint32_t i = 0; i < s->names->size; i++) {
        struct qn_str name = qn_json_str(item);
        item = qn_json_next(item);
        struct qn_str file = qn_json_str(item);
        item = qn_json_next(item);
        const struct qn_set_tensor *tensor = qn_set_find(set, name);
        uint32_t expected = s->first + *qn_map_get(&s->numbers, file);
        if (!tensor)
            return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' is not in '%.*s', where the index places it",
                            QN_STR_ARG(name), QN_STR_ARG(file));
        if (tensor->file != expected)
            return QN_ERROR(QN_INVALID_FILE, "the index places tensor '%.*s' in '%.*s', but it lies in %s",
                            QN_STR_ARG(name), QN_STR_ARG(file), set->files.items[tensor->file].path.data);
    }
    uint32_t found = set->tensors.count - first_tensor;
    if (found == s->names->size)
        return NULL;
    struct qn_map listed;
    struct qn_arena arena;
    qn_arena_init(&arena, set->allocator);
    qn_status status = qn_map_init(&listed, &arena, s->names->size) ? NULL : QN_OOM();
    item = qn_json_first(s->names);
    for (uint32_t i = 0; i < s->names->size && !status; i++, item = qn_json_next(qn_json_next(item)))
        if (qn_map_put(&listed, qn_json_str(item), i) == QN_MAP_FAILED)
            status = QN_OOM();
    for (uint32_t i = first_tensor; i < set->tensors.count && !status; i++)
        if (!qn_map_get(&listed, set->tensors.items[i].name))
            status = QN_ERROR(QN_INVALID_FILE, "tensor '%s' of %s is not in the index", set->tensors.items[i].name.data,
                              set->files.items[set->tensors.items[i].file].path.data);
    qn_arena_deinit(&arena);
    return status;
}

static qn_status read_shards(struct qn_tensor_set *set, struct shards *s)
{
    uint32_t first_tensor = set->tensors.count;
    s->first = set->files.count;
    QN_TRY(list_shards(set, s));
    QN_TRY(check_shards_exist(set, s));
    for (uint32_t i = 0; i < s->paths.count; i++)
        QN_TRY(qn_set_add_file(set, s->paths.items[i].data));
    return check_index(set, s, first_tensor);
}

static qn_status read_index(struct qn_tensor_set *set, struct shards *s, const char *path,
                            const struct qn_file_map *map)
{
    const struct qn_json_options options = {.name = path, .unique_keys = true};
    const struct qn_json *root;
    QN_TRY(qn_json_read((struct qn_str){(const char *)map->data, (size_t)map->size}, &options, &set->arena, &root));
    s->names = qn_json_member(root, "weight_map");
    if (!s->names || s->names->kind != QN_JSON_OBJECT || s->names->size == 0)
        return QN_ERROR(QN_INVALID_FILE, "%s: key 'weight_map' is %s; expected an object with a file for each tensor",
                        path, s->names ? "empty or no object" : "missing");
    const char *slash = strrchr(path, '/');
    s->folder = (struct qn_str){path, slash ? (size_t)(slash - path) + 1 : 0};
    return qn_status_note(read_shards(set, s), "%s", path);
}

qn_status qn_set_add_index(struct qn_tensor_set *set, const char *index_path)
{
    struct qn_file_map map;
    struct shards shards = {0};
    QN_TRY(qn_file_map(index_path, &map));
    qn_status status = read_index(set, &shards, index_path, &map);
    qn_array_free(&shards.paths, set->allocator);
    qn_file_unmap(&map);
    return status;
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

const struct qn_set_tensor *qn_set_find(const struct qn_tensor_set *set, struct qn_str name)
{
    const uint32_t *index = qn_map_get(&set->by_name, name);
    return index ? &set->tensors.items[*index] : NULL;
}

static bool is_printable(struct qn_str name)
{
    for (size_t i = 0; i < name.size;) {
        uint32_t c;
        size_t length = qn_utf8_decode(name.data + i, name.size - i, &c);
        if (!length || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
            return false;
        i += length;
    }
    return name.size != 0;
}

/* Bytes that a contiguous tensor of so many elements takes in its file. */
static bool stored_bytes(const struct qn_set_tensor *t, uint64_t *out)
{
    uint32_t bits = 8 * qn_dtype_info(t->dtype)->block_bytes;
    if (t->store == QN_SET_NIBBLES)
        bits = 4;
    else if (t->store == QN_SET_F6_E2M3 || t->store == QN_SET_F6_E3M2)
        bits = 6;
    if (!qn_mul_u64(t->elements, bits, out) || *out % 8)
        return false;
    *out /= 8;
    return true;
}

/* One past the last element that the strides reach. */
static bool strided_extent(const struct qn_set_tensor *t, uint64_t *out)
{
    *out = t->elements ? 1 : 0;
    for (uint32_t i = 0; i < t->rank && t->elements; i++) {
        uint64_t reach;
        if (!qn_mul_u64(t->dims[i] - 1, t->strides[i], &reach) || !qn_add_u64(*out, reach, out))
            return false;
    }
    return qn_mul_u64(*out, qn_dtype_info(t->dtype)->block_bytes, out);
}

static qn_status measure(const struct qn_tensor_set *set, struct qn_set_tensor *t)
{
    t->elements = 1;
    bool fits = true, empty = false;
    for (uint32_t i = 0; i < t->rank; i++) {
        empty |= t->dims[i] == 0;
        fits = fits && t->dims[i] <= INT64_MAX && qn_mul_u64(t->elements, t->dims[i] ? t->dims[i] : 1, &t->elements);
    }
    if (empty)
        t->elements = 0;
    uint64_t stored = 0;
    fits = fits && qn_mul_u64(t->elements, qn_dtype_info(t->dtype)->block_bytes, &t->bytes) &&
           (t->store == QN_SET_STRIDED ? strided_extent(t, &stored) : stored_bytes(t, &stored));
    if (!fits)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': its size is no whole number of bytes or does not fit 64 bits",
                        QN_STR_ARG(t->name));
    uint64_t have = t->stored, end;
    if (t->offset != UINT64_MAX) {
        uint64_t size = set->files.items[t->file].map.size;
        if (!qn_add_u64(t->offset, stored, &end) || end > size)
            return QN_ERROR(QN_INVALID_FILE,
                            "tensor '%.*s': its %" PRIu64 " bytes at %" PRIu64 " lie outside the file of %" PRIu64,
                            QN_STR_ARG(t->name), stored, t->offset, size);
        have = stored;
    }
    if (have < stored)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': its shape needs %" PRIu64 " bytes, there are %" PRIu64,
                        QN_STR_ARG(t->name), stored, have);
    t->stored = stored;
    return NULL;
}

qn_status qn_set_add_tensor(struct qn_tensor_set *set, const struct qn_set_tensor *tensor)
{
    struct qn_set_tensor t = *tensor;
    if (!is_printable(t.name))
        return QN_ERROR(QN_INVALID_FILE, "tensor %u: its name is empty or not printable", set->tensors.count);
    QN_TRY(measure(set, &t));
    t.name = qn_arena_str(&set->arena, t.name);
    if (!t.name.data)
        return QN_OOM();
    switch (qn_map_put(&set->by_name, t.name, set->tensors.count)) {
    case QN_MAP_FAILED:
        return QN_OOM();
    case QN_MAP_REPLACED: {
        uint32_t other = 0; /* the first of that name */
        while (!qn_str_eq(set->tensors.items[other].name, t.name))
            other++;
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s' occurs more than once; first in %s", t.name.data,
                        set->files.items[set->tensors.items[other].file].path.data);
    }
    default:
        break;
    }
    return qn_array_push(&set->tensors, set->allocator, t) ? NULL : QN_OOM();
}

qn_status qn_set_add_text(struct qn_tensor_set *set, uint32_t file, struct qn_str key, struct qn_str text)
{
    if (file)
        return NULL;
    struct qn_set_text entry = {qn_arena_str(&set->arena, key), qn_arena_str(&set->arena, text)};
    bool ok = entry.key.data && entry.text.data && qn_array_push(&set->texts, set->allocator, entry);
    return ok ? NULL : QN_OOM();
}

qn_status qn_set_add_block(struct qn_tensor_set *set, uint64_t size, void **out)
{
    *out = NULL;
    if (size > SIZE_MAX)
        return QN_OOM();
    struct qn_set_block block = {.size = size ? (size_t)size : 1};
    block.data = qn_alloc(set->allocator, block.size);
    if (!block.data)
        return QN_OOM();
    if (!qn_array_push(&set->blocks, set->allocator, block)) {
        qn_free(set->allocator, block.data, block.size);
        return QN_OOM();
    }
    *out = block.data;
    return NULL;
}

/* ---- elements ------------------------------------------------------------------------------------------------- */

/* A 6-bit float as the bits of an f16: sign, `exponent` bits, the rest mantissa; no infinities, no NaN. */
static uint16_t f16_of_f6(uint32_t code, uint32_t exponent_bits)
{
    uint32_t mantissa_bits = 5 - exponent_bits, mantissa = code & ((1u << mantissa_bits) - 1);
    uint32_t exponent = code >> mantissa_bits & ((1u << exponent_bits) - 1), sign = code >> 5 & 1;
    int32_t bias = (1 << (exponent_bits - 1)) - 1, scale = (int32_t)(exponent ? exponent : 1) - bias;
    uint32_t bits = mantissa | (exponent ? 1u << mantissa_bits : 0); /* value = bits * 2^(scale - mantissa_bits) */
    if (bits == 0)
        return (uint16_t)(sign << 15);
    while (!(bits >> mantissa_bits)) {
        bits <<= 1;
        scale--;
    }
    bits &= (1u << mantissa_bits) - 1;
    return (uint16_t)(sign << 15 | (uint32_t)(scale + 15) << 10 | bits << (10 - mantissa_bits));
}

static void read_f6(const struct qn_set_tensor *t, uint64_t first, uint64_t count, uint16_t *out)
{
    const uint8_t *data = t->data;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t bit = 6 * (first + i), at = bit / 8;
        uint32_t pair = data[at] | (at + 1 < t->stored ? (uint32_t)data[at + 1] << 8 : 0);
        uint16_t value = f16_of_f6(pair >> bit % 8 & 63, t->store == QN_SET_F6_E2M3 ? 2 : 3);
        memcpy((uint8_t *)out + 2 * i, &value, 2);
    }
}

static void read_strided(const struct qn_set_tensor *t, uint64_t first, uint64_t count, uint8_t *out)
{
    uint32_t size = qn_dtype_info(t->dtype)->block_bytes;
    const uint8_t *data = t->data;
    uint64_t at[QN_SET_MAX_RANK] = {0}, rest = first, source = 0;
    for (uint32_t k = t->rank; k-- > 0;) {
        at[k] = rest % t->dims[k];
        rest /= t->dims[k];
        source += at[k] * t->strides[k];
    }
    for (uint64_t i = 0; i < count; i++, out += size) {
        memcpy(out, data + source * size, size);
        for (uint32_t k = t->rank; k-- > 0;) {
            source += t->strides[k];
            if (++at[k] < t->dims[k])
                break;
            source -= at[k] * t->strides[k];
            at[k] = 0;
        }
    }
}

/* Turns numbers of `size` bytes around. */
static void swap_bytes(uint8_t *data, uint64_t count, uint32_t size)
{
    for (uint64_t i = 0; i < count; i++, data += size)
        for (uint32_t k = 0; k < size / 2; k++) {
            uint8_t low = data[k];
            data[k] = data[size - 1 - k];
            data[size - 1 - k] = low;
        }
}

void qn_set_read(const struct qn_set_tensor *tensor, uint64_t first, uint64_t count, void *out)
{
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    const uint8_t *data = tensor->data;
    uint32_t size = info->block_bytes;
    if (count == 0)
        return;
    switch (tensor->store) {
    case QN_SET_PLAIN:
        memcpy(out, data + first * size, (size_t)(count * size));
        break;
    case QN_SET_NIBBLES:
        for (uint64_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = data[(first + i) / 2] >> (first + i) % 2 * 4 & 15;
        break;
    case QN_SET_F6_E2M3:
    case QN_SET_F6_E3M2:
        read_f6(tensor, first, count, out);
        break;
    case QN_SET_STRIDED:
        read_strided(tensor, first, count, out);
        break;
    }
    if (tensor->big_endian) {
        bool pair = info->class_ == QN_DTYPE_CLASS_COMPLEX;
        swap_bytes(out, pair ? 2 * count : count, pair ? size / 2 : size);
    }
}

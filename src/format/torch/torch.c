/* What torch.save writes: a zip file with a pickle and a member for each storage, or (before PyTorch 1.6) pickles with
 * the storages behind them. Storages that are stored are mapped where they lie. */
#include <inttypes.h>
#include <stdio.h>

#include "base/checked.h"
#include "format/tensor_set.h"
#include "format/torch/pickle.h"
#include "format/zip_file.h"

enum { MAX_DEPTH = 16, NAME_SIZE = 512, PROTOCOL = 1001 };

/* The bytes of a storage. */
struct place {
    const uint8_t *data;
    uint64_t bytes;
    uint64_t offset; /* in the file; UINT64_MAX: unpacked, in memory */
};

struct loader {
    struct qn_tensor_set *set;
    uint32_t file;
    struct qn_arena arena; /* values of the pickle */
    bool big_endian;
    struct qn_zip zip;
    struct qn_map members; /* zip: by name */
    struct qn_str prefix;  /* zip: "archive/" */
    struct qn_map keys;    /* by storage key: index into places */
    QN_ARRAY(struct place) places;
    uint64_t visits; /* of values, against pickles that repeat themselves */
    uint64_t most_visits;
};

/* ---- storages ------------------------------------------------------------------------------------------------- */

static qn_status add_place(struct loader *l, struct qn_str key, struct place place, const struct place **out)
{
    if (qn_map_put(&l->keys, key, l->places.count) == QN_MAP_FAILED ||
        !qn_array_push(&l->places, l->set->allocator, place))
        return QN_OOM();
    *out = &l->places.items[l->places.count - 1];
    return NULL;
}

/* The member "<prefix>data/<key>", unpacked where it has to be. */
static qn_status find_member(struct loader *l, struct qn_str key, const struct place **out)
{
    char name[NAME_SIZE];
    int size = snprintf(name, sizeof name, "%.*sdata/%.*s", QN_STR_ARG(l->prefix), QN_STR_ARG(key));
    const uint32_t *index = size < NAME_SIZE ? qn_map_get(&l->members, (struct qn_str){name, (size_t)size}) : NULL;
    if (!index)
        return QN_ERROR(QN_INVALID_FILE, "storage '%.*s' has no member in the file", QN_STR_ARG(key));
    const struct qn_zip_member *m = &l->zip.members[*index];
    struct place place = {.bytes = m->size};
    uint64_t offset;
    QN_TRY(qn_zip_place(&l->zip, m, &offset));
    place.data = l->zip.data + offset;
    place.offset = offset;
    if (m->method != 0) {
        void *block;
        QN_TRY(qn_set_add_block(l->set, m->size, &block));
        QN_TRY(qn_zip_unpack(&l->zip, m, block));
        place.data = block;
        place.offset = UINT64_MAX;
    }
    return add_place(l, key, place, out);
}

static qn_status find_storage(struct loader *l, const struct qn_pickle_storage *storage, const struct place **out)
{
    const uint32_t *index = qn_map_get(&l->keys, storage->key);
    *out = index ? &l->places.items[*index] : NULL;
    if (*out)
        return NULL;
    if (l->zip.data)
        return find_member(l, storage->key, out);
    return QN_ERROR(QN_INVALID_FILE, "storage '%.*s' is not in the file", QN_STR_ARG(storage->key));
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static bool is_contiguous(const struct qn_pickle_value *v)
{
    uint64_t step = 1;
    for (uint32_t i = v->tensor.rank; i-- > 0;) {
        if (v->tensor.dims[i] != 1 && v->tensor.strides[i] != step)
            return false;
        if (!qn_mul_u64(step, v->tensor.dims[i], &step))
            return false;
    }
    return true;
}

static qn_status add_tensor(struct loader *l, const char *name, const struct qn_pickle_value *v)
{
    const struct qn_pickle_storage *storage = v->tensor.storage;
    struct qn_set_tensor t = {.name = qn_str_from(name),
                              .dtype = v->tensor.dtype,
                              .rank = v->tensor.rank,
                              .file = l->file,
                              .big_endian = l->big_endian && qn_dtype_info(v->tensor.dtype)->block_bytes > 1};
    bool empty = false;
    uint64_t elements = 1, reach = 0, skip, before;
    for (uint32_t i = 0; i < t.rank; i++) {
        t.dims[i] = v->tensor.dims[i];
        t.strides[i] = v->tensor.strides[i];
        empty |= t.dims[i] == 0;
        if (!qn_mul_u64(elements, t.dims[i] ? t.dims[i] : 1, &elements))
            return QN_ERROR(QN_INVALID_FILE, "tensor '%s': its size does not fit 64 bits", name);
    }
    const struct place *place = NULL;
    QN_TRY(qn_status_note(find_storage(l, storage, &place), "tensor '%s'", name));
    uint32_t size = qn_dtype_info(t.dtype)->block_bytes, unit = qn_dtype_info(storage->dtype)->block_bytes;
    if (!qn_mul_u64(v->tensor.offset, size, &skip) || !qn_mul_u64(storage->offset, unit, &before) ||
        !qn_add_u64(skip, before, &skip) || skip > place->bytes)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s' begins beyond its storage of %" PRIu64 " bytes", name,
                        place->bytes);
    t.data = place->data + skip;
    t.offset = UINT64_MAX; /* checked against the storage first */
    t.stored = place->bytes - skip;
    t.store = empty || is_contiguous(v) ? QN_SET_PLAIN : QN_SET_STRIDED;
    for (uint32_t i = 0; i < t.rank && t.store == QN_SET_STRIDED; i++) {
        uint64_t far;
        if (!qn_mul_u64(t.dims[i] - 1, t.strides[i], &far) || !qn_add_u64(reach, far, &reach))
            return QN_ERROR(QN_INVALID_FILE, "tensor '%s': its strides do not fit 64 bits", name);
    }
    if (t.store == QN_SET_STRIDED && elements / 16 > reach + 1)
        return QN_ERROR(QN_UNSUPPORTED,
                        "tensor '%s': %" PRIu64 " elements are views of %" PRIu64
                        " that are stored; save it with .contiguous()",
                        name, elements, reach + 1);
    QN_TRY(qn_set_add_tensor(l->set, &t));
    if (place->offset != UINT64_MAX)
        l->set->tensors.items[l->set->tensors.count - 1].offset = place->offset + skip;
    return NULL;
}

/* Tensors wherever they stand in dictionaries and lists; the names of those around them come before theirs. */
static qn_status walk(struct loader *l, const struct qn_pickle_value *v, char name[NAME_SIZE], size_t size,
                      uint32_t depth)
{
    if (++l->visits > l->most_visits)
        return QN_ERROR(QN_INVALID_FILE, "pickle: it repeats itself without end");
    if (v->kind == QN_PICKLE_TENSOR)
        return add_tensor(l, size ? name : "tensor", v);
    if ((v->kind != QN_PICKLE_LIST && v->kind != QN_PICKLE_DICT))
        return NULL;
    if (depth == MAX_DEPTH)
        return QN_ERROR(QN_UNSUPPORTED, "pickle: '%s' lies more than %d levels deep", name, MAX_DEPTH);
    uint32_t index = 0;
    for (const struct qn_pickle_cell *cell = v->items.first; cell; cell = cell->next, index++) {
        const struct qn_pickle_value *key = NULL, *item = cell->value;
        if (v->kind == QN_PICKLE_DICT) {
            key = item;
            cell = cell->next;
            item = cell->value;
        }
        char *at = name + size;
        size_t room = NAME_SIZE - size;
        const char *dot = size ? "." : "";
        int added;
        if (!key)
            added = snprintf(at, room, "%s%u", dot, index);
        else if (key->kind == QN_PICKLE_TEXT)
            added = snprintf(at, room, "%s%.*s", dot, QN_STR_ARG(key->text));
        else if (key->kind == QN_PICKLE_INT)
            added = snprintf(at, room, "%s%" PRId64, dot, key->integer);
        else
            continue;
        if (added < 0 || (size_t)added >= room)
            return QN_ERROR(QN_UNSUPPORTED, "pickle: a tensor's name is longer than %d bytes", NAME_SIZE - 1);
        QN_TRY(walk(l, item, name, size + (size_t)added, depth + 1));
        name[size] = 0;
    }
    return NULL;
}

static qn_status add_tensors(struct loader *l, const struct qn_pickle_value *root)
{
    char name[NAME_SIZE] = "";
    uint32_t before = l->set->tensors.count;
    l->most_visits = l->set->files.items[l->file].map.size + 1024;
    QN_TRY(walk(l, root, name, 0, 0));
    if (l->set->tensors.count == before)
        return QN_ERROR(QN_INVALID_FILE, "no tensors in it");
    return NULL;
}

/* ---- zip ------------------------------------------------------------------------------------------------------ */

bool qn_torch_probe(const uint8_t *data, uint64_t size)
{
    static const uint8_t legacy[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    if (size > 14 && data[0] == 0x80 && memcmp(data + 2, legacy, sizeof legacy) == 0)
        return true;
    /* The first member of such a zip is its pickle; numpy's are named .npy. */
    if (!qn_zip_probe(data, size) || size < 30)
        return false;
    uint64_t length = data[26] | (uint64_t)data[27] << 8;
    struct qn_str name = {(const char *)data + 30, length < size - 30 ? (size_t)length : 0};
    return !qn_str_ends(name, QN_STR(".npy"));
}

static qn_status find_pickle(struct loader *l, const struct qn_zip_member **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < l->zip.count; i++) {
        const struct qn_zip_member *m = &l->zip.members[i];
        if (qn_map_put(&l->members, m->name, i) == QN_MAP_FAILED)
            return QN_OOM();
        if (qn_str_is(m->name, "data.pkl") || qn_str_ends(m->name, QN_STR("/data.pkl")))
            *out = m;
        if (qn_str_ends(m->name, QN_STR("/constants.pkl")))
            return QN_ERROR(QN_UNSUPPORTED, "a TorchScript program; expected a file of torch.save");
    }
    if (!*out)
        return QN_ERROR(QN_INVALID_FILE, "a zip file without a data.pkl; expected a file of torch.save");
    l->prefix = (struct qn_str){(*out)->name.data, (*out)->name.size - 8};
    return NULL;
}

/* A whole member in memory of the loader. */
static qn_status load_member(struct loader *l, const struct qn_zip_member *m, const uint8_t **out)
{
    uint64_t offset;
    QN_TRY(qn_zip_place(&l->zip, m, &offset));
    *out = l->zip.data + offset;
    if (m->method == 0)
        return NULL;
    uint8_t *copy = m->size < SIZE_MAX ? qn_arena_alloc(&l->arena, (size_t)m->size + 1, 1) : NULL;
    if (!copy)
        return QN_OOM();
    *out = copy;
    return qn_zip_unpack(&l->zip, m, copy);
}

static qn_status read_zip(struct loader *l, const struct qn_file_map *map)
{
    const struct qn_zip_member *pickle, *order;
    const struct qn_pickle_value *root;
    const uint8_t *data;
    uint64_t used;
    char name[NAME_SIZE];
    QN_TRY(qn_zip_open(map->data, map->size, &l->arena, &l->zip));
    QN_TRY(find_pickle(l, &pickle));
    int size = snprintf(name, sizeof name, "%.*sbyteorder", QN_STR_ARG(l->prefix));
    order = size < NAME_SIZE ? qn_zip_find(&l->zip, (struct qn_str){name, (size_t)size}) : NULL;
    if (order && order->size == 3) {
        QN_TRY(load_member(l, order, &data));
        l->big_endian = memcmp(data, "big", 3) == 0;
    }
    QN_TRY(load_member(l, pickle, &data));
    QN_TRY(qn_pickle_read(data, pickle->size, &l->arena, &root, &used));
    return add_tensors(l, root);
}

/* ---- before 1.6 ----------------------------------------------------------------------------------------------- */

/* The types of all storages that the values refer to: the file tells their elements, not their bytes. */
static qn_status find_types(struct loader *l, const struct qn_pickle_value *v, struct qn_map *types, uint32_t depth)
{
    if (++l->visits > l->most_visits)
        return QN_ERROR(QN_INVALID_FILE, "pickle: it repeats itself without end");
    if (v->kind == QN_PICKLE_TENSOR) {
        if (qn_map_put(types, v->tensor.storage->key, (uint32_t)v->tensor.storage->dtype) == QN_MAP_FAILED)
            return QN_OOM();
        return NULL;
    }
    if ((v->kind != QN_PICKLE_LIST && v->kind != QN_PICKLE_DICT) || depth > MAX_DEPTH)
        return NULL;
    for (const struct qn_pickle_cell *cell = v->items.first; cell; cell = cell->next)
        QN_TRY(find_types(l, cell->value, types, depth + 1));
    return NULL;
}

static uint64_t load_count(const uint8_t *p, bool big_endian)
{
    uint64_t out = 0;
    for (int i = 0; i < 8; i++)
        out = out << 8 | p[big_endian ? i : 7 - i];
    return out;
}

/* Behind the list of keys: for each a count of elements, and the elements. */
static qn_status place_storages(struct loader *l, const struct qn_pickle_value *keys, const struct qn_map *types,
                                const struct qn_file_map *map, uint64_t at)
{
    const struct place *place;
    if (keys->kind != QN_PICKLE_LIST)
        return QN_ERROR(QN_INVALID_FILE, "the list of storages is missing");
    for (const struct qn_pickle_cell *cell = keys->items.first; cell; cell = cell->next) {
        if (cell->value->kind != QN_PICKLE_TEXT)
            return QN_ERROR(QN_INVALID_FILE, "the list of storages is damaged");
        struct qn_str key = cell->value->text;
        const uint32_t *dtype = qn_map_get(types, key);
        uint64_t bytes;
        if (!dtype)
            return QN_ERROR(QN_UNSUPPORTED,
                            "storage '%.*s' belongs to no tensor: where the next one begins is not known",
                            QN_STR_ARG(key));
        if (map->size - at < 8 ||
            !qn_mul_u64(load_count(map->data + at, l->big_endian), qn_dtype_info((qn_dtype)*dtype)->block_bytes,
                        &bytes) ||
            bytes > map->size - at - 8)
            return QN_ERROR(QN_INVALID_FILE, "storage '%.*s' is cut off", QN_STR_ARG(key));
        QN_TRY(add_place(l, key, (struct place){map->data + at + 8, bytes, at + 8}, &place));
        at += 8 + bytes;
    }
    return NULL;
}

static const struct qn_pickle_value *dict_item(const struct qn_pickle_value *dict, const char *key)
{
    const struct qn_pickle_cell *cell = dict->kind == QN_PICKLE_DICT ? dict->items.first : NULL;
    for (; cell; cell = cell->next->next)
        if (cell->value->kind == QN_PICKLE_TEXT && qn_str_is(cell->value->text, key))
            return cell->next->value;
    return NULL;
}

static qn_status read_legacy(struct loader *l, const struct qn_file_map *map)
{
    enum { MAGIC, VERSION, SYSTEM, ROOT, KEYS, PICKLES };
    const struct qn_pickle_value *parts[PICKLES];
    uint64_t at = 0, used;
    for (int i = 0; i < PICKLES; i++) {
        QN_TRY(qn_status_note(qn_pickle_read(map->data + at, map->size - at, &l->arena, &parts[i], &used),
                              "part at byte %" PRIu64, at));
        at += used;
        if (i == VERSION && (parts[i]->kind != QN_PICKLE_INT || parts[i]->integer != PROTOCOL))
            return QN_ERROR(QN_UNSUPPORTED, "an unknown version of PyTorch's old format; expected %d", PROTOCOL);
    }
    const struct qn_pickle_value *little = dict_item(parts[SYSTEM], "little_endian");
    l->big_endian = little && little->kind == QN_PICKLE_BOOL && !little->boolean;
    struct qn_map types;
    if (!qn_map_init(&types, &l->arena, 64))
        return QN_OOM();
    l->most_visits = map->size + 1024;
    QN_TRY(find_types(l, parts[ROOT], &types, 0));
    l->visits = 0;
    QN_TRY(place_storages(l, parts[KEYS], &types, map, at));
    return add_tensors(l, parts[ROOT]);
}

qn_status qn_torch_read(struct qn_tensor_set *set, uint32_t file)
{
    const struct qn_file_map map = set->files.items[file].map;
    struct loader l = {.set = set, .file = file};
    qn_arena_init(&l.arena, set->allocator);
    qn_status status = qn_map_init(&l.keys, &l.arena, 64) && qn_map_init(&l.members, &l.arena, 64) ? NULL : QN_OOM();
    if (!status)
        status = qn_zip_probe(map.data, map.size) ? read_zip(&l, &map) : read_legacy(&l, &map);
    qn_array_free(&l.places, set->allocator);
    qn_arena_deinit(&l.arena);
    return status;
}

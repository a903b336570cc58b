/* safetensors: a JSON header with names, types, shapes and ranges, then the bytes. What the reference implementation
 * refuses is refused: headers over 100 MB, ranges that leave holes, overlap, do not fit the shape or end elsewhere than
 * the file, keys that stand twice. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "format/tensor_set.h"

enum { LENGTH_BYTES = 8, MAX_HEADER = 100000000 };

static const struct {
    const char *name;
    qn_dtype dtype;
    enum qn_set_store store;
} types[] = {
    {"BOOL", QN_DTYPE_BOOL, QN_SET_PLAIN},
    {"U8", QN_DTYPE_U8, QN_SET_PLAIN},
    {"I8", QN_DTYPE_I8, QN_SET_PLAIN},
    {"U16", QN_DTYPE_U16, QN_SET_PLAIN},
    {"I16", QN_DTYPE_I16, QN_SET_PLAIN},
    {"U32", QN_DTYPE_U32, QN_SET_PLAIN},
    {"I32", QN_DTYPE_I32, QN_SET_PLAIN},
    {"U64", QN_DTYPE_U64, QN_SET_PLAIN},
    {"I64", QN_DTYPE_I64, QN_SET_PLAIN},
    {"F16", QN_DTYPE_F16, QN_SET_PLAIN},
    {"BF16", QN_DTYPE_BF16, QN_SET_PLAIN},
    {"F32", QN_DTYPE_F32, QN_SET_PLAIN},
    {"F64", QN_DTYPE_F64, QN_SET_PLAIN},
    {"C64", QN_DTYPE_C64, QN_SET_PLAIN},
    {"F8_E4M3", QN_DTYPE_F8E4M3FN, QN_SET_PLAIN},
    {"F8_E5M2", QN_DTYPE_F8E5M2, QN_SET_PLAIN},
    {"F8_E8M0", QN_DTYPE_F8E8M0, QN_SET_PLAIN},
    {"F8_E4M3FNUZ", QN_DTYPE_F8E4M3FNUZ, QN_SET_PLAIN},
    {"F8_E5M2FNUZ", QN_DTYPE_F8E5M2FNUZ, QN_SET_PLAIN},
    {"F4", QN_DTYPE_F4E2M1, QN_SET_NIBBLES},
    {"F6_E2M3", QN_DTYPE_F16, QN_SET_F6_E2M3},
    {"F6_E3M2", QN_DTYPE_F16, QN_SET_F6_E3M2},
};

static uint64_t load_length(const uint8_t *data)
{
    uint64_t length = 0;
    for (int i = LENGTH_BYTES; i-- > 0;)
        length = length << 8 | data[i];
    return length;
}

bool qn_safetensors_probe(const uint8_t *data, uint64_t size)
{
    /* The length of a header that may be, and the brace that must open it. */
    return size > LENGTH_BYTES && data[LENGTH_BYTES] == '{' && load_length(data) < UINT64_C(1) << 40;
}

static qn_status fail(struct qn_str name, const char *expected, const struct qn_json *found)
{
    return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': expected %s, found %s", QN_STR_ARG(name), expected,
                    found ? qn_json_kind_name(found->kind) : "nothing");
}

static qn_status read_type(const struct qn_json *dtype, struct qn_set_tensor *tensor)
{
    if (!dtype || dtype->kind != QN_JSON_STRING)
        return fail(tensor->name, "a string 'dtype'", dtype);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (qn_str_is(qn_json_str(dtype), types[i].name)) {
            tensor->dtype = types[i].dtype;
            tensor->store = types[i].store;
            return NULL;
        }
    return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s': type '%.*s' is not known", QN_STR_ARG(tensor->name),
                    QN_STR_ARG(qn_json_str(dtype)));
}

static qn_status read_shape(const struct qn_json *shape, struct qn_set_tensor *tensor)
{
    if (!shape || shape->kind != QN_JSON_ARRAY)
        return fail(tensor->name, "an array 'shape'", shape);
    if (shape->size > QN_SET_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s' has %u dimensions; at most %d can be read",
                        QN_STR_ARG(tensor->name), shape->size, QN_SET_MAX_RANK);
    const struct qn_json *item = qn_json_first(shape);
    tensor->rank = shape->size;
    for (uint32_t i = 0; i < shape->size; i++, item = qn_json_next(item)) {
        if (item->kind != QN_JSON_INT || item->integer < 0)
            return fail(tensor->name, "whole numbers of at least 0 in 'shape'", item);
        tensor->dims[i] = (uint64_t)item->integer;
    }
    return NULL;
}

/* data_offsets count from the end of the header, at `base` in the file. */
static qn_status read_range(const struct qn_json *offsets, uint64_t base, uint64_t size, struct qn_set_tensor *tensor,
                            uint64_t *length)
{
    if (!offsets || offsets->kind != QN_JSON_ARRAY || offsets->size != 2)
        return fail(tensor->name, "an array 'data_offsets' of two numbers", offsets);
    const struct qn_json *begin = qn_json_first(offsets), *end = qn_json_next(begin);
    if (begin->kind != QN_JSON_INT || end->kind != QN_JSON_INT || begin->integer < 0 || end->integer < begin->integer)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': 'data_offsets' are no range [begin, end]",
                        QN_STR_ARG(tensor->name));
    if ((uint64_t)end->integer > size - base)
        return QN_ERROR(QN_INVALID_FILE,
                        "tensor '%.*s': 'data_offsets' end at %" PRId64 ", the file has %" PRIu64
                        " bytes of data (is it cut off?)",
                        QN_STR_ARG(tensor->name), end->integer, size - base);
    tensor->offset = base + (uint64_t)begin->integer;
    *length = (uint64_t)(end->integer - begin->integer);
    return NULL;
}

static qn_status read_tensor(struct qn_tensor_set *set, uint32_t file, struct qn_str name, const struct qn_json *info,
                             uint64_t base)
{
    const struct qn_file_map *map = &set->files.items[file].map;
    struct qn_set_tensor tensor = {.name = name, .file = file};
    uint64_t length = 0;
    if (info->kind != QN_JSON_OBJECT)
        return fail(name, "an object", info);
    QN_TRY(read_type(qn_json_member(info, "dtype"), &tensor));
    QN_TRY(read_shape(qn_json_member(info, "shape"), &tensor));
    QN_TRY(read_range(qn_json_member(info, "data_offsets"), base, map->size, &tensor, &length));
    tensor.data = map->data + tensor.offset;
    QN_TRY(qn_set_add_tensor(set, &tensor));
    const struct qn_set_tensor *added = &set->tensors.items[set->tensors.count - 1];
    if (added->stored != length)
        return QN_ERROR(QN_INVALID_FILE,
                        "tensor '%s': 'data_offsets' span %" PRIu64 " bytes, type and shape need %" PRIu64,
                        added->name.data, length, added->stored);
    return NULL;
}

static qn_status read_metadata(struct qn_tensor_set *set, uint32_t file, const struct qn_json *metadata)
{
    if (metadata->kind != QN_JSON_OBJECT)
        return QN_ERROR(QN_INVALID_FILE, "'__metadata__' is %s; expected an object of strings",
                        qn_json_kind_name(metadata->kind));
    const struct qn_json *item = qn_json_first(metadata);
    for (uint32_t i = 0; i < metadata->size; i++) {
        struct qn_str key = qn_json_str(item);
        item = qn_json_next(item);
        if (item->kind != QN_JSON_STRING)
            return QN_ERROR(QN_INVALID_FILE, "'__metadata__': '%.*s' is %s; expected a string", QN_STR_ARG(key),
                            qn_json_kind_name(item->kind));
        QN_TRY(qn_set_add_text(set, file, key, qn_json_str(item)));
        item = qn_json_next(item);
    }
    return NULL;
}

/* Empty tensors may stand anywhere between others: they sort before what begins where they do. */
static int compare_places(const void *a, const void *b)
{
    const struct qn_set_tensor *const *x = a, *const *y = b;
    if ((*x)->offset != (*y)->offset)
        return (*x)->offset < (*y)->offset ? -1 : 1;
    return ((*x)->stored > (*y)->stored) - ((*x)->stored < (*y)->stored);
}

/* The ranges follow each other from the first byte of data to the last. */
static qn_status check_cover(struct qn_tensor_set *set, uint32_t first, uint64_t base, uint64_t size)
{
    uint32_t count = set->tensors.count - first;
    const struct qn_set_tensor **order = qn_calloc(set->allocator, (size_t)count + 1, sizeof(void *));
    if (!order)
        return QN_OOM();
    for (uint32_t i = 0; i < count; i++)
        order[i] = &set->tensors.items[first + i];
    qsort(order, count, sizeof(void *), compare_places);
    qn_status status = NULL;
    uint64_t at = base;
    for (uint32_t i = 0; i < count && !status; i++) {
        if (order[i]->offset > at)
            status = QN_ERROR(QN_INVALID_FILE, "%" PRIu64 " bytes before tensor '%s' belong to no tensor",
                              order[i]->offset - at, order[i]->name.data);
        else if (order[i]->offset < at)
            status = QN_ERROR(QN_INVALID_FILE, "tensors '%s' and '%s' overlap", order[i - 1]->name.data,
                              order[i]->name.data);
        at = order[i]->offset + order[i]->stored;
    }
    if (!status && at != size)
        status = QN_ERROR(QN_INVALID_FILE, "%" PRIu64 " bytes after the last tensor belong to none", size - at);
    qn_free(set->allocator, (void *)order, ((size_t)count + 1) * sizeof(void *));
    return status;
}

qn_status qn_safetensors_read(struct qn_tensor_set *set, uint32_t file)
{
    const struct qn_file_map map = set->files.items[file].map;
    uint32_t first = set->tensors.count;
    if (map.size < LENGTH_BYTES)
        return QN_ERROR(QN_INVALID_FILE, "%" PRIu64 " bytes; expected at least the 8 of the header's length", map.size);
    uint64_t length = load_length(map.data);
    if (length > MAX_HEADER)
        return QN_ERROR(QN_INVALID_FILE, "a header of %" PRIu64 " bytes; at most %d are allowed", length, MAX_HEADER);
    if (length > map.size - LENGTH_BYTES)
        return QN_ERROR(QN_INVALID_FILE, "a header of %" PRIu64 " bytes in a file of %" PRIu64 " (is it cut off?)",
                        length, map.size);
    if (length == 0 || map.data[LENGTH_BYTES] != '{')
        return QN_ERROR(QN_INVALID_FILE, "the header does not begin with '{'");
    const struct qn_json_options options = {.name = "header", .unique_keys = true};
    const struct qn_json *root;
    QN_TRY(qn_json_read((struct qn_str){(const char *)map.data + LENGTH_BYTES, (size_t)length}, &options, &set->arena,
                        &root));
    const struct qn_json *item = qn_json_first(root);
    for (uint32_t i = 0; i < root->size; i++) {
        struct qn_str key = qn_json_str(item);
        item = qn_json_next(item);
        if (qn_str_is(key, "__metadata__"))
            QN_TRY(read_metadata(set, file, item));
        else
            QN_TRY(read_tensor(set, file, key, item, LENGTH_BYTES + length));
        item = qn_json_next(item);
    }
    return check_cover(set, first, LENGTH_BYTES + length, map.size);
}

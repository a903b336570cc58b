/* Tensors whose bytes lie in files beside the model, and tensors wherever they lie. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "format/onnx/onnx_file.h"

enum { MAX_RANK = sizeof((struct qn_onnx_content *)NULL)->dims / sizeof(int64_t), SPARSE_FACTOR = 4096 };

/* ---- where ---------------------------------------------------------------------------------------------------- */

static bool parse_u64(struct qn_str text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || !qn_mul_u64(*out, 10, out) ||
            !qn_add_u64(*out, (uint64_t)(text.data[i] - '0'), out))
            return false;
    }
    return text.size > 0;
}

qn_status qn_onnx_external(const struct qn_onnx_tensor *tensor, struct qn_onnx_external *out)
{
    *out = (struct qn_onnx_external){0};
    for (uint32_t i = 0; i < tensor->external_count; i++) {
        const struct qn_onnx_entry *entry = &tensor->external_data[i];
        bool good = true;
        if (qn_str_is(entry->key, "location"))
            out->location = entry->value;
        else if (qn_str_is(entry->key, "offset"))
            good = parse_u64(entry->value, &out->offset);
        else if (qn_str_is(entry->key, "length"))
            good = out->has_length = parse_u64(entry->value, &out->length);
        if (!good)
            return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': external %.*s '%.*s' is no number of bytes",
                            QN_STR_ARG(tensor->name), QN_STR_ARG(entry->key), QN_STR_ARG(entry->value));
    }
    if (!out->location.size)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': external data without a location", QN_STR_ARG(tensor->name));
    if (memchr(out->location.data, 0, out->location.size) || out->location.size > 4096)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': the location of its external data is no file name",
                        QN_STR_ARG(tensor->name));
    return NULL;
}

/* ---- what ----------------------------------------------------------------------------------------------------- */

qn_status qn_onnx_external_bytes(const struct qn_onnx_file *file, const struct qn_onnx_tensor *tensor, uint32_t *source,
                                 const uint8_t **data, uint64_t *size)
{
    struct qn_onnx_external where;
    uint64_t elements, stored;
    QN_TRY(qn_onnx_external(tensor, &where));
    const uint32_t *index = qn_map_get(&file->source_map, where.location);
    if (!index)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': its external file '%.*s' is not open",
                        QN_STR_ARG(tensor->name), QN_STR_ARG(where.location));
    const struct qn_file_map *map = &file->sources[*index].map;
    QN_TRY(qn_onnx_tensor_stored(tensor, &elements, &stored));
    *source = *index;
    *size = where.has_length ? where.length : stored;
    if (where.offset > map->size || *size > map->size - where.offset)
        return QN_ERROR(
            QN_INVALID_FILE, "tensor '%.*s': bytes %" PRIu64 " to %" PRIu64 " of '%.*s', which has %" PRIu64,
            QN_STR_ARG(tensor->name), where.offset, where.offset + *size, QN_STR_ARG(where.location), map->size);
    *data = map->data ? map->data + where.offset : (const uint8_t *)"";
    return NULL;
}

static uint64_t alignment_of(qn_dtype dtype)
{
    uint32_t bytes = qn_dtype_info(dtype)->block_bytes;
    return dtype == QN_DTYPE_C64 ? 4 : bytes > 8 ? 8 : bytes;
}

static qn_status set_dims(struct qn_str name, const int64_t *dims, uint32_t count, struct qn_onnx_content *out)
{
    if (count > MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s' has %" PRIu32 " dimensions, expected at most %d",
                        QN_STR_ARG(name), count, (int)MAX_RANK);
    out->rank = count;
    if (count)
        memcpy(out->dims, dims, count * sizeof *dims);
    return NULL;
}

qn_status qn_onnx_resolve(const struct qn_onnx_file *file, const struct qn_onnx_tensor *tensor, struct qn_arena *arena,
                          struct qn_onnx_content *out)
{
    *out = (struct qn_onnx_content){.dtype = qn_onnx_dtype(tensor->data_type)};
    QN_TRY(set_dims(tensor->name, tensor->dims, tensor->dim_count, out));
    if (tensor->external) {
        const uint8_t *stored;
        uint64_t size;
        QN_TRY(qn_onnx_external_bytes(file, tensor, &out->file, &stored, &size));
        QN_TRY(qn_onnx_stored_bytes(tensor, stored, size, arena, &out->data, &out->bytes, &out->in_file));
    } else {
        QN_TRY(qn_onnx_tensor_bytes(tensor, arena, &out->data, &out->bytes, &out->in_file));
    }
    const struct qn_file_map *map = &file->sources[out->file].map;
    uintptr_t begin = (uintptr_t)map->data, at = (uintptr_t)out->data;
    out->in_file = out->in_file && at >= begin && at - begin <= map->size && out->bytes <= map->size - (at - begin);
    if (out->in_file)
        out->offset = at - begin;
    else
        out->file = 0;
    out->aligned = at % alignment_of(out->dtype) == 0;
    return NULL;
}

/* ---- sparse --------------------------------------------------------------------------------------------------- */

static qn_status fail_sparse(struct qn_str name, const char *what)
{
    return QN_ERROR(QN_INVALID_FILE, "sparse tensor '%.*s': %s", QN_STR_ARG(name), what);
}

/* Position of entry i in the dense tensor: from one linear index, or one an axis. */
static bool position_of(const struct qn_onnx_content *out, const int64_t *indices, uint32_t columns, uint64_t i,
                        uint64_t elements, uint64_t *position)
{
    int64_t index;
    *position = 0;
    if (columns == 1 && out->rank != 1) {
        memcpy(&index, indices + i, sizeof index);
        *position = (uint64_t)index;
        return index >= 0 && (uint64_t)index < elements;
    }
    for (uint32_t k = 0; k < columns; k++) {
        memcpy(&index, indices + i * columns + k, sizeof index);
        if (index < 0 || index >= out->dims[k])
            return false;
        *position = *position * (uint64_t)out->dims[k] + (uint64_t)index;
    }
    return true;
}

/* How many numbers an entry's index has. */
static qn_status index_columns(struct qn_str name, const struct qn_onnx_content *indices, uint64_t count, uint32_t rank,
                               uint32_t *columns)
{
    if (indices->dtype != QN_DTYPE_I64)
        return fail_sparse(name, "its indices are not int64");
    *columns = indices->rank == 2 ? rank : 1;
    if ((indices->rank != 1 && indices->rank != 2) || (uint64_t)indices->dims[0] != count ||
        (indices->rank == 2 && indices->dims[1] != (int64_t)rank))
        return fail_sparse(name, "its indices are neither one a value nor one a value and axis");
    return NULL;
}

qn_status qn_onnx_resolve_sparse(const struct qn_onnx_file *file, const struct qn_onnx_sparse *sparse,
                                 struct qn_arena *arena, struct qn_onnx_content *out)
{
    struct qn_onnx_content values, indices;
    struct qn_str name = sparse->values.name;
    QN_TRY(qn_onnx_resolve(file, &sparse->values, arena, &values));
    QN_TRY(qn_onnx_resolve(file, &sparse->indices, arena, &indices));
    *out = (struct qn_onnx_content){.dtype = values.dtype, .aligned = true};
    QN_TRY(set_dims(name, sparse->dims, sparse->dim_count, out));
    if (values.rank != 1)
        return fail_sparse(name, "its values are no list");
    if (values.dtype == QN_DTYPE_STRING)
        return QN_ERROR(QN_UNSUPPORTED, "sparse tensor '%.*s' of strings", QN_STR_ARG(name));
    const struct qn_onnx_tensor dense = {
        .name = name, .data_type = sparse->values.data_type, .dims = sparse->dims, .dim_count = sparse->dim_count};
    uint64_t elements, item = qn_dtype_info(values.dtype)->block_bytes, count = (uint64_t)values.dims[0];
    uint32_t columns;
    QN_TRY(qn_onnx_tensor_elements(&dense, &elements));
    QN_TRY(index_columns(name, &indices, count, out->rank, &columns));
    out->bytes = elements * item;
    if (out->bytes / SPARSE_FACTOR > values.bytes + indices.bytes + 16)
        return fail_sparse(name, "it is more than 4096 times larger than what it holds");
    uint8_t *made = !arena || out->bytes > SIZE_MAX ? NULL : qn_arena_alloc(arena, (size_t)out->bytes, 64);
    if (arena && !made)
        return QN_OOM();
    out->data = made;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t position;
        if (!position_of(out, indices.data, columns, i, elements, &position))
            return fail_sparse(name, "an index lies outside its dimensions");
        if (made)
            memcpy(made + position * item, (const uint8_t *)values.data + i * item, (size_t)item);
    }
    return NULL;
}

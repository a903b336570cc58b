#include <inttypes.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "format/gguf/gguf.h"
#include "format/gguf/gguf_types.h"

struct written_kv {
    struct qn_str key;
    struct qn_str bytes; /* the value as it stands in the file, its type first */
};

struct written_tensor {
    struct qn_str name;
    qn_dtype dtype;
    uint32_t rank;
    uint64_t dims[QN_GGUF_MAX_RANK]; /* outermost first */
    uint64_t offset, bytes;          /* offset within the data section */
};

struct qn_gguf_writer {
    const struct qn_allocator *allocator;
    struct qn_arena arena; /* the path, names and values */
    struct qn_str path;
    struct qn_file_writer *file;
    uint64_t alignment;
    QN_ARRAY(struct written_kv) kvs;
    QN_ARRAY(struct written_tensor) tensors;
    bool in_data;
    uint32_t current;    /* the tensor that is being written */
    uint64_t done;       /* its bytes so far */
    uint64_t data_start; /* where the first tensor begins in the file */
};

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

static void put_uint(struct qn_strbuf *buf, uint64_t value, uint32_t bytes)
{
    uint8_t le[8];
    for (uint32_t i = 0; i < 8; i++)
        le[i] = (uint8_t)(value >> (8 * i));
    qn_strbuf_append(buf, le, bytes);
}

static void put_string(struct qn_strbuf *buf, struct qn_str text)
{
    put_uint(buf, text.size, 8);
    qn_strbuf_append(buf, text.data, text.size);
}

static qn_status write_zeros(struct qn_gguf_writer *writer, uint64_t count)
{
    static const uint8_t zeros[256];
    while (count) {
        size_t size = count < sizeof zeros ? (size_t)count : sizeof zeros;
        QN_TRY(qn_file_writer_write(writer->file, zeros, size));
        count -= size;
    }
    return NULL;
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

static qn_status put_array(struct qn_strbuf *buf, const struct qn_gguf_value *value)
{
    put_uint(buf, (uint64_t)value->elem_type, 4);
    put_uint(buf, value->count, 8);
    if (value->elem_type == QN_GGUF_STRING) {
        for (uint64_t i = 0; i < value->count; i++)
            put_string(buf, value->as.strings[i]);
        return NULL;
    }
    uint64_t bytes = value->item_bytes, measured;
    if (value->elem_type != QN_GGUF_ARRAY && !qn_mul_u64(value->count, qn_gguf_type_bytes(value->elem_type), &bytes))
        return QN_ERROR(QN_INVALID_ARGUMENT, "an array of %" PRIu64 " elements", value->count);
    qn_status status = qn_gguf_measure_array(value->as.items, bytes, value->elem_type, value->count, 0, &measured);
    if (!status && measured != bytes)
        status = QN_ERROR(QN_INVALID_ARGUMENT, "an array of arrays takes %" PRIu64 " bytes, %" PRIu64 " were given",
                          measured, bytes);
    if (status)
        return status;
    qn_strbuf_append(buf, value->as.items, (size_t)bytes);
    return NULL;
}

static uint64_t float_bits(const struct qn_gguf_value *value)
{
    if (value->type == QN_GGUF_F64) {
        uint64_t bits;
        memcpy(&bits, &value->as.f, sizeof bits);
        return bits;
    }
    float narrow = (float)value->as.f;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    return bits;
}

/* Whether an integer (or bool) lies in the range of its type. */
static bool fits(const struct qn_gguf_value *value)
{
    uint32_t bits = qn_gguf_type_bytes(value->type) * 8;
    switch (value->type) {
    case QN_GGUF_BOOL:
        return value->as.u <= 1;
    case QN_GGUF_U8:
    case QN_GGUF_U16:
    case QN_GGUF_U32:
        return value->as.u >> bits == 0;
    case QN_GGUF_I8:
    case QN_GGUF_I16:
    case QN_GGUF_I32:
        return value->as.i >= -(INT64_C(1) << (bits - 1)) && value->as.i < INT64_C(1) << (bits - 1);
    default:
        return true;
    }
}

static qn_status put_value(struct qn_strbuf *buf, const struct qn_gguf_value *value)
{
    put_uint(buf, (uint64_t)value->type, 4);
    if (value->type == QN_GGUF_ARRAY)
        return put_array(buf, value);
    if (value->type == QN_GGUF_STRING) {
        put_string(buf, value->as.str);
        return NULL;
    }
    uint32_t bytes = qn_gguf_type_bytes(value->type);
    if (!bytes)
        return QN_ERROR(QN_INVALID_ARGUMENT, "unknown value type %d", (int)value->type);
    if (!fits(value))
        return QN_ERROR(QN_INVALID_ARGUMENT, "the value %" PRId64 " does not fit type %s", value->as.i,
                        qn_gguf_type_name(value->type));
    bool is_float = value->type == QN_GGUF_F32 || value->type == QN_GGUF_F64;
    put_uint(buf, is_float ? float_bits(value) : value->as.u, bytes);
    return NULL;
}

static struct written_kv *find_kv(struct qn_gguf_writer *writer, struct qn_str key)
{
    for (uint32_t i = 0; i < writer->kvs.count; i++)
        if (qn_str_eq(writer->kvs.items[i].key, key))
            return &writer->kvs.items[i];
    return NULL;
}

static qn_status store_kv(struct qn_gguf_writer *writer, struct qn_str key, struct qn_str bytes)
{
    struct written_kv *existing = find_kv(writer, key);
    struct qn_str copy = qn_arena_str(&writer->arena, bytes);
    if (!copy.data)
        return QN_OOM();
    if (existing) {
        existing->bytes = copy;
        return NULL;
    }
    struct written_kv kv = {qn_arena_str(&writer->arena, key), copy};
    return kv.key.data && qn_array_push(&writer->kvs, writer->allocator, kv) ? NULL : QN_OOM();
}

static qn_status set_alignment(struct qn_gguf_writer *writer, const struct qn_gguf_value *value)
{
    if (value->type != QN_GGUF_U32 || !value->as.u || (value->as.u & (value->as.u - 1)))
        return QN_ERROR(QN_INVALID_ARGUMENT, "expected a power of two of type u32");
    writer->alignment = value->as.u;
    return NULL;
}

qn_status qn_gguf_writer_set(struct qn_gguf_writer *writer, struct qn_str key, const struct qn_gguf_value *value)
{
    if (writer->in_data)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: metadata after the data has begun", writer->path.data);
    if (!qn_gguf_name_is_printable(key) || key.size > QN_GGUF_MAX_KEY)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: a key of %zu bytes is empty, too long or not printable",
                        writer->path.data, key.size);
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, writer->allocator);
    qn_status status = put_value(&buf, value);
    if (!status && buf.failed)
        status = QN_OOM();
    if (!status && qn_str_is(key, "general.alignment"))
        status = set_alignment(writer, value);
    if (!status)
        status = store_kv(writer, key, qn_strbuf_view(&buf));
    qn_strbuf_deinit(&buf);
    return qn_status_note(status, "%s: key '%.*s'", writer->path.data, QN_STR_ARG(key));
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static qn_status describe_tensor(struct written_tensor *tensor, qn_dtype dtype, uint32_t rank, const uint64_t *dims)
{
    if (qn_dtype_info(dtype)->gguf < 0 || dtype == QN_DTYPE_NONE)
        return QN_ERROR(QN_INVALID_ARGUMENT, "type %s cannot be stored in GGUF", qn_dtype_name(dtype));
    if (rank < 1 || rank > QN_GGUF_MAX_RANK)
        return QN_ERROR(QN_INVALID_ARGUMENT, "rank %" PRIu32 ", expected 1 to %d (the limit of GGUF)", rank,
                        QN_GGUF_MAX_RANK);
    tensor->dtype = dtype;
    tensor->rank = rank;
    if (!qn_dtype_row_bytes(dtype, dims[rank - 1], &tensor->bytes))
        return QN_ERROR(QN_INVALID_ARGUMENT, "rows of %" PRIu64 " elements, expected a multiple of %" PRIu32,
                        dims[rank - 1], qn_dtype_info(dtype)->block_elems);
    for (uint32_t i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
        if (dims[i] < 1 || (i + 1 < rank && !qn_mul_u64(tensor->bytes, dims[i], &tensor->bytes)))
            return QN_ERROR(QN_INVALID_ARGUMENT, "dimension %" PRIu32 " is %" PRIu64 ", which is zero or too large", i,
                            dims[i]);
    }
    if (tensor->bytes > INT64_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%" PRIu64 " bytes are too many", tensor->bytes);
    return NULL;
}

qn_status qn_gguf_writer_add_tensor(struct qn_gguf_writer *writer, struct qn_str name, qn_dtype dtype, uint32_t rank,
                                    const uint64_t *dims)
{
    if (writer->in_data)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: a tensor is declared after the data has begun", writer->path.data);
    if (!qn_gguf_name_is_printable(name) || name.size > QN_GGUF_MAX_KEY)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: a tensor name of %zu bytes is empty, too long or not printable",
                        writer->path.data, name.size);
    struct written_tensor tensor = {0};
    qn_status status = describe_tensor(&tensor, dtype, rank, dims);
    for (uint32_t i = 0; !status && i < writer->tensors.count; i++)
        if (qn_str_eq(writer->tensors.items[i].name, name))
            status = QN_ERROR(QN_INVALID_ARGUMENT, "is declared twice");
    if (status)
        return qn_status_note(status, "%s: tensor '%.*s'", writer->path.data, QN_STR_ARG(name));
    tensor.name = qn_arena_str(&writer->arena, name);
    return tensor.name.data && qn_array_push(&writer->tensors, writer->allocator, tensor) ? NULL : QN_OOM();
}

static void put_tensor(struct qn_strbuf *buf, const struct written_tensor *tensor)
{
    put_string(buf, tensor->name);
    put_uint(buf, tensor->rank, 4);
    for (uint32_t i = tensor->rank; i-- > 0;)
        put_uint(buf, tensor->dims[i], 8);
    put_uint(buf, (uint64_t)qn_dtype_info(tensor->dtype)->gguf, 4);
    put_uint(buf, tensor->offset, 8);
}

static qn_status place_tensors(struct qn_gguf_writer *writer)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < writer->tensors.count; i++) {
        struct written_tensor *tensor = &writer->tensors.items[i];
        tensor->offset = at;
        if (!qn_add_u64(at, tensor->bytes, &at) || !qn_align_u64(at, writer->alignment, &at))
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the size of all tensors overflows", writer->path.data);
    }
    return NULL;
}

qn_status qn_gguf_writer_begin_data(struct qn_gguf_writer *writer)
{
    if (writer->in_data)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the data has already begun", writer->path.data);
    QN_TRY(place_tensors(writer));
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, writer->allocator);
    qn_strbuf_add(&buf, "GGUF");
    put_uint(&buf, 3, 4);
    put_uint(&buf, writer->tensors.count, 8);
    put_uint(&buf, writer->kvs.count, 8);
    for (uint32_t i = 0; i < writer->kvs.count; i++) {
        put_string(&buf, writer->kvs.items[i].key);
        qn_strbuf_append(&buf, writer->kvs.items[i].bytes.data, writer->kvs.items[i].bytes.size);
    }
    for (uint32_t i = 0; i < writer->tensors.count; i++)
        put_tensor(&buf, &writer->tensors.items[i]);
    uint64_t end = 0, buf_size = buf.size;
    qn_status status = buf.failed ? QN_OOM() : qn_file_writer_write(writer->file, buf.data, buf.size);
    if (!status && writer->tensors.count && qn_align_u64(buf.size, writer->alignment, &end))
        status = write_zeros(writer, end - buf.size);
    qn_strbuf_deinit(&buf);
    writer->in_data = !status;
    writer->data_start = writer->tensors.count ? end : buf_size;
    return status;
}

qn_status qn_gguf_writer_write(struct qn_gguf_writer *writer, const void *data, size_t size)
{
    if (!writer->in_data)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: data before it was begun", writer->path.data);
    const uint8_t *bytes = data;
    while (size) {
        if (writer->current == writer->tensors.count)
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s: %zu bytes past the end of the last tensor", writer->path.data,
                            size);
        const struct written_tensor *tensor = &writer->tensors.items[writer->current];
        uint64_t left = tensor->bytes - writer->done;
        size_t part = size < left ? size : (size_t)left;
        QN_TRY(qn_file_writer_write(writer->file, bytes, part));
        bytes += part;
        size -= part;
        writer->done += part;
        if (writer->done < tensor->bytes)
            break;
        uint64_t end = tensor->offset + tensor->bytes, padded;
        if (qn_align_u64(end, writer->alignment, &padded))
            QN_TRY(write_zeros(writer, padded - end));
        writer->current++;
        writer->done = 0;
    }
    return NULL;
}

bool qn_gguf_writer_skip_tensor(struct qn_gguf_writer *writer)
{
    if (!writer->in_data || writer->done || writer->current == writer->tensors.count)
        return false;
    const struct written_tensor *tensor = &writer->tensors.items[writer->current];
    uint64_t end = tensor->offset + tensor->bytes, padded;
    if (!qn_align_u64(end, writer->alignment, &padded) || !qn_file_writer_skip(writer->file, padded - tensor->offset))
        return false;
    writer->current++;
    return true;
}

qn_status qn_gguf_writer_sync(struct qn_gguf_writer *writer, uint64_t *bytes)
{
    uint64_t end = 0;
    if (writer->current) {
        const struct written_tensor *last = &writer->tensors.items[writer->current - 1];
        end = last->offset + last->bytes;
        if (!qn_align_u64(end, writer->alignment, &end))
            return QN_ERROR(QN_INTERNAL, "%s: the size overflows", writer->path.data);
    }
    *bytes = writer->data_start + end;
    return qn_file_writer_sync(writer->file);
}

/* ---- the writer ----------------------------------------------------------------------------------------------- */

static void destroy(struct qn_gguf_writer *writer)
{
    const struct qn_allocator *allocator = writer->allocator;
    qn_array_free(&writer->kvs, allocator);
    qn_array_free(&writer->tensors, allocator);
    qn_arena_deinit(&writer->arena);
    qn_free(allocator, writer, sizeof *writer);
}

static qn_status create(const char *path, const struct qn_allocator *allocator, struct qn_gguf_writer **out)
{
    *out = NULL;
    if (!allocator)
        allocator = qn_allocator_default();
    struct qn_gguf_writer *writer = qn_calloc(allocator, 1, sizeof *writer);
    if (!writer)
        return QN_OOM();
    writer->allocator = allocator;
    writer->alignment = QN_GGUF_DEFAULT_ALIGNMENT;
    qn_arena_init(&writer->arena, allocator);
    writer->path = qn_arena_str(&writer->arena, qn_str_from(path));
    if (!writer->path.data) {
        destroy(writer);
        return QN_OOM();
    }
    *out = writer;
    return NULL;
}

static qn_status finish_create(qn_status status, struct qn_gguf_writer **out)
{
    if (status) {
        destroy(*out);
        *out = NULL;
    }
    return status;
}

qn_status qn_gguf_writer_create(const char *path, const struct qn_allocator *allocator, struct qn_gguf_writer **out)
{
    QN_TRY(create(path, allocator, out));
    return finish_create(qn_file_writer_open(path, &(*out)->file), out);
}

qn_status qn_gguf_writer_create_part(const char *path, uint64_t keep, const struct qn_allocator *allocator,
                                     struct qn_gguf_writer **out, uint64_t *kept)
{
    *kept = 0;
    QN_TRY(create(path, allocator, out));
    return finish_create(qn_file_writer_open_part(path, keep, &(*out)->file, kept), out);
}

qn_status qn_gguf_writer_commit(struct qn_gguf_writer *writer)
{
    qn_status status = NULL;
    if (!writer->in_data)
        status = QN_ERROR(QN_INVALID_ARGUMENT, "%s: committed before the data was begun", writer->path.data);
    else if (writer->current < writer->tensors.count)
        status = QN_ERROR(QN_INVALID_ARGUMENT, "%s: tensor '%.*s': %" PRIu64 " of its %" PRIu64 " bytes were written",
                          writer->path.data, QN_STR_ARG(writer->tensors.items[writer->current].name), writer->done,
                          writer->tensors.items[writer->current].bytes);
    if (status)
        qn_file_writer_discard(writer->file);
    else
        status = qn_file_writer_commit(writer->file);
    destroy(writer);
    return status;
}

void qn_gguf_writer_discard(struct qn_gguf_writer *writer)
{
    if (!writer)
        return;
    qn_file_writer_discard(writer->file);
    destroy(writer);
}

void qn_gguf_writer_leave(struct qn_gguf_writer *writer)
{
    if (!writer)
        return;
    qn_file_writer_leave(writer->file);
    destroy(writer);
}

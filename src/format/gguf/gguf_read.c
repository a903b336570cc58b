#include "format/gguf/gguf_read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "format/gguf/gguf_types.h"

/* The fewest bytes that a key with its value, or a tensor's description, takes in a file: what bounds their counts,
 * and so the memory they are given. */
enum {
    SMALLEST_KV = 8 + 1 + 4 + 1,
    SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8,
    SMALLEST_STRING = 8,
};

struct reader {
    const uint8_t *data;
    uint64_t size, at;
    struct qn_arena *arena;
    struct qn_gguf_part *part;
};

static qn_status fail_truncated(const struct reader *r, const char *what)
{
    return QN_ERROR(QN_INVALID_FILE, "the file ends at byte %" PRIu64 ", inside %s", r->size, what);
}

static qn_status read_u32(struct reader *r, const char *what, uint32_t *out)
{
    if (r->size - r->at < 4)
        return fail_truncated(r, what);
    *out = qn_gguf_load_u32(r->data + r->at);
    r->at += 4;
    return NULL;
}

static qn_status read_u64(struct reader *r, const char *what, uint64_t *out)
{
    if (r->size - r->at < 8)
        return fail_truncated(r, what);
    *out = qn_gguf_load_u64(r->data + r->at);
    r->at += 8;
    return NULL;
}

/* A view into the file. */
static qn_status read_string(struct reader *r, const char *what, struct qn_str *out)
{
    uint64_t length;
    QN_TRY(read_u64(r, what, &length));
    if (length > r->size - r->at)
        return QN_ERROR(QN_INVALID_FILE,
                        "%s has a length of %" PRIu64 " bytes, but the file ends %" PRIu64 " bytes further", what,
                        length, r->size - r->at);
    *out = (struct qn_str){(const char *)r->data + r->at, (size_t)length};
    r->at += length;
    return NULL;
}

/* A terminated copy of a key or tensor name; `noun` and `index` name it where it cannot name itself. */
static qn_status read_name(struct reader *r, const char *noun, uint32_t index, struct qn_str *out)
{
    uint64_t start = r->at;
    struct qn_str name;
    qn_status status = read_string(r, "its name", &name);
    if (status)
        return qn_status_note(status, "%s %" PRIu32, noun, index);
    if (!qn_gguf_name_is_printable(name))
        return QN_ERROR(QN_INVALID_FILE, "%s %" PRIu32 " (at byte %" PRIu64 "): the name is %s", noun, index, start,
                        name.size ? "not printable UTF-8 text" : "empty");
    if (name.size > QN_GGUF_MAX_KEY)
        return QN_ERROR(QN_INVALID_FILE,
                        "%s %" PRIu32 " (at byte %" PRIu64 "): the name has %zu bytes, expected at "
                        "most %d",
                        noun, index, start, name.size, QN_GGUF_MAX_KEY);
    *out = qn_arena_str(r->arena, name);
    return out->data ? NULL : QN_OOM();
}

/* ---- header --------------------------------------------------------------------------------------------------- */

static qn_status check_magic(struct reader *r)
{
    static const char *const old[] = {"lmgg", "fmgg", "tjgg", "algg"};
    if (r->size < 4)
        return fail_truncated(r, "the magic number");
    if (memcmp(r->data, "GGUF", 4) == 0) {
        r->at = 4;
        return NULL;
    }
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
        if (memcmp(r->data, old[i], 4) == 0)
            return QN_ERROR(QN_UNSUPPORTED, "a GGML file from before GGUF; convert the original model to GGUF");
    return QN_ERROR(QN_INVALID_FILE, "not a GGUF file: begins with bytes %02x %02x %02x %02x, expected 47 47 55 46",
                    r->data[0], r->data[1], r->data[2], r->data[3]);
}

static qn_status read_version(struct reader *r)
{
    uint32_t version;
    QN_TRY(read_u32(r, "the header", &version));
    if (version == 2 || version == 3) {
        r->part->version = version;
        return NULL;
    }
    if (version && (version & 0xffff) == 0)
        return QN_ERROR(QN_UNSUPPORTED, "a big-endian GGUF file (version %" PRIu32 "), expected little-endian",
                        __builtin_bswap32(version));
    return QN_ERROR(QN_UNSUPPORTED, "GGUF version %" PRIu32 ", expected 2 or 3", version);
}

static qn_status read_count(struct reader *r, const char *what, uint64_t smallest, uint32_t *out)
{
    uint64_t count;
    QN_TRY(read_u64(r, "the header", &count));
    if (count > (r->size - r->at) / smallest || count >= UINT32_MAX / 2)
        return QN_ERROR(QN_INVALID_FILE,
                        "the header announces %" PRIu64 " %s, more than the remaining %" PRIu64 " bytes can hold",
                        count, what, r->size - r->at);
    *out = (uint32_t)count;
    return NULL;
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

static qn_status read_string_array(struct reader *r, struct qn_gguf_value *value)
{
    if (value->count > (r->size - r->at) / SMALLEST_STRING)
        return QN_ERROR(QN_INVALID_FILE, "an array of %" PRIu64 " strings goes past the end of the file", value->count);
    struct qn_str *strings = QN_ARENA_ARRAY(r->arena, struct qn_str, (size_t)value->count);
    if (!strings)
        return QN_OOM();
    uint64_t start = r->at;
    for (uint64_t i = 0; i < value->count; i++) {
        qn_status status = read_string(r, "the string", &strings[i]);
        if (status)
            return qn_status_note(status, "element %" PRIu64 " of %" PRIu64, i, value->count);
    }
    value->as.strings = strings;
    value->item_bytes = r->at - start;
    return NULL;
}

static qn_status read_array(struct reader *r, struct qn_gguf_value *value)
{
    uint32_t elem_type;
    QN_TRY(read_u32(r, "the array", &elem_type));
    QN_TRY(read_u64(r, "the array", &value->count));
    value->elem_type = (enum qn_gguf_type)elem_type;
    if (value->elem_type == QN_GGUF_STRING)
        return read_string_array(r, value);
    QN_TRY(
        qn_gguf_measure_array(r->data + r->at, r->size - r->at, value->elem_type, value->count, 0, &value->item_bytes));
    value->as.items = r->data + r->at;
    r->at += value->item_bytes;
    return NULL;
}

static qn_status read_scalar(struct reader *r, struct qn_gguf_value *value)
{
    uint32_t bytes = qn_gguf_type_bytes(value->type);
    if (!bytes)
        return QN_ERROR(QN_INVALID_FILE, "unknown value type %" PRIu32, (uint32_t)value->type);
    if (r->size - r->at < bytes)
        return fail_truncated(r, "the value");
    const struct qn_gguf_value one = {
        .type = QN_GGUF_ARRAY, .elem_type = value->type, .count = 1, .as.items = r->data + r->at};
    switch (value->type) {
    case QN_GGUF_F32:
    case QN_GGUF_F64:
        value->as.f = qn_gguf_item_f64(&one, 0);
        break;
    case QN_GGUF_BOOL:
        if (r->data[r->at] > 1)
            return QN_ERROR(QN_INVALID_FILE, "a bool has the value %u, expected 0 or 1", r->data[r->at]);
        value->as.u = r->data[r->at];
        break;
    default:
        value->as.i = qn_gguf_item_i64(&one, 0); /* u64 keeps its bits in the union */
        break;
    }
    r->at += bytes;
    return NULL;
}

static qn_status read_value(struct reader *r, struct qn_gguf_value *value)
{
    uint32_t type;
    QN_TRY(read_u32(r, "the type of the value", &type));
    *value = (struct qn_gguf_value){.type = (enum qn_gguf_type)type, .count = 1};
    if (value->type == QN_GGUF_STRING)
        return read_string(r, "the string", &value->as.str);
    if (value->type == QN_GGUF_ARRAY)
        return read_array(r, value);
    return read_scalar(r, value);
}

static qn_status read_alignment(struct reader *r, const struct qn_gguf_value *value)
{
    if (value->type != QN_GGUF_U32)
        return QN_ERROR(QN_INVALID_FILE, "expected a value of type u32, found %s", qn_gguf_type_name(value->type));
    if (!value->as.u || (value->as.u & (value->as.u - 1)))
        return QN_ERROR(QN_INVALID_FILE, "expected a power of two, found %" PRIu64, value->as.u);
    r->part->alignment = value->as.u;
    return NULL;
}

static qn_status read_kvs(struct reader *r)
{
    struct qn_gguf_part *part = r->part;
    part->kvs = QN_ARENA_ARRAY(r->arena, struct qn_gguf_kv, part->kv_count);
    if (!part->kvs)
        return QN_OOM();
    for (uint32_t i = 0; i < part->kv_count; i++) {
        struct qn_gguf_kv *kv = &part->kvs[i];
        QN_TRY(read_name(r, "key", i, &kv->key));
        qn_status status = read_value(r, &kv->value);
        if (!status && qn_str_is(kv->key, "general.alignment"))
            status = read_alignment(r, &kv->value);
        if (status)
            return qn_status_note(status, "key '%.*s'", QN_STR_ARG(kv->key));
    }
    return NULL;
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static qn_status read_shape(struct reader *r, struct qn_gguf_tensor *tensor)
{
    QN_TRY(read_u32(r, "the shape", &tensor->rank));
    if (tensor->rank < 1 || tensor->rank > QN_GGUF_MAX_RANK)
        return QN_ERROR(QN_INVALID_FILE, "rank %" PRIu32 ", expected 1 to %d (the limit of GGUF)", tensor->rank,
                        QN_GGUF_MAX_RANK);
    for (uint32_t i = tensor->rank; i-- > 0;) { /* innermost first in the file */
        QN_TRY(read_u64(r, "the shape", &tensor->dims[i]));
        if (tensor->dims[i] < 1 || tensor->dims[i] > INT64_MAX)
            return QN_ERROR(QN_INVALID_FILE,
                            "dimension %" PRIu32 " is %" PRIu64 ", expected at least 1 and less than "
                            "2^63",
                            i, tensor->dims[i]);
    }
    return NULL;
}

static qn_status read_type(struct reader *r, struct qn_gguf_tensor *tensor)
{
    uint32_t number;
    QN_TRY(read_u32(r, "the type", &number));
    tensor->dtype = qn_dtype_from_gguf(number);
    if (tensor->dtype != QN_DTYPE_NONE)
        return NULL;
    const struct qn_gguf_foreign_type *foreign = qn_gguf_foreign_type(number);
    if (foreign)
        return QN_ERROR(QN_UNSUPPORTED, "type %s (number %" PRIu32 ") %s", foreign->name, number, foreign->reason);
    return QN_ERROR(QN_UNSUPPORTED, "unknown type number %" PRIu32, number);
}

static qn_status compute_bytes(struct qn_gguf_tensor *tensor)
{
    uint64_t row = tensor->dims[tensor->rank - 1];
    if (!qn_dtype_row_bytes(tensor->dtype, row, &tensor->bytes)) {
        uint32_t block = qn_dtype_info(tensor->dtype)->block_elems;
        if (row % block)
            return QN_ERROR(QN_INVALID_FILE,
                            "rows of %" PRIu64 " elements, expected a multiple of %" PRIu32 ", the block size of %s",
                            row, block, qn_dtype_name(tensor->dtype));
        return QN_ERROR(QN_INVALID_FILE, "rows of %" PRIu64 " elements: the size overflows", row);
    }
    for (uint32_t i = 0; i + 1 < tensor->rank; i++)
        if (!qn_mul_u64(tensor->bytes, tensor->dims[i], &tensor->bytes))
            return QN_ERROR(QN_INVALID_FILE, "the product of its dimensions overflows");
    return NULL;
}

static qn_status read_tensor(struct reader *r, struct qn_gguf_tensor *tensor)
{
    QN_TRY(read_shape(r, tensor));
    QN_TRY(read_type(r, tensor));
    QN_TRY(compute_bytes(tensor));
    QN_TRY(read_u64(r, "the offset", &tensor->offset));
    if (tensor->offset % r->part->alignment)
        return QN_ERROR(QN_INVALID_FILE, "offset %" PRIu64 " is no multiple of the file's alignment, %" PRIu64,
                        tensor->offset, r->part->alignment);
    return NULL;
}

static qn_status read_tensors(struct reader *r, uint32_t file)
{
    struct qn_gguf_part *part = r->part;
    part->tensors = QN_ARENA_ARRAY(r->arena, struct qn_gguf_tensor, part->tensor_count);
    if (!part->tensors)
        return QN_OOM();
    for (uint32_t i = 0; i < part->tensor_count; i++) {
        struct qn_gguf_tensor *tensor = &part->tensors[i];
        tensor->file = file;
        QN_TRY(read_name(r, "tensor", i, &tensor->name));
        qn_status status = read_tensor(r, tensor);
        if (status)
            return qn_status_note(status, "tensor '%.*s'", QN_STR_ARG(tensor->name));
    }
    return NULL;
}

/* Turns offsets within the data section into offsets within the file, checked to lie inside it. */
static qn_status place_tensors(struct reader *r)
{
    struct qn_gguf_part *part = r->part;
    uint64_t section, end;
    if (!qn_align_u64(r->at, part->alignment, &section))
        section = UINT64_MAX;
    for (uint32_t i = 0; i < part->tensor_count; i++) {
        struct qn_gguf_tensor *tensor = &part->tensors[i];
        if (!qn_add_u64(section, tensor->offset, &tensor->offset) || !qn_add_u64(tensor->offset, tensor->bytes, &end) ||
            end > r->size)
            return QN_ERROR(QN_INVALID_FILE,
                            "tensor '%.*s': its %" PRIu64 " bytes at %" PRIu64 " leave the file, which has %" PRIu64
                            " bytes",
                            QN_STR_ARG(tensor->name), tensor->bytes, tensor->offset, r->size);
    }
    return NULL;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct qn_gguf_tensor *x = *(const struct qn_gguf_tensor *const *)a;
    const struct qn_gguf_tensor *y = *(const struct qn_gguf_tensor *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static qn_status check_overlap(struct reader *r)
{
    struct qn_gguf_part *part = r->part;
    const struct qn_gguf_tensor **order = QN_ARENA_ARRAY(r->arena, const struct qn_gguf_tensor *, part->tensor_count);
    if (!order)
        return QN_OOM();
    for (uint32_t i = 0; i < part->tensor_count; i++)
        order[i] = &part->tensors[i];
    qsort(order, part->tensor_count, sizeof *order, compare_offsets);
    for (uint32_t i = 1; i < part->tensor_count; i++)
        if (order[i]->offset - order[i - 1]->offset < order[i - 1]->bytes)
            return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' overlaps tensor '%.*s' at byte %" PRIu64,
                            QN_STR_ARG(order[i]->name), QN_STR_ARG(order[i - 1]->name), order[i]->offset);
    return NULL;
}

qn_status qn_gguf_read_part(const uint8_t *data, uint64_t size, uint32_t file, struct qn_arena *arena,
                            struct qn_gguf_part *part)
{
    struct reader r = {data, size, 0, arena, part};
    *part = (struct qn_gguf_part){.alignment = QN_GGUF_DEFAULT_ALIGNMENT};
    QN_TRY(check_magic(&r));
    QN_TRY(read_version(&r));
    QN_TRY(read_count(&r, "tensors", SMALLEST_TENSOR, &part->tensor_count));
    QN_TRY(read_count(&r, "keys", SMALLEST_KV, &part->kv_count));
    QN_TRY(read_kvs(&r));
    QN_TRY(read_tensors(&r, file));
    QN_TRY(place_tensors(&r));
    return check_overlap(&r);
}

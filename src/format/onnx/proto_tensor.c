/* What a TensorProto holds, in the form that the IR has: one of seven places in the message, narrow kinds packed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "format/onnx/proto.h"
#include "quern/tensor.h"

enum { NUMBER_LIMIT = 32 };

static const uint8_t dtypes[NUMBER_LIMIT] = {
    [1] = QN_DTYPE_F32,       [2] = QN_DTYPE_U8,          [3] = QN_DTYPE_I8,      [4] = QN_DTYPE_U16,
    [5] = QN_DTYPE_I16,       [6] = QN_DTYPE_I32,         [7] = QN_DTYPE_I64,     [8] = QN_DTYPE_STRING,
    [9] = QN_DTYPE_BOOL,      [10] = QN_DTYPE_F16,        [11] = QN_DTYPE_F64,    [12] = QN_DTYPE_U32,
    [13] = QN_DTYPE_U64,      [14] = QN_DTYPE_C64,        [15] = QN_DTYPE_C128,   [16] = QN_DTYPE_BF16,
    [17] = QN_DTYPE_F8E4M3FN, [18] = QN_DTYPE_F8E4M3FNUZ, [19] = QN_DTYPE_F8E5M2, [20] = QN_DTYPE_F8E5M2FNUZ,
    [21] = QN_DTYPE_U4,       [22] = QN_DTYPE_I4,         [23] = QN_DTYPE_F4E2M1, [24] = QN_DTYPE_F8E8M0,
    [25] = QN_DTYPE_U2,       [26] = QN_DTYPE_I2,
};

qn_dtype qn_onnx_dtype(int32_t data_type)
{
    return data_type > 0 && data_type < NUMBER_LIMIT ? (qn_dtype)dtypes[data_type] : QN_DTYPE_NONE;
}

int32_t qn_onnx_data_type(qn_dtype dtype)
{
    for (int32_t i = 1; i < NUMBER_LIMIT; i++)
        if (dtype != QN_DTYPE_NONE && dtypes[i] == dtype)
            return i;
    return 0;
}

/* Bits that an element takes in the file. */
static unsigned stored_bits(qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_I2:
    case QN_DTYPE_U2:
        return 2;
    case QN_DTYPE_I4:
    case QN_DTYPE_U4:
    case QN_DTYPE_F4E2M1:
        return 4;
    default:
        return 8 * qn_dtype_info(dtype)->block_bytes;
    }
}

/* ---- sizes ---------------------------------------------------------------------------------------------------- */

qn_status qn_onnx_tensor_elements(const struct qn_onnx_tensor *tensor, uint64_t *elements)
{
    *elements = 1;
    for (uint32_t i = 0; i < tensor->dim_count; i++) {
        if (tensor->dims[i] < 0)
            return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': dimension %" PRIu32 " is %" PRId64,
                            QN_STR_ARG(tensor->name), i, tensor->dims[i]);
        if (!qn_mul_u64(*elements, (uint64_t)tensor->dims[i], elements) || *elements > INT64_MAX / 16) {
            /* a later 0 would make it nothing, but no program writes such a shape */
            return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': its dimensions multiply to more than 2^59 elements",
                            QN_STR_ARG(tensor->name));
        }
    }
    return NULL;
}

static qn_status fail_count(const struct qn_onnx_tensor *tensor, uint64_t expected, uint64_t found, const char *what)
{
    char shape[256] = "[]";
    size_t used = 1;
    for (uint32_t i = 0; i < tensor->dim_count && used < sizeof shape - 32; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%" PRId64, i ? "," : "", tensor->dims[i]);
    snprintf(shape + used, sizeof shape - used, "]");
    return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': %s%s needs %" PRIu64 " %s, but there are %" PRIu64,
                    QN_STR_ARG(tensor->name), qn_dtype_name(qn_onnx_dtype(tensor->data_type)), shape, expected, what,
                    found);
}

qn_status qn_onnx_tensor_stored(const struct qn_onnx_tensor *tensor, uint64_t *elements, uint64_t *bytes)
{
    qn_dtype dtype = qn_onnx_dtype(tensor->data_type);
    if (dtype == QN_DTYPE_NONE)
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s': data type %d is unknown", QN_STR_ARG(tensor->name),
                        (int)tensor->data_type);
    QN_TRY(qn_onnx_tensor_elements(tensor, elements));
    unsigned bits =
        stored_bits(dtype); /* at most 2^59 elements of at most 128 bits: count in bytes where it is whole */
    *bytes = bits >= 8 ? *elements * (bits / 8) : (*elements * bits + 7) / 8;
    return NULL;
}

/* ---- unpacking ------------------------------------------------------------------------------------------------ */

static uint8_t unpack_one(qn_dtype dtype, unsigned bits, uint8_t byte, uint64_t index)
{
    unsigned per_byte = 8 / bits;
    uint8_t value = (uint8_t)(byte >> (index % per_byte * bits) & ((1u << bits) - 1));
    if (dtype == QN_DTYPE_I4 && value & 8)
        value |= 0xf0;
    if (dtype == QN_DTYPE_I2 && value & 2)
        value |= 0xfc;
    return value;
}

void qn_onnx_unpack(qn_dtype dtype, const uint8_t *packed, uint64_t elements, uint8_t *out)
{
    unsigned bits = stored_bits(dtype), per_byte = 8 / bits;
    for (uint64_t i = 0; i < elements; i++)
        out[i] = unpack_one(dtype, bits, packed[i / per_byte], i);
}

struct place {
    const void **data;
    uint64_t *bytes;
    bool *in_file;
};

/* *made is NULL when there is no arena: then only sizes are asked for. */
static qn_status give_new(struct qn_arena *arena, uint64_t bytes, const struct place *out, void **made)
{
    *out->data = *made = NULL;
    *out->bytes = bytes;
    *out->in_file = false;
    if (!arena)
        return NULL;
    *out->data = *made = bytes > SIZE_MAX ? NULL : qn_arena_alloc(arena, (size_t)bytes, 64);
    return *made ? NULL : QN_OOM();
}

/* Raw or external bytes: checked for their size already. */
static qn_status from_stored(qn_dtype dtype, const uint8_t *data, uint64_t elements, uint64_t bytes,
                             struct qn_arena *arena, const struct place *out)
{
    void *made;
    bool odd = false; /* bools that are neither 0 nor 1 */
    for (uint64_t i = 0; i < bytes && dtype == QN_DTYPE_BOOL && arena; i++)
        odd |= data[i] > 1;
    if (stored_bits(dtype) < 8) {
        QN_TRY(give_new(arena, elements, out, &made));
        if (made)
            qn_onnx_unpack(dtype, data, elements, made);
        return NULL;
    }
    if (odd) {
        QN_TRY(give_new(arena, elements, out, &made));
        for (uint64_t i = 0; made && i < bytes; i++)
            ((uint8_t *)made)[i] = data[i] != 0;
        return NULL;
    }
    *out->data = data;
    *out->bytes = bytes;
    *out->in_file = true;
    return NULL;
}

qn_status qn_onnx_stored_bytes(const struct qn_onnx_tensor *tensor, const void *stored, uint64_t size,
                               struct qn_arena *arena, const void **data, uint64_t *bytes, bool *in_file)
{
    uint64_t elements, expected;
    qn_dtype dtype = qn_onnx_dtype(tensor->data_type);
    const struct place out = {data, bytes, in_file};
    QN_TRY(qn_onnx_tensor_stored(tensor, &elements, &expected));
    if (dtype == QN_DTYPE_STRING)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': strings as raw bytes", QN_STR_ARG(tensor->name));
    if (size != expected)
        return fail_count(tensor, expected, size, "bytes");
    return from_stored(dtype, stored, elements, expected, arena, &out);
}

static qn_status from_int32s(const struct qn_onnx_tensor *tensor, qn_dtype dtype, uint64_t elements, uint64_t stored,
                             struct qn_arena *arena, const struct place *out)
{
    unsigned bits = stored_bits(dtype), item = bits < 8 ? 1 : bits / 8;
    uint64_t expected = bits < 8 ? stored : elements; /* a number holds a byte of narrow ones */
    void *made;
    if (tensor->int32_count != expected)
        return fail_count(tensor, expected, tensor->int32_count, "entries of int32_data");
    if (dtype == QN_DTYPE_I32) {
        *out->data = tensor->int32s;
        *out->bytes = stored;
        *out->in_file = false;
        return NULL;
    }
    QN_TRY(give_new(arena, elements * item, out, &made));
    uint8_t *to = made;
    for (uint64_t i = 0; made && i < elements; i++) {
        uint32_t value = (uint32_t)tensor->int32s[bits < 8 ? i / (8 / bits) : i];
        if (bits < 8)
            to[i] = unpack_one(dtype, bits, (uint8_t)value, i);
        else if (dtype == QN_DTYPE_BOOL)
            to[i] = value != 0;
        else if (item == 1)
            to[i] = (uint8_t)value;
        else
            memcpy(to + 2 * i, &(uint16_t){(uint16_t)value}, 2);
    }
    return NULL;
}

static qn_status from_int64s(const struct qn_onnx_tensor *tensor, uint64_t elements, const struct place *out)
{
    if (tensor->int64_count != elements)
        return fail_count(tensor, elements, tensor->int64_count, "entries of int64_data");
    *out->data = tensor->int64s;
    *out->bytes = elements * 8;
    *out->in_file = false;
    return NULL;
}

static qn_status from_uint64s(const struct qn_onnx_tensor *tensor, qn_dtype dtype, uint64_t elements,
                              struct qn_arena *arena, const struct place *out)
{
    void *made;
    if (tensor->uint64_count != elements)
        return fail_count(tensor, elements, tensor->uint64_count, "entries of uint64_data");
    if (dtype == QN_DTYPE_U64) {
        *out->data = tensor->uint64s;
        *out->bytes = elements * 8;
        *out->in_file = false;
        return NULL;
    }
    QN_TRY(give_new(arena, elements * 4, out, &made));
    for (uint64_t i = 0; made && i < elements; i++)
        ((uint32_t *)made)[i] = (uint32_t)tensor->uint64s[i];
    return NULL;
}

static qn_status from_fixed(const struct qn_onnx_tensor *tensor, const struct qn_onnx_bytes *field, uint64_t stored,
                            const char *what, const struct place *out)
{
    if (field->size != stored)
        return fail_count(tensor, stored, field->size, what);
    *out->data = field->data;
    *out->bytes = stored;
    *out->in_file = field->in_file;
    return NULL;
}

static qn_status from_strings(const struct qn_onnx_tensor *tensor, uint64_t elements, struct qn_arena *arena,
                              const struct place *out)
{
    void *made;
    if (tensor->string_count != elements)
        return fail_count(tensor, elements, tensor->string_count, "entries of string_data");
    QN_TRY(give_new(arena, elements * sizeof(struct qn_string), out, &made));
    for (uint64_t i = 0; made && i < elements; i++)
        ((struct qn_string *)made)[i] = (struct qn_string){tensor->strings[i].data, tensor->strings[i].size};
    return NULL;
}

static qn_status from_fields(const struct qn_onnx_tensor *tensor, qn_dtype dtype, uint64_t elements, uint64_t stored,
                             struct qn_arena *arena, const struct place *out)
{
    switch (dtype) {
    case QN_DTYPE_F32:
    case QN_DTYPE_C64:
        return from_fixed(tensor, &tensor->floats, stored, "bytes of float_data", out);
    case QN_DTYPE_F64:
    case QN_DTYPE_C128:
        return from_fixed(tensor, &tensor->doubles, stored, "bytes of double_data", out);
    case QN_DTYPE_I64:
        return from_int64s(tensor, elements, out);
    case QN_DTYPE_U32:
    case QN_DTYPE_U64:
        return from_uint64s(tensor, dtype, elements, arena, out);
    case QN_DTYPE_STRING:
        return from_strings(tensor, elements, arena, out);
    default:
        return from_int32s(tensor, dtype, elements, stored, arena, out);
    }
}

qn_status qn_onnx_tensor_bytes(const struct qn_onnx_tensor *tensor, struct qn_arena *arena, const void **data,
                               uint64_t *bytes, bool *in_file)
{
    uint64_t elements, stored;
    const struct place out = {data, bytes, in_file};
    QN_TRY(qn_onnx_tensor_stored(tensor, &elements, &stored));
    if (tensor->external)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' lies in a file of its own", QN_STR_ARG(tensor->name));
    qn_dtype dtype = qn_onnx_dtype(tensor->data_type);
    if (tensor->has_raw && dtype != QN_DTYPE_STRING && (tensor->raw.size || !elements))
        return qn_onnx_stored_bytes(tensor, tensor->raw.data, tensor->raw.size, arena, data, bytes, in_file);
    QN_TRY(from_fields(tensor, dtype, elements, stored, arena, &out));
    if (!*data && *bytes == 0) /* no elements: some pointer all the same */
        *data = "";
    return NULL;
}

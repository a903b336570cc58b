#include "format/gguf/gguf_types.h"

#include <inttypes.h>

#include "base/checked.h"
#include "base/utf8.h"

static const struct {
    const char *name;
    uint32_t bytes;
} types[] = {
    [QN_GGUF_U8] = {"u8", 1},       [QN_GGUF_I8] = {"i8", 1},     [QN_GGUF_U16] = {"u16", 2},
    [QN_GGUF_I16] = {"i16", 2},     [QN_GGUF_U32] = {"u32", 4},   [QN_GGUF_I32] = {"i32", 4},
    [QN_GGUF_F32] = {"f32", 4},     [QN_GGUF_BOOL] = {"bool", 1}, [QN_GGUF_STRING] = {"string", 0},
    [QN_GGUF_ARRAY] = {"array", 0}, [QN_GGUF_U64] = {"u64", 8},   [QN_GGUF_I64] = {"i64", 8},
    [QN_GGUF_F64] = {"f64", 8},
};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

const char *qn_gguf_type_name(enum qn_gguf_type type)
{
    return (unsigned)type < TYPE_COUNT ? types[type].name : "?";
}

uint32_t qn_gguf_type_bytes(enum qn_gguf_type type)
{
    return (unsigned)type < TYPE_COUNT ? types[type].bytes : 0;
}

const struct qn_gguf_foreign_type *qn_gguf_foreign_type(uint32_t number)
{
    static const char removed[] = "was removed from the format; quantise the model again";
    static const char interim[] = "holds activations while a model runs and is not stored in files";
    static const struct {
        uint32_t number;
        struct qn_gguf_foreign_type type;
    } rows[] = {
        {4, {"q4_2", removed}},        {5, {"q4_3", removed}},        {9, {"q8_1", interim}},
        {15, {"q8_k", interim}},       {31, {"q4_0_4_4", removed}},   {32, {"q4_0_4_8", removed}},
        {33, {"q4_0_8_8", removed}},   {36, {"iq4_nl_4_4", removed}}, {37, {"iq4_nl_4_8", removed}},
        {38, {"iq4_nl_8_8", removed}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].number == number)
            return &rows[i].type;
    return NULL;
}

bool qn_gguf_name_is_printable(struct qn_str name)
{
    for (size_t at = 0; at < name.size;) {
        uint32_t c;
        size_t length = qn_utf8_decode(name.data + at, name.size - at, &c);
        if (!length || c < 0x20 || (c >= 0x7f && c < 0xa0))
            return false;
        at += length;
    }
    return name.size > 0;
}

static qn_status measure_strings(const uint8_t *data, uint64_t size, uint64_t count, uint64_t *bytes)
{
    uint64_t at = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (size - at < 8)
            return QN_ERROR(QN_INVALID_FILE, "string %" PRIu64 " of an array is cut off", i);
        uint64_t length = qn_gguf_load_u64(data + at);
        at += 8;
        if (length > size - at)
            return QN_ERROR(QN_INVALID_FILE,
                            "string %" PRIu64 " of an array has a length of %" PRIu64
                            " bytes, past the end of the file",
                            i, length);
        at += length;
    }
    *bytes = at;
    return NULL;
}

static qn_status measure_arrays(const uint8_t *data, uint64_t size, uint64_t count, uint32_t nesting, uint64_t *bytes)
{
    if (nesting + 1 >= QN_GGUF_MAX_NESTING)
        return QN_ERROR(QN_UNSUPPORTED, "arrays are nested more than %d deep", QN_GGUF_MAX_NESTING);
    uint64_t at = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (size - at < 12)
            return QN_ERROR(QN_INVALID_FILE, "array %" PRIu64 " inside an array is cut off", i);
        enum qn_gguf_type inner = (enum qn_gguf_type)qn_gguf_load_u32(data + at);
        uint64_t inner_count = qn_gguf_load_u64(data + at + 4), inner_bytes;
        at += 12;
        QN_TRY(qn_gguf_measure_array(data + at, size - at, inner, inner_count, nesting + 1, &inner_bytes));
        at += inner_bytes;
    }
    *bytes = at;
    return NULL;
}

qn_status qn_gguf_measure_array(const uint8_t *data, uint64_t size, enum qn_gguf_type elem_type, uint64_t count,
                                uint32_t nesting, uint64_t *bytes)
{
    if (elem_type == QN_GGUF_STRING)
        return measure_strings(data, size, count, bytes);
    if (elem_type == QN_GGUF_ARRAY)
        return measure_arrays(data, size, count, nesting, bytes);
    uint32_t elem_bytes = qn_gguf_type_bytes(elem_type);
    if (!elem_bytes)
        return QN_ERROR(QN_INVALID_FILE, "array elements have the unknown type %" PRIu32, (uint32_t)elem_type);
    if (!qn_mul_u64(count, elem_bytes, bytes) || *bytes > size)
        return QN_ERROR(QN_INVALID_FILE, "an array of %" PRIu64 " elements of type %s goes past the end of the file",
                        count, qn_gguf_type_name(elem_type));
    for (uint64_t i = 0; elem_type == QN_GGUF_BOOL && i < count; i++)
        if (data[i] > 1)
            return QN_ERROR(QN_INVALID_FILE, "element %" PRIu64 " of an array of bools is %u, expected 0 or 1", i,
                            data[i]);
    return NULL;
}

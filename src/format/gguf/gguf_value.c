/* Looking up metadata and tensors, and typed access to values. */
#include <inttypes.h>
#include <string.h>

#include "format/gguf/gguf.h"
#include "format/gguf/gguf_types.h"

const struct qn_gguf_value *qn_gguf_find(const struct qn_gguf *gguf, const char *key)
{
    const uint32_t *index = qn_map_get(&gguf->kv_map, qn_str_from(key));
    return index ? &gguf->kvs[*index].value : NULL;
}

const struct qn_gguf_tensor *qn_gguf_tensor(const struct qn_gguf *gguf, struct qn_str name)
{
    const uint32_t *index = qn_map_get(&gguf->tensor_map, name);
    return index ? &gguf->tensors[*index] : NULL;
}

/* ---- elements ------------------------------------------------------------------------------------------------- */

static double f32_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double f64_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* C leaves the conversion of a float that does not fit undefined, so the ends are named: NaN gives 0. */
static int64_t i64_from_f64(double value)
{
    if (value != value)
        return 0;
    if (value >= 0x1p63)
        return INT64_MAX;
    return value < -0x1p63 ? INT64_MIN : (int64_t)value;
}

int64_t qn_gguf_item_i64(const struct qn_gguf_value *value, uint64_t i)
{
    if (value->type != QN_GGUF_ARRAY)
        return value->type == QN_GGUF_F32 || value->type == QN_GGUF_F64 ? i64_from_f64(value->as.f) : value->as.i;
    const uint8_t *p = value->as.items + i * qn_gguf_type_bytes(value->elem_type);
    switch (value->elem_type) {
    case QN_GGUF_U8:
    case QN_GGUF_BOOL:
        return p[0];
    case QN_GGUF_I8:
        return (int8_t)p[0];
    case QN_GGUF_U16:
        return (uint16_t)(p[0] | p[1] << 8);
    case QN_GGUF_I16:
        return (int16_t)(p[0] | p[1] << 8);
    case QN_GGUF_U32:
        return qn_gguf_load_u32(p);
    case QN_GGUF_I32:
        return (int32_t)qn_gguf_load_u32(p);
    case QN_GGUF_U64:
    case QN_GGUF_I64:
        return (int64_t)qn_gguf_load_u64(p);
    case QN_GGUF_F32:
        return i64_from_f64(f32_from_bits(qn_gguf_load_u32(p)));
    case QN_GGUF_F64:
        return i64_from_f64(f64_from_bits(qn_gguf_load_u64(p)));
    case QN_GGUF_STRING:
    case QN_GGUF_ARRAY:
        break;
    }
    return 0;
}

double qn_gguf_item_f64(const struct qn_gguf_value *value, uint64_t i)
{
    bool is_array = value->type == QN_GGUF_ARRAY;
    enum qn_gguf_type type = is_array ? value->elem_type : value->type;
    const uint8_t *p = is_array ? value->as.items + i * qn_gguf_type_bytes(type) : NULL;
    if (type == QN_GGUF_F32)
        return is_array ? f32_from_bits(qn_gguf_load_u32(p)) : value->as.f;
    if (type == QN_GGUF_F64)
        return is_array ? f64_from_bits(qn_gguf_load_u64(p)) : value->as.f;
    int64_t item = qn_gguf_item_i64(value, i);
    return type == QN_GGUF_U64 ? (double)(uint64_t)item : (double)item;
}

/* ---- typed getters -------------------------------------------------------------------------------------------- */

static bool is_signed(enum qn_gguf_type type)
{
    return type == QN_GGUF_I8 || type == QN_GGUF_I16 || type == QN_GGUF_I32 || type == QN_GGUF_I64;
}

static bool is_unsigned(enum qn_gguf_type type)
{
    return type == QN_GGUF_U8 || type == QN_GGUF_U16 || type == QN_GGUF_U32 || type == QN_GGUF_U64;
}

static qn_status fail_type(const struct qn_gguf *gguf, const char *key, const char *expected,
                           const struct qn_gguf_value *value)
{
    if (value->type == QN_GGUF_ARRAY)
        return QN_ERROR(QN_INVALID_FILE, "%s: key '%s': expected %s, found an array of %" PRIu64 " %s",
                        gguf->files[0].path.data, key, expected, value->count, qn_gguf_type_name(value->elem_type));
    return QN_ERROR(QN_INVALID_FILE, "%s: key '%s': expected %s, found a value of type %s", gguf->files[0].path.data,
                    key, expected, qn_gguf_type_name(value->type));
}

qn_status qn_gguf_get_u64(const struct qn_gguf *gguf, const char *key, uint64_t *out, bool *found)
{
    const struct qn_gguf_value *value = qn_gguf_find(gguf, key);
    *found = value != NULL;
    if (!value)
        return NULL;
    if (!is_signed(value->type) && !is_unsigned(value->type))
        return fail_type(gguf, key, "a whole number", value);
    if (is_signed(value->type) && value->as.i < 0)
        return QN_ERROR(QN_INVALID_FILE, "%s: key '%s': expected a number of at least 0, found %" PRId64,
                        gguf->files[0].path.data, key, value->as.i);
    *out = value->as.u;
    return NULL;
}

qn_status qn_gguf_get_f64(const struct qn_gguf *gguf, const char *key, double *out, bool *found)
{
    const struct qn_gguf_value *value = qn_gguf_find(gguf, key);
    *found = value != NULL;
    if (!value)
        return NULL;
    if (value->type != QN_GGUF_F32 && value->type != QN_GGUF_F64 && !is_signed(value->type) &&
        !is_unsigned(value->type))
        return fail_type(gguf, key, "a number", value);
    *out = qn_gguf_item_f64(value, 0);
    return NULL;
}

qn_status qn_gguf_get_bool(const struct qn_gguf *gguf, const char *key, bool *out, bool *found)
{
    const struct qn_gguf_value *value = qn_gguf_find(gguf, key);
    *found = value != NULL;
    if (!value)
        return NULL;
    if (value->type != QN_GGUF_BOOL)
        return fail_type(gguf, key, "a bool", value);
    *out = value->as.u != 0;
    return NULL;
}

qn_status qn_gguf_get_str(const struct qn_gguf *gguf, const char *key, struct qn_str *out, bool *found)
{
    const struct qn_gguf_value *value = qn_gguf_find(gguf, key);
    *found = value != NULL;
    if (!value)
        return NULL;
    if (value->type != QN_GGUF_STRING)
        return fail_type(gguf, key, "a string", value);
    *out = value->as.str;
    return NULL;
}

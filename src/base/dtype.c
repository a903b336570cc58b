#include "quern/dtype.h"

#include <strings.h>

#include "base/checked.h"

#define QN_DTYPE_ROW(serial, NAME, text, class, elems, bytes, gguf) \
    [serial] = {text, QN_DTYPE_CLASS_##class, elems, bytes, gguf},
static const struct qn_dtype_info rows[QN_DTYPE_LIMIT] = {
#include "quern/dtypes.def"
};
#undef QN_DTYPE_ROW

const struct qn_dtype_info *qn_dtype_info(qn_dtype dtype)
{
    return &rows[(unsigned)dtype < QN_DTYPE_LIMIT ? dtype : QN_DTYPE_NONE];
}

const char *qn_dtype_name(qn_dtype dtype)
{
    const char *name = qn_dtype_info(dtype)->name;
    return name ? name : "?";
}

qn_dtype qn_dtype_from_name(const char *name, size_t length)
{
    for (unsigned i = 0; i < QN_DTYPE_LIMIT; i++)
        if (rows[i].name && strncasecmp(rows[i].name, name, length) == 0 && rows[i].name[length] == 0)
            return (qn_dtype)i;
    return QN_DTYPE_NONE;
}

qn_dtype qn_dtype_from_gguf(uint32_t gguf_type)
{
    for (unsigned i = 0; i < QN_DTYPE_LIMIT; i++)
        if (rows[i].name && rows[i].gguf >= 0 && (uint32_t)rows[i].gguf == gguf_type)
            return (qn_dtype)i;
    return QN_DTYPE_NONE;
}

bool qn_dtype_row_bytes(qn_dtype dtype, uint64_t elems, uint64_t *bytes)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    if (!info->name || elems % info->block_elems)
        return false;
    return qn_mul_u64(elems / info->block_elems, info->block_bytes, bytes);
}

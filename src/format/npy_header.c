#include "format/npy_header.h"

#include <string.h>

#include "base/checked.h"
#include "base/str.h"

static qn_status bad(const char *name, const char *what)
{
    return QN_ERROR(QN_INVALID_FILE, "%s: not a .npy file that can be read: %s", name, what);
}

/* The text behind 'key': in the dictionary that the header is. */
static const char *after_key(struct qn_str text, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i + length + 3 <= text.size; i++) {
        if ((text.data[i] != '\'' && text.data[i] != '"') || memcmp(text.data + i + 1, key, length) != 0 ||
            text.data[i + 1 + length] != text.data[i])
            continue;
        size_t at = i + length + 2;
        while (at < text.size && (text.data[at] == ' ' || text.data[at] == ':'))
            at++;
        return at < text.size ? text.data + at : NULL;
    }
    return NULL;
}

static bool read_number(const char **at, const char *end, uint64_t *out)
{
    const char *begin = *at;
    *out = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
        if (!qn_mul_u64(*out, 10, out) || !qn_add_u64(*out, (uint64_t)(**at - '0'), out))
            return false;
    return *at > begin;
}

static qn_status read_shape(const char *at, const char *end, const char *name, struct qn_npy_header *h)
{
    if (!at || *at++ != '(')
        return bad(name, "the header has no shape");
    for (;;) {
        while (at < end && (*at == ' ' || *at == ','))
            at++;
        if (at >= end)
            return bad(name, "the shape has no end");
        if (*at == ')')
            return NULL;
        uint64_t dim;
        if (!read_number(&at, end, &dim) || dim > INT64_MAX)
            return bad(name, "a dimension is no number");
        if (at < end && *at == 'L') /* Python 2 wrote 3L */
            at++;
        if (h->rank == QN_TENSOR_MAX_RANK)
            return QN_ERROR(QN_UNSUPPORTED, "%s: more than %d dimensions", name, QN_TENSOR_MAX_RANK);
        h->dims[h->rank++] = (int64_t)dim;
    }
}

qn_status qn_npy_read_header(const uint8_t *bytes, uint64_t size, const char *name, struct qn_npy_header *h)
{
    if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return bad(name, "it does not begin as one");
    if (bytes[6] < 1 || bytes[6] > 3)
        return bad(name, "unknown version");
    uint64_t start = bytes[6] == 1 ? 10 : 12, length = bytes[8] | (uint64_t)bytes[9] << 8;
    if (bytes[6] > 1 && size >= 12)
        length |= (uint64_t)bytes[10] << 16 | (uint64_t)bytes[11] << 24;
    if (size < start || length > size - start)
        return bad(name, "the header is cut off");
    struct qn_str text = {(const char *)bytes + start, (size_t)length};
    const char *end = text.data + text.size, *descr = after_key(text, "descr"),
               *order = after_key(text, "fortran_order");
    if (!descr || end - descr < 4 || (*descr != '\'' && *descr != '"'))
        return bad(name, "the header has no simple element type");
    h->order = descr[1];
    h->kind = descr[2];
    const char *at = descr + 3;
    if (!read_number(&at, end, &h->width))
        return bad(name, "the element type has no size");
    h->fortran = order && *order == 'T';
    QN_TRY(read_shape(after_key(text, "shape"), end, name, h));
    h->data = bytes + start + length;
    h->bytes = size - start - length;
    return NULL;
}

qn_dtype qn_npy_dtype(const struct qn_npy_header *h, uint64_t *element_bytes)
{
    static const struct {
        char kind;
        uint8_t width;
        qn_dtype dtype;
    } kinds[] = {
        {'f', 2, QN_DTYPE_F16}, {'f', 4, QN_DTYPE_F32},   {'f', 8, QN_DTYPE_F64}, {'i', 1, QN_DTYPE_I8},
        {'i', 2, QN_DTYPE_I16}, {'i', 4, QN_DTYPE_I32},   {'i', 8, QN_DTYPE_I64}, {'u', 1, QN_DTYPE_U8},
        {'u', 2, QN_DTYPE_U16}, {'u', 4, QN_DTYPE_U32},   {'u', 8, QN_DTYPE_U64}, {'b', 1, QN_DTYPE_BOOL},
        {'c', 8, QN_DTYPE_C64}, {'c', 16, QN_DTYPE_C128},
    };
    *element_bytes = h->width;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].kind == h->kind && kinds[i].width == h->width)
            return kinds[i].dtype;
    if (h->kind == 'U' && qn_mul_u64(h->width, 4, element_bytes))
        return QN_DTYPE_STRING;
    return h->kind == 'S' ? QN_DTYPE_STRING : QN_DTYPE_NONE;
}

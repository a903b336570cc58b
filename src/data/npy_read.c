#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/str.h"
#include "base/utf8.h"
#include "data/npy.h"

struct header {
    char order, kind; /* '<' '>' '|'; 'f' 'i' 'u' 'b' 'U' 'S' 'c' */
    uint64_t width;   /* as written behind the kind: bytes, or characters of U */
    bool fortran;
    uint32_t rank;
    int64_t dims[QN_TENSOR_MAX_RANK];
    const uint8_t *data;
    uint64_t bytes; /* from data to the end of the file */
};

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

static qn_status read_shape(const char *at, const char *end, const char *name, struct header *h)
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

static qn_status read_header(const uint8_t *bytes, uint64_t size, const char *name, struct header *h)
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

static qn_dtype header_dtype(const struct header *h, uint64_t *element_bytes)
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

static void copy_element(const struct header *h, const uint8_t *from, uint8_t *to, uint64_t bytes)
{
    uint64_t unit = h->kind == 'c' ? bytes / 2 : bytes;
    if (h->order != '>') {
        memcpy(to, from, bytes);
        return;
    }
    for (uint64_t i = 0; i < bytes; i++)
        to[i] = from[i / unit * unit + unit - 1 - i % unit];
}

/* UTF-32 or bytes, zero-padded to the width, as UTF-8 at `text`; returns the end. */
static char *copy_string(const struct header *h, const uint8_t *from, struct qn_string *to, char *text)
{
    to->data = text;
    uint64_t length = h->width;
    if (h->kind == 'S') {
        while (length && from[length - 1] == 0)
            length--;
        if (length)
            memcpy(text, from, length);
        text += length;
    } else {
        for (uint64_t i = 0; i < length; i++) {
            const uint8_t *c = from + 4 * i;
            uint32_t code = h->order == '>' ? (uint32_t)c[0] << 24 | (uint32_t)c[1] << 16 | (uint32_t)c[2] << 8 | c[3]
                                            : (uint32_t)c[3] << 24 | (uint32_t)c[2] << 16 | (uint32_t)c[1] << 8 | c[0];
            text += qn_utf8_encode(code < 0x110000 ? code : 0xfffd, text);
        }
        while (text > to->data && text[-1] == 0)
            text--;
    }
    to->size = (size_t)(text - to->data);
    return text;
}

/* Position in the file of the element that stands at `index` in row-major order. */
static uint64_t source_index(const struct header *h, uint64_t index)
{
    if (!h->fortran)
        return index;
    uint64_t stride[QN_TENSOR_MAX_RANK], at = 0;
    for (uint32_t i = 0; i < h->rank; i++)
        stride[i] = i ? stride[i - 1] * (uint64_t)h->dims[i - 1] : 1;
    for (uint32_t i = h->rank; i-- > 0;) {
        at += index % (uint64_t)h->dims[i] * stride[i];
        index /= (uint64_t)h->dims[i];
    }
    return at;
}

qn_status qn_npy_read(const void *bytes, uint64_t size, const char *name, const struct qn_allocator *allocator,
                      struct qn_tensor *out)
{
    struct header h = {0};
    QN_TRY(read_header(bytes, size, name, &h));
    uint64_t element_bytes, count = 1, need, own;
    qn_dtype dtype = header_dtype(&h, &element_bytes);
    if (dtype == QN_DTYPE_NONE)
        return QN_ERROR(QN_UNSUPPORTED, "%s: element type '%c%c%llu'", name, h.order, h.kind,
                        (unsigned long long)h.width);
    for (uint32_t i = 0; i < h.rank; i++)
        if (!qn_mul_u64(count, (uint64_t)h.dims[i], &count))
            return bad(name, "its shape overflows");
    if (!qn_mul_u64(count, element_bytes, &need) || need > h.bytes)
        return QN_ERROR(QN_INVALID_FILE, "%s: its shape needs %llu elements of %llu bytes, %llu bytes are there", name,
                        (unsigned long long)count, (unsigned long long)element_bytes, (unsigned long long)h.bytes);
    bool strings = dtype == QN_DTYPE_STRING;
    if (!qn_mul_u64(count, strings ? sizeof(struct qn_string) : element_bytes, &own) ||
        !qn_add_u64(own, strings ? need : 0, &own))
        return QN_OOM();
    uint8_t *data = qn_alloc(allocator, own ? own : 1);
    if (!data)
        return QN_OOM();
    char *text = (char *)data + count * sizeof(struct qn_string);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *from = h.data + source_index(&h, i) * element_bytes;
        if (strings)
            text = copy_string(&h, from, &((struct qn_string *)(void *)data)[i], text);
        else if (h.order == '>' || h.fortran)
            copy_element(&h, from, data + i * element_bytes, element_bytes);
        else
            break;
    }
    if (!strings && h.order != '>' && !h.fortran && need)
        memcpy(data, h.data, need);
    *out = (struct qn_tensor){.data = data, .bytes = own ? own : 1, .dtype = dtype, .rank = h.rank};
    memcpy(out->dims, h.dims, sizeof h.dims);
    return NULL;
}

#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/str.h"
#include "base/utf8.h"
#include "data/npy.h"
#include "format/npy_header.h"

static qn_status bad(const char *name, const char *what)
{
    return QN_ERROR(QN_INVALID_FILE, "%s: not a .npy file that can be read: %s", name, what);
}

static void copy_element(const struct qn_npy_header *h, const uint8_t *from, uint8_t *to, uint64_t bytes)
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
static char *copy_string(const struct qn_npy_header *h, const uint8_t *from, struct qn_string *to, char *text)
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
static uint64_t source_index(const struct qn_npy_header *h, uint64_t index)
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
    struct qn_npy_header h = {0};
    QN_TRY(qn_npy_read_header(bytes, size, name, &h));
    uint64_t element_bytes, count = 1, need, own;
    qn_dtype dtype = qn_npy_dtype(&h, &element_bytes);
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

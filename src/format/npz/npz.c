/* numpy's .npy and .npz: one array, or a zip file of several by name. */
#include <string.h>

#include "format/npy_header.h"
#include "format/tensor_set.h"
#include "format/zip_file.h"

/* An array at data[0..size); offset is that of data in the file, UINT64_MAX for an unpacked member. */
static qn_status add_array(struct qn_tensor_set *set, uint32_t file, struct qn_str name, const uint8_t *data,
                           uint64_t size, uint64_t offset)
{
    struct qn_npy_header h = {0};
    uint64_t element_bytes, step = 1;
    QN_TRY(qn_npy_read_header(data, size, "array", &h));
    struct qn_set_tensor t = {.name = name, .file = file, .rank = h.rank, .data = h.data, .stored = h.bytes};
    t.dtype = qn_npy_dtype(&h, &element_bytes);
    if (!t.dtype || t.dtype == QN_DTYPE_STRING)
        return QN_ERROR(QN_UNSUPPORTED, "array '%.*s': its elements ('%c%c') are no numbers", QN_STR_ARG(name), h.order,
                        h.kind);
    t.big_endian = h.order == '>' && element_bytes > 1;
    t.offset = UINT64_MAX; /* checked against the member's bytes */
    for (uint32_t i = 0; i < h.rank; i++) {
        t.dims[i] = (uint64_t)h.dims[i];
        t.strides[i] = step;
        if (t.dims[i] && __builtin_mul_overflow(step, t.dims[i], &step))
            return QN_ERROR(QN_INVALID_FILE, "array '%.*s': its size does not fit 64 bits", QN_STR_ARG(name));
    }
    t.store = h.fortran && h.rank > 1 ? QN_SET_STRIDED : QN_SET_PLAIN;
    QN_TRY(qn_set_add_tensor(set, &t));
    if (offset != UINT64_MAX)
        set->tensors.items[set->tensors.count - 1].offset = offset + (uint64_t)(h.data - data);
    return NULL;
}

bool qn_npy_probe(const uint8_t *data, uint64_t size)
{
    return size > 6 && memcmp(data, "\x93NUMPY", 6) == 0;
}

/* The array is named as its file, without folder and ending. */
qn_status qn_npy_read_set(struct qn_tensor_set *set, uint32_t file)
{
    const struct qn_set_file *f = &set->files.items[file];
    struct qn_str name = f->path;
    for (size_t i = name.size; i-- > 0;)
        if (name.data[i] == '/') {
            name = (struct qn_str){name.data + i + 1, name.size - i - 1};
            break;
        }
    if (qn_str_ends(name, QN_STR(".npy")))
        name.size -= 4;
    return add_array(set, file, name, f->map.data, f->map.size, 0);
}

bool qn_npz_probe(const uint8_t *data, uint64_t size)
{
    if (!qn_zip_probe(data, size) || size < 30)
        return false;
    uint64_t length = data[26] | (uint64_t)data[27] << 8;
    struct qn_str name = {(const char *)data + 30, length < size - 30 ? (size_t)length : 0};
    return qn_str_ends(name, QN_STR(".npy"));
}

static qn_status add_member(struct qn_tensor_set *set, uint32_t file, const struct qn_zip *zip,
                            const struct qn_zip_member *m)
{
    struct qn_str name = m->name;
    uint64_t offset;
    if (!qn_str_ends(name, QN_STR(".npy")))
        return QN_ERROR(QN_UNSUPPORTED, "member '%.*s' is no array (.npy)", QN_STR_ARG(name));
    name.size -= 4;
    QN_TRY(qn_zip_place(zip, m, &offset));
    if (m->method == 0)
        return add_array(set, file, name, zip->data + offset, m->size, offset);
    void *block;
    QN_TRY(qn_set_add_block(set, m->size, &block));
    QN_TRY(qn_zip_unpack(zip, m, block));
    return add_array(set, file, name, block, m->size, UINT64_MAX);
}

qn_status qn_npz_read(struct qn_tensor_set *set, uint32_t file)
{
    const struct qn_file_map map = set->files.items[file].map;
    struct qn_arena arena;
    struct qn_zip zip;
    qn_arena_init(&arena, set->allocator);
    qn_status status = qn_zip_open(map.data, map.size, &arena, &zip);
    for (uint32_t i = 0; !status && i < zip.count; i++)
        status = add_member(set, file, &zip, &zip.members[i]);
    qn_arena_deinit(&arena);
    return status;
}

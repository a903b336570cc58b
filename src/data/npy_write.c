#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/str.h"
#include "base/utf8.h"
#include "data/npy.h"
#include "platform/file.h"
#include "quant/quant.h"

/* Code points of the longest string: numpy's unicode arrays have one width. */
static uint64_t longest(const struct qn_string *strings, uint64_t count)
{
    uint64_t most = 1;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t points = 0;
        for (size_t at = 0; at < strings[i].size; points++)
            at += qn_utf8_step(strings[i].data + at, strings[i].size - at);
        most = points > most ? points : most;
    }
    return most;
}

/* How numpy calls the type that the tensor is written as. */
static void describe(const struct qn_tensor *tensor, uint64_t width, char out[24])
{
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    switch (info->class_) {
    case QN_DTYPE_CLASS_FLOAT:
        snprintf(out, 24, "<f%u", tensor->dtype == QN_DTYPE_F64 ? 8 : tensor->dtype == QN_DTYPE_F16 ? 2 : 4);
        return;
    case QN_DTYPE_CLASS_INT:
    case QN_DTYPE_CLASS_UINT:
        snprintf(out, 24, "%c%c%u", info->block_bytes == 1 ? '|' : '<', info->class_ == QN_DTYPE_CLASS_INT ? 'i' : 'u',
                 info->block_bytes);
        return;
    case QN_DTYPE_CLASS_BOOL:
        snprintf(out, 24, "|b1");
        return;
    case QN_DTYPE_CLASS_COMPLEX:
        snprintf(out, 24, "<c%u", info->block_bytes);
        return;
    default:
        snprintf(out, 24, "<U%llu", (unsigned long long)width);
    }
}

static qn_status write_header(struct qn_file_writer *writer, const struct qn_tensor *tensor, uint64_t width)
{
    char descr[24], shape[256] = "", header[512];
    describe(tensor, width, descr);
    for (uint32_t i = 0, at = 0; i < tensor->rank; i++)
        at += (uint32_t)snprintf(shape + at, sizeof shape - at, "%s%lld", i ? ", " : "", (long long)tensor->dims[i]);
    int size = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }", descr,
                        shape, tensor->rank == 1 ? "," : "");
    while ((10 + size + 1) % 64) /* data begin at a multiple of 64 bytes */
        header[size++] = ' ';
    header[size++] = '\n';
    const uint8_t magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)size, (uint8_t)(size >> 8)};
    QN_TRY(qn_file_writer_write(writer, magic, sizeof magic));
    return qn_file_writer_write(writer, header, (size_t)size);
}

static qn_status write_strings(struct qn_file_writer *writer, const struct qn_string *strings, uint64_t count,
                               uint64_t width, uint32_t *row)
{
    for (uint64_t i = 0; i < count; i++) {
        memset(row, 0, width * sizeof *row);
        uint64_t points = 0;
        for (size_t at = 0; at < strings[i].size; points++) {
            size_t step = qn_utf8_decode(strings[i].data + at, strings[i].size - at, &row[points]);
            if (!step)
                row[points] = 0xfffd;
            at += step ? step : 1;
        }
        QN_TRY(qn_file_writer_write(writer, row, width * sizeof *row));
    }
    return NULL;
}

static qn_status write_as_f32(struct qn_file_writer *writer, const struct qn_tensor *tensor, uint64_t count)
{
    enum { PIECE = 4096 };
    float piece[PIECE];
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    qn_dequantise_fn dequantise = qn_quant(tensor->dtype)->dequantise;
    for (uint64_t i = 0; i < count; i += PIECE) {
        uint64_t part = count - i < PIECE ? count - i : PIECE;
        dequantise((const uint8_t *)tensor->data + i * info->block_bytes, piece, (int64_t)part);
        QN_TRY(qn_file_writer_write(writer, piece, part * sizeof *piece));
    }
    return NULL;
}

static qn_status write_elements(struct qn_file_writer *writer, const struct qn_tensor *tensor, uint64_t count,
                                uint64_t width, const struct qn_allocator *allocator)
{
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    if (tensor->dtype == QN_DTYPE_STRING) {
        uint32_t *row = qn_alloc(allocator, width * sizeof *row);
        if (!row)
            return QN_OOM();
        qn_status status = write_strings(writer, tensor->data, count, width, row);
        qn_free(allocator, row, width * sizeof *row);
        return status;
    }
    bool numpy_has = info->class_ != QN_DTYPE_CLASS_FLOAT || tensor->dtype == QN_DTYPE_F32 ||
                     tensor->dtype == QN_DTYPE_F64 || tensor->dtype == QN_DTYPE_F16;
    return numpy_has ? qn_file_writer_write(writer, tensor->data, count * info->block_bytes)
                     : write_as_f32(writer, tensor, count);
}

qn_status qn_npy_write(const char *path, const struct qn_tensor *tensor, const struct qn_allocator *allocator)
{
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    if (!info->name || info->class_ == QN_DTYPE_CLASS_BLOCK || info->class_ == QN_DTYPE_CLASS_OBJECT)
        return QN_ERROR(QN_UNSUPPORTED, "%s: %s is no type that a .npy file holds", path, qn_dtype_name(tensor->dtype));
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] < 0 || !qn_mul_u64(count, (uint64_t)tensor->dims[i], &count))
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the tensor's shape overflows or is negative", path);
    uint64_t width = tensor->dtype == QN_DTYPE_STRING ? longest(tensor->data, count) : 0;
    struct qn_file_writer *writer = NULL;
    QN_TRY(qn_file_writer_open(path, &writer));
    qn_status status = write_header(writer, tensor, width);
    if (!status)
        status = write_elements(writer, tensor, count, width, allocator);
    if (status) {
        qn_file_writer_discard(writer);
        return status;
    }
    return qn_file_writer_commit(writer);
}

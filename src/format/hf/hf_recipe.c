/* Carrying recipes out: any rows of a tensor of the view, made of rows of the folder's tensors. */
#include <math.h>
#include <string.h>

#include "format/hf/hf.h"
#include "quant/quant.h"

enum { CHUNK_BYTES = 1 << 20 };

/* The source's row, counted through all its matrices, that is row r of the piece. */
static uint64_t source_row(const struct qn_hf_piece *p, uint64_t row)
{
    uint64_t kept = p->matrix / p->period * p->run; /* rows of a matrix that are taken */
    uint64_t matrix = row / kept, r = row % kept;
    if (p->heads) { /* pair i of a head: its rows are i and i + half */
        uint64_t head = r / p->head_rows, j = r % p->head_rows;
        r = head * p->head_rows + j % 2 * (p->head_rows / 2) + j / 2;
    }
    return matrix * p->matrix + r / p->run * p->period + p->start + r % p->run;
}

/* Rows that follow each other in the source as they do in the piece. */
static uint64_t run_length(const struct qn_hf_piece *p, uint64_t row, uint64_t most)
{
    if (p->heads)
        return 1;
    if (p->run == p->period)
        return most;
    uint64_t left = p->run - row % p->run;
    return left < most ? left : most;
}

/* Elements of `size` bytes: rows of the transpose are columns of the source. */
static void copy_columns(const uint8_t *from, uint64_t columns, uint64_t inner, uint32_t size, uint64_t first,
                         uint64_t count, uint8_t *out)
{
    enum { TILE = 32 };
    for (uint64_t k0 = 0; k0 < inner; k0 += TILE)
        for (uint64_t c = 0; c < count; c++) {
            uint8_t *to = out + (c * inner + k0) * size;
            const uint8_t *at = from + (k0 * columns + first + c) * size;
            for (uint64_t k = k0; k < inner && k < k0 + TILE; k++, to += size, at += columns * size)
                memcpy(to, at, size);
        }
}

/* Rows of the transposed matrices of a source. */
static qn_status read_transposed(const struct qn_hf *hf, const struct qn_hf_source *s, uint64_t first, uint64_t count,
                                 uint8_t *out)
{
    uint64_t columns = s->dims[s->rank - 1], inner = s->dims[s->rank - 2];
    uint32_t size = qn_dtype_info(s->dtype)->block_bytes;
    uint8_t *held = NULL;
    bool plain = s->kind == QN_HF_PLAIN && qn_set_is_plain(s->parts[0]);
    size_t matrix_bytes = (size_t)(columns * inner * size); /* of a matrix that is all in the file, or less */
    if (!plain && !(held = qn_alloc(hf->allocator, matrix_bytes ? matrix_bytes : 1)))
        return QN_OOM();
    qn_status status = NULL;
    while (count && !status) {
        uint64_t matrix = first / columns, c = first % columns, run = columns - c < count ? columns - c : count;
        if (!plain)
            status = qn_hf_source_read(hf, s, matrix * inner, inner, held);
        const uint8_t *from = plain ? (const uint8_t *)s->parts[0]->data + matrix * matrix_bytes : held;
        if (!status)
            copy_columns(from, columns, inner, size, c, run, out);
        out += run * inner * size;
        first += run;
        count -= run;
    }
    qn_free(hf->allocator, held, matrix_bytes ? matrix_bytes : 1);
    return status;
}

/* Rows of the transposes of the runs that a piece takes. */
static qn_status read_turned(const struct qn_hf *hf, const struct qn_hf_piece *p, uint64_t first, uint64_t count,
                             uint8_t *out)
{
    const struct qn_hf_source *s = &hf->sources.items[p->source];
    uint64_t columns = s->dims[s->rank - 1];
    uint32_t size = qn_dtype_info(s->dtype)->block_bytes;
    size_t bytes = (size_t)(p->run * columns * size); /* a part of the source */
    uint8_t *held = qn_alloc(hf->allocator, bytes ? bytes : 1);
    qn_status status = held ? NULL : QN_OOM();
    while (count && !status) {
        uint64_t run = first / columns, c = first % columns, part = columns - c < count ? columns - c : count;
        status = qn_hf_source_read(hf, s, run * p->period + p->start, p->run, held);
        if (!status)
            copy_columns(held, columns, p->run, size, c, part, out);
        out += part * p->run * size;
        first += part;
        count -= part;
    }
    qn_free(hf->allocator, held, bytes ? bytes : 1);
    return status;
}

static qn_status read_source_rows(const struct qn_hf *hf, const struct qn_hf_piece *p, uint64_t first, uint64_t count,
                                  uint8_t *out)
{
    const struct qn_hf_source *source = &hf->sources.items[p->source];
    if (p->elements) {
        qn_set_read(source->parts[0], first, count, out);
        return NULL;
    }
    if (p->transpose)
        return read_transposed(hf, source, first, count, out);
    return qn_hf_source_read(hf, source, first, count, out);
}

/* Rows of a piece in the source's dtype. */
static qn_status read_piece(const struct qn_hf *hf, const struct qn_hf_piece *p, uint64_t first, uint64_t count,
                            uint64_t row_bytes, uint8_t *out)
{
    if (p->turn)
        return read_turned(hf, p, first, count, out);
    while (count) {
        uint64_t run = run_length(p, first, count);
        QN_TRY(read_source_rows(hf, p, source_row(p, first), run, out));
        out += run * row_bytes;
        first += run;
        count -= run;
    }
    return NULL;
}

static void apply(enum qn_hf_value_op op, float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        values[i] = op == QN_HF_PLUS_ONE ? values[i] + 1.0f : -expf(values[i]);
}

/* The same with the value op: through a buffer, into f32. */
static qn_status read_changed(const struct qn_hf *hf, enum qn_hf_value_op op, const struct qn_hf_piece *p,
                              uint64_t columns, uint64_t first, uint64_t count, float *out)
{
    qn_dtype from = hf->sources.items[p->source].dtype;
    uint64_t row_bytes;
    if (!qn_quant(from)->dequantise)
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s' is of type %s; expected floats",
                        QN_STR_ARG(hf->sources.items[p->source].name), qn_dtype_name(from));
    if (!qn_dtype_row_bytes(from, columns, &row_bytes) || row_bytes == 0)
        return NULL;
    uint64_t most = CHUNK_BYTES / row_bytes ? CHUNK_BYTES / row_bytes : 1;
    most = most < count ? most : count;
    uint8_t *held = qn_alloc(hf->allocator, (size_t)(most * row_bytes));
    qn_status status = held ? NULL : QN_OOM();
    while (count && !status) {
        uint64_t part = count < most ? count : most, elements = part * columns;
        status = read_piece(hf, p, first, part, row_bytes, held);
        if (!status) {
            qn_quant(from)->dequantise(held, out, (int64_t)elements);
            apply(op, out, elements);
        }
        out += elements;
        first += part;
        count -= part;
    }
    qn_free(hf->allocator, held, (size_t)(most * row_bytes));
    return status;
}

qn_status qn_hf_read(const struct qn_hf *hf, const struct qn_hf_tensor *t, uint64_t first, uint64_t count, void *out)
{
    uint8_t *to = out;
    uint64_t row_bytes;
    if (t->rank < 2) { /* a vector is one row to the reader, and rows of one column here */
        first *= t->elements;
        count *= t->elements;
    }
    if (!qn_dtype_row_bytes(t->dtype, t->columns, &row_bytes))
        return QN_ERROR(QN_INTERNAL, "'%s': rows of %llu elements", t->name.data, (unsigned long long)t->columns);
    /* Experts' vectors, rows of one column each, are rows of a matrix when they are stacked. */
    bool split = t->rank >= 2 && (t->recipe && t->recipe->elements);
    uint64_t unit = ((t->stacked && t->rank == 2) || split) && t->columns ? t->columns : 1;
    for (uint32_t i = 0; i < t->pieces.count && count; i++) {
        const struct qn_hf_piece *piece = &t->pieces.items[i];
        uint64_t rows = piece->rows / unit;
        if (first >= rows) {
            first -= rows;
            continue;
        }
        uint64_t part = rows - first < count ? rows - first : count;
        if (t->recipe->value)
            QN_TRY(read_changed(hf, t->recipe->value, piece, t->columns / unit, first * unit, part * unit,
                                (float *)(void *)to));
        else
            QN_TRY(read_piece(hf, piece, first * unit, part * unit, row_bytes / unit, to));
        to += part * row_bytes;
        count -= part;
        first = 0;
    }
    return NULL;
}

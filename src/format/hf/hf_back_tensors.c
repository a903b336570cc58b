/* Tensors of a model as those of a folder: the table of names turned round. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "format/hf/hf_back.h"
#include "quant/quant.h"

/* ---- which tensors the folder has ----------------------------------------------------------------------------- */

static uint32_t count_numbers(const char *pattern)
{
    uint32_t count = 0;
    for (const char *p = strstr(pattern, "{}"); p; p = strstr(p + 2, "{}"))
        count++;
    return count;
}

/* The pattern with its numbers filled in. */
static struct qn_str fill(struct qn_hf_back *back, const char *pattern, uint64_t layer, uint64_t expert)
{
    uint64_t numbers[2] = {layer, expert};
    struct qn_str text = {"", 0};
    for (int next = 0; text.data; next++) {
        const char *gap = strstr(pattern, "{}");
        if (!gap || next == 2)
            return qn_arena_printf(&back->view.arena, "%.*s%s", QN_STR_ARG(text), pattern);
        text = qn_arena_printf(&back->view.arena, "%.*s%.*s%" PRIu64, QN_STR_ARG(text), (int)(gap - pattern), pattern,
                               numbers[next]);
        pattern = gap + 2;
    }
    return text;
}

static bool is_avoided(const struct qn_hf_back *back, const struct qn_hf_name *row)
{
    for (int i = 0; i < 2; i++)
        if (back->avoid[i] && strncmp(row->from, back->avoid[i], strlen(back->avoid[i])) == 0)
            return true;
    return false;
}

/* Dims of 1 that GGUF leaves out stand in the table as such: "?,1,conv_kernel". */
static void put_ones(const char *shape, uint32_t *rank, uint64_t *dims)
{
    uint32_t entries = 0, at = 0;
    for (const char *p = shape; p && *p; entries++) {
        p += strcspn(p, ",");
        p += *p == ',';
    }
    for (const char *p = shape; p && *p && *rank < entries && *rank < QN_SET_MAX_RANK; at++) {
        size_t size = strcspn(p, ",");
        if (size == 1 && *p == '1') {
            memmove(dims + at + 1, dims + at, (*rank - at) * sizeof *dims);
            dims[at] = 1;
            ++*rank;
        }
        p += size;
        p += p[0] == ',';
    }
}

/* The dims that a tensor must have in the folder for the row's recipe to make the model's of it. */
static qn_status invert_dims(struct qn_hf_back *back, const struct qn_hf_name *row, const struct qn_model_tensor *t,
                             uint32_t *out_rank, uint64_t *dims)
{
    bool stacked = count_numbers(row->from) == 2, ok = true;
    if (stacked && t->rank < 2)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s': expected a stack of experts", t->name);
    uint32_t rank = t->rank - stacked;
    memcpy(dims, t->dims + stacked, rank * sizeof *dims);
    if (row->take) {
        uint64_t sizes[3] = {0}, period = 0;
        const char *texts[3] = {row->skip, row->take, row->rest};
        for (int i = 0; i < 3; i++) {
            ok = ok && (!texts[i] || qn_hf_product(&back->view, &texts[i], &sizes[i]));
            ok = ok && qn_add_u64(period, sizes[i], &period);
        }
        ok = ok && rank == 3 && dims[row->turn ? 2 : 1] == sizes[1] && qn_mul_u64(dims[0], period, &dims[0]);
        if (row->turn == 0 && rank == 3)
            dims[1] = dims[2];
        rank = 2;
    }
    uint64_t *rows = &dims[rank >= 2 ? rank - (row->elements ? 1 : 2) : 0];
    if (rank == 0)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s' has no dimensions", t->name);
    if (row->after)
        ok = ok && qn_add_u64(*rows, qn_hf_u64(&back->view, row->after, 1) + 1, rows);
    if (row->split) {
        uint32_t joined = 1; /* parts of one tensor that stand in this one: the row's, and those of others */
        for (const struct qn_hf_name *other = back->view.arch->names; other->from; other++)
            joined +=
                other != row && other->to && strcmp(other->from, row->from) == 0 && strcmp(other->to, row->to) == 0;
        ok = ok && *rows % joined == 0 && qn_mul_u64(*rows / joined, row->split, rows);
    }
    put_ones(row->shape, &rank, dims);
    if (row->transpose && rank >= 2) {
        uint64_t last = dims[rank - 1];
        dims[rank - 1] = dims[rank - 2];
        dims[rank - 2] = last;
    }
    *out_rank = rank;
    if (back->view.status)
        return back->view.status;
    return ok ? NULL : QN_ERROR(QN_INVALID_FILE, "tensor '%s': its shape is not what '%s' makes", t->name, row->from);
}

static qn_status add_source(struct qn_hf_back *back, const struct qn_hf_name *row, const struct qn_model_tensor *t,
                            uint64_t layer, uint64_t expert)
{
    struct qn_hf_source source = {.name = fill(back, row->from, layer, expert)};
    if (!source.name.data)
        return QN_OOM();
    if (qn_map_get(&back->names, source.name))
        return NULL; /* GGUF has it in parts */
    bool plain = t->dtype == QN_DTYPE_F32 || t->dtype == QN_DTYPE_F16 || t->dtype == QN_DTYPE_BF16;
    source.dtype = plain ? t->dtype : QN_DTYPE_F16;
    if (!qn_quant(t->dtype)->dequantise)
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%s' is of type %s, which cannot be turned into numbers", t->name,
                        qn_dtype_name(t->dtype));
    QN_TRY(invert_dims(back, row, t, &source.rank, source.dims));
    if (back->type && source.rank >= 2)
        source.dtype = back->type;
    if (qn_map_put(&back->names, source.name, 0) == QN_MAP_FAILED ||
        !qn_array_push(&back->view.sources, back->allocator, source))
        return QN_OOM();
    return NULL;
}

/* What only config.json says in a folder. */
static bool is_said_by_config(const char *name)
{
    return strcmp(name, "rope_freqs.weight") == 0 || strcmp(name, "rope_factors_long.weight") == 0 ||
           strcmp(name, "rope_factors_short.weight") == 0;
}

/* The tensors of the folder that this one is made of: the first row of the table that the model's version has. */
static qn_status add_tensor(struct qn_hf_back *back, const struct qn_model_tensor *t)
{
    bool known = is_said_by_config(t->name);
    for (const struct qn_hf_name *row = back->view.arch->names; row->from && !known; row++) {
        uint32_t layer = 0;
        if (!row->to || is_avoided(back, row) || !qn_hf_matches_target(row, qn_str_from(t->name), &layer))
            continue;
        known = true;
        if (row->of && !qn_hf_is_model(&back->view, row->of)) {
            known = false; /* another row may hold */
            continue;
        }
        uint64_t experts = count_numbers(row->from) == 2 && t->rank ? t->dims[0] : 1;
        for (uint64_t e = 0; e < experts; e++)
            QN_TRY(add_source(back, row, t, layer, e));
    }
    return known ? NULL
                 : QN_ERROR(QN_UNSUPPORTED, "tensor '%s' has no name in a folder of '%s'", t->name,
                            back->view.arch->model_type);
}

static int compare_links(const void *a, const void *b)
{
    const struct qn_hf_link *x = a, *y = b;
    return (x->source > y->source) - (x->source < y->source);
}

static qn_status add_links(struct qn_hf_back *back, const struct qn_hf_tensor *t)
{
    struct qn_hf_link link = {.value = t->recipe ? t->recipe->value : QN_HF_SAME};
    struct qn_model_tensor found = {.struct_size = sizeof found};
    if (!qn_model_find_tensor(back->model, t->name.data, &link.tensor))
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s' is missing", t->name.data);
    QN_TRY(qn_model_tensor(back->model, link.tensor, &found));
    if (found.elements != t->elements)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s' has %" PRIu64 " elements; expected %" PRIu64, t->name.data,
                        found.elements, t->elements);
    for (uint32_t i = 0; i < t->pieces.count; i++) {
        link.piece = &t->pieces.items[i];
        link.source = link.piece->source;
        if (!qn_array_push(&back->links, back->allocator, link))
            return QN_OOM();
        link.offset += link.piece->rows;
    }
    return NULL;
}

qn_status qn_hf_back_make_links(struct qn_hf_back *back)
{
    struct qn_hf *view = &back->view;
    struct qn_model_info info = {.struct_size = sizeof info};
    QN_TRY(qn_model_info(back->model, &info));
    for (uint32_t i = 0; i < info.tensor_count; i++) {
        struct qn_model_tensor t = {.struct_size = sizeof t};
        QN_TRY(qn_model_tensor(back->model, i, &t));
        QN_TRY(add_tensor(back, &t));
    }
    QN_TRY(qn_hf_make_tensors(view));
    for (uint32_t i = 0; i < view->tensors.count; i++)
        QN_TRY(add_links(back, &view->tensors.items[i]));
    if (back->links.count)
        qsort(back->links.items, back->links.count, sizeof *back->links.items, compare_links);
    for (uint32_t i = 0, at = 0; i <= view->sources.count; i++) {
        while (at < back->links.count && back->links.items[at].source < i)
            at++;
        if (!qn_array_push(&back->first_link, back->allocator, at))
            return QN_OOM();
    }
    return NULL;
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

/* A vector, or a matrix whose rows are divided: its elements are what pieces count. */
static bool is_flat(const struct qn_hf_source *source, const struct qn_hf_piece *p)
{
    return source->rank < 2 || p->elements;
}

static uint64_t columns_of(const struct qn_hf_source *source)
{
    return source->rank ? source->dims[source->rank - 1] : 1;
}

/* Rows along the last dim: a vector is one. */
static uint64_t rows_of(const struct qn_hf_source *source)
{
    uint64_t rows = 1;
    for (uint32_t i = 0; i + 1 < source->rank; i++)
        rows *= source->dims[i]; /* of a tensor of the model, or a few more */
    return rows;
}

uint64_t qn_hf_back_unit(const struct qn_hf_back *back, uint32_t index)
{
    const struct qn_hf_source *source = &back->view.sources.items[index];
    uint64_t unit = 1;
    for (uint32_t i = back->first_link.items[index]; i < back->first_link.items[index + 1]; i++) {
        const struct qn_hf_piece *p = back->links.items[i].piece;
        uint64_t own = is_flat(source, p) ? rows_of(source)
                       : p->transpose     ? source->dims[source->rank - 2]
                       : p->turn          ? p->period
                                          : 1;
        unit = own > unit ? own : unit;
    }
    return unit;
}

/* The piece's row that is row q of the source; false where the piece leaves it out. The other way round of recipes. */
static bool piece_row(const struct qn_hf_piece *p, uint64_t q, uint64_t *out)
{
    uint64_t matrix = q / p->matrix, r = q % p->matrix, at = r % p->period;
    if (at < p->start || at - p->start >= p->run)
        return false;
    r = r / p->period * p->run + at - p->start;
    if (p->heads) { /* rows i and i + half are pair i */
        uint64_t head = r / p->head_rows, j = r % p->head_rows, half = p->head_rows / 2;
        r = head * p->head_rows + j % half * 2 + j / half;
    }
    *out = matrix * (p->matrix / p->period * p->run) + r;
    return true;
}

/* Rows of a tensor of the model as floats, the inverse of the recipe's value op applied. */
static qn_status read_rows(const struct qn_hf_back *back, const struct qn_hf_link *link, uint64_t first, uint64_t count,
                           float *out)
{
    struct qn_model_tensor t = {.struct_size = sizeof t};
    uint64_t row_bytes, bytes;
    QN_TRY(qn_model_tensor(back->model, link->tensor, &t));
    uint64_t columns = t.rank ? t.dims[t.rank - 1] : 1;
    if (!qn_dtype_row_bytes(t.dtype, columns, &row_bytes) || !qn_mul_u64(row_bytes, count, &bytes) || bytes > SIZE_MAX)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s': rows of %" PRIu64 " elements", t.name, columns);
    if (bytes == 0)
        return NULL;
    void *raw = qn_alloc(back->allocator, (size_t)bytes);
    if (!raw)
        return QN_OOM();
    qn_status status = qn_model_read_rows(back->model, link->tensor, first, count, raw);
    if (!status)
        qn_quant(t.dtype)->dequantise(raw, out, (int64_t)(columns * count));
    qn_free(back->allocator, raw, (size_t)bytes);
    for (uint64_t i = 0; !status && link->value && i < columns * count; i++)
        out[i] = link->value == QN_HF_PLUS_ONE ? out[i] - 1.0f : logf(-out[i]);
    return status;
}

static qn_status fill_flat(const struct qn_hf_back *back, const struct qn_hf_link *link, uint64_t elements, float *out)
{
    struct qn_model_tensor t = {.struct_size = sizeof t};
    uint64_t from;
    QN_TRY(qn_model_tensor(back->model, link->tensor, &t));
    uint64_t columns = t.rank ? t.dims[t.rank - 1] : 1;
    float *values = qn_calloc(back->allocator, (size_t)t.elements + 1, sizeof *values);
    qn_status status = values ? read_rows(back, link, 0, columns ? t.elements / columns : 0, values) : QN_OOM();
    for (uint64_t q = 0; q < elements && !status; q++)
        if (piece_row(link->piece, q, &from))
            out[q] = values[link->offset + from];
    qn_free(back->allocator, values, ((size_t)t.elements + 1) * sizeof *values);
    return status;
}

/* Blocks of rows that come transposed: `size` rows of the model of `inner` elements each, element j of row i being
 * element i (or where the piece has it) of row j. */
static qn_status fill_turned(const struct qn_hf_back *back, const struct qn_hf_link *link, uint64_t block,
                             uint64_t columns, uint64_t unit, float *out)
{
    const struct qn_hf_piece *p = link->piece;
    uint64_t rows = p->turn ? columns : p->matrix / p->period * p->run, inner = p->turn ? p->run : unit;
    float *held = qn_calloc(back->allocator, (size_t)(rows * inner) + 1, sizeof *held);
    qn_status status = held ? read_rows(back, link, link->offset + block * rows, rows, held) : QN_OOM();
    for (uint64_t i = 0; i < columns && !status; i++) {
        uint64_t row = i, down = p->turn ? p->start : 0;
        if (!p->turn && !piece_row(p, i, &row))
            continue;
        for (uint64_t j = 0; j < inner; j++)
            out[(down + j) * columns + i] = held[row * inner + j];
    }
    qn_free(back->allocator, held, ((size_t)(rows * inner) + 1) * sizeof *held);
    return status;
}

static qn_status fill_rows(const struct qn_hf_back *back, const struct qn_hf_link *link, uint64_t columns,
                           uint64_t first, uint64_t count, float *out)
{
    uint64_t from, next;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t run = 1;
        if (!piece_row(link->piece, first + i, &from))
            continue;
        while (i + run < count && piece_row(link->piece, first + i + run, &next) && next == from + run)
            run++;
        QN_TRY(read_rows(back, link, link->offset + from, run, out + i * columns));
        i += run - 1;
    }
    return NULL;
}

qn_status qn_hf_back_read(const struct qn_hf_back *back, uint32_t index, uint64_t first, uint64_t count, float *out)
{
    const struct qn_hf_source *source = &back->view.sources.items[index];
    uint64_t columns = columns_of(source), unit = qn_hf_back_unit(back, index);
    if (count && columns)
        memset(out, 0, (size_t)(count * columns) * sizeof *out);
    for (uint32_t i = back->first_link.items[index]; i < back->first_link.items[index + 1]; i++) {
        const struct qn_hf_link *link = &back->links.items[i];
        if (is_flat(source, link->piece)) {
            QN_TRY(fill_flat(back, link, count * columns, out));
        } else if (link->piece->transpose || link->piece->turn) {
            for (uint64_t at = 0; at < count; at += unit)
                QN_TRY(fill_turned(back, link, (first + at) / unit, columns, unit, out + at * columns));
        } else {
            QN_TRY(fill_rows(back, link, columns, first, count, out));
        }
    }
    return NULL;
}

#include "convert/imatrix_file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "format/gguf/gguf.h"

/* ---- entries -------------------------------------------------------------------------------------------------- */

static qn_status add_entry(struct qn_imatrix *im, uint32_t capacity, struct qn_str name, uint64_t matrices,
                           uint64_t columns, float **means)
{
    uint64_t count;
    if (im->entry_count >= capacity)
        return QN_ERROR(QN_INTERNAL, "more entries than were announced");
    if (!qn_mul_u64(matrices, columns, &count) || count > SIZE_MAX / sizeof(float))
        return QN_ERROR(QN_INVALID_FILE, "entry '%.*s' has too many values", QN_STR_ARG(name));
    struct qn_imatrix_entry *entry = &im->entries[im->entry_count];
    *entry = (struct qn_imatrix_entry){qn_arena_str(&im->arena, name), matrices, columns, NULL};
    entry->means = *means = QN_ARENA_ARRAY(&im->arena, float, (size_t)count);
    if (!entry->name.data || !*means)
        return QN_OOM();
    switch (qn_map_put(&im->map, entry->name, im->entry_count)) {
    case QN_MAP_ADDED:
        im->entry_count++;
        return NULL;
    case QN_MAP_REPLACED:
        return QN_ERROR(QN_INVALID_FILE, "entry '%.*s' appears twice", QN_STR_ARG(name));
    case QN_MAP_FAILED:
        break;
    }
    return QN_OOM();
}

/* Means of one matrix: sums / count, or 1 where it saw nothing, so that all its elements weigh the same. */
static qn_status fill_means(const uint8_t *sums, uint64_t columns, float count, struct qn_str name, float *means)
{
    if (!(count >= 0) || isinf(count))
        return QN_ERROR(QN_INVALID_FILE, "entry '%.*s' has a count of %g", QN_STR_ARG(name), (double)count);
    for (uint64_t i = 0; i < columns; i++) {
        float sum;
        memcpy(&sum, sums + i * sizeof sum, sizeof sum);
        if (!(sum >= 0) || isinf(sum))
            return QN_ERROR(QN_INVALID_FILE, "entry '%.*s': value %" PRIu64 " is %g, expected a finite sum of squares",
                            QN_STR_ARG(name), i, (double)sum);
        means[i] = count > 0 ? sum / count : 1;
        if (isinf(means[i]))
            return QN_ERROR(QN_INVALID_FILE, "entry '%.*s': value %" PRIu64 " is %g over a count of %g: no finite mean",
                            QN_STR_ARG(name), i, (double)sum, (double)count);
    }
    return NULL;
}

static qn_status init_entries(struct qn_imatrix *im, uint32_t capacity)
{
    im->entries = QN_ARENA_ARRAY(&im->arena, struct qn_imatrix_entry, (size_t)capacity + 1);
    return im->entries && qn_map_init(&im->map, &im->arena, capacity) ? NULL : QN_OOM();
}

/* ---- GGUF ----------------------------------------------------------------------------------------------------- */

static qn_status read_pair(struct qn_imatrix *im, const struct qn_gguf *gguf, uint32_t capacity,
                           const struct qn_gguf_tensor *sums)
{
    static const char suffix[] = ".in_sum2";
    struct qn_str name = {sums->name.data, sums->name.size - (sizeof suffix - 1)};
    struct qn_str counts_name = qn_arena_printf(&im->arena, "%.*s.counts", QN_STR_ARG(name));
    if (!counts_name.data)
        return QN_OOM();
    const struct qn_gguf_tensor *counts = qn_gguf_tensor(gguf, counts_name);
    if (!counts)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' is missing", QN_STR_ARG(counts_name));
    uint64_t columns = sums->dims[sums->rank - 1], matrices = sums->rank > 1 ? sums->dims[sums->rank - 2] : 1;
    if (sums->rank > 2 || sums->dtype != QN_DTYPE_F32 || counts->dtype != QN_DTYPE_F32 ||
        counts->bytes != matrices * sizeof(float))
        return QN_ERROR(QN_INVALID_FILE,
                        "tensors '%.*s' and '%.*s': expected f32 [matrices, columns] and one f32 count a matrix",
                        QN_STR_ARG(sums->name), QN_STR_ARG(counts_name));
    float *means, count;
    QN_TRY(add_entry(im, capacity, name, matrices, columns, &means));
    const uint8_t *sum_bytes = qn_gguf_tensor_data(gguf, sums), *count_bytes = qn_gguf_tensor_data(gguf, counts);
    for (uint64_t m = 0; m < matrices; m++) {
        memcpy(&count, count_bytes + m * sizeof count, sizeof count);
        QN_TRY(fill_means(sum_bytes + m * columns * sizeof(float), columns, count, name, means + m * columns));
    }
    return NULL;
}

static qn_status read_gguf(struct qn_imatrix *im, const struct qn_gguf *gguf)
{
    struct qn_str type = QN_STR("");
    bool found;
    QN_TRY(qn_gguf_get_str(gguf, "general.type", &type, &found));
    if (!qn_str_is(type, "imatrix"))
        return QN_ERROR(QN_INVALID_FILE, "no importance matrix: general.type is '%.*s', expected 'imatrix'",
                        QN_STR_ARG(type));
    QN_TRY(qn_gguf_get_u64(gguf, "imatrix.chunk_count", &im->chunk_count, &found));
    const struct qn_gguf_value *datasets = qn_gguf_find(gguf, "imatrix.datasets");
    if (datasets && datasets->type == QN_GGUF_ARRAY && datasets->elem_type == QN_GGUF_STRING && datasets->count > 0) {
        im->dataset = qn_arena_str(&im->arena, datasets->as.strings[0]);
        if (!im->dataset.data)
            return QN_OOM();
    }
    QN_TRY(init_entries(im, gguf->tensor_count));
    for (uint32_t i = 0; i < gguf->tensor_count; i++)
        if (qn_str_ends(gguf->tensors[i].name, QN_STR(".in_sum2")))
            QN_TRY(read_pair(im, gguf, gguf->tensor_count, &gguf->tensors[i]));
    return NULL;
}

/* ---- the older form ------------------------------------------------------------------------------------------- */

/* Little-endian: i32 entries; of each i32 name length, name, i32 calls, i32 values, f32 values (mean times calls);
 * then, in newer files, i32 chunks, i32 length and name of the data set. */
struct cursor {
    const uint8_t *at;
    size_t left;
};

static bool take_i32(struct cursor *c, int32_t *out)
{
    if (c->left < sizeof *out)
        return false;
    memcpy(out, c->at, sizeof *out);
    c->at += sizeof *out;
    c->left -= sizeof *out;
    return true;
}

static bool take_bytes(struct cursor *c, uint64_t size, const uint8_t **out)
{
    if (size > c->left)
        return false;
    *out = c->at;
    c->at += size;
    c->left -= (size_t)size;
    return true;
}

static qn_status read_entry(struct qn_imatrix *im, struct cursor *c, uint32_t capacity)
{
    int32_t length, calls, values;
    const uint8_t *name, *data;
    if (!take_i32(c, &length) || length < 1 || !take_bytes(c, (uint64_t)length, &name) || !take_i32(c, &calls) ||
        !take_i32(c, &values) || values < 1 || !take_bytes(c, (uint64_t)values * sizeof(float), &data))
        return QN_ERROR(QN_INVALID_FILE, "entry %u of %u is cut off or has a size below 1", im->entry_count, capacity);
    float *means;
    struct qn_str text = {(const char *)name, (size_t)length};
    /* The stacked matrices of experts are one run of values here; the quantiser knows how many there are. */
    QN_TRY(add_entry(im, capacity, text, 1, (uint64_t)values, &means));
    return fill_means(data, (uint64_t)values, calls > 0 ? (float)calls : 1, text, means);
}

static qn_status read_dat(struct qn_imatrix *im, const uint8_t *data, size_t size)
{
    struct cursor c = {data, size};
    int32_t count, chunks, length;
    const uint8_t *name;
    enum { SMALLEST = 4 + 1 + 4 + 4 + 4 };
    if (!take_i32(&c, &count) || count < 1 || (uint64_t)count > size / SMALLEST)
        return QN_ERROR(QN_INVALID_FILE, "no importance matrix: neither GGUF nor the older form");
    QN_TRY(init_entries(im, (uint32_t)count));
    for (int32_t i = 0; i < count; i++)
        QN_TRY(read_entry(im, &c, (uint32_t)count));
    if (!take_i32(&c, &chunks) || !take_i32(&c, &length))
        return NULL;
    im->chunk_count = chunks > 0 ? (uint64_t)chunks : 0;
    if (length < 0 || !take_bytes(&c, (uint64_t)length, &name))
        return QN_ERROR(QN_INVALID_FILE, "the name of the data set is cut off");
    im->dataset = qn_arena_str(&im->arena, (struct qn_str){(const char *)name, (size_t)length});
    return im->dataset.data ? NULL : QN_OOM();
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static qn_status read_any(struct qn_imatrix *im, const void *data, size_t size, const char *name)
{
    if (size < 4 || memcmp(data, "GGUF", 4) != 0)
        return qn_status_note(read_dat(im, data, size), "%s", name);
    struct qn_gguf *gguf;
    QN_TRY(qn_gguf_open_memory(data, size, name, im->arena.allocator, &gguf));
    qn_status status = read_gguf(im, gguf);
    qn_gguf_close(gguf);
    return qn_status_note(status, "%s", name);
}

qn_status qn_imatrix_open_memory(const void *data, size_t size, const char *name, const struct qn_allocator *allocator,
                                 struct qn_imatrix **out)
{
    const struct qn_allocator *a = allocator ? allocator : qn_allocator_default();
    struct qn_imatrix *im = qn_calloc(a, 1, sizeof *im);
    *out = NULL;
    if (!im)
        return QN_OOM();
    qn_arena_init(&im->arena, a);
    qn_status status = read_any(im, data, size, name);
    if (status)
        qn_imatrix_close(im);
    else
        *out = im;
    return status;
}

qn_status qn_imatrix_open(const char *path, const struct qn_allocator *allocator, struct qn_imatrix **out)
{
    struct qn_file_map map;
    *out = NULL;
    QN_TRY(qn_file_map(path, &map));
    qn_status status = qn_imatrix_open_memory(map.data, (size_t)map.size, path, allocator, out);
    qn_file_unmap(&map);
    return status;
}

void qn_imatrix_close(struct qn_imatrix *imatrix)
{
    if (!imatrix)
        return;
    const struct qn_allocator *a = imatrix->arena.allocator;
    qn_arena_deinit(&imatrix->arena);
    qn_free(a, imatrix, sizeof *imatrix);
}

const struct qn_imatrix_entry *qn_imatrix_find(const struct qn_imatrix *imatrix, struct qn_str name)
{
    const uint32_t *index = qn_map_get(&imatrix->map, name);
    return index ? &imatrix->entries[*index] : NULL;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static qn_status add_named(struct qn_gguf_writer *writer, struct qn_arena *arena, struct qn_str name,
                           const char *suffix, uint64_t rows, uint64_t columns)
{
    struct qn_str full = qn_arena_printf(arena, "%.*s%s", QN_STR_ARG(name), suffix);
    return full.data ? qn_gguf_writer_add_tensor(writer, full, QN_DTYPE_F32, 2, (uint64_t[]){rows, columns}) : QN_OOM();
}

static qn_status set_number(struct qn_gguf_writer *writer, const char *key, uint32_t number)
{
    struct qn_gguf_value value = {.type = QN_GGUF_U32, .count = 1, .as.u = number};
    return qn_gguf_writer_set(writer, qn_str_from(key), &value);
}

static qn_status write_all(struct qn_gguf_writer *writer, struct qn_arena *arena, const struct qn_imatrix_sums *sums,
                           uint32_t count, const struct qn_imatrix_run *run)
{
    struct qn_str dataset = qn_str_from(run->dataset);
    struct qn_gguf_value type = {.type = QN_GGUF_STRING, .count = 1, .as.str = QN_STR("imatrix")};
    struct qn_gguf_value datasets = {
        .type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_STRING, .count = 1, .as.strings = &dataset};
    QN_TRY(qn_gguf_writer_set(writer, QN_STR("general.type"), &type));
    QN_TRY(qn_gguf_writer_set(writer, QN_STR("imatrix.datasets"), &datasets));
    QN_TRY(set_number(writer, "imatrix.chunk_count", run->chunk_count));
    QN_TRY(set_number(writer, "imatrix.chunk_size", run->chunk_size));
    for (uint32_t i = 0; i < count; i++) {
        QN_TRY(add_named(writer, arena, sums[i].name, ".in_sum2", sums[i].matrices, sums[i].columns));
        QN_TRY(add_named(writer, arena, sums[i].name, ".counts", sums[i].matrices, 1));
    }
    QN_TRY(qn_gguf_writer_begin_data(writer));
    for (uint32_t i = 0; i < count; i++) {
        size_t rows = (size_t)sums[i].matrices * sizeof(float);
        QN_TRY(qn_gguf_writer_write(writer, sums[i].squares, rows * (size_t)sums[i].columns));
        QN_TRY(qn_gguf_writer_write(writer, sums[i].counts, rows));
    }
    return NULL;
}

qn_status qn_imatrix_write(const char *path, const struct qn_imatrix_sums *sums, uint32_t count,
                           const struct qn_imatrix_run *run, const struct qn_allocator *allocator)
{
    struct qn_arena arena;
    struct qn_gguf_writer *writer;
    QN_TRY(qn_gguf_writer_create(path, allocator, &writer));
    qn_arena_init(&arena, allocator);
    qn_status status = write_all(writer, &arena, sums, count, run);
    qn_arena_deinit(&arena);
    if (status) {
        qn_gguf_writer_discard(writer);
        return status;
    }
    return qn_gguf_writer_commit(writer);
}

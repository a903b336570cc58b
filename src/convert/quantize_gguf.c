#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/imatrix_file.h"
#include "convert/tensor_types.h"
#include "format/gguf/gguf.h"
#include "platform/clock.h"
#include "pool/pool.h"
#include "quant/quant.h"
#include "quern/quantize.h"

/* A tensor is a run of blocks, whatever its shape: rows are multiples of the block size of both types. So it is cut
 * into tiles of a whole number of the largest blocks, and a chunk of tiles is converted and written at a time. */
enum { TILE_ELEMS = 16 * 1024, CHUNK_TILES = 256 };

struct job {
    const struct qn_gguf *gguf;
    enum qn_scheme_id scheme;
    struct qn_quantize_options options;
    const struct qn_allocator *allocator;
    struct qn_tensor_choice *choices; /* one a tensor */
    struct qn_gguf_writer *writer;
    struct qn_pool *pool;
    struct qn_imatrix *imatrix; /* NULL: none */
    uint64_t weighed;
    float *scratch; /* a thread: TILE_ELEMS floats, and as many weights where there is an imatrix */
    uint8_t *out;   /* a chunk in the output type, at most 4 bytes an element */
    size_t scratch_bytes, out_bytes;
    uint64_t done, total; /* input bytes */
};

/* One chunk of one tensor, for the pool. */
struct chunk {
    const uint8_t *in;
    uint8_t *out;
    float *scratch;
    uint64_t elems, first; /* first: index in the tensor of the chunk's first element */
    qn_dtype from, to;
    const float *means; /* of the input channels: `matrices` rows of `columns`; NULL: none */
    uint64_t columns, matrix_elems, matrices;
    uint64_t bad; /* index in the tensor of the first element that cannot be stored, UINT64_MAX: none */
};

static uint64_t bytes_of(qn_dtype dtype, uint64_t elems)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    return elems / info->block_elems * info->block_bytes;
}

/* Lowers *bad to `index`: tiles run in any order, the report names the first. */
static void report_bad(uint64_t *bad, uint64_t index)
{
    uint64_t seen = __atomic_load_n(bad, __ATOMIC_RELAXED);
    while (index < seen && !__atomic_compare_exchange_n(bad, &seen, index, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* Weights of `count` elements from index `at` of the tensor: each row of a matrix meets the same input channels. */
static void spread_means(const struct chunk *chunk, uint64_t at, int64_t count, float *w)
{
    uint64_t matrix = at / chunk->matrix_elems % chunk->matrices, in_matrix = at % chunk->matrix_elems;
    for (int64_t i = 0; i < count;) {
        uint64_t column = in_matrix % chunk->columns, run = chunk->columns - column;
        run = run < (uint64_t)(count - i) ? run : (uint64_t)(count - i);
        memcpy(w + i, chunk->means + matrix * chunk->columns + column, (size_t)run * sizeof *w);
        i += (int64_t)run;
        in_matrix += run;
        if (in_matrix == chunk->matrix_elems) {
            in_matrix = 0;
            matrix = (matrix + 1) % chunk->matrices;
        }
    }
}

static void convert_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    struct chunk *chunk = context;
    float *x = chunk->scratch + (size_t)thread * TILE_ELEMS * (chunk->means ? 2 : 1), *w = NULL;
    float limit = chunk->to == QN_DTYPE_F16 ? 65520.0f : INFINITY; /* what would round to infinity */
    for (int64_t tile = begin; tile < end; tile++) {
        uint64_t at = (uint64_t)tile * TILE_ELEMS, left = chunk->elems - at;
        int64_t count = (int64_t)(left < TILE_ELEMS ? left : TILE_ELEMS);
        qn_quant(chunk->from)->dequantise(chunk->in + bytes_of(chunk->from, at), x, count);
        for (int64_t i = 0; i < count; i++) {
            if (!(fabsf(x[i]) < limit)) {
                report_bad(&chunk->bad, chunk->first + at + (uint64_t)i);
                break;
            }
        }
        if (chunk->means) {
            w = x + TILE_ELEMS;
            spread_means(chunk, chunk->first + at, count, w);
        }
        qn_quant(chunk->to)->quantise(x, chunk->out + bytes_of(chunk->to, at), count, w);
    }
}

static qn_status check_progress(const struct job *job)
{
    if (job->options.progress && !job->options.progress(job->options.progress_context, job->done, job->total))
        return QN_ERROR(QN_CANCELLED, "stopped before the end");
    return NULL;
}

static qn_status fail_element(const struct job *job, const struct qn_gguf_tensor *tensor, const struct chunk *chunk)
{
    /* Dequantise the block around the element again to show its value. */
    uint64_t block = qn_dtype_info(chunk->from)->block_elems, at = (chunk->bad - chunk->first) / block * block;
    qn_quant(chunk->from)->dequantise(chunk->in + bytes_of(chunk->from, at), job->scratch, (int64_t)block);
    float value = job->scratch[chunk->bad - chunk->first - at];
    const char *path = job->gguf->files[tensor->file].path.data;
    if (isfinite(value))
        return QN_ERROR(QN_UNSUPPORTED,
                        "%s: tensor '%.*s': element %" PRIu64 " is %g, beyond the range of f16; use bf16", path,
                        QN_STR_ARG(tensor->name), chunk->bad, (double)value);
    return QN_ERROR(QN_INVALID_FILE, "%s: tensor '%.*s': element %" PRIu64 " is %g, expected a finite number", path,
                    QN_STR_ARG(tensor->name), chunk->bad, (double)value);
}

/* The importance of the input channels, where the matrix has it. A list of another size belongs to another model;
 * only the embedding, which no matmul reads, is forgiven. */
static qn_status find_means(struct job *job, const struct qn_gguf_tensor *tensor, qn_dtype to, struct chunk *chunk)
{
    const struct qn_imatrix_entry *entry =
        job->imatrix && qn_dtype_is_block(to) ? qn_imatrix_find(job->imatrix, tensor->name) : NULL;
    if (!entry)
        return NULL;
    uint64_t columns = tensor->dims[tensor->rank - 1], rows = tensor->rank > 1 ? tensor->dims[tensor->rank - 2] : 1;
    uint64_t matrices = tensor->rank > 2 ? tensor->dims[tensor->rank - 3] : 1, have = entry->matrices * entry->columns;
    if (have != columns * matrices || (entry->matrices > 1 && entry->matrices != matrices)) {
        if (qn_str_is(tensor->name, "token_embd.weight"))
            return NULL;
        return QN_ERROR(QN_INVALID_FILE,
                        "%s: entry '%.*s' has %" PRIu64 " values, the tensor asks for %" PRIu64 " x %" PRIu64
                        ": it was made for another model",
                        job->options.imatrix, QN_STR_ARG(tensor->name), have, matrices, columns);
    }
    chunk->means = entry->means;
    chunk->columns = columns;
    chunk->matrices = matrices;
    chunk->matrix_elems = columns * rows;
    job->weighed++;
    return NULL;
}

static qn_status convert_tensor(struct job *job, const struct qn_gguf_tensor *tensor, qn_dtype to)
{
    const uint64_t chunk_elems = (uint64_t)TILE_ELEMS * CHUNK_TILES;
    const struct qn_gguf_file *file = &job->gguf->files[tensor->file];
    const uint8_t *data = qn_gguf_tensor_data(job->gguf, tensor);
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    uint64_t elems = tensor->bytes / info->block_bytes * info->block_elems;
    struct chunk means = {0};
    if (tensor->dtype != to)
        QN_TRY(find_means(job, tensor, to, &means));
    for (uint64_t at = 0; at < elems; at += chunk_elems) {
        uint64_t count = elems - at < chunk_elems ? elems - at : chunk_elems;
        uint64_t in_at = bytes_of(tensor->dtype, at), in_bytes = bytes_of(tensor->dtype, count);
        if (tensor->dtype == to) {
            QN_TRY(qn_gguf_writer_write(job->writer, data + in_at, (size_t)in_bytes));
        } else {
            struct chunk chunk = means;
            chunk.in = data + in_at;
            chunk.out = job->out;
            chunk.scratch = job->scratch;
            chunk.elems = count;
            chunk.first = at;
            chunk.from = tensor->dtype;
            chunk.to = to;
            chunk.bad = UINT64_MAX;
            qn_pool_for(job->pool, (int64_t)((count + TILE_ELEMS - 1) / TILE_ELEMS), 1, convert_tiles, &chunk);
            if (chunk.bad != UINT64_MAX)
                return fail_element(job, tensor, &chunk);
            QN_TRY(qn_gguf_writer_write(job->writer, job->out, (size_t)bytes_of(to, count)));
        }
        qn_file_map_drop(&file->map, tensor->offset + in_at, in_bytes);
        job->done += in_bytes;
        QN_TRY(check_progress(job));
    }
    return NULL;
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

static qn_status set_u32(struct qn_gguf_writer *writer, const char *key, uint32_t number)
{
    struct qn_gguf_value value = {.type = QN_GGUF_U32, .count = 1, .as.u = number};
    return qn_gguf_writer_set(writer, qn_str_from(key), &value);
}

static qn_status set_text(struct qn_gguf_writer *writer, const char *key, struct qn_str text)
{
    struct qn_gguf_value value = {.type = QN_GGUF_STRING, .count = 1, .as.str = text};
    return qn_gguf_writer_set(writer, qn_str_from(key), &value);
}

static qn_status declare_imatrix(struct job *job)
{
    if (!job->imatrix)
        return NULL;
    QN_TRY(set_text(job->writer, "quantize.imatrix.file", qn_str_from(job->options.imatrix)));
    if (job->imatrix->dataset.size)
        QN_TRY(set_text(job->writer, "quantize.imatrix.dataset", job->imatrix->dataset));
    QN_TRY(set_u32(job->writer, "quantize.imatrix.entries_count", job->imatrix->entry_count));
    return job->imatrix->chunk_count
               ? set_u32(job->writer, "quantize.imatrix.chunks_count", (uint32_t)job->imatrix->chunk_count)
               : NULL;
}

static qn_status declare(struct job *job)
{
    const struct qn_gguf *gguf = job->gguf;
    for (uint32_t i = 0; i < gguf->kv_count; i++)
        if (!qn_str_starts(gguf->kvs[i].key, QN_STR("split."))) /* the output is one file */
            QN_TRY(qn_gguf_writer_set(job->writer, gguf->kvs[i].key, &gguf->kvs[i].value));
    QN_TRY(set_u32(job->writer, "general.quantization_version", 2));
    QN_TRY(set_u32(job->writer, "general.file_type", qn_scheme(job->scheme)->file_type));
    QN_TRY(declare_imatrix(job));
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        const struct qn_gguf_tensor *tensor = &gguf->tensors[i];
        QN_TRY(qn_gguf_writer_add_tensor(job->writer, tensor->name, job->choices[i].dtype, tensor->rank, tensor->dims));
    }
    return qn_gguf_writer_begin_data(job->writer);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static void count_stats(const struct job *job, struct qn_quantize_stats *stats)
{
    stats->weighed = job->weighed;
    for (uint32_t i = 0; i < job->gguf->tensor_count; i++) {
        const struct qn_gguf_tensor *tensor = &job->gguf->tensors[i];
        const struct qn_tensor_choice *choice = &job->choices[i];
        stats->bytes_in += tensor->bytes;
        stats->bytes_out += tensor->bytes / qn_dtype_info(tensor->dtype)->block_bytes *
                            qn_dtype_info(tensor->dtype)->block_elems / qn_dtype_info(choice->dtype)->block_elems *
                            qn_dtype_info(choice->dtype)->block_bytes;
        stats->tensors++;
        stats->fallbacks += choice->fallback;
        stats->requantised +=
            choice->dtype != tensor->dtype && qn_dtype_is_block(tensor->dtype) && qn_dtype_is_block(choice->dtype);
        stats->type_counts[choice->dtype]++;
    }
}

static qn_status prepare(struct job *job, const char *output)
{
    for (uint32_t i = 0; i < job->gguf->file_count; i++)
        if (qn_file_same(job->gguf->files[i].path.data, output))
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the output is the input; give it another name", output);
    job->choices = qn_calloc(job->allocator, job->gguf->tensor_count, sizeof *job->choices);
    if (!job->choices)
        return QN_OOM();
    QN_TRY(qn_status_note(qn_tensor_types(job->gguf, job->scheme, job->options.pure, job->allocator, job->choices),
                          "%s", job->gguf->files[0].path.data));
    QN_TRY(qn_tensor_types_keep(job->gguf, job->options.keeps, job->options.keep_count, job->choices));
    if (job->options.imatrix)
        QN_TRY(qn_imatrix_open(job->options.imatrix, job->allocator, &job->imatrix));
    QN_TRY(qn_pool_create(job->options.threads, job->allocator, &job->pool));
    job->scratch_bytes = (size_t)qn_pool_threads(job->pool) * TILE_ELEMS * sizeof(float) * (job->imatrix ? 2 : 1);
    job->out_bytes = (size_t)TILE_ELEMS * CHUNK_TILES * 4;
    job->scratch = qn_alloc(job->allocator, job->scratch_bytes);
    job->out = qn_alloc(job->allocator, job->out_bytes);
    return job->scratch && job->out ? NULL : QN_OOM();
}

static qn_status run(struct job *job, const char *output)
{
    QN_TRY(prepare(job, output));
    for (uint32_t i = 0; i < job->gguf->tensor_count; i++)
        job->total += job->gguf->tensors[i].bytes;
    QN_TRY(qn_gguf_writer_create(output, job->allocator, &job->writer));
    QN_TRY(declare(job));
    QN_TRY(check_progress(job));
    for (uint32_t i = 0; i < job->gguf->tensor_count; i++)
        QN_TRY(convert_tensor(job, &job->gguf->tensors[i], job->choices[i].dtype));
    struct qn_gguf_writer *writer = job->writer;
    job->writer = NULL;
    return qn_gguf_writer_commit(writer);
}

static void release(struct job *job, struct qn_gguf *gguf)
{
    qn_gguf_writer_discard(job->writer);
    qn_imatrix_close(job->imatrix);
    qn_free(job->allocator, job->out, job->out_bytes);
    qn_free(job->allocator, job->scratch, job->scratch_bytes);
    qn_pool_destroy(job->pool);
    qn_free(job->allocator, job->choices, (size_t)gguf->tensor_count * sizeof *job->choices);
    qn_gguf_close(gguf);
}

static qn_status fail_type(const char *type)
{
    char names[512];
    size_t used = 0;
    for (int id = 1; id < QN_SCHEME_COUNT && used < sizeof names; id++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", id > 1 ? ", " : "",
                                 qn_scheme((enum qn_scheme_id)id)->name);
    return QN_ERROR(QN_INVALID_ARGUMENT, "unknown quantisation type '%s'; known are %s", type, names);
}

qn_status qn_quantize_gguf(const char *input, const char *output, const char *type,
                           const struct qn_quantize_options *options, struct qn_quantize_stats *stats)
{
    uint64_t start = qn_clock_ns();
    struct job job = {.scheme = qn_scheme_find(type)};
    if (job.scheme == QN_SCHEME_NONE)
        return fail_type(type);
    if (options)
        memcpy(&job.options, options,
               options->struct_size < sizeof job.options ? options->struct_size : sizeof job.options);
    job.allocator = job.options.allocator ? job.options.allocator : qn_allocator_default();
    struct qn_gguf *gguf;
    QN_TRY(qn_gguf_open(input, job.allocator, &gguf));
    job.gguf = gguf;
    qn_status status = run(&job, output);
    struct qn_quantize_stats counted = {.struct_size = stats ? stats->struct_size : 0};
    if (!status && stats) {
        count_stats(&job, &counted);
        counted.seconds = (double)(qn_clock_ns() - start) * 1e-9;
        memcpy(stats, &counted, counted.struct_size < sizeof counted ? counted.struct_size : sizeof counted);
    }
    release(&job, gguf);
    return status;
}

const char *qn_quantize_type(size_t index, const char **summary)
{
    if (index + 1 >= QN_SCHEME_COUNT)
        return NULL;
    const struct qn_scheme *scheme = qn_scheme((enum qn_scheme_id)(index + 1));
    if (summary)
        *summary = scheme->summary;
    return scheme->name;
}

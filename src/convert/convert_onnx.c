/* An ONNX model with the constant matrices of its products in MatMulNBits. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/convert_internal.h"
#include "convert/tensor_types.h"
#include "convert/onnx_layout.h"
#include "convert/onnx_products.h"
#include "format/model.h"
#include "platform/file.h"
#include "pool/pool.h"

/* What is written between two reports. */
enum { SLAB_BYTES = 16 << 20 };

struct job {
    struct qn_convert_options options;
    const struct qn_onnx_file *file;
    struct qn_onnx_products products;
    struct qn_onnx_layout layout;
    struct qn_strbuf data_path; /* of the file beside the output */
    struct qn_pool *pool;
    struct qn_nbits weight; /* the one at hand */
    uint8_t *parts;         /* its codes, scales and zero points */
    uint64_t part_bytes;
    uint64_t done;
    double error, square;
    struct qn_convert_stats stats;
};

/* ---- what is asked for ---------------------------------------------------------------------------------------- */

static qn_status check_request(const struct job *job, const char *output, qn_dtype type)
{
    size_t size = strlen(output);
    if (size >= 5 && strcmp(output + size - 5, ".gguf") == 0)
        return QN_ERROR(
            QN_UNSUPPORTED,
            "%s: an ONNX model does not become GGUF, which holds no graph; give the output a name that ends "
            "with .onnx",
            output);
    if (!qn_nbits_bits(type))
        return QN_ERROR(QN_UNSUPPORTED, "the weights of ONNX's MatMulNBits cannot be %s; Q4_0, Q4_1 and Q8_0 work",
                        job->options.type);
    if (job->options.imatrix)
        return QN_ERROR(QN_UNSUPPORTED, "importance matrices speak of the tensors of language models; ONNX models are "
                                        "quantised without one");
    return NULL;
}

/* Neither file that is written may be one that is read. */
static qn_status check_data_path(const struct job *job)
{
    for (uint32_t i = 0; i < job->file->source_count; i++)
        if (qn_file_same(job->file->sources[i].path.data, job->data_path.data))
            return QN_ERROR(
                QN_INVALID_ARGUMENT,
                "%s: the output's data file would take the place of one of the input's; choose another name",
                job->data_path.data);
    return NULL;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static qn_status report(struct job *job, uint64_t bytes)
{
    job->done += bytes;
    uint64_t total = job->layout.model.size + job->layout.data.size;
    if (job->options.progress && !job->options.progress(job->options.progress_context, job->done, total))
        return QN_ERROR(QN_CANCELLED, "stopped before the end; nothing was written");
    return NULL;
}

static qn_status fail_element(const struct qn_onnx_weight *w, const struct qn_nbits *done)
{
    return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': element %" PRIu64 " is not a finite number", QN_STR_ARG(w->name),
                    done->bad);
}

static void add_error(struct job *job, const struct qn_onnx_weight *w)
{
    double relative = job->weight.square > 0 ? sqrt(job->weight.error / job->weight.square) : 0;
    job->error += job->weight.error;
    job->square += job->weight.square;
    if (relative > job->stats.worst_error) {
        job->stats.worst_error = relative;
        snprintf(job->stats.worst, sizeof job->stats.worst, "%.*s", QN_STR_ARG(w->name));
    }
}

static qn_status quantise(struct job *job, const struct qn_onnx_weight *w)
{
    const struct qn_allocator *allocator = job->options.allocator;
    struct qn_onnx_content content;
    struct qn_arena arena;
    struct qn_nbits *n = &job->weight;
    *n = w->shape;
    uint64_t codes = qn_nbits_code_bytes(n), scales = qn_nbits_scale_bytes(n), zeros = qn_nbits_zero_bytes(n);
    qn_free(allocator, job->parts, (size_t)job->part_bytes);
    job->part_bytes = codes + scales + zeros;
    job->parts = job->part_bytes > SIZE_MAX ? NULL : qn_alloc(allocator, (size_t)job->part_bytes);
    if (!job->parts) {
        job->part_bytes = 0;
        return QN_OOM();
    }
    n->codes = job->parts;
    n->scales = n->codes + codes;
    n->zeros = n->scales + scales;
    n->measure = job->options.measure;
    qn_arena_init(&arena, allocator);
    qn_status status = qn_onnx_resolve(job->file, w->tensor, &arena, &content);
    if (!status) {
        n->weight = content.data;
        status = qn_nbits_quantise(n, job->pool, allocator);
        if (content.in_file)
            qn_file_map_drop(&job->file->sources[content.file].map, content.offset, content.bytes);
    }
    qn_arena_deinit(&arena);
    if (!status && n->bad != UINT64_MAX)
        status = fail_element(w, n);
    if (!status)
        add_error(job, w);
    return status;
}

static qn_status write_bytes(struct job *job, struct qn_file_writer *writer, const uint8_t *data, uint64_t size)
{
    for (uint64_t at = 0; at < size;) {
        uint64_t count = size - at < SLAB_BYTES ? size - at : SLAB_BYTES;
        QN_TRY(qn_file_writer_write(writer, data + at, (size_t)count));
        at += count;
        QN_TRY(report(job, count));
    }
    return NULL;
}

static qn_status write_pieces(struct job *job, struct qn_file_writer *writer, const struct qn_onnx_pieces *pieces)
{
    for (uint32_t i = 0; i < pieces->list.count; i++) {
        const struct qn_onnx_piece *p = &pieces->list.items[i];
        const uint8_t *data = p->data;
        if (p->part == QN_ONNX_CODES)
            QN_TRY(quantise(job, &job->products.weights.items[p->weight]));
        if (p->part != QN_ONNX_BYTES)
            data = p->part == QN_ONNX_CODES    ? job->weight.codes
                   : p->part == QN_ONNX_SCALES ? job->weight.scales
                                               : job->weight.zeros;
        QN_TRY(write_bytes(job, writer, data, p->size));
    }
    return NULL;
}

/* Both files complete before either takes its name; the model, which speaks of the other, comes last. */
static qn_status write_files(struct job *job, const char *output)
{
    struct qn_file_writer *model = NULL, *data = NULL;
    qn_status status = NULL;
    if (job->layout.data.size) {
        status = qn_file_writer_open(job->data_path.data, &data);
        if (!status)
            status = write_pieces(job, data, &job->layout.data);
    }
    if (!status)
        status = qn_file_writer_open(output, &model);
    if (!status)
        status = write_pieces(job, model, &job->layout.model);
    if (!status)
        status = qn_file_writer_sync(model);
    if (!status && data) {
        struct qn_file_writer *done = data;
        data = NULL;
        status = qn_file_writer_commit(done);
    }
    if (!status)
        return qn_file_writer_commit(model);
    qn_file_writer_discard(data);
    qn_file_writer_discard(model);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static qn_status prepare(struct job *job, const char *output, qn_dtype type)
{
    QN_TRY(check_request(job, output, type));
    QN_TRY(qn_onnx_products_find(job->file, type, &job->options, &job->products));
    qn_strbuf_printf(&job->data_path, "%s.data", output);
    if (job->data_path.failed)
        return QN_OOM();
    const char *slash = strrchr(job->data_path.data, '/');
    const char *location = slash ? slash + 1 : job->data_path.data;
    QN_TRY(qn_onnx_layout_make(job->file, &job->products, location, job->options.allocator, &job->layout));
    if (job->layout.data.size)
        QN_TRY(check_data_path(job));
    return qn_pool_create(job->options.threads, job->options.allocator, &job->pool);
}

static void count(struct job *job)
{
    struct qn_convert_stats *s = &job->stats;
    s->bytes_in = job->products.bytes_in;
    s->bytes_out = job->products.bytes_out;
    s->tensors = job->products.tensors;
    memcpy(s->type_counts, job->products.type_counts, sizeof s->type_counts);
    s->error = job->square > 0 ? sqrt(job->error / job->square) : 0;
}

qn_status qn_convert_onnx(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                          struct qn_convert_stats *stats)
{
    struct job job = {.options = *options, .file = qn_model_onnx(model)};
    enum qn_scheme_id scheme;
    QN_TRY(qn_scheme_read(options->type, &scheme));
    if (scheme == QN_SCHEME_NONE)
        return QN_ERROR(QN_UNSUPPORTED, "ONNX models are not converted; quern quantize writes them in fewer bits");
    qn_strbuf_init(&job.data_path, options->allocator);
    qn_status status = prepare(&job, output, qn_scheme(scheme)->base);
    if (!status)
        status = write_files(&job, output);
    count(&job);
    qn_free(options->allocator, job.parts, (size_t)job.part_bytes);
    qn_pool_destroy(job.pool);
    qn_strbuf_deinit(&job.data_path);
    qn_onnx_layout_deinit(&job.layout);
    qn_onnx_products_deinit(&job.products);
    *stats = job.stats;
    return status;
}

/* A model to a folder of Hugging Face's kind: what format/hf/hf_back.h makes of it, written. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/checked.h"
#include "convert/convert_files.h"
#include "convert/convert_internal.h"
#include "convert/gguf_vocab.h"
#include "format/hf/hf_back.h"
#include "platform/file.h"
#include "quant/quant.h"

/* What is made at a time, in elements; how much is read before pages are let go. */
enum { SLAB_ELEMS = 1 << 20, SEEN_BYTES = 64 << 20 };

struct job {
    const struct qn_convert_options *options;
    const struct qn_allocator *allocator;
    struct qn_model *model;
    struct qn_hf_back *back;
    struct qn_arena arena;
    uint64_t done, total, seen;
    struct qn_convert_stats stats;
};

static uint64_t columns_of(const struct qn_hf_source *source)
{
    return source->rank ? source->dims[source->rank - 1] : 1;
}

static qn_status measure(const struct qn_hf_source *source, uint64_t *elements, uint64_t *bytes)
{
    *elements = 1;
    bool ok = true;
    for (uint32_t i = 0; i < source->rank; i++)
        ok = ok && qn_mul_u64(*elements, source->dims[i], elements);
    ok = ok && qn_mul_u64(*elements, qn_dtype_info(source->dtype)->block_bytes, bytes) && *bytes < INT64_MAX / 8;
    return ok ? NULL : QN_ERROR(QN_INVALID_FILE, "tensor '%s': its size does not fit 64 bits", source->name.data);
}

static qn_status report(const struct job *job)
{
    const struct qn_convert_options *o = job->options;
    if (o->progress && !o->progress(o->progress_context, job->done, job->total))
        return QN_ERROR(QN_CANCELLED, "stopped before the end");
    return NULL;
}

static const char *safetensors_name(qn_dtype dtype)
{
    return dtype == QN_DTYPE_F32 ? "F32" : dtype == QN_DTYPE_F16 ? "F16" : "BF16";
}

static void write_entry(struct qn_json_writer *w, const struct qn_hf_source *source, uint64_t at, uint64_t bytes)
{
    qn_json_key(w, source->name.data);
    qn_json_begin_object(w);
    qn_json_key(w, "dtype");
    qn_json_write_text(w, safetensors_name(source->dtype));
    qn_json_key(w, "shape");
    qn_json_begin_array(w);
    for (uint32_t k = 0; k < source->rank; k++)
        qn_json_write_uint(w, source->dims[k]);
    qn_json_end_array(w);
    qn_json_key(w, "data_offsets");
    qn_json_begin_array(w);
    qn_json_write_uint(w, at);
    qn_json_write_uint(w, at + bytes);
    qn_json_end_array(w);
    qn_json_end_object(w);
}

static qn_status write_header(struct job *job, struct qn_file_writer *file)
{
    struct qn_strbuf text;
    qn_status status = NULL;
    qn_strbuf_init(&text, job->allocator);
    struct qn_json_writer w = {.out = &text};
    qn_json_begin_object(&w);
    qn_json_key(&w, "__metadata__");
    qn_json_begin_object(&w);
    qn_json_key(&w, "format");
    qn_json_write_text(&w, "pt");
    qn_json_end_object(&w);
    for (uint32_t i = 0; i < job->back->view.sources.count && !status; i++) {
        uint64_t elements, bytes = 0;
        status = measure(&job->back->view.sources.items[i], &elements, &bytes);
        write_entry(&w, &job->back->view.sources.items[i], job->total, bytes);
        if (!status && !qn_add_u64(job->total, bytes, &job->total))
            status = QN_ERROR(QN_INVALID_FILE, "the tensors' sizes do not fit 64 bits");
    }
    qn_json_end_object(&w);
    while (text.size % 8 && !text.failed)
        qn_strbuf_add(&text, " ");
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)text.size >> 8 * i);
    if (!status)
        status = text.failed ? QN_OOM() : qn_file_writer_write(file, length, sizeof length);
    if (!status)
        status = qn_file_writer_write(file, text.data, text.size);
    qn_strbuf_deinit(&text);
    return status;
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static qn_status write_slab(struct job *job, uint32_t index, uint64_t first, uint64_t count, float *floats,
                            uint8_t *bytes, struct qn_file_writer *file)
{
    const struct qn_hf_source *source = &job->back->view.sources.items[index];
    qn_dtype type = source->dtype;
    uint64_t elements = count * columns_of(source), size = elements * qn_dtype_info(type)->block_bytes;
    QN_TRY(qn_hf_back_read(job->back, index, first, count, floats));
    if (type != QN_DTYPE_F32)
        qn_quant(type)->quantise(floats, bytes, (int64_t)elements, NULL);
    QN_TRY(qn_file_writer_write(file, type == QN_DTYPE_F32 ? (const void *)floats : bytes, (size_t)size));
    job->done += size;
    job->seen += size;
    if (job->seen >= SEEN_BYTES) {
        qn_convert_drop_pages(job->model);
        job->seen = 0;
    }
    return report(job);
}

static qn_status write_source(struct job *job, uint32_t index, struct qn_file_writer *file)
{
    const struct qn_hf_source *source = &job->back->view.sources.items[index];
    uint64_t elements, bytes, columns = columns_of(source), unit = qn_hf_back_unit(job->back, index);
    QN_TRY(measure(source, &elements, &bytes));
    uint64_t rows = columns ? elements / columns : 0, most = columns ? SLAB_ELEMS / columns / unit * unit : 0;
    most = most < unit ? unit : most;
    most = most < rows ? most : rows;
    if (elements == 0)
        return NULL;
    size_t room = (size_t)(most * columns * sizeof(float));
    float *floats = qn_alloc(job->allocator, room);
    uint8_t *out = qn_alloc(job->allocator, room);
    qn_status status = floats && out ? NULL : QN_OOM();
    for (uint64_t at = 0; at < rows && !status; at += most)
        status = write_slab(job, index, at, rows - at < most ? rows - at : most, floats, out, file);
    qn_free(job->allocator, floats, room);
    qn_free(job->allocator, out, room);
    return status;
}

static qn_status write_weights(struct job *job, const char *path)
{
    struct qn_file_writer *file;
    QN_TRY(qn_file_writer_open(path, &file));
    qn_status status = write_header(job, file);
    for (uint32_t i = 0; i < job->back->view.sources.count && !status; i++)
        status = write_source(job, i, file);
    if (!status)
        return qn_file_writer_commit(file);
    qn_file_writer_discard(file);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

/* config.json comes last: a folder without it is none. */
static qn_status run(struct job *job, const char *output)
{
    const char *type = job->options->type ? job->options->type : "auto";
    qn_dtype dtype = QN_DTYPE_NONE;
    bool found = false;
    struct qn_model_info info = {.struct_size = sizeof info};
    QN_TRY(qn_model_info(job->model, &info));
    if (strcasecmp(type, "auto") != 0) {
        dtype = qn_dtype_from_name(type, strlen(type));
        if (dtype != QN_DTYPE_F32 && dtype != QN_DTYPE_F16 && dtype != QN_DTYPE_BF16)
            return QN_ERROR(QN_INVALID_ARGUMENT, "type '%s' for a folder; expected auto, f32, f16 or bf16", type);
    }
    QN_TRY(qn_hf_back_open(job->model, dtype, job->allocator, &job->back));
    struct qn_str weights = qn_arena_printf(&job->arena, "%s/model.safetensors", output);
    if (!weights.data)
        return QN_OOM();
    QN_TRY(qn_folder_create(output));
    QN_TRY(write_weights(job, weights.data));
    QN_TRY(qn_vocab_back_write(job->model, output, job->allocator, &found));
    job->stats.without_vocabulary = !found;
    job->stats.tensors = job->back->view.sources.count;
    for (uint32_t i = 0; i < job->back->view.sources.count; i++)
        job->stats.type_counts[job->back->view.sources.items[i].dtype]++;
    job->stats.bytes_in = info.tensor_bytes;
    job->stats.bytes_out = job->total;
    return qn_convert_write_text(output, "config.json", qn_strbuf_view(&job->back->text), job->allocator);
}

qn_status qn_convert_to_folder(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                               struct qn_convert_stats *stats)
{
    struct job job = {.options = options, .allocator = options->allocator, .model = model};
    qn_arena_init(&job.arena, job.allocator);
    qn_status status = run(&job, output);
    qn_hf_back_close(job.back);
    qn_arena_deinit(&job.arena);
    *stats = job.stats;
    return status;
}

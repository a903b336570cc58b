/* Any language model to GGUF in any type, tensor by tensor, in slabs of rows. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/convert_files.h"
#include "convert/convert_internal.h"
#include "convert/gguf_vocab.h"
#include "convert/imatrix_file.h"
#include "convert/part_state.h"
#include "convert/recode.h"
#include "convert/tensor_types.h"
#include "format/gguf/gguf.h"
#include "format/model.h"
#include "format/model_graph.h"
#include "platform/file.h"
#include "pool/pool.h"
#include "quant/quant.h"

/* What is read and written at a time; how much is written between two notes of it, and read before pages are let go. */
enum { SLAB_ELEMS = 2 << 20, SYNC_BYTES = 256 << 20, SEEN_BYTES = 64 << 20 };

struct job {
    struct qn_convert_options options;
    const struct qn_allocator *allocator;
    enum qn_scheme_id scheme; /* NONE: as the source has them */
    struct qn_model *model;
    struct qn_model_info info;
    struct qn_model_tensor *tensors; /* of the source */
    struct qn_tensor_choice *choices;
    struct qn_imatrix *imatrix; /* NULL: none */
    struct qn_gguf_writer *writer;
    struct qn_pool *pool;
    struct qn_recoder *recoder;
    struct qn_part_state state;
    uint8_t *in, *out;
    size_t in_bytes, out_bytes;
    uint64_t done, total; /* output bytes */
    uint64_t seen;        /* bytes read since pages were let go */
    double error, square; /* sums over the tensors whose type changed */
    struct qn_convert_stats stats;
};

static uint64_t columns_of(const struct qn_model_tensor *t)
{
    return t->rank ? t->dims[t->rank - 1] : 1;
}

/* Bytes of the whole tensor in a type that its rows fit. */
static uint64_t bytes_as(const struct qn_model_tensor *t, qn_dtype dtype)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    return t->elements / info->block_elems * info->block_bytes;
}

/* ---- which type ----------------------------------------------------------------------------------------------- */

/* Tensors that llama.cpp reads as f32 only. */
static bool is_always_f32(const struct qn_model_tensor *t)
{
    static const char *const parts[] = {
        ".ffn_gate_inp.weight", ".ffn_gate_inp_shexp.weight", "position_embd.weight", "token_types.weight",
        ".ssm_conv1d.weight",   ".shortconv.conv.weight",     "_norm.weight",
    };
    struct qn_str name = qn_str_from(t->name);
    if (t->rank <= 1 || !qn_str_ends(name, QN_STR(".weight")))
        return true;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (qn_str_ends(name, qn_str_from(parts[i])))
            return true;
    return false;
}

static bool is_number(qn_dtype dtype)
{
    enum qn_dtype_class class_ = qn_dtype_info(dtype)->class_;
    return class_ == QN_DTYPE_CLASS_FLOAT || class_ == QN_DTYPE_CLASS_BLOCK;
}

/* llama.cpp refuses files with tensors that it does not know. */
static bool is_left_out(const struct qn_model_tensor *tensor)
{
    return strncmp(tensor->name, "mlm.", 4) == 0;
}

/* The type of a tensor in a file of floats, `wanted` for weights (NONE: as the source has them). */
static qn_status plain_type(const struct qn_model_tensor *t, qn_dtype wanted, qn_dtype *out)
{
    bool stored = qn_dtype_info(t->dtype)->gguf >= 0;
    *out = t->dtype;
    if (t->rank > QN_GGUF_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%s' has %u dimensions; GGUF has at most %d", t->name, t->rank,
                        QN_GGUF_MAX_RANK);
    if (!is_number(t->dtype))
        return stored ? NULL
                      : QN_ERROR(QN_UNSUPPORTED, "tensor '%s' is of type %s, which GGUF does not have", t->name,
                                 qn_dtype_name(t->dtype));
    if (is_always_f32(t))
        *out = QN_DTYPE_F32;
    else if (wanted)
        *out = wanted;
    else if (!stored || t->dtype == QN_DTYPE_F64)
        *out = QN_DTYPE_F32;
    return NULL;
}

static qn_status check_choice(const struct qn_model_tensor *t, qn_dtype to)
{
    uint64_t row;
    if (!qn_dtype_row_bytes(t->dtype, columns_of(t), &row) || !qn_dtype_row_bytes(to, columns_of(t), &row))
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s': rows of %" PRIu64 " elements", t->name, columns_of(t));
    if (to != t->dtype && (!qn_quant(t->dtype)->dequantise || !qn_quant(to)->quantise))
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%s': no way from type %s to %s", t->name, qn_dtype_name(t->dtype),
                        qn_dtype_name(to));
    return NULL;
}

/* First the types of a file of floats; a mix is chosen over those. Tensors that are left out have no part in it. */
static qn_status choose_types(struct job *job)
{
    uint32_t count = 0;
    qn_dtype base = job->scheme ? qn_scheme(job->scheme)->base : QN_DTYPE_NONE;
    for (uint32_t i = 0; i < job->info.tensor_count; i++) {
        struct qn_model_tensor t = {.struct_size = sizeof t};
        QN_TRY(qn_model_tensor(job->model, i, &t));
        if (is_left_out(&t)) {
            job->stats.left_out++;
            continue;
        }
        QN_TRY(plain_type(&t, qn_dtype_is_block(base) ? QN_DTYPE_NONE : base, &job->choices[count].dtype));
        job->tensors[count++] = t;
    }
    job->stats.tensors = count;
    if (base && qn_dtype_is_block(base)) {
        struct qn_mix_model mix;
        QN_TRY(qn_mix_model_read(job->model, &mix));
        for (uint32_t i = 0; i < count; i++) /* the mix keeps what it finds */
            job->tensors[i].dtype = job->choices[i].dtype;
        QN_TRY(
            qn_tensor_types(&mix, job->tensors, count, job->scheme, job->options.pure, job->allocator, job->choices));
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index;
        qn_model_find_tensor(job->model, job->tensors[i].name, &index);
        QN_TRY(qn_model_tensor(job->model, index, &job->tensors[i]));
    }
    QN_TRY(qn_tensor_types_keep(job->tensors, count, job->options.keeps, job->options.keep_count, job->choices));
    for (uint32_t i = 0; i < count; i++) {
        const struct qn_model_tensor *t = &job->tensors[i];
        qn_dtype to = job->choices[i].dtype;
        QN_TRY(check_choice(t, to));
        job->stats.bytes_in += bytes_as(t, t->dtype);
        job->total += bytes_as(t, to);
        job->stats.fallbacks += job->choices[i].fallback;
        job->stats.requantised += to != t->dtype && qn_dtype_is_block(t->dtype) && qn_dtype_is_block(to);
        job->stats.type_counts[to]++;
    }
    return NULL;
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

static bool gguf_type(const char *name, enum qn_gguf_type *out)
{
    for (int i = QN_GGUF_U8; i <= QN_GGUF_F64; i++)
        if (strcmp(qn_gguf_type_name((enum qn_gguf_type)i), name) == 0) {
            *out = (enum qn_gguf_type)i;
            return true;
        }
    return false;
}

/* An array's elements in the bytes of its type, or as views of text; the arena is the caller's. */
static qn_status pack_array(const struct job *job, uint32_t index, const struct qn_model_meta *meta,
                            struct qn_arena *arena, struct qn_gguf_value *value)
{
    uint32_t size = value->elem_type == QN_GGUF_STRING ? sizeof(struct qn_str) : qn_gguf_type_bytes(value->elem_type);
    uint8_t *items = qn_arena_array(arena, (size_t)meta->count, size ? size : 1, 8);
    if (!items)
        return QN_OOM();
    for (uint64_t i = 0; i < meta->count; i++) {
        struct qn_meta_item item;
        QN_TRY(qn_model_meta_item(job->model, index, i, &item));
        struct qn_str text = {item.as.text.data, item.as.text.size};
        float narrow = (float)item.as.f;
        const void *from = value->elem_type == QN_GGUF_STRING ? (const void *)&text
                           : value->elem_type == QN_GGUF_F32  ? (const void *)&narrow
                                                              : (const void *)&item.as;
        memcpy(items + i * size, from, size);
    }
    value->as.items = items;
    value->item_bytes = meta->count * size;
    return NULL;
}

static qn_status copy_meta(struct job *job, uint32_t index, struct qn_arena *arena)
{
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    struct qn_gguf_value value = {.count = 1};
    struct qn_meta_item item;
    enum qn_gguf_type type;
    QN_TRY(qn_model_meta(job->model, index, &meta));
    struct qn_str key = qn_str_from(meta.key);
    if (qn_str_starts(key, QN_STR("split.")) || qn_str_starts(key, QN_STR("quern.")) ||
        !gguf_type(meta.type_name, &type))
        return NULL;
    if (job->stats.left_out && (qn_str_ends(key, QN_STR(".head")) || qn_str_ends(key, QN_STR(".head_activation"))))
        return NULL; /* the head's tensors are left out */
    const struct qn_gguf *gguf = qn_model_gguf(job->model);
    if (gguf)
        return qn_gguf_writer_set(job->writer, key, qn_gguf_find(gguf, meta.key));
    value.type = meta.kind == QN_META_ARRAY ? QN_GGUF_ARRAY : type;
    value.elem_type = type;
    value.count = meta.count;
    if (meta.kind == QN_META_ARRAY) {
        QN_TRY(pack_array(job, index, &meta, arena, &value));
    } else {
        QN_TRY(qn_model_meta_item(job->model, index, 0, &item));
        if (item.kind == QN_META_TEXT)
            value.as.str = (struct qn_str){item.as.text.data, item.as.text.size};
        else if (item.kind == QN_META_BOOL)
            value.as.u = item.as.b;
        else if (item.kind == QN_META_FLOAT32 || item.kind == QN_META_FLOAT64)
            value.as.f = item.as.f;
        else
            value.as.u = item.as.u;
    }
    return qn_gguf_writer_set(job->writer, key, &value);
}

static qn_status set_u32(struct job *job, const char *key, uint32_t number)
{
    struct qn_gguf_value value = {.type = QN_GGUF_U32, .count = 1, .as.u = number};
    return qn_gguf_writer_set(job->writer, qn_str_from(key), &value);
}

static qn_status set_text(struct job *job, const char *key, struct qn_str text)
{
    struct qn_gguf_value value = {.type = QN_GGUF_STRING, .count = 1, .as.str = text};
    return qn_gguf_writer_set(job->writer, qn_str_from(key), &value);
}

static qn_status declare_imatrix(struct job *job)
{
    if (!job->imatrix)
        return NULL;
    QN_TRY(set_text(job, "quantize.imatrix.file", qn_str_from(job->options.imatrix)));
    if (job->imatrix->dataset.size)
        QN_TRY(set_text(job, "quantize.imatrix.dataset", job->imatrix->dataset));
    QN_TRY(set_u32(job, "quantize.imatrix.entries_count", job->imatrix->entry_count));
    return job->imatrix->chunk_count
               ? set_u32(job, "quantize.imatrix.chunks_count", (uint32_t)job->imatrix->chunk_count)
               : NULL;
}

/* The number for general.file_type; without a scheme that of most weights, as far as it has one. */
static uint32_t file_type(const struct job *job)
{
    static const enum qn_scheme_id plain[] = {QN_SCHEME_F16, QN_SCHEME_BF16, QN_SCHEME_Q8_0};
    uint64_t most = 0;
    enum qn_scheme_id best = job->scheme ? job->scheme : QN_SCHEME_F32;
    for (size_t i = 0; !job->scheme && i < sizeof plain / sizeof plain[0]; i++)
        if (job->stats.type_counts[qn_scheme(plain[i])->base] > most) {
            best = plain[i];
            most = job->stats.type_counts[qn_scheme(best)->base];
        }
    return qn_scheme(best)->file_type;
}

static qn_status declare(struct job *job)
{
    struct qn_arena arena;
    qn_arena_init(&arena, job->allocator);
    qn_status status = NULL;
    for (uint32_t i = 0; i < job->info.meta_count && !status; i++)
        status = copy_meta(job, i, &arena);
    qn_arena_deinit(&arena);
    if (status)
        return status;
    const char *folder = qn_model_folder(job->model);
    uint32_t embedding;
    if (folder && qn_model_find_tensor(job->model, "token_embd.weight", &embedding)) {
        struct qn_model_tensor t = {.struct_size = sizeof t};
        bool found = false;
        QN_TRY(qn_model_tensor(job->model, embedding, &t));
        if (t.rank != 2 || t.dims[0] > UINT32_MAX)
            return QN_ERROR(QN_INVALID_FILE, "tensor 'token_embd.weight' is no matrix");
        QN_TRY(qn_gguf_vocab_write(folder, (uint32_t)t.dims[0], job->allocator, job->writer, &found));
        job->stats.without_vocabulary = !found;
    }
    if (!qn_model_gguf(job->model) || job->scheme)
        QN_TRY(set_u32(job, "general.file_type", file_type(job)));
    QN_TRY(set_u32(job, "general.quantization_version", 2));
    QN_TRY(declare_imatrix(job));
    for (uint32_t i = 0; i < job->stats.tensors; i++) {
        const struct qn_model_tensor *t = &job->tensors[i];
        QN_TRY(qn_gguf_writer_add_tensor(job->writer, qn_str_from(t->name), job->choices[i].dtype, t->rank, t->dims));
    }
    return qn_gguf_writer_begin_data(job->writer);
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

/* The importance of the input channels, where the matrix has it. A list of another size belongs to another model;
 * only the embedding, which no matmul reads, is forgiven. */
static qn_status find_means(struct job *job, const struct qn_model_tensor *t, struct qn_recode *run)
{
    const struct qn_imatrix_entry *entry = job->imatrix && qn_dtype_is_block(run->to) && t->rank
                                               ? qn_imatrix_find(job->imatrix, qn_str_from(t->name))
                                               : NULL;
    if (!entry)
        return NULL;
    uint64_t columns = t->dims[t->rank - 1], rows = t->rank > 1 ? t->dims[t->rank - 2] : 1;
    uint64_t matrices = t->rank > 2 ? t->dims[t->rank - 3] : 1, have = entry->matrices * entry->columns;
    if (have != columns * matrices || (entry->matrices > 1 && entry->matrices != matrices)) {
        if (strcmp(t->name, "token_embd.weight") == 0)
            return NULL;
        return QN_ERROR(QN_INVALID_FILE,
                        "%s: entry '%s' has %" PRIu64 " values, the tensor asks for %" PRIu64 " x %" PRIu64
                        ": it was made for another model",
                        job->options.imatrix, t->name, have, matrices, columns);
    }
    run->means = entry->means;
    run->columns = columns;
    run->matrices = matrices;
    run->matrix_elems = columns * rows;
    job->stats.weighed++;
    return NULL;
}

static qn_status fail_element(struct job *job, const struct qn_model_tensor *t, const struct qn_recode *run)
{
    float value = qn_recode_bad_value(job->recoder, run);
    if (isfinite(value))
        return QN_ERROR(QN_UNSUPPORTED,
                        "tensor '%s': element %" PRIu64 " is %g, beyond the range of %s; use bf16 or f32", t->name,
                        run->bad, (double)value, qn_dtype_name(run->to));
    return QN_ERROR(QN_INVALID_FILE, "tensor '%s': element %" PRIu64 " is %g, expected a finite number", t->name,
                    run->bad, (double)value);
}

static qn_status report(struct job *job)
{
    if (job->options.progress && !job->options.progress(job->options.progress_context, job->done, job->total))
        return QN_ERROR(QN_CANCELLED, "stopped before the end; the same command goes on from here");
    return NULL;
}

/* Room for a slab of so many rows; buffers only grow. */
static qn_status make_room(struct job *job, uint8_t **buffer, size_t *have, uint64_t want)
{
    if (want <= *have)
        return NULL;
    qn_free(job->allocator, *buffer, *have);
    *have = 0;
    *buffer = want > SIZE_MAX ? NULL : qn_alloc(job->allocator, (size_t)want);
    if (!*buffer)
        return QN_OOM();
    *have = (size_t)want;
    return NULL;
}

/* Rows [at, at + count), in place where the file has them as they are. */
static qn_status read_slab(struct job *job, const struct qn_model_tensor *t, uint64_t at, uint64_t count,
                           const uint8_t **out)
{
    uint32_t index;
    uint64_t row = bytes_as(t, t->dtype) / (t->elements / columns_of(t));
    if (t->data) {
        *out = (const uint8_t *)t->data + at * row;
        return NULL;
    }
    QN_TRY(make_room(job, &job->in, &job->in_bytes, count * row));
    qn_model_find_tensor(job->model, t->name, &index);
    *out = job->in;
    return qn_model_read_rows(job->model, index, at, count, job->in);
}

static void add_error(struct job *job, const struct qn_model_tensor *t, double error, double square)
{
    double relative = square > 0 ? sqrt(error / square) : 0;
    job->error += error;
    job->square += square;
    if (relative > job->stats.worst_error) {
        job->stats.worst_error = relative;
        snprintf(job->stats.worst, sizeof job->stats.worst, "%s", t->name);
    }
}

static qn_status convert_tensor(struct job *job, const struct qn_model_tensor *t, qn_dtype to)
{
    struct qn_recode whole = {.from = t->dtype, .to = to, .measure = job->options.measure};
    uint64_t columns = columns_of(t), rows = columns ? t->elements / columns : 0;
    uint64_t most = columns && SLAB_ELEMS / columns ? SLAB_ELEMS / columns : 1;
    double error = 0, square = 0;
    most = most < rows ? most : rows;
    if (t->dtype != to) {
        QN_TRY(find_means(job, t, &whole));
        uint64_t out_bytes = most * columns / qn_dtype_info(to)->block_elems * qn_dtype_info(to)->block_bytes;
        QN_TRY(make_room(job, &job->out, &job->out_bytes, out_bytes));
    }
    for (uint64_t at = 0; at < rows; at += most) {
        struct qn_recode run = whole;
        uint64_t count = rows - at < most ? rows - at : most;
        run.first = at * columns;
        run.elems = count * columns;
        run.out = job->out;
        QN_TRY(read_slab(job, t, at, count, &run.in));
        if (t->dtype != to)
            QN_TRY(qn_recode(job->recoder, &run));
        if (t->dtype != to && run.bad != UINT64_MAX)
            return fail_element(job, t, &run);
        error += run.error;
        square += run.square;
        uint64_t bytes = run.elems / qn_dtype_info(to)->block_elems * qn_dtype_info(to)->block_bytes;
        QN_TRY(qn_gguf_writer_write(job->writer, t->dtype == to ? run.in : run.out, (size_t)bytes));
        job->done += bytes;
        job->seen += count * (bytes_as(t, t->dtype) / rows);
        if (job->seen >= SEEN_BYTES) {
            qn_convert_drop_pages(job->model);
            job->seen = 0;
        }
        QN_TRY(report(job));
    }
    add_error(job, t, error, square);
    return NULL;
}

static qn_status write_tensors(struct job *job)
{
    uint64_t synced = 0;
    qn_status status = NULL;
    for (uint32_t i = 0; i < job->stats.tensors && !status; i++) {
        const struct qn_model_tensor *t = &job->tensors[i];
        if (qn_gguf_writer_skip_tensor(job->writer)) {
            job->done += bytes_as(t, job->choices[i].dtype);
            synced = job->done;
            job->stats.resumed++;
            continue;
        }
        status = convert_tensor(job, t, job->choices[i].dtype);
        if (!status && job->done - synced >= SYNC_BYTES) {
            synced = job->done;
            status = qn_part_state_write(&job->state, job->writer);
        }
    }
    if (qn_status_code(status) == QN_CANCELLED)
        qn_status_ignore(qn_part_state_write(&job->state, job->writer));
    return status;
}

static qn_status write_gguf(struct job *job, const char *output)
{
    uint64_t kept;
    QN_TRY(qn_gguf_writer_create_part(output, qn_part_state_read(&job->state), job->allocator, &job->writer, &kept));
    QN_TRY(declare(job));
    QN_TRY(report(job));
    QN_TRY(write_tensors(job));
    struct qn_gguf_writer *writer = job->writer;
    job->writer = NULL;
    QN_TRY(qn_gguf_writer_commit(writer));
    qn_file_remove(job->state.path.data);
    return NULL;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static qn_status check_source(struct job *job)
{
    uint32_t index;
    QN_TRY(qn_model_info(job->model, &job->info));
    if (qn_model_gguf(job->model) || qn_model_find_meta(job->model, "general.architecture", &index))
        return NULL;
    return QN_ERROR(QN_UNSUPPORTED,
                    "a %s file has tensors, but nothing says which model they are; give the model's folder (with its "
                    "config.json) or a GGUF file",
                    job->info.format);
}

static qn_status prepare(struct job *job, const char *output)
{
    QN_TRY(check_source(job));
    job->tensors = qn_calloc(job->allocator, (size_t)job->info.tensor_count + 1, sizeof *job->tensors);
    job->choices = qn_calloc(job->allocator, (size_t)job->info.tensor_count + 1, sizeof *job->choices);
    if (!job->tensors || !job->choices)
        return QN_OOM();
    QN_TRY(choose_types(job));
    if (job->options.imatrix)
        QN_TRY(qn_imatrix_open(job->options.imatrix, job->allocator, &job->imatrix));
    QN_TRY(qn_part_state_init(&job->state, job->model, output, &job->options));
    QN_TRY(qn_pool_create(job->options.threads, job->allocator, &job->pool));
    return qn_recoder_create(job->pool, job->allocator, &job->recoder);
}

static void release(struct job *job, qn_status status)
{
    if (job->writer && qn_status_code(status) == QN_CANCELLED) {
        qn_gguf_writer_leave(job->writer);
    } else {
        if (job->writer)
            qn_file_remove(job->state.path.data);
        qn_gguf_writer_discard(job->writer);
    }
    qn_part_state_deinit(&job->state);
    qn_imatrix_close(job->imatrix);
    qn_free(job->allocator, job->in, job->in_bytes);
    qn_free(job->allocator, job->out, job->out_bytes);
    qn_free(job->allocator, job->tensors, ((size_t)job->info.tensor_count + 1) * sizeof *job->tensors);
    qn_free(job->allocator, job->choices, ((size_t)job->info.tensor_count + 1) * sizeof *job->choices);
    qn_recoder_destroy(job->recoder);
    qn_pool_destroy(job->pool);
}

qn_status qn_convert_to_gguf(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                             struct qn_convert_stats *stats)
{
    struct job job = {.options = *options, .allocator = options->allocator, .model = model};
    job.info.struct_size = sizeof job.info;
    QN_TRY(qn_scheme_read(options->type, &job.scheme));
    qn_status status = prepare(&job, output);
    if (!status)
        status = write_gguf(&job, output);
    release(&job, status);
    job.stats.bytes_out = job.total;
    job.stats.error = job.square > 0 ? sqrt(job.error / job.square) : 0;
    *stats = job.stats;
    return status;
}

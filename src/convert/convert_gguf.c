/* Any language model to GGUF, tensor by tensor, in slabs of rows. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "convert/convert_internal.h"
#include "convert/gguf_vocab.h"
#include "format/gguf/gguf.h"
#include "format/model.h"
#include "format/model_graph.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "pool/pool.h"
#include "quant/quant.h"

/* A slab is read, turned to floats, and from there to the output's type by the pool. */
enum { SLAB_ELEMS = 2 << 20, SYNC_BYTES = 256 << 20, SEEN_BYTES = 64 << 20 };

static const struct output_type {
    const char *name;
    qn_dtype dtype; /* NONE: as the source has it */
    uint32_t file_type;
} output_types[] = {
    {"auto", QN_DTYPE_NONE, 0},  {"f32", QN_DTYPE_F32, 0},   {"f16", QN_DTYPE_F16, 1},
    {"bf16", QN_DTYPE_BF16, 32}, {"q8_0", QN_DTYPE_Q8_0, 7},
};

struct job {
    struct qn_convert_options options;
    const struct qn_allocator *allocator;
    const struct output_type *type;
    struct qn_model *model;
    struct qn_model_info info;
    qn_dtype *dtypes; /* of the output, by tensor */
    struct qn_gguf_writer *writer;
    struct qn_pool *pool;
    uint8_t *in, *out;
    float *floats;
    size_t in_bytes, out_bytes, float_bytes;
    uint64_t done, total; /* output bytes */
    uint64_t seen;        /* bytes read since pages were let go */
    struct qn_convert_stats stats;
};

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

static qn_status choose_type(struct job *job, const struct qn_model_tensor *t, qn_dtype *out)
{
    bool stored = qn_dtype_info(t->dtype)->gguf >= 0;
    uint64_t bytes;
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
    else if (job->type->dtype)
        *out = job->type->dtype;
    else if (!stored || t->dtype == QN_DTYPE_F64)
        *out = QN_DTYPE_F32;
    if (!qn_dtype_row_bytes(*out, t->dims[t->rank - 1], &bytes)) {
        *out = QN_DTYPE_F16;
        job->stats.fallbacks++;
    }
    if (*out != t->dtype && (!qn_quant(t->dtype)->dequantise || !qn_quant(*out)->quantise))
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%s': no way from type %s to %s", t->name, qn_dtype_name(t->dtype),
                        qn_dtype_name(*out));
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
    if (qn_str_starts(key, QN_STR("split.")) || !gguf_type(meta.type_name, &type))
        return NULL;
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

/* llama.cpp refuses files with tensors that it does not know. */
static bool is_left_out(const struct qn_model_tensor *tensor)
{
    return strncmp(tensor->name, "mlm.", 4) == 0;
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
    bool mixed = job->type->dtype == QN_DTYPE_NONE;
    uint32_t file_type = job->type->file_type; /* auto: that of most weights */
    for (size_t i = 1; mixed && i < sizeof output_types / sizeof output_types[0]; i++)
        for (uint32_t k = 0; k < job->info.tensor_count; k++)
            if (job->dtypes[k] == output_types[i].dtype && job->dtypes[k] != QN_DTYPE_F32)
                file_type = output_types[i].file_type;
    if (!qn_model_gguf(job->model) || !mixed)
        QN_TRY(set_u32(job, "general.file_type", file_type));
    QN_TRY(set_u32(job, "general.quantization_version", 2));
    for (uint32_t i = 0; i < job->info.tensor_count; i++) {
        struct qn_model_tensor t = {.struct_size = sizeof t};
        QN_TRY(qn_model_tensor(job->model, i, &t));
        if (is_left_out(&t))
            continue;
        QN_TRY(qn_gguf_writer_add_tensor(job->writer, qn_str_from(t.name), job->dtypes[i], t.rank, t.dims));
    }
    return qn_gguf_writer_begin_data(job->writer);
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

struct slab {
    struct job *job;
    uint64_t columns, in_row, out_row; /* elements, bytes, bytes */
    qn_dtype from, to;
    uint64_t bad; /* row of a value that the type cannot hold, UINT64_MAX: none */
};

static void convert_rows(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    struct slab *s = context;
    (void)thread;
    float limit = s->to == QN_DTYPE_F16 ? 65520.0f : INFINITY; /* what would round to infinity */
    for (int64_t row = begin; row < end; row++) {
        float *x = s->job->floats + (uint64_t)row * s->columns;
        qn_quant(s->from)->dequantise(s->job->in + (uint64_t)row * s->in_row, x, (int64_t)s->columns);
        for (uint64_t i = 0; i < s->columns && (s->to != QN_DTYPE_F32); i++)
            if (!(fabsf(x[i]) < limit)) {
                __atomic_store_n(&s->bad, (uint64_t)row, __ATOMIC_RELAXED);
                break;
            }
        qn_quant(s->to)->quantise(x, s->job->out + (uint64_t)row * s->out_row, (int64_t)s->columns, NULL);
    }
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

/* Lets go of the pages that were read, wherever they lie; they come back should somebody else want them. */
static void drop_pages(struct job *job)
{
    for (uint32_t i = 0; i < job->info.file_count; i++) {
        struct qn_model_bytes bytes = qn_model_file_bytes(job->model, i);
        struct qn_file_map map = {.data = bytes.data, .size = bytes.size};
        qn_file_map_drop(&map, 0, bytes.size);
    }
    job->seen = 0;
}

static qn_status convert_tensor(struct job *job, uint32_t index)
{
    struct qn_model_tensor t = {.struct_size = sizeof t};
    QN_TRY(qn_model_tensor(job->model, index, &t));
    struct slab s = {.job = job,
                     .columns = t.rank ? t.dims[t.rank - 1] : 1,
                     .from = t.dtype,
                     .to = job->dtypes[index],
                     .bad = UINT64_MAX};
    uint64_t rows = s.columns ? t.elements / s.columns : 0;
    if (!qn_dtype_row_bytes(s.from, s.columns, &s.in_row) || !qn_dtype_row_bytes(s.to, s.columns, &s.out_row))
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s': rows of %" PRIu64 " elements", t.name, s.columns);
    uint64_t most = s.columns && SLAB_ELEMS / s.columns ? SLAB_ELEMS / s.columns : 1;
    most = most < rows ? most : rows;
    QN_TRY(make_room(job, &job->in, &job->in_bytes, most * s.in_row));
    if (s.from != s.to) {
        QN_TRY(make_room(job, &job->out, &job->out_bytes, most * s.out_row));
        uint8_t *floats = (uint8_t *)job->floats;
        job->floats = NULL;
        QN_TRY(make_room(job, &floats, &job->float_bytes, most * s.columns * sizeof(float)));
        job->floats = (float *)(void *)floats;
    }
    for (uint64_t at = 0; at < rows; at += most) {
        uint64_t count = rows - at < most ? rows - at : most;
        QN_TRY(qn_model_read_rows(job->model, index, at, count, job->in));
        if (s.from != s.to)
            qn_pool_for(job->pool, (int64_t)count, 1, convert_rows, &s);
        if (s.bad != UINT64_MAX)
            return QN_ERROR(QN_UNSUPPORTED,
                            "tensor '%s': a value in row %" PRIu64 " is not finite or beyond the range of %s; try bf16 "
                            "or f32",
                            t.name, at + s.bad, qn_dtype_name(s.to));
        QN_TRY(qn_gguf_writer_write(job->writer, s.from == s.to ? job->in : job->out, (size_t)(count * s.out_row)));
        job->done += count * s.out_row;
        job->seen += count * s.in_row;
        if (job->seen >= SEEN_BYTES)
            drop_pages(job);
        QN_TRY(report(job));
    }
    return NULL;
}

/* ---- going on where an interrupted run stopped ---------------------------------------------------------------- */

/* What the output depends on: sources' sizes and times, and the options. */
static qn_status fingerprint(const struct job *job, char out[40])
{
    struct qn_strbuf text;
    qn_strbuf_init(&text, job->allocator);
    qn_strbuf_printf(&text, "%s %u", job->type->name, job->info.tensor_count);
    const char *folder = qn_model_folder(job->model);
    static const char *const beside[] = {"tokenizer.json",          "tokenizer.model",        "tokenizer_config.json",
                                         "special_tokens_map.json", "generation_config.json", "chat_template.jinja"};
    uint64_t size;
    int64_t changed;
    qn_status status = NULL;
    for (uint32_t i = 0; i < job->info.file_count && !status; i++) {
        struct qn_model_file file = {.struct_size = sizeof file};
        status = qn_model_file(job->model, i, &file);
        if (status)
            break;
        qn_file_stamp(file.path, &size, &changed);
        qn_strbuf_printf(&text, "\n%s %" PRIu64 " %" PRId64, file.path, size, changed);
    }
    for (size_t i = 0; folder && i < sizeof beside / sizeof beside[0]; i++) {
        struct qn_strbuf path;
        qn_strbuf_init(&path, job->allocator);
        qn_strbuf_printf(&path, "%s%s", folder, beside[i]);
        if (path.data)
            qn_file_stamp(path.data, &size, &changed);
        qn_strbuf_printf(&text, "\n%" PRIu64 " %" PRId64, path.data ? size : 0, path.data ? changed : 0);
        qn_strbuf_deinit(&path);
    }
    if (!status && text.failed)
        status = QN_OOM();
    if (!status)
        snprintf(out, 40, "%016" PRIx64, qn_hash(text.data, text.size));
    qn_strbuf_deinit(&text);
    return status;
}

static uint64_t read_state(const char *path, const char *print)
{
    struct qn_file_map map;
    uint64_t bytes = 0;
    if (!qn_file_exists(path))
        return 0;
    qn_status status = qn_file_map(path, &map);
    if (!status) {
        char text[96] = "";
        size_t size = map.size < sizeof text - 1 ? (size_t)map.size : sizeof text - 1;
        if (size)
            memcpy(text, map.data, size);
        if (strncmp(text, print, strlen(print)) != 0 || sscanf(text + strlen(print), " %" SCNu64, &bytes) != 1)
            bytes = 0;
        qn_file_unmap(&map);
    }
    qn_status_ignore(status);
    return bytes;
}

static qn_status write_state(struct job *job, const char *path, const char *print)
{
    struct qn_file_writer *file;
    uint64_t bytes;
    char text[96];
    QN_TRY(qn_gguf_writer_sync(job->writer, &bytes));
    int size = snprintf(text, sizeof text, "%s %" PRIu64 "\n", print, bytes);
    QN_TRY(qn_file_writer_open(path, &file));
    qn_status status = qn_file_writer_write(file, text, (size_t)size);
    if (!status)
        return qn_file_writer_commit(file);
    qn_file_writer_discard(file);
    return status;
}

static qn_status write_tensors(struct job *job, const char *state, const char *print)
{
    uint64_t synced = 0;
    qn_status status = NULL;
    for (uint32_t i = 0; i < job->info.tensor_count && !status; i++) {
        struct qn_model_tensor t = {.struct_size = sizeof t};
        uint64_t row, before = job->done;
        QN_TRY(qn_model_tensor(job->model, i, &t));
        if (is_left_out(&t)) {
            job->stats.left_out++;
            continue;
        }
        job->stats.type_counts[job->dtypes[i]]++;
        if (qn_gguf_writer_skip_tensor(job->writer)) {
            uint64_t columns = t.rank ? t.dims[t.rank - 1] : 1;
            if (qn_dtype_row_bytes(job->dtypes[i], columns, &row) && columns)
                job->done += t.elements / columns * row;
            synced += job->done - before;
            job->stats.resumed++;
            continue;
        }
        status = convert_tensor(job, i);
        if (!status && job->done - synced >= SYNC_BYTES) {
            synced = job->done;
            status = write_state(job, state, print);
        }
    }
    if (qn_status_code(status) == QN_CANCELLED)
        qn_status_ignore(write_state(job, state, print));
    return status;
}

static qn_status write_gguf(struct job *job, const char *output, const char *state)
{
    char print[40];
    uint64_t kept;
    QN_TRY(fingerprint(job, print));
    QN_TRY(qn_gguf_writer_create_part(output, read_state(state, print), job->allocator, &job->writer, &kept));
    QN_TRY(declare(job));
    QN_TRY(report(job));
    QN_TRY(write_tensors(job, state, print));
    struct qn_gguf_writer *writer = job->writer;
    job->writer = NULL;
    QN_TRY(qn_gguf_writer_commit(writer));
    qn_file_remove(state);
    return NULL;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static qn_status prepare(struct job *job, const char *output)
{
    QN_TRY(qn_model_info(job->model, &job->info));
    for (uint32_t i = 0; i < job->info.file_count; i++) {
        struct qn_model_file file = {.struct_size = sizeof file};
        QN_TRY(qn_model_file(job->model, i, &file));
        if (qn_file_same(file.path, output))
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the output is the input; give it another name", output);
    }
    uint32_t index;
    if (!qn_model_find_meta(job->model, "general.architecture", &index))
        return QN_ERROR(QN_UNSUPPORTED,
                        "a %s file has no language model to convert; expected a folder with a "
                        "config.json, or a GGUF file",
                        job->info.format);
    job->dtypes = qn_calloc(job->allocator, (size_t)job->info.tensor_count + 1, sizeof *job->dtypes);
    if (!job->dtypes)
        return QN_OOM();
    for (uint32_t i = 0; i < job->info.tensor_count; i++) {
        struct qn_model_tensor t = {.struct_size = sizeof t};
        uint64_t row;
        QN_TRY(qn_model_tensor(job->model, i, &t));
        if (is_left_out(&t))
            continue;
        QN_TRY(choose_type(job, &t, &job->dtypes[i]));
        uint64_t columns = t.rank ? t.dims[t.rank - 1] : 1;
        if (columns && qn_dtype_row_bytes(job->dtypes[i], columns, &row))
            job->total += t.elements / columns * row;
    }
    return qn_pool_create(job->options.threads, job->allocator, &job->pool);
}

static void release(struct job *job, qn_status status, const char *state)
{
    if (job->writer && qn_status_code(status) == QN_CANCELLED) {
        qn_gguf_writer_leave(job->writer);
    } else {
        if (job->writer)
            qn_file_remove(state);
        qn_gguf_writer_discard(job->writer);
    }
    qn_free(job->allocator, job->in, job->in_bytes);
    qn_free(job->allocator, job->out, job->out_bytes);
    qn_free(job->allocator, job->floats, job->float_bytes);
    qn_free(job->allocator, job->dtypes, ((size_t)job->info.tensor_count + 1) * sizeof *job->dtypes);
    qn_pool_destroy(job->pool);
}

qn_status qn_convert_to_gguf(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                             struct qn_convert_stats *stats)
{
    struct job job = {.options = *options, .allocator = options->allocator, .model = model};
    job.info.struct_size = sizeof job.info;
    const char *name = options->type ? options->type : "auto";
    for (size_t i = 0; i < sizeof output_types / sizeof output_types[0]; i++)
        if (strcasecmp(name, output_types[i].name) == 0)
            job.type = &output_types[i];
    if (!job.type)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "unknown type '%s'; expected auto, f32, f16, bf16 or q8_0 (finer ones: "
                        "quern quantize)",
                        name);
    struct qn_strbuf state;
    qn_strbuf_init(&state, job.allocator);
    qn_strbuf_printf(&state, "%s.part.state", output);
    qn_status status = state.failed ? QN_OOM() : prepare(&job, output);
    if (!status)
        status = write_gguf(&job, output, state.data);
    release(&job, status, state.data);
    qn_strbuf_deinit(&state);
    job.stats.tensors = job.info.tensor_count - job.stats.left_out;
    job.stats.bytes_out = job.total;
    *stats = job.stats;
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcasecmp(text + size - end_size, end) == 0;
}

qn_status qn_convert(const char *input, const char *output, const struct qn_convert_options *options,
                     struct qn_convert_stats *stats)
{
    uint64_t start = qn_clock_ns();
    struct qn_convert_options all = {.struct_size = sizeof all};
    if (options && options->struct_size < sizeof options->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_convert_options: struct_size is not set");
    if (options)
        memcpy(&all, options, options->struct_size < sizeof all ? options->struct_size : sizeof all);
    if (!all.allocator)
        all.allocator = qn_allocator_default();
    struct qn_model_options open = {.struct_size = sizeof open, .allocator = all.allocator};
    struct qn_convert_stats counted = {0};
    struct qn_model *model;
    QN_TRY(qn_model_open(input, &open, &model));
    qn_status status = ends_with(output, ".gguf") ? qn_convert_to_gguf(model, output, &all, &counted)
                                                  : qn_convert_to_folder(model, output, &all, &counted);
    status = qn_status_note(status, "%s", input);
    qn_model_close(model);
    if (!status && stats) {
        counted.struct_size = stats->struct_size;
        counted.seconds = (double)(qn_clock_ns() - start) * 1e-9;
        memcpy(stats, &counted, counted.struct_size < sizeof counted ? counted.struct_size : sizeof counted);
    }
    return status;
}

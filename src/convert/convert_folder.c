/* GGUF back to a folder: the tables that read folders, followed the other way round. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/checked.h"
#include "convert/convert_internal.h"
#include "format/hf/hf.h"
#include "platform/file.h"
#include "quant/quant.h"

/* Architectures whose table says all that a folder needs. */
static const struct target {
    const struct qn_hf_arch *arch;
    const char *class_; /* of transformers */
    bool experts, window;
} targets[] = {
    {&qn_hf_arch_mixtral, "MixtralForCausalLM", true, false}, {&qn_hf_arch_mistral, "MistralForCausalLM", false, true},
    {&qn_hf_arch_llama, "LlamaForCausalLM", false, false},    {&qn_hf_arch_qwen2, "Qwen2ForCausalLM", false, false},
    {&qn_hf_arch_qwen3, "Qwen3ForCausalLM", false, false},    {&qn_hf_arch_gpt2, "GPT2LMHeadModel", false, false},
};

/* A tensor of the folder. */
struct item {
    struct qn_str name;
    const struct qn_hf_name *row;
    uint32_t index; /* of the GGUF tensor */
    uint32_t rank;
    uint64_t dims[QN_MODEL_MAX_RANK];
    uint64_t expert; /* which matrix of a stack */
    qn_dtype from, to;
    uint64_t rows, columns, bytes;
};

struct job {
    const struct qn_convert_options *options;
    const struct qn_allocator *allocator;
    struct qn_model *model;
    struct qn_arena arena;
    const struct target *target;
    struct qn_str arch;
    qn_dtype type; /* of weights; NONE: as they are */
    uint64_t layers, heads, kv_heads;
    QN_ARRAY(struct item) items;
    uint64_t done, total;
    struct qn_convert_stats stats;
};

/* ---- metadata ------------------------------------------------------------------------------------------------- */

static bool find_meta(const struct job *job, const char *name, struct qn_meta_item *out)
{
    char key[192];
    uint32_t index;
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    snprintf(key, sizeof key, "%.*s.%s", QN_STR_ARG(job->arch), name);
    if (!qn_model_find_meta(job->model, key, &index))
        return false;
    qn_status status = qn_model_meta(job->model, index, &meta);
    bool plain = !status && meta.kind != QN_META_ARRAY;
    qn_status_ignore(status);
    if (plain) {
        status = qn_model_meta_item(job->model, index, 0, out);
        plain = !status;
        qn_status_ignore(status);
    }
    return plain;
}

static uint64_t whole(const struct job *job, const char *name, uint64_t fallback)
{
    struct qn_meta_item item;
    return find_meta(job, name, &item) && (item.kind == QN_META_UINT || (item.kind == QN_META_INT && item.as.i >= 0))
               ? item.as.u
               : fallback;
}

static double number(const struct job *job, const char *name, double fallback)
{
    struct qn_meta_item item;
    if (!find_meta(job, name, &item))
        return fallback;
    if (item.kind == QN_META_FLOAT32 || item.kind == QN_META_FLOAT64)
        return item.as.f;
    return (double)whole(job, name, 0);
}

/* ---- config.json ---------------------------------------------------------------------------------------------- */

static void write_item(struct qn_json_writer *w, const char *key, const struct qn_meta_item *item)
{
    qn_json_key(w, key);
    if (item->kind == QN_META_BOOL)
        qn_json_write_bool(w, item->as.b);
    else if (item->kind == QN_META_FLOAT32 || item->kind == QN_META_FLOAT64)
        qn_json_write_double(w, item->as.f);
    else
        qn_json_write_uint(w, item->as.u);
}

/* Llama 3's divisors back to the parameters that make them: the two frequencies between which they pass from one to the
 * whole factor follow from any divisor between. False when no parameters make these. */
static bool llama3_parameters(const float *factors, uint32_t count, double base, double *factor, double *high,
                              double *context)
{
    double most = 1, sx = 0, sy = 0, sxx = 0, sxy = 0;
    uint32_t between = 0, last_one = 0, first_all = count;
    for (uint32_t i = 0; i < count; i++)
        most = fmax(most, (double)factors[i]);
    for (uint32_t i = 0; i < count; i++) {
        double turns = pow(base, -(double)i / count) / (2 * M_PI), f = (double)factors[i];
        if (f <= 1.0001) {
            last_one = i;
        } else if (f >= most * 0.9999) {
            first_all = i < first_all ? i : first_all;
        } else { /* low + smooth * (high - low) = context * turns, with low = 1 */
            double smooth = (1 / f - 1 / most) / (1 - 1 / most);
            between++;
            sx += smooth;
            sy += turns;
            sxx += smooth * smooth;
            sxy += smooth * turns;
        }
    }
    *factor = most;
    *high = 4;
    if (most <= 1)
        return false;
    double spread = between * sxx - sx * sx;
    if (between >= 2 && spread > 1e-12) { /* turns = a + b * smooth; a = 1 / context, b = (high - 1) / context */
        double b = (between * sxy - sx * sy) / spread, a = (sy - b * sx) / between;
        *context = round(1 / a);
        *high = 1 + b / a;
    } else if (between) {
        *context = round((1 + sx / between * 3) / (sy / between));
    } else { /* any that pass between the two */
        double above = pow(base, -(double)last_one / count) / (2 * M_PI),
               below = first_all < count ? pow(base, -(double)first_all / count) / (2 * M_PI) : above / 64;
        *context = round(sqrt(4 / above * (1 / below)));
    }
    return isfinite(*context) && *context >= 1 && *high > 1;
}

static qn_status write_rope(struct job *job, struct qn_json_writer *w)
{
    double base = number(job, "rope.freq_base", 10000);
    uint32_t index;
    struct qn_meta_item kind;
    qn_json_key(w, "rope_theta");
    qn_json_write_double(w, base);
    bool scaled = find_meta(job, "rope.scaling.type", &kind) && kind.kind == QN_META_TEXT;
    struct qn_str text = scaled ? (struct qn_str){kind.as.text.data, kind.as.text.size} : (struct qn_str){0};
    struct qn_model_tensor t = {.struct_size = sizeof t};
    if (qn_model_find_tensor(job->model, "rope_freqs.weight", &index)) {
        double factor, high, context;
        QN_TRY(qn_model_tensor(job->model, index, &t));
        float *factors = QN_ARENA_ARRAY(&job->arena, float, (size_t)t.elements);
        if (!factors)
            return QN_OOM();
        if (t.dtype != QN_DTYPE_F32 || t.rank != 1)
            return QN_ERROR(QN_UNSUPPORTED, "tensor 'rope_freqs.weight': expected f32");
        QN_TRY(qn_model_read_rows(job->model, index, 0, 1, factors));
        if (!llama3_parameters(factors, (uint32_t)t.elements, base, &factor, &high, &context))
            return QN_ERROR(QN_UNSUPPORTED, "tensor 'rope_freqs.weight' holds no scaling that a config.json can say");
        qn_json_key(w, "rope_scaling");
        qn_json_begin_object(w);
        qn_json_key(w, "rope_type");
        qn_json_write_text(w, "llama3");
        qn_json_key(w, "factor");
        qn_json_write_double(w, factor);
        qn_json_key(w, "low_freq_factor");
        qn_json_write_double(w, 1);
        qn_json_key(w, "high_freq_factor");
        qn_json_write_double(w, high);
        qn_json_key(w, "original_max_position_embeddings");
        qn_json_write_uint(w, (uint64_t)context);
        qn_json_end_object(w);
    } else if (scaled && (qn_str_is(text, "linear") || qn_str_is(text, "yarn"))) {
        qn_json_key(w, "rope_scaling");
        qn_json_begin_object(w);
        qn_json_key(w, "rope_type");
        qn_json_write_str(w, text);
        qn_json_key(w, "factor");
        qn_json_write_double(w, number(job, "rope.scaling.factor", 1));
        uint64_t context = whole(job, "rope.scaling.original_context_length", 0);
        if (context && qn_str_is(text, "yarn")) {
            qn_json_key(w, "original_max_position_embeddings");
            qn_json_write_uint(w, context);
        }
        qn_json_end_object(w);
    }
    return NULL;
}

static void put_uint(struct qn_json_writer *w, const char *key, uint64_t value)
{
    qn_json_key(w, key);
    qn_json_write_uint(w, value);
}

static bool has(const struct job *job, const char *name)
{
    uint32_t index;
    return qn_model_find_tensor(job->model, name, &index);
}

static qn_status write_values(struct job *job, struct qn_json_writer *w)
{
    const struct qn_hf_arch *arch = job->target->arch;
    bool gpt2 = arch == &qn_hf_arch_gpt2;
    struct qn_model_tensor t = {.struct_size = sizeof t};
    uint32_t index;
    qn_json_begin_object(w);
    qn_json_key(w, "architectures");
    qn_json_begin_array(w);
    qn_json_write_text(w, job->target->class_);
    qn_json_end_array(w);
    qn_json_key(w, "model_type");
    qn_json_write_text(w, arch->model_type);
    put_uint(w, arch->layers, job->layers);
    for (const struct qn_hf_key *k = arch->keys; k->from; k++) {
        struct qn_meta_item item;
        if (strcmp(k->to, "vocab_size") != 0 && find_meta(job, k->to, &item))
            write_item(w, k->from, &item);
    }
    if (!qn_model_find_tensor(job->model, "token_embd.weight", &index))
        return QN_ERROR(QN_INVALID_FILE, "tensor 'token_embd.weight' is missing");
    QN_TRY(qn_model_tensor(job->model, index, &t));
    put_uint(w, "vocab_size", t.dims[0]);
    qn_json_key(w, "tie_word_embeddings");
    qn_json_write_bool(w, !has(job, "output.weight"));
    if (gpt2) {
        put_uint(w, "n_inner", whole(job, "feed_forward_length", 0));
    } else {
        uint64_t dim = whole(job, "embedding_length", 0);
        put_uint(w, "num_attention_heads", job->heads);
        put_uint(w, "num_key_value_heads", job->kv_heads);
        put_uint(w, "head_dim", whole(job, "attention.key_length", job->heads ? dim / job->heads : 0));
        QN_TRY(write_rope(job, w));
        if (arch == &qn_hf_arch_llama || arch == &qn_hf_arch_qwen3) {
            qn_json_key(w, "attention_bias");
            qn_json_write_bool(w, has(job, "blk.0.attn_q.bias"));
        }
        if (arch == &qn_hf_arch_llama) {
            qn_json_key(w, "mlp_bias");
            qn_json_write_bool(w, has(job, "blk.0.ffn_up.bias"));
        }
        if (arch == &qn_hf_arch_mistral || arch == &qn_hf_arch_mixtral) {
            uint64_t window = whole(job, "attention.sliding_window", 0);
            qn_json_key(w, "sliding_window");
            if (window)
                qn_json_write_uint(w, window);
            else
                qn_json_write_null(w);
        }
    }
    qn_json_key(w, "torch_dtype");
    qn_json_write_text(w, t.dtype == QN_DTYPE_F32 && job->type != QN_DTYPE_F16 && job->type != QN_DTYPE_BF16 ? "float32"
                          : (job->type ? job->type : t.dtype) == QN_DTYPE_BF16 ? "bfloat16"
                          : (job->type ? job->type : t.dtype) == QN_DTYPE_F32  ? "float32"
                                                                               : "float16");
    qn_json_end_object(w);
    return NULL;
}

static qn_status write_config(struct job *job, const char *path)
{
    struct qn_strbuf text;
    struct qn_file_writer *file;
    qn_strbuf_init(&text, job->allocator);
    struct qn_json_writer w = {.out = &text, .indent = 2};
    qn_status status = write_values(job, &w);
    qn_strbuf_add(&text, "\n");
    if (!status && text.failed)
        status = QN_OOM();
    if (!status)
        status = qn_file_writer_open(path, &file);
    if (!status) {
        status = qn_file_writer_write(file, text.data, text.size);
        if (!status)
            status = qn_file_writer_commit(file);
        else
            qn_file_writer_discard(file);
    }
    qn_strbuf_deinit(&text);
    return status;
}

/* ---- which tensors -------------------------------------------------------------------------------------------- */

/* The pattern with its numbers filled in. */
static struct qn_str fill(struct job *job, const char *pattern, uint64_t layer, uint64_t expert)
{
    struct qn_strbuf out;
    uint64_t numbers[2] = {layer, expert};
    int next = 0;
    qn_strbuf_init(&out, job->allocator);
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '{' && p[1] == '}' && next < 2) {
            qn_strbuf_printf(&out, "%" PRIu64, numbers[next++]);
            p++;
        } else {
            qn_strbuf_append(&out, p, 1);
        }
    }
    struct qn_str copy = out.failed ? (struct qn_str){0} : qn_arena_str(&job->arena, qn_strbuf_view(&out));
    qn_strbuf_deinit(&out);
    return copy;
}

static uint32_t count_numbers(const char *pattern)
{
    uint32_t count = 0;
    for (const char *p = strstr(pattern, "{}"); p; p = strstr(p + 2, "{}"))
        count++;
    return count;
}

static qn_status add_item(struct job *job, const struct qn_hf_name *row, const struct qn_model_tensor *t,
                          uint32_t index, uint64_t layer, uint64_t expert)
{
    struct item item = {.row = row, .index = index, .expert = expert, .from = t->dtype};
    bool stacked = count_numbers(row->from) == 2;
    item.name = fill(job, row->from, layer, expert);
    if (!item.name.data)
        return QN_OOM();
    item.rank = t->rank - stacked;
    memcpy(item.dims, t->dims + stacked, item.rank * sizeof *item.dims);
    item.columns = t->rank >= 2 ? t->dims[t->rank - 1] : 1;
    item.rows = 1;
    for (uint32_t i = 0; i < item.rank; i++)
        item.rows *= item.dims[i]; /* elements of a tensor of the file, or fewer */
    uint64_t elements = item.rows;
    item.rows = item.columns ? elements / item.columns : 0;
    if (row->transpose && item.rank == 2) {
        uint64_t d = item.dims[0];
        item.dims[0] = item.dims[1];
        item.dims[1] = d;
    }
    bool plain = item.from == QN_DTYPE_F32 || item.from == QN_DTYPE_F16 || item.from == QN_DTYPE_BF16;
    item.to = job->type && t->rank >= 2 ? job->type : plain ? item.from : QN_DTYPE_F16;
    if (!qn_quant(item.from)->dequantise)
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%s' is of type %s, which cannot be turned into floats", t->name,
                        qn_dtype_name(item.from));
    if (!qn_mul_u64(elements, qn_dtype_info(item.to)->block_bytes, &item.bytes) ||
        !qn_add_u64(job->total, item.bytes, &job->total))
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s': its size does not fit 64 bits", t->name);
    job->stats.type_counts[item.to]++;
    return qn_array_push(&job->items, job->allocator, item) ? NULL : QN_OOM();
}

/* The first row of the table that makes the tensor of this name. */
static qn_status add_tensor(struct job *job, uint32_t index)
{
    struct qn_model_tensor t = {.struct_size = sizeof t};
    QN_TRY(qn_model_tensor(job->model, index, &t));
    for (const struct qn_hf_name *row = job->target->arch->names; row->from; row++) {
        if (!row->to || row->slot || row->split || row->value || row->squeeze)
            continue;
        bool by_layer = strstr(row->to, "{}") != NULL;
        for (uint64_t layer = 0; layer < (by_layer ? job->layers : 1); layer++) {
            struct qn_str name = fill(job, row->to, layer, 0);
            if (!name.data)
                return QN_OOM();
            if (!qn_str_is(name, t.name))
                continue;
            bool stacked = count_numbers(row->from) == 2;
            if (stacked && t.rank != 3)
                return QN_ERROR(QN_INVALID_FILE, "tensor '%s': expected a stack of experts", t.name);
            for (uint64_t e = 0; e < (stacked ? t.dims[0] : 1); e++)
                QN_TRY(add_item(job, row, &t, index, layer, e));
            return NULL;
        }
    }
    if (strcmp(t.name, "rope_freqs.weight") == 0)
        return NULL; /* config.json says it */
    return QN_ERROR(QN_UNSUPPORTED, "tensor '%s' has no name in a folder of '%s'", t.name,
                    job->target->arch->model_type);
}

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

/* Row of the GGUF matrix that is row r of the folder's: neighbouring pairs go back to halves of a head. */
static uint64_t source_row(const struct job *job, const struct item *item, uint64_t r)
{
    uint64_t heads = item->row->interleave == QN_HF_QUERY_HEADS ? job->heads
                     : item->row->interleave == QN_HF_KEY_HEADS ? job->kv_heads
                                                                : 0;
    if (!heads || item->rows % heads || item->rows / heads % 2)
        return r;
    uint64_t size = item->rows / heads, head = r / size, j = r % size;
    return head * size + j % (size / 2) * 2 + j / (size / 2);
}

/* A row in the output's type. */
static qn_status read_row(struct job *job, const struct item *item, uint64_t row, uint8_t *raw, float *floats,
                          uint8_t *out)
{
    QN_TRY(qn_model_read_rows(job->model, item->index, item->expert * item->rows + row, 1,
                              item->from == item->to ? out : raw));
    if (item->from == item->to)
        return NULL;
    qn_quant(item->from)->dequantise(raw, floats, (int64_t)item->columns);
    qn_quant(item->to)->quantise(floats, out, (int64_t)item->columns, NULL);
    return NULL;
}

/* The whole vector or matrix: one matrix of a model at a time fits memory. */
static qn_status write_item_bytes(struct job *job, const struct item *item, struct qn_file_writer *file)
{
    bool vector = item->rank <= 1 && item->columns == 1;
    struct item whole_row = *item;
    if (vector) { /* one row to the reader */
        whole_row.columns = item->rows;
        whole_row.rows = 1;
    }
    uint64_t raw_bytes, size = qn_dtype_info(item->to)->block_bytes;
    if (!qn_dtype_row_bytes(item->from, whole_row.columns, &raw_bytes))
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s': rows of %" PRIu64, item->name.data, whole_row.columns);
    bool in_order = !item->row->transpose && !item->row->interleave;
    uint64_t held = in_order || (!vector && !item->row->transpose) ? whole_row.columns * size : item->bytes;
    size_t sizes[] = {(size_t)raw_bytes + 8, (size_t)whole_row.columns * sizeof(float) + 8, (size_t)held + 8,
                      (size_t)item->bytes + 8};
    bool second = vector || item->row->transpose;
    uint8_t *raw = qn_alloc(job->allocator, sizes[0]), *floats = qn_alloc(job->allocator, sizes[1]),
            *rows = qn_alloc(job->allocator, sizes[2]), *turned = second ? qn_alloc(job->allocator, sizes[3]) : NULL;
    qn_status status = raw && floats && rows && (turned || !second) ? NULL : QN_OOM();
    for (uint64_t r = 0; r < whole_row.rows && !status; r++) {
        uint64_t from = vector || item->row->transpose ? r : source_row(job, item, r);
        uint8_t *to = item->row->transpose && !vector ? rows + r * whole_row.columns * size : rows;
        status = read_row(job, &whole_row, from, raw, (float *)(void *)floats, to);
        if (!status && !second)
            status = qn_file_writer_write(file, rows, (size_t)(whole_row.columns * size));
    }
    if (!status && second) {
        for (uint64_t r = 0; r < item->rows; r++)
            for (uint64_t c = 0; c < item->columns; c++) {
                uint64_t to = vector ? r : c * item->rows + r,
                         from = vector ? source_row(job, item, r) : r * item->columns + c;
                memcpy(turned + to * size, rows + from * size, size);
            }
        status = qn_file_writer_write(file, turned, (size_t)item->bytes);
    }
    qn_free(job->allocator, raw, sizes[0]);
    qn_free(job->allocator, floats, sizes[1]);
    qn_free(job->allocator, rows, sizes[2]);
    qn_free(job->allocator, turned, sizes[3]);
    job->done += item->bytes;
    return status;
}

static qn_status report(const struct job *job)
{
    const struct qn_convert_options *o = job->options;
    if (o->progress && !o->progress(o->progress_context, job->done, job->total))
        return QN_ERROR(QN_CANCELLED, "stopped before the end");
    return NULL;
}

static qn_status write_header(struct job *job, struct qn_file_writer *file)
{
    struct qn_strbuf text;
    uint64_t at = 0;
    qn_strbuf_init(&text, job->allocator);
    struct qn_json_writer w = {.out = &text};
    qn_json_begin_object(&w);
    qn_json_key(&w, "__metadata__");
    qn_json_begin_object(&w);
    qn_json_key(&w, "format");
    qn_json_write_text(&w, "pt");
    qn_json_end_object(&w);
    for (uint32_t i = 0; i < job->items.count; i++) {
        const struct item *item = &job->items.items[i];
        qn_json_key(&w, item->name.data);
        qn_json_begin_object(&w);
        qn_json_key(&w, "dtype");
        qn_json_write_text(&w, item->to == QN_DTYPE_F32 ? "F32" : item->to == QN_DTYPE_F16 ? "F16" : "BF16");
        qn_json_key(&w, "shape");
        qn_json_begin_array(&w);
        for (uint32_t k = 0; k < item->rank; k++)
            qn_json_write_uint(&w, item->dims[k]);
        qn_json_end_array(&w);
        qn_json_key(&w, "data_offsets");
        qn_json_begin_array(&w);
        qn_json_write_uint(&w, at);
        qn_json_write_uint(&w, at += item->bytes);
        qn_json_end_array(&w);
        qn_json_end_object(&w);
    }
    qn_json_end_object(&w);
    while (text.size % 8 && !text.failed)
        qn_strbuf_add(&text, " ");
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)text.size >> 8 * i);
    qn_status status = text.failed ? QN_OOM() : qn_file_writer_write(file, length, sizeof length);
    if (!status)
        status = qn_file_writer_write(file, text.data, text.size);
    qn_strbuf_deinit(&text);
    return status;
}

static qn_status write_weights(struct job *job, const char *path)
{
    struct qn_file_writer *file;
    QN_TRY(qn_file_writer_open(path, &file));
    qn_status status = write_header(job, file);
    for (uint32_t i = 0; i < job->items.count && !status; i++) {
        status = write_item_bytes(job, &job->items.items[i], file);
        if (!status)
            status = report(job);
    }
    if (!status)
        return qn_file_writer_commit(file);
    qn_file_writer_discard(file);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static qn_status choose_target(struct job *job)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    QN_TRY(qn_model_info(job->model, &info));
    job->arch = (struct qn_str){info.architecture.data, info.architecture.size};
    bool experts = whole(job, "expert_count", 0), window = whole(job, "attention.sliding_window", 0);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0] && !job->target; i++)
        if (qn_str_is(job->arch, targets[i].arch->gguf) && (!targets[i].experts || experts) &&
            (!targets[i].window || window))
            job->target = &targets[i];
    if (!job->target)
        return QN_ERROR(QN_UNSUPPORTED,
                        "architecture '%.*s' cannot be written as a folder; expected llama, qwen2, qwen3 "
                        "or gpt2 (an output that ends with .gguf makes a GGUF file)",
                        QN_STR_ARG(job->arch));
    job->layers = whole(job, "block_count", 0);
    job->heads = whole(job, "attention.head_count", 0);
    job->kv_heads = whole(job, "attention.head_count_kv", job->heads);
    return job->layers && job->heads ? NULL : QN_ERROR(QN_INVALID_FILE, "the counts of layers and heads are missing");
}

static qn_status run(struct job *job, const char *output)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    const char *type = job->options->type ? job->options->type : "auto";
    if (strcasecmp(type, "auto") != 0) {
        job->type = qn_dtype_from_name(type, strlen(type));
        if (job->type != QN_DTYPE_F32 && job->type != QN_DTYPE_F16 && job->type != QN_DTYPE_BF16)
            return QN_ERROR(QN_INVALID_ARGUMENT, "type '%s' for a folder; expected auto, f32, f16 or bf16", type);
    }
    QN_TRY(choose_target(job));
    QN_TRY(qn_model_info(job->model, &info));
    for (uint32_t i = 0; i < info.tensor_count; i++)
        QN_TRY(add_tensor(job, i));
    job->stats.tensors = job->items.count;
    job->stats.bytes_out = job->total;
    struct qn_str config = qn_arena_printf(&job->arena, "%s/config.json", output),
                  weights = qn_arena_printf(&job->arena, "%s/model.safetensors", output);
    if (!config.data || !weights.data)
        return QN_OOM();
    QN_TRY(qn_folder_create(output));
    QN_TRY(write_weights(job, weights.data));
    return write_config(job, config.data);
}

qn_status qn_convert_to_folder(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                               struct qn_convert_stats *stats)
{
    struct job job = {.options = options, .allocator = options->allocator, .model = model};
    qn_arena_init(&job.arena, job.allocator);
    qn_status status = run(&job, output);
    qn_array_free(&job.items, job.allocator);
    qn_arena_deinit(&job.arena);
    *stats = job.stats;
    return status;
}

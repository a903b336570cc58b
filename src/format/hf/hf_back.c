/* The metadata of a model as config.json. */
#include "format/hf/hf_back.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* ---- metadata ------------------------------------------------------------------------------------------------- */

static bool find_meta(const struct qn_hf_back *back, const char *key, struct qn_meta_item *out)
{
    uint32_t index;
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    if (!qn_model_find_meta(back->model, key, &index))
        return false;
    qn_status status = qn_model_meta(back->model, index, &meta);
    bool plain = !status && meta.kind != QN_META_ARRAY;
    if (plain) {
        status = qn_model_meta_item(back->model, index, 0, out);
        plain = !status;
    }
    qn_status_free(status);
    return plain;
}

bool qn_hf_back_meta(const struct qn_hf_back *back, const char *name, struct qn_meta_item *out)
{
    char key[192];
    snprintf(key, sizeof key, "%s.%s", back->view.arch->gguf, name);
    return find_meta(back, key, out);
}

uint64_t qn_hf_back_u64(const struct qn_hf_back *back, const char *name, uint64_t fallback)
{
    struct qn_meta_item item;
    return qn_hf_back_meta(back, name, &item) &&
                   (item.kind == QN_META_UINT || (item.kind == QN_META_INT && item.as.i >= 0))
               ? item.as.u
               : fallback;
}

double qn_hf_back_f64(const struct qn_hf_back *back, const char *name, double fallback)
{
    struct qn_meta_item item;
    if (!qn_hf_back_meta(back, name, &item))
        return fallback;
    if (item.kind == QN_META_FLOAT32 || item.kind == QN_META_FLOAT64)
        return item.as.f;
    return (double)qn_hf_back_u64(back, name, 0);
}

bool qn_hf_back_bool(const struct qn_hf_back *back, const char *name, bool fallback)
{
    struct qn_meta_item item;
    return qn_hf_back_meta(back, name, &item) && item.kind == QN_META_BOOL ? item.as.b : fallback;
}

static struct qn_str text_of(const struct qn_meta_item *item)
{
    return item->kind == QN_META_TEXT
               ? (struct qn_str){item->as.text.data ? item->as.text.data : "", item->as.text.size}
               : (struct qn_str){0};
}

struct qn_str qn_hf_back_str(const struct qn_hf_back *back, const char *name)
{
    struct qn_meta_item item;
    return qn_hf_back_meta(back, name, &item) ? text_of(&item) : (struct qn_str){0};
}

struct qn_str qn_hf_back_general(const struct qn_hf_back *back, const char *key)
{
    struct qn_meta_item item;
    return find_meta(back, key, &item) ? text_of(&item) : (struct qn_str){0};
}

bool qn_hf_back_has(const struct qn_hf_back *back, const char *tensor)
{
    uint32_t index;
    return qn_model_find_tensor(back->model, tensor, &index);
}

uint64_t qn_hf_back_dim(const struct qn_hf_back *back, const char *tensor, uint32_t dim)
{
    struct qn_model_tensor t = {.struct_size = sizeof t};
    uint32_t index;
    if (!qn_model_find_tensor(back->model, tensor, &index))
        return 0;
    qn_status status = qn_model_tensor(back->model, index, &t);
    bool ok = !status && dim < t.rank;
    qn_status_free(status);
    return ok ? t.dims[dim] : 0;
}

/* ---- members of config.json ----------------------------------------------------------------------------------- */

void qn_hf_back_put_u64(struct qn_hf_back *back, const char *key, uint64_t value)
{
    qn_json_key(&back->json, key);
    qn_json_write_uint(&back->json, value);
}

void qn_hf_back_put_f64(struct qn_hf_back *back, const char *key, double value)
{
    char text[32];
    double shown = value;
    for (int digits = 6; (double)(float)value == value && digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        shown = strtod(text, NULL);
        if ((double)(float)shown == value)
            break;
    }
    qn_json_key(&back->json, key);
    qn_json_write_double(&back->json, shown);
    if (shown == floor(shown) && fabs(shown) < 1e15) /* transformers asks for a float where it says so */
        qn_strbuf_add(&back->text, ".0");
}

void qn_hf_back_put_bool(struct qn_hf_back *back, const char *key, bool value)
{
    qn_json_key(&back->json, key);
    qn_json_write_bool(&back->json, value);
}

void qn_hf_back_put_str(struct qn_hf_back *back, const char *key, struct qn_str value)
{
    qn_json_key(&back->json, key);
    qn_json_write_str(&back->json, value);
}

void qn_hf_back_put_null(struct qn_hf_back *back, const char *key)
{
    qn_json_key(&back->json, key);
    qn_json_write_null(&back->json);
}

/* ---- what most decoders have ---------------------------------------------------------------------------------- */

void qn_hf_back_heads(struct qn_hf_back *back)
{
    uint64_t heads = qn_hf_back_u64(back, "attention.head_count", 0), dim = qn_hf_back_u64(back, "embedding_length", 0);
    if (heads == 0 && !back->status)
        back->status = QN_ERROR(QN_INVALID_FILE,
                                "key '%s.attention.head_count' is missing, or differs from layer to "
                                "layer",
                                back->view.arch->gguf);
    qn_hf_back_put_u64(back, "num_attention_heads", heads);
    qn_hf_back_put_u64(back, "num_key_value_heads", qn_hf_back_u64(back, "attention.head_count_kv", heads));
    qn_hf_back_put_u64(back, "head_dim", qn_hf_back_u64(back, "attention.key_length", heads ? dim / heads : 0));
}

struct llama3 {
    double factor, low, high, context;
};

/* Two divisors or more between one and the whole factor: context * turns = low + smooth * (high - low) is a line, and
 * with low = 1 (or near it, where the context would be no whole number) it says all. */
static bool fit_llama3(const double *turns, const double *smooth, uint32_t count, struct llama3 *out)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (uint32_t i = 0; i < count; i++) {
        sx += smooth[i];
        sy += turns[i];
        sxx += smooth[i] * smooth[i];
        sxy += smooth[i] * turns[i];
    }
    double spread = count * sxx - sx * sx;
    if (count < 2 || spread <= 1e-12)
        return false;
    double b = (count * sxy - sx * sy) / spread, a = (sy - b * sx) / count; /* low / context, (high - low) / context */
    out->context = round(1 / a);
    out->low = fabs(out->context * a - 1) < 1e-4 ? 1 : out->context * a;
    out->high = out->low * (1 + b / a);
    return true;
}

/* Llama 3's divisors back to the parameters that make them. False when no parameters make these. */
static bool llama3_parameters(const float *factors, uint32_t count, double base, struct llama3 *out)
{
    enum { MAX = 256 };
    double turns[MAX], smooth[MAX], above = 0, below = 0;
    uint32_t between = 0;
    float most = 1;
    for (uint32_t i = 0; i < count; i++)
        most = factors[i] > most ? factors[i] : most;
    out->factor = (double)most;
    for (uint32_t i = 0; i < count && count <= MAX; i++) { /* `turns` fall: a revolution takes ever more positions */
        double turn = pow(base, -(double)i / count) / (2 * M_PI), f = (double)factors[i];
        if (f <= 1.000001) {
            above = turn;
        } else if (f >= out->factor * 0.999999) {
            below = turn > below ? turn : below;
        } else {
            turns[between] = turn;
            smooth[between++] = (1 / f - 1 / out->factor) / (1 - 1 / out->factor);
        }
    }
    if (out->factor <= 1 || count > MAX || base <= 1)
        return false;
    if (!fit_llama3(turns, smooth, between, out)) { /* any two frequencies on the right sides of those that are known */
        double middle = between ? turns[0] : above && below ? sqrt(above * below) : above + below;
        double share = between ? smooth[0] : 0.5, reach = fmin(middle / 2, above ? above - middle : middle);
        double width = fmin(middle - below, reach) / fmax(share, 1 - share) / 2;
        out->context = 8192;
        out->low = out->context * (middle - share * width);
        out->high = out->context * (middle + (1 - share) * width);
    }
    return isfinite(out->context) && out->context >= 1 && out->low > 0 && out->high > out->low;
}

/* A vector of floats of the model; NULL where there is none, or with an error. */
static const float *read_vector(struct qn_hf_back *back, const char *name, uint32_t *count)
{
    struct qn_model_tensor t = {.struct_size = sizeof t};
    uint32_t index;
    *count = 0;
    if (back->status || !qn_model_find_tensor(back->model, name, &index))
        return NULL;
    back->status = qn_model_tensor(back->model, index, &t);
    if (!back->status && (t.dtype != QN_DTYPE_F32 || t.rank != 1 || t.elements > UINT32_MAX))
        back->status = QN_ERROR(QN_UNSUPPORTED, "tensor '%s': expected a vector of f32", name);
    float *values = back->status ? NULL : QN_ARENA_ARRAY(&back->view.arena, float, (size_t)t.elements);
    if (!back->status)
        back->status = values ? qn_model_read_rows(back->model, index, 0, 1, values) : QN_OOM();
    *count = (uint32_t)t.elements;
    return back->status ? NULL : values;
}

static void write_llama3(struct qn_hf_back *back, const float *factors, uint32_t count, double base)
{
    struct llama3 found;
    bool same = llama3_parameters(factors, count, base, &found);
    for (uint32_t i = 0; i < count && same; i++) {
        double turns = found.context * pow(base, -(double)i / count) / (2 * M_PI);
        double made = qn_hf_llama3_factor(turns, found.factor, found.low, found.high);
        same = fabs(made - (double)factors[i]) <= 1e-4 * made;
    }
    if (!same) {
        back->status =
            QN_ERROR(QN_UNSUPPORTED, "tensor 'rope_freqs.weight' holds no scaling that a config.json can say");
        return;
    }
    qn_hf_back_put_str(back, "rope_type", QN_STR("llama3"));
    qn_hf_back_put_f64(back, "factor", found.factor);
    qn_hf_back_put_f64(back, "low_freq_factor", found.low);
    qn_hf_back_put_f64(back, "high_freq_factor", found.high);
    qn_hf_back_put_u64(back, "original_max_position_embeddings", (uint64_t)found.context);
}

static void write_factors(struct qn_hf_back *back, const char *key, const char *tensor)
{
    uint32_t count;
    const float *values = read_vector(back, tensor, &count);
    qn_json_key(&back->json, key);
    qn_json_begin_array(&back->json);
    for (uint32_t i = 0; i < count && values; i++)
        qn_json_write_double(&back->json, (double)values[i]);
    qn_json_end_array(&back->json);
}

static void write_longrope(struct qn_hf_back *back)
{
    double context = qn_hf_back_f64(back, "context_length", 0),
           original = qn_hf_back_f64(back, "rope.scaling.original_context_length", context);
    double factor = original > 0 ? context / original : 1,
           usual = factor > 1 && original > 1 ? sqrt(1 + log(factor) / log(original)) : 1,
           given = qn_hf_back_f64(back, "rope.scaling.attn_factor", 1);
    qn_hf_back_put_str(back, "rope_type", QN_STR("longrope"));
    qn_hf_back_put_str(back, "type", QN_STR("longrope"));
    write_factors(back, "long_factor", "rope_factors_long.weight");
    write_factors(back, "short_factor", "rope_factors_short.weight");
    if (fabs(given - usual) > 1e-6)
        qn_hf_back_put_f64(back, "attention_factor", given);
}

static void write_yarn(struct qn_hf_back *back)
{
    static const char *const betas[][2] = {{"beta_fast", "rope.scaling.yarn_beta_fast"},
                                           {"beta_slow", "rope.scaling.yarn_beta_slow"}};
    struct qn_meta_item item;
    double factor = qn_hf_back_f64(back, "rope.scaling.factor", 1),
           multiplier = qn_hf_back_f64(back, "rope.scaling.yarn_log_multiplier", 0);
    uint64_t context = qn_hf_back_u64(back, "rope.scaling.original_context_length", 0);
    if (context)
        qn_hf_back_put_u64(back, "original_max_position_embeddings", context);
    for (int i = 0; i < 2; i++)
        if (qn_hf_back_meta(back, betas[i][1], &item))
            qn_hf_back_put_f64(back, betas[i][0], qn_hf_back_f64(back, betas[i][1], 0));
    double own = factor > 1 ? 0.1 * log(factor) + 1 : 1, given = qn_hf_back_f64(back, "rope.scaling.attn_factor", 1);
    if (multiplier != 0) { /* DeepSeek: the scores' magnitude, and that of the angles over it */
        qn_hf_back_put_f64(back, "mscale_all_dim", round(multiplier * 1e5) / 1e4);
        qn_hf_back_put_f64(back, "mscale", round(multiplier * 1e5) / 1e4);
        if (given != 1)
            qn_hf_back_put_f64(back, "attention_factor", given);
    } else if (qn_hf_back_meta(back, "rope.scaling.attn_factor", &item)) {
        qn_hf_back_put_f64(back, "attention_factor", given * own);
    }
    if (strcmp(back->view.arch->gguf, "gpt-oss") == 0 || qn_hf_back_meta(back, "rope.scaling.yarn_truncate", &item))
        qn_hf_back_put_bool(back, "truncate", qn_hf_back_bool(back, "rope.scaling.yarn_truncate", false));
}

void qn_hf_back_rope(struct qn_hf_back *back)
{
    double base = qn_hf_back_f64(back, "rope.freq_base", 10000);
    uint32_t count;
    const float *factors = read_vector(back, "rope_freqs.weight", &count);
    struct qn_str kind = qn_hf_back_str(back, "rope.scaling.type");
    bool longrope = qn_hf_back_has(back, "rope_factors_long.weight"), yarn = kind.data && qn_str_is(kind, "yarn");
    bool linear = kind.data && qn_str_is(kind, "linear") && qn_hf_back_f64(back, "rope.scaling.factor", 1) != 1;
    qn_hf_back_put_f64(back, "rope_theta", base);
    qn_json_key(&back->json, "rope_scaling");
    if (back->status || !(factors || longrope || yarn || linear)) {
        qn_json_write_null(&back->json);
        return;
    }
    qn_json_begin_object(&back->json);
    if (factors) {
        write_llama3(back, factors, count, base);
    } else if (longrope) {
        write_longrope(back);
    } else {
        qn_hf_back_put_str(back, "rope_type", kind);
        qn_hf_back_put_f64(back, "factor", qn_hf_back_f64(back, "rope.scaling.factor", 1));
        if (yarn)
            write_yarn(back);
    }
    qn_json_end_object(&back->json);
}

void qn_hf_back_attention(struct qn_hf_back *back)
{
    qn_hf_back_heads(back);
    qn_hf_back_rope(back);
}

void qn_hf_back_activation(struct qn_hf_back *back, const char *key, const char *usual)
{
    struct qn_str name = qn_hf_back_str(back, "hidden_activation");
    qn_hf_back_put_str(back, key, name.data ? name : qn_str_from(usual));
}

/* Whether a layer has the window: the file's own list, or its period, or the architecture's. */
static bool has_window(const struct qn_hf_back *back, uint64_t layer, uint64_t period)
{
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    struct qn_meta_item item = {0};
    char key[96];
    uint32_t index;
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", back->view.arch->gguf);
    if (qn_model_find_meta(back->model, key, &index)) {
        qn_status status = qn_model_meta(back->model, index, &meta);
        bool list = !status && meta.kind == QN_META_ARRAY && layer < meta.count;
        if (!status && (list || meta.kind != QN_META_ARRAY))
            status = qn_model_meta_item(back->model, index, list ? layer : 0, &item);
        bool read = !status;
        qn_status_free(status);
        if (read && list)
            return item.kind == QN_META_BOOL ? item.as.b : item.as.u != 0;
        if (read && item.kind != QN_META_BOOL)
            period = item.as.u;
    }
    return period == 0 || layer % period + 1 < period;
}

void qn_hf_back_window(struct qn_hf_back *back, uint64_t period, bool always)
{
    uint64_t window = qn_hf_back_u64(back, "attention.sliding_window", 0),
             layers = qn_hf_back_u64(back, "block_count", 0);
    bool usual = true;
    for (uint64_t i = 0; i < layers && usual && window; i++)
        usual = has_window(back, i, period) == (period == 0 || i % period + 1 < period);
    if (window)
        qn_hf_back_put_u64(back, "sliding_window", window);
    else
        qn_hf_back_put_null(back, "sliding_window");
    if ((usual || !window) && !always)
        return;
    qn_json_key(&back->json, "layer_types");
    qn_json_begin_array(&back->json);
    for (uint64_t i = 0; i < layers; i++)
        qn_json_write_text(&back->json, window && has_window(back, i, period) ? "sliding_attention" : "full_attention");
    qn_json_end_array(&back->json);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static qn_status choose_arch(struct qn_hf_back *back)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    QN_TRY(qn_model_info(back->model, &info));
    struct qn_str name = {info.architecture.data, info.architecture.size};
    const struct qn_hf_arch *best = NULL, *arch;
    for (size_t i = 0; (arch = qn_hf_arch_at(i)); i++) {
        back->view.arch = arch;
        if (qn_str_is(name, arch->gguf) && (!arch->claims || arch->claims(back)))
            best = arch;
    }
    back->view.arch = best;
    return best ? NULL
                : QN_ERROR(QN_UNSUPPORTED,
                           "architecture '%.*s' has no table for folders (an output that ends with .gguf makes a GGUF "
                           "file)",
                           QN_STR_ARG(name));
}

/* "BertForSequenceClassification" */
static struct qn_str class_name(struct qn_hf_back *back)
{
    static const struct {
        const char *head, *ending;
    } heads[] = {{"sequence_classification", "ForSequenceClassification"},
                 {"token_classification", "ForTokenClassification"},
                 {"question_answering", "ForQuestionAnswering"},
                 {"fill_mask", "ForMaskedLM"}};
    const char *ending = "";
    struct qn_meta_item causal;
    if (qn_hf_back_meta(back, "attention.causal", &causal)) {
        struct qn_str head = qn_hf_back_str(back, "head");
        ending = qn_hf_back_has(back, "cls.output.weight") ? "ForSequenceClassification" : "Model";
        for (size_t i = 0; i < sizeof heads / sizeof heads[0] && head.data; i++)
            if (qn_str_is(head, heads[i].head) && (i != 3 || qn_hf_back_has(back, "mlm.dense.weight")))
                ending = heads[i].ending;
    }
    return qn_arena_printf(&back->view.arena, "%s%s", back->view.arch->class_, ending);
}

static void write_table(struct qn_hf_back *back)
{
    const struct qn_hf_arch *arch = back->view.arch;
    for (const struct qn_hf_key *k = arch->keys; k && k->from; k++) {
        bool again = strcmp(k->to, "vocab_size") == 0; /* written already */
        for (const struct qn_hf_key *before = arch->keys; before != k; before++)
            again = again || strcmp(before->to, k->to) == 0 || strcmp(before->from, k->from) == 0;
        struct qn_meta_item item;
        if (again || !qn_hf_back_meta(back, k->to, &item))
            continue;
        if (k->kind == QN_HF_U32)
            qn_hf_back_put_u64(back, k->from, qn_hf_back_u64(back, k->to, 0));
        else if (k->kind == QN_HF_F32)
            qn_hf_back_put_f64(back, k->from, qn_hf_back_f64(back, k->to, 0));
        else
            qn_hf_back_put_bool(back, k->from, qn_hf_back_bool(back, k->to, false));
    }
}

static void write_tokens(struct qn_hf_back *back)
{
    static const char *const keys[][2] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"},
                                          {"eos_token_id", "tokenizer.ggml.eos_token_id"},
                                          {"pad_token_id", "tokenizer.ggml.padding_token_id"}};
    struct qn_meta_item item;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (find_meta(back, keys[i][1], &item) && item.kind == QN_META_UINT)
            qn_hf_back_put_u64(back, keys[i][0], item.as.u);
}

static struct qn_str type_name(const struct qn_hf_back *back)
{
    struct qn_model_tensor t = {.struct_size = sizeof t};
    uint32_t index;
    qn_dtype type = back->type;
    if (!type && qn_model_find_tensor(back->model, "token_embd.weight", &index)) {
        qn_status_ignore(qn_model_tensor(back->model, index, &t));
        type = t.dtype;
    }
    return type == QN_DTYPE_F32 ? QN_STR("float32") : type == QN_DTYPE_BF16 ? QN_STR("bfloat16") : QN_STR("float16");
}

static qn_status write_config(struct qn_hf_back *back)
{
    const struct qn_hf_arch *arch = back->view.arch;
    uint64_t rows = qn_hf_back_dim(back, "token_embd.weight", 0), layers = qn_hf_back_u64(back, "block_count", 0);
    struct qn_str name = class_name(back);
    if (!name.data)
        return QN_OOM();
    if (!rows || !layers)
        return QN_ERROR(QN_INVALID_FILE, "tensor 'token_embd.weight' or the number of layers is missing");
    qn_json_begin_object(&back->json);
    qn_json_key(&back->json, "architectures");
    qn_json_begin_array(&back->json);
    qn_json_write_str(&back->json, name);
    qn_json_end_array(&back->json);
    qn_hf_back_put_str(back, "model_type", qn_str_from(arch->model_type));
    qn_hf_back_put_u64(back, arch->layers, layers);
    if (arch->layers_before)
        qn_hf_back_put_u64(back, arch->layers_before, layers);
    write_table(back);
    qn_hf_back_put_u64(back, "vocab_size", rows);
    qn_hf_back_put_bool(back, "tie_word_embeddings", !qn_hf_back_has(back, "output.weight"));
    qn_hf_back_put_str(back, "torch_dtype", type_name(back));
    write_tokens(back);
    if (arch->back)
        arch->back(back);
    qn_json_end_object(&back->json);
    qn_strbuf_add(&back->text, "\n");
    qn_status status = back->status;
    back->status = NULL;
    return status ? status : back->text.failed ? QN_OOM() : NULL;
}

static bool same_item(const struct qn_meta_item *a, const struct qn_meta_item *b)
{
    bool floats = a->kind == QN_META_FLOAT32 || a->kind == QN_META_FLOAT64;
    if (a->kind == QN_META_TEXT || b->kind == QN_META_TEXT)
        return a->kind == b->kind && qn_str_eq(text_of(a), text_of(b));
    if (floats && (b->kind == QN_META_FLOAT32 || b->kind == QN_META_FLOAT64))
        return fabs(a->as.f - b->as.f) <= 1e-5 * fabs(b->as.f);
    return floats || a->kind == QN_META_BOOL ? a->as.b == b->as.b : a->as.u == b->as.u;
}

/* What the folder will be read as must be what the model is, wherever both say it. */
static qn_status compare_metas(const struct qn_hf_back *back)
{
    for (uint32_t i = 0; i < back->view.metas.count; i++) {
        const struct qn_hf_meta *meta = &back->view.metas.items[i];
        struct qn_meta_item item;
        bool general = qn_str_starts(meta->key, QN_STR("general.")) || qn_str_ends(meta->key, QN_STR(".vocab_size"));
        if (general || meta->kind == QN_META_ARRAY || !find_meta(back, meta->key.data, &item))
            continue;
        if (!same_item(&item, &meta->value))
            return QN_ERROR(QN_UNSUPPORTED, "key '%s': config.json of '%s' has no word for the model's value",
                            meta->key.data, back->view.arch->model_type);
    }
    static const char *const telling[] = {
        "attention.scale",   "attn_logit_softcapping", "final_logit_softcapping", "attention.sliding_window",
        "hidden_activation", "rope.scaling.type",      "expert_weights_scale",    "expert_gating_func"};
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
        struct qn_meta_item item;
        struct qn_str kind = qn_hf_back_str(back, telling[i]);
        struct qn_str key = qn_str_from(telling[i]);
        char full[96];
        snprintf(full, sizeof full, "%s.%s", back->view.arch->gguf, key.data);
        bool said = qn_hf_back_meta(back, telling[i], &item) && (kind.data || item.as.u != 0);
        if (said && !(kind.data && (qn_str_is(kind, "none") || qn_str_is(kind, "longrope"))) &&
            !qn_map_get(&back->view.meta_map, qn_str_from(full)))
            return QN_ERROR(QN_UNSUPPORTED, "key '%s': config.json of '%s' has no word for it", full,
                            back->view.arch->model_type);
    }
    return NULL;
}

static qn_status open_all(struct qn_hf_back *back)
{
    struct qn_hf *view = &back->view;
    const struct qn_json_options options = {.name = "config.json"};
    if (!qn_map_init(&view->meta_map, &view->arena, 64) || !qn_map_init(&view->tensor_map, &view->arena, 64) ||
        !qn_map_init(&back->names, &view->arena, 64))
        return QN_OOM();
    QN_TRY(choose_arch(back));
    QN_TRY(write_config(back));
    QN_TRY(qn_json_read(qn_strbuf_view(&back->text), &options, &view->arena, &view->config));
    view->text = view->config;
    QN_TRY(qn_hf_back_make_links(back));
    QN_TRY(qn_hf_make_metas(view));
    return compare_metas(back);
}

qn_status qn_hf_back_open(struct qn_model *model, qn_dtype type, const struct qn_allocator *allocator,
                          struct qn_hf_back **out)
{
    *out = NULL;
    struct qn_hf_back *back = qn_calloc(allocator, 1, sizeof *back);
    if (!back)
        return QN_OOM();
    back->allocator = back->view.allocator = allocator;
    back->model = model;
    back->type = type;
    qn_arena_init(&back->view.arena, allocator);
    qn_strbuf_init(&back->text, allocator);
    back->json = (struct qn_json_writer){.out = &back->text, .indent = 2};
    qn_status status = qn_set_init(&back->view.set, allocator);
    if (!status)
        status = open_all(back);
    if (status)
        qn_hf_back_close(back);
    else
        *out = back;
    return status;
}

void qn_hf_back_close(struct qn_hf_back *back)
{
    if (!back)
        return;
    qn_status_free(back->status);
    qn_strbuf_deinit(&back->text);
    qn_array_free(&back->links, back->allocator);
    qn_array_free(&back->first_link, back->allocator);
    qn_hf_deinit(&back->view);
    qn_free(back->allocator, back, sizeof *back);
}

/* Reads what a sentence-transformers folder says about embeddings: modules.json lists the modules in the order in which
 * they run; each has a folder with its config.json, dense layers their weights too. */
#include "llm/sentence.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "format/model.h"
#include "ir/ir.h"
#include "platform/file.h"
#include "quant/quant.h"
#include "quern/model.h"

enum { MODULES_MAX = 16, PATH_SIZE = 4096, PROMPTS_MAX = 1 << 16 };

struct reader {
    const char *folder;
    struct qn_arena *arena;
    uint32_t dim; /* of what the modules so far give */
    bool pooled;
    struct qn_sentence *out;
};

/* ---- files ---------------------------------------------------------------------------------------------------- */

static qn_status join(const char *folder, struct qn_str part, const char *name, char out[PATH_SIZE])
{
    int size = snprintf(out, PATH_SIZE, "%s%s%.*s%s%s", folder, *folder ? "/" : "", QN_STR_ARG(part),
                        part.size ? "/" : "", name);
    return size > 0 && size < PATH_SIZE ? NULL : QN_ERROR(QN_INVALID_FILE, "%s: a path that is too long", folder);
}

/* The JSON of a file in the folder; *root NULL where there is no such file. Paths in modules.json must stay beneath. */
static qn_status read_json(const struct reader *r, const char *path, const struct qn_json **root)
{
    char full[PATH_SIZE];
    struct qn_file_map map;
    *root = NULL;
    QN_TRY(join(r->folder, (struct qn_str){0}, path, full));
    if (!qn_file_exists(full))
        return NULL;
    QN_TRY(qn_file_map_beneath(r->folder, path, &map));
    struct qn_str text = qn_arena_str(r->arena, (struct qn_str){(const char *)map.data, map.size});
    qn_file_unmap(&map);
    if (!text.data)
        return QN_OOM();
    struct qn_json_options options = {.name = full};
    return qn_json_read(text, &options, r->arena, root);
}

static qn_status fail_kind(const struct reader *r, const char *path, const char *key, const char *expected,
                           const struct qn_json *found)
{
    return QN_ERROR(QN_INVALID_FILE, "%s/%s: '%s': expected %s, found %s", r->folder, path, key, expected,
                    found ? qn_json_kind_name(found->kind) : "nothing");
}

static qn_status get_bool(const struct reader *r, const char *path, const struct qn_json *object, const char *key,
                          bool *out)
{
    const struct qn_json *value = qn_json_member(object, key);
    if (!value || value->kind == QN_JSON_NULL)
        return NULL;
    if (value->kind != QN_JSON_BOOL)
        return fail_kind(r, path, key, "true or false", value);
    *out = value->boolean;
    return NULL;
}

static qn_status get_size(const struct reader *r, const char *path, const struct qn_json *object, const char *key,
                          uint32_t *out)
{
    const struct qn_json *value = qn_json_member(object, key);
    if (!value || value->kind == QN_JSON_NULL)
        return NULL;
    if (value->kind != QN_JSON_INT || value->integer < 1 || value->integer > 1 << 24)
        return fail_kind(r, path, key, "a whole number from 1 to 16777216", value);
    *out = (uint32_t)value->integer;
    return NULL;
}

/* ---- pooling -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *flag;
    uint32_t bit;
} poolings[] = {
    {"cls", "pooling_mode_cls_token", QN_POOLING_CLS},
    {"max", "pooling_mode_max_tokens", QN_POOLING_MAX},
    {"mean", "pooling_mode_mean_tokens", QN_POOLING_MEAN},
    {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", QN_POOLING_MEAN_SQRT_LEN},
    {"weightedmean", "pooling_mode_weightedmean_tokens", QN_POOLING_WEIGHTED_MEAN},
    {"lasttoken", "pooling_mode_lasttoken", QN_POOLING_LAST},
};

enum { POOLING_COUNT = sizeof poolings / sizeof poolings[0] };

static qn_status add_mode(const struct reader *r, const char *path, const struct qn_json *mode, uint32_t *bits)
{
    for (uint32_t i = 0; mode->kind == QN_JSON_STRING && i < POOLING_COUNT; i++)
        if (qn_str_is(qn_json_str(mode), poolings[i].name)) {
            /* several stand in the order of the bits, which is the order that folders are written in */
            if (poolings[i].bit <= *bits)
                return QN_ERROR(QN_UNSUPPORTED,
                                "%s/%s: 'pooling_mode': modes in another order than cls, max, mean, "
                                "mean_sqrt_len_tokens, weightedmean, lasttoken",
                                r->folder, path);
            *bits |= poolings[i].bit;
            return NULL;
        }
    return fail_kind(r, path, "pooling_mode",
                     "cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken or a list of them", mode);
}

static qn_status read_pooling(struct reader *r, const char *path)
{
    const struct qn_json *root;
    uint32_t bits = 0;
    bool with_prompt = true;
    QN_TRY(read_json(r, path, &root));
    if (!root)
        return QN_ERROR(QN_NOT_FOUND, "%s/%s: no such file, modules.json names it", r->folder, path);
    const struct qn_json *mode = qn_json_member(root, "pooling_mode");
    if (mode && mode->kind == QN_JSON_ARRAY) {
        const struct qn_json *item = qn_json_first(mode);
        for (uint32_t i = 0; i < mode->size; i++, item = qn_json_next(item))
            QN_TRY(add_mode(r, path, item, &bits));
    } else if (mode) {
        QN_TRY(add_mode(r, path, mode, &bits));
    }
    for (uint32_t i = 0; !mode && i < POOLING_COUNT; i++) {
        bool on = false;
        QN_TRY(get_bool(r, path, root, poolings[i].flag, &on));
        bits |= on ? poolings[i].bit : 0;
    }
    QN_TRY(get_bool(r, path, root, "include_prompt", &with_prompt));
    if (bits)
        r->out->pooling = bits;
    r->out->without_prompt = !with_prompt;
    r->dim *= (uint32_t)__builtin_popcount(r->out->pooling);
    r->pooled = true;
    return NULL;
}

/* ---- dense layers --------------------------------------------------------------------------------------------- */

static qn_status read_activation(const struct reader *r, const char *path, const struct qn_json *value, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t activation;
    } known[] = {
        {"Identity", QN_ACTIVATION_NONE}, {"Tanh", QN_ACTIVATION_TANH},       {"ReLU", QN_ACTIVATION_RELU},
        {"GELU", QN_ACTIVATION_GELU_ERF}, {"Sigmoid", QN_ACTIVATION_SIGMOID}, {"SiLU", QN_ACTIVATION_SILU},
    };
    *out = QN_ACTIVATION_TANH;
    if (!value)
        return NULL;
    if (value->kind == QN_JSON_NULL) {
        *out = QN_ACTIVATION_NONE;
        return NULL;
    }
    if (value->kind != QN_JSON_STRING)
        return fail_kind(r, path, "activation_function", "a name", value);
    struct qn_str name = qn_json_str(value);
    for (size_t i = name.size; i > 0; i--)
        if (name.data[i - 1] == '.') {
            name = (struct qn_str){name.data + i, name.size - i};
            break;
        }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (qn_str_is(name, known[i].name)) {
            *out = known[i].activation;
            return NULL;
        }
    return QN_ERROR(QN_UNSUPPORTED, "%s/%s: activation '%.*s'; known are Identity, Tanh, ReLU, GELU, Sigmoid and SiLU",
                    r->folder, path, QN_STR_ARG(name));
}

/* A tensor as floats in the arena; NULL where there is none. */
static qn_status read_floats(const struct reader *r, const struct qn_model *weights, const char *name, uint32_t rows,
                             uint32_t columns, const float **out)
{
    uint32_t index;
    struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
    *out = NULL;
    if (!qn_model_find_tensor(weights, name, &index))
        return NULL;
    QN_TRY(qn_model_tensor(weights, index, &tensor));
    bool same = columns ? tensor.rank == 2 && tensor.dims[0] == rows && tensor.dims[1] == columns
                        : tensor.rank == 1 && tensor.dims[0] == rows;
    const struct qn_quant *quant = qn_quant(tensor.dtype);
    if (!same || !tensor.data || !quant || !quant->dequantise)
        return QN_ERROR(QN_INVALID_FILE, "%s: tensor '%s': expected floats [%u%s%.0u]", r->folder, name, rows,
                        columns ? ", " : "", columns);
    float *floats = QN_ARENA_ARRAY(r->arena, float, tensor.elements);
    if (!floats)
        return QN_OOM();
    quant->dequantise(tensor.data, floats, (int64_t)tensor.elements);
    *out = floats;
    return NULL;
}

static qn_status read_weights(struct reader *r, const struct qn_model *weights, bool biased,
                              struct qn_sentence_dense *dense)
{
    QN_TRY(read_floats(r, weights, "linear.weight", dense->out, dense->in, &dense->weight));
    QN_TRY(read_floats(r, weights, "linear.bias", dense->out, 0, &dense->bias));
    if (dense->residual && dense->in != dense->out)
        QN_TRY(read_floats(r, weights, "residual.weight", dense->out, dense->in, &dense->skip));
    if (!dense->weight || (biased && !dense->bias) || (dense->residual && dense->in != dense->out && !dense->skip))
        return QN_ERROR(QN_INVALID_FILE, "%s: tensor '%s' of a dense layer is missing", r->folder,
                        !dense->weight           ? "linear.weight"
                        : biased && !dense->bias ? "linear.bias"
                                                 : "residual.weight");
    return NULL;
}

static qn_status open_weights(const struct reader *r, struct qn_str part, struct qn_model **out)
{
    static const char *const names[] = {"model.safetensors", "pytorch_model.bin"};
    const struct qn_model_options options = {.struct_size = sizeof options, .allocator = r->arena->allocator};
    char path[PATH_SIZE];
    for (size_t i = 0; i < 2; i++) {
        QN_TRY(join(r->folder, part, names[i], path));
        if (qn_file_exists(path))
            return qn_model_open(path, &options, out);
    }
    return QN_ERROR(QN_NOT_FOUND,
                    "%s/%.*s: neither model.safetensors nor pytorch_model.bin, the weights of a dense "
                    "layer that modules.json names",
                    r->folder, QN_STR_ARG(part));
}

static qn_status read_dense(struct reader *r, struct qn_str part, const char *path)
{
    const struct qn_json *root;
    struct qn_model *weights;
    struct qn_sentence_dense dense = {0};
    bool biased = true;
    QN_TRY(read_json(r, path, &root));
    if (!r->pooled)
        return QN_ERROR(QN_UNSUPPORTED, "%s/%s: a dense layer before the pooling", r->folder, path);
    QN_TRY(get_size(r, path, root, "in_features", &dense.in));
    QN_TRY(get_size(r, path, root, "out_features", &dense.out));
    QN_TRY(get_bool(r, path, root, "bias", &biased));
    QN_TRY(get_bool(r, path, root, "use_residual", &dense.residual));
    QN_TRY(read_activation(r, path, qn_json_member(root, "activation_function"), &dense.activation));
    if (dense.in != r->dim || !dense.out)
        return QN_ERROR(QN_INVALID_FILE, "%s/%s: a dense layer from %u to %u elements; what comes before it gives %u",
                        r->folder, path, dense.in, dense.out, r->dim);
    QN_TRY(open_weights(r, part, &weights));
    qn_status status = read_weights(r, weights, biased, &dense);
    qn_model_close(weights);
    if (status)
        return status;
    r->dim = dense.out;
    ((struct qn_sentence_dense *)(uintptr_t)r->out->dense)[r->out->dense_count++] = dense;
    return NULL;
}

/* ---- the folder ----------------------------------------------------------------------------------------------- */

static qn_status read_module(struct reader *r, const struct qn_json *module)
{
    char path[PATH_SIZE];
    const struct qn_json *type = qn_json_member(module, "type"), *at = qn_json_member(module, "path");
    if (!type || type->kind != QN_JSON_STRING || !at || at->kind != QN_JSON_STRING)
        return fail_kind(r, "modules.json", "type' and 'path", "text", !type ? type : at);
    struct qn_str name = qn_json_str(type), part = qn_json_str(at);
    if (memchr(part.data, 0, part.size) || part.size > 512)
        return fail_kind(r, "modules.json", "path", "the name of a folder", at);
    snprintf(path, sizeof path, "%.*s%sconfig.json", QN_STR_ARG(part), part.size ? "/" : "");
    if (qn_str_ends(name, QN_STR(".Transformer")) && part.size == 0)
        return NULL;
    if (qn_str_ends(name, QN_STR(".Pooling")))
        return read_pooling(r, path);
    if (qn_str_ends(name, QN_STR(".Dense")))
        return read_dense(r, part, path);
    if (qn_str_ends(name, QN_STR(".Normalize"))) {
        r->out->normalizes = true;
        return NULL;
    }
    return QN_ERROR(QN_UNSUPPORTED,
                    "%s/modules.json: module '%.*s' in '%.*s'; known are Transformer in the folder itself, Pooling, "
                    "Dense and Normalize",
                    r->folder, QN_STR_ARG(name), QN_STR_ARG(part));
}

static qn_status read_modules(struct reader *r)
{
    const struct qn_json *root;
    QN_TRY(read_json(r, "modules.json", &root));
    if (!root)
        return NULL;
    if (root->kind != QN_JSON_ARRAY || root->size > MODULES_MAX)
        return fail_kind(r, "modules.json", "the file", "a list of at most 16 modules", root);
    r->out->normalizes = false;
    r->out->dense = QN_ARENA_ARRAY(r->arena, struct qn_sentence_dense, root->size);
    if (!r->out->dense)
        return QN_OOM();
    const struct qn_json *module = qn_json_first(root);
    for (uint32_t i = 0; i < root->size; i++, module = qn_json_next(module)) {
        if (r->out->normalizes)
            return QN_ERROR(QN_UNSUPPORTED, "%s/modules.json: a module behind Normalize", r->folder);
        QN_TRY(read_module(r, module));
    }
    return NULL;
}

/* do_lower_case stands beside it and says again what the tokenizer does by itself. */
static qn_status read_length(struct reader *r)
{
    static const char *const names[] = {
        "sentence_bert_config.json",        "sentence_roberta_config.json",   "sentence_distilbert_config.json",
        "sentence_xlm-roberta_config.json", "sentence_camembert_config.json",
    };
    const struct qn_json *root;
    uint32_t most = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        QN_TRY(read_json(r, names[i], &root));
        if (!root)
            continue;
        QN_TRY(get_size(r, names[i], root, "max_seq_length", &r->out->max_tokens));
        break;
    }
    QN_TRY(read_json(r, "tokenizer_config.json", &root));
    const struct qn_json *length = qn_json_member(root, "model_max_length");
    if (length && length->kind == QN_JSON_INT && length->integer > 0 && length->integer <= 1 << 24)
        most = (uint32_t)length->integer; /* "no limit" is written as 1e30 */
    if (most && (!r->out->max_tokens || most < r->out->max_tokens))
        r->out->max_tokens = most;
    return NULL;
}

static qn_status copy_text(const struct reader *r, struct qn_str text, const char **out)
{
    *out = qn_arena_str(r->arena, text).data;
    return *out ? NULL : QN_OOM();
}

static qn_status read_prompts(struct reader *r)
{
    static const char name[] = "config_sentence_transformers.json";
    const struct qn_json *root;
    QN_TRY(read_json(r, name, &root));
    const struct qn_json *prompts = qn_json_member(root, "prompts"),
                         *chosen = qn_json_member(root, "default_prompt_name");
    if (prompts && prompts->kind != QN_JSON_OBJECT && prompts->kind != QN_JSON_NULL)
        return fail_kind(r, name, "prompts", "an object", prompts);
    uint32_t count = prompts && prompts->kind == QN_JSON_OBJECT ? prompts->size : 0;
    if (count > PROMPTS_MAX)
        return QN_ERROR(QN_INVALID_FILE, "%s/%s: %u prompts; expected at most %d", r->folder, name, count, PROMPTS_MAX);
    struct qn_sentence_prompt *list = QN_ARENA_ARRAY(r->arena, struct qn_sentence_prompt, count);
    if (!list)
        return QN_OOM();
    const struct qn_json *key = count ? qn_json_first(prompts) : NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct qn_json *text = qn_json_next(key);
        if (text->kind != QN_JSON_STRING)
            return fail_kind(r, name, "prompts", "texts by name", text);
        QN_TRY(copy_text(r, qn_json_str(key), &list[i].name));
        QN_TRY(copy_text(r, qn_json_str(text), &list[i].text));
        key = qn_json_next(text);
    }
    r->out->prompts = list;
    r->out->prompt_count = count;
    if (chosen && chosen->kind == QN_JSON_STRING)
        QN_TRY(copy_text(r, qn_json_str(chosen), &r->out->default_prompt));
    return NULL;
}

/* A GGUF file says which pooling; embeddings of it have length 1, as llama.cpp gives them. */
static qn_status read_keys(const struct qn_model *model, const char *arch, struct qn_sentence *out)
{
    static const uint32_t kinds[] = {QN_POOLING_MEAN, QN_POOLING_MEAN, QN_POOLING_CLS, QN_POOLING_LAST};
    char key[160];
    uint64_t kind = 0;
    bool found;
    snprintf(key, sizeof key, "%s.pooling_type", arch);
    QN_TRY(qn_model_get_u64(model, key, &kind, &found));
    out->pooling = kinds[kind < 4 ? kind : 0];
    out->normalizes = true;
    snprintf(key, sizeof key, "%s.normalize_embeddings", arch);
    return qn_model_get_bool(model, key, &out->normalizes, &found);
}

qn_status qn_sentence_read(const struct qn_model *model, uint32_t dim, struct qn_arena *arena, struct qn_sentence *out)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    *out = (struct qn_sentence){.pooling = QN_POOLING_MEAN};
    QN_TRY(qn_model_info(model, &info));
    if (!qn_model_folder(model)) {
        struct qn_str arch = qn_arena_str(arena, (struct qn_str){info.architecture.data, info.architecture.size});
        return arch.data ? read_keys(model, arch.data, out) : QN_OOM();
    }
    const char *path = qn_model_folder(model);
    struct qn_str folder = qn_str_from(path);
    while (folder.size > 1 && folder.data[folder.size - 1] == '/')
        folder.size--;
    folder = qn_arena_str(arena, folder);
    if (!folder.data)
        return QN_OOM();
    struct reader r = {.folder = folder.data, .arena = arena, .dim = dim, .out = out};
    QN_TRY(read_modules(&r));
    QN_TRY(read_length(&r));
    return read_prompts(&r);
}

#include "format/gguf/gguf_lm.h"

#include <math.h>
#include <stdio.h>

/* Keys are "<architecture>.<name>". */
struct config_reader {
    const struct qn_gguf *gguf;
    struct qn_str arch;
    qn_status status;
};

static const char *file_name(const struct qn_gguf *gguf)
{
    return gguf->file_count ? gguf->files[0].path.data : "?";
}

static const char *full_key(const struct config_reader *r, const char *key, char buffer[160])
{
    snprintf(buffer, 160, "%.*s.%s", QN_STR_ARG(r->arch), key);
    return buffer;
}

/* A positive integer key that may be an array with one equal value a layer. */
static uint32_t read_count(struct config_reader *r, const char *key, bool required, uint32_t fallback)
{
    char buffer[160];
    if (r->status)
        return fallback;
    const struct qn_gguf_value *value = qn_gguf_find(r->gguf, full_key(r, key, buffer));
    if (!value) {
        if (required)
            r->status = QN_ERROR(QN_INVALID_FILE, "%s: key '%s' is missing", file_name(r->gguf), buffer);
        return fallback;
    }
    if (value->type == QN_GGUF_ARRAY && value->elem_type < QN_GGUF_ARRAY && value->elem_type != QN_GGUF_STRING &&
        value->count) {
        for (uint64_t i = 1; i < value->count; i++)
            if (qn_gguf_item_i64(value, i) != qn_gguf_item_i64(value, 0)) {
                r->status =
                    QN_ERROR(QN_UNSUPPORTED, "%s: key '%s' differs from layer to layer", file_name(r->gguf), buffer);
                return fallback;
            }
        int64_t first = qn_gguf_item_i64(value, 0);
        if (first >= 0 && first <= UINT32_MAX)
            return (uint32_t)first;
    }
    uint64_t number = 0;
    bool found = false;
    r->status = qn_gguf_get_u64(r->gguf, buffer, &number, &found);
    if (!r->status && number > UINT32_MAX)
        r->status = QN_ERROR(QN_INVALID_FILE, "%s: key '%s' is %llu; expected at most %u", file_name(r->gguf), buffer,
                             (unsigned long long)number, UINT32_MAX);
    return r->status ? fallback : (uint32_t)number;
}

static double read_number(struct config_reader *r, const char *key, double fallback)
{
    char buffer[160];
    bool found = false;
    double value = fallback;
    if (!r->status)
        r->status = qn_gguf_get_f64(r->gguf, full_key(r, key, buffer), &value, &found);
    if (!r->status && found && !(isfinite(value)))
        r->status = QN_ERROR(QN_INVALID_FILE, "%s: key '%s' is not finite", file_name(r->gguf), buffer);
    return value;
}

static void read_rope(struct config_reader *r, struct qn_lm_config *config)
{
    struct qn_rope_config *rope = &config->rope;
    rope->dims = read_count(r, "rope.dimension_count", false, config->head_dim);
    rope->base = read_number(r, "rope.freq_base", 10000.0);
    rope->factor = read_number(r, "rope.scaling.factor", 1.0);
    rope->original_context = read_count(r, "rope.scaling.original_context_length", false, config->context);
    rope->attention_factor = read_number(r, "rope.scaling.attn_factor", 1.0);
    rope->beta_fast = read_number(r, "rope.scaling.yarn_beta_fast", 32.0);
    rope->beta_slow = read_number(r, "rope.scaling.yarn_beta_slow", 1.0);
    char buffer[160];
    struct qn_str kind = {0};
    bool found = false;
    if (!r->status)
        r->status = qn_gguf_get_str(r->gguf, full_key(r, "rope.scaling.type", buffer), &kind, &found);
    if (r->status)
        return;
    if (!found) { /* files from before the typed keys: a bare factor means linear */
        double linear = read_number(r, "rope.scale_linear", rope->factor);
        rope->factor = linear;
        rope->scaling = linear != 1.0 ? QN_ROPE_SCALING_LINEAR : QN_ROPE_SCALING_NONE;
    } else if (qn_str_is(kind, "none")) {
        rope->scaling = QN_ROPE_SCALING_NONE;
    } else if (qn_str_is(kind, "linear")) {
        rope->scaling = QN_ROPE_SCALING_LINEAR;
    } else if (qn_str_is(kind, "yarn")) {
        rope->scaling = QN_ROPE_SCALING_YARN;
    } else {
        r->status = QN_ERROR(QN_UNSUPPORTED, "%s: key '%s' is '%.*s'; expected none, linear or yarn",
                             file_name(r->gguf), buffer, QN_STR_ARG(kind));
        return;
    }
    if (!r->status && (rope->base <= 1.0 || rope->factor <= 0.0 ||
                       (rope->scaling != QN_ROPE_SCALING_NONE && rope->original_context < 1.0)))
        r->status = QN_ERROR(QN_INVALID_FILE,
                             "%s: rope base %g, scaling factor %g, original context %g: expected base above 1, factor "
                             "above 0, context at least 1",
                             file_name(r->gguf), rope->base, rope->factor, rope->original_context);
}

/* The vocabulary's size: its own key, or the token list, or the rows of the embedding. */
static uint32_t read_vocabulary(struct config_reader *r)
{
    const struct qn_gguf_tensor *embedding = qn_gguf_tensor(r->gguf, QN_STR("token_embd.weight"));
    if (!embedding || embedding->rank < 2) {
        if (!r->status)
            r->status = QN_ERROR(QN_INVALID_FILE,
                                 "%s: tensor 'token_embd.weight' is missing; expected [vocabulary, "
                                 "embedding] (a vocabulary-only file has no model to run)",
                                 file_name(r->gguf));
        return 0;
    }
    uint64_t rows = embedding->dims[embedding->rank - 2];
    const struct qn_gguf_value *tokens = qn_gguf_find(r->gguf, "tokenizer.ggml.tokens");
    if (!r->status && tokens && tokens->type == QN_GGUF_ARRAY && tokens->count > rows)
        r->status =
            QN_ERROR(QN_INVALID_FILE, "%s: 'tokenizer.ggml.tokens' has %llu tokens, 'token_embd.weight' %llu rows",
                     file_name(r->gguf), (unsigned long long)tokens->count, (unsigned long long)rows);
    return rows > UINT32_MAX ? 0 : (uint32_t)rows;
}

qn_status qn_gguf_lm_config(const struct qn_gguf *gguf, struct qn_lm_config *out)
{
    struct config_reader r = {.gguf = gguf};
    bool found = false;
    QN_TRY(qn_gguf_get_str(gguf, "general.architecture", &r.arch, &found));
    if (!found)
        return QN_ERROR(QN_INVALID_FILE, "%s: key 'general.architecture' is missing", file_name(gguf));
    if (!qn_arch_find(r.arch))
        return QN_ERROR(QN_UNSUPPORTED, "%s: architecture '%.*s' is not supported; known are:%s", file_name(gguf),
                        QN_STR_ARG(r.arch), qn_arch_names());
    struct qn_lm_config c = {.arch = r.arch};
    c.context = read_count(&r, "context_length", true, 0);
    c.layers = read_count(&r, "block_count", true, 0);
    c.dim = read_count(&r, "embedding_length", true, 0);
    c.heads = read_count(&r, "attention.head_count", true, 0);
    c.kv_heads = read_count(&r, "attention.head_count_kv", false, c.heads);
    c.head_dim = read_count(&r, "attention.key_length", false, c.heads ? c.dim / c.heads : 0);
    c.ffn_dim = read_count(&r, "feed_forward_length", true, 0);
    c.experts = read_count(&r, "expert_count", false, 0);
    c.experts_used = read_count(&r, "expert_used_count", false, 0);
    c.window = read_count(&r, "attention.sliding_window", false, 0);
    if (!r.status && read_count(&r, "attention.value_length", false, c.head_dim) != c.head_dim)
        r.status = QN_ERROR(QN_UNSUPPORTED, "%s: value heads of another size than key heads", file_name(gguf));
    c.norm_epsilon =
        read_number(&r, "attention.layer_norm_rms_epsilon", read_number(&r, "attention.layer_norm_epsilon", 1e-5));
    c.vocabulary = read_vocabulary(&r);
    read_rope(&r, &c);
    if (!r.status)
        *out = c;
    return r.status;
}

static bool find_tensor(void *context, struct qn_str name, struct qn_lm_tensor *out)
{
    const struct qn_gguf *gguf = context;
    const struct qn_gguf_tensor *tensor = qn_gguf_tensor(gguf, name);
    if (!tensor)
        return false;
    *out = (struct qn_lm_tensor){
        .type = {.dtype = tensor->dtype, .rank = tensor->rank},
        .blob = {.place = QN_BLOB_FILE, .file = tensor->file, .offset = tensor->offset, .bytes = tensor->bytes},
        .data = qn_gguf_tensor_data(gguf, tensor),
    };
    for (uint32_t i = 0; i < tensor->rank; i++)
        out->type.dims[i] = (qn_dim)tensor->dims[i];
    return true;
}

qn_status qn_gguf_lm_graph(const struct qn_gguf *gguf, const struct qn_lm_config *config,
                           const struct qn_lm_options *options, const struct qn_allocator *allocator,
                           struct qn_graph **out)
{
    struct qn_graph *graph;
    QN_TRY(qn_graph_create(allocator, config->arch, &graph));
    qn_status status = NULL;
    for (uint32_t i = 0; i < gguf->file_count && !status; i++) {
        uint32_t index;
        status = qn_graph_file(graph, gguf->files[i].path, &index);
    }
    struct qn_lm_source source = {
        .context = (void *)(uintptr_t)gguf, /* only read */
        .file = qn_str_from(file_name(gguf)),
        .find = find_tensor,
    };
    if (!status)
        status = qn_lm_build(config, &source, options, graph);
    if (status)
        qn_graph_destroy(graph);
    else
        *out = graph;
    return status;
}

#include "arch/lm_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { KEY_SIZE = 160, WHOLE = -1 };

/* ---- values by key -------------------------------------------------------------------------------------------- */

static struct qn_str full_key(const struct qn_lm_keys *keys, const char *name, char buffer[KEY_SIZE])
{
    int size = snprintf(buffer, KEY_SIZE, "%.*s.%s", QN_STR_ARG(keys->arch), name);
    return (struct qn_str){buffer, size < KEY_SIZE ? (size_t)size : KEY_SIZE - 1};
}

static const char *kind_name(const struct qn_lm_value *value)
{
    if (value->array)
        return "an array";
    switch (value->item.kind) {
    case QN_META_BOOL:
        return "a bool";
    case QN_META_INT:
    case QN_META_UINT:
        return "a whole number";
    case QN_META_FLOAT32:
    case QN_META_FLOAT64:
        return "a fraction";
    case QN_META_TEXT:
        return "text";
    case QN_META_ARRAY:
    case QN_META_NONE:
        break;
    }
    return "nothing";
}

static void fail_kind(const struct qn_lm_keys *keys, struct qn_str key, const char *expected,
                      const struct qn_lm_value *value)
{
    *keys->status = QN_ERROR(QN_INVALID_FILE, "%.*s: key '%.*s': expected %s, found %s", QN_STR_ARG(keys->source->file),
                             QN_STR_ARG(key), expected, kind_name(value));
}

/* The value of a key, or its element for a layer; false when absent or on error. */
static bool find(const struct qn_lm_keys *keys, const char *name, int64_t layer, char buffer[KEY_SIZE],
                 struct qn_lm_value *out)
{
    struct qn_str key = full_key(keys, name, buffer);
    if (*keys->status || !keys->source->value(keys->source->context, key, 0, out))
        return false;
    if (!out->array || layer == WHOLE)
        return true;
    if ((uint64_t)layer >= out->count) {
        *keys->status = QN_ERROR(
            QN_INVALID_FILE, "%.*s: key '%.*s' has %" PRIu64 " elements; expected one a layer, %" PRId64 " is missing",
            QN_STR_ARG(keys->source->file), QN_STR_ARG(key), out->count, layer);
        return false;
    }
    keys->source->value(keys->source->context, key, (uint64_t)layer, out);
    out->array = false;
    return true;
}

static bool is_whole(const struct qn_meta_item *item)
{
    return item->kind == QN_META_INT || item->kind == QN_META_UINT;
}

static uint32_t as_u32(const struct qn_lm_keys *keys, struct qn_str key, const struct qn_lm_value *value,
                       uint32_t fallback)
{
    if (value->array || !is_whole(&value->item)) {
        fail_kind(keys, key, "a whole number", value);
        return fallback;
    }
    bool negative = value->item.kind == QN_META_INT && value->item.as.i < 0;
    if (!negative && value->item.as.u <= UINT32_MAX)
        return (uint32_t)value->item.as.u;
    char found[24];
    if (negative)
        snprintf(found, sizeof found, "%" PRId64, value->item.as.i);
    else
        snprintf(found, sizeof found, "%" PRIu64, value->item.as.u);
    *keys->status = QN_ERROR(QN_INVALID_FILE, "%.*s: key '%.*s' is %s; expected 0 to %u",
                             QN_STR_ARG(keys->source->file), QN_STR_ARG(key), found, UINT32_MAX);
    return fallback;
}

static double as_f64(const struct qn_lm_keys *keys, struct qn_str key, const struct qn_lm_value *value, double fallback)
{
    double number;
    if (!value->array && value->item.kind == QN_META_INT) {
        number = (double)value->item.as.i;
    } else if (!value->array && value->item.kind == QN_META_UINT) {
        number = (double)value->item.as.u;
    } else if (!value->array && (value->item.kind == QN_META_FLOAT32 || value->item.kind == QN_META_FLOAT64)) {
        number = value->item.as.f;
    } else {
        fail_kind(keys, key, "a number", value);
        return fallback;
    }
    if (isfinite(number))
        return number;
    *keys->status =
        QN_ERROR(QN_INVALID_FILE, "%.*s: key '%.*s' is not finite", QN_STR_ARG(keys->source->file), QN_STR_ARG(key));
    return fallback;
}

bool qn_lm_key_find(const struct qn_lm_keys *keys, const char *name, struct qn_lm_value *out)
{
    char buffer[KEY_SIZE];
    return find(keys, name, WHOLE, buffer, out);
}

bool qn_lm_key_has(const struct qn_lm_keys *keys, const char *name)
{
    struct qn_lm_value value;
    return qn_lm_key_find(keys, name, &value);
}

/* Brings an array whose elements are all equal to one value. */
static bool same_for_all(const struct qn_lm_keys *keys, struct qn_str key, struct qn_lm_value *value)
{
    struct qn_lm_value other;
    for (uint64_t i = 1; i < value->count; i++) {
        keys->source->value(keys->source->context, key, i, &other);
        if (other.item.kind != value->item.kind || other.item.as.u != value->item.as.u) {
            *keys->status = QN_ERROR(QN_UNSUPPORTED, "%.*s: key '%.*s' differs from layer to layer",
                                     QN_STR_ARG(keys->source->file), QN_STR_ARG(key));
            return false;
        }
    }
    value->array = false;
    return true;
}

uint32_t qn_lm_key_u32(const struct qn_lm_keys *keys, const char *name, uint32_t fallback)
{
    char buffer[KEY_SIZE];
    struct qn_lm_value value;
    if (!find(keys, name, WHOLE, buffer, &value))
        return fallback;
    struct qn_str key = qn_str_from(buffer);
    if (value.array && value.count && is_whole(&value.item) && !same_for_all(keys, key, &value))
        return fallback;
    return as_u32(keys, key, &value, fallback);
}

uint32_t qn_lm_key_need_u32(const struct qn_lm_keys *keys, const char *name)
{
    char buffer[KEY_SIZE];
    if (!*keys->status && !qn_lm_key_has(keys, name)) {
        struct qn_str key = full_key(keys, name, buffer);
        *keys->status =
            QN_ERROR(QN_INVALID_FILE, "%.*s: key '%.*s' is missing", QN_STR_ARG(keys->source->file), QN_STR_ARG(key));
    }
    return qn_lm_key_u32(keys, name, 0);
}

uint32_t qn_lm_key_u32_at(const struct qn_lm_keys *keys, const char *name, uint32_t layer, uint32_t fallback)
{
    char buffer[KEY_SIZE];
    struct qn_lm_value value;
    return find(keys, name, layer, buffer, &value) ? as_u32(keys, qn_str_from(buffer), &value, fallback) : fallback;
}

double qn_lm_key_f64_at(const struct qn_lm_keys *keys, const char *name, uint32_t layer, double fallback)
{
    char buffer[KEY_SIZE];
    struct qn_lm_value value;
    return find(keys, name, layer, buffer, &value) ? as_f64(keys, qn_str_from(buffer), &value, fallback) : fallback;
}

bool qn_lm_key_bool_at(const struct qn_lm_keys *keys, const char *name, uint32_t layer, bool fallback)
{
    char buffer[KEY_SIZE];
    struct qn_lm_value value;
    if (!find(keys, name, layer, buffer, &value))
        return fallback;
    if (!value.array && value.item.kind == QN_META_BOOL)
        return value.item.as.b;
    fail_kind(keys, qn_str_from(buffer), "a bool", &value);
    return fallback;
}

double qn_lm_key_f64(const struct qn_lm_keys *keys, const char *name, double fallback)
{
    char buffer[KEY_SIZE];
    struct qn_lm_value value;
    return find(keys, name, WHOLE, buffer, &value) ? as_f64(keys, qn_str_from(buffer), &value, fallback) : fallback;
}

bool qn_lm_key_bool(const struct qn_lm_keys *keys, const char *name, bool fallback)
{
    char buffer[KEY_SIZE];
    struct qn_lm_value value;
    if (!find(keys, name, WHOLE, buffer, &value))
        return fallback;
    if (!value.array && value.item.kind == QN_META_BOOL)
        return value.item.as.b;
    fail_kind(keys, qn_str_from(buffer), "a bool", &value);
    return fallback;
}

static struct qn_str as_str(const struct qn_lm_keys *keys, struct qn_str key, const struct qn_lm_value *value)
{
    if (!value->array && value->item.kind == QN_META_TEXT)
        return (struct qn_str){value->item.as.text.data ? value->item.as.text.data : "", value->item.as.text.size};
    fail_kind(keys, key, "text", value);
    return (struct qn_str){0};
}

struct qn_str qn_lm_key_str(const struct qn_lm_keys *keys, const char *name)
{
    char buffer[KEY_SIZE];
    struct qn_lm_value value;
    if (!find(keys, name, WHOLE, buffer, &value))
        return (struct qn_str){0};
    return as_str(keys, qn_str_from(buffer), &value);
}

/* ---- the configuration ---------------------------------------------------------------------------------------- */

/* YaRN's magnitude is 0.1 ln(factor) + 1, divided by the same with a number before the logarithm. Where keys are
 * compressed both have that number: nothing is left of the magnitude, and the scores' scale makes up for it. */
static void read_yarn(const struct qn_lm_keys *k, const struct qn_arch *arch, struct qn_rope_config *rope)
{
    double log_factor = rope->factor > 1 ? 0.1 * log(rope->factor) : 0;
    rope->exact_ramp = !qn_lm_key_bool(k, "rope.scaling.yarn_truncate", !arch->exact_ramp);
    if (!qn_lm_key_has(k, "rope.scaling.yarn_log_multiplier"))
        return;
    double number = arch->latent ? 1 : qn_lm_key_f64(k, "rope.scaling.yarn_log_multiplier", 0);
    rope->attention_factor /= 1 + number * log_factor;
}

static void read_rope(const struct qn_lm_keys *k, struct qn_lm_config *config)
{
    struct qn_rope_config *rope = &config->rope;
    rope->dims = qn_lm_key_u32(k, "rope.dimension_count", config->head_dim);
    rope->base = qn_lm_key_f64(k, "rope.freq_base", 10000.0);
    rope->factor = qn_lm_key_f64(k, "rope.scaling.factor", 1.0);
    rope->original_context = qn_lm_key_u32(k, "rope.scaling.original_context_length", config->context);
    rope->attention_factor = qn_lm_key_f64(k, "rope.scaling.attn_factor", 1.0);
    rope->beta_fast = qn_lm_key_f64(k, "rope.scaling.yarn_beta_fast", 32.0);
    rope->beta_slow = qn_lm_key_f64(k, "rope.scaling.yarn_beta_slow", 1.0);
    struct qn_str kind = qn_lm_key_str(k, "rope.scaling.type");
    if (*k->status)
        return;
    struct qn_lm_tensor divisors;
    if (!kind.data && k->source->find(k->source->context, QN_STR("rope_factors_long.weight"), &divisors)) {
        rope->scaling = QN_ROPE_SCALING_LONGROPE; /* Phi's files do not say it */
    } else if (!kind.data) {                      /* files from before the typed keys: a bare factor means linear */
        double linear = qn_lm_key_f64(k, "rope.scale_linear", rope->factor);
        rope->factor = linear;
        rope->scaling = linear != 1.0 ? QN_ROPE_SCALING_LINEAR : QN_ROPE_SCALING_NONE;
    } else if (qn_str_is(kind, "none")) {
        rope->scaling = QN_ROPE_SCALING_NONE;
    } else if (qn_str_is(kind, "linear")) {
        rope->scaling = QN_ROPE_SCALING_LINEAR;
    } else if (qn_str_is(kind, "yarn")) {
        rope->scaling = QN_ROPE_SCALING_YARN;
        read_yarn(k, qn_arch_find(config->arch), rope);
    } else if (qn_str_is(kind, "longrope")) {
        rope->scaling = QN_ROPE_SCALING_LONGROPE;
    } else {
        *k->status = QN_ERROR(QN_UNSUPPORTED,
                              "%.*s: key '%.*s.rope.scaling.type' is '%.*s'; expected none, linear, yarn or "
                              "longrope",
                              QN_STR_ARG(k->source->file), QN_STR_ARG(k->arch), QN_STR_ARG(kind));
        return;
    }
    if (!*k->status && (rope->base <= 1.0 || rope->factor <= 0.0 ||
                        (rope->scaling != QN_ROPE_SCALING_NONE && rope->original_context < 1.0)))
        *k->status = QN_ERROR(QN_INVALID_FILE,
                              "%.*s: rope base %g, scaling factor %g, original context %g: expected base above 1, "
                              "factor above 0, context at least 1",
                              QN_STR_ARG(k->source->file), rope->base, rope->factor, rope->original_context);
}

/* Window layers may have a base of their own, and then no scaling. */
static void read_local_rope(const struct qn_lm_keys *k, struct qn_lm_config *config)
{
    double base = qn_lm_key_f64(k, "rope.freq_base_swa", qn_arch_find(config->arch)->local_rope_base);
    if (*k->status || base == 0)
        return;
    config->rope_local = (struct qn_rope_config){.dims = config->rope.dims, .base = base, .factor = 1};
    if (base <= 1.0)
        *k->status = QN_ERROR(QN_INVALID_FILE, "%.*s: key '%.*s.rope.freq_base_swa' is %g; expected more than 1",
                              QN_STR_ARG(k->source->file), QN_STR_ARG(k->arch), base);
}

/* The vocabulary's size: the rows of the embedding, which may be padded beyond the list of tokens. */
static uint32_t read_vocabulary(const struct qn_lm_keys *k)
{
    struct qn_lm_tensor embedding;
    struct qn_lm_value tokens;
    if (*k->status)
        return 0;
    if (!k->source->find(k->source->context, QN_STR("token_embd.weight"), &embedding) || embedding.type.rank < 2) {
        *k->status = QN_ERROR(QN_INVALID_FILE,
                              "%.*s: tensor 'token_embd.weight' is missing; expected [vocabulary, embedding] (a "
                              "vocabulary-only file has no model to run)",
                              QN_STR_ARG(k->source->file));
        return 0;
    }
    uint64_t rows = (uint64_t)embedding.type.dims[embedding.type.rank - 2];
    if (k->source->value(k->source->context, QN_STR("tokenizer.ggml.tokens"), 0, &tokens) && tokens.array &&
        tokens.count > rows)
        *k->status =
            QN_ERROR(QN_INVALID_FILE,
                     "%.*s: 'tokenizer.ggml.tokens' has %" PRIu64 " tokens, 'token_embd.weight' %" PRIu64 " rows",
                     QN_STR_ARG(k->source->file), tokens.count, rows);
    return rows > UINT32_MAX ? 0 : (uint32_t)rows;
}

static qn_status read_arch(const struct qn_lm_source *source, struct qn_str *out)
{
    struct qn_lm_value value;
    qn_status status = NULL;
    struct qn_lm_keys keys = {.source = source, .status = &status};
    struct qn_str key = QN_STR("general.architecture");
    if (!source->value(source->context, key, 0, &value))
        return QN_ERROR(QN_INVALID_FILE, "%.*s: key 'general.architecture' is missing", QN_STR_ARG(source->file));
    *out = as_str(&keys, key, &value);
    if (!status && !qn_arch_find(*out))
        status = QN_ERROR(QN_UNSUPPORTED, "%.*s: architecture '%.*s' is not supported; known are:%s",
                          QN_STR_ARG(source->file), QN_STR_ARG(*out), qn_arch_names());
    return status;
}

/* Heads and their cache. A recurrent model has none; keys and values in one row are told by the keys that give their
 * sizes before compression. */
static void read_heads(const struct qn_lm_keys *k, const struct qn_arch *arch, struct qn_lm_config *c)
{
    if (arch->recurrent) {
        c->kv.kind = QN_LM_KV_RECURRENT;
        return;
    }
    c->heads = qn_lm_key_need_u32(k, "attention.head_count");
    c->kv_heads = qn_lm_key_u32(k, "attention.head_count_kv", c->heads);
    c->head_dim = qn_lm_key_u32(k, "attention.key_length", c->heads ? c->dim / c->heads : 0);
    uint32_t value_dim = qn_lm_key_u32(k, "attention.value_length", c->head_dim);
    bool compressed = arch->latent && qn_lm_key_has(k, "attention.key_length_mla");
    c->kv = (struct qn_lm_kv){compressed ? QN_LM_KV_COMPRESSED : QN_LM_KV_FULL, 0, c->kv_heads, c->head_dim, value_dim};
    if (!*k->status && value_dim != c->head_dim && !arch->latent)
        *k->status =
            QN_ERROR(QN_UNSUPPORTED, "%.*s: value heads of another size than key heads", QN_STR_ARG(k->source->file));
}

qn_status qn_lm_config_read(const struct qn_lm_source *source, struct qn_lm_config *out)
{
    struct qn_lm_config c = {0};
    QN_TRY(read_arch(source, &c.arch));
    qn_status status = NULL;
    const struct qn_lm_keys keys = {.source = source, .arch = c.arch, .status = &status}, *k = &keys;
    c.context = qn_lm_key_need_u32(k, "context_length");
    c.layers = qn_lm_key_need_u32(k, "block_count");
    c.dim = qn_lm_key_need_u32(k, "embedding_length");
    const struct qn_arch *arch = qn_arch_find(c.arch);
    read_heads(k, arch, &c);
    c.ffn_dim = arch->recurrent ? 0 : qn_lm_key_need_u32(k, "feed_forward_length");
    c.experts = qn_lm_key_u32(k, "expert_count", 0);
    c.experts_used = qn_lm_key_u32(k, "expert_used_count", 0);
    c.expert_ffn_dim = qn_lm_key_u32(k, "expert_feed_forward_length", c.ffn_dim);
    c.shared_ffn_dim = qn_lm_key_u32(k, "expert_shared_feed_forward_length", c.ffn_dim);
    c.attention_scale = qn_lm_key_f64(k, "attention.scale", 0);
    c.attention_cap = qn_lm_key_f64(k, "attn_logit_softcapping", 0);
    c.logit_cap = qn_lm_key_f64(k, "final_logit_softcapping", 0);
    c.window = qn_lm_key_u32(k, "attention.sliding_window", 0);
    c.norm_epsilon =
        qn_lm_key_f64(k, "attention.layer_norm_rms_epsilon", qn_lm_key_f64(k, "attention.layer_norm_epsilon", 1e-5));
    c.vocabulary = read_vocabulary(k);
    read_rope(k, &c);
    read_local_rope(k, &c);
    if (!status)
        *out = c;
    return status;
}

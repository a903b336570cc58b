#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/hf/hf.h"

/* ---- values of config.json ------------------------------------------------------------------------------------ */

static const struct qn_json *member(const struct qn_json *object, const char *key)
{
    const struct qn_json *value = qn_json_member(object, key);
    return value && value->kind != QN_JSON_NULL ? value : NULL;
}

const struct qn_json *qn_hf_json(const struct qn_hf *hf, const char *key)
{
    const struct qn_json *value = member(hf->text, key);
    value = value ? value : member(hf->config, key);
    return value || qn_json_member(hf->text, key) ? value : member(hf->defaults, key);
}

static void fail_kind(struct qn_hf *hf, const char *key, const char *expected, const struct qn_json *found)
{
    if (hf->status)
        return;
    if (found && found->kind == QN_JSON_INT)
        hf->status = QN_ERROR(QN_INVALID_FILE, "key '%s': expected %s, found %" PRId64, key, expected, found->integer);
    else
        hf->status = QN_ERROR(QN_INVALID_FILE, "key '%s': expected %s, found %s", key, expected,
                              found ? qn_json_kind_name(found->kind) : "nothing");
}

uint64_t qn_hf_u64(struct qn_hf *hf, const char *key, uint64_t fallback)
{
    const struct qn_json *value = qn_hf_json(hf, key);
    if (!value)
        return fallback;
    if (value->kind == QN_JSON_INT && value->integer >= 0)
        return (uint64_t)value->integer;
    if (value->kind == QN_JSON_DOUBLE && value->number >= 0 && value->number <= 0x1p53 &&
        floor(value->number) == value->number) /* 1e4, 2048.0 */
        return (uint64_t)value->number;
    fail_kind(hf, key, "a whole number of at least 0", value);
    return fallback;
}

uint64_t qn_hf_need_u64(struct qn_hf *hf, const char *key)
{
    if (!qn_hf_json(hf, key))
        fail_kind(hf, key, "a whole number", NULL);
    return qn_hf_u64(hf, key, 0);
}

static double number_of(struct qn_hf *hf, const char *key, const struct qn_json *value, double fallback)
{
    if (!value)
        return fallback;
    if (value->kind == QN_JSON_INT)
        return (double)value->integer;
    if (value->kind == QN_JSON_DOUBLE)
        return value->number;
    fail_kind(hf, key, "a number", value);
    return fallback;
}

double qn_hf_f64(struct qn_hf *hf, const char *key, double fallback)
{
    return number_of(hf, key, qn_hf_json(hf, key), fallback);
}

double qn_hf_member_f64(struct qn_hf *hf, const struct qn_json *object, const char *key, double fallback)
{
    return number_of(hf, key, member(object, key), fallback);
}

bool qn_hf_bool(struct qn_hf *hf, const char *key, bool fallback)
{
    const struct qn_json *value = qn_hf_json(hf, key);
    if (!value)
        return fallback;
    if (value->kind == QN_JSON_BOOL)
        return value->boolean;
    fail_kind(hf, key, "true or false", value);
    return fallback;
}

static struct qn_str text_of(struct qn_hf *hf, const char *key, const struct qn_json *value)
{
    if (!value)
        return (struct qn_str){0};
    if (value->kind == QN_JSON_STRING)
        return (struct qn_str){value->text ? value->text : "", value->size};
    fail_kind(hf, key, "a string", value);
    return (struct qn_str){0};
}

struct qn_str qn_hf_str(struct qn_hf *hf, const char *key)
{
    return text_of(hf, key, qn_hf_json(hf, key));
}

struct qn_str qn_hf_member_str(struct qn_hf *hf, const struct qn_json *object, const char *key)
{
    return text_of(hf, key, member(object, key));
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

static void put(struct qn_hf *hf, struct qn_str key, struct qn_hf_meta meta)
{
    if (hf->status)
        return;
    const uint32_t *index = qn_map_get(&hf->meta_map, key);
    meta.key = index ? hf->metas.items[*index].key : key;
    if (index)
        hf->metas.items[*index] = meta;
    else if (!key.data || qn_map_put(&hf->meta_map, key, hf->metas.count) == QN_MAP_FAILED ||
             !qn_array_push(&hf->metas, hf->allocator, meta))
        hf->status = QN_OOM();
}

static struct qn_str full_key(struct qn_hf *hf, const char *name)
{
    return qn_arena_printf(&hf->arena, "%s.%s", hf->arch->gguf, name);
}

static struct qn_hf_meta plain(enum qn_meta_kind kind, const char *type_name)
{
    return (struct qn_hf_meta){.kind = kind, .elem_kind = kind, .type_name = type_name, .count = 1, .value.kind = kind};
}

void qn_hf_put_u32(struct qn_hf *hf, const char *name, uint64_t value)
{
    if (value > UINT32_MAX && !hf->status)
        hf->status = QN_ERROR(QN_INVALID_FILE, "'%s' is %" PRIu64 "; expected at most %u", name, value, UINT32_MAX);
    struct qn_hf_meta meta = plain(QN_META_UINT, "u32");
    meta.value.as.u = value;
    put(hf, full_key(hf, name), meta);
}

void qn_hf_put_f32(struct qn_hf *hf, const char *name, double value)
{
    struct qn_hf_meta meta = plain(QN_META_FLOAT32, "f32");
    meta.value.as.f = (double)(float)value;
    put(hf, full_key(hf, name), meta);
}

void qn_hf_put_bool(struct qn_hf *hf, const char *name, bool value)
{
    struct qn_hf_meta meta = plain(QN_META_BOOL, "bool");
    meta.value.as.b = value;
    put(hf, full_key(hf, name), meta);
}

static void put_text(struct qn_hf *hf, struct qn_str key, struct qn_str value)
{
    struct qn_hf_meta meta = plain(QN_META_TEXT, "string");
    struct qn_str copy = qn_arena_str(&hf->arena, value);
    if (!copy.data && !hf->status)
        hf->status = QN_OOM();
    meta.value.as.text = (struct qn_model_text){copy.data, copy.size};
    put(hf, key, meta);
}

void qn_hf_put_str(struct qn_hf *hf, const char *name, struct qn_str value)
{
    put_text(hf, full_key(hf, name), value);
}

void qn_hf_put_general(struct qn_hf *hf, const char *key, struct qn_str value)
{
    put_text(hf, qn_arena_str(&hf->arena, qn_str_from(key)), value);
}

/* Room for an array's elements, NULL with an error. */
static struct qn_meta_item *new_items(struct qn_hf *hf, uint32_t count)
{
    struct qn_meta_item *items = QN_ARENA_ARRAY(&hf->arena, struct qn_meta_item, count);
    if (!items && !hf->status)
        hf->status = QN_OOM();
    return items;
}

static void put_array(struct qn_hf *hf, const char *name, enum qn_meta_kind kind, const char *type_name,
                      const struct qn_meta_item *items, uint32_t count)
{
    struct qn_hf_meta meta = {
        .kind = QN_META_ARRAY, .elem_kind = kind, .type_name = type_name, .count = count, .items = items};
    put(hf, full_key(hf, name), meta);
}

void qn_hf_put_u32s(struct qn_hf *hf, const char *name, const uint32_t *values, uint32_t count)
{
    struct qn_meta_item *items = new_items(hf, count);
    for (uint32_t i = 0; items && i < count; i++)
        items[i] = (struct qn_meta_item){.kind = QN_META_UINT, .as.u = values[i]};
    put_array(hf, name, QN_META_UINT, "u32", items, count);
}

void qn_hf_put_f32s(struct qn_hf *hf, const char *name, const float *values, uint32_t count)
{
    struct qn_meta_item *items = new_items(hf, count);
    for (uint32_t i = 0; items && i < count; i++)
        items[i] = (struct qn_meta_item){.kind = QN_META_FLOAT32, .as.f = (double)values[i]};
    put_array(hf, name, QN_META_FLOAT32, "f32", items, count);
}

void qn_hf_put_bools(struct qn_hf *hf, const char *name, const bool *values, uint32_t count)
{
    struct qn_meta_item *items = new_items(hf, count);
    for (uint32_t i = 0; items && i < count; i++)
        items[i] = (struct qn_meta_item){.kind = QN_META_BOOL, .as.b = values[i]};
    put_array(hf, name, QN_META_BOOL, "bool", items, count);
}

void qn_hf_put_strs(struct qn_hf *hf, const char *name, const struct qn_str *values, uint32_t count)
{
    struct qn_meta_item *items = new_items(hf, count);
    for (uint32_t i = 0; items && i < count; i++) {
        struct qn_str copy = qn_arena_str(&hf->arena, values[i]);
        if (!copy.data && !hf->status)
            hf->status = QN_OOM();
        items[i] = (struct qn_meta_item){.kind = QN_META_TEXT, .as.text = {copy.data, copy.size}};
    }
    put_array(hf, name, QN_META_TEXT, "string", items, count);
}

void qn_hf_put_general_u32(struct qn_hf *hf, const char *key, uint64_t value)
{
    struct qn_hf_meta meta = plain(QN_META_UINT, "u32");
    if (value > UINT32_MAX && !hf->status)
        hf->status = QN_ERROR(QN_INVALID_FILE, "'%s' is %" PRIu64 "; expected at most %u", key, value, UINT32_MAX);
    meta.value.as.u = value;
    put(hf, qn_arena_str(&hf->arena, qn_str_from(key)), meta);
}

/* ---- what most decoders have ---------------------------------------------------------------------------------- */

bool qn_hf_is_model(const struct qn_hf *hf, const char *ending)
{
    const struct qn_json *names = qn_hf_json(hf, "architectures");
    if (!names || names->kind != QN_JSON_ARRAY || names->size == 0 || qn_json_first(names)->kind != QN_JSON_STRING)
        return false;
    return qn_str_ends(qn_json_str(qn_json_first(names)), qn_str_from(ending));
}

uint64_t qn_hf_layers(struct qn_hf *hf)
{
    const char *before = hf->arch->layers_before;
    return qn_hf_need_u64(hf, before && !qn_hf_json(hf, hf->arch->layers) ? before : hf->arch->layers);
}

uint64_t qn_hf_head_dim(struct qn_hf *hf)
{
    uint64_t heads = qn_hf_need_u64(hf, "num_attention_heads");
    return qn_hf_u64(hf, "head_dim", heads ? qn_hf_need_u64(hf, "hidden_size") / heads : 0);
}

void qn_hf_heads_keys(struct qn_hf *hf)
{
    uint64_t heads = qn_hf_need_u64(hf, "num_attention_heads"), head_dim = qn_hf_head_dim(hf);
    qn_hf_put_u32(hf, "attention.head_count", heads);
    qn_hf_put_u32(hf, "attention.head_count_kv", qn_hf_u64(hf, "num_key_value_heads", heads));
    qn_hf_put_u32(hf, "attention.key_length", head_dim);
    qn_hf_put_u32(hf, "attention.value_length", head_dim);
}

void qn_hf_attention_keys(struct qn_hf *hf)
{
    qn_hf_heads_keys(hf);
    qn_hf_rope_keys(hf, qn_hf_head_dim(hf), NULL);
}

uint64_t qn_hf_rotary_dims(struct qn_hf *hf, uint64_t head_dim)
{
    const char *key = "partial_rotary_factor";
    double part = qn_hf_f64(hf, key, 1);
    part = qn_hf_member_f64(hf, qn_hf_json(hf, "rope_scaling"), key, part);
    part = qn_hf_member_f64(hf, qn_hf_json(hf, "rope_parameters"), key, part);
    if (part > 0 && part <= 1)
        return (uint64_t)((double)head_dim * part);
    if (!hf->status)
        hf->status = QN_ERROR(QN_INVALID_FILE, "key '%s' is %g; expected more than 0, at most 1", key, part);
    return head_dim;
}

void qn_hf_activation_key(struct qn_hf *hf, const char *key, const char *usual)
{
    struct qn_str name = qn_hf_str(hf, key);
    if (name.data && !qn_str_is(name, usual))
        qn_hf_put_str(hf, "hidden_activation", name);
}

void qn_hf_window_keys(struct qn_hf *hf, uint64_t window, uint64_t period)
{
    enum { MAX = 4096 };
    bool windows[MAX], usual = true, any = false;
    uint64_t layers = qn_hf_need_u64(hf, hf->arch->layers);
    const struct qn_json *types = qn_hf_json(hf, "layer_types");
    if (hf->status || window == 0 || layers > MAX)
        return; /* so many layers are refused when the model is read */
    if (types && (types->kind != QN_JSON_ARRAY || types->size < layers)) {
        hf->status = QN_ERROR(QN_INVALID_FILE, "key 'layer_types': expected a list of %" PRIu64 " strings", layers);
        return;
    }
    const struct qn_json *type = types ? qn_json_first(types) : NULL;
    for (uint64_t i = 0; i < layers; i++, type = type ? qn_json_next(type) : NULL) {
        bool expected = period == 0 || i % period + 1 < period;
        struct qn_str name = type && type->kind == QN_JSON_STRING ? qn_json_str(type) : QN_STR("?");
        windows[i] = type ? qn_str_is(name, "sliding_attention") : expected;
        if (type && !windows[i] && !qn_str_is(name, "full_attention")) {
            hf->status =
                QN_ERROR(QN_UNSUPPORTED,
                         "key 'layer_types': layer %" PRIu64 " is '%.*s'; expected full_attention or sliding_attention",
                         i, QN_STR_ARG(name));
            return;
        }
        usual = usual && windows[i] == expected;
        any = any || windows[i];
    }
    if (any)
        qn_hf_put_u32(hf, "attention.sliding_window", window);
    if (any && !usual)
        qn_hf_put_bools(hf, "attention.sliding_window_pattern", windows, (uint32_t)layers);
}

static void add_factors(struct qn_hf *hf, const struct qn_json *rope, const char *key, uint64_t count, const char *name)
{
    const struct qn_json *list = member(rope, key);
    float *values = QN_ARENA_ARRAY(&hf->arena, float, count);
    if (hf->status)
        return;
    if (!list || list->kind != QN_JSON_ARRAY || list->size != count || count > UINT32_MAX) {
        hf->status = QN_ERROR(QN_INVALID_FILE, "key '%s': expected a list of %" PRIu64 " numbers", key, count);
        return;
    }
    if (!values) {
        hf->status = QN_OOM();
        return;
    }
    const struct qn_json *item = qn_json_first(list);
    for (uint64_t i = 0; i < count; i++, item = qn_json_next(item)) {
        values[i] = (float)number_of(hf, key, item, 1);
        if (!(values[i] > 0) && !hf->status)
            hf->status = QN_ERROR(QN_INVALID_FILE, "key '%s': element %" PRIu64 " is %g; expected more than 0", key, i,
                                  (double)values[i]);
    }
    qn_hf_add_f32(hf, name, values, (uint32_t)count);
}

void qn_hf_longrope_keys(struct qn_hf *hf, const struct qn_json *rope, uint64_t dims)
{
    const char *key = "original_max_position_embeddings";
    double context = (double)qn_hf_u64(hf, "max_position_embeddings", 0);
    double original = qn_hf_member_f64(hf, rope, key, qn_hf_f64(hf, key, context));
    double factor = qn_hf_member_f64(hf, rope, "factor", context / original);
    if (!hf->status && !(original > 1 && original <= UINT32_MAX))
        hf->status = QN_ERROR(QN_INVALID_FILE, "key '%s' is %g; expected more than 1", key, original);
    if (hf->status)
        return;
    double magnitude = factor > 1 ? sqrt(1 + log(factor) / log(original)) : 1;
    qn_hf_put_u32(hf, "rope.scaling.original_context_length", (uint64_t)original);
    qn_hf_put_f32(hf, "rope.scaling.attn_factor", qn_hf_member_f64(hf, rope, "attention_factor", magnitude));
    add_factors(hf, rope, "long_factor", dims / 2, "rope_factors_long.weight");
    add_factors(hf, rope, "short_factor", dims / 2, "rope_factors_short.weight");
}

/* Llama 3's scaling as divisors of the frequencies, which is how GGUF has it. */
double qn_hf_llama3_factor(double turns, double factor, double low, double high)
{
    double smooth = fmin(fmax((turns - low) / (high - low), 0), 1);
    return 1 / ((1 - smooth) / factor + smooth);
}

static void add_llama3_factors(struct qn_hf *hf, const struct qn_json *rope, uint64_t dims, double base)
{
    enum { MAX = 1024 };
    float factors[MAX];
    double factor = qn_hf_member_f64(hf, rope, "factor", 8), low = qn_hf_member_f64(hf, rope, "low_freq_factor", 1),
           high = qn_hf_member_f64(hf, rope, "high_freq_factor", 4),
           context = qn_hf_member_f64(hf, rope, "original_max_position_embeddings", 8192);
    if (dims / 2 > MAX || low >= high || factor <= 0 || base <= 0) {
        if (!hf->status)
            hf->status = QN_ERROR(QN_INVALID_FILE,
                                  "rope scaling 'llama3': factor %g, low_freq_factor %g, high_freq_factor %g, base %g",
                                  factor, low, high, base);
        return;
    }
    for (uint64_t i = 0; i < dims / 2; i++) {
        double frequency = pow(base, -2.0 * (double)i / (double)dims), wavelength = 2 * M_PI / frequency;
        factors[i] = (float)qn_hf_llama3_factor(context / wavelength, factor, low, high);
    }
    qn_hf_add_f32(hf, "rope_freqs.weight", factors, (uint32_t)(dims / 2));
}

/* GGUF's is what remains beside YaRN's own magnitude of 0.1 ln(factor) + 1. DeepSeek's has a key of its own. */
static void put_yarn_magnitude(struct qn_hf *hf, const struct qn_json *rope)
{
    double factor = qn_hf_member_f64(hf, rope, "factor", 1), growth = factor > 1 ? 0.1 * log(factor) : 0;
    double over = qn_hf_member_f64(hf, rope, "mscale", 0), under = qn_hf_member_f64(hf, rope, "mscale_all_dim", 0);
    double own = growth + 1, usual = over != 0 && under != 0 ? (over * growth + 1) / (under * growth + 1) : own;
    bool divided = usual != own && !qn_hf_json(hf, "kv_lora_rank");
    if (member(rope, "attention_factor") || divided)
        qn_hf_put_f32(hf, "rope.scaling.attn_factor", qn_hf_member_f64(hf, rope, "attention_factor", usual) / own);
}

static void put_scaling(struct qn_hf *hf, const struct qn_json *rope, uint64_t dims, double base)
{
    struct qn_str kind = qn_hf_member_str(hf, rope, "rope_type");
    if (!kind.data)
        kind = qn_hf_member_str(hf, rope, "type");
    /* dynamic scaling begins behind max_position_embeddings, where the context ends */
    if (!kind.data || qn_str_is(kind, "default") || qn_str_is(kind, "dynamic"))
        return;
    if (qn_str_is(kind, "llama3")) {
        add_llama3_factors(hf, rope, dims, base);
        return;
    }
    if (qn_str_is(kind, "longrope") || qn_str_is(kind, "su")) {
        qn_hf_put_str(hf, "rope.scaling.type", QN_STR("longrope"));
        qn_hf_longrope_keys(hf, rope, dims);
        return;
    }
    if (!qn_str_is(kind, "linear") && !qn_str_is(kind, "yarn")) {
        if (!hf->status)
            hf->status = QN_ERROR(QN_UNSUPPORTED,
                                  "rope scaling '%.*s'; expected default, linear, dynamic, yarn, llama3 or longrope",
                                  QN_STR_ARG(kind));
        return;
    }
    qn_hf_put_str(hf, "rope.scaling.type", kind);
    qn_hf_put_f32(hf, "rope.scaling.factor", qn_hf_member_f64(hf, rope, "factor", 1));
    if (qn_str_is(kind, "linear"))
        return;
    double context = qn_hf_member_f64(hf, rope, "original_max_position_embeddings",
                                      (double)qn_hf_u64(hf, "max_position_embeddings", 0));
    if (context < 0 || context > UINT32_MAX) {
        fail_kind(hf, "original_max_position_embeddings", "a number of positions",
                  member(rope, "original_max_position_embeddings"));
        return;
    }
    qn_hf_put_u32(hf, "rope.scaling.original_context_length", (uint64_t)context);
    if (member(rope, "beta_fast"))
        qn_hf_put_f32(hf, "rope.scaling.yarn_beta_fast", qn_hf_member_f64(hf, rope, "beta_fast", 32));
    if (member(rope, "beta_slow"))
        qn_hf_put_f32(hf, "rope.scaling.yarn_beta_slow", qn_hf_member_f64(hf, rope, "beta_slow", 1));
    const struct qn_json *truncate = member(rope, "truncate");
    bool exact = truncate && truncate->kind == QN_JSON_BOOL && !truncate->boolean;
    if (exact != hf->arch->exact_ramp)
        qn_hf_put_bool(hf, "rope.scaling.yarn_truncate", !exact);
    put_yarn_magnitude(hf, rope);
}

void qn_hf_rope_keys(struct qn_hf *hf, uint64_t dims, const char *layer_type)
{
    const struct qn_json *rope = qn_hf_json(hf, "rope_parameters");
    if (layer_type && member(rope, layer_type))
        rope = member(rope, layer_type);
    double base = qn_hf_member_f64(hf, rope, "rope_theta", qn_hf_f64(hf, "rope_theta", 10000.0));
    qn_hf_put_u32(hf, "rope.dimension_count", dims);
    qn_hf_put_f32(hf, "rope.freq_base", base);
    if (!rope)
        rope = qn_hf_json(hf, "rope_scaling");
    if (rope && !hf->status)
        put_scaling(hf, rope, dims, base);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

/* The last part of the folder's path. */
static struct qn_str base_name(struct qn_str folder)
{
    while (folder.size > 1 && folder.data[folder.size - 1] == '/')
        folder.size--;
    size_t start = folder.size;
    while (start && folder.data[start - 1] != '/')
        start--;
    return (struct qn_str){folder.data + start, folder.size - start};
}

static void put_table(struct qn_hf *hf)
{
    for (const struct qn_hf_key *k = hf->arch->keys; k && k->from && !hf->status; k++) {
        if (!qn_hf_json(hf, k->from)) {
            if (k->need)
                fail_kind(hf, k->from, k->kind == QN_HF_BOOL ? "true or false" : "a number", NULL);
            continue;
        }
        if (k->kind == QN_HF_U32)
            qn_hf_put_u32(hf, k->to, qn_hf_u64(hf, k->from, 0));
        else if (k->kind == QN_HF_F32)
            qn_hf_put_f32(hf, k->to, qn_hf_f64(hf, k->from, 0));
        else
            qn_hf_put_bool(hf, k->to, qn_hf_bool(hf, k->from, false));
    }
}

qn_status qn_hf_make_metas(struct qn_hf *hf)
{
    struct qn_str type = hf->arch ? qn_str_from(hf->arch->gguf) : qn_hf_str(hf, "model_type");
    qn_hf_put_general(hf, "general.architecture", type.data ? type : QN_STR("unknown"));
    qn_hf_put_general(hf, "general.type", QN_STR("model"));
    if (hf->folder.data)
        qn_hf_put_general(hf, "general.name", base_name(hf->folder));
    if (hf->left_out) /* `quern inspect` shows it */
        qn_hf_put_general_u32(hf, "quern.tensors_left_out", hf->left_out);
    if (hf->arch && !hf->status) {
        qn_hf_put_u32(hf, "block_count", qn_hf_layers(hf));
        put_table(hf);
        if (hf->arch->finish && !hf->status)
            hf->arch->finish(hf);
    }
    qn_status status = hf->status;
    hf->status = NULL;
    return status;
}

#include "convert/tensor_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "quant/quant.h"
#include "quern/convert.h"

/* ---- schemes -------------------------------------------------------------------------------------------------- */

const struct qn_scheme *qn_scheme(enum qn_scheme_id id)
{
    static const struct qn_scheme schemes[QN_SCHEME_COUNT] = {
#define QN_SCHEME_ROW(NAME, base, file_type, summary) [QN_SCHEME_##NAME] = {#NAME, summary, QN_DTYPE_##base, file_type},
#include "convert/schemes.def"
#undef QN_SCHEME_ROW
    };
    return &schemes[id];
}

enum qn_scheme_id qn_scheme_find(const char *name)
{
    static const struct {
        const char *name;
        enum qn_scheme_id id;
    } aliases[] = {{"Q3_K", QN_SCHEME_Q3_K_M}, {"Q4_K", QN_SCHEME_Q4_K_M}, {"Q5_K", QN_SCHEME_Q5_K_M}};
    for (int id = 1; id < QN_SCHEME_COUNT; id++)
        if (strcasecmp(name, qn_scheme((enum qn_scheme_id)id)->name) == 0)
            return (enum qn_scheme_id)id;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcasecmp(name, aliases[i].name) == 0)
            return aliases[i].id;
    return QN_SCHEME_NONE;
}

qn_status qn_scheme_read(const char *name, enum qn_scheme_id *out)
{
    char names[512];
    size_t used = 0;
    *out = QN_SCHEME_NONE;
    if (!name || strcasecmp(name, "auto") == 0)
        return NULL;
    *out = qn_scheme_find(name);
    if (*out != QN_SCHEME_NONE)
        return NULL;
    for (int id = 1; id < QN_SCHEME_COUNT && used < sizeof names; id++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", id > 1 ? ", " : "",
                                 qn_scheme((enum qn_scheme_id)id)->name);
    return QN_ERROR(QN_INVALID_ARGUMENT, "unknown type '%s'; known are %s", name, names);
}

/* ---- what the model is ---------------------------------------------------------------------------------------- */

/* The part that a tensor plays, as far as the mixes tell parts apart. */
enum role {
    ROLE_OTHER,
    ROLE_OUTPUT,
    ROLE_EMBEDDING,
    ROLE_VALUE, /* attention values, also fused with queries and keys */
    ROLE_KEY,
    ROLE_ATTENTION_OUT,
    ROLE_FFN_DOWN,
};

struct model {
    bool falcon;
    bool shared_heads_80; /* 80 layers with grouped attention: values are an eighth of the queries there */
    bool tied;            /* the embedding serves as output matrix */
    uint64_t layers, experts, heads_per_kv;
    uint32_t value_count;
};

static bool contains(struct qn_str text, const char *part)
{
    size_t size = strlen(part);
    for (size_t at = 0; at + size <= text.size; at++)
        if (memcmp(text.data + at, part, size) == 0)
            return true;
    return false;
}

static enum role role_of(struct qn_str name)
{
    static const struct {
        const char *part;
        enum role role;
    } parts[] = {
        {"attn_qkv.weight", ROLE_VALUE}, {"attn_kv_b.weight", ROLE_VALUE},           {"attn_v.weight", ROLE_VALUE},
        {"attn_k.weight", ROLE_KEY},     {"attn_output.weight", ROLE_ATTENTION_OUT}, {"ffn_down", ROLE_FFN_DOWN},
    };
    if (qn_str_is(name, "output.weight"))
        return ROLE_OUTPUT;
    if (qn_str_is(name, "token_embd.weight") || qn_str_is(name, "per_layer_token_embd.weight"))
        return ROLE_EMBEDDING;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (contains(name, parts[i].part))
            return parts[i].role;
    return ROLE_OTHER;
}

/* <architecture>.<suffix>, the first element of an array; `fallback` when absent. */
static qn_status get_count(const struct qn_model *model, struct qn_str architecture, const char *suffix,
                           uint64_t fallback, uint64_t *out)
{
    char key[256];
    uint32_t index;
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    snprintf(key, sizeof key, "%.*s.%s", QN_STR_ARG(architecture), suffix);
    *out = fallback;
    if (!qn_model_find_meta(model, key, &index))
        return NULL;
    QN_TRY(qn_model_meta(model, index, &meta));
    if (meta.kind == QN_META_ARRAY && meta.count > 0 &&
        (meta.elem_kind == QN_META_INT || meta.elem_kind == QN_META_UINT)) {
        struct qn_meta_item item;
        QN_TRY(qn_model_meta_item(model, index, 0, &item));
        *out = item.kind == QN_META_INT && item.as.i < 0 ? 0 : item.as.u;
        return NULL;
    }
    bool found;
    return qn_model_get_u64(model, key, out, &found);
}

qn_status qn_mix_model_read(const struct qn_model *model, struct qn_mix_model *out)
{
    struct qn_model_text architecture = {"", 0};
    bool found;
    QN_TRY(qn_model_get_text(model, "general.architecture", &architecture, &found));
    out->architecture = (struct qn_str){architecture.data, architecture.size};
    QN_TRY(get_count(model, out->architecture, "block_count", 0, &out->layers));
    QN_TRY(get_count(model, out->architecture, "expert_count", 0, &out->experts));
    QN_TRY(get_count(model, out->architecture, "attention.head_count", 0, &out->heads));
    return get_count(model, out->architecture, "attention.head_count_kv", out->heads, &out->kv_heads);
}

static struct model describe(const struct qn_mix_model *mix, const struct qn_model_tensor *tensors, uint32_t count)
{
    struct model model = {.layers = mix->layers, .experts = mix->experts, .tied = true};
    model.heads_per_kv = mix->kv_heads ? mix->heads / mix->kv_heads : 0;
    model.falcon = qn_str_is(mix->architecture, "falcon");
    model.shared_heads_80 =
        mix->layers == 80 && (qn_str_is(mix->architecture, "qwen2") ||
                              (qn_str_is(mix->architecture, "llama") && mix->heads != mix->kv_heads));
    for (uint32_t i = 0; i < count; i++) {
        enum role role = role_of(qn_str_from(tensors[i].name));
        model.value_count += role == ROLE_VALUE;
        model.tied &= role != ROLE_OUTPUT;
    }
    return model;
}

/* ---- the mixes ------------------------------------------------------------------------------------------------ */

/* The first and last eighth of the layers, and every third between. */
static bool is_outer(uint64_t i, uint64_t count)
{
    return i < count / 8 || i >= 7 * count / 8 || (i - count / 8) % 3 == 2;
}

static qn_dtype output_type(const struct model *model, qn_dtype base, uint64_t row)
{
    bool odd_row = row % qn_dtype_info(base)->block_elems != 0;
    if (base == QN_DTYPE_MXFP4 || model->falcon || odd_row || base == QN_DTYPE_Q8_0)
        return QN_DTYPE_Q8_0;
    return QN_DTYPE_Q6_K;
}

static qn_dtype value_type(const struct model *model, enum qn_scheme_id scheme, qn_dtype base, uint32_t i)
{
    bool grouped = model->heads_per_kv >= 4;
    qn_dtype type = base;
    if (model->experts == 8)
        return QN_DTYPE_Q8_0;
    if (scheme == QN_SCHEME_Q2_K)
        type = grouped ? QN_DTYPE_Q4_K : QN_DTYPE_Q3_K;
    else if (scheme == QN_SCHEME_Q2_K_S && grouped)
        type = QN_DTYPE_Q4_K;
    else if (scheme == QN_SCHEME_Q3_K_M)
        type = i < 2 ? QN_DTYPE_Q5_K : QN_DTYPE_Q4_K;
    else if (scheme == QN_SCHEME_Q3_K_L)
        type = QN_DTYPE_Q5_K;
    else if ((scheme == QN_SCHEME_IQ4_NL || scheme == QN_SCHEME_IQ4_XS) && grouped)
        type = QN_DTYPE_Q5_K;
    else if ((scheme == QN_SCHEME_Q4_K_M || scheme == QN_SCHEME_Q5_K_M) && is_outer(i, model->value_count))
        type = QN_DTYPE_Q6_K;
    else if (scheme == QN_SCHEME_Q4_K_S && i < 4)
        type = QN_DTYPE_Q5_K;
    if (model->shared_heads_80 && (type == QN_DTYPE_Q3_K || type == QN_DTYPE_Q4_K))
        type = QN_DTYPE_Q5_K;
    return type;
}

static qn_dtype down_type(const struct model *model, enum qn_scheme_id scheme, qn_dtype base, uint64_t i)
{
    uint64_t n = model->layers;
    bool outer = is_outer(i, n), falcon = model->falcon;
    if (scheme == QN_SCHEME_Q2_K)
        return QN_DTYPE_Q3_K;
    if (scheme == QN_SCHEME_Q3_K_M)
        return i < n / 16 ? QN_DTYPE_Q5_K : !falcon || outer ? QN_DTYPE_Q4_K : QN_DTYPE_Q3_K;
    if (scheme == QN_SCHEME_Q3_K_L)
        return falcon ? QN_DTYPE_Q4_K : QN_DTYPE_Q5_K;
    if (scheme == QN_SCHEME_Q4_K_M && falcon)
        return i < n / 16 ? QN_DTYPE_Q6_K : outer ? QN_DTYPE_Q5_K : QN_DTYPE_Q4_K;
    if ((scheme == QN_SCHEME_Q4_K_M || scheme == QN_SCHEME_Q5_K_M) && outer)
        return QN_DTYPE_Q6_K;
    bool first = i < n / 8;
    if (scheme == QN_SCHEME_Q2_K_S && first)
        return QN_DTYPE_Q4_K;
    if ((scheme == QN_SCHEME_IQ4_NL || scheme == QN_SCHEME_IQ4_XS || (scheme == QN_SCHEME_Q4_K_S && !falcon)) && first)
        return QN_DTYPE_Q5_K;
    return base;
}

static qn_dtype attention_out_type(const struct model *model, enum qn_scheme_id scheme, qn_dtype base)
{
    if (model->falcon)
        return scheme == QN_SCHEME_Q3_K_L ? QN_DTYPE_Q4_K : base;
    if (model->experts == 8) {
        bool raised = base == QN_DTYPE_Q2_K || scheme == QN_SCHEME_Q3_K_S || scheme == QN_SCHEME_Q3_K_M ||
                      base == QN_DTYPE_Q4_K || base == QN_DTYPE_IQ4_NL || base == QN_DTYPE_IQ4_XS;
        return raised ? QN_DTYPE_Q5_K : base;
    }
    if (scheme == QN_SCHEME_Q2_K)
        return QN_DTYPE_Q3_K;
    if (scheme == QN_SCHEME_Q3_K_M)
        return QN_DTYPE_Q4_K;
    return scheme == QN_SCHEME_Q3_K_L ? QN_DTYPE_Q5_K : base;
}

/* ---- which tensors -------------------------------------------------------------------------------------------- */

/* Dimensions that are more than a leading 1. */
static uint32_t real_rank(const struct qn_model_tensor *tensor)
{
    uint32_t skipped = 0;
    while (skipped + 1 < tensor->rank && tensor->dims[skipped] == 1)
        skipped++;
    return tensor->rank - skipped;
}

/* Weights with at least two dimensions, but not norms, routers, positions, convolutions and other small tables that
 * would save little and lose much. */
static bool is_quantised(const struct qn_model_tensor *tensor)
{
    struct qn_str name = qn_str_from(tensor->name);
    static const char *const kept[] = {
        "_norm.weight",
        "ffn_gate_inp.weight",
        "ffn_gate_tid2eid.weight",
        "altup",
        "laurel",
        "per_layer_model_proj",
        "ssm_conv1d",
        "shortconv.conv.weight",
        "indexer.k_proj.weight",
        "indexer.q_proj.weight",
        "time_mix_first.weight",
        "time_mix_w0.weight",
        "time_mix_w1.weight",
        "time_mix_w2.weight",
        "time_mix_v0.weight",
        "time_mix_v1.weight",
        "time_mix_v2.weight",
        "time_mix_a0.weight",
        "time_mix_a1.weight",
        "time_mix_a2.weight",
        "time_mix_g1.weight",
        "time_mix_g2.weight",
        "time_mix_decay_w1.weight",
        "time_mix_decay_w2.weight",
        "time_mix_lerp_fused.weight",
        "attn_rel_b.weight",
        ".position_embd",
        "sam.pos_embd",
        "sam.neck.",
        "sam.net_",
        ".rel_pos",
        ".patch_embd",
        ".patch_merger",
        "a.rvq.codebook",
        "mm.a.code_embd",
    };
    if (real_rank(tensor) < 2 || !qn_quant(tensor->dtype)->dequantise || !qn_str_ends(name, QN_STR("weight")) ||
        qn_str_is(name, "position_embd.weight") || qn_str_is(name, "token_types.weight"))
        return false;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (contains(name, kept[i]))
            return false;
    return true;
}

/* The type of 32-element blocks that stands in where rows are no multiple of 256, F16 where they are none of 32. */
static qn_dtype fitting_type(qn_dtype type, uint64_t row)
{
    if (row % qn_dtype_info(type)->block_elems == 0)
        return type;
    switch (type) {
    case QN_DTYPE_Q2_K:
    case QN_DTYPE_Q3_K:
    case QN_DTYPE_TQ1_0:
    case QN_DTYPE_TQ2_0:
        type = QN_DTYPE_Q4_0;
        break;
    case QN_DTYPE_Q4_K:
        type = QN_DTYPE_Q5_0;
        break;
    case QN_DTYPE_Q5_K:
        type = QN_DTYPE_Q5_1;
        break;
    case QN_DTYPE_Q6_K:
        type = QN_DTYPE_Q8_0;
        break;
    case QN_DTYPE_IQ4_XS:
        type = QN_DTYPE_IQ4_NL;
        break;
    default:
        break;
    }
    return row % qn_dtype_info(type)->block_elems == 0 ? type : QN_DTYPE_F16;
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

struct entry {
    struct qn_str name;
    int64_t layer; /* -1 outside the layers */
    uint32_t index;
};

/* The number in "blk.<n>.", -1 when the name does not start so. */
static int64_t layer_of(struct qn_str name)
{
    if (!qn_str_starts(name, QN_STR("blk.")))
        return -1;
    int64_t layer = 0;
    size_t at = 4;
    for (; at < name.size && at < 12 && name.data[at] >= '0' && name.data[at] <= '9'; at++)
        layer = layer * 10 + (name.data[at] - '0');
    return at > 4 && at < name.size && name.data[at] == '.' ? layer : -1;
}

/* By layer, then by name: tensors of a kind are counted in this order, however the file has them. */
static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    size_t size = x->name.size < y->name.size ? x->name.size : y->name.size;
    int order = memcmp(x->name.data, y->name.data, size);
    return order ? order : (x->name.size > y->name.size) - (x->name.size < y->name.size);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

struct counters {
    uint32_t values, downs;
};

static qn_dtype mixed_type(const struct model *model, enum qn_scheme_id scheme, const struct qn_model_tensor *tensor,
                           int64_t layer, struct counters *counters)
{
    qn_dtype base = qn_scheme(scheme)->base;
    enum role role = role_of(qn_str_from(tensor->name));
    if (role == ROLE_OUTPUT || (role == ROLE_EMBEDDING && model->tied))
        return output_type(model, base, tensor->dims[tensor->rank - 1]);
    if (scheme == QN_SCHEME_MXFP4_MOE)
        return real_rank(tensor) > 2 ? QN_DTYPE_MXFP4 : QN_DTYPE_Q8_0;
    switch (role) {
    case ROLE_VALUE:
        return value_type(model, scheme, base, counters->values++);
    case ROLE_KEY:
        return model->experts == 8 ? QN_DTYPE_Q8_0 : base;
    case ROLE_FFN_DOWN: {
        /* One down projection an expert, or a shared one beside them: then only the name tells the layer. */
        uint64_t count = counters->downs++;
        return down_type(model, scheme, base, model->experts > 1 && layer >= 0 ? (uint64_t)layer : count);
    }
    case ROLE_ATTENTION_OUT:
        return attention_out_type(model, scheme, base);
    case ROLE_EMBEDDING:
        return base == QN_DTYPE_TQ1_0 || base == QN_DTYPE_TQ2_0 ? QN_DTYPE_Q4_K : base;
    case ROLE_OTHER:
    case ROLE_OUTPUT:
        break;
    }
    return base;
}

qn_status qn_tensor_types(const struct qn_mix_model *mix, const struct qn_model_tensor *tensors, uint32_t count,
                          enum qn_scheme_id scheme, bool pure, const struct qn_allocator *allocator,
                          struct qn_tensor_choice *choices)
{
    struct model model = describe(mix, tensors, count);
    struct entry *order = qn_calloc(allocator, (size_t)count + 1, sizeof *order);
    if (!order)
        return QN_OOM();
    for (uint32_t i = 0; i < count; i++) {
        struct qn_str name = qn_str_from(tensors[i].name);
        order[i] = (struct entry){name, layer_of(name), i};
    }
    qsort(order, count, sizeof *order, compare_entries);
    qn_dtype base = qn_scheme(scheme)->base;
    struct counters counters = {0, 0};
    for (uint32_t i = 0; i < count; i++) {
        const struct qn_model_tensor *tensor = &tensors[order[i].index];
        struct qn_tensor_choice *choice = &choices[order[i].index];
        *choice = (struct qn_tensor_choice){tensor->dtype, false};
        if (!is_quantised(tensor))
            continue;
        qn_dtype wanted = base;
        if (!pure && qn_dtype_is_block(base))
            wanted = mixed_type(&model, scheme, tensor, order[i].layer, &counters);
        choice->dtype = fitting_type(wanted, tensor->dims[tensor->rank - 1]);
        choice->fallback = choice->dtype != wanted;
    }
    qn_free(allocator, order, ((size_t)count + 1) * sizeof *order);
    return NULL;
}

/* ---- rules that name tensors ---------------------------------------------------------------------------------- */

/* '*' any run of characters, '?' any one. */
static bool glob(const char *pattern, const char *text)
{
    const char *star = NULL, *after = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            after = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++after;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

bool qn_keep_matches(const struct qn_convert_keep *rule, const char *name)
{
    return strpbrk(rule->pattern, "*?") ? glob(rule->pattern, name) : strstr(name, rule->pattern) != NULL;
}

static qn_status keep(const struct qn_model_tensor *tensor, const struct qn_convert_keep *rule,
                      struct qn_tensor_choice *choice)
{
    uint64_t row = tensor->rank ? tensor->dims[tensor->rank - 1] : 1;
    if (rule->dtype != QN_DTYPE_NONE && row % qn_dtype_info(rule->dtype)->block_elems != 0)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "rule '%s=%s': tensor '%s' has rows of %llu elements, no multiple of the type's %u",
                        rule->pattern, qn_dtype_name(rule->dtype), tensor->name, (unsigned long long)row,
                        qn_dtype_info(rule->dtype)->block_elems);
    *choice = (struct qn_tensor_choice){rule->dtype == QN_DTYPE_NONE ? tensor->dtype : rule->dtype, false};
    return NULL;
}

qn_status qn_tensor_types_keep(const struct qn_model_tensor *tensors, uint32_t count,
                               const struct qn_convert_keep *keeps, size_t keep_count, struct qn_tensor_choice *choices)
{
    for (size_t k = 0; k < keep_count; k++) {
        if (keeps[k].dtype != QN_DTYPE_NONE && !qn_quant(keeps[k].dtype)->quantise)
            return QN_ERROR(QN_INVALID_ARGUMENT, "rule '%s=%s': that type is read, but not written", keeps[k].pattern,
                            qn_dtype_name(keeps[k].dtype));
        bool used = false;
        for (uint32_t i = 0; i < count; i++) {
            if (!qn_quant(tensors[i].dtype)->dequantise || !qn_keep_matches(&keeps[k], tensors[i].name))
                continue;
            used = true;
            size_t first = 0;
            while (first < k && !qn_keep_matches(&keeps[first], tensors[i].name))
                first++;
            if (first == k)
                QN_TRY(keep(&tensors[i], &keeps[k], &choices[i]));
        }
        if (!used)
            return QN_ERROR(QN_INVALID_ARGUMENT, "rule '%s' names no tensor of the model", keeps[k].pattern);
    }
    return NULL;
}

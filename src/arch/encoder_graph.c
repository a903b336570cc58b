#include "arch/encoder_graph.h"

#include <math.h>
#include <stdio.h>

#include "arch/encoder_blocks.h"

/* ---- configuration -------------------------------------------------------------------------------------------- */

static bool find_text(const struct qn_lm_source *source, struct qn_str key, struct qn_str *out)
{
    struct qn_lm_value value;
    if (!source->value(source->context, key, 0, &value) || value.array || value.item.kind != QN_META_TEXT)
        return false;
    *out = (struct qn_str){value.item.as.text.data ? value.item.as.text.data : "", value.item.as.text.size};
    return true;
}

bool qn_encoder_is(const struct qn_lm_source *source)
{
    struct qn_str name;
    const struct qn_arch *arch = find_text(source, QN_STR("general.architecture"), &name) ? qn_arch_find(name) : NULL;
    return arch && arch->encoder;
}

struct word {
    const char *name;
    int64_t value;
};

static const struct word activations[] = {
    {"gelu", QN_ACTIVATION_GELU_ERF}, {"gelu_tanh", QN_ACTIVATION_GELU_TANH}, {"silu", QN_ACTIVATION_SILU},
    {"relu", QN_ACTIVATION_RELU},     {"tanh", QN_ACTIVATION_TANH},
};

static const struct word heads[] = {
    {"sequence_classification", QN_ENCODER_HEAD_SEQUENCE},
    {"token_classification", QN_ENCODER_HEAD_TOKEN},
    {"question_answering", QN_ENCODER_HEAD_ANSWER},
    {"fill_mask", QN_ENCODER_HEAD_FILL},
};

/* The word that a key has; absent: the fallback. */
static int64_t read_word(const struct qn_lm_keys *keys, const char *name, const struct word *words, size_t count,
                         int64_t fallback)
{
    struct qn_str text = qn_lm_key_str(keys, name);
    char known[160] = "";
    if (*keys->status || !text.data)
        return fallback;
    for (size_t i = 0, used = 0; i < count; i++) {
        if (qn_str_is(text, words[i].name))
            return words[i].value;
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", words[i].name);
    }
    *keys->status = QN_ERROR(QN_UNSUPPORTED, "%.*s: key '%.*s.%s' is '%.*s'; known are %s",
                             QN_STR_ARG(keys->source->file), QN_STR_ARG(keys->arch), name, QN_STR_ARG(text), known);
    return fallback;
}

#define WORDS(table) table, sizeof(table) / sizeof(table)[0]

/* Rows of a matrix, 0 where there is no such tensor. */
static uint32_t rows_of(const struct qn_lm_source *source, struct qn_str name)
{
    struct qn_lm_tensor tensor;
    if (!source->find(source->context, name, &tensor) || tensor.type.rank < 2)
        return 0;
    qn_dim rows = tensor.type.dims[tensor.type.rank - 2];
    return rows > 0 && rows <= 1 << 24 ? (uint32_t)rows : 0;
}

static qn_status check_kind(const struct qn_lm_keys *keys, const struct qn_lm_config *c)
{
    if (*keys->status)
        return *keys->status;
    if (qn_lm_key_bool(keys, "attention.causal", false) && !*keys->status)
        return QN_ERROR(QN_UNSUPPORTED, "%.*s: key '%.*s.attention.causal' is true; expected an encoder's false",
                        QN_STR_ARG(keys->source->file), QN_STR_ARG(keys->arch));
    if (c->heads != c->kv_heads)
        return QN_ERROR(QN_UNSUPPORTED, "%.*s: %u key-value heads for %u heads; expected as many of both",
                        QN_STR_ARG(keys->source->file), c->kv_heads, c->heads);
    return *keys->status;
}

qn_status qn_encoder_config_read(const struct qn_lm_source *source, struct qn_encoder_config *out)
{
    struct qn_encoder_config c = {0};
    QN_TRY(qn_lm_config_read(source, &c.lm));
    qn_status status = NULL;
    const struct qn_lm_keys keys = {.source = source, .arch = c.lm.arch, .status = &status};
    QN_TRY(check_kind(&keys, &c.lm));
    bool gated = rows_of(source, QN_STR("blk.0.ffn_gate.weight")) != 0;
    c.token_types = rows_of(source, QN_STR("token_types.weight"));
    c.labels = rows_of(source, QN_STR("cls.output.weight"));
    c.head = (enum qn_encoder_head)read_word(&keys, "head", WORDS(heads),
                                             c.labels ? QN_ENCODER_HEAD_SEQUENCE : QN_ENCODER_HEAD_NONE);
    c.activation =
        read_word(&keys, "hidden_activation", WORDS(activations), gated ? QN_ACTIVATION_SILU : QN_ACTIVATION_GELU_ERF);
    c.head_activation = read_word(&keys, "head_activation", WORDS(activations),
                                  c.head == QN_ENCODER_HEAD_FILL ? c.activation : QN_ACTIVATION_TANH);
    if (c.head == QN_ENCODER_HEAD_FILL && !rows_of(source, QN_STR("mlm.dense.weight")))
        c.head = QN_ENCODER_HEAD_NONE; /* a conversion has left it out */
    else if (c.head == QN_ENCODER_HEAD_FILL)
        c.labels = c.lm.vocabulary;
    if (!status && c.head != QN_ENCODER_HEAD_NONE && !c.labels)
        status = QN_ERROR(QN_INVALID_FILE, "%.*s: tensor 'cls.output.weight' is missing; expected [labels, %u]",
                          QN_STR_ARG(source->file), c.lm.dim);
    if (!status && c.head == QN_ENCODER_HEAD_ANSWER && c.labels != 2)
        status = QN_ERROR(QN_INVALID_FILE,
                          "%.*s: tensor 'cls.output.weight' has %u rows; expected 2, start and end of an answer",
                          QN_STR_ARG(source->file), c.labels);
    if (!status)
        *out = c;
    return status;
}

/* ---- the graph ------------------------------------------------------------------------------------------------ */

/* Each token sees its text up to the last token: 0 there, -infinity behind. */
static qn_value make_mask(struct qn_lm *lm, qn_value last)
{
    struct qn_build *b = &lm->b;
    struct qn_attr_iota attr = {.count = lm->l, .dtype = QN_DTYPE_I32};
    qn_value key = qn_build_node(b, QN_OP_iota, NULL, 0, &attr, NULL);
    key = qn_build_reshape(b, key, 2, (qn_dim[]){1, lm->l});
    qn_value end = qn_build_reshape(b, last, 2, (qn_dim[]){lm->n, 1});
    qn_value visible = qn_build_binary(b, QN_OP_less_equal, key, end);
    qn_value mask = qn_build_where(b, visible, qn_build_scalar(b, 0.0f), qn_build_scalar(b, -INFINITY));
    return qn_build_reshape(b, mask, 4, (qn_dim[]){lm->n, 1, 1, lm->l});
}

static void build_inputs(struct qn_lm *lm, const struct qn_lm_options *options)
{
    lm->n = qn_lm_symbol(lm, "N", options->chunk);
    qn_dim s = qn_lm_symbol(lm, "S", options->sequences);
    lm->l = qn_lm_symbol(lm, "L", options->positions);
    qn_dim r = qn_lm_symbol(lm, "R", options->chunk);
    lm->tokens = qn_lm_input(lm, "tokens", 1, lm->n, 0);
    lm->types = qn_lm_input(lm, "types", 1, lm->n, 0);
    lm->pos = qn_lm_input(lm, "pos", 1, lm->n, 0);
    qn_value last = qn_lm_input(lm, "last", 1, lm->n, 0);
    lm->seq = qn_lm_input(lm, "seq", 1, lm->n, 0);
    lm->rows = qn_lm_input(lm, "rows", 2, s, lm->l);
    lm->out_rows = qn_lm_input(lm, "out_rows", 1, r, 0);
    lm->token_rows = qn_build_gather(&lm->b, lm->rows, lm->seq, 0, QN_DTYPE_NONE);
    lm->mask = make_mask(lm, last);
}

qn_status qn_encoder_build(const struct qn_encoder_config *config, const struct qn_lm_source *source,
                           const struct qn_lm_options *options, struct qn_graph *graph)
{
    const struct qn_arch *arch = qn_arch_find(config->lm.arch);
    struct qn_lm_options all = *options;
    all.kv_dtype = QN_DTYPE_F32;
    qn_status status = !arch || !arch->encoder
                           ? QN_ERROR(QN_UNSUPPORTED, "'%.*s' is no encoder", QN_STR_ARG(config->lm.arch))
                           : qn_lm_check_config(&config->lm, &all);
    if (!status) {
        struct qn_lm lm = {.b.graph = graph,
                           .config = &config->lm,
                           .encoder = config,
                           .source = source,
                           .options = &all,
                           .packs = true};
        lm.keys = (struct qn_lm_keys){.source = source, .arch = config->lm.arch, .status = &lm.b.status};
        build_inputs(&lm, options);
        if (!lm.b.status)
            arch->build(&lm);
        status = lm.b.status;
    }
    return qn_status_note(status, "%.*s", QN_STR_ARG(source->file));
}

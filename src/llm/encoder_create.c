#include "llm/encoder_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "format/model_graph.h"
#include "platform/cpu.h"

enum { DEFAULT_BATCH = 1024, ROWS_A_TOKEN = 8 };

/* ---- creation ------------------------------------------------------------------------------------------------- */

static qn_status make_step(struct qn_encoder *e)
{
    size_t chunk = e->chunk, rows;
    if (!qn_mul_size(chunk, ROWS_A_TOKEN, &rows))
        return QN_OOM();
    e->step.row_count = rows;
    e->step_count = 6 * chunk + rows;
    e->step_memory = qn_calloc(e->allocator, e->step_count, sizeof *e->step_memory);
    if (!e->step_memory)
        return QN_OOM();
    int32_t *at = e->step_memory;
    int32_t **parts[] = {&e->step.tokens, &e->step.types, &e->step.pos, &e->step.last, &e->step.seq, &e->step.out_rows};
    for (size_t i = 0; i < 6; i++, at += chunk)
        *parts[i] = at;
    e->step.rows = at;
    return NULL;
}

static qn_status read_labels(struct qn_encoder *e)
{
    char key[128];
    uint32_t index;
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    snprintf(key, sizeof key, "%.*s.classifier.output_labels", QN_STR_ARG(e->config.lm.arch));
    if (e->config.head == QN_ENCODER_HEAD_NONE || e->config.head == QN_ENCODER_HEAD_FILL)
        return NULL;
    const char **labels = QN_ARENA_ARRAY(&e->arena, const char *, e->config.labels);
    if (!labels)
        return QN_OOM();
    bool named = qn_model_find_meta(e->model, key, &index);
    if (named)
        QN_TRY(qn_model_meta(e->model, index, &meta));
    named = named && meta.kind == QN_META_ARRAY && meta.elem_kind == QN_META_TEXT && meta.count == e->config.labels;
    for (uint32_t i = 0; i < e->config.labels; i++) {
        struct qn_meta_item item = {0};
        if (named)
            QN_TRY(qn_model_meta_item(e->model, index, i, &item));
        struct qn_str label = {item.as.text.data, item.as.text.size};
        labels[i] = named ? qn_arena_str(&e->arena, label).data : qn_arena_printf(&e->arena, "LABEL_%u", i).data;
        if (!labels[i])
            return QN_OOM();
    }
    e->labels = labels;
    return NULL;
}

static qn_status create(struct qn_encoder *e, const struct qn_encoder_options *options)
{
    QN_TRY(qn_model_encoder_config(e->model, &e->config));
    uint32_t context = e->config.lm.context;
    if (context > 1u << 24 || options->batch_tokens > 1u << 24)
        return QN_ERROR(QN_INVALID_ARGUMENT, "texts of %u tokens in batches of %u; expected at most %u", context,
                        options->batch_tokens, 1u << 24);
    e->chunk = options->batch_tokens ? options->batch_tokens : DEFAULT_BATCH;
    if (e->chunk < context)
        e->chunk = context;
    QN_TRY(qn_sentence_read(e->model, e->config.lm.dim, &e->arena, &e->sentence));
    QN_TRY(read_labels(e));
    QN_TRY(make_step(e));
    struct qn_lm_options sizes = {.chunk = e->chunk, .sequences = e->chunk, .positions = context};
    struct qn_graph *graph;
    QN_TRY(qn_model_encoder_graph(e->model, &e->config, &sizes, e->allocator, &graph));
    struct qn_compile_options compile = {.threads = options->threads,
                                         .f32_activations = options->f32_activations,
                                         .disabled_passes = options->disabled_passes};
    QN_TRY(qn_compiled_init(&e->compiled, graph, e->model, &compile, e->allocator));
    qn_cpu_features_text(e->compiled.features, e->cpu);
    return qn_frame_create(e->compiled.exec, &e->frame);
}

bool qn_encoder_takes(const struct qn_model *model)
{
    return qn_model_is_encoder(model);
}

qn_status qn_encoder_create(struct qn_model *model, const struct qn_encoder_options *options, struct qn_encoder **out)
{
    struct qn_encoder_options all = {.struct_size = sizeof all};
    *out = NULL;
    if (options && options->struct_size < sizeof options->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_encoder_options: struct_size is not set");
    if (options)
        memcpy(&all, options, options->struct_size < sizeof all ? options->struct_size : sizeof all);
    const struct qn_allocator *a = all.allocator ? all.allocator : qn_allocator_default();
    struct qn_encoder *e = qn_calloc(a, 1, sizeof *e);
    if (!e)
        return QN_OOM();
    e->allocator = a;
    e->model = model;
    qn_arena_init(&e->arena, a);
    qn_status status = create(e, &all);
    if (status)
        qn_encoder_destroy(e);
    else
        *out = e;
    return status;
}

void qn_encoder_destroy(struct qn_encoder *e)
{
    if (!e)
        return;
    qn_frame_destroy(e->frame);
    qn_compiled_deinit(&e->compiled);
    qn_free(e->allocator, e->step_memory, e->step_count * sizeof *e->step_memory);
    qn_arena_deinit(&e->arena);
    qn_free(e->allocator, e, sizeof *e);
}

/* ---- what it is ----------------------------------------------------------------------------------------------- */

static bool is_multi_label(const struct qn_encoder *e)
{
    char key[128];
    bool found, multi = false;
    snprintf(key, sizeof key, "%.*s.multi_label", QN_STR_ARG(e->config.lm.arch));
    qn_status status = qn_model_get_bool(e->model, key, &multi, &found);
    qn_status_free(status);
    return !status && found && multi;
}

void qn_encoder_get_info(const struct qn_encoder *e, struct qn_encoder_info *info)
{
    static const enum qn_encoder_task tasks[] = {
        [QN_ENCODER_HEAD_NONE] = QN_ENCODER_EMBED,
        [QN_ENCODER_HEAD_SEQUENCE] = QN_ENCODER_CLASSIFY,
        [QN_ENCODER_HEAD_TOKEN] = QN_ENCODER_CLASSIFY_TOKENS,
        [QN_ENCODER_HEAD_ANSWER] = QN_ENCODER_ANSWER,
        [QN_ENCODER_HEAD_FILL] = QN_ENCODER_FILL_MASK,
    };
    const struct qn_lm_config *c = &e->config.lm;
    uint32_t own = e->sentence.max_tokens;
    struct qn_encoder_info all = {
        .struct_size = info->struct_size,
        .task = tasks[e->config.head],
        .dim = c->dim,
        .embedding = qn_encoder_embedding_size(e, NULL),
        .labels = e->config.labels,
        .vocabulary = c->vocabulary,
        .layers = c->layers,
        .threads = qn_pool_threads(e->compiled.pool),
        .types = e->config.token_types,
        .context = c->context,
        .max_tokens = own && own < c->context ? own : c->context,
        .pooling = e->sentence.pooling,
        .normalizes = e->sentence.normalizes,
        .multi_label = is_multi_label(e),
        .cpu = e->cpu,
    };
    memcpy(info, &all, info->struct_size < sizeof all ? info->struct_size : sizeof all);
}

const char *qn_encoder_label(const struct qn_encoder *e, uint32_t index)
{
    return e->labels && index < e->config.labels ? e->labels[index] : NULL;
}

const char *qn_encoder_prompt(const struct qn_encoder *e, const char *name)
{
    const struct qn_sentence *s = &e->sentence;
    name = name ? name : s->default_prompt;
    for (uint32_t i = 0; name && i < s->prompt_count; i++)
        if (strcmp(s->prompts[i].name, name) == 0)
            return s->prompts[i].text;
    return NULL;
}

const char *qn_encoder_prompt_name(const struct qn_encoder *e, uint32_t index)
{
    return index < e->sentence.prompt_count ? e->sentence.prompts[index].name : NULL;
}

void qn_encoder_cancel(struct qn_encoder *e)
{
    __atomic_store_n(&e->cancelled, 1, __ATOMIC_RELAXED);
}

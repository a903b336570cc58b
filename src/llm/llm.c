#include "llm/llm.h"

#include <stdio.h>

#include "base/checked.h"
#include "format/model.h"
#include "format/model_graph.h"
#include "platform/cpu.h"

enum { DEFAULT_CHUNK = 512 };

/* ---- creation ------------------------------------------------------------------------------------------------- */

static qn_status choose_sizes(struct qn_llm *llm, const struct qn_llm_options *options)
{
    const struct qn_lm_config *c = &llm->config;
    llm->context = options->context ? options->context : c->context;
    if (llm->context > 1u << 28)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a context of %u positions; expected at most %u", llm->context, 1u << 28);
    /* Learned positions end where their table ends; rotary ones go on, at the user's own risk. */
    if (llm->context > c->context && qn_str_is(c->arch, "gpt2"))
        return QN_ERROR(QN_INVALID_ARGUMENT, "a context of %u positions; this model has learned %u", llm->context,
                        c->context);
    llm->chunk = options->chunk ? options->chunk : DEFAULT_CHUNK;
    if (llm->chunk > llm->context)
        llm->chunk = llm->context;
    uint32_t page_count = (llm->context + QN_KV_PAGE - 1) / QN_KV_PAGE;
    llm->graph_options = (struct qn_lm_options){
        .chunk = llm->chunk,
        .sequences = 1,
        .positions = page_count * QN_KV_PAGE,
        .cache_rows = page_count * QN_KV_PAGE,
        .kv_dtype = options->kv_dtype ? options->kv_dtype : QN_DTYPE_F16,
    };
    qn_dtype kv = llm->graph_options.kv_dtype;
    if (kv != QN_DTYPE_F32 && kv != QN_DTYPE_F16 && kv != QN_DTYPE_Q8_0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "KV cache type %s; expected f32, f16 or q8_0", qn_dtype_name(kv));
    return qn_kv_pages_init(&llm->pages, page_count, llm->allocator);
}

static qn_status make_step(struct qn_llm *llm)
{
    size_t chunk = llm->chunk, positions = llm->graph_options.positions;
    llm->step_count = 6 * chunk + positions + llm->context;
    llm->step_memory = qn_calloc(llm->allocator, llm->step_count, sizeof *llm->step_memory);
    if (!llm->step_memory)
        return QN_OOM();
    int32_t *at = llm->step_memory;
    int32_t **parts[] = {&llm->step.tokens, &llm->step.pos,      &llm->step.slot,
                         &llm->step.seq,    &llm->step.out_rows, &llm->step.stretch};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++, at += chunk)
        *parts[i] = at;
    llm->step.rows = at;
    llm->history = at + positions;
    return NULL;
}

static qn_status create(struct qn_llm *llm, const struct qn_llm_options *options)
{
    QN_TRY(qn_model_lm_config(llm->model, &llm->config));
    QN_TRY(choose_sizes(llm, options));
    QN_TRY(make_step(llm));
    struct qn_graph *graph;
    QN_TRY(qn_model_lm_graph(llm->model, &llm->config, &llm->graph_options, llm->allocator, &graph));
    struct qn_compile_options compile = {.threads = options->threads,
                                         .f32_activations =
                                             options->f32_activations || qn_model_float_activations(llm->model),
                                         .disabled_passes = options->disabled_passes};
    QN_TRY(qn_compiled_init(&llm->compiled, graph, llm->model, &compile, llm->allocator));
    qn_cpu_features_text(llm->compiled.features, llm->cpu);
    return NULL;
}

qn_status qn_llm_create(struct qn_model *model, const struct qn_llm_options *options, struct qn_llm **out)
{
    struct qn_llm_options all = {.struct_size = sizeof all};
    if (options && options->struct_size < sizeof options->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_llm_options: struct_size is not set");
    if (options)
        memcpy(&all, options, options->struct_size < sizeof all ? options->struct_size : sizeof all);
    const struct qn_allocator *a = all.allocator ? all.allocator : qn_allocator_default();
    struct qn_llm *llm = qn_calloc(a, 1, sizeof *llm);
    if (!llm)
        return QN_OOM();
    llm->allocator = a;
    llm->model = model;
    llm->pages.allocator = a;
    qn_status status = create(llm, &all);
    if (status)
        qn_llm_destroy(llm);
    else
        *out = llm;
    return status;
}

void qn_llm_destroy(struct qn_llm *llm)
{
    if (!llm)
        return;
    qn_compiled_deinit(&llm->compiled);
    qn_kv_release(&llm->pages, &llm->sequence);
    qn_kv_pages_deinit(&llm->pages);
    qn_free(llm->allocator, llm->step_memory, llm->step_count * sizeof *llm->step_memory);
    qn_free(llm->allocator, llm, sizeof *llm);
}

void qn_llm_get_info(const struct qn_llm *llm, struct qn_llm_info *info)
{
    struct qn_llm_info all = {
        .struct_size = info->struct_size,
        .context = llm->context,
        .vocabulary = llm->config.vocabulary,
        .layers = llm->config.layers,
        .threads = qn_pool_threads(llm->compiled.pool),
        .chunk = llm->chunk,
        .steps = llm->compiled.plan->steps.count,
        .cpu = llm->cpu,
    };
    qn_exec_memory(llm->compiled.exec, &all.kv_bytes, &all.workspace_bytes);
    memcpy(info, &all, info->struct_size < sizeof all ? info->struct_size : sizeof all);
}

/* ---- the sequence --------------------------------------------------------------------------------------------- */

/* One forward step over `count` tokens from position `start` on, whose cache rows the sequence has. all: logits of
 * every token go there; otherwise those of the last token stay in the executor. */
static qn_status step_at(struct qn_llm *llm, uint32_t start, const int32_t *tokens, uint32_t count, float *all)
{
    uint32_t end = start + count;
    struct qn_llm_step *step = &llm->step;
    uint32_t wanted = all ? count : 1;
    for (uint32_t i = 0; i < count; i++) {
        step->tokens[i] = tokens[i];
        step->pos[i] = (int32_t)(start + i);
        step->slot[i] = qn_kv_row(&llm->sequence, start + i);
        step->seq[i] = 0;
        step->stretch[i] = llm->stretched;
        step->rows[start + i] = step->slot[i]; /* earlier positions keep their rows */
    }
    for (uint32_t i = 0; i < wanted; i++)
        step->out_rows[i] = (int32_t)(count - wanted + i);
    struct qn_exec_tensor inputs[] = {
        {.data = step->tokens, .rank = 1, .dims = {count}},  {.data = step->pos, .rank = 1, .dims = {count}},
        {.data = step->slot, .rank = 1, .dims = {count}},    {.data = step->seq, .rank = 1, .dims = {count}},
        {.data = step->rows, .rank = 2, .dims = {1, end}},   {.data = step->out_rows, .rank = 1, .dims = {wanted}},
        {.data = step->stretch, .rank = 1, .dims = {count}}, /* read by graphs with LongRoPE only */
    };
    uint64_t row = (uint64_t)llm->config.vocabulary * sizeof(float);
    struct qn_exec_tensor output = {.data = all, .bytes = wanted * row};
    llm->settled = QN_LLM_UNSETTLED; /* a step that ends early leaves some layers' states behind */
    QN_TRY(qn_exec_run(llm->compiled.exec, inputs, &output, &llm->cancelled));
    llm->settled = end;
    llm->logits = (float *)output.data + (size_t)(wanted - 1) * llm->config.vocabulary;
    return NULL;
}

/* A step at the end of the sequence. */
static qn_status forward(struct qn_llm *llm, const int32_t *tokens, uint32_t count, float *all)
{
    uint32_t start = llm->sequence.positions;
    QN_TRY(qn_kv_grow(&llm->pages, &llm->sequence, start + count));
    qn_status status = step_at(llm, start, tokens, count, all);
    if (status)
        qn_kv_truncate(&llm->pages, &llm->sequence, start);
    else
        memmove(llm->history + start, tokens, count * sizeof *tokens);
    return status;
}

/* Recurrent states hold one position only. Where the sequence has gone back to another one, its tokens are evaluated
 * again from the start. */
static qn_status settle(struct qn_llm *llm)
{
    uint32_t end = llm->sequence.positions;
    if (llm->config.kv.kind != QN_LM_KV_RECURRENT || llm->settled == end)
        return NULL;
    for (uint32_t done = 0; done < end; done += llm->chunk)
        QN_TRY(step_at(llm, done, llm->history + done, end - done < llm->chunk ? end - done : llm->chunk, NULL));
    return NULL;
}

/* The forward steps for tokens that fit. */
static qn_status forward_all(struct qn_llm *llm, const int32_t *tokens, size_t count, float *all_logits)
{
    qn_status status = NULL;
    for (size_t done = 0; done < count && !status; done += llm->chunk) {
        uint32_t part = count - done < llm->chunk ? (uint32_t)(count - done) : llm->chunk;
        float *rows = all_logits ? all_logits + done * llm->config.vocabulary : NULL;
        status = forward(llm, tokens + done, part, rows);
    }
    return status;
}

/* LongRoPE turns all keys of a sequence otherwise once it is longer than the original context: when it comes to pass
 * that line, in either direction, what is in the cache is computed anew. */
static qn_status choose_stretch(struct qn_llm *llm, size_t end)
{
    const struct qn_rope_config *rope = &llm->config.rope;
    bool stretched = rope->scaling == QN_ROPE_SCALING_LONGROPE && (double)end > rope->original_context;
    uint32_t count = llm->sequence.positions;
    if (stretched == llm->stretched)
        return NULL;
    llm->stretched = stretched;
    qn_kv_truncate(&llm->pages, &llm->sequence, 0);
    return forward_all(llm, llm->history, count, NULL);
}

qn_status qn_llm_eval(struct qn_llm *llm, const int32_t *tokens, size_t count, float *all_logits)
{
    if (count > llm->context - llm->sequence.positions)
        return QN_ERROR(QN_OUT_OF_RANGE, "%zu tokens do not fit: the context holds %u and %u are in use", count,
                        llm->context, llm->sequence.positions);
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= llm->config.vocabulary)
            return QN_ERROR(QN_INVALID_ARGUMENT, "token %zu is %d; the vocabulary has %u", i, tokens[i],
                            llm->config.vocabulary);
    qn_status status = choose_stretch(llm, llm->sequence.positions + count);
    if (!status && count)
        status = settle(llm);
    if (!status)
        status = forward_all(llm, tokens, count, all_logits);
    if (qn_status_code(status) == QN_CANCELLED)
        __atomic_store_n(&llm->cancelled, 0, __ATOMIC_RELAXED);
    return status;
}

const float *qn_llm_logits(const struct qn_llm *llm)
{
    return llm->logits;
}

uint32_t qn_llm_position(const struct qn_llm *llm)
{
    return llm->sequence.positions;
}

const int32_t *qn_llm_tokens(const struct qn_llm *llm)
{
    return llm->history;
}

void qn_llm_truncate(struct qn_llm *llm, uint32_t position)
{
    qn_kv_truncate(&llm->pages, &llm->sequence, position);
    llm->logits = NULL;
}

qn_status qn_llm_shift(struct qn_llm *llm, uint32_t keep, uint32_t drop)
{
    uint32_t position = llm->sequence.positions;
    if (keep > position || drop > position - keep)
        return QN_ERROR(QN_INVALID_ARGUMENT, "cannot keep %u and drop %u of %u tokens", keep, drop, position);
    uint32_t rest = position - keep - drop;
    int32_t *tokens = qn_alloc(llm->allocator, (rest + 1) * sizeof *tokens);
    if (!tokens)
        return QN_OOM();
    memcpy(tokens, llm->history + keep + drop, rest * sizeof *tokens);
    qn_llm_truncate(llm, keep);
    qn_status status = qn_llm_eval(llm, tokens, rest, NULL);
    qn_free(llm->allocator, tokens, (rest + 1) * sizeof *tokens);
    return status;
}

void qn_llm_cancel(struct qn_llm *llm)
{
    __atomic_store_n(&llm->cancelled, 1, __ATOMIC_RELAXED);
}

void qn_llm_observe(struct qn_llm *llm, qn_observe_fn fn, void *context)
{
    qn_exec_observe(llm->compiled.exec, fn, context);
}

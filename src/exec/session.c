#include "quern/session.h"

#include <string.h>

#include "exec/compiled.h"
#include "format/model_graph.h"
#include "passes/pass.h"

enum { DEFAULT_CHUNK = 512, MAX_INPUTS = 64 };

struct qn_session {
    const struct qn_allocator *allocator;
    struct qn_compiled compiled;
    volatile int cancelled;
};

/* Options of any earlier struct_size, brought to the size of today. */
static qn_status read_options(const struct qn_session_options *given, struct qn_session_options *options)
{
    *options = (struct qn_session_options){.struct_size = sizeof *options};
    if (given && given->struct_size < sizeof given->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_session_options: struct_size is not set");
    if (given)
        memcpy(options, given, given->struct_size < sizeof *options ? given->struct_size : sizeof *options);
    if (!options->allocator)
        options->allocator = qn_allocator_default();
    return NULL;
}

static qn_status make_graph(struct qn_model *model, const struct qn_session_options *options, struct qn_graph **out)
{
    struct qn_lm_config config;
    QN_TRY(qn_model_lm_config(model, &config));
    uint32_t context = options->context ? options->context : config.context;
    struct qn_lm_options lm = {
        .chunk = options->chunk ? options->chunk : DEFAULT_CHUNK,
        .sequences = 1,
        .positions = context,
        .cache_rows = context,
        .kv_dtype = options->kv_dtype ? options->kv_dtype : QN_DTYPE_F16,
    };
    return qn_model_lm_graph(model, &config, &lm, options->allocator, out);
}

qn_status qn_session_create(struct qn_model *model, const struct qn_session_options *given, struct qn_session **out)
{
    struct qn_session_options options;
    QN_TRY(read_options(given, &options));
    struct qn_graph *graph;
    QN_TRY(make_graph(model, &options, &graph));
    struct qn_session *session = qn_calloc(options.allocator, 1, sizeof *session);
    if (!session) {
        qn_graph_destroy(graph);
        return QN_OOM();
    }
    session->allocator = options.allocator;
    struct qn_compile_options compile = {.threads = options.threads,
                                         .f32_activations = options.f32_activations,
                                         .disabled_passes = options.disabled_passes};
    qn_status status = qn_compiled_init(&session->compiled, graph, model, &compile, options.allocator);
    if (status)
        qn_free(options.allocator, session, sizeof *session);
    else
        *out = session;
    return status;
}

void qn_session_destroy(struct qn_session *session)
{
    if (!session)
        return;
    qn_compiled_deinit(&session->compiled);
    qn_free(session->allocator, session, sizeof *session);
}

/* ---- slots ---------------------------------------------------------------------------------------------------- */

static const struct qn_plan_slot *slots(const struct qn_session *session, enum qn_slot_kind kind, uint32_t *count)
{
    const struct qn_plan *plan = session->compiled.plan;
    *count = kind == QN_SLOT_INPUT    ? plan->inputs.count
             : kind == QN_SLOT_OUTPUT ? plan->outputs.count
                                      : plan->states.count;
    return kind == QN_SLOT_INPUT    ? plan->inputs.items
           : kind == QN_SLOT_OUTPUT ? plan->outputs.items
                                    : plan->states.items;
}

uint32_t qn_session_slot_count(const struct qn_session *session, enum qn_slot_kind kind)
{
    uint32_t count;
    slots(session, kind, &count);
    return count;
}

qn_status qn_session_slot(const struct qn_session *session, enum qn_slot_kind kind, uint32_t index,
                          struct qn_slot_info *out)
{
    uint32_t count;
    const struct qn_plan *plan = session->compiled.plan;
    const struct qn_plan_slot *all = slots(session, kind, &count);
    if (index >= count)
        return QN_ERROR(QN_OUT_OF_RANGE, "slot %u of %u", index, count);
    const struct qn_plan_tensor *tensor = &plan->tensors.items[all[index].tensor];
    struct qn_slot_info info = {.struct_size = out->struct_size,
                                .name = plan->text.items + all[index].name,
                                .dtype = tensor->dtype,
                                .rank = tensor->rank};
    for (uint32_t i = 0; i < tensor->rank; i++)
        info.dims[i] = tensor->dims[i] < 0 ? -1 : tensor->dims[i];
    memcpy(out, &info, out->struct_size < sizeof info ? out->struct_size : sizeof info);
    return NULL;
}

int32_t qn_session_find(const struct qn_session *session, enum qn_slot_kind kind, const char *name)
{
    uint32_t count;
    const struct qn_plan_slot *all = slots(session, kind, &count);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(session->compiled.plan->text.items + all[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

/* ---- running -------------------------------------------------------------------------------------------------- */

static qn_status check_inputs(const struct qn_plan *plan, const struct qn_tensor *inputs, uint32_t input_count,
                              uint32_t output_count)
{
    if (input_count != plan->inputs.count || output_count != plan->outputs.count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u inputs and %u outputs given; the model has %u and %u", input_count,
                        output_count, plan->inputs.count, plan->outputs.count);
    if (input_count > MAX_INPUTS || output_count > MAX_INPUTS)
        return QN_ERROR(QN_UNSUPPORTED, "more than %d inputs or outputs", MAX_INPUTS);
    for (uint32_t i = 0; i < input_count; i++) {
        const char *name = plan->text.items + plan->inputs.items[i].name;
        qn_dtype expected = plan->tensors.items[plan->inputs.items[i].tensor].dtype;
        if (inputs[i].dtype != expected)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected %s, given %s", name, qn_dtype_name(expected),
                            qn_dtype_name(inputs[i].dtype));
        uint64_t need = qn_dtype_info(expected)->block_bytes;
        if (inputs[i].rank > QN_MAX_RANK)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': rank %u", name, inputs[i].rank);
        for (uint32_t k = 0; k < inputs[i].rank; k++)
            if (inputs[i].dims[k] < 0 || __builtin_mul_overflow(need, (uint64_t)inputs[i].dims[k], &need))
                return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': its shape overflows or is negative", name);
        if (!inputs[i].data || inputs[i].bytes < need)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': its shape needs %llu bytes, given %zu", name,
                            (unsigned long long)need, inputs[i].data ? inputs[i].bytes : 0);
    }
    return NULL;
}

qn_status qn_session_run(struct qn_session *session, const struct qn_tensor *inputs, uint32_t input_count,
                         struct qn_tensor *outputs, uint32_t output_count)
{
    const struct qn_plan *plan = session->compiled.plan;
    QN_TRY(check_inputs(plan, inputs, input_count, output_count));
    struct qn_exec_tensor in[MAX_INPUTS], out[MAX_INPUTS];
    for (uint32_t i = 0; i < input_count; i++) {
        in[i] = (struct qn_exec_tensor){.data = inputs[i].data, .bytes = inputs[i].bytes, .rank = inputs[i].rank};
        memcpy(in[i].dims, inputs[i].dims, sizeof in[i].dims);
    }
    for (uint32_t i = 0; i < output_count; i++)
        out[i] = (struct qn_exec_tensor){.data = outputs[i].data, .bytes = outputs[i].bytes};
    qn_status status = qn_exec_run(session->compiled.exec, in, out, &session->cancelled);
    if (qn_status_code(status) == QN_CANCELLED)
        session->cancelled = 0;
    for (uint32_t i = 0; i < output_count && !status; i++) {
        outputs[i].data = out[i].data;
        outputs[i].dtype = plan->tensors.items[plan->outputs.items[i].tensor].dtype;
        outputs[i].rank = out[i].rank;
        memcpy(outputs[i].dims, out[i].dims, sizeof out[i].dims);
    }
    return status;
}

void qn_session_reset(struct qn_session *session)
{
    qn_exec_clear_states(session->compiled.exec);
}

void qn_session_cancel(struct qn_session *session)
{
    session->cancelled = 1;
}

/* ---- looking inside ------------------------------------------------------------------------------------------- */

qn_status qn_graph_text(struct qn_model *model, const struct qn_session_options *given, bool optimised, char **text,
                        size_t *size)
{
    struct qn_session_options options;
    QN_TRY(read_options(given, &options));
    struct qn_graph *graph;
    QN_TRY(make_graph(model, &options, &graph));
    struct qn_strbuf buffer;
    qn_strbuf_init(&buffer, options.allocator);
    qn_status status = optimised ? qn_optimise(&graph, options.disabled_passes, NULL) : NULL;
    if (!status)
        status = qn_graph_print(graph, &buffer);
    qn_graph_destroy(graph);
    *text = status ? NULL : qn_alloc(options.allocator, buffer.size + 1);
    if (!status && !*text)
        status = QN_OOM();
    if (!status) {
        memcpy(*text, buffer.data ? buffer.data : "", buffer.size);
        (*text)[buffer.size] = 0;
        *size = buffer.size;
    }
    qn_strbuf_deinit(&buffer);
    return status;
}

void qn_graph_text_free(const struct qn_session_options *given, char *text, size_t size)
{
    const struct qn_allocator *allocator = given && given->allocator ? given->allocator : qn_allocator_default();
    qn_free(allocator, text, text ? size + 1 : 0);
}

qn_status qn_graph_passes(struct qn_model *model, const struct qn_session_options *given, struct qn_pass_info *infos,
                          uint32_t *count)
{
    struct qn_session_options options;
    QN_TRY(read_options(given, &options));
    if (*count < QN_PASS_COUNT) {
        *count = QN_PASS_COUNT;
        return QN_ERROR(QN_INVALID_ARGUMENT, "there are %d passes", QN_PASS_COUNT);
    }
    struct qn_graph *graph;
    QN_TRY(make_graph(model, &options, &graph));
    struct qn_pass_report reports[QN_PASS_COUNT];
    qn_status status = qn_optimise(&graph, options.disabled_passes, reports);
    qn_graph_destroy(graph);
    QN_TRY(status);
    *count = QN_PASS_COUNT;
    for (uint32_t i = 0; i < QN_PASS_COUNT; i++)
        infos[i] = (struct qn_pass_info){.name = qn_passes[i].name,
                                         .summary = qn_passes[i].summary,
                                         .enabled = reports[i].ran,
                                         .nodes_before = reports[i].nodes_before,
                                         .nodes_after = reports[i].nodes_after};
    return NULL;
}

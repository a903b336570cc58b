/* Sessions: a model's graph compiled, its slots, and the simplest way to run it. */
#include <string.h>

#include "exec/session_impl.h"
#include "passes/pass.h"

/* Options of any earlier struct_size, brought to the size of today. */
static qn_status read_options(const struct qn_session_options *given, struct qn_session_options *options)
{
    *options = (struct qn_session_options){.struct_size = sizeof *options};
    if (given && given->struct_size < sizeof given->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_session_options: struct_size is not set");
    if (given)
        memcpy(options, given, given->struct_size < sizeof *options ? given->struct_size : sizeof *options);
    options->struct_size = sizeof *options;
    if (!options->allocator)
        options->allocator = qn_allocator_default();
    return NULL;
}

static void destroy_source(struct qn_body_source *source)
{
    if (source)
        source->destroy(source->context);
}

/* ---- slots ---------------------------------------------------------------------------------------------------- */

static const struct qn_plan_slot *plan_slots(const struct qn_plan *plan, enum qn_slot_kind kind, uint32_t *count)
{
    *count = kind == QN_SLOT_INPUT    ? plan->inputs.count
             : kind == QN_SLOT_OUTPUT ? plan->outputs.count
                                      : plan->states.count;
    return kind == QN_SLOT_INPUT    ? plan->inputs.items
           : kind == QN_SLOT_OUTPUT ? plan->outputs.items
                                    : plan->states.items;
}

/* How the file calls a slot whose type is not known before the run, and the dtype where it is a tensor. */
static enum qn_data_message message_of(const struct qn_model *model, enum qn_slot_kind kind, const char *name,
                                       qn_dtype *dtype)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    qn_status status = qn_model_info(model, &info);
    uint32_t count = status ? 0 : kind == QN_SLOT_INPUT ? info.input_count : info.output_count;
    qn_status_free(status);
    for (uint32_t i = 0; i < count; i++) {
        struct qn_model_port port = {.struct_size = sizeof port};
        status = kind == QN_SLOT_INPUT ? qn_model_input(model, i, &port) : qn_model_output(model, i, &port);
        bool found = !status && strcmp(port.name, name) == 0;
        qn_status_free(status);
        if (found)
            *dtype = port.dtype;
        if (found)
            return strncmp(port.type, "sequence", 8) == 0   ? QN_DATA_MESSAGE_SEQUENCE
                   : strncmp(port.type, "optional", 8) == 0 ? QN_DATA_MESSAGE_OPTIONAL
                                                            : QN_DATA_MESSAGE_TENSOR;
    }
    return QN_DATA_MESSAGE_TENSOR;
}

static void describe_slot(const struct qn_session *session, enum qn_slot_kind kind, const struct qn_plan_slot *slot,
                          struct qn_slot_info *out)
{
    const struct qn_plan *plan = session->compiled.plan;
    const struct qn_plan_tensor *tensor = &plan->tensors.items[slot->tensor];
    bool object = tensor->dtype == QN_DTYPE_OBJECT;
    *out = (struct qn_slot_info){.struct_size = sizeof *out,
                                 .name = plan->text.items + slot->name,
                                 .dtype = object ? QN_DTYPE_NONE : (qn_dtype)tensor->dtype,
                                 .rank = object ? 0 : tensor->rank,
                                 .kind = object ? QN_DATA_NONE : QN_DATA_TENSOR};
    for (uint32_t i = 0; i < out->rank; i++) {
        qn_dim dim = tensor->dims[i];
        out->dims[i] = dim < 0 ? -1 : dim;
        if (dim < 0 && plan->exprs.items[~dim].op == QN_EXPR_SYMBOL)
            out->dim_names[i] = plan->text.items + plan->symbol_names.items[plan->exprs.items[~dim].a];
    }
    if (object)
        out->message = message_of(session->model, kind, out->name, &out->dtype);
    out->optional = kind == QN_SLOT_INPUT && out->message == QN_DATA_MESSAGE_OPTIONAL;
}

static qn_status describe_slots(struct qn_session *session)
{
    for (int kind = QN_SLOT_INPUT; kind <= QN_SLOT_STATE; kind++) {
        uint32_t count;
        const struct qn_plan_slot *slots = plan_slots(session->compiled.plan, (enum qn_slot_kind)kind, &count);
        session->slots[kind] = qn_calloc(session->allocator, count + 1, sizeof *session->slots[kind]);
        if (!session->slots[kind])
            return QN_OOM();
        session->slot_counts[kind] = count;
        for (uint32_t i = 0; i < count; i++)
            describe_slot(session, (enum qn_slot_kind)kind, &slots[i], &session->slots[kind][i]);
    }
    return NULL;
}

uint32_t qn_session_threads(const struct qn_session *session)
{
    return qn_pool_threads(session->compiled.pool);
}

uint32_t qn_session_slot_count(const struct qn_session *session, enum qn_slot_kind kind)
{
    return session->slot_counts[kind];
}

qn_status qn_session_slot(const struct qn_session *session, enum qn_slot_kind kind, uint32_t index,
                          struct qn_slot_info *out)
{
    if (out->struct_size < sizeof out->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_slot_info: struct_size is not set");
    if (index >= session->slot_counts[kind])
        return QN_ERROR(QN_OUT_OF_RANGE, "slot %u of %u", index, session->slot_counts[kind]);
    struct qn_slot_info info = session->slots[kind][index];
    info.struct_size = out->struct_size;
    memcpy(out, &info, out->struct_size < sizeof info ? out->struct_size : sizeof info);
    return NULL;
}

int32_t qn_session_find(const struct qn_session *session, enum qn_slot_kind kind, const char *name)
{
    for (uint32_t i = 0; i < session->slot_counts[kind]; i++)
        if (strcmp(session->slots[kind][i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

/* ---- creation ------------------------------------------------------------------------------------------------- */

/* Whom to tell who takes which node; `told` NULL: nobody. */
struct partition {
    qn_partition_fn told;
    void *context;
};

static void tell(void *context, const struct qn_graph *graph, qn_node n, const struct qn_backend *backend,
                 const char *why)
{
    const struct partition *partition = context;
    const struct qn_node_info *node = qn_graph_node(graph, n);
    partition->told(partition->context, node->name.size ? node->name.data : "", qn_op_info(node->op)->name,
                    backend->name, why);
}

/* Text of the caller's, which may go when the session is there; NULL stays NULL. */
static bool keep_text(struct qn_session *session, const char **text)
{
    if (!*text)
        return true;
    *text = qn_arena_str(&session->kept, qn_str_from(*text)).data;
    return *text != NULL;
}

/* The options once more, for a second session of the same kind. */
static qn_status keep_options(struct qn_session *session, const struct qn_session_options *options)
{
    struct qn_session_options *o = &session->options;
    *o = *options;
    struct qn_dim_size *dims = QN_ARENA_ARRAY(&session->kept, struct qn_dim_size, (size_t)o->dim_count + 1);
    const char **given = QN_ARENA_ARRAY(&session->kept, const char *, (size_t)o->given_count + 1);
    const struct qn_extension **extensions =
        QN_ARENA_ARRAY(&session->kept, const struct qn_extension *, (size_t)o->extension_count + 1);
    bool ok =
        dims && given && extensions && keep_text(session, &o->disabled_passes) && keep_text(session, &o->backends);
    for (uint32_t i = 0; ok && i < o->dim_count; i++) {
        dims[i] = options->dims[i];
        ok = keep_text(session, &dims[i].name);
    }
    for (uint32_t i = 0; ok && i < o->given_count; i++) {
        given[i] = options->given_inputs[i];
        ok = keep_text(session, &given[i]);
    }
    for (uint32_t i = 0; ok && i < o->extension_count; i++)
        extensions[i] = options->extensions[i];
    o->dims = dims;
    o->given_inputs = given;
    o->extensions = extensions;
    return ok ? NULL : QN_OOM();
}

static qn_status create(struct qn_session *session, const struct qn_session_options *options, bool sizes_at_hand,
                        struct partition *partition)
{
    struct qn_graph *graph;
    QN_TRY(keep_options(session, options));
    QN_TRY(qn_backends_init(&session->backends, options->backends, options->extensions, options->extension_count,
                            session->allocator));
    QN_TRY(qn_model_graph(session->model, options, sizes_at_hand, session->allocator, &graph, &session->source));
    struct qn_compile_options compile = {.threads = options->threads,
                                         .f32_activations = options->f32_activations,
                                         .disabled_passes = options->disabled_passes,
                                         .prepare = options->prepare,
                                         .backends = session->backends.preferred,
                                         .backend_count = session->backends.count,
                                         .bodies = session->source};
    if (partition->told) {
        compile.partition = tell;
        compile.partition_context = partition;
    }
    QN_TRY(qn_compiled_init(&session->compiled, graph, session->model, &compile, session->allocator));
    return describe_slots(session);
}

static qn_status make_session(const struct qn_model *model, const struct qn_session_options *given,
                              struct partition partition, bool sizes_at_hand, struct qn_session **out)
{
    struct qn_session_options options;
    QN_TRY(read_options(given, &options));
    struct qn_session *session = qn_calloc(options.allocator, 1, sizeof *session);
    if (!session)
        return QN_OOM();
    session->allocator = options.allocator;
    session->model = model;
    qn_arena_init(&session->kept, session->allocator);
    qn_status status = create(session, &options, sizes_at_hand, &partition);
    if (status)
        qn_session_destroy(session);
    else
        *out = session;
    return status;
}

qn_status qn_session_create(struct qn_model *model, const struct qn_session_options *options, struct qn_session **out)
{
    return make_session(model, options, (struct partition){0}, false, out);
}

qn_status qn_graph_partition(struct qn_model *model, const struct qn_session_options *options, qn_partition_fn told,
                             void *context)
{
    struct qn_session *session;
    QN_TRY(make_session(model, options, (struct partition){told, context}, false, &session));
    qn_session_destroy(session);
    return NULL;
}

qn_status qn_session_general(struct qn_session *session, struct qn_session **out)
{
    qn_status status = NULL;
    qn_mutex_lock(&session->lock);
    if (!session->general)
        status = make_session(session->model, &session->options, (struct partition){0}, true, &session->general);
    *out = session->general;
    qn_mutex_unlock(&session->lock);
    return status;
}

void qn_session_destroy(struct qn_session *session)
{
    if (!session)
        return;
    qn_run_destroy(session->run);
    qn_session_destroy(session->general);
    qn_arena_deinit(&session->kept);
    qn_compiled_deinit(&session->compiled);
    destroy_source(session->source);
    qn_backends_deinit(&session->backends);
    for (int kind = QN_SLOT_INPUT; kind <= QN_SLOT_STATE; kind++)
        qn_free(session->allocator, session->slots[kind],
                session->slots[kind] ? (session->slot_counts[kind] + 1) * sizeof *session->slots[kind] : 0);
    qn_free(session->allocator, session, sizeof *session);
}

/* ---- running -------------------------------------------------------------------------------------------------- */

static qn_status run(struct qn_session *session, const struct qn_tensor *inputs, struct qn_data *data,
                     struct qn_tensor *outputs)
{
    uint32_t input_count = session->slot_counts[QN_SLOT_INPUT], output_count = session->slot_counts[QN_SLOT_OUTPUT];
    for (uint32_t i = 0; i < input_count; i++) {
        data[i] = (struct qn_data){.kind = QN_DATA_TENSOR, .tensor = inputs[i]};
        QN_TRY(qn_run_bind_input(session->run, i, &data[i]));
    }
    for (uint32_t i = 0; i < output_count; i++)
        QN_TRY(qn_run_bind_output(session->run, i, outputs[i].data ? &outputs[i] : NULL));
    QN_TRY(qn_run_execute(session->run));
    for (uint32_t i = 0; i < output_count; i++) {
        struct qn_data result;
        QN_TRY(qn_run_output(session->run, i, &result));
        if (result.kind != QN_DATA_TENSOR)
            return QN_ERROR(QN_UNSUPPORTED, "output '%s' is no tensor: run the session through a qn_run",
                            session->slots[QN_SLOT_OUTPUT][i].name);
        size_t room = outputs[i].data ? outputs[i].bytes : result.tensor.bytes;
        outputs[i] = result.tensor;
        outputs[i].bytes = room;
    }
    return NULL;
}

qn_status qn_session_run(struct qn_session *session, const struct qn_tensor *inputs, uint32_t input_count,
                         struct qn_tensor *outputs, uint32_t output_count)
{
    if (input_count != session->slot_counts[QN_SLOT_INPUT] || output_count != session->slot_counts[QN_SLOT_OUTPUT])
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u inputs and %u outputs given; the model has %u and %u", input_count,
                        output_count, session->slot_counts[QN_SLOT_INPUT], session->slot_counts[QN_SLOT_OUTPUT]);
    if (__atomic_exchange_n(&session->busy, 1, __ATOMIC_ACQUIRE))
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "qn_session_run is under way in another thread: give each thread a qn_run");
    const struct qn_allocator *a = session->allocator;
    struct qn_data few[16] = {0}, *data = few;
    qn_status status = session->run ? NULL : qn_run_create(session, &session->run);
    if (!status && input_count > 16 && !(data = qn_calloc(a, input_count, sizeof *data)))
        status = QN_OOM();
    if (!status) {
        qn_run_cancelled_by(session->run, &session->cancelled);
        status = run(session, inputs, data, outputs);
    }
    for (uint32_t i = 0; session->run && i < input_count; i++)
        qn_status_free(qn_run_bind_input(session->run, i, NULL)); /* nothing stays bound to the caller's memory */
    if (data != few)
        qn_free(a, data, input_count * sizeof *data);
    __atomic_store_n(&session->busy, 0, __ATOMIC_RELEASE);
    return status;
}

void qn_session_reset(struct qn_session *session)
{
    if (session->run)
        qn_run_reset(session->run);
}

void qn_session_cancel(struct qn_session *session)
{
    __atomic_store_n(&session->cancelled, 1, __ATOMIC_RELAXED);
}

/* ---- looking inside ------------------------------------------------------------------------------------------- */

/* The passes as a session with these options runs them. */
static qn_status optimise(struct qn_graph **graph, const struct qn_session_options *options,
                          struct qn_pass_report *reports)
{
    struct qn_backends backends;
    QN_TRY(qn_backends_init(&backends, options->backends, options->extensions, options->extension_count,
                            options->allocator));
    qn_status status = qn_optimise(graph, options->disabled_passes, backends.preferred, backends.count, reports);
    qn_backends_deinit(&backends);
    return status;
}

qn_status qn_graph_text(struct qn_model *model, const struct qn_session_options *given, bool optimised, char **text,
                        size_t *size)
{
    struct qn_session_options options;
    QN_TRY(read_options(given, &options));
    struct qn_graph *graph;
    struct qn_body_source *source;
    QN_TRY(qn_model_graph(model, &options, false, options.allocator, &graph, &source));
    struct qn_strbuf buffer;
    qn_strbuf_init(&buffer, options.allocator);
    qn_status status = optimised ? optimise(&graph, &options, NULL) : NULL;
    if (!status)
        status = qn_graph_print(graph, &buffer);
    qn_graph_destroy(graph);
    destroy_source(source);
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
    struct qn_body_source *source;
    QN_TRY(qn_model_graph(model, &options, false, options.allocator, &graph, &source));
    struct qn_pass_report reports[QN_PASS_COUNT];
    qn_status status = optimise(&graph, &options, reports);
    qn_graph_destroy(graph);
    destroy_source(source);
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

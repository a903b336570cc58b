#include "exec/compiled.h"

#include "format/model_graph.h"
#include "platform/cpu.h"

/* Tensors that the model's files have in another form. */
static qn_status make_tensor(const void *context, uint64_t number, void *out, uint64_t bytes)
{
    const struct qn_model *model = context;
    struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
    uint64_t rows = 1;
    QN_TRY(qn_model_tensor(model, (uint32_t)number, &tensor));
    for (uint32_t i = 0; i + 1 < tensor.rank; i++)
        rows *= tensor.dims[i];
    if (tensor.bytes != bytes)
        return QN_ERROR(QN_INTERNAL, "tensor '%s': %llu bytes asked for", tensor.name, (unsigned long long)bytes);
    return qn_model_read_rows(model, (uint32_t)number, 0, rows, out);
}

/* The files of the model, or none for a graph that needs none: bodies may refer to any of them. */
static qn_status list_files(const struct qn_compiled *c, const struct qn_model *model, struct qn_exec_file **out,
                            uint32_t *count)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    if (model)
        QN_TRY(qn_model_info(model, &info));
    struct qn_exec_file *files = qn_calloc(c->allocator, info.file_count + 1, sizeof *files);
    if (!files)
        return QN_OOM();
    for (uint32_t i = 0; i < info.file_count; i++)
        files[i].map = *qn_model_file_map(model, i);
    if (model) /* the file after all others, see format/model_graph.c */
        files[info.file_count++] = (struct qn_exec_file){.make = make_tensor, .context = model};
    *out = files;
    *count = info.file_count;
    return NULL;
}

static qn_status make_exec(struct qn_compiled *c, const struct qn_model *model,
                           const struct qn_compile_options *options, const struct qn_plan_options *plan)
{
    struct qn_exec_file *files = NULL;
    uint32_t file_count = 0;
    QN_TRY(list_files(c, model, &files, &file_count));
    qn_status status = qn_exec_create(c->plan, c->pool, files, file_count, c->allocator, &c->exec);
    qn_free(c->allocator, files, (file_count ? file_count : 1) * sizeof *files);
    QN_TRY(status);
    if (options->prepare)
        QN_TRY(qn_exec_prepare(c->exec));
    QN_TRY(qn_exec_forget_packed(c->exec, c->plan));
    if (!options->bodies)
        return NULL;
    struct qn_exec_bodies bodies = {.source = options->bodies,
                                    .backend = &qn_backend_cpu,
                                    .disabled_passes = options->disabled_passes,
                                    .plan = *plan};
    return qn_exec_set_bodies(c->exec, &bodies);
}

static qn_status compile(struct qn_compiled *c, struct qn_graph **graph, const struct qn_model *model,
                         const struct qn_compile_options *options)
{
    QN_TRY(qn_cpu_features(&c->features));
    if (!options->is_inner)
        qn_precompute(graph, model, options, c->allocator);
    QN_TRY(qn_optimise(graph, options->disabled_passes, options->backends, options->backend_count, NULL));
    struct qn_plan_options plan = {.features = c->features,
                                   .f32_activations = options->f32_activations,
                                   .preferred = options->backends,
                                   .preferred_count = options->backend_count,
                                   .partition = options->partition,
                                   .partition_context = options->partition_context};
    QN_TRY(qn_plan_create(*graph, &qn_backend_cpu, &plan, c->allocator, &c->plan));
    QN_TRY(qn_pool_create(options->threads, c->allocator, &c->pool));
    qn_graph_destroy(*graph); /* weights that are packed next take its place */
    *graph = NULL;
    return make_exec(c, model, options, &plan);
}

qn_status qn_compiled_init(struct qn_compiled *c, struct qn_graph *graph, const struct qn_model *model,
                           const struct qn_compile_options *options, const struct qn_allocator *allocator)
{
    *c = (struct qn_compiled){.allocator = allocator ? allocator : qn_allocator_default()};
    qn_status status = compile(c, &graph, model, options);
    qn_graph_destroy(graph);
    if (status)
        qn_compiled_deinit(c);
    return status;
}

void qn_compiled_deinit(struct qn_compiled *c)
{
    qn_exec_destroy(c->exec);
    qn_pool_destroy(c->pool);
    qn_plan_destroy(c->plan);
    c->exec = NULL;
    c->pool = NULL;
    c->plan = NULL;
}

#include "exec/compiled.h"

#include "format/model_graph.h"
#include "platform/cpu.h"

static qn_status compile(struct qn_compiled *c, struct qn_graph **graph, const struct qn_model *model,
                         const struct qn_compile_options *options)
{
    QN_TRY(qn_cpu_features(&c->features));
    QN_TRY(qn_optimise(graph, options->disabled_passes, NULL));
    struct qn_plan_options plan_options = {.features = c->features, .f32_activations = options->f32_activations};
    QN_TRY(qn_plan_create(*graph, &qn_backend_cpu, &plan_options, c->allocator, &c->plan));
    QN_TRY(qn_pool_create(options->threads, c->allocator, &c->pool));
    uint32_t file_count = (*graph)->files.count;
    struct qn_exec_file *files = qn_calloc(c->allocator, file_count + 1, sizeof *files);
    if (!files)
        return QN_OOM();
    for (uint32_t i = 0; i < file_count; i++) {
        struct qn_model_bytes bytes = qn_model_file_bytes(model, i);
        files[i] = (struct qn_exec_file){bytes.data, bytes.size};
    }
    qn_status status = qn_exec_create(c->plan, c->pool, files, file_count, c->allocator, &c->exec);
    qn_free(c->allocator, files, (file_count + 1) * sizeof *files);
    return status;
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

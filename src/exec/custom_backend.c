#include "exec/custom_backend.h"

#include <stdio.h>
#include <string.h>

#include "host/object.h"
#include "ir/node_view.h"

/* ---- one backend of an extension behind struct qn_backend ------------------------------------------------------ */

static const struct qn_custom_backend *custom_of(const struct qn_backend *backend)
{
    return backend->context;
}

static bool claim(const struct qn_backend *backend, const struct qn_graph *graph, qn_node node, char *why,
                  size_t why_size)
{
    const struct qn_custom_backend *custom = custom_of(backend);
    struct qn_arena arena;
    struct qn_node_view *view;
    qn_arena_init(&arena, graph->allocator);
    qn_status status = qn_node_view_make(graph, node, &arena, &view);
    bool takes = !status && custom->takes(custom->context, view, why, why_size);
    if (status)
        snprintf(why, why_size, "%s", qn_status_message(status));
    qn_status_free(status);
    qn_arena_deinit(&arena);
    return takes;
}

/* What a group became: the extension's program, or the one node that it runs as it is. */
struct program {
    struct qn_arena arena;
    struct qn_node_view *node; /* NULL: the extension compiled the group */
    /* Of a single node: where each of its inputs and outputs stands in the group, which has every value once and no
     * output that nobody reads. UINT32_MAX: absent. */
    uint32_t *inputs, *outputs;
    void *inner;
};

/* Numbers of values for an extension: the group's inputs, then the outputs of each node. */
static uint32_t number_of(const struct qn_group *group, qn_value v)
{
    uint32_t number = group->input_count;
    for (uint32_t i = 0; i < group->input_count; i++)
        if (group->inputs[i] == v)
            return i;
    for (uint32_t n = 0; n < group->node_count; n++) {
        const struct qn_node_info *node = qn_graph_node(group->graph, group->nodes[n]);
        if (v >= node->first_output && v < node->first_output + node->output_count)
            return number + v - node->first_output;
        number += node->output_count;
    }
    return UINT32_MAX; /* an absent input */
}

static const uint32_t *numbers(struct qn_arena *arena, const struct qn_group *group, const qn_value *values,
                               uint32_t count)
{
    uint32_t *list = QN_ARENA_ARRAY(arena, uint32_t, count + 1);
    for (uint32_t i = 0; list && i < count; i++)
        list[i] = number_of(group, values[i]);
    return list;
}

static qn_status compile_group(const struct qn_custom_backend *custom, const struct qn_group *group,
                               struct program *program)
{
    struct qn_arena *arena = &program->arena;
    const struct qn_node_view **views = QN_ARENA_ARRAY(arena, const struct qn_node_view *, group->node_count + 1);
    const uint32_t **ins = QN_ARENA_ARRAY(arena, const uint32_t *, group->node_count + 1);
    const uint32_t **outs = QN_ARENA_ARRAY(arena, const uint32_t *, group->node_count + 1);
    if (!views || !ins || !outs)
        return QN_OOM();
    for (uint32_t i = 0; i < group->node_count; i++) {
        const struct qn_node_info *node = qn_graph_node(group->graph, group->nodes[i]);
        qn_value *outputs = QN_ARENA_ARRAY(arena, qn_value, node->output_count + 1u);
        struct qn_node_view *view;
        if (!outputs)
            return QN_OOM();
        for (uint32_t k = 0; k < node->output_count; k++)
            outputs[k] = node->first_output + k;
        QN_TRY(qn_node_view_make(group->graph, group->nodes[i], arena, &view));
        views[i] = view;
        ins[i] = numbers(arena, group, group->graph->edges.items + node->first_input, node->input_count);
        outs[i] = numbers(arena, group, outputs, node->output_count);
        if (!ins[i] || !outs[i])
            return QN_OOM();
    }
    const uint32_t *results = numbers(arena, group, group->outputs, group->output_count);
    if (!results)
        return QN_OOM();
    return custom->compile(custom->context, views, group->node_count, ins, outs, group->input_count, results,
                           group->output_count, &program->inner);
}

static uint32_t position(const qn_value *values, uint32_t count, qn_value v)
{
    for (uint32_t i = 0; i < count; i++)
        if (values[i] == v)
            return i;
    return UINT32_MAX;
}

static qn_status keep_node(const struct qn_group *group, struct program *program)
{
    const struct qn_graph *g = group->graph;
    const struct qn_node_info *node = qn_graph_node(g, group->nodes[0]);
    program->inputs = QN_ARENA_ARRAY(&program->arena, uint32_t, node->input_count + 1u);
    program->outputs = QN_ARENA_ARRAY(&program->arena, uint32_t, node->output_count + 1u);
    if (!program->inputs || !program->outputs)
        return QN_OOM();
    for (uint32_t i = 0; i < node->input_count; i++)
        program->inputs[i] = position(group->inputs, group->input_count, qn_graph_input_of(g, group->nodes[0], i));
    for (uint32_t i = 0; i < node->output_count; i++)
        program->outputs[i] = position(group->outputs, group->output_count, node->first_output + i);
    return qn_node_view_make(g, group->nodes[0], &program->arena, &program->node);
}

static void release(const struct qn_backend *backend, void *program)
{
    const struct qn_custom_backend *custom = custom_of(backend);
    struct program *p = program;
    const struct qn_allocator *a = p->arena.allocator;
    if (!p->node && p->inner && custom->release)
        custom->release(custom->context, p->inner);
    qn_arena_deinit(&p->arena);
    qn_free(a, p, sizeof *p);
}

static qn_status compile(const struct qn_backend *backend, const struct qn_group *group, void **out)
{
    const struct qn_custom_backend *custom = custom_of(backend);
    const struct qn_allocator *a = group->graph->allocator;
    struct program *program = qn_calloc(a, 1, sizeof *program);
    if (!program)
        return QN_OOM();
    qn_arena_init(&program->arena, a);
    qn_status status = custom->compile ? compile_group(custom, group, program) : keep_node(group, program);
    if (status)
        release(backend, program);
    else
        *out = program;
    return qn_status_note(status, "backend %s", backend->name);
}

/* Tensors in the order of `order`, of views; order NULL: as they stand. */
static void fill(struct qn_tensor *tensors, uint32_t count, const struct qn_view *views, const uint32_t *order)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = order ? order[i] : i;
        tensors[i] = at == UINT32_MAX ? (struct qn_tensor){0} : qn_view_tensor(&views[at]);
    }
}

static qn_status run(const struct qn_backend *backend, void *program, const struct qn_view *in, uint32_t in_count,
                     const struct qn_view *out, uint32_t out_count)
{
    const struct qn_custom_backend *custom = custom_of(backend);
    struct program *p = program;
    struct qn_tensor few[16] = {0}, *tensors = few;
    if (p->node) {
        in_count = p->node->input_count;
        out_count = p->node->output_count;
    }
    uint32_t count = in_count + out_count;
    const struct qn_allocator *a = p->arena.allocator;
    if (count > 16 && !(tensors = qn_calloc(a, count, sizeof *tensors)))
        return QN_OOM();
    fill(tensors, in_count, in, p->inputs);
    fill(tensors + in_count, out_count, out, p->outputs);
    qn_status status =
        custom->run(custom->context, p->inner, p->node, tensors, in_count, tensors + in_count, out_count);
    if (tensors != few)
        qn_free(a, tensors, count * sizeof *tensors);
    return qn_status_note(status, "backend %s", backend->name);
}

/* ---- by name -------------------------------------------------------------------------------------------------- */

static const struct qn_custom_backend *find(struct qn_str name, const struct qn_extension *const *extensions,
                                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < extensions[i]->backend_count; k++)
            if (qn_str_is(name, extensions[i]->backends[k].name))
                return &extensions[i]->backends[k];
    return NULL;
}

static qn_status unknown(struct qn_str name, const struct qn_extension *const *extensions, uint32_t count)
{
    char known[300] = "cpu";
    size_t at = 3;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < extensions[i]->backend_count && at < 200; k++)
            at += (size_t)snprintf(known + at, sizeof known - at, ", %.60s", extensions[i]->backends[k].name);
    return QN_ERROR(QN_NOT_FOUND, "no backend is named '%.*s'; there are: %s", QN_STR_ARG(name), known);
}

static qn_status add(struct qn_backends *backends, const struct qn_custom_backend *custom)
{
    if (backends->count == QN_MAX_BACKENDS)
        return QN_ERROR(QN_UNSUPPORTED, "more than %d backends", QN_MAX_BACKENDS);
    struct qn_backend *made = &backends->made[backends->count];
    *made = (struct qn_backend){.name = custom->name,
                                .context = (void *)(uintptr_t)custom,
                                .single = !custom->compile,
                                .claim = claim,
                                .compile = compile,
                                .release = release,
                                .run = run};
    backends->preferred[backends->count++] = made;
    return NULL;
}

qn_status qn_backends_init(struct qn_backends *backends, const char *names,
                           const struct qn_extension *const *extensions, uint32_t extension_count,
                           const struct qn_allocator *allocator)
{
    *backends = (struct qn_backends){.allocator = allocator};
    backends->made = qn_calloc(allocator, QN_MAX_BACKENDS, sizeof *backends->made);
    if (!backends->made)
        return QN_OOM();
    qn_status status = NULL;
    for (uint32_t i = 0; i < extension_count && !status; i++)
        status = extensions[i] ? qn_extension_check(extensions[i])
                               : QN_ERROR(QN_INVALID_ARGUMENT, "extension %u of the options is NULL", i);
    for (const char *at = names; at && *at && !status;) {
        struct qn_str name = {at, strcspn(at, ",")};
        at += name.size + (at[name.size] == ',');
        const struct qn_custom_backend *custom = find(name, extensions, extension_count);
        if (custom)
            status = add(backends, custom);
        else if (qn_str_is(name, "cpu"))
            break;
        else
            status = unknown(name, extensions, extension_count);
    }
    if (status)
        qn_backends_deinit(backends);
    return status;
}

void qn_backends_deinit(struct qn_backends *backends)
{
    qn_free(backends->allocator, backends->made, backends->made ? QN_MAX_BACKENDS * sizeof *backends->made : 0);
    *backends = (struct qn_backends){.allocator = backends->allocator};
}

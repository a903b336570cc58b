#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "format/onnx/onnx_file.h"

enum { MAX_SOURCES = 10000, NEWEST_IR_VERSION = 14 };

/* ---- walking -------------------------------------------------------------------------------------------------- */

static qn_status visit_graph(const struct qn_onnx_graph *graph, const struct qn_onnx_visitor *v);

static qn_status visit_tensor(const struct qn_onnx_visitor *v, const struct qn_onnx_tensor *tensor, bool initializer)
{
    return v->tensor ? v->tensor(v->context, tensor, initializer) : NULL;
}

static qn_status visit_sparse(const struct qn_onnx_visitor *v, const struct qn_onnx_sparse *sparse, bool initializer)
{
    return v->sparse ? v->sparse(v->context, sparse, initializer) : NULL;
}

static qn_status visit_attr(const struct qn_onnx_attr *attr, const struct qn_onnx_visitor *v)
{
    if (attr->kind == QN_ONNX_ATTR_TENSOR && attr->t)
        return visit_tensor(v, attr->t, false);
    if (attr->kind == QN_ONNX_ATTR_SPARSE && attr->sparse)
        return visit_sparse(v, attr->sparse, false);
    if (attr->kind == QN_ONNX_ATTR_GRAPH && attr->g)
        return visit_graph(attr->g, v);
    for (uint64_t i = 0; i < attr->count && attr->kind == QN_ONNX_ATTR_TENSORS; i++)
        QN_TRY(visit_tensor(v, &attr->tensors[i], false));
    for (uint64_t i = 0; i < attr->count && attr->kind == QN_ONNX_ATTR_GRAPHS; i++)
        QN_TRY(visit_graph(&attr->graphs[i], v));
    return NULL;
}

static qn_status visit_nodes(const struct qn_onnx_node *nodes, uint32_t count, const struct qn_onnx_function *function,
                             const struct qn_onnx_visitor *v)
{
    for (uint32_t i = 0; i < count; i++) {
        if (v->node)
            QN_TRY(v->node(v->context, &nodes[i], function));
        for (uint32_t k = 0; k < nodes[i].attr_count; k++) {
            qn_status status = visit_attr(&nodes[i].attrs[k], v);
            if (status)
                return qn_status_note(status, "node '%.*s' (%.*s), attribute '%.*s'",
                                      QN_STR_ARG(qn_onnx_node_name(&nodes[i])), QN_STR_ARG(nodes[i].op_type),
                                      QN_STR_ARG(nodes[i].attrs[k].name));
        }
    }
    return NULL;
}

static qn_status visit_graph(const struct qn_onnx_graph *graph, const struct qn_onnx_visitor *v)
{
    for (uint32_t i = 0; i < graph->initializer_count; i++)
        QN_TRY(visit_tensor(v, &graph->initializers[i], true));
    for (uint32_t i = 0; i < graph->sparse_count; i++)
        QN_TRY(visit_sparse(v, &graph->sparse_initializers[i], true));
    return visit_nodes(graph->nodes, graph->node_count, NULL, v);
}

qn_status qn_onnx_visit(const struct qn_onnx_model *model, const struct qn_onnx_visitor *visitor)
{
    QN_TRY(visit_graph(&model->graph, visitor));
    for (uint32_t i = 0; i < model->function_count; i++) {
        const struct qn_onnx_function *function = &model->functions[i];
        QN_TRY(visit_nodes(function->nodes, function->node_count, function, visitor));
        for (uint32_t k = 0; k < function->default_count; k++)
            QN_TRY(visit_attr(&function->defaults[k], visitor));
    }
    return NULL;
}

/* ---- files beside the model ----------------------------------------------------------------------------------- */

struct sources {
    struct qn_onnx_file *file;
    struct qn_str *locations; /* NULL while they are counted */
    uint32_t count;
};

static qn_status note_external(struct sources *s, const struct qn_onnx_tensor *tensor)
{
    struct qn_onnx_external where;
    if (!tensor->external)
        return NULL;
    QN_TRY(qn_onnx_external(tensor, &where));
    if (s->file->in_memory)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "tensor '%.*s' lies in the file '%.*s': a model with external data can only be opened by path",
                        QN_STR_ARG(tensor->name), QN_STR_ARG(where.location));
    if (qn_map_get(&s->file->source_map, where.location))
        return NULL;
    if (++s->count > MAX_SOURCES)
        return QN_ERROR(QN_INVALID_FILE, "external data in more than %d files", MAX_SOURCES);
    return qn_map_put(&s->file->source_map, where.location, s->count) == QN_MAP_FAILED ? QN_OOM() : NULL;
}

static qn_status collect_tensor(void *context, const struct qn_onnx_tensor *tensor, bool initializer)
{
    (void)initializer;
    return note_external(context, tensor);
}

static qn_status collect_sparse(void *context, const struct qn_onnx_sparse *sparse, bool initializer)
{
    (void)initializer;
    QN_TRY(note_external(context, &sparse->values));
    return note_external(context, &sparse->indices);
}

static qn_status map_source(struct qn_onnx_file *file, struct qn_str folder, struct qn_str location, uint32_t index)
{
    struct qn_onnx_source *source = &file->sources[index];
    source->location = qn_arena_str(&file->arena, location);
    source->path =
        folder.size ? qn_arena_printf(&file->arena, "%.*s%s%.*s", (int)folder.size, folder.data,
                                      folder.data[folder.size - 1] == '/' ? "" : "/", (int)location.size, location.data)
                    : source->location;
    if (!source->location.data || !source->path.data)
        return QN_OOM();
    return qn_status_note(qn_file_map_beneath(folder.size ? folder.data : NULL, source->location.data, &source->map),
                          "external data");
}

static qn_status map_sources(struct qn_onnx_file *file)
{
    struct sources s = {.file = file};
    const struct qn_onnx_visitor visitor = {.context = &s, .tensor = collect_tensor, .sparse = collect_sparse};
    if (!qn_map_init(&file->source_map, &file->arena, 0))
        return QN_OOM();
    QN_TRY(qn_onnx_visit(&file->model, &visitor));
    if (!s.count)
        return NULL;
    struct qn_onnx_source *sources = QN_ARENA_ARRAY(&file->arena, struct qn_onnx_source, (size_t)s.count + 1);
    if (!sources)
        return QN_OOM();
    sources[0] = file->sources[0];
    file->sources = sources;
    struct qn_str path = sources[0].path, folder = {0};
    const char *slash = strrchr(path.data, '/');
    if (slash)
        folder =
            qn_arena_str(&file->arena, (struct qn_str){path.data, (size_t)(slash - path.data) + (slash == path.data)});
    if (slash && !folder.data)
        return QN_OOM();
    file->source_count = s.count + 1;
    for (uint32_t i = 0; i < file->source_map.capacity; i++) {
        const struct qn_map_slot *slot = &file->source_map.slots[i];
        if (slot->text)
            QN_TRY(map_source(file, folder, (struct qn_str){slot->text, slot->size}, slot->value));
    }
    return NULL;
}

/* ---- checks --------------------------------------------------------------------------------------------------- */

/* Every tensor has what its type and dims promise. */
static qn_status check_tensor(void *context, const struct qn_onnx_tensor *tensor, bool initializer)
{
    struct qn_onnx_content content;
    (void)initializer;
    return qn_onnx_resolve(context, tensor, NULL, &content);
}

static qn_status check_sparse(void *context, const struct qn_onnx_sparse *sparse, bool initializer)
{
    struct qn_onnx_content content;
    (void)initializer;
    return qn_onnx_resolve_sparse(context, sparse, NULL, &content);
}

static qn_status check_model(struct qn_onnx_file *file)
{
    const struct qn_onnx_visitor visitor = {.context = file, .tensor = check_tensor, .sparse = check_sparse};
    const struct qn_onnx_model *model = &file->model;
    if (model->ir_version < 1)
        return QN_ERROR(QN_INVALID_FILE, "ir_version is %" PRId64 ", expected 1 to %d", model->ir_version,
                        NEWEST_IR_VERSION);
    if (model->ir_version > NEWEST_IR_VERSION)
        return QN_ERROR(QN_UNSUPPORTED, "ir_version is %" PRId64 ", expected 1 to %d", model->ir_version,
                        NEWEST_IR_VERSION);
    return qn_onnx_visit(model, &visitor);
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

static qn_status open_all(struct qn_onnx_file *file)
{
    const struct qn_onnx_source *source = &file->sources[0];
    const char *path = source->path.data;
    QN_TRY(qn_onnx_decode_model(source->map.data, source->map.size, path, &file->arena, &file->model));
    QN_TRY(qn_status_note(map_sources(file), "%s", path));
    QN_TRY(qn_status_note(check_model(file), "%s", path));
    return qn_status_note(qn_onnx_make_view(file), "%s", path);
}

static qn_status create(const char *path, const struct qn_allocator *allocator, struct qn_onnx_file **out)
{
    *out = NULL;
    if (!allocator)
        allocator = qn_allocator_default();
    struct qn_onnx_file *file = qn_calloc(allocator, 1, sizeof *file);
    if (!file)
        return QN_OOM();
    qn_arena_init(&file->arena, allocator);
    file->sources = QN_ARENA_NEW(&file->arena, struct qn_onnx_source);
    if (file->sources)
        file->sources[0].path = qn_arena_str(&file->arena, qn_str_from(path));
    if (!file->sources || !file->sources[0].path.data) {
        qn_onnx_close(file);
        return QN_OOM();
    }
    file->source_count = 1;
    *out = file;
    return NULL;
}

static qn_status finish(qn_status status, struct qn_onnx_file *file, struct qn_onnx_file **out)
{
    if (status)
        qn_onnx_close(file);
    *out = status ? NULL : file;
    return status;
}

qn_status qn_onnx_open(const char *path, const struct qn_allocator *allocator, struct qn_onnx_file **out)
{
    struct qn_onnx_file *file;
    *out = NULL;
    QN_TRY(create(path, allocator, &file));
    qn_status status = qn_file_map(path, &file->sources[0].map);
    return finish(status ? status : open_all(file), file, out);
}

qn_status qn_onnx_open_memory(const void *data, uint64_t size, const char *name, const struct qn_allocator *allocator,
                              struct qn_onnx_file **out)
{
    struct qn_onnx_file *file;
    *out = NULL;
    QN_TRY(create(name, allocator, &file));
    file->in_memory = true;
    file->sources[0].map = (struct qn_file_map){.data = data, .size = size};
    return finish(open_all(file), file, out);
}

void qn_onnx_close(struct qn_onnx_file *file)
{
    if (!file)
        return;
    for (uint32_t i = 0; i < file->source_count; i++)
        qn_file_unmap(&file->sources[i].map);
    const struct qn_allocator *allocator = file->arena.allocator;
    qn_arena_deinit(&file->arena);
    qn_free(allocator, file, sizeof *file);
}

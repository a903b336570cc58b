/* An ONNX model behind the format-independent view of quern/model.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "format/format.h"
#include "format/model.h"
#include "format/onnx/onnx_file.h"

enum { MAX_TYPE_DEPTH = 16 };

struct view_meta {
    struct qn_str key;
    struct qn_meta_item item;
};

struct qn_onnx_view {
    struct qn_model_tensor *tensors;
    struct qn_map tensor_map;
    struct view_meta *metas;
    struct qn_map meta_map;
    struct qn_model_port *ports[2]; /* inputs, outputs */
    struct qn_model_op *ops;
    uint32_t tensor_count, meta_count, op_count;
    uint64_t parameters, tensor_bytes;
};

struct maker {
    struct qn_onnx_file *file;
    struct qn_arena *arena;
    struct qn_onnx_view *view;
    struct qn_map op_map;       /* "domain name version" to number */
    struct qn_map function_map; /* "domain name" */
    uint32_t tensor_room;
};

/* ---- texts ---------------------------------------------------------------------------------------------------- */

/* A terminated copy that is printable UTF-8: what is not becomes \xNN. NULL on lack of memory. */
static const char *printable(struct qn_arena *arena, struct qn_str text)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) /* room for the worst */
        size += (unsigned char)text.data[i] < 0x20 || (unsigned char)text.data[i] >= 0x7f ? 4 : 1;
    char *out = qn_arena_alloc(arena, size + 1, 1), *to = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t length = qn_utf8_decode(text.data + i, text.size - i, &c);
        if (length && c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0)) {
            memcpy(to, text.data + i, length);
            to += length;
            i += length;
        } else {
            static const char digits[] = "0123456789abcdef";
            unsigned char byte = (unsigned char)text.data[i++];
            *to++ = '\\';
            *to++ = 'x';
            *to++ = digits[byte >> 4];
            *to++ = digits[byte & 15];
        }
    }
    *to = 0;
    return out;
}

static void print_dim(const struct qn_onnx_dim *dim, struct qn_strbuf *out)
{
    if (dim->kind == QN_ONNX_DIM_VALUE && dim->value >= 0)
        qn_strbuf_printf(out, "%" PRId64, dim->value);
    else if (dim->kind == QN_ONNX_DIM_PARAM)
        qn_strbuf_append(out, dim->param.data, dim->param.size);
    else
        qn_strbuf_add(out, "?");
}

static void print_tensor_type(const struct qn_onnx_type_proto *type, struct qn_strbuf *out)
{
    qn_strbuf_add(out, qn_dtype_name(qn_onnx_dtype(type->elem_type)));
    if (!type->has_shape) {
        qn_strbuf_add(out, "[...]");
        return;
    }
    qn_strbuf_add(out, "[");
    for (uint32_t i = 0; i < type->rank; i++) {
        qn_strbuf_add(out, i ? "," : "");
        print_dim(&type->dims[i], out);
    }
    qn_strbuf_add(out, "]");
}

static void print_type(const struct qn_onnx_type_proto *type, struct qn_strbuf *out, int depth)
{
    if (depth > MAX_TYPE_DEPTH) {
        qn_strbuf_add(out, "...");
        return;
    }
    switch (type->kind) {
    case QN_ONNX_TYPE_NONE:
        qn_strbuf_add(out, "?");
        return;
    case QN_ONNX_TYPE_TENSOR:
        print_tensor_type(type, out);
        return;
    case QN_ONNX_TYPE_OPAQUE:
        qn_strbuf_add(out, "opaque");
        return;
    case QN_ONNX_TYPE_SPARSE_TENSOR:
        qn_strbuf_add(out, "sparse ");
        print_tensor_type(type, out);
        return;
    case QN_ONNX_TYPE_SEQUENCE:
        qn_strbuf_add(out, "sequence(");
        break;
    case QN_ONNX_TYPE_OPTIONAL:
        qn_strbuf_add(out, "optional(");
        break;
    case QN_ONNX_TYPE_MAP:
        qn_strbuf_printf(out, "map(%s,", qn_dtype_name(qn_onnx_dtype(type->elem_type)));
        break;
    }
    print_type(type->elem, out, depth + 1);
    qn_strbuf_add(out, ")");
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static qn_status count_tensor(void *context, const struct qn_onnx_tensor *tensor, bool initializer)
{
    (void)tensor, (void)initializer;
    ((struct maker *)context)->tensor_room++;
    return NULL;
}

static qn_status count_sparse(void *context, const struct qn_onnx_sparse *sparse, bool initializer)
{
    (void)sparse, (void)initializer;
    ((struct maker *)context)->tensor_room++;
    return NULL;
}

/* Data is shown where the file has just these bytes. */
static qn_status add_tensor(struct maker *m, const struct qn_onnx_tensor *tensor, const struct qn_onnx_content *content)
{
    struct qn_onnx_view *view = m->view;
    struct qn_model_tensor *out = &view->tensors[view->tensor_count];
    *out = (struct qn_model_tensor){.dtype = content->dtype,
                                    .rank = content->rank,
                                    .elements = 1,
                                    .bytes = content->bytes,
                                    .file = content->file,
                                    .offset = content->in_file ? content->offset : UINT64_MAX,
                                    .data = content->data};
    for (uint32_t i = 0; i < content->rank; i++) {
        out->dims[i] = (uint64_t)content->dims[i];
        out->elements *= out->dims[i];
    }
    out->name = printable(m->arena, tensor->name);
    if (!out->name)
        return QN_OOM();
    view->parameters += out->elements;
    view->tensor_bytes += out->bytes;
    struct qn_str name = qn_str_from(out->name);
    if (!qn_map_get(&view->tensor_map, name) &&
        qn_map_put(&view->tensor_map, name, view->tensor_count) == QN_MAP_FAILED)
        return QN_OOM();
    view->tensor_count++;
    return NULL;
}

static qn_status show_tensor(void *context, const struct qn_onnx_tensor *tensor, bool initializer)
{
    struct maker *m = context;
    struct qn_onnx_content content;
    (void)initializer;
    uint64_t elements;
    QN_TRY(qn_onnx_resolve(m->file, tensor, NULL, &content));
    QN_TRY(qn_onnx_tensor_stored(tensor, &elements, &content.bytes));
    return add_tensor(m, tensor, &content);
}

static qn_status show_sparse(void *context, const struct qn_onnx_sparse *sparse, bool initializer)
{
    struct maker *m = context;
    struct qn_onnx_content content;
    (void)initializer;
    QN_TRY(qn_onnx_resolve_sparse(m->file, sparse, NULL, &content));
    return add_tensor(m, &sparse->values, &content);
}

static qn_status make_tensors(struct maker *m)
{
    const struct qn_onnx_visitor counter = {.context = m, .tensor = count_tensor, .sparse = count_sparse};
    const struct qn_onnx_visitor shower = {.context = m, .tensor = show_tensor, .sparse = show_sparse};
    QN_TRY(qn_onnx_visit(&m->file->model, &counter));
    m->view->tensors = QN_ARENA_ARRAY(m->arena, struct qn_model_tensor, m->tensor_room);
    if (!m->view->tensors || !qn_map_init(&m->view->tensor_map, m->arena, m->tensor_room))
        return QN_OOM();
    return qn_onnx_visit(&m->file->model, &shower);
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

/* The first value of a key stays: keys are unique. */
static qn_status add_meta(struct maker *m, const char *prefix, struct qn_str key, struct qn_meta_item item)
{
    struct qn_onnx_view *view = m->view;
    const char *end = printable(m->arena, key);
    struct qn_str whole = end ? qn_arena_printf(m->arena, "%s%s", prefix, end) : (struct qn_str){0};
    if (!whole.data)
        return QN_OOM();
    if (qn_map_get(&view->meta_map, whole))
        return NULL;
    if (qn_map_put(&view->meta_map, whole, view->meta_count) == QN_MAP_FAILED)
        return QN_OOM();
    view->metas[view->meta_count++] = (struct view_meta){whole, item};
    return NULL;
}

static struct qn_meta_item text_item(struct qn_str text)
{
    return (struct qn_meta_item){.kind = QN_META_TEXT, .as.text = {text.data ? text.data : "", text.size}};
}

static qn_status add_text(struct maker *m, const char *key, struct qn_str text)
{
    return text.size ? add_meta(m, key, (struct qn_str){0}, text_item(text)) : NULL;
}

static struct qn_meta_item int_item(int64_t value)
{
    return (struct qn_meta_item){.kind = QN_META_INT, .as.i = value};
}

static qn_status make_metas(struct maker *m)
{
    enum { FIXED = 8 };
    const struct qn_onnx_model *model = &m->file->model;
    uint64_t room = FIXED + (uint64_t)model->opset_count + model->metadata_count;
    m->view->metas = room > SIZE_MAX ? NULL : QN_ARENA_ARRAY(m->arena, struct view_meta, (size_t)room);
    if (!m->view->metas || !qn_map_init(&m->view->meta_map, m->arena, 0))
        return QN_OOM();
    QN_TRY(add_meta(m, "ir_version", (struct qn_str){0}, int_item(model->ir_version)));
    for (uint32_t i = 0; i < model->opset_count; i++) {
        struct qn_str domain = model->opsets[i].domain;
        QN_TRY(add_meta(m, "opset.", domain.size ? domain : QN_STR("ai.onnx"), int_item(model->opsets[i].version)));
    }
    QN_TRY(add_text(m, "producer_name", model->producer));
    QN_TRY(add_text(m, "producer_version", model->producer_version));
    QN_TRY(add_text(m, "domain", model->domain));
    if (model->model_version)
        QN_TRY(add_meta(m, "model_version", (struct qn_str){0}, int_item(model->model_version)));
    QN_TRY(add_text(m, "doc_string", model->doc));
    QN_TRY(add_text(m, "graph.name", model->graph.name));
    for (uint32_t i = 0; i < model->metadata_count; i++)
        QN_TRY(add_meta(m, "metadata.", model->metadata[i].key, text_item(model->metadata[i].value)));
    return NULL;
}

/* ---- inputs and outputs --------------------------------------------------------------------------------------- */

static qn_status make_port(struct maker *m, const struct qn_onnx_value_info *info, struct qn_model_port *out)
{
    const struct qn_onnx_type_proto *type = &info->type;
    struct qn_strbuf text;
    qn_strbuf_init(&text, m->arena->allocator);
    print_type(type, &text, 0);
    out->name = printable(m->arena, info->name);
    out->type = text.failed ? NULL : printable(m->arena, qn_strbuf_view(&text));
    qn_strbuf_deinit(&text);
    if (!out->name || !out->type)
        return QN_OOM();
    if (!qn_onnx_is_tensor(type))
        return NULL;
    out->dtype = qn_onnx_dtype(type->elem_type);
    out->has_shape = type->has_shape && type->rank <= QN_MODEL_MAX_RANK;
    out->rank = out->has_shape ? type->rank : 0;
    for (uint32_t i = 0; i < out->rank; i++) {
        const struct qn_onnx_dim *dim = &type->dims[i];
        out->dims[i] = dim->kind == QN_ONNX_DIM_VALUE && dim->value >= 0 ? dim->value : -1;
        if (dim->kind == QN_ONNX_DIM_PARAM) {
            out->symbols[i] = printable(m->arena, dim->param);
            if (!out->symbols[i])
                return QN_OOM();
        }
    }
    return NULL;
}

static qn_status make_ports(struct maker *m)
{
    const struct qn_onnx_graph *graph = &m->file->model.graph;
    const struct qn_onnx_value_info *infos[2] = {graph->inputs, graph->outputs};
    const uint32_t counts[2] = {graph->input_count, graph->output_count};
    for (int side = 0; side < 2; side++) {
        m->view->ports[side] = QN_ARENA_ARRAY(m->arena, struct qn_model_port, counts[side]);
        if (!m->view->ports[side])
            return QN_OOM();
        for (uint32_t i = 0; i < counts[side]; i++)
            QN_TRY(make_port(m, &infos[side][i], &m->view->ports[side][i]));
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const uint32_t *tensor = qn_map_get(&m->view->tensor_map, qn_str_from(m->view->ports[0][i].name));
        m->view->ports[0][i].has_default = tensor && *tensor < graph->initializer_count + graph->sparse_count;
    }
    return NULL;
}

/* ---- ops ------------------------------------------------------------------------------------------------------ */

static uint64_t version_of(const struct qn_onnx_opset *opsets, uint32_t count, struct qn_str domain)
{
    for (uint32_t i = 0; i < count; i++) {
        struct qn_str name = qn_str_is(opsets[i].domain, "ai.onnx") ? (struct qn_str){0} : opsets[i].domain;
        if (qn_str_eq(name, domain))
            return opsets[i].version > 0 ? (uint64_t)opsets[i].version : 0;
    }
    return 0;
}

static qn_status count_node(void *context, const struct qn_onnx_node *node, const struct qn_onnx_function *function)
{
    struct maker *m = context;
    const struct qn_onnx_model *model = &m->file->model;
    struct qn_str domain = qn_str_is(node->domain, "ai.onnx") ? (struct qn_str){0} : node->domain;
    uint64_t version = function ? version_of(function->opsets, function->opset_count, domain)
                                : version_of(model->opsets, model->opset_count, domain);
    struct qn_str name = qn_arena_printf(m->arena, "%.*s %.*s", QN_STR_ARG(domain), QN_STR_ARG(node->op_type));
    struct qn_str key = qn_arena_printf(m->arena, "%s %" PRIu64, name.data ? name.data : "", version);
    if (!name.data || !key.data)
        return QN_OOM();
    uint32_t *known = qn_map_get(&m->op_map, key);
    if (known) {
        m->view->ops[*known].count++;
        return NULL;
    }
    struct qn_onnx_view *view = m->view;
    if ((view->op_count & (view->op_count - 1)) == 0) { /* a power of two is full, or nothing is there yet */
        size_t room = view->op_count ? 2 * (size_t)view->op_count : 1;
        struct qn_model_op *more = QN_ARENA_ARRAY(m->arena, struct qn_model_op, room);
        if (!more)
            return QN_OOM();
        if (view->op_count)
            memcpy(more, view->ops, view->op_count * sizeof *more);
        view->ops = more;
    }
    struct qn_model_op *op = &view->ops[view->op_count];
    op->domain = domain.size ? printable(m->arena, domain) : "ai.onnx";
    op->name = printable(m->arena, node->op_type);
    op->version = version;
    op->local = qn_map_get(&m->function_map, name) != NULL;
    op->count = 1;
    if (!op->domain || !op->name || qn_map_put(&m->op_map, key, view->op_count) == QN_MAP_FAILED)
        return QN_OOM();
    view->op_count++;
    return NULL;
}

static int compare_ops(const void *a, const void *b)
{
    const struct qn_model_op *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    int order = strcmp(x->domain, y->domain);
    order = order ? order : strcmp(x->name, y->name);
    return order ? order : (x->version > y->version) - (x->version < y->version);
}

static qn_status make_ops(struct maker *m)
{
    const struct qn_onnx_visitor visitor = {.context = m, .node = count_node};
    const struct qn_onnx_model *model = &m->file->model;
    if (!qn_map_init(&m->op_map, m->arena, 0) || !qn_map_init(&m->function_map, m->arena, model->function_count))
        return QN_OOM();
    for (uint32_t i = 0; i < model->function_count; i++) {
        const struct qn_onnx_function *function = &model->functions[i];
        struct qn_str name =
            qn_arena_printf(m->arena, "%.*s %.*s", QN_STR_ARG(function->domain), QN_STR_ARG(function->name));
        if (!name.data || qn_map_put(&m->function_map, name, i) == QN_MAP_FAILED)
            return QN_OOM();
    }
    QN_TRY(qn_onnx_visit(model, &visitor));
    if (m->view->op_count)
        qsort(m->view->ops, m->view->op_count, sizeof *m->view->ops, compare_ops);
    return NULL;
}

qn_status qn_onnx_make_view(struct qn_onnx_file *file)
{
    struct maker m = {.file = file, .arena = &file->arena};
    file->view = m.view = QN_ARENA_NEW(&file->arena, struct qn_onnx_view);
    if (!m.view)
        return QN_OOM();
    QN_TRY(make_tensors(&m));
    QN_TRY(make_metas(&m));
    QN_TRY(make_ports(&m));
    return make_ops(&m);
}

/* ---- the table of calls --------------------------------------------------------------------------------------- */

static void close_onnx(void *impl)
{
    qn_onnx_close(impl);
}

static void info(const void *impl, struct qn_model_info *out)
{
    const struct qn_onnx_file *file = impl;
    const struct qn_onnx_view *view = file->view;
    out->format_version = (uint32_t)file->model.ir_version;
    out->name = (struct qn_model_text){file->model.graph.name.data, file->model.graph.name.size};
    out->parameters = view->parameters;
    out->tensor_bytes = view->tensor_bytes;
    for (uint32_t i = 0; i < file->source_count; i++)
        out->file_bytes += file->sources[i].map.size;
    out->file_count = file->source_count;
    out->meta_count = view->meta_count;
    out->tensor_count = view->tensor_count;
    out->input_count = file->model.graph.input_count;
    out->output_count = file->model.graph.output_count;
    out->op_count = view->op_count;
}

static void file(const void *impl, uint32_t index, struct qn_model_file *out)
{
    const struct qn_onnx_source *source = &((const struct qn_onnx_file *)impl)->sources[index];
    out->path = source->path.data;
    out->bytes = source->map.size;
}

static void meta(const void *impl, uint32_t index, struct qn_model_meta *out)
{
    const struct view_meta *from = &((const struct qn_onnx_file *)impl)->view->metas[index];
    out->key = from->key.data;
    out->kind = out->elem_kind = from->item.kind;
    out->type_name = from->item.kind == QN_META_TEXT ? "text" : "int";
    out->count = 1;
}

static void meta_item(const void *impl, uint32_t index, uint64_t item, struct qn_meta_item *out)
{
    (void)item; /* there are no arrays */
    *out = ((const struct qn_onnx_file *)impl)->view->metas[index].item;
}

static uint32_t find(const struct qn_map *map, struct qn_str name)
{
    const uint32_t *index = qn_map_get(map, name);
    return index ? *index : UINT32_MAX;
}

static uint32_t find_meta(const void *impl, struct qn_str key)
{
    return find(&((const struct qn_onnx_file *)impl)->view->meta_map, key);
}

static void tensor(const void *impl, uint32_t index, struct qn_model_tensor *out)
{
    *out = ((const struct qn_onnx_file *)impl)->view->tensors[index];
}

static uint32_t find_tensor(const void *impl, struct qn_str name)
{
    return find(&((const struct qn_onnx_file *)impl)->view->tensor_map, name);
}

static const struct qn_file_map *file_map(const void *impl, uint32_t index)
{
    return &((const struct qn_onnx_file *)impl)->sources[index].map;
}

static void port(const void *impl, bool output, uint32_t index, struct qn_model_port *out)
{
    *out = ((const struct qn_onnx_file *)impl)->view->ports[output][index];
}

static void op(const void *impl, uint32_t index, struct qn_model_op *out)
{
    *out = ((const struct qn_onnx_file *)impl)->view->ops[index];
}

static const struct qn_format_ops ops = {
    .close = close_onnx,
    .info = info,
    .file = file,
    .meta = meta,
    .meta_item = meta_item,
    .find_meta = find_meta,
    .tensor = tensor,
    .find_tensor = find_tensor,
    .file_map = file_map,
    .port = port,
    .op = op,
};

/* ---- recognising ---------------------------------------------------------------------------------------------- */

/* ONNX has no magic number: the fields of a ModelProto, each with its wire type, its version or graph among them. */
bool qn_onnx_probe(const uint8_t *head, uint64_t size)
{
    enum { LOOKED_AT = 64, VARINT = 0, BYTES = 2, NO = 9 };
    static const uint8_t wires[27] = {
        [0] = NO,     [1] = VARINT, [2] = BYTES, [3] = BYTES, [4] = BYTES,  [5] = VARINT, [6] = BYTES,
        [7] = BYTES,  [8] = BYTES,  [9] = NO,    [10] = NO,   [11] = NO,    [12] = NO,    [13] = NO,
        [14] = BYTES, [15] = NO,    [16] = NO,   [17] = NO,   [18] = NO,    [19] = NO,    [20] = BYTES,
        [21] = NO,    [22] = NO,    [23] = NO,   [24] = NO,   [25] = BYTES, [26] = BYTES,
    };
    uint64_t offset = 0;
    bool seen = false;
    for (int i = 0; i < LOOKED_AT && offset < size; i++) {
        struct qn_pb_span field;
        if (!qn_pb_next(head, size, &offset, &field))
            break;
        if (field.number > 26 || wires[field.number] != field.wire)
            return false;
        seen |= field.number == 1 || field.number == 7;
    }
    return seen;
}

qn_status qn_onnx_open_model(const struct qn_format_source *source, struct qn_model *model)
{
    struct qn_onnx_file *onnx;
    if (source->in_memory)
        QN_TRY(qn_onnx_open_memory(source->data, source->size, source->path, model->allocator, &onnx));
    else
        QN_TRY(qn_onnx_open(source->path, model->allocator, &onnx));
    model->ops = &ops;
    model->impl = onnx;
    return NULL;
}

struct qn_onnx_file *qn_model_onnx(const struct qn_model *model)
{
    return model->ops == &ops ? model->impl : NULL;
}

#include "convert/onnx_layout.h"

#include <inttypes.h>
#include <stdio.h>

#include "format/onnx/protobuf_write.h"

/* Fields of onnx.proto. */
enum {
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_FUNCTION = 25,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_VALUE_INFO = 13,
    GRAPH_SPARSE = 15,
    FUNCTION_NODE = 7,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTR = 5,
    NODE_DOMAIN = 7,
    NODE_OVERLOAD = 8,
    ATTR_NAME = 1,
    ATTR_I = 3,
    ATTR_T = 5,
    ATTR_G = 6,
    ATTR_TENSORS = 10,
    ATTR_GRAPHS = 11,
    ATTR_KIND = 20,
    ATTR_SPARSE = 22,
    ATTR_SPARSES = 23,
    SPARSE_VALUES = 1,
    SPARSE_INDICES = 2,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14,
};

/* Protobuf's parsers stop at 2^31 - 1 bytes. Tensors of the data file begin on a page where that is worth the gap, so
 * that readers may map them. */
enum { MODEL_MAX = INT32_MAX, PAGE = 4096, PAGE_FROM = 64 << 10, LINE = 64 };

struct layout {
    const struct qn_onnx_file *file;
    const struct qn_onnx_products *products;
    const char *location;
    const struct qn_allocator *allocator;
    struct qn_onnx_layout *out;
    bool external;       /* new weights lie in the data file */
    struct qn_map moved; /* ranges of other files to their number in `offsets` */
    QN_ARRAY(uint64_t) offsets;
};

/* An encoded message. */
struct wire {
    const uint8_t *data;
    uint64_t size;
};

/* ---- pieces --------------------------------------------------------------------------------------------------- */

/* Neighbours in memory become one piece. */
static qn_status add(struct layout *l, struct qn_onnx_pieces *to, struct qn_onnx_piece piece)
{
    struct qn_onnx_piece *last = to->list.count ? &to->list.items[to->list.count - 1] : NULL;
    to->size += piece.size;
    if (last && last->part == QN_ONNX_BYTES && piece.part == QN_ONNX_BYTES && last->size &&
        last->data + last->size == piece.data) {
        last->size += piece.size;
        return NULL;
    }
    return qn_array_push(&to->list, l->allocator, piece) ? NULL : QN_OOM();
}

static qn_status add_bytes(struct layout *l, struct qn_onnx_pieces *to, const void *data, uint64_t size)
{
    return size ? add(l, to, (struct qn_onnx_piece){.data = data, .size = size}) : NULL;
}

static qn_status copy(struct layout *l, const struct qn_pb_span *span)
{
    return add_bytes(l, &l->out->model, span->start, span->whole);
}

/* The buffer's bytes, which it keeps. */
static qn_status add_buffer(struct layout *l, struct qn_onnx_pieces *to, const struct qn_strbuf *buffer)
{
    struct qn_str made =
        buffer->failed ? (struct qn_str){NULL, 0} : qn_arena_str(&l->out->arena, qn_strbuf_view(buffer));
    return made.data ? add_bytes(l, to, made.data, made.size) : QN_OOM();
}

/* A message whose length is known at its end: an empty piece stands for its head until then. */
static qn_status begin(struct layout *l, uint32_t *mark)
{
    *mark = l->out->model.list.count;
    return add(l, &l->out->model, (struct qn_onnx_piece){.data = NULL});
}

/* `span` is the message's field in the source (NULL: a new one): unchanged content takes its own head back. */
static qn_status end(struct layout *l, uint32_t number, const struct qn_pb_span *span, uint32_t mark)
{
    struct qn_onnx_pieces *to = &l->out->model;
    uint64_t size = 0;
    for (uint32_t i = mark + 1; i < to->list.count; i++)
        size += to->list.items[i].size;
    const struct qn_onnx_piece *first = mark + 1 < to->list.count ? &to->list.items[mark + 1] : NULL;
    bool same =
        span && size == span->size &&
        (first ? mark + 2 == to->list.count && first->part == QN_ONNX_BYTES && first->data == span->data : true);
    if (same) {
        to->list.count = mark;
        to->size -= size;
        return copy(l, span);
    }
    struct qn_strbuf head;
    qn_strbuf_init(&head, l->allocator);
    qn_pb_put_head(&head, number, size);
    struct qn_str made = head.failed ? (struct qn_str){NULL, 0} : qn_arena_str(&l->out->arena, qn_strbuf_view(&head));
    qn_strbuf_deinit(&head);
    if (!made.data)
        return QN_OOM();
    to->list.items[mark].data = (const uint8_t *)made.data;
    to->list.items[mark].size = made.size;
    to->size += made.size;
    return NULL;
}

/* ---- the file beside the model -------------------------------------------------------------------------------- */

/* Zeros up to where `size` bytes may begin. */
static qn_status align_data(struct layout *l, uint64_t size, uint64_t *offset)
{
    static const uint8_t zeros[PAGE];
    struct qn_onnx_pieces *data = &l->out->data;
    uint64_t unit = size >= PAGE_FROM ? PAGE : LINE, gap = (unit - data->size % unit) % unit;
    QN_TRY(add_bytes(l, data, zeros, gap));
    *offset = data->size;
    return NULL;
}

/* Where the bytes of a tensor of another file go; tensors that share them there share them here. */
static qn_status move_bytes(struct layout *l, const struct qn_onnx_tensor *tensor, uint64_t *offset, uint64_t *size)
{
    struct {
        uint64_t file, at, size;
    } *key = qn_arena_alloc(&l->out->arena, sizeof *key, 8);
    const uint8_t *data;
    uint32_t source;
    if (!key)
        return QN_OOM();
    QN_TRY(qn_onnx_external_bytes(l->file, tensor, &source, &data, size));
    key->file = source;
    key->at = *size ? (uint64_t)(data - l->file->sources[source].map.data) : 0;
    key->size = *size;
    struct qn_str text = {(const char *)key, sizeof *key};
    const uint32_t *known = qn_map_get(&l->moved, text);
    if (known) {
        *offset = l->offsets.items[*known];
        return NULL;
    }
    QN_TRY(align_data(l, *size, offset));
    QN_TRY(add_bytes(l, &l->out->data, data, *size));
    if (qn_map_put(&l->moved, text, l->offsets.count) == QN_MAP_FAILED ||
        !qn_array_push(&l->offsets, l->allocator, *offset))
        return QN_OOM();
    return NULL;
}

static void put_entry(struct qn_strbuf *out, const struct qn_allocator *allocator, const char *key, const char *value)
{
    struct qn_strbuf entry;
    qn_strbuf_init(&entry, allocator);
    qn_pb_put_text(&entry, 1, qn_str_from(key));
    qn_pb_put_text(&entry, 2, qn_str_from(value));
    qn_pb_put_message(out, TENSOR_EXTERNAL, &entry);
    qn_strbuf_deinit(&entry);
}

static void put_place(const struct layout *l, struct qn_strbuf *out, uint64_t offset, uint64_t size)
{
    char number[24];
    put_entry(out, l->allocator, "location", l->location);
    snprintf(number, sizeof number, "%" PRIu64, offset);
    put_entry(out, l->allocator, "offset", number);
    snprintf(number, sizeof number, "%" PRIu64, size);
    put_entry(out, l->allocator, "length", number);
}

static qn_status write_tensor(struct layout *l, const struct qn_onnx_tensor *tensor, const struct qn_pb_span *span)
{
    uint64_t offset, size, at = 0;
    uint32_t mark;
    struct qn_pb_span field;
    struct qn_strbuf place;
    if (!tensor->external)
        return copy(l, span);
    QN_TRY(move_bytes(l, tensor, &offset, &size));
    QN_TRY(begin(l, &mark));
    while (qn_pb_next(span->data, span->size, &at, &field))
        if (field.number != TENSOR_EXTERNAL)
            QN_TRY(copy(l, &field));
    qn_strbuf_init(&place, l->allocator);
    put_place(l, &place, offset, size);
    qn_status status = add_buffer(l, &l->out->model, &place);
    qn_strbuf_deinit(&place);
    return status ? status : end(l, span->number, span, mark);
}

static qn_status write_sparse(struct layout *l, const struct qn_onnx_sparse *sparse, const struct qn_pb_span *span)
{
    struct qn_pb_span field;
    uint64_t at = 0;
    uint32_t mark;
    QN_TRY(begin(l, &mark));
    while (qn_pb_next(span->data, span->size, &at, &field)) {
        const struct qn_onnx_tensor *t = field.number == SPARSE_VALUES    ? &sparse->values
                                         : field.number == SPARSE_INDICES ? &sparse->indices
                                                                          : NULL;
        QN_TRY(t ? write_tensor(l, t, &field) : copy(l, &field));
    }
    return end(l, span->number, span, mark);
}

/* ---- new tensors ---------------------------------------------------------------------------------------------- */

/* Before version 4 initialisers are inputs too. */
static qn_status add_input(struct layout *l, struct qn_str name, qn_dtype dtype, uint32_t rank, const uint64_t *dims)
{
    struct qn_strbuf dim, shape, tensor, type, info, all;
    struct qn_strbuf *const buffers[] = {&dim, &shape, &tensor, &type, &info, &all};
    enum { BUFFERS = sizeof buffers / sizeof buffers[0] };
    if (l->file->model.ir_version >= 4)
        return NULL;
    for (int i = 0; i < BUFFERS; i++)
        qn_strbuf_init(buffers[i], l->allocator);
    for (uint32_t i = 0; i < rank; i++) {
        qn_strbuf_clear(&dim);
        qn_pb_put_uint(&dim, 1, dims[i]);
        qn_pb_put_message(&shape, 1, &dim);
    }
    qn_pb_put_uint(&tensor, 1, (uint64_t)qn_onnx_data_type(dtype));
    qn_pb_put_message(&tensor, 2, &shape);
    qn_pb_put_message(&type, 1, &tensor);
    qn_pb_put_text(&info, 1, name);
    qn_pb_put_message(&info, 2, &type);
    qn_pb_put_message(&all, GRAPH_INPUT, &info);
    qn_status status = add_buffer(l, &l->out->model, &all);
    for (int i = 0; i < BUFFERS; i++)
        qn_strbuf_deinit(buffers[i]);
    return status;
}

/* One of the tensors that make up a weight. */
struct new_tensor {
    enum qn_onnx_part part;
    struct qn_str name;
    qn_dtype dtype;
    uint32_t rank;
    uint64_t dims[3], size;
};

static qn_status add_tensor(struct layout *l, uint32_t weight, const struct new_tensor *t)
{
    struct qn_onnx_pieces *model = &l->out->model;
    struct qn_onnx_piece content = {.part = t->part, .weight = weight, .size = t->size};
    struct qn_strbuf head;
    uint64_t offset = 0;
    uint32_t mark;
    QN_TRY(begin(l, &mark));
    qn_strbuf_init(&head, l->allocator);
    for (uint32_t i = 0; i < t->rank; i++)
        qn_pb_put_uint(&head, TENSOR_DIMS, t->dims[i]);
    qn_pb_put_uint(&head, TENSOR_TYPE, (uint64_t)qn_onnx_data_type(t->dtype));
    qn_pb_put_text(&head, TENSOR_NAME, t->name);
    qn_status status = l->external ? align_data(l, t->size, &offset) : NULL;
    if (l->external) {
        put_place(l, &head, offset, t->size);
        qn_pb_put_uint(&head, TENSOR_LOCATION, 1);
    } else {
        qn_pb_put_head(&head, TENSOR_RAW, t->size);
    }
    if (!status)
        status = add_buffer(l, model, &head);
    qn_strbuf_deinit(&head);
    if (!status)
        status = add(l, l->external ? &l->out->data : model, content);
    if (!status)
        status = end(l, GRAPH_INITIALIZER, NULL, mark);
    return status ? status : add_input(l, t->name, t->dtype, t->rank, t->dims);
}

static qn_status add_weight(struct layout *l, uint32_t index)
{
    const struct qn_onnx_weight *w = &l->products->weights.items[index];
    const struct qn_nbits *s = &w->shape;
    uint64_t blocks = (s->k + QN_NBITS_BLOCK - 1) / QN_NBITS_BLOCK, zeros = qn_nbits_zero_bytes(s);
    const struct new_tensor tensors[] = {
        {QN_ONNX_CODES, w->codes, QN_DTYPE_U8, 3, {s->n, blocks, 4 * qn_nbits_bits(s->type)}, qn_nbits_code_bytes(s)},
        {QN_ONNX_SCALES, w->scales, s->dtype, 1, {s->n * blocks}, qn_nbits_scale_bytes(s)},
        {QN_ONNX_ZEROS, w->zeros, QN_DTYPE_U8, 1, {zeros}, zeros},
    };
    for (int i = 0; i < (zeros ? 3 : 2); i++)
        QN_TRY(add_tensor(l, index, &tensors[i]));
    return NULL;
}

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

static qn_status write_graph(struct layout *l, const struct qn_onnx_graph *graph, const struct qn_pb_span *span);

/* What the attribute holds as field `number`, item `index` of a list. */
static qn_status write_attr_field(struct layout *l, const struct qn_onnx_attr *attr, const struct qn_pb_span *field,
                                  uint64_t index)
{
    if (field->number == ATTR_T && attr->t)
        return write_tensor(l, attr->t, field);
    if (field->number == ATTR_G && attr->g)
        return write_graph(l, attr->g, field);
    if (field->number == ATTR_SPARSE && attr->sparse)
        return write_sparse(l, attr->sparse, field);
    if (field->number == ATTR_TENSORS && attr->tensors)
        return write_tensor(l, &attr->tensors[index], field);
    if (field->number == ATTR_GRAPHS && attr->graphs)
        return write_graph(l, &attr->graphs[index], field);
    return copy(l, field);
}

/* A message that stands once is read as its last occurrence: what is written from it must not be another. */
static bool stands_twice(const uint8_t *data, uint64_t size, uint32_t number)
{
    struct qn_pb_span field;
    uint64_t at = 0;
    uint32_t count = 0;
    while (qn_pb_next(data, size, &at, &field))
        count += field.number == number;
    return count > 1;
}

static qn_status write_attr(struct layout *l, const struct qn_onnx_attr *attr, const struct qn_pb_span *span)
{
    static const uint32_t single[] = {ATTR_T, ATTR_G, ATTR_SPARSE};
    struct qn_pb_span field;
    uint64_t at = 0, counts[ATTR_SPARSES + 1] = {0};
    uint32_t mark;
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        if (stands_twice(span->data, span->size, single[i]))
            return QN_ERROR(QN_UNSUPPORTED, "attribute '%.*s' has a field twice", QN_STR_ARG(attr->name));
    QN_TRY(begin(l, &mark));
    while (qn_pb_next(span->data, span->size, &at, &field)) {
        uint64_t index = field.number <= ATTR_SPARSES ? counts[field.number]++ : 0;
        QN_TRY(write_attr_field(l, attr, &field, index));
    }
    return end(l, span->number, span, mark);
}

static qn_status write_attrs(struct layout *l, const struct qn_onnx_node *node, const struct qn_pb_span *span)
{
    struct qn_pb_span field;
    uint64_t at = 0;
    uint32_t mark, attr = 0;
    QN_TRY(begin(l, &mark));
    while (qn_pb_next(span->data, span->size, &at, &field))
        QN_TRY(field.number == NODE_ATTR ? write_attr(l, &node->attrs[attr++], &field) : copy(l, &field));
    return end(l, span->number, span, mark);
}

static void put_number(struct qn_strbuf *out, const struct qn_allocator *allocator, const char *name, uint64_t value)
{
    enum { KIND_INT = 2 };
    struct qn_strbuf attr;
    qn_strbuf_init(&attr, allocator);
    qn_pb_put_text(&attr, ATTR_NAME, qn_str_from(name));
    qn_pb_put_uint(&attr, ATTR_I, value);
    qn_pb_put_uint(&attr, ATTR_KIND, KIND_INT);
    qn_pb_put_message(out, NODE_ATTR, &attr);
    qn_strbuf_deinit(&attr);
}

static void put_product(const struct layout *l, const struct qn_onnx_node *node, const struct qn_onnx_change *change,
                        struct qn_strbuf *out)
{
    const struct qn_onnx_weight *w = &l->products->weights.items[change->weight];
    bool bias = change->fate == QN_ONNX_PRODUCT_BIAS;
    qn_pb_put_text(out, NODE_INPUT, node->inputs[0]);
    qn_pb_put_text(out, NODE_INPUT, w->codes);
    qn_pb_put_text(out, NODE_INPUT, w->scales);
    if (w->zeros.size || bias)
        qn_pb_put_text(out, NODE_INPUT, w->zeros);
    if (bias) {
        qn_pb_put_text(out, NODE_INPUT, QN_STR("")); /* g_idx */
        qn_pb_put_text(out, NODE_INPUT, node->inputs[2]);
    }
    qn_pb_put_text(out, NODE_OP, QN_STR("MatMulNBits"));
    qn_pb_put_text(out, NODE_DOMAIN, QN_STR("com.microsoft"));
    put_number(out, l->allocator, "K", w->shape.k);
    put_number(out, l->allocator, "N", w->shape.n);
    put_number(out, l->allocator, "bits", qn_nbits_bits(w->shape.type));
    put_number(out, l->allocator, "block_size", QN_NBITS_BLOCK);
}

/* The sum behind a product, under the name and with the output of the old node. */
static qn_status add_sum(struct layout *l, const struct qn_onnx_node *node, const struct qn_onnx_change *change)
{
    struct qn_strbuf sum;
    uint32_t mark;
    QN_TRY(begin(l, &mark));
    qn_strbuf_init(&sum, l->allocator);
    qn_pb_put_text(&sum, NODE_INPUT, change->sum);
    qn_pb_put_text(&sum, NODE_INPUT, node->inputs[2]);
    qn_pb_put_text(&sum, NODE_OUTPUT, node->outputs[0]);
    qn_pb_put_text(&sum, NODE_OP, QN_STR("Add"));
    qn_status status = add_buffer(l, &l->out->model, &sum);
    qn_strbuf_deinit(&sum);
    return status ? status : end(l, GRAPH_NODE, NULL, mark);
}

static qn_status write_product(struct layout *l, const struct qn_onnx_node *node, const struct qn_onnx_change *change,
                               const struct qn_pb_span *span)
{
    struct qn_strbuf made;
    struct qn_pb_span field;
    uint64_t at = 0;
    uint32_t mark;
    QN_TRY(begin(l, &mark));
    qn_strbuf_init(&made, l->allocator);
    put_product(l, node, change, &made);
    if (change->sum.size)
        qn_pb_put_text(&made, NODE_OUTPUT, change->sum);
    qn_status status = add_buffer(l, &l->out->model, &made);
    qn_strbuf_deinit(&made);
    while (!status && qn_pb_next(span->data, span->size, &at, &field)) {
        bool gone = field.number == NODE_INPUT || field.number == NODE_OP || field.number == NODE_ATTR ||
                    field.number == NODE_DOMAIN || field.number == NODE_OVERLOAD ||
                    (field.number == NODE_OUTPUT && change->sum.size);
        if (!gone)
            status = copy(l, &field);
    }
    if (!status)
        status = end(l, span->number, span, mark);
    if (!status && change->sum.size)
        status = add_sum(l, node, change);
    return status;
}

static qn_status write_node(struct layout *l, const struct qn_onnx_node *node, const struct qn_pb_span *span)
{
    const struct qn_onnx_change *change = qn_onnx_change_of(l->products, node);
    if (!change)
        return write_attrs(l, node, span);
    return change->fate == QN_ONNX_DROPPED ? NULL : write_product(l, node, change, span);
}

/* ---- graphs and the model ------------------------------------------------------------------------------------- */

/* Names of values that are gone: inputs and descriptions of values must not speak of them. */
static qn_status dropped_names(const struct layout *l, const struct qn_onnx_graph *graph, struct qn_map *names)
{
    for (uint32_t i = 0; i < graph->initializer_count; i++)
        if (qn_onnx_change_of(l->products, &graph->initializers[i]) &&
            qn_map_put(names, graph->initializers[i].name, i) == QN_MAP_FAILED)
            return QN_OOM();
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const struct qn_onnx_change *change = qn_onnx_change_of(l->products, &graph->nodes[i]);
        if (change && change->fate == QN_ONNX_DROPPED &&
            qn_map_put(names, graph->nodes[i].outputs[0], i) == QN_MAP_FAILED)
            return QN_OOM();
    }
    return NULL;
}

static qn_status write_graph_field(struct layout *l, const struct qn_onnx_graph *graph, const struct qn_map *dropped,
                                   const struct qn_pb_span *field, uint32_t index)
{
    switch (field->number) {
    case GRAPH_NODE:
        return write_node(l, &graph->nodes[index], field);
    case GRAPH_INITIALIZER:
        return qn_onnx_change_of(l->products, &graph->initializers[index])
                   ? NULL
                   : write_tensor(l, &graph->initializers[index], field);
    case GRAPH_SPARSE:
        return write_sparse(l, &graph->sparse_initializers[index], field);
    case GRAPH_INPUT:
        return qn_map_get(dropped, graph->inputs[index].name) ? NULL : copy(l, field);
    case GRAPH_VALUE_INFO:
        return qn_map_get(dropped, graph->value_infos[index].name) ? NULL : copy(l, field);
    default:
        return copy(l, field);
    }
}

static qn_status write_graph(struct layout *l, const struct qn_onnx_graph *graph, const struct qn_pb_span *span)
{
    struct qn_pb_span field;
    struct qn_map dropped;
    uint64_t at = 0;
    uint32_t mark, counts[GRAPH_SPARSE + 1] = {0};
    if (!qn_map_init(&dropped, &l->out->arena, 0))
        return QN_OOM();
    QN_TRY(dropped_names(l, graph, &dropped));
    QN_TRY(begin(l, &mark));
    while (qn_pb_next(span->data, span->size, &at, &field)) {
        uint32_t index = field.number <= GRAPH_SPARSE ? counts[field.number]++ : 0;
        QN_TRY(write_graph_field(l, graph, &dropped, &field, index));
    }
    for (uint32_t i = 0; i < l->products->weights.count; i++)
        if (l->products->weights.items[i].graph == graph)
            QN_TRY(add_weight(l, i));
    return end(l, span->number, span, mark);
}

/* A function of the model sees no tensor of the graph; only its own may lie in other files. */
static qn_status write_function(struct layout *l, const struct qn_onnx_function *function,
                                const struct qn_pb_span *span)
{
    struct qn_pb_span field;
    uint64_t at = 0;
    uint32_t mark, node = 0;
    QN_TRY(begin(l, &mark));
    while (qn_pb_next(span->data, span->size, &at, &field))
        QN_TRY(field.number == FUNCTION_NODE ? write_attrs(l, &function->nodes[node++], &field) : copy(l, &field));
    return end(l, span->number, span, mark);
}

static qn_status add_opset(struct layout *l)
{
    struct qn_strbuf opset, all;
    for (uint32_t i = 0; i < l->file->model.opset_count; i++)
        if (qn_str_is(l->file->model.opsets[i].domain, "com.microsoft"))
            return NULL;
    qn_strbuf_init(&opset, l->allocator);
    qn_strbuf_init(&all, l->allocator);
    qn_pb_put_text(&opset, 1, QN_STR("com.microsoft"));
    qn_pb_put_uint(&opset, 2, 1);
    qn_pb_put_message(&all, MODEL_OPSET, &opset);
    qn_status status = add_buffer(l, &l->out->model, &all);
    qn_strbuf_deinit(&opset);
    qn_strbuf_deinit(&all);
    return status;
}

static qn_status write_model(struct layout *l)
{
    const struct qn_file_map *map = &l->file->sources[0].map;
    struct qn_pb_span field;
    uint64_t at = 0;
    uint32_t functions = 0;
    if (stands_twice(map->data, map->size, MODEL_GRAPH))
        return QN_ERROR(QN_UNSUPPORTED, "the model has its graph twice");
    while (qn_pb_next(map->data, map->size, &at, &field)) {
        if (field.number == MODEL_GRAPH)
            QN_TRY(write_graph(l, &l->file->model.graph, &field));
        else if (field.number == MODEL_FUNCTION)
            QN_TRY(write_function(l, &l->file->model.functions[functions++], &field));
        else
            QN_TRY(copy(l, &field));
    }
    return add_opset(l);
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

static qn_status lay_out(struct layout *l, bool external)
{
    struct qn_onnx_layout *out = l->out;
    qn_onnx_layout_deinit(out);
    qn_arena_init(&out->arena, l->allocator);
    l->external = external;
    l->offsets.count = 0;
    if (!qn_map_init(&l->moved, &out->arena, 0))
        return QN_OOM();
    return write_model(l);
}

qn_status qn_onnx_layout_make(const struct qn_onnx_file *file, const struct qn_onnx_products *products,
                              const char *location, const struct qn_allocator *allocator, struct qn_onnx_layout *out)
{
    struct layout l = {.file = file, .products = products, .location = location, .allocator = allocator, .out = out};
    *out = (struct qn_onnx_layout){0};
    qn_status status = lay_out(&l, file->source_count > 1);
    if (!status && !l.external && out->model.size > MODEL_MAX)
        status = lay_out(&l, true);
    if (!status && out->model.size > MODEL_MAX)
        status =
            QN_ERROR(QN_UNSUPPORTED,
                     "the result would take %" PRIu64 " bytes in one file, protobuf allows %d; keep its tensors in "
                     "a file beside the model",
                     out->model.size, (int)MODEL_MAX);
    qn_array_free(&l.offsets, allocator);
    return status;
}

void qn_onnx_layout_deinit(struct qn_onnx_layout *layout)
{
    const struct qn_allocator *allocator = layout->arena.allocator;
    if (!allocator)
        return;
    qn_array_free(&layout->model.list, allocator);
    qn_array_free(&layout->data.list, allocator);
    qn_arena_deinit(&layout->arena);
    *layout = (struct qn_onnx_layout){0};
}

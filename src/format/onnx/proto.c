#include "format/onnx/proto.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* The tables of onnx.proto and onnx-data.proto: what Quern reads of each message. Documentation, annotations and device
 * configurations are skipped. */

#define ONE(type, number, kind, name, member)                                 \
    {                                                                         \
        number, QN_PB_##kind, name, offsetof(struct type, member), 0, 0, NULL \
    }
#define SUB(type, number, kind, name, member, message)                              \
    {                                                                               \
        number, QN_PB_##kind, name, offsetof(struct type, member), 0, 0, &(message) \
    }
#define LIST(type, number, kind, name, member, count)                                            \
    {                                                                                            \
        number, QN_PB_##kind, name, offsetof(struct type, member), offsetof(struct type, count), \
            sizeof(((struct type *)NULL)->count), NULL                                           \
    }
#define LIST_OF(type, number, name, member, count, message)                                        \
    {                                                                                              \
        number, QN_PB_MESSAGES, name, offsetof(struct type, member), offsetof(struct type, count), \
            sizeof(((struct type *)NULL)->count), &(message)                                       \
    }
/* A list whose length the finish function puts in place. */
#define UNCOUNTED(type, number, kind, name, member)                           \
    {                                                                         \
        number, QN_PB_##kind, name, offsetof(struct type, member), 0, 0, NULL \
    }
#define UNCOUNTED_OF(type, number, kind, name, member, message) SUB(type, number, kind, name, member, message)
#define INLINE(number, name, message)                   \
    {                                                   \
        number, QN_PB_INLINE, name, 0, 0, 0, &(message) \
    }
#define MESSAGE(name, type, fields, finish)                                                                  \
    {                                                                                                        \
        name, sizeof(struct type), _Alignof(struct type), fields, sizeof(fields) / sizeof(fields)[0], finish \
    }

static const struct qn_pb_message type_proto, tensor_proto, sparse_proto, graph_proto, sequence_proto, optional_proto;

/* ---- small ones ----------------------------------------------------------------------------------------------- */

static const struct qn_pb_field entry_fields[] = {
    ONE(qn_onnx_entry, 1, TEXT, "key", key),
    ONE(qn_onnx_entry, 2, TEXT, "value", value),
};
static const struct qn_pb_message entry_proto = MESSAGE("StringStringEntryProto", qn_onnx_entry, entry_fields, NULL);

static const struct qn_pb_field opset_fields[] = {
    ONE(qn_onnx_opset, 1, TEXT, "domain", domain),
    ONE(qn_onnx_opset, 2, I64, "version", version),
};
static const struct qn_pb_message opset_proto = MESSAGE("OperatorSetIdProto", qn_onnx_opset, opset_fields, NULL);

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static qn_status finish_tensor(void *object, const uint64_t *counts);

enum { TENSOR_RAW = 8, TENSOR_SEGMENT = 11 };

static const struct qn_pb_field tensor_fields[] = {
    LIST(qn_onnx_tensor, 1, I64S, "dims", dims, dim_count),
    ONE(qn_onnx_tensor, 2, I32, "data_type", data_type),
    UNCOUNTED(qn_onnx_tensor, 4, FIXED32S, "float_data", floats),
    LIST(qn_onnx_tensor, 5, I32S, "int32_data", int32s, int32_count),
    LIST(qn_onnx_tensor, 6, TEXTS, "string_data", strings, string_count),
    LIST(qn_onnx_tensor, 7, I64S, "int64_data", int64s, int64_count),
    ONE(qn_onnx_tensor, 8, TEXT, "name", name),
    UNCOUNTED(qn_onnx_tensor, 10, FIXED64S, "double_data", doubles),
    [TENSOR_RAW] = ONE(qn_onnx_tensor, 9, BYTES, "raw_data", raw),
    LIST(qn_onnx_tensor, 11, I64S, "uint64_data", uint64s, uint64_count),
    LIST_OF(qn_onnx_tensor, 13, "external_data", external_data, external_count, entry_proto),
    [TENSOR_SEGMENT] = {3, QN_PB_SEEN, "segment", 0, 0, 0, NULL},
    ONE(qn_onnx_tensor, 14, I32, "data_location", location),
};
static const struct qn_pb_message tensor_proto = MESSAGE("TensorProto", qn_onnx_tensor, tensor_fields, finish_tensor);

static qn_status finish_tensor(void *object, const uint64_t *counts)
{
    struct qn_onnx_tensor *tensor = object;
    tensor->has_raw = counts[TENSOR_RAW] > 0;
    tensor->external = tensor->location == 1;
    if (tensor->location != 0 && tensor->location != 1)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': data_location is %d, expected 0 or 1",
                        QN_STR_ARG(tensor->name), (int)tensor->location);
    if (counts[TENSOR_SEGMENT])
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s' is stored in segments", QN_STR_ARG(tensor->name));
    return NULL;
}

static const struct qn_pb_field sparse_fields[] = {
    SUB(qn_onnx_sparse, 1, MESSAGE, "values", values, tensor_proto),
    SUB(qn_onnx_sparse, 2, MESSAGE, "indices", indices, tensor_proto),
    LIST(qn_onnx_sparse, 3, I64S, "dims", dims, dim_count),
};
static const struct qn_pb_message sparse_proto = MESSAGE("SparseTensorProto", qn_onnx_sparse, sparse_fields, NULL);

/* ---- types ---------------------------------------------------------------------------------------------------- */

/* The kinds of a type are a oneof of messages that all write into one struct: whichever ends last counts. */
#define FINISH_TYPE(name, value)                                         \
    static qn_status finish_##name(void *object, const uint64_t *counts) \
    {                                                                    \
        (void)counts;                                                    \
        ((struct qn_onnx_type_proto *)object)->kind = (value);           \
        return NULL;                                                     \
    }
FINISH_TYPE(tensor_type, QN_ONNX_TYPE_TENSOR)
FINISH_TYPE(sparse_type, QN_ONNX_TYPE_SPARSE_TENSOR)
FINISH_TYPE(opaque_type, QN_ONNX_TYPE_OPAQUE)

static qn_status finish_dim(void *object, const uint64_t *counts)
{
    struct qn_onnx_dim *dim = object;
    dim->kind = counts[0] ? QN_ONNX_DIM_VALUE : counts[1] && dim->param.size ? QN_ONNX_DIM_PARAM : QN_ONNX_DIM_UNKNOWN;
    return NULL;
}

static const struct qn_pb_field dim_fields[] = {
    ONE(qn_onnx_dim, 1, I64, "dim_value", value),
    ONE(qn_onnx_dim, 2, TEXT, "dim_param", param),
};
static const struct qn_pb_message dim_proto =
    MESSAGE("TensorShapeProto.Dimension", qn_onnx_dim, dim_fields, finish_dim);

static qn_status finish_shape(void *object, const uint64_t *counts)
{
    (void)counts;
    ((struct qn_onnx_type_proto *)object)->has_shape = true;
    return NULL;
}

static const struct qn_pb_field shape_fields[] = {
    LIST_OF(qn_onnx_type_proto, 1, "dim", dims, rank, dim_proto),
};
static const struct qn_pb_message shape_proto =
    MESSAGE("TensorShapeProto", qn_onnx_type_proto, shape_fields, finish_shape);

static const struct qn_pb_field tensor_type_fields[] = {
    ONE(qn_onnx_type_proto, 1, I32, "elem_type", elem_type),
    INLINE(2, "shape", shape_proto),
};
static const struct qn_pb_message tensor_type =
    MESSAGE("TypeProto.Tensor", qn_onnx_type_proto, tensor_type_fields, finish_tensor_type);
static const struct qn_pb_message sparse_type =
    MESSAGE("TypeProto.SparseTensor", qn_onnx_type_proto, tensor_type_fields, finish_sparse_type);

static qn_status need_elem(struct qn_onnx_type_proto *type, int kind, const char *what)
{
    type->kind = kind;
    if (type->elem)
        return NULL;
    return QN_ERROR(QN_INVALID_FILE, "a type is %s of nothing", what);
}

static qn_status finish_sequence_type(void *object, const uint64_t *counts)
{
    (void)counts;
    return need_elem(object, QN_ONNX_TYPE_SEQUENCE, "a sequence");
}

static qn_status finish_optional_type(void *object, const uint64_t *counts)
{
    (void)counts;
    return need_elem(object, QN_ONNX_TYPE_OPTIONAL, "an optional");
}

static qn_status finish_map_type(void *object, const uint64_t *counts)
{
    (void)counts;
    return need_elem(object, QN_ONNX_TYPE_MAP, "a map");
}

static const struct qn_pb_field elem_fields[] = {
    SUB(qn_onnx_type_proto, 1, POINTER, "elem_type", elem, type_proto),
};
static const struct qn_pb_message sequence_type =
    MESSAGE("TypeProto.Sequence", qn_onnx_type_proto, elem_fields, finish_sequence_type);
static const struct qn_pb_message optional_type =
    MESSAGE("TypeProto.Optional", qn_onnx_type_proto, elem_fields, finish_optional_type);

static const struct qn_pb_field map_type_fields[] = {
    ONE(qn_onnx_type_proto, 1, I32, "key_type", elem_type),
    SUB(qn_onnx_type_proto, 2, POINTER, "value_type", elem, type_proto),
};
static const struct qn_pb_message map_type =
    MESSAGE("TypeProto.Map", qn_onnx_type_proto, map_type_fields, finish_map_type);

static const struct qn_pb_message opaque_type = {
    "TypeProto.Opaque", sizeof(struct qn_onnx_type_proto), _Alignof(struct qn_onnx_type_proto), NULL, 0,
    finish_opaque_type};

static const struct qn_pb_field type_fields[] = {
    INLINE(1, "tensor_type", tensor_type), INLINE(4, "sequence_type", sequence_type),
    INLINE(5, "map_type", map_type),       INLINE(9, "optional_type", optional_type),
    INLINE(7, "opaque_type", opaque_type), INLINE(8, "sparse_tensor_type", sparse_type),
};
static const struct qn_pb_message type_proto = MESSAGE("TypeProto", qn_onnx_type_proto, type_fields, NULL);

static const struct qn_pb_field value_info_fields[] = {
    ONE(qn_onnx_value_info, 1, TEXT, "name", name),
    SUB(qn_onnx_value_info, 2, MESSAGE, "type", type, type_proto),
};
static const struct qn_pb_message value_info_proto =
    MESSAGE("ValueInfoProto", qn_onnx_value_info, value_info_fields, NULL);

/* ---- attributes and nodes ------------------------------------------------------------------------------------- */

static qn_status finish_attr(void *object, const uint64_t *counts);

/* In the table's order, which finish_attr counts on. */
enum {
    ATTR_NAME,
    ATTR_REF,
    ATTR_TYPE,
    ATTR_F,
    ATTR_I,
    ATTR_S,
    ATTR_T,
    ATTR_G,
    ATTR_SPARSE,
    ATTR_TP,
    ATTR_FLOATS,
    ATTR_INTS,
    ATTR_STRINGS,
    ATTR_TENSORS,
    ATTR_GRAPHS,
    ATTR_SPARSES,
    ATTR_TYPES,
};

static const struct qn_pb_field attr_fields[] = {
    [ATTR_NAME] = ONE(qn_onnx_attr, 1, TEXT, "name", name),
    [ATTR_REF] = ONE(qn_onnx_attr, 21, TEXT, "ref_attr_name", ref),
    [ATTR_TYPE] = ONE(qn_onnx_attr, 20, I32, "type", kind),
    [ATTR_F] = ONE(qn_onnx_attr, 2, F32, "f", f),
    [ATTR_I] = ONE(qn_onnx_attr, 3, I64, "i", i),
    [ATTR_S] = ONE(qn_onnx_attr, 4, TEXT, "s", s),
    [ATTR_T] = SUB(qn_onnx_attr, 5, POINTER, "t", t, tensor_proto),
    [ATTR_G] = SUB(qn_onnx_attr, 6, POINTER, "g", g, graph_proto),
    [ATTR_SPARSE] = SUB(qn_onnx_attr, 22, POINTER, "sparse_tensor", sparse, sparse_proto),
    [ATTR_TP] = SUB(qn_onnx_attr, 14, POINTER, "tp", type, type_proto),
    [ATTR_FLOATS] = UNCOUNTED(qn_onnx_attr, 7, F32S, "floats", floats),
    [ATTR_INTS] = UNCOUNTED(qn_onnx_attr, 8, I64S, "ints", ints),
    [ATTR_STRINGS] = UNCOUNTED(qn_onnx_attr, 9, TEXTS, "strings", strings),
    [ATTR_TENSORS] = SUB(qn_onnx_attr, 10, MESSAGES, "tensors", tensors, tensor_proto),
    [ATTR_GRAPHS] = SUB(qn_onnx_attr, 11, MESSAGES, "graphs", graphs, graph_proto),
    [ATTR_SPARSES] = {23, QN_PB_SEEN, "sparse_tensors", 0, 0, 0, NULL},
    [ATTR_TYPES] = {15, QN_PB_SEEN, "type_protos", 0, 0, 0, NULL},
};
static const struct qn_pb_message attr_proto = MESSAGE("AttributeProto", qn_onnx_attr, attr_fields, finish_attr);

static qn_status finish_attr(void *object, const uint64_t *counts)
{
    static const struct {
        uint32_t kind, field;
        bool list, needed;
    } rows[] = {
        {QN_ONNX_ATTR_FLOAT, ATTR_F, false, false},        {QN_ONNX_ATTR_INT, ATTR_I, false, false},
        {QN_ONNX_ATTR_STRING, ATTR_S, false, false},       {QN_ONNX_ATTR_TENSOR, ATTR_T, false, true},
        {QN_ONNX_ATTR_GRAPH, ATTR_G, false, true},         {QN_ONNX_ATTR_FLOATS, ATTR_FLOATS, true, false},
        {QN_ONNX_ATTR_INTS, ATTR_INTS, true, false},       {QN_ONNX_ATTR_STRINGS, ATTR_STRINGS, true, false},
        {QN_ONNX_ATTR_TENSORS, ATTR_TENSORS, true, false}, {QN_ONNX_ATTR_GRAPHS, ATTR_GRAPHS, true, false},
        {QN_ONNX_ATTR_SPARSE, ATTR_SPARSE, false, true},   {QN_ONNX_ATTR_SPARSES, ATTR_SPARSES, false, false},
        {QN_ONNX_ATTR_TYPE, ATTR_TP, false, true},         {QN_ONNX_ATTR_TYPES, ATTR_TYPES, false, false},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct qn_onnx_attr *attr = object;
    for (unsigned i = 0; i < ROWS && attr->kind == QN_ONNX_ATTR_UNDEFINED; i++) /* old exporters leave the type out */
        if (counts[rows[i].field])
            attr->kind = (enum qn_onnx_attr_kind)rows[i].kind;
    if (attr->kind == QN_ONNX_ATTR_UNDEFINED)
        return NULL; /* a name alone: an error only if somebody asks for it */
    for (unsigned i = 0; i < ROWS; i++) {
        if (attr->kind != (enum qn_onnx_attr_kind)rows[i].kind)
            continue;
        attr->count = rows[i].list ? counts[rows[i].field] : 0;
        if (rows[i].needed && !counts[rows[i].field] && !attr->ref.size)
            return QN_ERROR(QN_INVALID_FILE, "attribute '%.*s' says that it has a '%s', but there is none",
                            QN_STR_ARG(attr->name), attr_fields[rows[i].field].name);
        return NULL;
    }
    return QN_ERROR(QN_INVALID_FILE, "attribute '%.*s' has type %d, which is unknown", QN_STR_ARG(attr->name),
                    (int)attr->kind);
}

static const struct qn_pb_field node_fields[] = {
    LIST(qn_onnx_node, 1, TEXTS, "input", inputs, input_count),
    LIST(qn_onnx_node, 2, TEXTS, "output", outputs, output_count),
    ONE(qn_onnx_node, 3, TEXT, "name", name),
    ONE(qn_onnx_node, 4, TEXT, "op_type", op_type),
    LIST_OF(qn_onnx_node, 5, "attribute", attrs, attr_count, attr_proto),
    ONE(qn_onnx_node, 7, TEXT, "domain", domain),
    ONE(qn_onnx_node, 8, TEXT, "overload", overload),
};
static const struct qn_pb_message node_proto = MESSAGE("NodeProto", qn_onnx_node, node_fields, NULL);

/* ---- graphs, functions, the model ----------------------------------------------------------------------------- */

static const struct qn_pb_field graph_fields[] = {
    LIST_OF(qn_onnx_graph, 1, "node", nodes, node_count, node_proto),
    ONE(qn_onnx_graph, 2, TEXT, "name", name),
    LIST_OF(qn_onnx_graph, 5, "initializer", initializers, initializer_count, tensor_proto),
    LIST_OF(qn_onnx_graph, 15, "sparse_initializer", sparse_initializers, sparse_count, sparse_proto),
    LIST_OF(qn_onnx_graph, 11, "input", inputs, input_count, value_info_proto),
    LIST_OF(qn_onnx_graph, 12, "output", outputs, output_count, value_info_proto),
    LIST_OF(qn_onnx_graph, 13, "value_info", value_infos, value_info_count, value_info_proto),
};
static const struct qn_pb_message graph_proto = MESSAGE("GraphProto", qn_onnx_graph, graph_fields, NULL);

static const struct qn_pb_field function_fields[] = {
    ONE(qn_onnx_function, 1, TEXT, "name", name),
    LIST(qn_onnx_function, 4, TEXTS, "input", inputs, input_count),
    LIST(qn_onnx_function, 5, TEXTS, "output", outputs, output_count),
    LIST(qn_onnx_function, 6, TEXTS, "attribute", attrs, attr_count),
    LIST_OF(qn_onnx_function, 7, "node", nodes, node_count, node_proto),
    LIST_OF(qn_onnx_function, 9, "opset_import", opsets, opset_count, opset_proto),
    ONE(qn_onnx_function, 10, TEXT, "domain", domain),
    LIST_OF(qn_onnx_function, 11, "attribute_proto", defaults, default_count, attr_proto),
    ONE(qn_onnx_function, 13, TEXT, "overload", overload),
};
static const struct qn_pb_message function_proto = MESSAGE("FunctionProto", qn_onnx_function, function_fields, NULL);

enum { MODEL_GRAPH = 0 };

static qn_status finish_model(void *object, const uint64_t *counts)
{
    (void)object;
    return counts[MODEL_GRAPH] ? NULL : QN_ERROR(QN_INVALID_FILE, "the model has no graph");
}

static const struct qn_pb_field model_fields[] = {
    [MODEL_GRAPH] = SUB(qn_onnx_model, 7, MESSAGE, "graph", graph, graph_proto),
    ONE(qn_onnx_model, 1, I64, "ir_version", ir_version),
    ONE(qn_onnx_model, 2, TEXT, "producer_name", producer),
    ONE(qn_onnx_model, 3, TEXT, "producer_version", producer_version),
    ONE(qn_onnx_model, 4, TEXT, "domain", domain),
    ONE(qn_onnx_model, 5, I64, "model_version", model_version),
    ONE(qn_onnx_model, 6, TEXT, "doc_string", doc),
    LIST_OF(qn_onnx_model, 8, "opset_import", opsets, opset_count, opset_proto),
    LIST_OF(qn_onnx_model, 14, "metadata_props", metadata, metadata_count, entry_proto),
    LIST_OF(qn_onnx_model, 25, "functions", functions, function_count, function_proto),
};
static const struct qn_pb_message model_proto = MESSAGE("ModelProto", qn_onnx_model, model_fields, finish_model);

/* ---- test data ------------------------------------------------------------------------------------------------ */

static const struct qn_pb_message map_proto;

/* Field i of both tables is kind i + 1. */
static qn_status finish_elems(void *object, const uint64_t *counts)
{
    struct qn_onnx_sequence *sequence = object;
    uint32_t kind = (uint32_t)sequence->elem_kind;
    for (uint32_t i = 0; i < 5 && !kind; i++)
        if (counts[i])
            kind = i + 1;
    if (kind > 5)
        return QN_ERROR(QN_INVALID_FILE, "a sequence of elements of kind %u, which is unknown", (unsigned)kind);
    sequence->elem_kind = (int)kind;
    uint64_t count = kind ? counts[kind - 1] : 0;
    if (count > UINT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "a sequence of %" PRIu64 " elements", count);
    sequence->count = (uint32_t)count;
    return NULL;
}

/* An optional that stands once, but was written twice, holds the last. */
static qn_status finish_optional(void *object, const uint64_t *counts)
{
    struct qn_onnx_sequence *optional = object;
    QN_TRY(finish_elems(object, counts));
    if (optional->count > 1)
        optional->count = 1;
    return NULL;
}

static const struct qn_pb_field sequence_fields[] = {
    UNCOUNTED_OF(qn_onnx_sequence, 3, MESSAGES, "tensor_values", tensors, tensor_proto),
    UNCOUNTED_OF(qn_onnx_sequence, 4, MESSAGES, "sparse_tensor_values", sparses, sparse_proto),
    UNCOUNTED_OF(qn_onnx_sequence, 5, MESSAGES, "sequence_values", sequences, sequence_proto),
    UNCOUNTED_OF(qn_onnx_sequence, 6, MESSAGES, "map_values", maps, map_proto),
    UNCOUNTED_OF(qn_onnx_sequence, 7, MESSAGES, "optional_values", optionals, optional_proto),
    ONE(qn_onnx_sequence, 2, I32, "elem_type", elem_kind),
};
static const struct qn_pb_message sequence_proto =
    MESSAGE("SequenceProto", qn_onnx_sequence, sequence_fields, finish_elems);

static const struct qn_pb_field optional_fields[] = {
    UNCOUNTED_OF(qn_onnx_sequence, 3, POINTER, "tensor_value", tensors, tensor_proto),
    UNCOUNTED_OF(qn_onnx_sequence, 4, POINTER, "sparse_tensor_value", sparses, sparse_proto),
    UNCOUNTED_OF(qn_onnx_sequence, 5, POINTER, "sequence_value", sequences, sequence_proto),
    UNCOUNTED_OF(qn_onnx_sequence, 6, POINTER, "map_value", maps, map_proto),
    UNCOUNTED_OF(qn_onnx_sequence, 7, POINTER, "optional_value", optionals, optional_proto),
    ONE(qn_onnx_sequence, 2, I32, "elem_type", elem_kind),
};
static const struct qn_pb_message optional_proto =
    MESSAGE("OptionalProto", qn_onnx_sequence, optional_fields, finish_optional);

static const struct qn_pb_field map_fields[] = {
    ONE(qn_onnx_map, 2, I32, "key_type", key_type),
    LIST(qn_onnx_map, 3, I64S, "keys", keys, key_count),
    LIST(qn_onnx_map, 4, TEXTS, "string_keys", string_keys, string_key_count),
    SUB(qn_onnx_map, 5, MESSAGE, "values", values, sequence_proto),
};
static const struct qn_pb_message map_proto = MESSAGE("MapProto", qn_onnx_map, map_fields, NULL);

/* ---- calls ---------------------------------------------------------------------------------------------------- */

static qn_status decode(const struct qn_pb_message *message, const void *data, uint64_t size, const char *name,
                        struct qn_arena *arena, void *out)
{
    memset(out, 0, message->size);
    return qn_status_note(qn_pb_decode(message, data, size, arena, out), "%s", name);
}

qn_status qn_onnx_decode_model(const void *data, uint64_t size, const char *name, struct qn_arena *arena,
                               struct qn_onnx_model *out)
{
    return decode(&model_proto, data, size, name, arena, out);
}

qn_status qn_onnx_decode_tensor(const void *data, uint64_t size, const char *name, struct qn_arena *arena,
                                struct qn_onnx_tensor *out)
{
    return decode(&tensor_proto, data, size, name, arena, out);
}

qn_status qn_onnx_decode_sequence(const void *data, uint64_t size, const char *name, struct qn_arena *arena,
                                  struct qn_onnx_sequence *out)
{
    return decode(&sequence_proto, data, size, name, arena, out);
}

qn_status qn_onnx_decode_optional(const void *data, uint64_t size, const char *name, struct qn_arena *arena,
                                  struct qn_onnx_sequence *out)
{
    return decode(&optional_proto, data, size, name, arena, out);
}

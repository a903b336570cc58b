/* ONNX files as they are written: protobuf messages decoded into plain structs that point into the file's bytes.
 *
 * Nothing is copied but the tables of pointers (in the caller's arena): names, strings and tensor bytes are views of
 * the mapped file. Every length is checked against the message around it; unknown fields are skipped, as protobuf
 * wants; nesting is limited. A field with the wrong wire type is an error that names the message, the field and the
 * offset.
 */
#ifndef QN_FORMAT_ONNX_PROTO_H
#define QN_FORMAT_ONNX_PROTO_H

#include "base/str.h"
#include "format/onnx/protobuf.h"
#include "quern/dtype.h"

struct qn_onnx_graph;

struct qn_onnx_entry { /* StringStringEntryProto */
    struct qn_str key, value;
};

struct qn_onnx_tensor {
    struct qn_str name;
    int32_t data_type; /* TensorProto.DataType */
    const int64_t *dims;
    uint32_t dim_count;
    bool has_raw;
    struct qn_onnx_bytes raw;
    struct qn_onnx_bytes floats, doubles; /* little-endian f32, f64 */
    const int32_t *int32s;                /* also f16, bf16, bool, 8-, 16- and 4-bit kinds */
    const int64_t *int64s;
    const uint64_t *uint64s; /* also uint32 */
    uint64_t int32_count, int64_count, uint64_count;
    const struct qn_str *strings;
    uint64_t string_count;
    int32_t location; /* data_location as written */
    bool external;    /* data_location = EXTERNAL */
    const struct qn_onnx_entry *external_data;
    uint32_t external_count;
};

struct qn_onnx_sparse {
    struct qn_onnx_tensor values, indices;
    const int64_t *dims;
    uint32_t dim_count;
};

enum qn_onnx_attr_kind { /* AttributeProto.AttributeType */
                         QN_ONNX_ATTR_UNDEFINED = 0,
                         QN_ONNX_ATTR_FLOAT = 1,
                         QN_ONNX_ATTR_INT = 2,
                         QN_ONNX_ATTR_STRING = 3,
                         QN_ONNX_ATTR_TENSOR = 4,
                         QN_ONNX_ATTR_GRAPH = 5,
                         QN_ONNX_ATTR_FLOATS = 6,
                         QN_ONNX_ATTR_INTS = 7,
                         QN_ONNX_ATTR_STRINGS = 8,
                         QN_ONNX_ATTR_TENSORS = 9,
                         QN_ONNX_ATTR_GRAPHS = 10,
                         QN_ONNX_ATTR_SPARSE = 11,
                         QN_ONNX_ATTR_SPARSES = 12,
                         QN_ONNX_ATTR_TYPE = 13,
                         QN_ONNX_ATTR_TYPES = 14,
};

struct qn_onnx_type_proto;

struct qn_onnx_attr {
    struct qn_str name, ref; /* ref_attr_name: inside functions */
    enum qn_onnx_attr_kind kind;
    float f;
    int64_t i;
    struct qn_str s;
    const struct qn_onnx_tensor *t;
    const struct qn_onnx_graph *g;
    const struct qn_onnx_sparse *sparse;
    const struct qn_onnx_type_proto *type;
    const float *floats;
    const int64_t *ints;
    const struct qn_str *strings;
    const struct qn_onnx_tensor *tensors;
    const struct qn_onnx_graph *graphs;
    uint64_t count; /* of the list that `kind` names */
};

struct qn_onnx_node {
    struct qn_str name, op_type, domain, overload;
    const struct qn_str *inputs, *outputs; /* empty: absent */
    uint32_t input_count, output_count;
    const struct qn_onnx_attr *attrs;
    uint32_t attr_count;
};

/* What messages call a node: by its name, or by its first output where it has none. */
static inline struct qn_str qn_onnx_node_name(const struct qn_onnx_node *node)
{
    for (uint32_t i = 0; i < node->output_count && !node->name.size; i++)
        if (node->outputs[i].size)
            return node->outputs[i];
    return node->name;
}

struct qn_onnx_dim {
    enum { QN_ONNX_DIM_UNKNOWN = 0, QN_ONNX_DIM_VALUE, QN_ONNX_DIM_PARAM } kind;
    int64_t value;
    struct qn_str param;
};

struct qn_onnx_type_proto {
    enum {
        QN_ONNX_TYPE_NONE = 0,
        QN_ONNX_TYPE_TENSOR,
        QN_ONNX_TYPE_SEQUENCE,
        QN_ONNX_TYPE_MAP,
        QN_ONNX_TYPE_OPTIONAL,
        QN_ONNX_TYPE_SPARSE_TENSOR,
        QN_ONNX_TYPE_OPAQUE
    } kind;
    int32_t elem_type; /* tensors; MAP: the key's type */
    bool has_shape;
    uint32_t rank;
    const struct qn_onnx_dim *dims;
    const struct qn_onnx_type_proto *elem; /* SEQUENCE, OPTIONAL; MAP: the value's type */
};

/* A sparse tensor is given and taken like any other, dense. */
static inline bool qn_onnx_is_tensor(const struct qn_onnx_type_proto *type)
{
    return type->kind == QN_ONNX_TYPE_TENSOR || type->kind == QN_ONNX_TYPE_SPARSE_TENSOR;
}

struct qn_onnx_value_info {
    struct qn_str name;
    struct qn_onnx_type_proto type;
};

struct qn_onnx_graph {
    struct qn_str name;
    const struct qn_onnx_node *nodes;
    const struct qn_onnx_tensor *initializers;
    const struct qn_onnx_sparse *sparse_initializers;
    const struct qn_onnx_value_info *inputs, *outputs, *value_infos;
    uint32_t node_count, initializer_count, sparse_count, input_count, output_count, value_info_count;
};

struct qn_onnx_opset {
    struct qn_str domain;
    int64_t version;
};

struct qn_onnx_function {
    struct qn_str name, domain, overload;
    const struct qn_str *inputs, *outputs, *attrs; /* attrs: names without default */
    const struct qn_onnx_attr *defaults;           /* attribute_proto */
    const struct qn_onnx_node *nodes;
    const struct qn_onnx_opset *opsets;
    uint32_t input_count, output_count, attr_count, default_count, node_count, opset_count;
};

struct qn_onnx_model {
    int64_t ir_version;
    struct qn_str producer, producer_version, domain, doc;
    int64_t model_version;
    const struct qn_onnx_opset *opsets;
    const struct qn_onnx_function *functions;
    const struct qn_onnx_entry *metadata;
    uint32_t opset_count, function_count, metadata_count;
    struct qn_onnx_graph graph;
};

/* Decodes a ModelProto. `name` stands in messages. */
qn_status qn_onnx_decode_model(const void *data, uint64_t size, const char *name, struct qn_arena *arena,
                               struct qn_onnx_model *out) QN_MUST_USE;
/* A TensorProto, SequenceProto or OptionalProto of its own file (test data, .pb inputs). */
qn_status qn_onnx_decode_tensor(const void *data, uint64_t size, const char *name, struct qn_arena *arena,
                                struct qn_onnx_tensor *out) QN_MUST_USE;

struct qn_onnx_map;
struct qn_onnx_sequence { /* also an optional, which has at most one */
    enum {
        QN_ONNX_ELEMS_NONE = 0,
        QN_ONNX_ELEMS_TENSOR = 1,
        QN_ONNX_ELEMS_SPARSE = 2,
        QN_ONNX_ELEMS_SEQUENCE = 3,
        QN_ONNX_ELEMS_MAP = 4,
        QN_ONNX_ELEMS_OPTIONAL = 5
    } elem_kind;
    uint32_t count;
    const struct qn_onnx_tensor *tensors;
    const struct qn_onnx_sparse *sparses;
    const struct qn_onnx_sequence *sequences, *optionals;
    const struct qn_onnx_map *maps;
};
struct qn_onnx_map {
    int32_t key_type; /* TensorProto.DataType: integers or strings */
    const int64_t *keys;
    const struct qn_str *string_keys;
    uint32_t key_count, string_key_count;
    struct qn_onnx_sequence values;
};
qn_status qn_onnx_decode_sequence(const void *data, uint64_t size, const char *name, struct qn_arena *arena,
                                  struct qn_onnx_sequence *out) QN_MUST_USE;
qn_status qn_onnx_decode_optional(const void *data, uint64_t size, const char *name, struct qn_arena *arena,
                                  struct qn_onnx_sequence *out) QN_MUST_USE;

/* The dtype of TensorProto.DataType number, NONE for one that Quern does not know, and back (0 when ONNX has none). */
qn_dtype qn_onnx_dtype(int32_t data_type);
int32_t qn_onnx_data_type(qn_dtype dtype);

/* Elements of a tensor: the product of its dims, checked for overflow and dims below zero. */
qn_status qn_onnx_tensor_elements(const struct qn_onnx_tensor *tensor, uint64_t *elements) QN_MUST_USE;
/* Elements, and the bytes that they take as raw data or in a file beside (narrow kinds packed). Unknown data types are
 * QN_UNSUPPORTED. */
qn_status qn_onnx_tensor_stored(const struct qn_onnx_tensor *tensor, uint64_t *elements, uint64_t *bytes) QN_MUST_USE;

/* Bytes of a tensor in the form that the IR holds: narrow kinds unpacked to a byte an element, strings as struct
 * qn_string, everything else little-endian as it lies. When the file has just these bytes, *data points there (of any
 * alignment; *in_file true); otherwise they are made in the arena, well aligned. Sizes and dims that disagree are
 * errors that name the tensor. External tensors are the caller's business. Without an arena nothing is made: the call
 * checks and tells the bytes, and *data is NULL where they would be new. */
qn_status qn_onnx_tensor_bytes(const struct qn_onnx_tensor *tensor, struct qn_arena *arena, const void **data,
                               uint64_t *bytes, bool *in_file) QN_MUST_USE;
/* The same for a tensor whose stored bytes lie at stored[0..size), in another file. */
qn_status qn_onnx_stored_bytes(const struct qn_onnx_tensor *tensor, const void *stored, uint64_t size,
                               struct qn_arena *arena, const void **data, uint64_t *bytes, bool *in_file) QN_MUST_USE;
/* Narrow kinds (2 and 4 bits, the first element in the lowest bits) to a byte an element. */
void qn_onnx_unpack(qn_dtype dtype, const uint8_t *packed, uint64_t elements, uint8_t *out);

#endif

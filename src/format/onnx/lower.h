/* Lowering: an ONNX node becomes IR nodes. One function an op (or a group of like ops), listed in lower.def with the
 * opset version from which it holds; src/format/onnx/ops/ has them by group.
 *
 *     QN_ONNX_LOWER(softplus)
 *     {
 *         qn_value x = qn_onnx_in(l, 0);
 *         ...
 *         qn_onnx_out(l, 0, qn_build_binary(l->b, QN_OP_add, ...));
 *     }
 *
 * The first error sticks in l->b->status; after it every call gives 0 and does nothing, so a function need not look.
 *
 * Sizes. ONNX computes shapes with tensors (Shape, Gather, Concat, Reshape). The importer follows small integer
 * tensors and knows their contents as constants and expressions over the inputs' symbols, so that most of that
 * arithmetic vanishes. A function asks for contents with qn_onnx_sizes or qn_onnx_known. When the contents cannot be
 * told at load, qn_onnx_sizes has the run find them out (late symbols), and qn_onnx_known has the rest of the graph
 * imported when it is called, with the contents at hand (ir/body.h): the function then runs again, later, and gets an
 * answer. The same happens to a function that says qn_onnx_defer because the rank, the dtype or a dim of an input is
 * not known.
 */
#ifndef QN_FORMAT_ONNX_LOWER_H
#define QN_FORMAT_ONNX_LOWER_H

#include "format/onnx/proto.h"
#include "ir/build.h"

struct qn_onnx_import;

/* What a value of the ONNX graph is. Tensors of known rank and dtype are plain IR values; all else are IR objects. */
enum qn_onnx_kind { QN_ONNX_TENSOR = 0, QN_ONNX_SEQUENCE, QN_ONNX_OPTIONAL, QN_ONNX_MAP };
struct qn_onnx_type {
    enum qn_onnx_kind kind;
    qn_dtype dtype;   /* of the tensor, or of the tensors in it; NONE: not known */
    bool of_sequence; /* OPTIONAL: of a sequence; SEQUENCE: of maps */
    qn_dtype key;     /* MAP and sequences of maps */
};

/* One node under way. */
struct qn_lower {
    struct qn_onnx_import *import;
    struct qn_build *b; /* the graph being built, and the status */
    const struct qn_onnx_node *node;
    uint32_t opset; /* version of the node's domain that the model (or function) imports */
    uint32_t input_count, output_count;
};

/* ---- inputs and outputs --------------------------------------------------------------------------------------- */

/* A tensor input as an IR value of known dtype and rank; 0 when it is absent. An input that is an object of unknown
 * type defers. Asking past the end gives 0. */
qn_value qn_onnx_in(struct qn_lower *l, uint32_t i);
/* Any input as it is, objects too. */
qn_value qn_onnx_in_any(struct qn_lower *l, uint32_t i);
bool qn_onnx_has(const struct qn_lower *l, uint32_t i);
struct qn_onnx_type qn_onnx_in_type(const struct qn_lower *l, uint32_t i);
/* Somebody reads output i. */
bool qn_onnx_wants(const struct qn_lower *l, uint32_t i);
void qn_onnx_out(struct qn_lower *l, uint32_t i, qn_value value);
/* An output that is a sequence, optional, map, or a tensor that only the run knows (value is an IR object). A tensor
 * object of known dtype whose declared rank is known becomes typed by the importer. */
void qn_onnx_out_object(struct qn_lower *l, uint32_t i, qn_value value, struct qn_onnx_type type);

static inline const struct qn_type *qn_onnx_type_of(const struct qn_lower *l, qn_value v)
{
    return qn_graph_type(l->b->graph, v); /* value 0 has a zeroed type */
}
static inline uint32_t qn_onnx_rank(const struct qn_lower *l, qn_value v)
{
    return qn_onnx_type_of(l, v)->rank;
}
/* axis counted from the end when negative; an error outside -rank .. rank - 1 (rank + extra - 1 for new axes). */
int64_t qn_onnx_axis(struct qn_lower *l, int64_t axis, uint32_t rank, uint32_t extra);

/* ---- attributes: each gives the default when the attribute is absent; one of another kind is an error ---------- */

bool qn_onnx_has_attr(const struct qn_lower *l, const char *name);
int64_t qn_onnx_attr_i(struct qn_lower *l, const char *name, int64_t otherwise);
float qn_onnx_attr_f(struct qn_lower *l, const char *name, float otherwise);
struct qn_str qn_onnx_attr_s(struct qn_lower *l, const char *name, const char *otherwise);
/* Index of a string attribute in a list of names ending with NULL; an error that lists them otherwise. */
int64_t qn_onnx_attr_choice(struct qn_lower *l, const char *name, int64_t otherwise, const char *const *names);
/* At most QN_MAX_RANK integers; false (and count 0) when absent. */
bool qn_onnx_attr_ints(struct qn_lower *l, const char *name, struct qn_ints *out);
/* Lists of any length, in the importer's arena; count 0 when absent. */
const int64_t *qn_onnx_attr_i64s(struct qn_lower *l, const char *name, uint64_t *count);
const float *qn_onnx_attr_f32s(struct qn_lower *l, const char *name, uint64_t *count);
const struct qn_str *qn_onnx_attr_strs(struct qn_lower *l, const char *name, uint64_t *count);
/* A dtype given as ONNX's number; NONE when absent. */
qn_dtype qn_onnx_attr_dtype(struct qn_lower *l, const char *name);
/* A tensor attribute as a constant; 0 when absent. */
qn_value qn_onnx_attr_tensor(struct qn_lower *l, const char *name);

/* ---- contents ------------------------------------------------------------------------------------------------- */

/* An integer known at load: a number, or a size (>= 0) in terms of symbols. */
struct qn_size {
    bool symbolic;
    int64_t number; /* not symbolic: any integer */
    qn_dim dim;     /* symbolic */
};
struct qn_sizes {
    uint32_t count; /* 1 for rank 0 */
    struct qn_size items[QN_MAX_RANK * 4];
};

/* Contents of input i, an integer tensor of rank 0 or 1, as far as they are sizes: unknown elements become late
 * symbols. Use it where an element is a count of elements or a position that has been made non-negative (or where -1
 * and the like can only stand in constants). False on error or when the input is absent. */
bool qn_onnx_sizes(struct qn_lower *l, uint32_t i, struct qn_sizes *out);
/* A size as a dim; an error (and 0) where it is negative. */
qn_dim qn_onnx_size_dim(struct qn_lower *l, const struct qn_size *size);
/* The same without late symbols: false when something is not known, and nothing happens. */
bool qn_onnx_try_sizes(struct qn_lower *l, uint32_t i, struct qn_sizes *out);
/* Contents as plain integers (axes, and whatever is no size); defers when not known. False when absent, deferred or
 * wrong. */
bool qn_onnx_known(struct qn_lower *l, uint32_t i, struct qn_ints *out);
/* The bytes of an input that is a constant (or becomes one by deferring); NULL when absent or deferred. */
const void *qn_onnx_constant(struct qn_lower *l, uint32_t i);
/* The same without deferring: NULL when it is no constant. */
const void *qn_onnx_try_constant(const struct qn_lower *l, uint32_t i);
/* Gives output i known contents, beside its value (Shape, Size and the arithmetic on them do). */
void qn_onnx_out_sizes(struct qn_lower *l, uint32_t i, const struct qn_sizes *sizes);
/* Import the rest when it is called, with all dims as numbers; the reason is for messages. */
void qn_onnx_defer(struct qn_lower *l, const char *why);
/* All dims of v are numbers; defers otherwise. */
bool qn_onnx_static(struct qn_lower *l, qn_value v);

/* A node that gives several outputs, or binds late symbols: a fresh one of those. */
qn_dim qn_onnx_late(struct qn_lower *l, const char *hint);
/* Adds a node with `outputs` outputs; all 0 after an error. */
void qn_onnx_node(struct qn_lower *l, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                  qn_value *outs, uint32_t outputs);
/* Constants. dims NULL: rank 0 (count 1) or 1. data is copied. */
qn_value qn_onnx_data(struct qn_lower *l, qn_dtype dtype, uint32_t rank, const int64_t *dims, const void *data);
qn_value qn_onnx_i64(struct qn_lower *l, int64_t value);                              /* rank 0 */
qn_value qn_onnx_i64_list(struct qn_lower *l, const int64_t *values, uint32_t count); /* rank 1 */
qn_value qn_onnx_strings(struct qn_lower *l, const struct qn_str *values, uint32_t count);
/* A number of the dtype, rank 0. */
qn_value qn_onnx_number(struct qn_lower *l, qn_dtype dtype, double value);
/* x without axes, x with axes of size 1 added (positions in the result), x with another shape of sizes. */
qn_value qn_onnx_squeeze(struct qn_lower *l, qn_value x, const struct qn_ints *axes);
qn_value qn_onnx_unsqueeze(struct qn_lower *l, qn_value x, const struct qn_ints *axes);

/* Stops with an error; the importer adds node, op and model. */
void qn_onnx_fail(struct qn_lower *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the table ------------------------------------------------------------------------------------------------ */

typedef void (*qn_lower_fn)(struct qn_lower *l);

struct qn_lower_row {
    const char *domain, *name; /* domain "" is ai.onnx */
    uint32_t since;            /* first opset version for which the function holds */
    qn_lower_fn lower;
};
/* The row with the greatest `since` not above the version; NULL when there is none. */
const struct qn_lower_row *qn_lower_find(struct qn_str domain, struct qn_str name, uint32_t version);

#define QN_ONNX_LOWER(function) void qn_lower_##function(struct qn_lower *l)

#define QN_LOWER_ROW(domain, name, since, function) QN_ONNX_LOWER(function);
#include "format/onnx/lower.def"
#undef QN_LOWER_ROW

#endif

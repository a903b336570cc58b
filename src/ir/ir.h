/* The graph IR: one form for every model, whatever file it came from.
 *
 * SSA. Values and nodes are uint32_t ids into dense arrays; id 0 is "none" in both. A node's inputs are a range of
 * the edge pool (an optional input that is absent is value 0), its outputs are consecutive values. Attributes are
 * one typed record a node (attrs.def), zero-filled and compared as bytes. Nodes stand in topological order, because
 * the builder can only refer to values that exist. The graph never holds weights: a constant refers to a blob.
 *
 * Dimensions are constants or expressions over named symbols, so that one graph serves every length.
 *
 * Ownership: a graph owns everything in it through one arena and a few growing arrays; qn_graph_destroy releases it.
 * Threads: building is single-threaded; a finished graph is read-only and may be shared.
 */
#ifndef QN_IR_IR_H
#define QN_IR_IR_H

#include "base/activation_kind.h"
#include "base/array.h"
#include "base/bytes.h"
#include "base/status.h"
#include "base/str.h"
#include "quern/dtype.h"

typedef uint32_t qn_value; /* 0 is "none" */
typedef uint32_t qn_node;  /* 0 is "none" */

enum { QN_MAX_RANK = 8, QN_ANY = 255 /* in ops.def: any number of inputs or outputs */ };

/* ---- dimensions ----------------------------------------------------------------------------------------------- */

/* >= 0: that many elements. < 0: expression number ~dim of the graph. */
typedef int64_t qn_dim;

enum qn_expr_op {
    QN_EXPR_SYMBOL = 0, /* a = index into symbols */
    QN_EXPR_ADD,
    QN_EXPR_SUB, /* must not fall below 0 */
    QN_EXPR_MUL,
    QN_EXPR_DIV, /* floor; divisor > 0 */
    QN_EXPR_MOD,
    QN_EXPR_MIN,
    QN_EXPR_MAX,
};

struct qn_expr {
    enum qn_expr_op op;
    uint32_t size; /* symbols, constants and operators in it when written out; bounded, so that walks may recurse */
    int64_t a, b;  /* operands as qn_dim; SYMBOL: a is the symbol's index, b is 0 */
};

/* A symbol gets its value from the inputs' shapes before the first step, or, a late one, from a step of the run that
 * finds out (nonzero, bind_dims, a call): what depends on it has its memory taken once the value is there. A bounded
 * symbol (max below QN_UNBOUNDED) has its memory laid out for max, once. */
struct qn_symbol {
    struct qn_str name;
    int64_t min, max; /* bounds, both inclusive */
    bool late;
};

#define QN_UNBOUNDED ((int64_t)1 << 40) /* elements: max of a symbol that nobody bounds */

/* What shape rules could not tell and took for granted: the run checks it once the symbols in it have values. */
enum qn_check_kind {
    QN_CHECK_EQUAL = 0,    /* a == b */
    QN_CHECK_EQUAL_OR_ONE, /* b == a or b == 1: b broadcasts to a */
    QN_CHECK_AT_MOST,      /* a <= b */
};
struct qn_check {
    enum qn_check_kind kind;
    qn_dim a, b;
    struct qn_str node; /* whose rule it was: a node's name, or its op where it has none */
};

static inline bool qn_check_holds(enum qn_check_kind kind, int64_t a, int64_t b)
{
    return kind == QN_CHECK_AT_MOST ? a <= b : a == b || (kind == QN_CHECK_EQUAL_OR_ONE && b == 1);
}

/* ---- types ---------------------------------------------------------------------------------------------------- */

/* Affine encoding (Q/DQ, TFLite, MatMulNBits): real = (stored - zero_point) * scale along `axis` in blocks. Block
 * types as in GGUF are dtypes of their own and need no record. */
struct qn_encoding {
    int32_t axis;         /* -1: one scale for the tensor */
    uint32_t block_size;  /* elements a scale covers along axis; 0: one slice */
    qn_value scales;      /* a constant */
    qn_value zero_points; /* a constant; 0: all zero */
};

struct qn_type {
    qn_dtype dtype;
    uint32_t encoding; /* 0: none, otherwise index into encodings */
    uint32_t rank;
    qn_dim dims[QN_MAX_RANK];
};

/* ---- constants ------------------------------------------------------------------------------------------------ */

enum qn_blob_place {
    QN_BLOB_FILE = 0,   /* a range of source file number `file` */
    QN_BLOB_MEMORY = 1, /* bytes owned by the graph (what an importer or a pass computes) */
};

struct qn_blob {
    enum qn_blob_place place;
    uint32_t file;
    uint64_t offset; /* bytes from the file's start */
    uint64_t bytes;
    /* The bytes. MEMORY: owned by the graph, strings as struct qn_string views whose bytes it owns too. FILE: where the
     * importer has them mapped, at any alignment, as long as the source stays open; or NULL. */
    const void *data;
    struct qn_bytes *owner; /* of MEMORY that graphs and plans share, each holds it; NULL: it lies in the arena */
};

/* ---- values, nodes, graph ------------------------------------------------------------------------------------- */

enum qn_value_kind {
    QN_VALUE_NODE = 0, /* output of a node */
    QN_VALUE_INPUT,
    QN_VALUE_CONSTANT,
    QN_VALUE_STATE, /* content of a state when the run starts */
};

struct qn_value_info {
    struct qn_type type;
    enum qn_value_kind kind;
    qn_node producer;   /* kind NODE */
    uint32_t index;     /* NODE: which output; INPUT, CONSTANT, STATE: index into inputs, blobs, states */
    struct qn_str name; /* may be empty */
};

struct qn_node_info {
    uint16_t op; /* enum qn_op */
    uint16_t input_count, output_count;
    uint32_t first_input; /* into edges */
    qn_value first_output;
    uint32_t attr;      /* offset into attr bytes; the op says which record */
    struct qn_str name; /* may be empty; for messages and profiles */
};

/* A tensor that outlives a run (a KV cache). The run starts with value `in` and leaves value `out`; the planner gives
 * both, and every value on the way, the same storage. */
struct qn_state {
    struct qn_str name;
    qn_value in, out;
};

struct qn_graph_slot {
    struct qn_str name;
    qn_value value;
};

struct qn_graph;

/* Somebody who wants nodes for itself, such as a backend that is asked before the CPU. */
struct qn_claims {
    bool (*claims)(const void *context, const struct qn_graph *graph, qn_node node);
    const void *context;
};

struct qn_graph {
    const struct qn_allocator *allocator;
    struct qn_arena arena; /* names and in-memory blobs */
    struct qn_str name;
    QN_ARRAY(struct qn_symbol) symbols;
    QN_ARRAY(struct qn_expr) exprs;
    QN_ARRAY(struct qn_check) checks;
    QN_ARRAY(struct qn_encoding) encodings; /* [0] unused */
    QN_ARRAY(struct qn_blob) blobs;
    QN_ARRAY(struct qn_value_info) values; /* [0] unused */
    QN_ARRAY(struct qn_node_info) nodes;   /* [0] unused */
    QN_ARRAY(qn_value) edges;
    QN_ARRAY(uint8_t) attrs;
    QN_ARRAY(struct qn_graph_slot) inputs;
    QN_ARRAY(struct qn_graph_slot) outputs;
    QN_ARRAY(struct qn_state) states;
    QN_ARRAY(struct qn_str) files;  /* paths of the source files that blobs refer to */
    const struct qn_claims *claims; /* nodes that passes do not fuse into others; NULL: none */
    QN_ARRAY(uint32_t) share;       /* hash index (share.h): count entries in a table of `capacity` slots */
};

/* Bytes of a tensor of this type; false when a dim is no constant, a row is no whole number of blocks, or the product
 * overflows. */
bool qn_type_bytes(const struct qn_type *type, uint64_t *bytes);
bool qn_type_equal(const struct qn_type *a, const struct qn_type *b);

/* allocator NULL means the default. */
qn_status qn_graph_create(const struct qn_allocator *allocator, struct qn_str name, struct qn_graph **out) QN_MUST_USE;
void qn_graph_destroy(struct qn_graph *graph);

static inline const struct qn_value_info *qn_graph_value(const struct qn_graph *g, qn_value v)
{
    return &g->values.items[v];
}
static inline const struct qn_type *qn_graph_type(const struct qn_graph *g, qn_value v)
{
    return &g->values.items[v].type;
}
static inline const struct qn_node_info *qn_graph_node(const struct qn_graph *g, qn_node n)
{
    return &g->nodes.items[n];
}
static inline qn_value qn_graph_input_of(const struct qn_graph *g, qn_node n, uint32_t i)
{
    const struct qn_node_info *node = &g->nodes.items[n];
    return i < node->input_count ? g->edges.items[node->first_input + i] : 0;
}
static inline qn_value qn_graph_output_of(const struct qn_graph *g, qn_node n, uint32_t i)
{
    return g->nodes.items[n].first_output + i;
}
/* The node's attribute record: cast to the op's struct qn_attr_<record>. Valid until a node is added to the graph. */
static inline const void *qn_graph_attr(const struct qn_graph *g, qn_node n)
{
    return g->attrs.items + g->nodes.items[n].attr;
}

/* ---- building: all calls share what already exists (the same expression, the same pure node on the same inputs)  */

/* Symbols are found by name; the first call sets the bounds. */
qn_status qn_graph_symbol(struct qn_graph *g, struct qn_str name, int64_t min, int64_t max, qn_dim *out) QN_MUST_USE;
/* The same for a symbol that may be late. */
qn_status qn_graph_add_symbol(struct qn_graph *g, const struct qn_symbol *symbol, qn_dim *out) QN_MUST_USE;
/* Brings sums of products of the symbols into one normal form (expanded, like terms joined, ordered), and divides where
 * it goes without rest, so that equal sizes get equal ids. Constants are >= 0. Fails on overflow, on a constant below
 * zero and on an expression past 1,000 symbols and operators. */
qn_status qn_graph_expr(struct qn_graph *g, enum qn_expr_op op, qn_dim a, qn_dim b, qn_dim *out) QN_MUST_USE;
/* Evaluates a dim with symbol values[i] for symbol i; false on overflow or division by zero. */
bool qn_graph_eval(const struct qn_graph *g, qn_dim dim, const int64_t *symbol_values, int64_t *out);

qn_status qn_graph_file(struct qn_graph *g, struct qn_str path, uint32_t *file) QN_MUST_USE;
qn_status qn_graph_add_input(struct qn_graph *g, struct qn_str name, const struct qn_type *type,
                             qn_value *out) QN_MUST_USE;
/* A state: *in is its content at the start. Set the end with qn_graph_set_state once its last writer exists. */
qn_status qn_graph_add_state(struct qn_graph *g, struct qn_str name, const struct qn_type *type,
                             qn_value *in) QN_MUST_USE;
void qn_graph_set_state(struct qn_graph *g, qn_value in, qn_value out);
qn_status qn_graph_add_output(struct qn_graph *g, struct qn_str name, qn_value value) QN_MUST_USE;
/* The blob must hold exactly the bytes of the type (constant dims). */
qn_status qn_graph_add_constant(struct qn_graph *g, struct qn_str name, const struct qn_type *type,
                                const struct qn_blob *blob, qn_value *out) QN_MUST_USE;
/* A constant whose bytes are copied into the graph. */
qn_status qn_graph_add_data(struct qn_graph *g, struct qn_str name, const struct qn_type *type, const void *data,
                            qn_value *out) QN_MUST_USE;
/* An affine encoding for types; shared like constants. */
qn_status qn_graph_add_encoding(struct qn_graph *g, const struct qn_encoding *encoding, uint32_t *out) QN_MUST_USE;
/* A new symbol of its own, unbounded, with a name made from `hint` that no other has. */
qn_status qn_graph_fresh_symbol(struct qn_graph *g, const char *hint, bool late, qn_dim *out) QN_MUST_USE;
/* A call or custom node: like qn_graph_add_node, with the types of its outputs given. Never shared. */
qn_status qn_graph_add_call(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t input_count,
                            const void *attr, struct qn_str name, const struct qn_type *types, uint32_t output_count,
                            qn_value *outs) QN_MUST_USE;
/* Adds a node: checks arity, infers the output types by the op's shape rule, shares. attr may be NULL where the op has
 * none or zero is meant; negative axes count from the end. outs receives output_count values. Errors name the op, the
 * node and the shapes. */
qn_status qn_graph_add_node(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t input_count,
                            const void *attr, struct qn_str name, qn_value *outs) QN_MUST_USE;

/* Notes a check, unless it is there already. Rules of shapes do so; who only copies a graph carries them over. */
qn_status qn_graph_add_check(struct qn_graph *g, enum qn_check_kind kind, qn_dim a, qn_dim b,
                             struct qn_str node) QN_MUST_USE;

/* ---- dims that can be compared without values ------------------------------------------------------------------ */

enum qn_dim_relation { QN_DIM_UNKNOWN = 0, QN_DIM_EQUAL, QN_DIM_DIFFERENT };
enum qn_dim_relation qn_dim_compare(const struct qn_graph *g, qn_dim a, qn_dim b);
/* True when a <= b holds for all values of the symbols. */
bool qn_dim_at_most(const struct qn_graph *g, qn_dim a, qn_dim b);

/* ---- who needs whom -------------------------------------------------------------------------------------------- */

/* By symbol: the node that binds it; 0 for a symbol that is not late, or that nobody binds. symbols.count entries. */
void qn_graph_late_binders(const struct qn_graph *g, qn_node *binders);
/* live[n] (nodes.count entries, zeroed by the callee): 1 for what a run has to do. That is whatever outputs, states and
 * live nodes read, writers into states, and nodes that bind a late symbol which the types or the record of a live node
 * mention. */
qn_status qn_graph_mark_live(const struct qn_graph *g, uint8_t *live) QN_MUST_USE;

/* ---- ops and attributes: tables ------------------------------------------------------------------------------- */

enum qn_op {
    QN_OP_NONE = 0,
#define QN_OP_ROW(serial, name, ...) QN_OP_##name = serial,
#include "ir/ops.def"
#undef QN_OP_ROW
    QN_OP_LIMIT = 512,
};

/* A short list of integers inside an attribute record. */
struct qn_ints {
    uint32_t count;
    int64_t items[QN_MAX_RANK];
};

struct qn_floats {
    uint32_t count;
    float items[QN_MAX_RANK];
};

/* A program of elementwise ops over the inputs of a chain: instruction i writes register i. An operand below
 * QN_CHAIN_INPUT is the result of that instruction, otherwise input number (operand - QN_CHAIN_INPUT). The last
 * instruction gives the output. */
enum { QN_CHAIN_MAX = 24, QN_CHAIN_INPUT = 128 };
struct qn_chain {
    struct qn_chain_step {
        uint16_t op;     /* an op with trait ELEMENTWISE */
        uint8_t a, b, c; /* operands; those the op does not have are 0 */
        uint8_t dtype;   /* of the result */
    } steps[QN_CHAIN_MAX];
};

/* Field kinds of attribute records: bool_ (uint8_t), i64, f32, dtype (uint32_t), ints (struct qn_ints), floats (struct
 * qn_floats), dim (qn_dim), dims (struct qn_ints of qn_dim) and chain (struct qn_chain). */
#define QN_ATTR_CTYPE_bool_ uint8_t
#define QN_ATTR_CTYPE_i64 int64_t
#define QN_ATTR_CTYPE_f32 float
#define QN_ATTR_CTYPE_dtype uint32_t
#define QN_ATTR_CTYPE_ints struct qn_ints
#define QN_ATTR_CTYPE_dim qn_dim
#define QN_ATTR_CTYPE_dims struct qn_ints
#define QN_ATTR_CTYPE_floats struct qn_floats
#define QN_ATTR_CTYPE_chain struct qn_chain

#define QN_ATTR_BEGIN(record) struct qn_attr_##record {
#define QN_ATTR_FIELD(record, kind, field) QN_ATTR_CTYPE_##kind field;
#define QN_ATTR_END(record) \
    }                       \
    ;
#include "ir/attrs.def"
#undef QN_ATTR_BEGIN
#undef QN_ATTR_FIELD
#undef QN_ATTR_END

enum qn_attr_kind {
    QN_ATTR_bool_,
    QN_ATTR_i64,
    QN_ATTR_f32,
    QN_ATTR_dtype,
    QN_ATTR_ints,
    QN_ATTR_dim,
    QN_ATTR_dims,
    QN_ATTR_floats,
    QN_ATTR_chain,
};

struct qn_attr_field {
    const char *name;
    enum qn_attr_kind kind;
    uint32_t offset, size;
};

enum qn_op_trait {
    QN_OP_PURE = 1,        /* same inputs, same outputs: may be shared, folded, dropped */
    QN_OP_ELEMENTWISE = 2, /* output element i depends on input elements i alone, inputs broadcast */
    QN_OP_COMMUTATIVE = 4, /* the first two inputs may be swapped */
    QN_OP_VIEW = 8,        /* the output is the first input's bytes under another shape */
    QN_OP_INPLACE = 16,    /* the output takes over the first input's storage (state writes) */
    QN_OP_FUSED = 32,      /* has a decomposition into core ops */
};

struct qn_shape_context {
    struct qn_graph *graph;
    const struct qn_type *const *inputs; /* NULL where an optional input is absent */
    uint32_t input_count;
    const void *attr;
    struct qn_type *outputs;
};
typedef qn_status (*qn_shape_fn)(const struct qn_shape_context *context);

/* Emits core ops that compute what the fused node does, into `to`; outs receives the node's outputs. `inputs` are
 * values of `to`. */
typedef qn_status (*qn_decompose_fn)(struct qn_graph *to, const qn_value *inputs, uint32_t input_count,
                                     const void *attr, qn_value *outs);

struct qn_op_info {
    const char *name;                        /* NULL: no such op */
    uint8_t min_inputs, max_inputs, outputs; /* QN_ANY: any number */
    uint32_t traits;
    const char *record; /* of attrs.def */
    const struct qn_attr_field *fields;
    uint32_t field_count, attr_size;
    qn_shape_fn shape;
    qn_decompose_fn decompose; /* NULL for core ops */
};

enum qn_resize_coordinates {
    QN_RESIZE_HALF_PIXEL = 0,
    QN_RESIZE_HALF_PIXEL_SYMMETRIC,
    QN_RESIZE_PYTORCH_HALF_PIXEL,
    QN_RESIZE_ALIGN_CORNERS,
    QN_RESIZE_ASYMMETRIC,
    QN_RESIZE_CROP, /* tf_crop_and_resize */
};

/* How search_step chooses the next token. */
enum qn_search_kind { QN_SEARCH_GREEDY = 0, QN_SEARCH_DRAW, QN_SEARCH_BEAMS };

/* What a call runs. A body's inputs are listed in this order; "captured" are values of the outer graph that it
 * reads. */
enum qn_call_kind {
    /* The rest of a graph: inputs to the body, its outputs out. */
    QN_CALL_BODY = 0,
    /* (condition bool, captured...): `body` where true, `body2` where false; both take all captured. */
    QN_CALL_IF,
    /* (trip count i64 or none, condition bool or none, carried[count]..., captured...): body(iteration i64, condition,
     * carried..., captured...) gives (condition, carried..., scanned...); out: the carried, then the scanned, stacked
     * along a new first axis. */
    QN_CALL_LOOP,
    /* (carried[count]..., scanned..., captured...); body2 is the number of the record in the program that says the
     * axes and directions. */
    QN_CALL_SCAN,
    /* (sequence, other sequences or tensors[count]..., captured...): body on each element; out: sequences */
    QN_CALL_SEQUENCE_MAP,
};

enum qn_glu_kind { QN_GLU_SILU = 0, QN_GLU_GELU_TANH = 1, QN_GLU_GELU_ERF = 2, QN_GLU_SIGMOID = 3, QN_GLU_RELU = 4 };

const struct qn_op_info *qn_op_info(uint16_t op); /* a row without name for an unknown number */
uint16_t qn_op_from_name(struct qn_str name);     /* QN_OP_NONE when unknown */

/* ---- checking and text ---------------------------------------------------------------------------------------- */

/* Every invariant above: ids in range, order, arity, types as the shape rules give them, states, names. The message
 * names the node. */
qn_status qn_graph_verify(const struct qn_graph *g) QN_MUST_USE;

/* "N*32" and "f32[N,32,64]", as the text form has them. */
void qn_dim_print(const struct qn_graph *g, qn_dim dim, struct qn_strbuf *out);
void qn_type_print(const struct qn_graph *g, const struct qn_type *type, struct qn_strbuf *out);
/* The same into a fixed buffer for messages; cut where it is too long. */
struct qn_type_text {
    char text[200];
};
struct qn_type_text qn_type_text(const struct qn_graph *g, const struct qn_type *type);

/* The text form; parse(print(g)) prints the same text again. */
qn_status qn_graph_print(const struct qn_graph *g, struct qn_strbuf *out) QN_MUST_USE;
qn_status qn_graph_parse(struct qn_str text, const struct qn_allocator *allocator, struct qn_graph **out) QN_MUST_USE;

#endif

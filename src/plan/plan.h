/* The plan: a graph turned into steps with chosen kernels and planned memory, ready to be walked by the executor.
 *
 * Everything stands in flat arrays of plain data that refer to each other by number, so that the arrays can become the
 * bytes of a plan file. Sizes stay symbolic. Tensors whose sizes follow from the inputs' shapes lie in one workspace,
 * where buffers that are never alive together share bytes: laid out once for the symbols' upper bounds when all symbols
 * have one, otherwise by the executor for ranges of sizes (layout.h). Tensors that only the run can size, and objects,
 * have slots: memory that the executor takes when the size is known, and gives back after the last reader.
 *
 * Ownership: a plan owns its arrays and the programs that backends compiled for groups of nodes. Threads: read-only
 * once created, may be shared by executors.
 */
#ifndef QN_PLAN_PLAN_H
#define QN_PLAN_PLAN_H

#include "backend/backend.h"
#include "ir/ir.h"

enum qn_place {
    QN_PLACE_NONE = 0,  /* an absent optional operand */
    QN_PLACE_WORKSPACE, /* buffer number `index` */
    QN_PLACE_CONSTANT,  /* blob number `index` */
    QN_PLACE_STATE,
    QN_PLACE_INPUT,
    QN_PLACE_OUTPUT,
    QN_PLACE_PACKED, /* packed weights number `index` */
    QN_PLACE_SLOT,   /* what slot number `index` holds at the moment */
};

/* A contiguous tensor. */
struct qn_plan_tensor {
    uint8_t place; /* enum qn_place */
    uint8_t rank;
    uint16_t dtype;
    uint32_t index;
    uint32_t producer;        /* 1 + the step that writes its storage, 0: none */
    qn_dim dims[QN_MAX_RANK]; /* constants, or ~number of an expression of the plan */
};

/* Bytes of the workspace. */
struct qn_plan_buffer {
    uint32_t tensor;      /* whose size it has */
    uint32_t pack_step;   /* 1 + the packing step that says the size; 0: the tensor does */
    uint32_t first, last; /* steps between which it is alive, both inclusive */
};

enum qn_step_kind {
    QN_STEP_KERNEL = 0, /* a row of a backend: kernel calls */
    QN_STEP_ACTIVATION, /* conversion for a matmul kernel */
    QN_STEP_PACK,       /* weights that are no constant, packed in each run by the PACK kernel for the step's row */
    QN_STEP_HOST,       /* a host function of a row */
    QN_STEP_CALL,       /* op call: bodies */
    QN_STEP_BIND,       /* op bind_dims: late symbols from a tensor's elements */
    QN_STEP_GROUP,      /* nodes that a backend compiled itself: program number `attr` */
};

struct qn_plan_step {
    uint16_t op;
    uint8_t kind;           /* enum qn_step_kind */
    uint8_t backend;        /* into backends */
    uint16_t row;           /* of the backend's table */
    bool late;              /* sizes or attributes depend on late symbols */
    bool keep;              /* runs whatever outputs are wanted: it writes a state or binds symbols */
    uint32_t kernel;        /* index into qn_kernels; PACK: the kernel whose weights are packed */
    uint32_t pack;          /* PACK: index of the PACK kernel */
    uint32_t attr;          /* offset into attrs */
    uint32_t first_operand; /* into operands: inputs, then outputs, each the number of a tensor */
    uint16_t in_count, out_count;
    uint32_t first_release, release_count; /* into releases: slots that nobody reads after this step */
    uint32_t name;                         /* offset into text, for messages and profiles */
};

/* Weights that the executor packs once (exec/weights.c): the step's constant operand row->pack_operand. */
struct qn_plan_packed {
    uint32_t step;   /* one that reads them: its row and kernel say how */
    uint32_t kernel; /* the PACK kernel */
    uint32_t source; /* the constant's tensor */
    uint64_t bytes;
};

struct qn_plan_slot {
    uint32_t name;   /* offset into text */
    uint32_t tensor; /* shape and dtype */
};

struct qn_plan_group {
    const struct qn_backend *backend;
    void *program;
};

/* What must hold between two sizes; the run says so when it does not. */
struct qn_plan_check {
    uint32_t kind; /* enum qn_check_kind */
    qn_dim a, b;
    uint32_t name; /* offset into text */
};

struct qn_plan {
    const struct qn_allocator *allocator;
    const struct qn_backend **backends; /* in the order of preference */
    uint32_t backend_count;
    QN_ARRAY(struct qn_plan_tensor) tensors; /* [0]: absent */
    QN_ARRAY(struct qn_plan_buffer) buffers;
    QN_ARRAY(struct qn_plan_step) steps;
    QN_ARRAY(uint32_t) operands;
    QN_ARRAY(uint32_t) releases;
    QN_ARRAY(uint8_t) attrs;
    QN_ARRAY(char) text;
    QN_ARRAY(struct qn_expr) exprs;
    QN_ARRAY(struct qn_symbol) symbols; /* names borrowed from the graph are not kept: name.data is NULL */
    QN_ARRAY(uint32_t) symbol_names;    /* offsets into text */
    QN_ARRAY(struct qn_blob)
    blobs; /* in-memory ones without an owner: offset into `data`; those that no step reads have no bytes */
    QN_ARRAY(uint8_t) data; /* small constants, 64-byte aligned offsets */
    QN_ARRAY(struct qn_plan_slot) inputs, outputs, states;
    QN_ARRAY(struct qn_plan_packed) packed;
    QN_ARRAY(struct qn_plan_group) groups;
    QN_ARRAY(struct qn_plan_check) checks;
    uint32_t slot_count;
    uint32_t max_in, max_out, max_attr; /* the largest step's operands, and bytes of its attributes */
    bool bounded;                       /* all symbols but late ones have an upper bound: offsets hold for every run */
    bool late;                          /* there are late symbols */
    bool holds_strings;                 /* constants of strings: elements point into `data` */
    uint64_t *offsets;                  /* by buffer, when bounded */
    uint64_t workspace_bytes;           /* of that layout */
    uint64_t scratch_bytes;             /* for one thread, at the largest sizes; unbounded: at usual ones */
    uint64_t shared_bytes;
};

struct qn_plan_options {
    uint32_t features;    /* enum qn_cpu_feature bits that kernels may use */
    bool f32_activations; /* only matmul kernels that read f32: slower, closer to the exact result */
    /* Backends asked before the one given to qn_plan_create, first come first served. */
    const struct qn_backend *const *preferred;
    uint32_t preferred_count;
    /* Told for each node, before anything else is done with it: who takes it (why NULL), and who not and why. May be
     * NULL. */
    void (*partition)(void *context, const struct qn_graph *graph, qn_node node, const struct qn_backend *backend,
                      const char *why);
    void *partition_context;
};

/* The graph is verified, optimised if it is to be, and not needed afterwards (it may gain expressions). Errors name
 * the node and what no kernel was found for. */
qn_status qn_plan_create(struct qn_graph *graph, const struct qn_backend *backend,
                         const struct qn_plan_options *options, const struct qn_allocator *allocator,
                         struct qn_plan **out) QN_MUST_USE;
void qn_plan_destroy(struct qn_plan *plan);

static inline const struct qn_backend_row *qn_plan_row(const struct qn_plan *plan, const struct qn_plan_step *step)
{
    return &plan->backends[step->backend]->rows[step->row];
}

/* ---- sizes ---------------------------------------------------------------------------------------------------- */

/* Values of expressions that have no value: a late symbol in it is not bound yet, or it overflows or divides by 0. */
#define QN_SIZE_UNKNOWN INT64_MIN
#define QN_SIZE_INVALID (INT64_MIN + 1)

/* Values of all expressions for given symbol values (QN_SIZE_UNKNOWN for late ones that are not bound), in `values`
 * (exprs.count of them). A sum may be below zero; as a dimension that is an error of whoever asks for it. */
void qn_plan_eval(const struct qn_plan *plan, const int64_t *symbols, int64_t *values);

/* The least and the largest values of all expressions while symbol i is between low[i] and high[i]; those that depend
 * on late symbols are QN_SIZE_UNKNOWN, those that overflow QN_SIZE_INVALID. */
void qn_plan_bounds(const struct qn_plan *plan, const int64_t *low, const int64_t *high, int64_t *least,
                    int64_t *largest);

static inline int64_t qn_plan_dim(qn_dim dim, const int64_t *values)
{
    return dim >= 0 ? dim : values[~dim];
}

/* The tensor's view at these sizes; data is left NULL. Bytes of the tensor in *bytes, false on overflow, on a size
 * below zero and on one that is not known. */
bool qn_plan_view(const struct qn_plan_tensor *tensor, const int64_t *values, struct qn_view *view, uint64_t *bytes);

/* The attribute record of a step with its dimension fields resolved, copied into `buffer` (max_attr bytes); the record
 * itself where it has none. NULL for an op without attributes. False when a size has no value; for a host function's
 * step one that is not known yet is -1. */
bool qn_plan_attr(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *values, void *buffer,
                  const void **attr);

/* Room for the views and attributes of any step of a plan. */
struct qn_step_views {
    struct qn_view *in, *out; /* max_in, max_out */
    void *attr;               /* max_attr bytes */
};
bool qn_step_views_init(struct qn_step_views *views, const struct qn_plan *plan, const struct qn_allocator *allocator);
void qn_step_views_deinit(struct qn_step_views *views, const struct qn_plan *plan,
                          const struct qn_allocator *allocator);

/* Fills a bind (without data, shared and fault) for a step; false where a size has no value. */
bool qn_plan_bind(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *values,
                  const struct qn_step_views *views, struct qn_bind *bind);

#endif

/* Inside the ONNX importer: the resolved program, and one import under way. */
#ifndef QN_FORMAT_ONNX_IMPORT_STATE_H
#define QN_FORMAT_ONNX_IMPORT_STATE_H

#include "format/onnx/import.h"
#include "format/onnx/lower.h"
#include "format/onnx/values.h"

/* ---- the program ---------------------------------------------------------------------------------------------- */

/* Values have numbers; 0 is an absent optional input. */
struct qn_onnx_slot {
    struct qn_str name;
    const struct qn_onnx_tensor *tensor; /* an initialiser, or the content of a Constant node */
    const struct qn_onnx_sparse *sparse;
    const struct qn_onnx_type_proto *type; /* as declared; NULL: nowhere */
    uint32_t uses;
};

/* A graph or the body of a function call: what attributes refer to, and which opsets hold. */
struct qn_onnx_frame {
    const struct qn_onnx_function *function; /* NULL: the model's graphs */
    const struct qn_onnx_frame *outer;       /* of the call */
    const struct qn_onnx_node *call;
    const struct qn_onnx_opset *opsets;
    uint32_t opset_count, depth;
};

struct qn_onnx_region;
struct qn_onnx_signature;

struct qn_onnx_step {
    const struct qn_onnx_node *node;
    const struct qn_onnx_frame *frame;
    const struct qn_lower_row *row;
    const struct qn_onnx_signature *signature; /* NULL: none */
    const struct qn_custom_op *custom;         /* instead of row */
    uint32_t opset;
    uint32_t input_count, output_count;
    uint32_t *inputs, *outputs; /* values */
    struct qn_onnx_region **regions;
    struct qn_str *region_names; /* attributes */
    uint32_t region_count;
};

struct qn_onnx_region {
    struct qn_str name;
    struct qn_onnx_step **steps;
    uint32_t step_count;
    uint32_t *inputs, *outputs;
    uint32_t input_count, output_count;
    uint32_t *captured; /* values of outer graphs that it reads */
    uint32_t captured_count;
};

/* A value that a body knows: its contents, that it is another name of a tensor of the program, or that it is absent. */
struct qn_onnx_fixed {
    uint32_t slot, same; /* same 0: no other name */
    const struct qn_contents *contents;
};

/* A body: steps, the values it is given and gives. */
struct qn_onnx_body {
    struct qn_onnx_step **steps;
    uint32_t step_count;
    uint32_t *inputs, *outputs;
    uint32_t input_count, output_count;
    struct qn_onnx_type *input_types; /* of objects */
    uint32_t (*aliases)[2];           /* value, what it is another name of */
    uint32_t alias_count;
    struct qn_onnx_fixed *fixed;
    uint32_t fixed_count;
    uint64_t hash;
};

struct qn_onnx_program {
    const struct qn_allocator *allocator;
    const struct qn_onnx_file *file;
    struct qn_onnx_import_options options;
    struct qn_arena arena;
    QN_ARRAY(struct qn_onnx_slot) slots; /* [0] unused */
    struct qn_onnx_region *main;
    struct qn_body_source source;
    uint32_t lock; /* of what follows, and of the arena once graphs are imported */
    QN_ARRAY(struct qn_onnx_body *) bodies;
    QN_ARRAY(struct qn_scan *) scans;
    QN_ARRAY(struct qn_custom_node *) customs; /* in the arena: their addresses stay */
};

/* import_resolve.c */
qn_status qn_onnx_resolve_program(struct qn_onnx_program *program) QN_MUST_USE;
const struct qn_onnx_attr *qn_onnx_find_attr(const struct qn_onnx_frame *frame, const struct qn_onnx_node *node,
                                             const char *name);
const struct qn_onnx_attr *qn_onnx_find_attr_named(const struct qn_onnx_frame *frame, const struct qn_onnx_node *node,
                                                   struct qn_str name);
void qn_onnx_lock(struct qn_onnx_program *program);
void qn_onnx_unlock(struct qn_onnx_program *program);

/* ---- one import ----------------------------------------------------------------------------------------------- */

enum qn_onnx_state { QN_ONNX_UNDEFINED = 0, QN_ONNX_READY, QN_ONNX_DEFERRED, QN_ONNX_ABSENT };

struct qn_onnx_bound {
    qn_value value; /* 0: made when somebody reads it */
    uint8_t state;  /* enum qn_onnx_state */
    bool looked;    /* contents were looked for */
    uint32_t input; /* number of the body's input, plus 1 */
    uint32_t alias; /* another name of this value */
    struct qn_onnx_type type;
    const struct qn_contents *contents; /* what is known; NULL: nothing */
};

struct qn_onnx_import {
    struct qn_onnx_program *program;
    struct qn_graph *graph;
    struct qn_build b;
    struct qn_arena arena;
    struct qn_onnx_bound *entries;
    struct qn_body_input *inputs; /* of the body being imported; NULL for the main graph */
    uint32_t input_count, depth;
    bool concrete; /* all dims of the inputs are numbers */
    struct qn_onnx_step *step;
    bool deferred;                        /* the step at hand asked for it */
    struct qn_strbuf why;                 /* of the first deferral, for messages */
    QN_ARRAY(struct qn_onnx_step *) rest; /* deferred steps */
};

/* custom.c */
qn_status qn_onnx_lower_custom(struct qn_onnx_import *im, struct qn_onnx_step *step) QN_MUST_USE;

/* import.c */
struct qn_onnx_bound *qn_onnx_entry_of(struct qn_onnx_import *im, uint32_t slot);
/* Steps in order; what cannot be imported yet is left in im->rest. */
qn_status qn_onnx_import_steps(struct qn_onnx_import *im, struct qn_onnx_step *const *steps,
                               uint32_t count) QN_MUST_USE;
/* The value as IR; made where it is not there yet. 0 on error. */
qn_value qn_onnx_entry_value(struct qn_onnx_import *im, uint32_t slot);
/* What is known of the contents; NULL when nothing is. */
const struct qn_contents *qn_onnx_entry_contents(struct qn_onnx_import *im, uint32_t slot);
/* The contents are used: the graph holds for these bytes only. */
void qn_onnx_pin(struct qn_onnx_import *im, const struct qn_contents *contents);
/* A type with declared dtype and rank as an IR type, with numbers where they are declared and late symbols; false when
 * it is not declared. */
bool qn_onnx_declared_type(struct qn_onnx_import *im, const struct qn_onnx_type_proto *proto, struct qn_type *type);
struct qn_onnx_type qn_onnx_proto_type(const struct qn_onnx_type_proto *proto);
/* The graph of a body for typed inputs. depth 0: for a run; deeper: to find out the types of what control flow gives,
 * dims that are symbolic having no number. kinds: what each output is, or NULL. */
qn_status qn_onnx_import_body(struct qn_onnx_program *program, uint32_t body, struct qn_body_input *inputs,
                              uint32_t count, uint32_t depth, const struct qn_allocator *allocator,
                              struct qn_graph **out, struct qn_onnx_type *kinds) QN_MUST_USE;

/* body.c. What a body reads of the values around it becomes inputs (appended to *captured, an array in the import's
 * arena), names and fixed contents. `first` are values it is given beside those. */
struct qn_onnx_body_parts {
    struct qn_onnx_step *const *steps;
    uint32_t step_count;
    const uint32_t *first;
    uint32_t first_count;
    const struct qn_onnx_type *first_types;
    const uint32_t *captured; /* in the order of the call, all of them inputs */
    uint32_t captured_count;
    const uint32_t *outputs;
    uint32_t output_count;
    const uint32_t (*aliases)[2];
    uint32_t alias_count;
    const struct qn_onnx_fixed *fixed;
    uint32_t fixed_count;
};
qn_status qn_onnx_add_body(struct qn_onnx_import *im, const struct qn_onnx_body_parts *parts,
                           uint32_t *body) QN_MUST_USE;
/* Of the values in `slots`, those that a body has to be given: in *live, which has room for `count`; the rest is told
 * in *fixed, which has room too, or lies in the program. */
qn_status qn_onnx_sort_captured(struct qn_onnx_import *im, const uint32_t *slots, uint32_t count, uint32_t *live,
                                uint32_t *live_count, struct qn_onnx_fixed *fixed, uint32_t *fixed_count) QN_MUST_USE;
/* The deferred steps become a call; afterwards all outputs are there. */
qn_status qn_onnx_cut(struct qn_onnx_import *im, const uint32_t *outputs, uint32_t output_count) QN_MUST_USE;

/* lower.c, for the lowerings of shapes and control flow. Output i is input `input` under another name. */
void qn_onnx_out_same(struct qn_lower *l, uint32_t i, uint32_t input);
/* Output i is these contents; its value is made when somebody reads it. */
void qn_onnx_out_contents(struct qn_lower *l, uint32_t i, const struct qn_contents *contents);
const struct qn_contents *qn_onnx_in_contents(struct qn_lower *l, uint32_t i);

/* values_ops.c: contents of the step's outputs where those of its inputs are known; true when the outputs need no
 * nodes. */
bool qn_onnx_follow(struct qn_onnx_import *im, struct qn_onnx_step *step);

#endif

/* What the planner's files share. Private to src/plan. */
#ifndef QN_PLAN_PLANNER_H
#define QN_PLAN_PLANNER_H

#include "plan/plan.h"

/* An x that a matmul kernel has asked for in a form: later matmuls of the same x share it. */
struct qn_form {
    qn_value x;
    enum qn_act act;
    uint32_t tensor;
};

/* Packed weights that later steps with equal parameters share. */
struct qn_packed_key {
    qn_value weights; /* the root */
    uint32_t packed;  /* in the plan */
    uint32_t kernel;
    uint8_t params[sizeof(struct qn_params)]; /* bytes: elements of an array are less aligned than parameters */
};

struct qn_planner {
    struct qn_graph *graph;
    const struct qn_allocator *allocator;
    const struct qn_plan_options *options;
    struct qn_plan *plan;
    uint8_t *live;      /* by node */
    uint8_t *choice;    /* by node: 1 + the first backend that may take it */
    uint32_t *group;    /* by node: 1 + the group that a backend claimed it for */
    qn_value *root;     /* by value: whose storage it has */
    uint32_t *tensor;   /* by value: its plan tensor, 0 before it has one */
    uint32_t *output;   /* by root: 1 + the graph output that is its storage */
    qn_node *last_use;  /* by root: the last node that reads it; UINT32_MAX: lives to the end */
    uint32_t *operands; /* of the node under way */
    uint32_t operand_room;
    struct qn_view *views; /* as many */
    QN_ARRAY(struct qn_form) forms;
    QN_ARRAY(struct qn_packed_key) packed;
    QN_ARRAY(uint32_t) slot_last; /* by slot: the last step that reads it */
    /* Of all expressions that the graph has by now: sizes to plan with, and whether they depend on late symbols. */
    QN_ARRAY(int64_t) sizes;
    QN_ARRAY(uint8_t) late;
};

/* Brings `sizes` and `late` up to the graph's expressions. */
qn_status qn_planner_sizes(struct qn_planner *p) QN_MUST_USE;
bool qn_planner_dims_late(const struct qn_planner *p, const struct qn_type *type);

/* Whether a value is a constant or a view of one. */
bool qn_planner_is_constant(const struct qn_planner *p, qn_value v);

/* plan_tables.c. Offset into text, UINT32_MAX without memory. */
uint32_t qn_planner_text(struct qn_planner *p, struct qn_str text);
struct qn_str qn_planner_name(const struct qn_planner *p, qn_node n);
/* Inputs and states, before any step. */
qn_status qn_planner_copy_slots(struct qn_planner *p) QN_MUST_USE;
/* When all steps are there: where the executor finds the outputs (what lies elsewhere than in the caller's buffer lives
 * to the end), and the slots by the step after which nobody reads them. */
qn_status qn_planner_list_outputs(struct qn_planner *p) QN_MUST_USE;
qn_status qn_planner_list_releases(struct qn_planner *p) QN_MUST_USE;
/* Then the constants that steps read, and symbols, expressions and checks. */
qn_status qn_planner_copy_blobs(struct qn_planner *p) QN_MUST_USE;
qn_status qn_planner_copy_exprs(struct qn_planner *p) QN_MUST_USE;

/* storage.c: before any step. */
qn_status qn_planner_mark_live(struct qn_planner *p) QN_MUST_USE;
void qn_planner_find_roots(struct qn_planner *p);
qn_status qn_planner_tensor(struct qn_planner *p, enum qn_place place, uint32_t index, const struct qn_type *type,
                            uint32_t *out) QN_MUST_USE;
/* A buffer of its own from the next step on, or a slot where its size is late. */
qn_status qn_planner_room(struct qn_planner *p, const struct qn_type *type, bool slot, uint32_t *out) QN_MUST_USE;
/* The plan tensor of a value: its own shape over the storage of its root. slot: it is given one by its step. */
qn_status qn_planner_value(struct qn_planner *p, qn_value v, bool slot, uint32_t *out) QN_MUST_USE;
/* The output of an elementwise node takes over the buffer of an input that dies there, where one fits. */
qn_status qn_planner_in_place(struct qn_planner *p, qn_node n) QN_MUST_USE;

/* choose.c: which backend, row and kernel. */
struct qn_choice {
    uint8_t backend;
    const struct qn_backend_row *row;
    const struct qn_kernel *kernel, *pack; /* kernel NULL: a host function */
};
/* Asks the backends in order about every live node, and forms groups of what they claim. */
qn_status qn_planner_assign(struct qn_planner *p) QN_MUST_USE;
qn_status qn_planner_choose(struct qn_planner *p, qn_node n, struct qn_choice *choice) QN_MUST_USE;
/* The bind of a node at planning sizes; in and out are views in p->views. */
bool qn_planner_bind(struct qn_planner *p, qn_node n, const struct qn_kernel *kernel, struct qn_bind *bind,
                     void *attr_room);
uint32_t qn_planner_kernel_index(const struct qn_kernel *kernel);

#endif

/* The plan: a graph turned into steps with chosen kernels and planned memory, ready to be walked by the executor.
 *
 * Everything stands in flat arrays of plain data that refer to each other by number, so that the arrays can become the
 * bytes of a plan file. Sizes stay symbolic; the workspace is laid out for the symbols' upper bounds, with the buffers
 * of values that are never alive together sharing bytes.
 *
 * Ownership: a plan owns its arrays and nothing else. Threads: read-only once created, may be shared by executors.
 */
#ifndef QN_PLAN_PLAN_H
#define QN_PLAN_PLAN_H

#include "backend/backend.h"
#include "ir/ir.h"

enum qn_place {
    QN_PLACE_NONE = 0,  /* an absent optional operand */
    QN_PLACE_WORKSPACE, /* offset bytes into the workspace */
    QN_PLACE_CONSTANT,  /* blob number `index` */
    QN_PLACE_STATE,
    QN_PLACE_INPUT,
    QN_PLACE_OUTPUT,
};

/* A contiguous tensor. */
struct qn_plan_tensor {
    uint8_t place; /* enum qn_place */
    uint8_t rank;
    uint16_t dtype;
    uint32_t index;
    uint64_t offset;
    qn_dim dims[QN_MAX_RANK]; /* constants, or ~number of an expression of the plan */
};

struct qn_plan_step {
    uint16_t op;
    uint16_t row;           /* of the backend's table; QN_PLAN_ROW_ACTIVATION: conversion for a matmul kernel */
    uint32_t kernel;        /* index into qn_kernels */
    uint32_t attr;          /* offset into attrs */
    uint32_t first_operand; /* into operands: inputs, then outputs, each the number of a tensor */
    uint16_t in_count, out_count;
    uint32_t name; /* offset into text, for messages and profiles */
};

enum { QN_PLAN_ROW_ACTIVATION = 0xffff };

struct qn_plan_slot {
    uint32_t name;   /* offset into text */
    uint32_t tensor; /* shape and dtype */
};

struct qn_plan {
    const struct qn_allocator *allocator;
    const struct qn_backend *backend;
    QN_ARRAY(struct qn_plan_tensor) tensors; /* [0]: absent */
    QN_ARRAY(struct qn_plan_step) steps;
    QN_ARRAY(uint32_t) operands;
    QN_ARRAY(uint8_t) attrs;
    QN_ARRAY(char) text;
    QN_ARRAY(struct qn_expr) exprs;
    QN_ARRAY(struct qn_symbol) symbols; /* names borrowed from the graph are not kept: name.data is NULL */
    QN_ARRAY(uint32_t) symbol_names;    /* offsets into text */
    QN_ARRAY(struct qn_blob) blobs;     /* in-memory ones point into `data` */
    QN_ARRAY(uint8_t) data;             /* small constants, 64-byte aligned offsets */
    QN_ARRAY(struct qn_plan_slot) inputs, outputs, states;
    uint64_t workspace_bytes; /* at the symbols' upper bounds */
    uint64_t scratch_bytes;   /* for one thread */
    uint64_t shared_bytes;
};

struct qn_plan_options {
    uint32_t features;    /* enum qn_cpu_feature bits that kernels may use */
    bool f32_activations; /* only matmul kernels that read f32: slower, closer to the exact result */
};

/* The graph is verified, optimised if it is to be, and not needed afterwards (it may gain expressions). Errors name
 * the node and what no kernel was found for. */
qn_status qn_plan_create(struct qn_graph *graph, const struct qn_backend *backend,
                         const struct qn_plan_options *options, const struct qn_allocator *allocator,
                         struct qn_plan **out) QN_MUST_USE;
void qn_plan_destroy(struct qn_plan *plan);

/* Values of all expressions for given symbol values, in `values` (exprs.count of them). False when one overflows, is
 * negative or divides by zero. */
bool qn_plan_eval(const struct qn_plan *plan, const int64_t *symbols, int64_t *values);

static inline int64_t qn_plan_dim(qn_dim dim, const int64_t *values)
{
    return dim >= 0 ? dim : values[~dim];
}

/* The tensor's view at these sizes; data is left NULL. Bytes of the tensor in *bytes, false on overflow. */
bool qn_plan_view(const struct qn_plan_tensor *tensor, const int64_t *values, struct qn_view *view, uint64_t *bytes);

/* The attribute record of a step with its dimension fields resolved, copied into `buffer`; the record itself where it
 * has none. NULL for an op without attributes. */
const void *qn_plan_attr(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *values,
                         void *buffer, size_t buffer_size);

/* Fills a bind (without data, shared and fault) for a step. */
struct qn_step_views {
    struct qn_view in[16], out[4];
    _Alignas(16) uint8_t attr[256];
};
bool qn_plan_bind(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *values,
                  struct qn_step_views *views, struct qn_bind *bind);

#endif

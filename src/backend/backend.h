/* Backends: tables that say which nodes a device runs and how.
 *
 * A backend's rows are tried in order; the first whose op matches and whose predicate holds takes the node. Support is
 * presence in the table, there is no second switch. A row names the kernel family that computes the node, and binds
 * the step's tensors to the family's parameter struct: kernels never see the IR, the executor never sees parameters.
 */
#ifndef QN_BACKEND_BACKEND_H
#define QN_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "host/host.h"
#include "ir/ir.h"
#include "kernels/kernel.h"

/* Large enough and aligned for every family's parameter struct. */
struct qn_params {
    _Alignas(64) uint8_t bytes[2048];
};

/* A step with its sizes resolved. While a plan is made, sizes are the largest ones and data pointers are NULL. */
struct qn_bind {
    uint16_t op;
    const void *attr;
    const struct qn_kernel *kernel;
    const struct qn_view *in, *out; /* an absent optional input has rank 0 and data NULL, dtype NONE */
    uint32_t in_count, out_count;
    void *shared;   /* zero-filled memory that the tiles of a call share; NULL where the row asked for none */
    int32_t *fault; /* enum qn_fault */
};

typedef bool qn_backend_accepts_fn(const struct qn_graph *graph, qn_node node);
typedef void qn_bind_fn(const struct qn_bind *bind, int64_t call, struct qn_params *params);
typedef int64_t qn_bind_count_fn(const struct qn_bind *bind); /* calls or bytes */
typedef void qn_bind_pack_fn(const struct qn_bind *bind, struct qn_params *params);

struct qn_backend_row {
    uint16_t op;
    enum qn_family family;
    uint8_t dtype_operand;          /* the input whose dtype selects the kernel; 255: none */
    qn_backend_accepts_fn *accepts; /* NULL: always */
    qn_bind_count_fn *calls;        /* number of kernel calls that make up the step, NULL: one */
    qn_bind_fn *bind;
    qn_bind_count_fn *shared_bytes; /* NULL: none */
    /* Weights that a kernel wants packed (kernel->pack): which input, the bytes of the packed form, and the parameters
     * of the PACK kernel, which reads in[pack_operand] and writes to out[0]. Where that input is no constant, the step
     * packs it in every run. `bind` then finds the packed form in in[pack_operand].data, dims as in the graph. */
    uint8_t pack_operand;
    qn_bind_count_fn *packed_bytes;
    qn_bind_pack_fn *bind_pack;
    /* Instead of a kernel: a function that may allocate and finds out its outputs' sizes (host/host.h). family is
     * NONE. */
    qn_host_fn host;
    void *host_context; /* handed to the function */
};

/* Nodes that one backend claimed, in their order, none of another between them. Views of single nodes' attributes and
 * types come from the graph. */
struct qn_group {
    const struct qn_graph *graph;
    const qn_node *nodes;
    const qn_value *inputs, *outputs; /* values that enter the group, constants too, and those that others read */
    uint32_t node_count, input_count, output_count;
};

struct qn_backend {
    const char *name;
    const struct qn_backend_row *rows;
    uint32_t row_count;
    /* A backend that takes groups of nodes and runs them by itself instead of by rows; all NULL for one with rows.
     * Several threads may run a program at once. */
    void *context;
    bool single; /* a group is one node */
    /* Whether it takes this node; otherwise it may say why not. */
    bool (*claim)(const struct qn_backend *backend, const struct qn_graph *graph, qn_node node, char *why,
                  size_t why_size);
    /* The group and its graph live during the call. */
    qn_status (*compile)(const struct qn_backend *backend, const struct qn_group *group, void **program);
    void (*release)(const struct qn_backend *backend, void *program);
    /* in and out: contiguous, with the sizes of the run, in the group's order. */
    qn_status (*run)(const struct qn_backend *backend, void *program, const struct qn_view *in, uint32_t in_count,
                     const struct qn_view *out, uint32_t out_count);
};

/* The next row after `after` (NULL: from the start) that takes a node, NULL when there is none. */
const struct qn_backend_row *qn_backend_next_row(const struct qn_backend *backend, const struct qn_graph *graph,
                                                 qn_node node, const struct qn_backend_row *after);

/* The first row that takes a node, NULL when the backend cannot run it. */
const struct qn_backend_row *qn_backend_row(const struct qn_backend *backend, const struct qn_graph *graph,
                                            qn_node node);

#define QN_BACKEND_ROW(name) extern const struct qn_backend qn_backend_##name;
#include "backend/backends.def"
#undef QN_BACKEND_ROW

#endif

/* Extensions: ops and backends that the application, or a shared library, adds to Quern.
 *
 * An op: a domain, a name, a rule for the outputs' types, and a function that computes. A session that is given the
 * extension takes the op wherever a model has it; an op that Quern knows itself is replaced only where the extension
 * says so.
 *
 * A shared library exports `const struct qn_extension *quern_extension(uint32_t abi)`; qn_extension_load opens it.
 *
 * Errors: functions of an extension report with QN_STATUS (quern/status.h).
 *
 * Threads: `compute` and `run` may be called by several runs at once.
 */
#ifndef QUERN_EXTENSION_H
#define QUERN_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/status.h"
#include "quern/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { QN_EXTENSION_ABI = 1 };

/* A node as extensions see it; views live during the call. */
struct qn_node_view;
const char *qn_node_view_op(const struct qn_node_view *node); /* the op's name: ONNX's for ops, Quern's for backends */
const char *qn_node_view_name(const struct qn_node_view *node); /* the node's own */
bool qn_node_view_int(const struct qn_node_view *node, const char *attribute, int64_t *out);
bool qn_node_view_float(const struct qn_node_view *node, const char *attribute, double *out);
/* Copies at most `room` entries; count receives how many there are. */
bool qn_node_view_ints(const struct qn_node_view *node, const char *attribute, int64_t *out, uint32_t room,
                       uint32_t *count);
bool qn_node_view_floats(const struct qn_node_view *node, const char *attribute, float *out, uint32_t room,
                         uint32_t *count);
bool qn_node_view_text(const struct qn_node_view *node, const char *attribute, const char **data, size_t *size);
/* Types of inputs (dims -1 where a size is not known yet); dtype NONE: absent. */
uint32_t qn_node_view_input_count(const struct qn_node_view *node);
uint32_t qn_node_view_output_count(const struct qn_node_view *node);
void qn_node_view_input(const struct qn_node_view *node, uint32_t index, struct qn_tensor *type);
/* Backends only: the rule of an op is what gives these types. */
void qn_node_view_output(const struct qn_node_view *node, uint32_t index, struct qn_tensor *type);

struct qn_custom_op {
    size_t struct_size;
    const char *domain, *name; /* domain "" is ai.onnx */
    uint32_t since;            /* first opset version; 0: any */
    uint32_t outputs;          /* at most */
    bool replace;              /* also where Quern has the op */
    void *context;
    /* Types of the outputs: dtype, rank and dims; a dim that is not known until the sizes are, is -1. Called while a
     * model is loaded, and again in each run with all sizes known (then no dim may be -1). */
    qn_status (*shape)(void *context, const struct qn_node_view *node, struct qn_tensor *outputs);
    /* Computes; inputs and outputs are contiguous, outputs have the sizes that `shape` gave. */
    qn_status (*compute)(void *context, const struct qn_node_view *node, const struct qn_tensor *inputs,
                         uint32_t input_count, struct qn_tensor *outputs, uint32_t output_count);
};

/* A backend that takes single nodes or connected groups of them. It works on memory of the host. It is asked about the
 * nodes of the graph as imported, and again about those that the passes have made of what it did not take. */
struct qn_custom_backend {
    size_t struct_size;
    const char *name;
    void *context;
    /* Whether it takes this node; otherwise it may say why not (shown by `quern inspect --partition`). */
    bool (*takes)(void *context, const struct qn_node_view *node, char *why, size_t why_size);
    /* Makes a program of a group of nodes, in their order. Values of the group are numbered; node i reads inputs[i][..]
     * and writes outputs[i][..]; the first `group_inputs` numbers are the group's inputs. NULL: groups are single nodes
     * and `run` gets the node itself, with all its inputs and outputs; of those that are absent, or that
     * nobody reads, dtype is NONE and data NULL. */
    qn_status (*compile)(void *context, const struct qn_node_view *const *nodes, uint32_t node_count,
                         const uint32_t *const *inputs, const uint32_t *const *outputs, uint32_t group_inputs,
                         const uint32_t *group_outputs, uint32_t group_output_count, void **program);
    void (*release)(void *context, void *program);
    qn_status (*run)(void *context, void *program, const struct qn_node_view *node, const struct qn_tensor *inputs,
                     uint32_t input_count, struct qn_tensor *outputs, uint32_t output_count);
};

struct qn_extension {
    size_t struct_size;
    const char *name;
    const struct qn_custom_op *ops;
    uint32_t op_count;
    const struct qn_custom_backend *backends;
    uint32_t backend_count;
};

/* Opens a shared library and gives its extension, which lives until qn_extension_unload. Errors name the file. */
struct qn_extension_library;
qn_status qn_extension_load(const char *path, struct qn_extension_library **library,
                            const struct qn_extension **out) QN_MUST_USE;
void qn_extension_unload(struct qn_extension_library *library); /* NULL is allowed; no session may use it any more */

#ifdef __cplusplus
}
#endif
#endif

/* An open ONNX model: its messages, and the files that its tensors lie in. What the importer and qn_model stand on. */
#ifndef QN_FORMAT_ONNX_ONNX_FILE_H
#define QN_FORMAT_ONNX_ONNX_FILE_H

#include "base/hash.h"
#include "format/onnx/proto.h"
#include "platform/file.h"

struct qn_onnx_source {
    struct qn_str path;     /* terminated */
    struct qn_str location; /* as the model names it; empty for the model itself */
    struct qn_file_map map;
};

struct qn_onnx_file {
    struct qn_arena arena; /* messages and tables */
    struct qn_onnx_model model;
    struct qn_onnx_source *sources; /* [0] is the model */
    uint32_t source_count;
    bool in_memory;            /* sources[0] belongs to the caller, and there are no others */
    struct qn_map source_map;  /* location to number */
    struct qn_onnx_view *view; /* what quern/model.h shows (onnx_model.c) */
};

/* Opens by path, mapping the model and every file of external data that it names; or over bytes that outlive it, where
 * external data are refused. Every tensor's type, dims and size are checked. Errors name the file and the tensor.
 * Threads: read-only once open. allocator NULL means the default. */
qn_status qn_onnx_open(const char *path, const struct qn_allocator *allocator, struct qn_onnx_file **out) QN_MUST_USE;
qn_status qn_onnx_open_memory(const void *data, uint64_t size, const char *name, const struct qn_allocator *allocator,
                              struct qn_onnx_file **out) QN_MUST_USE;
void qn_onnx_close(struct qn_onnx_file *file); /* NULL is allowed */

/* A tensor's elements, wherever they lie, in the form that the IR holds (qn_onnx_tensor_bytes). */
struct qn_onnx_content {
    qn_dtype dtype;
    uint32_t rank;
    int64_t dims[8];
    const void *data;
    uint64_t bytes;
    /* data is a range of source `file`: a FILE blob. Otherwise the bytes were made in the arena. */
    bool in_file;
    uint32_t file;
    uint64_t offset;
    /* data has the alignment of its elements. Protobuf puts raw bytes anywhere, so large weights in a file mostly have
     * not; kernels that read them with vector loads or pack them do not mind, those that read elements one by one in C
     * are owed an aligned copy. */
    bool aligned;
};

/* Works for every tensor of the model: initialisers, attributes, subgraphs, functions. Made bytes live in `arena`;
 * without one nothing is made (data NULL), which checks the tensor. */
qn_status qn_onnx_resolve(const struct qn_onnx_file *file, const struct qn_onnx_tensor *tensor, struct qn_arena *arena,
                          struct qn_onnx_content *out) QN_MUST_USE;
/* A sparse tensor written out densely in the arena; indices are checked. Without an arena it is only
 * checked. */
qn_status qn_onnx_resolve_sparse(const struct qn_onnx_file *file, const struct qn_onnx_sparse *sparse,
                                 struct qn_arena *arena, struct qn_onnx_content *out) QN_MUST_USE;

/* The bytes of a tensor that lies in another file, as they are stored there. */
qn_status qn_onnx_external_bytes(const struct qn_onnx_file *file, const struct qn_onnx_tensor *tensor, uint32_t *source,
                                 const uint8_t **data, uint64_t *size) QN_MUST_USE;

/* ---- inside the reader ---------------------------------------------------------------------------------------- */

/* Where an external tensor lies, from its external_data entries; checked for form, not against a file. */
struct qn_onnx_external {
    struct qn_str location;
    uint64_t offset, length;
    bool has_length;
};
qn_status qn_onnx_external(const struct qn_onnx_tensor *tensor, struct qn_onnx_external *out) QN_MUST_USE;

/* Calls `visit` for every tensor of the model, `sparse` for every sparse one (whose tensors are not visited by
 * themselves), outermost graph first; `depth` is 0 for the initialisers of the main graph. */
struct qn_onnx_visitor {
    void *context;
    qn_status (*tensor)(void *context, const struct qn_onnx_tensor *tensor, bool initializer);
    qn_status (*sparse)(void *context, const struct qn_onnx_sparse *sparse, bool initializer);
    qn_status (*node)(void *context, const struct qn_onnx_node *node, const struct qn_onnx_function *function);
};
qn_status qn_onnx_visit(const struct qn_onnx_model *model, const struct qn_onnx_visitor *visitor) QN_MUST_USE;

/* Fills file->view: names, metadata, tables of quern/model.h. */
qn_status qn_onnx_make_view(struct qn_onnx_file *file) QN_MUST_USE;

#endif

/* Model files: what any of them shows, whatever its format.
 *
 *     struct qn_model *model;
 *     qn_status status = qn_model_open("model.gguf", NULL, &model);
 *     if (!status) {
 *         struct qn_model_info info = {.struct_size = sizeof info};
 *         status = qn_model_info(model, &info);
 *         qn_model_close(model);
 *     }
 *
 * A model is files, metadata (a key with a value each) and tensors (a name, a type, a shape and bytes). Opening maps
 * the files and reads their tables; tensor data is touched only through the pointers given here. A format that
 * carries its own graph shows it through calls of its own beside these.
 *
 * Open structs (views, options) have struct_size first: the caller sets it to sizeof before a call fills the struct,
 * so that programs built against an older header go on working.
 *
 * Ownership: everything a model shows (names, text, tensor data) belongs to it and lives until qn_model_close.
 * Threads: an open model is read-only and may be used by several threads at once.
 * Errors: a damaged file is QN_INVALID_FILE, one that Quern cannot read QN_UNSUPPORTED, both naming the file and the
 * key or tensor; a struct_size that is not set is QN_INVALID_ARGUMENT, an index past the end QN_OUT_OF_RANGE.
 */
#ifndef QUERN_MODEL_H
#define QUERN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/dtype.h"
#include "quern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_model;

enum { QN_MODEL_MAX_RANK = 8 };

/* Bytes of text that need not be terminated, nor be UTF-8. */
struct qn_model_text {
    const char *data; /* NULL when absent */
    size_t size;
};

/* ---- opening -------------------------------------------------------------------------------------------------- */

struct qn_model_options {
    size_t struct_size;
    const struct qn_allocator *allocator; /* NULL: the default; must outlive the model */
    /* Called while a model is opened, by the same thread; done and total are bytes. False makes the call return
     * QN_CANCELLED. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
};

/* Opens a model file, the first file of a split model with its siblings, or a model's folder (one with a config.json).
 * The format is recognised by content, then by the file's name. options may be NULL. On failure *out is NULL. */
qn_status qn_model_open(const char *path, const struct qn_model_options *options, struct qn_model **out) QN_MUST_USE;

/* The same over bytes that the caller keeps alive and unchanged until qn_model_close; `name` stands for the path. */
qn_status qn_model_open_memory(const void *data, size_t size, const char *name, const struct qn_model_options *options,
                               struct qn_model **out) QN_MUST_USE;

/* Releases a model. NULL is allowed. */
void qn_model_close(struct qn_model *model);

/* ---- the whole ------------------------------------------------------------------------------------------------ */

struct qn_model_info {
    size_t struct_size;
    const char *format;                /* "GGUF" */
    uint32_t format_version;           /* 0 where the format has none */
    struct qn_model_text architecture; /* "llama" */
    struct qn_model_text name;         /* as the author calls the model */
    uint64_t context_length;           /* tokens, 0 when not told */
    uint64_t parameters;               /* elements of all tensors */
    uint64_t tensor_bytes;             /* of all tensors, as stored */
    uint64_t file_bytes;               /* of all files */
    uint32_t file_count, meta_count, tensor_count;
    uint32_t input_count, output_count, op_count; /* of a format that carries its graph, otherwise 0 */
};

/* Fills as much of *out as its struct_size, set by the caller, has room for. Text in it belongs to the model.
 * QN_INVALID_ARGUMENT where struct_size is not set. */
qn_status qn_model_info(const struct qn_model *model, struct qn_model_info *out) QN_MUST_USE;

struct qn_model_file {
    size_t struct_size;
    const char *path;
    uint64_t bytes;
};

/* File `index` < info.file_count, as above; QN_OUT_OF_RANGE beyond. */
qn_status qn_model_file(const struct qn_model *model, uint32_t index, struct qn_model_file *out) QN_MUST_USE;

/* ---- metadata ------------------------------------------------------------------------------------------------- */

enum qn_meta_kind {
    QN_META_NONE = 0,
    QN_META_BOOL,
    QN_META_INT,     /* as.i */
    QN_META_UINT,    /* as.u */
    QN_META_FLOAT32, /* as.f, a double that holds a float's value */
    QN_META_FLOAT64, /* as.f */
    QN_META_TEXT,
    QN_META_ARRAY,
};

struct qn_model_meta {
    size_t struct_size;
    const char *key; /* printable UTF-8 */
    enum qn_meta_kind kind;
    enum qn_meta_kind elem_kind; /* of an array's elements; of the value itself otherwise */
    const char *type_name;       /* of a value or an element, as the format calls it: "u32" */
    uint64_t count;              /* elements of an array, otherwise 1 */
};

/* One value. Its size is fixed for good: no struct_size. */
struct qn_meta_item {
    enum qn_meta_kind kind; /* QN_META_ARRAY: an array within an array, whose content is not shown */
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double f;
        struct qn_model_text text;
    } as;
};

/* Metadata stand in the file's order. */
qn_status qn_model_meta(const struct qn_model *model, uint32_t index, struct qn_model_meta *out) QN_MUST_USE;
/* Element `item` of an array; item 0 of any other value is the value. */
qn_status qn_model_meta_item(const struct qn_model *model, uint32_t index, uint64_t item,
                             struct qn_meta_item *out) QN_MUST_USE;
/* False when there is no such key. */
bool qn_model_find_meta(const struct qn_model *model, const char *key, uint32_t *index);

/* Typed values by key. `found` false (and *out untouched) when the key is absent; a value of another type, or out of
 * range, is QN_INVALID_FILE. Any integer is taken by u64 where it fits, any number by f64. */
qn_status qn_model_get_u64(const struct qn_model *model, const char *key, uint64_t *out, bool *found) QN_MUST_USE;
qn_status qn_model_get_f64(const struct qn_model *model, const char *key, double *out, bool *found) QN_MUST_USE;
qn_status qn_model_get_bool(const struct qn_model *model, const char *key, bool *out, bool *found) QN_MUST_USE;
qn_status qn_model_get_text(const struct qn_model *model, const char *key, struct qn_model_text *out,
                            bool *found) QN_MUST_USE;

/* ---- tensors -------------------------------------------------------------------------------------------------- */

struct qn_model_tensor {
    size_t struct_size;
    const char *name; /* printable UTF-8 */
    qn_dtype dtype;
    uint32_t rank;
    uint64_t dims[QN_MODEL_MAX_RANK]; /* outermost first: row-major, the last one contiguous */
    uint64_t elements;
    uint64_t bytes;
    uint32_t file;    /* index of its file */
    uint64_t offset;  /* bytes from that file's start; UINT64_MAX where the file has them in another form */
    const void *data; /* the mapped bytes; NULL where the file has them in another form */
};

/* Tensors stand in the files' order. */
qn_status qn_model_tensor(const struct qn_model *model, uint32_t index, struct qn_model_tensor *out) QN_MUST_USE;
/* Copies `count` rows from `first` in the tensor's dtype, whatever the file's form: for tensors whose data is NULL they
 * are made now. Rows run along the last dim; a tensor of rank 0 or 1 is one row. Any thread, any time. */
qn_status qn_model_read_rows(const struct qn_model *model, uint32_t index, uint64_t first, uint64_t count,
                             void *out) QN_MUST_USE;
/* False when there is no such tensor. */
bool qn_model_find_tensor(const struct qn_model *model, const char *name, uint32_t *index);

/* ---- graphs, where the file carries one ----------------------------------------------------------------------- */

/* An input or output of the graph, as the file states it. */
struct qn_model_port {
    size_t struct_size;
    const char *name; /* printable UTF-8 */
    const char *type; /* "f32[batch,3,224,224]", "sequence(i64[?])", "map(string,f32[])" */
    qn_dtype dtype;   /* NONE where it is no tensor */
    bool has_shape;
    bool has_default; /* an input that an initialiser of the same name stands in for */
    uint32_t rank;
    int64_t dims[QN_MODEL_MAX_RANK];        /* -1 where the size is not fixed */
    const char *symbols[QN_MODEL_MAX_RANK]; /* the name of such a size, NULL where it has none */
};

/* Input or output `index` of the graph, as above; QN_OUT_OF_RANGE from info.input_count or output_count on. */
qn_status qn_model_input(const struct qn_model *model, uint32_t index, struct qn_model_port *out) QN_MUST_USE;
qn_status qn_model_output(const struct qn_model *model, uint32_t index, struct qn_model_port *out) QN_MUST_USE;

/* One kind of operator that the graph uses, subgraphs and functions included. The most frequent stand first. */
struct qn_model_op {
    size_t struct_size;
    const char *domain; /* "ai.onnx" */
    const char *name;
    uint64_t version; /* of the domain that the model asks for; 0 when it names none */
    uint64_t count;
    bool local; /* a function of the model itself */
};

/* Kind of op `index` < info.op_count that the graph uses, as above; QN_OUT_OF_RANGE beyond. */
qn_status qn_model_op(const struct qn_model *model, uint32_t index, struct qn_model_op *out) QN_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif

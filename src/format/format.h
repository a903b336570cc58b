/* What a file format provides to stand behind a qn_model (quern/model.h). */
#ifndef QN_FORMAT_FORMAT_H
#define QN_FORMAT_FORMAT_H

#include "base/status.h"
#include "base/str.h"
#include "quern/model.h"

/* Where a model is read from. */
struct qn_format_source {
    const char *path; /* of the file or folder, or the name that stands in messages */
    bool folder;      /* the path is a folder; there are no bytes below */
    bool in_memory;   /* the bytes below are all there is; otherwise the format opens the path */
    const void *data; /* the first file's bytes; valid beyond the open call only when in_memory */
    uint64_t size;
};

/* Indexes that reach these calls are in range, and `out` is zero. */
struct qn_format_ops {
    void (*close)(void *impl);
    void (*info)(const void *impl, struct qn_model_info *out); /* format's name is set by the caller */
    void (*file)(const void *impl, uint32_t index, struct qn_model_file *out);
    void (*meta)(const void *impl, uint32_t index, struct qn_model_meta *out);
    void (*meta_item)(const void *impl, uint32_t index, uint64_t item, struct qn_meta_item *out);
    uint32_t (*find_meta)(const void *impl, struct qn_str key); /* UINT32_MAX when absent */
    void (*tensor)(const void *impl, uint32_t index, struct qn_model_tensor *out);
    uint32_t (*find_tensor)(const void *impl, struct qn_str name);
    /* Rows of a tensor whose data is NULL, in its dtype: rows run along the last dim, and a tensor of rank 0 or 1 is
     * one row. In range. NULL where a format shows all data. */
    qn_status (*read)(const void *impl, uint32_t index, uint64_t first, uint64_t count, void *out);
    /* The bytes of a file. */
    const struct qn_file_map *(*file_map)(const void *impl, uint32_t index);
    /* May be NULL where info gives no such counts. */
    void (*port)(const void *impl, bool output, uint32_t index, struct qn_model_port *out);
    void (*op)(const void *impl, uint32_t index, struct qn_model_op *out);
};

struct qn_model {
    const struct qn_allocator *allocator;
    const struct qn_format_ops *ops;
    void *impl;
    struct qn_model_info info;
};

/* head[0..size) is the whole content; a probe looks at no more of it than it has to. */
typedef bool qn_format_probe_fn(const uint8_t *head, uint64_t size);

/* Opens a source and fills model->ops and model->impl. model->allocator is set. Errors name the file. */
typedef qn_status qn_format_open_fn(const struct qn_format_source *source, struct qn_model *model);

#define QN_FORMAT(id, name, extension, probe, open) \
    qn_format_probe_fn probe;                       \
    qn_format_open_fn open;
#define QN_FOLDER_FORMAT(id, name, marker, open) qn_format_open_fn open;
#include "format/formats.def"

#endif

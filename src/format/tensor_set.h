/* Named tensors out of one or more files that hold nothing else: safetensors, PyTorch pickles, npy and npz. A model
 * folder keeps its weights in such a set; a file of that kind opened by itself is a model made of the set alone.
 *
 * Reading a kind of file: a reader in a folder of its own (format/safetensors/) and a row in tensor_files.def.
 * Readers check every offset, size and count against the file; errors name the file and the tensor.
 *
 * Ownership: a set owns its maps and everything it shows. Threads: filled by one thread, then read-only.
 */
#ifndef QN_FORMAT_TENSOR_SET_H
#define QN_FORMAT_TENSOR_SET_H

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "platform/file.h"
#include "quern/dtype.h"

struct qn_format_source;
struct qn_model;

enum { QN_SET_MAX_RANK = 8 };

/* How the file stores the elements. */
enum qn_set_store {
    QN_SET_PLAIN = 0, /* as the dtype says, row-major */
    QN_SET_NIBBLES,   /* two 4-bit codes a byte, the low half first; the dtype is the one of a byte a code */
    QN_SET_F6_E2M3,   /* four 6-bit codes in three bytes, the lowest bits first; dtype f16, which holds them all */
    QN_SET_F6_E3M2,
    QN_SET_STRIDED, /* as the dtype says, with the strides below */
};

struct qn_set_tensor {
    struct qn_str name; /* terminated, printable */
    qn_dtype dtype;     /* as qn_set_read gives it */
    enum qn_set_store store;
    bool big_endian; /* numbers of more than a byte are stored so */
    uint32_t rank;
    uint64_t dims[QN_SET_MAX_RANK]; /* outermost first */
    uint64_t elements;
    uint64_t bytes;                    /* in the dtype, contiguous */
    uint64_t strides[QN_SET_MAX_RANK]; /* STRIDED: in elements */
    uint32_t file;
    uint64_t offset;  /* of the stored bytes from the file's start; UINT64_MAX where they lie in memory of the set */
    uint64_t stored;  /* bytes from there that belong to the tensor */
    const void *data; /* the stored bytes */
};

struct qn_set_text {
    struct qn_str key, text; /* terminated; the keys of one file differ */
};

struct qn_set_file {
    struct qn_str path; /* terminated */
    const char *kind;   /* "safetensors"; of the row that reads it */
    struct qn_file_map map;
};

struct qn_set_block {
    void *data;
    size_t size;
};

struct qn_tensor_set {
    const struct qn_allocator *allocator;
    struct qn_arena arena;
    QN_ARRAY(struct qn_set_file) files;
    QN_ARRAY(struct qn_set_tensor) tensors;
    QN_ARRAY(struct qn_set_text) texts;   /* metadata of the first file */
    QN_ARRAY(struct qn_set_block) blocks; /* tensors that had to be unpacked */
    struct qn_map by_name;
};

/* Fills a zeroed set with nothing. */
qn_status qn_set_init(struct qn_tensor_set *set, const struct qn_allocator *allocator) QN_MUST_USE;
void qn_set_deinit(struct qn_tensor_set *set);

/* Maps a file, finds its kind and adds its tensors. A name that the set has already is an error. */
qn_status qn_set_add_file(struct qn_tensor_set *set, const char *path) QN_MUST_USE;
/* The same over bytes that outlive the set. */
qn_status qn_set_add_memory(struct qn_tensor_set *set, const void *data, uint64_t size, const char *name) QN_MUST_USE;
/* All shards that an index.json names, which lie in its folder. Shards that are missing, tensors that the index places
 * elsewhere than they are, and tensors that it does not list are errors that name them. */
qn_status qn_set_add_index(struct qn_tensor_set *set, const char *index_path) QN_MUST_USE;

/* NULL when absent. */
const struct qn_set_tensor *qn_set_find(const struct qn_tensor_set *set, struct qn_str name);

/* Whether data[0..bytes) is the tensor as its dtype says, with nothing left to do. */
static inline bool qn_set_is_plain(const struct qn_set_tensor *tensor)
{
    return tensor->store == QN_SET_PLAIN && !tensor->big_endian;
}

/* `count` elements from `first` in the tensor's dtype, whatever the file's form. In range. */
void qn_set_read(const struct qn_set_tensor *tensor, uint64_t first, uint64_t count, void *out);

/* ---- for readers ---------------------------------------------------------------------------------------------- */

/* Adds a tensor whose name, dtype, store, rank, dims (and strides), file, offset and data are set: counts elements and
 * bytes, checks that they lie inside the file (or, with offset UINT64_MAX, in `stored` bytes), copies the name. */
qn_status qn_set_add_tensor(struct qn_tensor_set *set, const struct qn_set_tensor *tensor) QN_MUST_USE;
/* Metadata; those of other files than the first are left out. */
qn_status qn_set_add_text(struct qn_tensor_set *set, uint32_t file, struct qn_str key, struct qn_str text) QN_MUST_USE;
/* Memory that lives as long as the set. */
qn_status qn_set_add_block(struct qn_tensor_set *set, uint64_t size, void **out) QN_MUST_USE;

/* Whether the content is of this kind. */
typedef bool qn_set_probe_fn(const uint8_t *data, uint64_t size);
/* Adds the tensors of files.items[file]. Errors need not name the file. */
typedef qn_status qn_set_read_fn(struct qn_tensor_set *set, uint32_t file);
#define QN_TENSOR_FILE(id, name, probe, read) \
    qn_set_probe_fn probe;                    \
    qn_set_read_fn read;
#include "format/tensor_files.def"
#undef QN_TENSOR_FILE

/* Opens one file of tensors as a model without a graph (format.h: qn_format_open_fn). */
qn_status qn_set_open_model(const struct qn_format_source *source, struct qn_model *model) QN_MUST_USE;

#endif

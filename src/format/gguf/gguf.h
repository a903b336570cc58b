/* GGUF: reading (mapped, zero-copy for tensor data) and writing.
 *
 * Every count, offset and size is checked against the file before it is used, and no allocation is larger than the
 * file's own bytes justify. Errors name the file and the key or tensor.
 *
 * Refused by name: versions other than 2 and 3, big-endian files, tensor types without a row in dtypes.def, ranks
 * outside 1 to 4, dimensions of zero, keys and tensor names that are empty, repeated or not printable.
 *
 * Ownership: everything a qn_gguf shows lives until qn_gguf_close. Threads: once open it is read-only and may be
 * shared; a writer belongs to one thread.
 */
#ifndef QN_FORMAT_GGUF_H
#define QN_FORMAT_GGUF_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/status.h"
#include "platform/file.h"
#include "quern/dtype.h"

/* Numbers as in the file. */
enum qn_gguf_type {
    QN_GGUF_U8 = 0,
    QN_GGUF_I8 = 1,
    QN_GGUF_U16 = 2,
    QN_GGUF_I16 = 3,
    QN_GGUF_U32 = 4,
    QN_GGUF_I32 = 5,
    QN_GGUF_F32 = 6,
    QN_GGUF_BOOL = 7,
    QN_GGUF_STRING = 8,
    QN_GGUF_ARRAY = 9,
    QN_GGUF_U64 = 10,
    QN_GGUF_I64 = 11,
    QN_GGUF_F64 = 12,
};

enum { QN_GGUF_DEFAULT_ALIGNMENT = 32, QN_GGUF_MAX_RANK = 4, QN_GGUF_MAX_KEY = 65535 };

struct qn_gguf_value {
    enum qn_gguf_type type;
    enum qn_gguf_type elem_type; /* type ARRAY */
    uint64_t count;              /* elements of an array, 1 otherwise */
    union {
        uint64_t u; /* unsigned integers and BOOL */
        int64_t i;
        double f;
        struct qn_str str;
        const uint8_t *items;         /* array of numbers: little-endian, unaligned, in the map */
        const struct qn_str *strings; /* array of strings: views into the map */
    } as;                             /* an array of arrays is kept raw in items and only shown as a count */
    uint64_t item_bytes;              /* size of items */
};

/* Keys and tensor names are terminated copies. */
struct qn_gguf_kv {
    struct qn_str key;
    struct qn_gguf_value value;
};

struct qn_gguf_tensor {
    struct qn_str name;
    qn_dtype dtype;
    uint32_t rank;    /* 1 to 4 in GGUF; the array has the room of the IR */
    uint64_t dims[8]; /* outermost first, the reverse of the file's order: row-major like the IR */
    uint32_t file;    /* index into files */
    uint64_t offset;  /* from that file's start, in range and aligned */
    uint64_t bytes;
};

struct qn_gguf_file {
    struct qn_str path; /* terminated */
    struct qn_file_map map;
};

struct qn_gguf {
    struct qn_arena arena;
    uint32_t version;
    uint64_t alignment;
    struct qn_gguf_kv *kvs;
    uint32_t kv_count;
    struct qn_gguf_tensor *tensors; /* of all splits, in file order */
    uint32_t tensor_count;
    struct qn_gguf_file *files; /* more than one for a split model */
    uint32_t file_count;
    bool borrowed;                    /* opened over the caller's memory: there are no other files */
    struct qn_map kv_map, tensor_map; /* by name, to the index */
};

/* Opens a file, and its siblings when it is the first of a split model (any other part is an error that names the
 * first). allocator NULL means the default. */
qn_status qn_gguf_open(const char *path, const struct qn_allocator *allocator, struct qn_gguf **out) QN_MUST_USE;
/* The same over bytes that the caller keeps alive (tests, fuzzing); `name` stands in messages. */
qn_status qn_gguf_open_memory(const void *data, size_t size, const char *name, const struct qn_allocator *allocator,
                              struct qn_gguf **out) QN_MUST_USE;
void qn_gguf_close(struct qn_gguf *gguf); /* NULL is allowed */

/* "u32", "string", "array", ...; "?" for a number that is no type. Static storage. */
const char *qn_gguf_type_name(enum qn_gguf_type type);
/* Bytes of one value of a fixed-size type; 0 for strings, arrays and numbers that are no type. */
uint32_t qn_gguf_type_bytes(enum qn_gguf_type type);

/* NULL when absent. */
const struct qn_gguf_value *qn_gguf_find(const struct qn_gguf *gguf, const char *key);
const struct qn_gguf_tensor *qn_gguf_tensor(const struct qn_gguf *gguf, struct qn_str name);
static inline const void *qn_gguf_tensor_data(const struct qn_gguf *gguf, const struct qn_gguf_tensor *tensor)
{
    return gguf->files[tensor->file].map.data + tensor->offset;
}

/* Typed getters. `found` false (status OK, *out untouched) when the key is absent; a wrong type or a value out of
 * range is an error that names file and key. Any integer type is accepted where its value fits; f64 takes F32 and
 * integers too. */
qn_status qn_gguf_get_u64(const struct qn_gguf *gguf, const char *key, uint64_t *out, bool *found) QN_MUST_USE;
qn_status qn_gguf_get_f64(const struct qn_gguf *gguf, const char *key, double *out, bool *found) QN_MUST_USE;
qn_status qn_gguf_get_bool(const struct qn_gguf *gguf, const char *key, bool *out, bool *found) QN_MUST_USE;
qn_status qn_gguf_get_str(const struct qn_gguf *gguf, const char *key, struct qn_str *out, bool *found) QN_MUST_USE;
/* Element i of a numeric array (or of a scalar, which counts as an array of one). i must be below value->count. */
int64_t qn_gguf_item_i64(const struct qn_gguf_value *value, uint64_t i);
double qn_gguf_item_f64(const struct qn_gguf_value *value, uint64_t i);

/* Writing: metadata and tensor descriptions first, then begin_data, then each tensor's bytes in the order declared.
 * The file is version 3; its alignment is the key general.alignment where that is set, 32 otherwise. */
struct qn_gguf_writer;
qn_status qn_gguf_writer_create(const char *path, const struct qn_allocator *allocator,
                                struct qn_gguf_writer **out) QN_MUST_USE;
/* The same into a part file that an interrupted program leaves behind: the first `keep` bytes of it stay, *kept of them
 * in fact (platform/file.h). */
qn_status qn_gguf_writer_create_part(const char *path, uint64_t keep, const struct qn_allocator *allocator,
                                     struct qn_gguf_writer **out, uint64_t *kept) QN_MUST_USE;
/* Passes over the next tensor when it is among the bytes kept, with its padding; otherwise false and nothing done. */
bool qn_gguf_writer_skip_tensor(struct qn_gguf_writer *writer);
/* Brings all tensors so far to the disk; *bytes is what the file has of them from its start. */
qn_status qn_gguf_writer_sync(struct qn_gguf_writer *writer, uint64_t *bytes) QN_MUST_USE;
/* Ends the writer and leaves the part file where it is. */
void qn_gguf_writer_leave(struct qn_gguf_writer *writer);
/* Copies the value; replaces a key that exists. */
qn_status qn_gguf_writer_set(struct qn_gguf_writer *writer, struct qn_str key,
                             const struct qn_gguf_value *value) QN_MUST_USE;
qn_status qn_gguf_writer_add_tensor(struct qn_gguf_writer *writer, struct qn_str name, qn_dtype dtype, uint32_t rank,
                                    const uint64_t *dims) QN_MUST_USE;
qn_status qn_gguf_writer_begin_data(struct qn_gguf_writer *writer) QN_MUST_USE;
/* Appends to the current tensor; reaching its end moves on to the next (padding is written by itself). */
qn_status qn_gguf_writer_write(struct qn_gguf_writer *writer, const void *data, size_t size) QN_MUST_USE;
/* Checks that every tensor is complete, syncs, renames into place. Frees the writer in any case. */
qn_status qn_gguf_writer_commit(struct qn_gguf_writer *writer) QN_MUST_USE;
void qn_gguf_writer_discard(struct qn_gguf_writer *writer); /* NULL is allowed */

#endif

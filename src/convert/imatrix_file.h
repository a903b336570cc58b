/* Importance matrices: for each weight matrix the mean square of every input channel over some text, so that
 * quantisation keeps small what is multiplied by large activations.
 *
 * Two files are read: GGUF with general.type "imatrix" (sums and counts as tensors, NAME.in_sum2 and NAME.counts) and
 * the older .dat; GGUF is written. Both are those of llama.cpp's llama-imatrix.
 */
#ifndef QN_CONVERT_IMATRIX_FILE_H
#define QN_CONVERT_IMATRIX_FILE_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/status.h"

/* One weight matrix, or the stacked ones of all experts. */
struct qn_imatrix_entry {
    struct qn_str name; /* of the tensor: "blk.0.attn_q.weight" */
    uint64_t matrices, columns;
    const float *means; /* matrices x columns; 1 for a matrix that saw no rows */
};

struct qn_imatrix {
    struct qn_arena arena;
    struct qn_imatrix_entry *entries;
    uint32_t entry_count;
    uint64_t chunk_count; /* 0 when not told */
    struct qn_str dataset;
    struct qn_map map; /* by name, to the index */
};

/* Everything is checked against the file's size. Errors name the file and the entry. */
qn_status qn_imatrix_open(const char *path, const struct qn_allocator *allocator, struct qn_imatrix **out) QN_MUST_USE;
/* The same over bytes that the caller keeps alive; `name` stands in messages. */
qn_status qn_imatrix_open_memory(const void *data, size_t size, const char *name, const struct qn_allocator *allocator,
                                 struct qn_imatrix **out) QN_MUST_USE;
void qn_imatrix_close(struct qn_imatrix *imatrix); /* NULL is allowed */
/* NULL when absent. */
const struct qn_imatrix_entry *qn_imatrix_find(const struct qn_imatrix *imatrix, struct qn_str name);

/* What a collection has summed up for one tensor. */
struct qn_imatrix_sums {
    struct qn_str name;
    uint64_t matrices, columns;
    const float *squares; /* matrices x columns */
    const float *counts;  /* rows that each matrix saw */
};
struct qn_imatrix_run {
    const char *dataset;
    uint32_t chunk_count, chunk_size; /* size in tokens */
};
/* Written aside and renamed. */
qn_status qn_imatrix_write(const char *path, const struct qn_imatrix_sums *sums, uint32_t count,
                           const struct qn_imatrix_run *run, const struct qn_allocator *allocator) QN_MUST_USE;

#endif

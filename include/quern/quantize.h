/* Quantising a GGUF model: the same file with its weights in fewer bits.
 *
 *     struct qn_quantize_stats stats = {sizeof stats};
 *     qn_status status = qn_quantize_gguf("model-f16.gguf", "model-q4_k_m.gguf", "Q4_K_M", NULL, &stats);
 *
 * The output stands under its name only when it is complete. Memory: the input is mapped, and a few megabytes of a
 * tensor are worked on at a time. Threads: calls are independent of each other.
 */
#ifndef QUERN_QUANTIZE_H
#define QUERN_QUANTIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/dtype.h"
#include "quern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A type of their own for the tensors whose names match: `pattern` matches the whole name where it has * (any run of
 * characters) or ? (any character), otherwise a part of it. */
struct qn_quantize_keep {
    const char *pattern;
    qn_dtype dtype; /* a float or block type that can be written; NONE: as it is in the input */
};

/* Zero is the default of everything but struct_size. */
struct qn_quantize_options {
    size_t struct_size;
    uint32_t threads; /* 0: one a physical core */
    bool pure;        /* every weight in the type itself; by default sensitive tensors get a finer one */
    /* Called now and then with input bytes done and in all, by the calling thread; false stops the work. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
    const struct qn_allocator *allocator;
    const char *imatrix; /* file of an importance matrix (GGUF, or the older .dat): weighs the error; NULL: none */
    const struct qn_quantize_keep *keeps; /* the first that matches decides */
    size_t keep_count;
};

struct qn_quantize_stats {
    size_t struct_size;
    uint64_t bytes_in, bytes_out;         /* of tensor data */
    uint64_t tensors;                     /* in the file */
    uint64_t requantised;                 /* of those, changed from one block type to another: quality is lost twice */
    uint64_t fallbacks;                   /* of those, in another type because their rows do not fit the wanted one */
    uint64_t type_counts[QN_DTYPE_LIMIT]; /* tensors a type in the output */
    double seconds;
    uint64_t weighed; /* of the quantised tensors, with importance from the matrix */
};

/* Reads the GGUF file at `input` (the first file of a split model brings the others) and writes `output`, one file,
 * with the metadata carried over. `type` is a name of qn_quantize_type in any letter case. options and stats may be
 * NULL. Errors: an unknown type, output being one of the input's files (QN_INVALID_ARGUMENT), weights that are NaN or
 * infinite, damaged files (QN_INVALID_FILE), tensor types that are not read yet (QN_UNSUPPORTED), progress said false
 * (QN_CANCELLED). After an error there is no output, and a file that stood there before is untouched. */
qn_status qn_quantize_gguf(const char *input, const char *output, const char *type,
                           const struct qn_quantize_options *options, struct qn_quantize_stats *stats) QN_MUST_USE;

/* Name and one-line summary of the index-th type, finest first among the recommended ones; NULL past the end. Static
 * storage. */
const char *qn_quantize_type(size_t index, const char **summary);

#ifdef __cplusplus
}
#endif
#endif

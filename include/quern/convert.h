/* Writing models: whatever language model Quern opens as GGUF, in the type that is wanted; GGUF as a Hugging Face
 * folder; ONNX models with their products in fewer bits.
 *
 *     qn_status status = qn_convert("folder", "model.gguf", NULL, NULL);
 *     status = qn_quantize("folder", "model-q4_k_m.gguf", "Q4_K_M", NULL, NULL);
 *
 * The output stands under its name only when it is complete. Writing GGUF that was interrupted leaves "<output>.part"
 * and "<output>.part.state" beside it; the same call goes on from there. Memory: tensors are worked on one at a time, a
 * few megabytes of each. Threads: calls for different outputs are independent of each other.
 */
#ifndef QUERN_CONVERT_H
#define QUERN_CONVERT_H

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
struct qn_convert_keep {
    const char *pattern;
    qn_dtype dtype; /* a float or block type that can be written; NONE: as it is in the input */
};

/* Zero is the default of everything but struct_size. */
struct qn_convert_options {
    size_t struct_size;
    const char *type; /* of the weights: a name of qn_convert_type in any letter case; NULL or "auto": as they are */
    uint32_t threads; /* 0: one a physical core */
    bool pure;        /* every weight in the type itself; by default sensitive tensors get a finer one */
    bool measure;     /* work out stats.error; takes a little longer */
    /* Called now and then with output bytes done and in all, by the calling thread; false stops the work. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
    const struct qn_allocator *allocator;
    const char *imatrix; /* file of an importance matrix (GGUF, or the older .dat): weighs the error; NULL: none */
    const struct qn_convert_keep *keeps; /* the first that matches decides */
    size_t keep_count;
};

struct qn_convert_stats {
    size_t struct_size;
    uint64_t bytes_in, bytes_out;         /* of tensor data */
    uint64_t tensors;                     /* in the output */
    uint64_t resumed;                     /* of those, that an interrupted run had written already */
    uint64_t requantised;                 /* changed from one block type to another: quality is lost twice */
    uint64_t fallbacks;                   /* in another type because their rows do not fit the wanted one */
    uint64_t weighed;                     /* with importance from the matrix */
    uint64_t left_out;                    /* of a head that fills masks, for which GGUF has no place */
    bool without_vocabulary;              /* the source has no tokenizer that GGUF can hold */
    uint64_t type_counts[QN_DTYPE_LIMIT]; /* tensors a type in the output */
    double seconds;
    /* With options.measure, over the tensors whose type changed: root of the mean square error over that of the
     * weights, and the tensor where it is largest. */
    double error, worst_error;
    char worst[128]; /* its name, cut where it is longer */
};

/* Writes `input`, a folder or a model file (the first file of a split model brings the others), as GGUF where `output`
 * ends with ".gguf", and otherwise (GGUF input) as a folder with config.json and model.safetensors. Names, metadata and
 * tokenizer fields of GGUF are those of llama.cpp's converter. options and stats may be NULL. Errors: an unknown type,
 * output being one of the input's files (QN_INVALID_ARGUMENT), weights that the type cannot hold, an input that is no
 * language model (QN_UNSUPPORTED), damaged input, weights that are not finite (QN_INVALID_FILE),
 * progress said false (QN_CANCELLED). After an error a file that stood under the output's name before is untouched. */
qn_status qn_convert(const char *input, const char *output, const struct qn_convert_options *options,
                     struct qn_convert_stats *stats) QN_MUST_USE;

/* qn_convert with options.type = type, any but "auto"; the output is GGUF, whatever its name.
 *
 * An ONNX model stays one: the constant matrices of its products (MatMul, and Gemm without factors) become
 * MatMulNBits of com.microsoft: Q4_0, Q4_1 or Q8_0, with a scale for each 32 elements; all else is carried over. Rules
 * in options.keeps name initialisers. Tensors that lie in other files go to "<output>.data". Errors: other types, an
 * importance matrix, a model without such a product, an output that ends with ".gguf" (QN_UNSUPPORTED). */
qn_status qn_quantize(const char *input, const char *output, const char *type, const struct qn_convert_options *options,
                      struct qn_convert_stats *stats) QN_MUST_USE;

/* Name and one-line summary of the index-th type, finest first among the recommended ones; NULL past the end. Static
 * storage. */
const char *qn_convert_type(size_t index, const char **summary);

#ifdef __cplusplus
}
#endif
#endif

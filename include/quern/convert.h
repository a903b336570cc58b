/* Converting models: whatever language model Quern opens to GGUF, and GGUF to a Hugging Face folder.
 *
 *     qn_status status = qn_convert("folder", "model.gguf", NULL, NULL);
 *
 * The output stands under its name only when it is complete. A conversion that was interrupted leaves "<output>.part"
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

/* Zero is the default of everything but struct_size. */
struct qn_convert_options {
    size_t struct_size;
    const char *type; /* of the weights: "f32", "f16", "bf16", "q8_0"; NULL or "auto": as the source has them */
    uint32_t threads; /* 0: one a physical core */
    /* Called now and then with output bytes done and in all, by the calling thread; false stops the work. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
    const struct qn_allocator *allocator;
};

struct qn_convert_stats {
    size_t struct_size;
    uint64_t tensors, bytes_out;          /* of tensor data */
    uint64_t resumed;                     /* tensors that an interrupted run had written already */
    uint64_t fallbacks;                   /* tensors as f16 because their rows do not fit the blocks of the type */
    bool without_vocabulary;              /* the source has no tokenizer that GGUF can hold */
    uint64_t type_counts[QN_DTYPE_LIMIT]; /* tensors a type in the output */
    double seconds;
    uint64_t left_out; /* tensors of a head that fills masks: GGUF has no place for it, the rest makes embeddings */
};

/* Writes `input`, a folder or a model file, as GGUF when `output` ends with ".gguf", and otherwise (GGUF input) as a
 * folder with config.json and model.safetensors. Names, metadata and tokenizer fields are those of llama.cpp's
 * converter. Errors: an unknown type, output being one of the input's files (QN_INVALID_ARGUMENT), weights that the
 * type cannot hold (QN_UNSUPPORTED), damaged input (QN_INVALID_FILE), progress said false (QN_CANCELLED). */
qn_status qn_convert(const char *input, const char *output, const struct qn_convert_options *options,
                     struct qn_convert_stats *stats) QN_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif

/* Which type each tensor of a model gets under a quantisation scheme.
 *
 * A scheme such as Q4_K_M names the type of most tensors; the ones that suffer most from coarse levels (the output
 * matrix, attention values, the down projection of the outer layers) get a finer one. The choice follows the published
 * mixes tensor by tensor, so that a file is what its name promises.
 */
#ifndef QN_CONVERT_TENSOR_TYPES_H
#define QN_CONVERT_TENSOR_TYPES_H

#include "base/status.h"
#include "base/str.h"
#include "quern/model.h"

enum qn_scheme_id {
    QN_SCHEME_NONE = 0,
#define QN_SCHEME_ROW(NAME, base, file_type, summary) QN_SCHEME_##NAME,
#include "convert/schemes.def"
#undef QN_SCHEME_ROW
    QN_SCHEME_COUNT
};

struct qn_scheme {
    const char *name, *summary;
    qn_dtype base;
    uint32_t file_type;
};

/* The row of a scheme, id in 1..QN_SCHEME_COUNT - 1. Static storage. */
const struct qn_scheme *qn_scheme(enum qn_scheme_id id);

/* By name in any letter case, aliases included; QN_SCHEME_NONE when unknown. */
enum qn_scheme_id qn_scheme_find(const char *name);
/* The same for what a caller gave: NONE for NULL and "auto", an unknown name is an error that lists the known ones. */
qn_status qn_scheme_read(const char *name, enum qn_scheme_id *out) QN_MUST_USE;

struct qn_tensor_choice {
    qn_dtype dtype;
    bool fallback; /* the row length did not fit the block of the type that the scheme wanted */
};

/* What the mixes ask of a model. */
struct qn_mix_model {
    struct qn_str architecture;
    uint64_t layers, experts, heads, kv_heads;
};

/* From GGUF's metadata keys; what the model does not tell is 0. Errors: metadata of the wrong kind. */
qn_status qn_mix_model_read(const struct qn_model *model, struct qn_mix_model *out) QN_MUST_USE;

/* Fills one choice a tensor. Tensors that no scheme touches (one dimension, norms, routers, positions) keep their
 * dtype; with `pure` all others get the scheme's base type where their rows fit. Errors: lack of memory. */
qn_status qn_tensor_types(const struct qn_mix_model *model, const struct qn_model_tensor *tensors, uint32_t count,
                          enum qn_scheme_id scheme, bool pure, const struct qn_allocator *allocator,
                          struct qn_tensor_choice *choices) QN_MUST_USE;

struct qn_convert_keep; /* quern/convert.h */

/* Whether the rule's pattern means this name. */
bool qn_keep_matches(const struct qn_convert_keep *rule, const char *name);

/* The rules that name tensors, over the choices made before: a matching tensor that is a weight at all (floats or
 * blocks, rows that fit) gets the rule's type. Errors: a rule's type cannot be written, its block does not fit the
 * rows of a tensor that it names, or it names no tensor (QN_INVALID_ARGUMENT). */
qn_status qn_tensor_types_keep(const struct qn_model_tensor *tensors, uint32_t count,
                               const struct qn_convert_keep *keeps, size_t keep_count,
                               struct qn_tensor_choice *choices) QN_MUST_USE;

#endif

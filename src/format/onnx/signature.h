/* What an op may be given: counts of inputs and outputs, and its attributes, by version (signature.def). */
#ifndef QN_FORMAT_ONNX_SIGNATURE_H
#define QN_FORMAT_ONNX_SIGNATURE_H

#include "format/onnx/import_state.h"

struct qn_onnx_signature {
    const char *domain, *name; /* domain "" is ai.onnx */
    uint32_t since;
    const char *inputs, *outputs, *attrs, *types; /* as signature.def says */
};

/* That of the greatest version not above the given one, or the first that there was: models of old opsets hold ops that
 * came later. NULL: the op is not listed. */
const struct qn_onnx_signature *qn_onnx_find_signature(struct qn_str domain, struct qn_str name, uint32_t version);

/* The number of inputs or outputs of the node, an input that must be there and is not, attributes that are unknown,
 * doubled, missing or of another kind. The message names what was expected, not the node. */
qn_status qn_onnx_check_signature(const struct qn_onnx_signature *signature, const struct qn_onnx_frame *frame,
                                  const struct qn_onnx_node *node) QN_MUST_USE;

/* Types of inputs, as far as they are known at load; count is the number of inputs, those that are absent or unknown
 * have the dtype NONE. */
qn_status qn_onnx_check_types(const struct qn_onnx_signature *signature, const struct qn_onnx_type *types,
                              uint32_t count) QN_MUST_USE;

/* The dtype of output i as far as those of the inputs tell it; NONE: they do not. Types as above. */
qn_dtype qn_onnx_output_dtype(const struct qn_onnx_signature *signature, const struct qn_onnx_type *types,
                              uint32_t count, uint32_t i);

#endif

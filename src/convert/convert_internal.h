/* The ways of qn_convert. The options are complete, the allocator is set, and the output is none of the input's
 * files. */
#ifndef QN_CONVERT_INTERNAL_H
#define QN_CONVERT_INTERNAL_H

#include "base/status.h"
#include "base/str.h"
#include "convert/tensor_types.h"
#include "quern/convert.h"
#include "quern/model.h"

qn_status qn_convert_to_gguf(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                             struct qn_convert_stats *stats) QN_MUST_USE;
qn_status qn_convert_to_folder(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                               struct qn_convert_stats *stats) QN_MUST_USE;
/* Lets go of the pages of the model's files that were read; they come back should somebody else want them. */
void qn_convert_drop_pages(const struct qn_model *model);
/* Writes a whole file of a folder, aside first. */
qn_status qn_convert_write_text(const char *folder, const char *name, struct qn_str text,
                                const struct qn_allocator *allocator) QN_MUST_USE;
/* Products of an ONNX model to MatMulNBits. */
qn_status qn_convert_onnx(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                          struct qn_convert_stats *stats) QN_MUST_USE;
/* The scheme of a type's name; NONE for NULL and "auto". An unknown one is an error that lists them. */
qn_status qn_convert_scheme(const char *type, enum qn_scheme_id *out) QN_MUST_USE;

#endif

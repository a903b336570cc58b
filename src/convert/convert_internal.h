/* The ways of qn_convert. The options are complete, the allocator is set, and the output is none of the input's
 * files. */
#ifndef QN_CONVERT_INTERNAL_H
#define QN_CONVERT_INTERNAL_H

#include "base/status.h"
#include "quern/convert.h"
#include "quern/model.h"

qn_status qn_convert_to_gguf(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                             struct qn_convert_stats *stats) QN_MUST_USE;
qn_status qn_convert_to_folder(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                               struct qn_convert_stats *stats) QN_MUST_USE;
/* Products of an ONNX model to MatMulNBits. */
qn_status qn_convert_onnx(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                          struct qn_convert_stats *stats) QN_MUST_USE;
#endif

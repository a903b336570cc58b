/* A model file as an IR graph, whatever its format. */
#ifndef QN_FORMAT_MODEL_GRAPH_H
#define QN_FORMAT_MODEL_GRAPH_H

#include "arch/arch.h"
#include "arch/encoder_graph.h"
#include "ir/body.h"
#include "platform/file.h"
#include "quern/model.h"
#include "quern/session.h"

/* The configuration of a language model; QN_UNSUPPORTED, naming the file, when the model is none. Strings belong to the
 * model. */
qn_status qn_model_lm_config(const struct qn_model *model, struct qn_lm_config *out) QN_MUST_USE;

/* The graph of a language model; its file blobs refer to the model's files by index. */
qn_status qn_model_lm_graph(const struct qn_model *model, const struct qn_lm_config *config,
                            const struct qn_lm_options *options, const struct qn_allocator *allocator,
                            struct qn_graph **out) QN_MUST_USE;

/* Whether a model is an encoder (arch/encoder_graph.h) rather than one that generates. */
bool qn_model_is_encoder(const struct qn_model *model);
/* As qn_model_lm_config and qn_model_lm_graph, for an encoder. */
qn_status qn_model_encoder_config(const struct qn_model *model, struct qn_encoder_config *out) QN_MUST_USE;
qn_status qn_model_encoder_graph(const struct qn_model *model, const struct qn_encoder_config *config,
                                 const struct qn_lm_options *options, const struct qn_allocator *allocator,
                                 struct qn_graph **out) QN_MUST_USE;

/* The graph of any model: a language model's with the context, chunk and kv_dtype of the options, that of another
 * format with its dims and extensions. The options have all fields of today; what they point to must outlive *source.
 * *source is what the graph's calls refer to: NULL when there are none, otherwise the caller ends it with
 * source->destroy(source->context) when no graph of it runs any more. */
qn_status qn_model_graph(const struct qn_model *model, const struct qn_session_options *options, bool sizes_at_hand,
                         const struct qn_allocator *allocator, struct qn_graph **out,
                         struct qn_body_source **source) QN_MUST_USE;

/* The bytes of file `index` (below qn_model_info's file_count); the model's. */
const struct qn_file_map *qn_model_file_map(const struct qn_model *model, uint32_t index);

#endif

/* A GGUF language model as a configuration and as an IR graph. */
#ifndef QN_FORMAT_GGUF_LM_H
#define QN_FORMAT_GGUF_LM_H

#include "arch/arch.h"
#include "format/gguf/gguf.h"

/* Reads the architecture's hyper-parameters. Missing or contradictory keys are errors that name file and key. */
qn_status qn_gguf_lm_config(const struct qn_gguf *gguf, struct qn_lm_config *out) QN_MUST_USE;

/* Builds the graph; its file blobs refer to gguf->files by index, so the GGUF must outlive whoever reads weights. */
qn_status qn_gguf_lm_graph(const struct qn_gguf *gguf, const struct qn_lm_config *config,
                           const struct qn_lm_options *options, const struct qn_allocator *allocator,
                           struct qn_graph **out) QN_MUST_USE;

#endif

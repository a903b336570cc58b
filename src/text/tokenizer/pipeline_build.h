/* From the parts of a description to a tokenizer with a pipeline. */
#ifndef QN_TEXT_PIPELINE_BUILD_H
#define QN_TEXT_PIPELINE_BUILD_H

#include "base/json.h"
#include "text/tokenizer/pipeline.h"

/* A new tokenizer with an empty pipeline; its arena is the place for what it keeps. */
qn_status qn_pipeline_create(const struct qn_allocator *allocator, struct qn_tokenizer **out) QN_MUST_USE;

/* A tokenizer from a JSON text: `build` fills it from the root. `name` is the file, for messages; nothing of `scratch`,
 * where the JSON lies, is kept. */
typedef qn_status (*qn_pipeline_build)(struct qn_tokenizer *t, const struct qn_json *root,
                                       const struct qn_tokenizer_extras *extras, struct qn_arena *scratch);
qn_status qn_pipeline_from_json(struct qn_str text, const char *name, const struct qn_tokenizer_extras *extras,
                                qn_pipeline_build build, const struct qn_allocator *allocator,
                                struct qn_tokenizer **out) QN_MUST_USE;

/* Room for the texts of `count` ids, each without a text yet. */
qn_status qn_pipeline_reserve(struct qn_tokenizer *t, uint32_t count, uint32_t texts) QN_MUST_USE;
/* The model's token of an id below the count reserved; the text is kept as it is. */
qn_status qn_pipeline_put(struct qn_tokenizer *t, int32_t id, struct qn_str text) QN_MUST_USE;

/* The merges of a BPE model, best first; a pair that comes again takes the place of the first. */
qn_status qn_pipeline_begin_merges(struct qn_tokenizer *t, uint32_t count) QN_MUST_USE;
qn_status qn_pipeline_put_merge(struct qn_tokenizer *t, uint32_t rank, struct qn_str left,
                                struct qn_str right) QN_MUST_USE;

/* Reads the normalizer, the pre-tokenizer and the decoder of a tokenizer that no tokenizer.json describes; the texts
 * live as long as the tokenizer. */
qn_status qn_pipeline_set_steps(struct qn_tokenizer *t, const struct qn_step_texts *steps) QN_MUST_USE;

/* When the model's fields, texts, merges, and the added tokens but for their ids are set: gives those ids and prepares
 * all searches. */
qn_status qn_pipeline_finish(struct qn_tokenizer *t) QN_MUST_USE;
/* Then: what is put around a text. Tokens that begin and end each text; or a surround, which is left out where its
 * tokens are below 0. */
qn_status qn_pipeline_set_frame(struct qn_tokenizer *t, bool add_bos, bool add_eos,
                                const int32_t roles[QN_TOKEN_ROLE_COUNT]) QN_MUST_USE;
qn_status qn_pipeline_surround(struct qn_tokenizer *t, struct qn_surround surround) QN_MUST_USE;
/* Then: the roles that are known, from which others follow. */
void qn_pipeline_set_roles(struct qn_tokenizer *t, const int32_t roles[QN_TOKEN_ROLE_COUNT]);

#endif

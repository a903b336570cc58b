/* Reading tokenizer.json: fields with their errors, and the steps of a pipeline (parts of tokenizer_json.c). */
#ifndef QN_TEXT_TOKENIZER_JSON_H
#define QN_TEXT_TOKENIZER_JSON_H

#include "base/json.h"
#include "text/tokenizer/pipeline.h"

/* What is being built; `arena` lives as long as the tokenizer. */
struct qn_pipeline_reader {
    struct qn_pipeline *pipeline;
    struct qn_arena *arena;
    uint32_t normalizer_capacity, cutter_capacity, decoder_capacity, surround_capacity;
};

/* The value of a key; a JSON null counts as absent. NULL: absent. */
const struct qn_json *qn_field(const struct qn_json *object, const char *key);

/* Each reads a field of one kind. Absent: an error when `needed`, else *out stays as it is. */
qn_status qn_field_bool(const struct qn_json *object, const char *key, bool needed, bool *out) QN_MUST_USE;
qn_status qn_field_count(const struct qn_json *object, const char *key, bool needed, uint64_t *out) QN_MUST_USE;
qn_status qn_field_text(const struct qn_json *object, const char *key, bool needed, struct qn_arena *arena,
                        struct qn_str *out) QN_MUST_USE;
qn_status qn_field_character(const struct qn_json *object, const char *key, uint32_t *out) QN_MUST_USE;
/* Names that stand for 0, 1, ...; the list ends with NULL. */
qn_status qn_field_choice(const struct qn_json *object, const char *key, bool needed, const char *const *names,
                          int *out) QN_MUST_USE;
/* A token id: an integer of 31 bits. */
qn_status qn_json_id(const struct qn_json *value, const char *what, int32_t *out) QN_MUST_USE;
qn_status qn_json_expect(const struct qn_json *value, const char *what, enum qn_json_kind kind) QN_MUST_USE;

/* The steps under the keys normalizer, pre_tokenizer, decoder and post_processor. `value` may be NULL or null. */
qn_status qn_read_normalizers(struct qn_pipeline_reader *r, const struct qn_json *value) QN_MUST_USE;
qn_status qn_read_cutters(struct qn_pipeline_reader *r, const struct qn_json *value) QN_MUST_USE;
qn_status qn_read_decoders(struct qn_pipeline_reader *r, const struct qn_json *value) QN_MUST_USE;
qn_status qn_read_surrounds(struct qn_pipeline_reader *r, const struct qn_json *value) QN_MUST_USE;

/* The model's vocabulary {"token": id, ...}. */
qn_status qn_read_vocab(struct qn_tokenizer *tokenizer, const struct qn_json *vocab) QN_MUST_USE;
/* "left right": exactly one space. */
qn_status qn_cut_merge(struct qn_str merge, uint32_t rank, struct qn_str *left, struct qn_str *right) QN_MUST_USE;

/* One more element of an array that lies in the arena, zero; NULL on lack of memory. */
void *qn_arena_push(struct qn_arena *arena, void *items, uint32_t *count, uint32_t *capacity, size_t elem_size);

/* Compiles a pattern that the pipeline will own. `literal`: the text itself is meant. */
qn_status qn_pipeline_regex(struct qn_pipeline_reader *r, struct qn_str pattern, bool literal,
                            struct qn_regex **out) QN_MUST_USE;

#endif

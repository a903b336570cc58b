/* From tokens of texts to an encoding: cutting to length, the tokens around the texts, filling up. */
#ifndef QN_TEXT_SURROUND_H
#define QN_TEXT_SURROUND_H

#include "text/tokenizer/pipeline.h"

struct qn_item {
    struct qn_encoded_token token;
    struct qn_str text; /* of the token */
};

/* An encoding in the making; all of it lies in an arena. */
struct qn_items {
    struct qn_item *items;
    size_t count;
    struct qn_items *overflow; /* what was cut off; those have none of their own */
    size_t overflow_count;
};

/* Cuts one or two encodings so that they fit; `added`: tokens that will come around them. */
qn_status qn_truncate(struct qn_items *texts, uint32_t count, const struct qn_truncation *truncation, size_t added,
                      struct qn_arena *arena) QN_MUST_USE;

/* Tokens that the post-processors will add. */
size_t qn_surround_added(const struct qn_pipeline *pipeline, bool pair);

/* One encoding from one or two. */
qn_status qn_surround(const struct qn_pipeline *pipeline, struct qn_items *texts, uint32_t count, bool special,
                      struct qn_arena *arena, struct qn_items *out) QN_MUST_USE;

qn_status qn_pad(struct qn_items *items, const struct qn_padding *padding, struct qn_arena *arena) QN_MUST_USE;

/* Copies what was made to the caller. */
qn_status qn_items_give(const struct qn_items *items, struct qn_encoded *out) QN_MUST_USE;

#endif

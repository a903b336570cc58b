/* Pre-tokenising: cutting a text into pieces by patterns, as the Split step of Hugging Face tokenizers does. */
#ifndef QN_TEXT_SPLIT_H
#define QN_TEXT_SPLIT_H

#include "base/array.h"
#include "base/status.h"
#include "text/tokenizer/regex.h"

/* What happens with the matches of a pattern. */
enum qn_split_behavior {
    QN_SPLIT_ISOLATED = 0,         /* each is a piece */
    QN_SPLIT_REMOVED,              /* dropped */
    QN_SPLIT_MERGED_WITH_PREVIOUS, /* belongs to the piece before it */
    QN_SPLIT_MERGED_WITH_NEXT,
    QN_SPLIT_CONTIGUOUS, /* neighbouring ones are one piece */
};

struct qn_split {
    struct qn_regex *regex;
    enum qn_split_behavior behavior;
    bool invert; /* what lies between the matches is treated as the matches, and the reverse */
};

/* Pieces of a text, in order: bytes begin .. end - 1. */
struct qn_piece {
    uint32_t begin, end;
};

struct qn_pieces {
    QN_ARRAY(struct qn_piece) list;
};

/* A walk over the matches of a pattern: zero begins it. */
struct qn_match_walk {
    size_t from, last_end;
    bool matched_before;
};

/* The next match in text[0..size), which must be valid UTF-8: an empty one right behind the last is passed over. */
qn_status qn_match_next(const struct qn_regex *regex, struct qn_matcher *matcher, const char *text, size_t size,
                        struct qn_match_walk *walk, size_t *begin, size_t *end, bool *found) QN_MUST_USE;

/* Pieces in the making: stretches of a text, matches or what lies between two, are taken one after the other. */
struct qn_splitter {
    enum qn_split_behavior behavior;
    bool invert;
    const struct qn_allocator *allocator;
    struct qn_pieces *out;
    uint32_t first; /* of this text's pieces in *out */
    bool last_was_match;
};

void qn_splitter_begin(struct qn_splitter *splitter, enum qn_split_behavior behavior, bool invert,
                       const struct qn_allocator *allocator, struct qn_pieces *out);
bool qn_splitter_add(struct qn_splitter *splitter, size_t begin, size_t end, bool match); /* false: no memory */
void qn_splitter_end(struct qn_splitter *splitter);                                       /* drops empty pieces */

/* Appends the pieces of text[piece.begin .. piece.end). Each is cut as a text of its own: anchors and look-arounds do
 * not see beyond it. Empty pieces are dropped. The text must be valid UTF-8. */
qn_status qn_split_piece(const struct qn_split *split, struct qn_matcher *matcher, const char *text,
                         struct qn_piece piece, const struct qn_allocator *allocator,
                         struct qn_pieces *out) QN_MUST_USE;

#endif

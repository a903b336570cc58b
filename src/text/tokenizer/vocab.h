/* What a tokenizer is built from, whatever file it came from, and what it is built into. */
#ifndef QN_TEXT_VOCAB_H
#define QN_TEXT_VOCAB_H

#include "base/hash.h"
#include "base/status.h"
#include "quern/tokenizer.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/split.h"
#include "text/tokenizer/text_trie.h"

enum { QN_SPLITS_MAX = 8 };

struct qn_pipeline;
struct qn_json;
struct qn_tokenizer_extras; /* folder_tokens.h */

/* A vocabulary as a file describes it. Everything is only read, and only during the call that builds. */
struct qn_vocab_desc {
    enum qn_tokenizer_kind kind;
    struct qn_str origin;                                /* the file, for messages */
    struct qn_str tokens_name, scores_name, merges_name; /* what the file calls them, for messages */

    uint32_t count;
    const struct qn_str *texts;
    const float *scores;  /* NULL: none. SPM and UNIGRAM need them */
    const uint8_t *types; /* one of qn_token_flag below QN_TOKEN_LSTRIP for each token; NULL: all normal */

    /* BPE: the two sides of merge i, best first. A status is returned as it is. */
    uint32_t merge_count;
    qn_status (*merge)(const void *context, uint32_t i, struct qn_str *left, struct qn_str *right);
    const void *merge_context;
    const char *const *patterns; /* of the pre-tokeniser, applied one after the other, matches isolated */
    uint32_t pattern_count;
    uint32_t pre_flags; /* of enum qn_pre_flag */

    int32_t roles[QN_TOKEN_ROLE_COUNT]; /* QN_TOKEN_NONE: not named */
    bool adds[QN_TOKEN_ROLE_COUNT];
    bool add_space_prefix;
    bool merge_spaces;        /* UNIGRAM: runs of spaces become one, those at the ends go */
    bool lower_case;          /* WORDPIECE, and BPE that drops spaces */
    bool strip_accents;       /* WORDPIECE */
    bool strip_after_special; /* every control token takes the white space after it along (Phi-3) */
    struct qn_str charsmap;   /* UNIGRAM: SentencePiece's precompiled normalisation, or empty */
    const char *strip_before; /* a token that takes the white space before it along, or NULL */
};

/* Builds the tokenizer; nothing of the description is kept. */
qn_status qn_tokenizer_build(const struct qn_vocab_desc *desc, const struct qn_allocator *allocator,
                             struct qn_tokenizer **out) QN_MUST_USE;

struct qn_gguf;
/* The tokenizer that a GGUF file's metadata describes. */
qn_status qn_tokenizer_from_gguf(const struct qn_gguf *gguf, const struct qn_allocator *allocator,
                                 struct qn_tokenizer **out) QN_MUST_USE;

/* ---- the built form ------------------------------------------------------------------------------------------- */

struct qn_token {
    const char *text, *piece; /* as the vocabulary writes it; as bytes of a text */
    uint32_t text_size, piece_size;
    float score;
    uint32_t flags; /* of enum qn_token_flag */
};

/* Token ids by text. */
struct qn_text_ids {
    struct qn_map map;
    size_t longest; /* bytes of the longest text */
};

/* The id of a text, or -1. */
static inline int32_t qn_text_ids_find(const struct qn_text_ids *ids, const char *text, size_t size)
{
    if (size > ids->longest)
        return -1;
    const uint32_t *id = qn_map_get(&ids->map, (struct qn_str){text, size});
    return id ? (int32_t)*id : -1;
}

/* Two neighbouring tokens that merge. */
struct qn_merge_slot {
    uint64_t pair;  /* left << 32 | right */
    uint32_t rank;  /* lower merges first */
    int32_t merged; /* -1: empty slot */
};

/* Where the search for a pair begins; the caller masks it. */
static inline uint32_t qn_merge_hash(uint64_t pair)
{
    return (uint32_t)((pair ^ pair >> 29) * 0x9e3779b97f4a7c15u >> 32);
}

struct qn_tokenizer {
    struct qn_arena arena; /* holds all that has no owner of its own */
    enum qn_tokenizer_kind kind;
    struct qn_token *tokens;
    uint32_t count;
    struct qn_text_ids by_text;  /* every token by its vocabulary text */
    struct qn_text_ids by_match; /* tokens that text can become, by the text that they match */
    int32_t roles[QN_TOKEN_ROLE_COUNT];
    bool adds[QN_TOKEN_ROLE_COUNT];
    bool add_space_prefix;
    bool space_mark;       /* texts write a space as U+2581 */
    int32_t byte_ids[256]; /* the token of each byte, or -1 */
    bool has_all_bytes;

    struct qn_text_trie special;                        /* control, unknown and user-defined tokens */
    bool begins_special[256], begins_user_defined[256]; /* first bytes of those; of the user-defined ones alone */

    uint32_t pre_flags; /* BPE */
    struct qn_split splits[QN_SPLITS_MAX];
    uint32_t split_count;
    struct qn_merge_slot *merges;
    uint32_t merge_mask;
    bool cuts_at_marks; /* SPM: no token has U+2581 behind another character, so words can be merged one by one */

    bool lower_case;           /* WORDPIECE, and BPE on words */
    bool strip_accents;        /* WORDPIECE */
    struct qn_text_trie words; /* WORDPIECE, UNIGRAM: all tokens that text can become */

    struct qn_pipeline *pipeline; /* NULL for vocabularies of GGUF files, which the fields above describe */

    bool merge_spaces; /* UNIGRAM */
    float unknown_score;
    struct qn_charsmap charsmap;
};

/* The tokenizer that a tokenizer.json in memory describes; `name` is the file, for messages, `extras` may be NULL.
 * Nothing of the data is kept. */
qn_status qn_tokenizer_from_json(struct qn_str text, const char *name, const struct qn_tokenizer_extras *extras,
                                 const struct qn_allocator *allocator, struct qn_tokenizer **out) QN_MUST_USE;

#define QN_SPACE_MARK "\xe2\x96\x81"

static inline bool qn_token_is(const struct qn_tokenizer *t, int32_t id, uint32_t flags)
{
    return id >= 0 && (uint32_t)id < t->count && (t->tokens[id].flags & flags);
}

#endif

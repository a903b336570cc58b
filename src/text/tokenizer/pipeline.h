/* A tokenizer as data: steps that change a text, steps that cut it, a model that turns the pieces into tokens, steps
 * that surround those, and steps that turn token texts back into text. tokenizer.json describes one; each step does
 * what the `tokenizers` package does under that name.
 */
#ifndef QN_TEXT_PIPELINE_H
#define QN_TEXT_PIPELINE_H

#include "text/tokenizer/aligned.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/merge_heap.h"
#include "text/tokenizer/normal_form.h"
#include "text/tokenizer/split.h"
#include "text/tokenizer/vocab.h"

/* ---- steps ---------------------------------------------------------------------------------------------------- */

enum qn_normalizer_kind {
    QN_NORMALIZER_BERT,
    QN_NORMALIZER_STRIP,
    QN_NORMALIZER_STRIP_ACCENTS,
    QN_NORMALIZER_FORM, /* NFC, NFD, NFKC, NFKD */
    QN_NORMALIZER_LOWERCASE,
    QN_NORMALIZER_NMT,
    QN_NORMALIZER_PRECOMPILED,
    QN_NORMALIZER_REPLACE,
    QN_NORMALIZER_PREPEND,
    QN_NORMALIZER_BYTE_LEVEL,
    QN_NORMALIZER_SENTENCEPIECE,
};

struct qn_normalizer {
    enum qn_normalizer_kind kind;
    bool clean, chinese, accents, lower; /* BERT */
    bool left, right;                    /* STRIP */
    enum qn_normal_form form;
    struct qn_charsmap charsmap;
    struct qn_str content; /* REPLACE, PREPEND */
    /* SENTENCEPIECE: a mark before the text (once: not before parts behind an added token; missing: not where it begins
     * with one) or behind it, spaces in a row become one, spaces become marks; texts that stay as they are, or NULL */
    bool mark_before, mark_once, mark_missing, mark_behind, merge_spaces, mark_spaces;
    const struct qn_text_trie *kept;
    struct qn_regex *regex;
};

enum qn_prepend_scheme { QN_PREPEND_ALWAYS, QN_PREPEND_FIRST, QN_PREPEND_NEVER };

enum qn_cutter_kind {
    QN_CUTTER_BERT,
    QN_CUTTER_BYTE_LEVEL,
    QN_CUTTER_DELIMITER,
    QN_CUTTER_METASPACE,
    QN_CUTTER_WHITESPACE,
    QN_CUTTER_SPLIT,
    QN_CUTTER_PUNCTUATION,
    QN_CUTTER_WHITESPACE_SPLIT,
    QN_CUTTER_DIGITS,
    QN_CUTTER_SCRIPTS,
    QN_CUTTER_FIXED_LENGTH,
};

/* A pre-tokenizer. */
struct qn_cutter {
    enum qn_cutter_kind kind;
    bool prefix_space, use_regex; /* BYTE_LEVEL */
    bool each;                    /* DIGITS: one by one; METASPACE: cut */
    enum qn_prepend_scheme scheme;
    uint32_t c; /* DELIMITER, METASPACE: the character */
    struct qn_split split;
    uint64_t length; /* FIXED_LENGTH: characters a piece */
};

enum qn_unit_kind {
    QN_UNIT_BPE,
    QN_UNIT_UNIGRAM,
    QN_UNIT_WORDPIECE,
    QN_UNIT_WORDLEVEL,
    QN_UNIT_SENTENCE_BPE, /* as SentencePiece has them */
    QN_UNIT_SENTENCE_UNIGRAM,
};

/* The model's own switches; its vocabulary is the tokenizer's. */
struct qn_unit_model {
    enum qn_unit_kind kind;
    int32_t unknown;    /* -1: none */
    bool names_unknown; /* there is a name for it, in the vocabulary or not */
    struct qn_str unknown_text;
    bool fuse_unknown, byte_fallback, ignore_merges;
    bool has_prefix, has_suffix;
    struct qn_str prefix, suffix; /* of a word's later characters; of its last one */
    uint64_t longest_word;        /* WORDPIECE, in characters */
    const double *scores;         /* UNIGRAM */
    double lowest_score;
    float highest_score;          /* SENTENCE_UNIGRAM */
    struct qn_str unknown_shown;  /* SENTENCE_*: what decoding shows for the unknown token */
    bool trims_mark, trims_marks; /* SENTENCE_*: decoding drops the mark a text begins with; all of them */
    int32_t last_merged;          /* while merges are read: the token of the last one */
    int32_t byte_ids[256];        /* of "<0x00>" to "<0xFF>", or -1 */
    int32_t *character_ids;       /* BPE: the tokens of the characters below QN_QUICK_CHARACTERS, or -1 */
};

enum { QN_QUICK_CHARACTERS = 0x800 };

enum qn_decode_kind {
    QN_DECODE_BPE,
    QN_DECODE_BYTE_LEVEL,
    QN_DECODE_WORDPIECE,
    QN_DECODE_METASPACE,
    QN_DECODE_CTC,
    QN_DECODE_REPLACE,
    QN_DECODE_FUSE,
    QN_DECODE_STRIP,
    QN_DECODE_BYTE_FALLBACK,
};

struct qn_decode_step {
    enum qn_decode_kind kind;
    bool cleanup;
    enum qn_prepend_scheme scheme; /* METASPACE */
    uint32_t c;                    /* METASPACE, STRIP */
    uint64_t start, stop;          /* STRIP */
    struct qn_str content;         /* BPE: suffix; WORDPIECE: prefix; CTC: padding; REPLACE: what is put in */
    struct qn_str delimiter;       /* CTC */
    struct qn_regex *regex;
};

enum qn_surround_kind {
    QN_SURROUND_BERT,
    QN_SURROUND_ROBERTA,
    QN_SURROUND_BYTE_LEVEL,
    QN_SURROUND_TEMPLATE,
};

/* A part of a template: one of the texts (0, 1), or tokens. */
struct qn_template_part {
    int32_t sequence; /* -1: the tokens */
    uint32_t type_id;
    const int32_t *ids;
    uint32_t count;
};

struct qn_template {
    struct qn_template_part *parts;
    uint32_t count;
    uint32_t added; /* tokens that it adds */
};

/* A post-processor. */
struct qn_surround {
    enum qn_surround_kind kind;
    bool trim_offsets, prefix_space;
    int32_t first, separator; /* BERT, ROBERTA: CLS and SEP */
    struct qn_template single, pair;
};

/* ---- added tokens --------------------------------------------------------------------------------------------- */

struct qn_added_token {
    struct qn_str content, pattern; /* as written; as it stands in a normalised text */
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};

/* Steps as tokenizer.json writes them; data NULL: none. */
struct qn_step_texts {
    struct qn_str normalizer, cutter, decoder;
};

/* ---- all of it ------------------------------------------------------------------------------------------------ */

struct qn_pipeline {
    struct qn_normalizer *normalizers;
    struct qn_cutter *cutters;
    struct qn_decode_step *decoders;
    struct qn_surround *surrounds;
    uint32_t normalizer_count, cutter_count, decoder_count, surround_count;
    bool has_decoder, has_surround; /* an empty sequence is not the same as none */
    struct qn_step_texts steps;     /* where they come from files older than tokenizer.json */
    struct qn_unit_model model;
    struct qn_regex *gpt2; /* the pattern of ByteLevel; NULL when no step needs it */
    uint32_t vocab_size;   /* of the model alone */

    struct qn_added_token *added;
    uint32_t added_count;
    struct qn_text_ids added_ids;                 /* index in `added` by content */
    struct qn_text_trie added_raw;                /* indices of those that are looked for before normalising */
    struct qn_text_trie added_normalized;         /* and after it */
    bool starts_raw[256], starts_normalized[256]; /* their first bytes */

    bool *hidden; /* by id: decoding leaves it out unless asked */

    bool has_truncation, has_padding;
    struct qn_truncation truncation;
    struct qn_padding padding;

    struct qn_regex **regexes; /* all there are, for freeing */
    uint32_t regex_count, regex_capacity;
};

/* A fragment of the text on its way: bytes of the working text, and the stretch of the original they stand for. */
struct qn_fragment {
    uint32_t begin, end;
    uint32_t original, original_end;
    int32_t added; /* index of the added token that it is, or -1 */
};

/* The working text and its fragments; `next` and `scratch` are room for the step that is being done. */
struct qn_pretext {
    const struct qn_allocator *allocator;
    struct qn_aligned text, next, scratch[2];
    QN_ARRAY(struct qn_fragment) fragments, next_fragments;
    struct qn_pieces pieces;
    struct qn_changes changes;
    struct qn_matcher *matcher;
    bool continued; /* nothing is put before the text */
};

/* Changes the text of `pretext->scratch[0]` by all normalizers in turn. */
qn_status qn_normalize(const struct qn_pipeline *pipeline, struct qn_pretext *pretext) QN_MUST_USE;

/* Cuts all fragments that are no added tokens by all cutters in turn. */
qn_status qn_cut(const struct qn_pipeline *pipeline, struct qn_pretext *pretext) QN_MUST_USE;

/* Finds the added tokens, normalises what lies between them. *text is the whole text, valid UTF-8, in
 * pretext->scratch[0]. `special`: those that are special count too. */
qn_status qn_find_added(const struct qn_pipeline *pipeline, struct qn_pretext *pretext, bool special) QN_MUST_USE;

/* SentencePiece's normalizer: the text of scratch[0] becomes that of scratch[1]. */
qn_status qn_spiece_normalize(const struct qn_normalizer *normalizer, struct qn_pretext *pretext) QN_MUST_USE;

/* The longest added token at text[0..size) in a trie: an index, or -1. */
int32_t qn_added_at(const struct qn_text_trie *trie, const char *text, size_t size, size_t *length);

/* A token of a piece: bytes begin .. end - 1 of it, and its text when that is not the vocabulary's. */
struct qn_unit {
    int32_t id;
    uint32_t begin, end;
    struct qn_str text;
};

struct qn_unit_symbol {
    int32_t id;
    uint32_t prev, next, size;
};

struct qn_unit_best {
    double score;
    uint32_t from; /* UINT32_MAX: not reached */
    int32_t id;
};

struct qn_unit_pair {
    uint32_t begin, size, left; /* bytes of the piece: the text, and its first part */
};

struct qn_units {
    const struct qn_allocator *allocator;
    QN_ARRAY(struct qn_unit) list;
    /* room for the models */
    QN_ARRAY(struct qn_unit_symbol) symbols;
    struct qn_merge_heap heap;
    QN_ARRAY(struct qn_unit_best) bests;
    QN_ARRAY(struct qn_unit_pair) pairs; /* SENTENCE_BPE: how texts of unused tokens came about */
    struct qn_strbuf buffer;
};

bool qn_unit_emit(struct qn_units *units, int32_t id, size_t begin, size_t end);

qn_status qn_unit_sentence_bpe(const struct qn_tokenizer *tokenizer, struct qn_str piece,
                               struct qn_units *units) QN_MUST_USE;
qn_status qn_unit_sentence_unigram(const struct qn_tokenizer *tokenizer, struct qn_str piece,
                                   struct qn_units *units) QN_MUST_USE;
/* The text of ids as SentencePiece decodes them. */
qn_status qn_spiece_decode(const struct qn_tokenizer *tokenizer, const int32_t *ids, size_t count, bool special,
                           struct qn_strbuf *out) QN_MUST_USE;

void qn_units_deinit(struct qn_units *units);
/* Appends the tokens of one piece. */
qn_status qn_unit_tokenize(const struct qn_tokenizer *tokenizer, struct qn_str piece,
                           struct qn_units *units) QN_MUST_USE;

/* The text of ids as the decoders make it; `special` shows special tokens. */
qn_status qn_pipeline_decode(const struct qn_tokenizer *tokenizer, const int32_t *ids, size_t count, bool special,
                             struct qn_strbuf *out) QN_MUST_USE;

/* qn_tokenizer_encode_pair for a tokenizer with a pipeline. */
struct qn_encode_call {
    struct qn_str texts[2];
    uint32_t text_count;
    bool bare, special, continued, characters; /* as in qn_pair_options and qn_encode_options */
    const struct qn_truncation *truncation;    /* NULL: none */
    const struct qn_padding *padding;          /* NULL: none */
};

qn_status qn_pipeline_encode(const struct qn_tokenizer *tokenizer, const struct qn_encode_call *call,
                             struct qn_encoded *out) QN_MUST_USE;

void qn_pipeline_deinit(struct qn_pipeline *pipeline, const struct qn_allocator *allocator);

#endif

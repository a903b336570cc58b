/* One call of qn_tokenizer_encode: its working memory and the steps by kind of vocabulary. */
#ifndef QN_TEXT_ENCODING_H
#define QN_TEXT_ENCODING_H

#include "text/tokenizer/merge_heap.h"
#include "text/tokenizer/vocab.h"

/* A stretch of the word that is being merged; size 0 once it was merged into its left neighbour. */
struct qn_symbol {
    uint32_t begin, size; /* bytes of the word */
    int32_t id;           /* -1: no token */
    uint32_t prev, next;  /* QN_SYMBOL_NONE at the ends */
};

#define QN_SYMBOL_NONE UINT32_MAX

/* Words whose tokens are known: where the word stood in the text, where its tokens stand in the output. */
struct qn_word_slot {
    uint32_t begin, size, epoch;
    uint32_t first, count;
};

enum { QN_CACHED_WORDS = 1 << 13 };

struct qn_encoding {
    const struct qn_tokenizer *tokenizer;
    const struct qn_allocator *allocator;
    struct qn_tokens *out;
    QN_ARRAY(struct qn_symbol) symbols;
    struct qn_merge_heap heap;
    struct qn_strbuf text;      /* the fragment as the vocabulary writes it */
    struct qn_strbuf valid;     /* the same without broken UTF-8, for the patterns */
    struct qn_matcher *matcher; /* NULL until needed */
    struct qn_pieces pieces[2];
    size_t fragment_first;      /* where the fragment's tokens begin */
    struct qn_word_slot *words; /* NULL for short texts */
    uint32_t epoch;             /* of the fragment; slots of another one are void */
};

/* Room for so many more ids; false on lack of memory. */
bool qn_encoding_grow(struct qn_tokens *out, size_t want);

/* Appends one id; false on lack of memory. */
static inline bool qn_encoding_emit(struct qn_encoding *e, int32_t id)
{
    if (e->out->count == e->out->capacity && !qn_encoding_grow(e->out, 1))
        return false;
    e->out->ids[e->out->count++] = id;
    return true;
}

/* A character, or a byte, that is no token: its byte tokens, the unknown token, or nothing. False on lack of memory. */
bool qn_encoding_emit_bytes(struct qn_encoding *e, const char *bytes, size_t size);

/* Merges text[begin .. begin + size) and appends its tokens. `text` must stay as it is for the whole fragment. */
qn_status qn_merge_word(struct qn_encoding *e, const char *text, size_t begin, size_t size) QN_MUST_USE;

/* One fragment between special tokens, each kind its own way. `prefix`: put a space before it if the vocabulary
 * wants one. */
qn_status qn_encode_spm(struct qn_encoding *e, const char *text, size_t size, bool prefix) QN_MUST_USE;
qn_status qn_encode_bpe(struct qn_encoding *e, const char *text, size_t size) QN_MUST_USE;
qn_status qn_encode_wordpiece(struct qn_encoding *e, const char *text, size_t size) QN_MUST_USE;
qn_status qn_encode_unigram(struct qn_encoding *e, const char *text, size_t size, bool prefix) QN_MUST_USE;

#endif

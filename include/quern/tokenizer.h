/* Tokenizer: text to token ids and back.
 *
 *     struct qn_tokens tokens = {0};
 *     status = qn_tokenizer_encode(tokenizer, text, size, NULL, &tokens);
 *     ... tokens.ids[0 .. tokens.count) ...
 *     qn_tokens_free(&tokens);
 *
 * Text is bytes with a length: it may hold NULs and broken UTF-8. With a byte-level or byte-fallback vocabulary,
 * decoding what was encoded gives the same bytes back. (A vocabulary that writes spaces as U+2581, as SentencePiece
 * does, cannot tell a U+2581 in the text from a space.)
 *
 * Threads: a tokenizer never changes after its creation and may be used by many threads at once. A qn_decoder, a
 * qn_stop and the buffers belong to one thread at a time.
 *
 * tokenizer.json describes a tokenizer of the `tokenizers` package; it does here what it does there. That package takes
 * text without flaws only: broken UTF-8 is read as U+FFFD, one for each part that cannot be completed.
 */
#ifndef QUERN_TOKENIZER_H
#define QUERN_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_model;
struct qn_tokenizer;

enum { QN_TOKEN_NONE = -1 };

/* ---- creation ------------------------------------------------------------------------------------------------- */

/* The tokenizer of a model, or of a file that holds a vocabulary alone. It keeps nothing of the model, which may be
 * closed before it. allocator NULL means the default. Errors: QN_INVALID_FILE and QN_UNSUPPORTED name file and key. */
qn_status qn_tokenizer_create(const struct qn_model *model, const struct qn_allocator *allocator,
                              struct qn_tokenizer **out) QN_MUST_USE;
/* The tokenizer of a file or folder: tokenizer.json, tokenizer.model (SentencePiece), vocab.txt (WordPiece), a GGUF
 * file, or a folder that holds one of the first three, in this order, with tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json beside it. Errors name the file, the key, what was expected and found;
 * a component that is not known is QN_UNSUPPORTED with its name. */
qn_status qn_tokenizer_open(const char *path, const struct qn_allocator *allocator,
                            struct qn_tokenizer **out) QN_MUST_USE;
void qn_tokenizer_free(struct qn_tokenizer *tokenizer); /* NULL is allowed */

/* ---- the vocabulary ------------------------------------------------------------------------------------------- */

enum qn_tokenizer_kind {
    QN_TOKENIZER_NONE = 0, /* the model has no vocabulary: encoding and decoding are errors */
    QN_TOKENIZER_SPM,      /* SentencePiece BPE: pairs merge by score, unknown characters fall back to bytes */
    QN_TOKENIZER_BPE,      /* BPE with ranked merges, on bytes (GPT-2) or on characters (Gemma 4) */
    QN_TOKENIZER_WORDPIECE,
    QN_TOKENIZER_UNIGRAM,
    QN_TOKENIZER_WORDLEVEL, /* whole words */
};

/* Tokens with a role. QN_TOKEN_NONE where a vocabulary has none. */
enum qn_token_role {
    QN_TOKEN_BOS = 0, /* begins a text; CLS of BERT */
    QN_TOKEN_EOS,     /* ends a text */
    QN_TOKEN_EOT,     /* ends a turn */
    QN_TOKEN_EOM,     /* ends a message that expects a tool's answer */
    QN_TOKEN_UNK,
    QN_TOKEN_SEP,
    QN_TOKEN_PAD,
    QN_TOKEN_MASK,
    QN_TOKEN_FIM_PREFIX, /* fill in the middle: what stands before the gap, after it, and the gap */
    QN_TOKEN_FIM_SUFFIX,
    QN_TOKEN_FIM_MIDDLE,
    QN_TOKEN_FIM_PAD,
    QN_TOKEN_FIM_REPO,
    QN_TOKEN_FIM_FILE,
    QN_TOKEN_ROLE_COUNT,
};

/* What a token is, a set of bits. */
enum qn_token_flag {
    QN_TOKEN_NORMAL = 1 << 0,
    QN_TOKEN_UNKNOWN = 1 << 1,      /* stands for what the vocabulary lacks */
    QN_TOKEN_CONTROL = 1 << 2,      /* has a meaning, no text: hidden when decoding, unless asked for */
    QN_TOKEN_USER_DEFINED = 1 << 3, /* always found in a text as a whole */
    QN_TOKEN_UNUSED = 1 << 4,
    QN_TOKEN_BYTE = 1 << 5,   /* one byte, <0x0A> */
    QN_TOKEN_LSTRIP = 1 << 6, /* takes the white space before it / after it along */
    QN_TOKEN_RSTRIP = 1 << 7,
    QN_TOKEN_EOG = 1 << 8, /* ends a generation */
};

/* How the tokenizer cuts text. */
enum qn_tokenizer_kind qn_tokenizer_kind(const struct qn_tokenizer *tokenizer);
/* Tokens in the vocabulary: ids are 0 .. count - 1. */
uint32_t qn_tokenizer_count(const struct qn_tokenizer *tokenizer);
int32_t qn_tokenizer_role(const struct qn_tokenizer *tokenizer, enum qn_token_role role);
/* Whether encoding adds the token before or after the text by itself: BOS, EOS and SEP can be true. */
bool qn_tokenizer_adds(const struct qn_tokenizer *tokenizer, enum qn_token_role role);
/* A set of qn_token_flag; 0 for an id outside the vocabulary. */
uint32_t qn_tokenizer_flags(const struct qn_tokenizer *tokenizer, int32_t id);
bool qn_tokenizer_is_eog(const struct qn_tokenizer *tokenizer, int32_t id);
/* The token as the vocabulary writes it ("▁Hello", "ĠHello"); "" for an id outside. Not
 * terminated; lives as long as the tokenizer. */
const char *qn_tokenizer_text(const struct qn_tokenizer *tokenizer, int32_t id, size_t *size);
/* The bytes that the token adds to a text (" Hello"); control tokens are shown as they are written. A piece may be a
 * part of a character. Not terminated; lives as long as the tokenizer. */
const char *qn_tokenizer_piece(const struct qn_tokenizer *tokenizer, int32_t id, size_t *size);
/* The token with exactly this vocabulary text, or QN_TOKEN_NONE. */
int32_t qn_tokenizer_find(const struct qn_tokenizer *tokenizer, const char *text, size_t size);

/* ---- encoding ------------------------------------------------------------------------------------------------- */

/* A growing list of ids; zero is an empty one. Set allocator before first use for another than the default. */
struct qn_tokens {
    int32_t *ids;
    size_t count, capacity;
    const struct qn_allocator *allocator;
};

/* Releases the list and empties it; one that was never filled is fine. */
void qn_tokens_free(struct qn_tokens *tokens);

struct qn_encode_options {
    size_t struct_size;
    bool bare;          /* add no BOS, EOS, CLS or SEP, whatever the model asks for */
    bool parse_special; /* control tokens in the text ("<|im_end|>") become those tokens; never for untrusted text */
    bool continued;     /* the text goes on where another ended: no space is put before it */
};

/* Appends the tokens of text[0..size) to *tokens. options NULL means zero. On failure *tokens is as before. */
qn_status qn_tokenizer_encode(const struct qn_tokenizer *tokenizer, const char *text, size_t size,
                              const struct qn_encode_options *options, struct qn_tokens *tokens) QN_MUST_USE;

/* ---- encoding with all there is to know ----------------------------------------------------------------------- */

enum qn_truncation_strategy {
    QN_TRUNCATE_LONGEST_FIRST = 0, /* the longer of two texts loses first */
    QN_TRUNCATE_ONLY_FIRST,
    QN_TRUNCATE_ONLY_SECOND,
};

/* Cuts what is longer than max_length tokens, those around the texts counted. */
struct qn_truncation {
    size_t max_length;
    size_t stride; /* tokens that each part that was cut off shares with the one before it */
    enum qn_truncation_strategy strategy;
    bool left; /* cut at the beginning instead of the end */
};

/* Fills up to a length, a multiple of multiple_of (0: of any). */
struct qn_padding {
    size_t length; /* 0: no more than multiple_of asks for */
    size_t multiple_of;
    int32_t id;
    uint32_t type_id;
    bool left;
};

/* A token, where it came from and what it is. */
struct qn_encoded_token {
    int32_t id;
    uint32_t type_id;    /* the segment, 0 or 1 */
    uint32_t begin, end; /* in its text: bytes, or characters when asked for; 0, 0 for a token of no text */
    int32_t word;        /* which piece of its text it belongs to; -1 for a token of no text */
    int8_t sequence;     /* the text it belongs to, 0 or 1; -1: none */
    bool special;        /* put around the texts by the tokenizer, or padding */
    bool attended;       /* false: padding */
};

/* What truncation cut off follows in `overflow`, each part surrounded and padded as the first. */
struct qn_encoded {
    struct qn_encoded_token *tokens;
    size_t count, capacity;
    struct qn_encoded *overflow;
    size_t overflow_count;
    const struct qn_allocator *allocator; /* NULL: the default. Set before use */
};

/* As qn_tokens_free. */
void qn_encoded_free(struct qn_encoded *encoded);

/* What happens to length, for qn_pair_options. */
enum qn_length_rule {
    QN_LENGTH_AS_FILE = 0, /* as tokenizer.json says; nothing where it says nothing */
    QN_LENGTH_GIVEN,       /* by the field below it */
    QN_LENGTH_FREE,        /* nothing */
};

struct qn_pair_options {
    size_t struct_size;
    bool bare;          /* as in qn_encode_options */
    bool parse_special; /* the same */
    bool characters;    /* begin and end count characters (code points) instead of bytes */
    enum qn_length_rule truncate, pad;
    struct qn_truncation truncation;
    struct qn_padding padding;
};

/* Encodes one text, or two that belong together (`second` NULL: one) with the tokens that the model wants around them.
 * *out must be zero but for its allocator; on failure it stays so. A tokenizer of a GGUF file or of SentencePiece
 * leaves begin, end and word at 0, 0 and -1: it does not track them. options NULL means zero. */
qn_status qn_tokenizer_encode_pair(const struct qn_tokenizer *tokenizer, const char *first, size_t first_size,
                                   const char *second, size_t second_size, const struct qn_pair_options *options,
                                   struct qn_encoded *out) QN_MUST_USE;

/* ---- decoding ------------------------------------------------------------------------------------------------- */

/* A growing, always terminated text; zero is an empty one. */
struct qn_text {
    char *data;
    size_t size, capacity; /* without and with the terminator */
    const struct qn_allocator *allocator;
};

/* As qn_tokens_free. */
void qn_text_free(struct qn_text *text);

struct qn_decode_options {
    size_t struct_size;
    bool special;   /* show control tokens as they are written */
    bool raw;       /* qn_decoder: pass broken UTF-8 on instead of replacing it by U+FFFD */
    bool continued; /* the ids go on where others ended: the space that encoding put before a text stays */
};

/* Appends the text of ids[0..count), byte for byte. An id outside the vocabulary is an error. */
qn_status qn_tokenizer_decode(const struct qn_tokenizer *tokenizer, const int32_t *ids, size_t count,
                              const struct qn_decode_options *options, struct qn_text *text) QN_MUST_USE;

/* A decoder for ids that arrive one at a time: it gives out whole UTF-8 characters only and holds back the beginning
 * of one whose end is still missing. The tokenizer must outlive it. */
struct qn_decoder;
qn_status qn_decoder_create(const struct qn_tokenizer *tokenizer, const struct qn_decode_options *options,
                            const struct qn_allocator *allocator, struct qn_decoder **out) QN_MUST_USE;
/* Takes one id. *text (terminated, perhaps empty) is what can be shown now; it lives until the next call. */
qn_status qn_decoder_push(struct qn_decoder *decoder, int32_t id, const char **text, size_t *size) QN_MUST_USE;
/* The end: gives out what was held back (U+FFFD, or the bytes when raw) and makes the decoder as new. */
qn_status qn_decoder_finish(struct qn_decoder *decoder, const char **text, size_t *size) QN_MUST_USE;
void qn_decoder_free(struct qn_decoder *decoder); /* NULL is allowed */

/* ---- stop strings --------------------------------------------------------------------------------------------- */

/* Watches a text that arrives in parts for the first of several strings. What could be the beginning of one is held
 * back, so that nothing of a stop string is ever given out, wherever the parts are cut. */
struct qn_stop;
/* strings[i] are terminated and not empty; they are copied. */
qn_status qn_stop_create(const char *const *strings, size_t count, const struct qn_allocator *allocator,
                         struct qn_stop **out) QN_MUST_USE;
/* Takes the next part. *out (terminated, perhaps empty) is what can be shown now; it lives until the next call.
 * *hit is the index of the stop string that was completed, or -1; after a hit, further parts give nothing. */
qn_status qn_stop_push(struct qn_stop *stop, const char *text, size_t size, const char **out, size_t *out_size,
                       int32_t *hit) QN_MUST_USE;
/* The end: gives out what was held back (nothing after a hit) and makes the watcher as new. */
void qn_stop_finish(struct qn_stop *stop, const char **out, size_t *out_size);
void qn_stop_free(struct qn_stop *stop); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif

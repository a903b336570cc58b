/* A folder's tokenizer as GGUF's metadata (tokenizer.ggml.*), as llama.cpp's converter writes it. */
#ifndef QN_CONVERT_GGUF_VOCAB_H
#define QN_CONVERT_GGUF_VOCAB_H

#include "base/arena.h"
#include "base/json.h"
#include "base/status.h"
#include "format/gguf/gguf.h"

/* Numbers of tokenizer.ggml.token_type. */
enum qn_gguf_token_type {
    QN_GGUF_TOKEN_NORMAL = 1,
    QN_GGUF_TOKEN_UNKNOWN,
    QN_GGUF_TOKEN_CONTROL,
    QN_GGUF_TOKEN_USER_DEFINED,
    QN_GGUF_TOKEN_UNUSED,
    QN_GGUF_TOKEN_BYTE,
};

struct qn_gguf_vocab {
    struct qn_arena *arena;
    const char *model; /* "gpt2", "llama", "bert", "t5"; NULL: none that GGUF can hold */
    const char *pre;   /* gpt2: name of the pre-tokeniser */
    uint32_t count;    /* tokens; as many as the embedding has rows */
    struct qn_str *tokens;
    int32_t *types;
    float *scores; /* llama, t5; NULL otherwise */
    struct qn_str *merges;
    uint32_t merge_count;
    struct qn_map ids;                                       /* token as tokenizer.json has it: id */
    int add_bos, add_eos, add_sep, add_space, remove_spaces; /* -1: not said */
    int lowercase, strip_accents;                            /* what the normaliser does; -1: not said */
    struct qn_gguf_template {
        struct qn_str first, last, between[2]; /* special tokens around a text, and between two; data NULL: none */
        uint32_t between_count;
    } around;
    const uint8_t *charsmap; /* t5: compiled normalisation */
    size_t charsmap_size;
};

/* Adds tokenizer.ggml.* and the chat template of the folder (with a slash at its end) to a GGUF file whose embedding
 * has `rows` rows. *found false: no tokenizer that GGUF can hold, and "no_vocab" is written. */
qn_status qn_gguf_vocab_write(const char *folder, uint32_t rows, const struct qn_allocator *allocator,
                              struct qn_gguf_writer *writer, bool *found) QN_MUST_USE;

/* Reads tokenizer.json into a vocabulary whose arena and count are set. */
qn_status qn_gguf_vocab_json(const struct qn_json *root, struct qn_gguf_vocab *vocab) QN_MUST_USE;
/* The same from a SentencePiece model (tokenizer.model). */
qn_status qn_gguf_vocab_sentencepiece(const uint8_t *data, uint64_t size, struct qn_gguf_vocab *vocab) QN_MUST_USE;
/* Fills tokens[] with room for count of them, and marks those that were never given. For the readers above. */
qn_status qn_gguf_vocab_start(struct qn_gguf_vocab *vocab, bool scores) QN_MUST_USE;
qn_status qn_gguf_vocab_put(struct qn_gguf_vocab *vocab, uint64_t id, struct qn_str text, int32_t type) QN_MUST_USE;
/* An added token: one that is special, or looks so, is a control token, another is defined by the user and has spaces
 * where SentencePiece has its mark. Ids beyond the vocabulary are left out. */
qn_status qn_gguf_vocab_add(struct qn_gguf_vocab *vocab, uint64_t id, struct qn_str text, bool special) QN_MUST_USE;

/* The name that llama.cpp has for the pre-tokeniser of a tokenizer.json: the one that cuts a text with all kinds of
 * characters in the same places. "default" when there is none. Static storage. */
qn_status qn_gguf_pre_name(const struct qn_json *root, const struct qn_allocator *allocator,
                           const char **out) QN_MUST_USE;

struct qn_model;

/* The other way: tokenizer.json and tokenizer_config.json of a GGUF file's metadata, or the files of a folder as they
 * are, written into `folder`. *found false: the model has no tokenizer, or one that tokenizer.json cannot hold, and
 * nothing is written. */
qn_status qn_vocab_back_write(const struct qn_model *model, const char *folder, const struct qn_allocator *allocator,
                              bool *found) QN_MUST_USE;

#endif

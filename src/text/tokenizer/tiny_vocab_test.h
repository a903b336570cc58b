/* Hand-made vocabularies for the tests of this folder. */
#ifndef QN_TEXT_TINY_VOCAB_TEST_H
#define QN_TEXT_TINY_VOCAB_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/testing.h"
#include "text/tokenizer/pre.h"
#include "text/tokenizer/vocab.h"

enum { TINY_MAX = 600 };

struct tiny_vocab {
    struct qn_vocab_desc desc;
    struct qn_str texts[TINY_MAX];
    float scores[TINY_MAX];
    uint8_t types[TINY_MAX];
    struct qn_str merges[TINY_MAX][2];
    char bytes[256][8];
};

static inline int32_t tiny_add(struct tiny_vocab *v, const char *text, uint8_t type, float score)
{
    uint32_t i = v->desc.count++;
    assert_true(i < TINY_MAX);
    v->texts[i] = qn_str_from(text);
    v->types[i] = type;
    v->scores[i] = score;
    return (int32_t)i;
}

static inline qn_status tiny_merge_at(const void *context, uint32_t i, struct qn_str *left, struct qn_str *right)
{
    const struct tiny_vocab *v = context;
    *left = v->merges[i][0];
    *right = v->merges[i][1];
    return NULL;
}

static inline void tiny_merge(struct tiny_vocab *v, const char *left, const char *right)
{
    uint32_t i = v->desc.merge_count++;
    assert_true(i < TINY_MAX);
    v->merges[i][0] = qn_str_from(left);
    v->merges[i][1] = qn_str_from(right);
}

static inline void tiny_init(struct tiny_vocab *v, enum qn_tokenizer_kind kind)
{
    memset(v, 0, sizeof *v);
    v->desc = (struct qn_vocab_desc){
        .kind = kind,
        .origin = QN_STR("tiny"),
        .tokens_name = QN_STR("tokens"),
        .scores_name = QN_STR("scores"),
        .merges_name = QN_STR("merges"),
        .texts = v->texts,
        .scores = v->scores,
        .types = v->types,
        .merge = tiny_merge_at,
        .merge_context = v,
    };
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++)
        v->desc.roles[role] = QN_TOKEN_NONE;
}

static inline void tiny_set_pre(struct tiny_vocab *v, const char *name)
{
    const struct qn_pre *pre = qn_pre_find(qn_str_from(name));
    assert_non_null(pre);
    v->desc.patterns = pre->patterns;
    v->desc.pre_flags = pre->flags;
    v->desc.pattern_count = 0;
    while (v->desc.pattern_count < QN_PRE_PATTERNS_MAX && pre->patterns[v->desc.pattern_count])
        v->desc.pattern_count++;
}

/* <unk> <s> </s>, the 256 byte tokens, then what the caller adds. BOS is added to a text, a space put before it. */
static inline void tiny_spm(struct tiny_vocab *v)
{
    tiny_init(v, QN_TOKENIZER_SPM);
    v->desc.roles[QN_TOKEN_UNK] = tiny_add(v, "<unk>", QN_TOKEN_UNKNOWN, 0);
    v->desc.roles[QN_TOKEN_BOS] = tiny_add(v, "<s>", QN_TOKEN_CONTROL, 0);
    v->desc.roles[QN_TOKEN_EOS] = tiny_add(v, "</s>", QN_TOKEN_CONTROL, 0);
    v->desc.adds[QN_TOKEN_BOS] = v->desc.add_space_prefix = true;
    for (int byte = 0; byte < 256; byte++) {
        snprintf(v->bytes[byte], sizeof v->bytes[byte], "<0x%02X>", byte);
        tiny_add(v, v->bytes[byte], QN_TOKEN_BYTE, 0);
    }
}

/* The 256 bytes in GPT-2's alphabet: the id is the byte. Split as GPT-2 does. */
static inline void tiny_bpe(struct tiny_vocab *v)
{
    tiny_init(v, QN_TOKENIZER_BPE);
    tiny_set_pre(v, "gpt-2");
    unsigned other = 0x100;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
        unsigned c = printable ? byte : other++;
        if (c < 0x80)
            snprintf(v->bytes[byte], sizeof v->bytes[byte], "%c", (char)c);
        else
            snprintf(v->bytes[byte], sizeof v->bytes[byte], "%c%c", (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)));
        tiny_add(v, v->bytes[byte], QN_TOKEN_NORMAL, 0);
    }
}

static inline struct qn_tokenizer *tiny_build(const struct tiny_vocab *v)
{
    struct qn_tokenizer *t = NULL;
    qn_assert_ok(qn_tokenizer_build(&v->desc, NULL, &t));
    return t;
}

/* Checks the tokens of a text, given as their vocabulary texts joined by spaces. */
#define assert_tokens(t, text, options, expected) \
    tiny_check((t), (text), strlen(text), (options), (expected), __FILE__, __LINE__)

static inline void tiny_check(const struct qn_tokenizer *t, const char *text, size_t size,
                              const struct qn_encode_options *options, const char *expected, const char *file, int line)
{
    struct qn_tokens tokens = {0};
    struct qn_strbuf shown;
    qn_strbuf_init(&shown, NULL);
    qn_assert_ok(qn_tokenizer_encode(t, text, size, options, &tokens));
    for (size_t i = 0; i < tokens.count; i++) {
        size_t length;
        const char *token = qn_tokenizer_text(t, tokens.ids[i], &length);
        qn_strbuf_printf(&shown, "%s%.*s", i ? " " : "", (int)length, token);
    }
    if (strcmp(shown.data ? shown.data : "", expected) != 0) {
        print_error("%s:%d: '%s' gives '%s', expected '%s'\n", file, line, text, shown.data, expected);
        fail();
    }
    qn_strbuf_deinit(&shown);
    qn_tokens_free(&tokens);
}

/* Encodes and decodes: the same bytes have to come back. */
static inline void tiny_round_trip(const struct qn_tokenizer *t, const char *text, size_t size)
{
    struct qn_tokens tokens = {0};
    struct qn_text back = {0};
    qn_assert_ok(qn_tokenizer_encode(t, text, size, NULL, &tokens));
    qn_assert_ok(qn_tokenizer_decode(t, tokens.ids, tokens.count, NULL, &back));
    assert_int_equal(back.size, size);
    assert_memory_equal(back.data, text, size);
    qn_text_free(&back);
    qn_tokens_free(&tokens);
}

/* A random number for tests; the same on every machine. */
static inline uint32_t tiny_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

#endif

/* Vocabularies from GGUF files: the published ones, and broken ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf/gguf.h"
#include "gguf_build.h"
#include "support/testing.h"
#include "text/tokenizer/vocab.h"

/* ---- the published vocabularies ------------------------------------------------------------------------------- */

/* One line of ids, as the .out files have them. */
static void show_ids(const struct qn_tokens *tokens, char *line, size_t size)
{
    size_t at = 0;
    line[0] = 0;
    for (size_t i = 0; i < tokens->count && at < size; i++)
        at += (size_t)snprintf(line + at, size - at, "%s%d", i ? " " : "", tokens->ids[i]);
}

static void trim(char **line)
{
    size_t size = strlen(*line);
    while (size && ((*line)[size - 1] == ' ' || (*line)[size - 1] == '\r'))
        (*line)[--size] = 0;
    while (**line == ' ')
        (*line)++;
}

/* Runs all texts of a vocabulary; returns how many differ. */
static uint32_t run_vocab(const char *name, bool lossless, uint32_t *texts)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    static const struct qn_encode_options bare = {.struct_size = sizeof bare, .bare = true};
    char path[256];
    size_t size;
    struct qn_gguf *gguf;
    struct qn_tokenizer *t;
    uint32_t wrong = 0;
    snprintf(path, sizeof path, "text/vocab/ggml-vocab-%s.gguf", name);
    qn_assert_ok(qn_gguf_open(qn_test_conformance(path), NULL, &gguf));
    qn_assert_ok(qn_tokenizer_from_gguf(gguf, NULL, &t));
    qn_gguf_close(gguf); /* the tokenizer keeps nothing of it */
    snprintf(path, sizeof path, "text/vocab/ggml-vocab-%s.gguf.inp", name);
    char *input = qn_test_read_file(qn_test_conformance(path), &size);
    snprintf(path, sizeof path, "text/vocab/ggml-vocab-%s.gguf.out", name);
    char *output = qn_test_read_file(qn_test_conformance(path), &(size_t){0}), *line = output;
    for (char *text = input, *end; text < input + size && *line; text = end + strlen(separator), (*texts)++) {
        char shown[4096], *expected = line;
        struct qn_tokens tokens = {0};
        struct qn_text back = {0};
        end = strstr(text, separator);
        end = end ? end : input + size;
        line += strcspn(line, "\n");
        if (*line)
            *line++ = 0;
        trim(&expected);
        qn_assert_ok(qn_tokenizer_encode(t, text, (size_t)(end - text), &bare, &tokens));
        show_ids(&tokens, shown, sizeof shown);
        qn_assert_ok(qn_tokenizer_decode(t, tokens.ids, tokens.count, NULL, &back));
        bool same = back.size == (size_t)(end - text) && memcmp(back.data, text, back.size) == 0;
        if (strcmp(shown, expected) != 0 || (lossless && !same)) {
            print_error("%s, text %u '%.*s':\n  got      %s\n  expected %s\n", name, *texts, (int)(end - text), text,
                        shown, expected);
            wrong++;
        }
        qn_tokens_free(&tokens);
        qn_text_free(&back);
    }
    assert_int_equal(*line, 0); /* a line for each text */
    free(input);
    free(output);
    qn_tokenizer_free(t);
    return wrong;
}

static void published_vocabularies(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-spm", "phi-3", "gpt-2", "falcon", "deepseek-coder", "bert-bge"};
    uint32_t texts = 0, wrong = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        wrong += run_vocab(names[i], strcmp(names[i], "bert-bge") != 0, &texts);
    print_message("vocab: %zu vocabularies, %u texts, %u differ, 0 skipped\n", sizeof names / sizeof names[0], texts,
                  wrong);
    assert_int_equal(wrong, 0);
    assert_true(texts >= 270);
}

static struct qn_tokenizer *open_vocab(const char *name)
{
    char path[256];
    struct qn_gguf *gguf;
    struct qn_tokenizer *t;
    snprintf(path, sizeof path, "text/vocab/ggml-vocab-%s.gguf", name);
    qn_assert_ok(qn_gguf_open(qn_test_conformance(path), NULL, &gguf));
    qn_assert_ok(qn_tokenizer_from_gguf(gguf, NULL, &t));
    qn_gguf_close(gguf);
    return t;
}

static void assert_ids(const struct qn_tokenizer *t, const char *text, bool parse_special, const char *expected)
{
    const struct qn_encode_options options = {.struct_size = sizeof options, .parse_special = parse_special};
    struct qn_tokens tokens = {0};
    char shown[256];
    qn_assert_ok(qn_tokenizer_encode(t, text, strlen(text), &options, &tokens));
    show_ids(&tokens, shown, sizeof shown);
    assert_string_equal(shown, expected);
    qn_tokens_free(&tokens);
}

/* What llama.cpp gives for the same texts with add_special. */
static void special_tokens_of_published_vocabularies(void **state)
{
    (void)state;
    struct qn_tokenizer *t = open_vocab("llama-spm");
    assert_ids(t, "Hello", false, "1 15043");
    assert_ids(t, "<s>Hello</s>", true, "1 1 15043 2");
    assert_ids(t, "", false, "1");
    assert_true(qn_tokenizer_adds(t, QN_TOKEN_BOS) && !qn_tokenizer_adds(t, QN_TOKEN_EOS));
    qn_tokenizer_free(t);
    t = open_vocab("phi-3");
    assert_ids(t, "<|user|> \n Hi<|end|>\n<|assistant|>", true, "1 32010 6324 32007 32001");
    assert_true(qn_tokenizer_is_eog(t, 32000) && qn_tokenizer_is_eog(t, 32007));
    assert_int_equal(qn_tokenizer_role(t, QN_TOKEN_EOS), 32000);
    qn_tokenizer_free(t);
    t = open_vocab("bert-bge");
    assert_ids(t, "Hello", false, "101 7592 102");
    assert_ids(t, "[MASK] hello", true, "101 103 7592 102");
    qn_tokenizer_free(t);
    t = open_vocab("gpt-2");
    assert_ids(t, "Hello", false, "15496");
    assert_ids(t, "a<|endoftext|>b", true, "64 50256 65");
    qn_tokenizer_free(t);
}

/* ---- broken files --------------------------------------------------------------------------------------------- */

struct file {
    struct gguf_bytes bytes;
    uint64_t kvs;
};

static void begin(struct file *f)
{
    f->bytes.size = 0;
    f->kvs = 0;
    put_header(&f->bytes, 3, 0, 0);
}

static void add_text(struct file *f, const char *key, const char *value)
{
    put_key(&f->bytes, key, QN_GGUF_STRING);
    put_text(&f->bytes, value);
    f->kvs++;
}

static void add_u32(struct file *f, const char *key, uint32_t value)
{
    put_kv_u32(&f->bytes, key, value);
    f->kvs++;
}

/* Texts separated by '|'. */
static void add_texts(struct file *f, const char *key, const char *values)
{
    uint64_t count = 1;
    for (const char *at = values; *at; at++)
        count += *at == '|';
    put_key(&f->bytes, key, QN_GGUF_ARRAY);
    put_array(&f->bytes, QN_GGUF_STRING, count);
    for (uint64_t i = 0; i < count; i++) {
        size_t size = strcspn(values, "|");
        put_u64(&f->bytes, size);
        put_bytes(&f->bytes, values, size);
        values += size + 1;
    }
    f->kvs++;
}

static void add_numbers(struct file *f, const char *key, uint32_t type, const uint32_t *values, uint64_t count)
{
    put_key(&f->bytes, key, QN_GGUF_ARRAY);
    put_array(&f->bytes, type, count);
    for (uint64_t i = 0; i < count; i++)
        put_u32(&f->bytes, values[i]);
    f->kvs++;
}

static qn_status build(struct file *f, struct qn_tokenizer **t)
{
    void *copy;
    struct qn_gguf *gguf;
    memcpy(f->bytes.data + 16, &f->kvs, 8);
    qn_assert_ok(open_bytes(f->bytes.data, f->bytes.size, NULL, &copy, &gguf));
    *t = NULL;
    qn_status status = qn_tokenizer_from_gguf(gguf, NULL, t);
    qn_gguf_close(gguf);
    free(copy);
    return status;
}

static void assert_broken(struct file *f, enum qn_code code, const char *words)
{
    struct qn_tokenizer *t;
    qn_status status = build(f, &t);
    if (!status)
        fail_msg("accepted; expected '%s'", words);
    assert_non_null(strstr(qn_status_message(status), "hostile.gguf")); /* the file is named */
    qn_assert_fails(status, code, words);
}

static const uint32_t types[] = {1, 1, 1}, floats[] = {0, 0, 0};

/* A small file that works, with one key after another spoiled by the callers. */
static void begin_bpe(struct file *f)
{
    begin(f);
    add_text(f, "tokenizer.ggml.model", "gpt2");
}

static void bpe_files(void **state)
{
    (void)state;
    static struct file f;
    begin_bpe(&f);
    add_text(&f, "tokenizer.ggml.pre", "gpt-2");
    add_texts(&f, "tokenizer.ggml.tokens", "a|b|ab");
    add_texts(&f, "tokenizer.ggml.merges", "a b");
    struct qn_tokenizer *t;
    qn_assert_ok(build(&f, &t));
    assert_int_equal(qn_tokenizer_count(t), 3);
    assert_int_equal(qn_tokenizer_role(t, QN_TOKEN_EOS), QN_TOKEN_NONE);
    qn_tokenizer_free(t);

    begin_bpe(&f);
    add_text(&f, "tokenizer.ggml.pre", "surprise");
    add_texts(&f, "tokenizer.ggml.tokens", "a");
    add_texts(&f, "tokenizer.ggml.merges", "a b");
    assert_broken(&f, QN_UNSUPPORTED, "'tokenizer.ggml.pre' is 'surprise'");

    begin_bpe(&f);
    add_texts(&f, "tokenizer.ggml.tokens", "a|b");
    assert_broken(&f, QN_INVALID_FILE, "'tokenizer.ggml.merges' is missing");

    static const struct {
        const char *merges, *words;
    } merges[] = {{"ab", "merge 0 is 'ab'"},     {"a ", "merge 0 is 'a '"},
                  {"", "merge 0 is ''"},         {" b", "merge 0 is ' b'"},
                  {"a b|a", "merge 1 is 'a'"},   {"b b", "'bb', which 'tokenizer.ggml.tokens'"},
                  {"x b", "needs the token 'x'"}};
    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        begin_bpe(&f);
        add_texts(&f, "tokenizer.ggml.tokens", "a|b|ab");
        add_texts(&f, "tokenizer.ggml.merges", merges[i].merges);
        assert_broken(&f, QN_INVALID_FILE, merges[i].words);
    }

    begin_bpe(&f);
    add_texts(&f, "tokenizer.ggml.tokens", "a");
    add_numbers(&f, "tokenizer.ggml.merges", QN_GGUF_U32, types, 3);
    assert_broken(&f, QN_INVALID_FILE, "'tokenizer.ggml.merges' is not an array of strings");
}

static void array_files(void **state)
{
    (void)state;
    static struct file f;
    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "llama");
    assert_broken(&f, QN_INVALID_FILE, "'tokenizer.ggml.tokens' is missing");

    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "llama");
    add_text(&f, "tokenizer.ggml.tokens", "a");
    assert_broken(&f, QN_INVALID_FILE, "'tokenizer.ggml.tokens' is not an array of strings");

    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "llama");
    put_key(&f.bytes, "tokenizer.ggml.tokens", QN_GGUF_ARRAY);
    put_array(&f.bytes, QN_GGUF_STRING, 0);
    f.kvs++;
    add_numbers(&f, "tokenizer.ggml.scores", QN_GGUF_F32, floats, 3);
    assert_broken(&f, QN_INVALID_FILE, "'tokenizer.ggml.tokens' is empty");

    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "llama");
    add_texts(&f, "tokenizer.ggml.tokens", "a|b|c");
    assert_broken(&f, QN_INVALID_FILE, "'tokenizer.ggml.scores' is missing");
    add_numbers(&f, "tokenizer.ggml.scores", QN_GGUF_F32, floats, 2);
    assert_broken(&f, QN_INVALID_FILE, "'tokenizer.ggml.scores' has 2 elements for the 3");

    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "llama");
    add_texts(&f, "tokenizer.ggml.tokens", "a|b|c");
    add_numbers(&f, "tokenizer.ggml.scores", QN_GGUF_F32, floats, 3);
    add_numbers(&f, "tokenizer.ggml.token_type", QN_GGUF_I32, types, 1);
    assert_broken(&f, QN_INVALID_FILE, "'tokenizer.ggml.token_type' has 1 elements");

    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "llama");
    add_texts(&f, "tokenizer.ggml.tokens", "a|b|c");
    add_numbers(&f, "tokenizer.ggml.scores", QN_GGUF_F32, floats, 3);
    add_numbers(&f, "tokenizer.ggml.token_type", QN_GGUF_I32, (const uint32_t[]){1, 77, 1}, 3);
    assert_broken(&f, QN_INVALID_FILE, "token 1 has type 77");
}

static void key_files(void **state)
{
    (void)state;
    static struct file f;
    static const char *const keys[] = {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.fim_pad_token_id"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        begin(&f);
        add_text(&f, "tokenizer.ggml.model", "llama");
        add_texts(&f, "tokenizer.ggml.tokens", "a|b|c");
        add_numbers(&f, "tokenizer.ggml.scores", QN_GGUF_F32, floats, 3);
        add_u32(&f, keys[i], 3);
        assert_broken(&f, QN_INVALID_FILE, keys[i]);
    }
    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "rwkv");
    assert_broken(&f, QN_UNSUPPORTED, "'tokenizer.ggml.model' is 'rwkv'");
    begin(&f);
    add_u32(&f, "tokenizer.ggml.model", 1);
    assert_broken(&f, QN_INVALID_FILE, "tokenizer.ggml.model");

    struct qn_tokenizer *t;
    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "no_vocab");
    qn_assert_ok(build(&f, &t));
    assert_int_equal(qn_tokenizer_kind(t), QN_TOKENIZER_NONE);
    qn_tokenizer_free(t);
    begin(&f);
    add_text(&f, "general.name", "no tokenizer keys at all");
    qn_assert_ok(build(&f, &t));
    assert_int_equal(qn_tokenizer_kind(t), QN_TOKENIZER_NONE);
    qn_tokenizer_free(t);
}

static qn_status read_small(const struct qn_allocator *allocator, void *context)
{
    struct qn_tokenizer *t = NULL;
    qn_status status = qn_tokenizer_from_gguf(context, allocator, &t);
    qn_tokenizer_free(t);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static struct file f;
    void *copy;
    struct qn_gguf *gguf;
    begin(&f);
    add_text(&f, "tokenizer.ggml.model", "llama");
    add_texts(&f, "tokenizer.ggml.tokens", "a|b|</s>");
    add_numbers(&f, "tokenizer.ggml.scores", QN_GGUF_F32, floats, 3);
    add_numbers(&f, "tokenizer.ggml.token_type", QN_GGUF_I32, types, 3);
    memcpy(f.bytes.data + 16, &f.kvs, 8);
    qn_assert_ok(open_bytes(f.bytes.data, f.bytes.size, NULL, &copy, &gguf));
    assert_true(qn_test_every_allocation(read_small, gguf) > 4);
    qn_gguf_close(gguf);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bpe_files),
        cmocka_unit_test(array_files),
        cmocka_unit_test(key_files),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(published_vocabularies),
        cmocka_unit_test(special_tokens_of_published_vocabularies),
    };
    return cmocka_run_group_tests_name("vocab_gguf", tests, NULL, NULL);
}

/* Tokenizers of the four kinds that GGUF has: into a GGUF file and back into a folder, the same ids all the way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/gguf_vocab.h"
#include "quern/model.h"
#include "quern/tokenizer.h"
#include "support/testing.h"

enum { ROWS = 512 }; /* of the embedding: more than any of them has tokens */

static const char *const kinds[] = {"bpe", "wordpiece", "unigram", "sentencepiece"};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const char *const texts[] = {
    "",
    "the old quern",
    "The OLD quern's grain,  12345 and  2024 ",
    "and\t 2024\n\n ",
    " who'll turn it? caf\xc3\xa9 na\xc3\xafve \xd0\xb3\xd0\xbe\xd1\x80\xd0\xbe\xd0\xb4",
    "a<think>b <|end|> <tool>the",
    "[CLS] a [MASK] [x]",
    "<s>a meal</s>",
    "\xf0\x9f\xa6\x99 \xe6\x9d\xb1",
};

static const char *folder_of(const char *kind)
{
    static char path[700];
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/text/back/%s/", kind);
    return path;
}

static struct qn_model *make_gguf(const char *folder)
{
    const char *path = qn_test_temp("vocabulary.gguf");
    struct qn_gguf_writer *writer;
    struct qn_gguf_value arch = {.type = QN_GGUF_STRING, .count = 1, .as.str = QN_STR("llama")};
    struct qn_model *model = NULL;
    bool found = false;
    qn_assert_ok(qn_gguf_writer_create(path, NULL, &writer));
    qn_assert_ok(qn_gguf_writer_set(writer, QN_STR("general.architecture"), &arch));
    qn_assert_ok(qn_gguf_vocab_write(folder, ROWS, qn_allocator_default(), writer, &found));
    assert_true(found);
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    qn_assert_ok(qn_gguf_writer_commit(writer));
    qn_assert_ok(qn_model_open(path, NULL, &model));
    return model;
}

static void same_ids(const char *kind, const char *where, const struct qn_tokenizer *a, const struct qn_tokenizer *b)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct qn_tokens x = {0}, y = {0};
        /* Of Unigram GGUF says neither what white space is, without a table, nor what follows a special token. */
        if (strcmp(kind, "unigram") == 0 && strcmp(where, "the file") == 0 && strpbrk(texts[i], "\n<"))
            continue;
        qn_assert_ok(qn_tokenizer_encode(a, texts[i], strlen(texts[i]), NULL, &x));
        qn_assert_ok(qn_tokenizer_encode(b, texts[i], strlen(texts[i]), NULL, &y));
        if (x.count != y.count || (x.count && memcmp(x.ids, y.ids, x.count * sizeof *x.ids) != 0))
            fail_msg("%s, %s: '%s' has other ids", kind, where, texts[i]);
        qn_tokens_free(&x);
        qn_tokens_free(&y);
    }
}

static void test_round_trip(void **state)
{
    const char *kind = *state, *folder = folder_of(kind), *back = qn_test_temp("back");
    struct qn_model *model = make_gguf(folder);
    struct qn_tokenizer *first = NULL, *file = NULL, *second = NULL;
    bool found = false;
    mkdir(back, 0777);
    qn_assert_ok(qn_vocab_back_write(model, back, qn_allocator_default(), &found));
    assert_true(found);
    qn_assert_ok(qn_tokenizer_open(folder, NULL, &first));
    qn_assert_ok(qn_tokenizer_create(model, NULL, &file));
    qn_assert_ok(qn_tokenizer_open(back, NULL, &second));
    same_ids(kind, "the file", first, file);
    same_ids(kind, "the folder", first, second);
    char path[700];
    size_t size;
    snprintf(path, sizeof path, "%s/tokenizer_config.json", back);
    char *config = qn_test_read_file(path, &size);
    assert_true((strcmp(kind, "bpe") == 0) == (strstr(config, "{{ 'x' }}") != NULL));
    free(config);
    qn_tokenizer_free(first);
    qn_tokenizer_free(file);
    qn_tokenizer_free(second);
    qn_model_close(model);
}

/* A folder with files older than tokenizer.json. */
static void test_older_files(void **state)
{
    (void)state;
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nquern\n##s\n.\n";
    const char *folder = qn_test_temp("older");
    struct qn_tokenizer *first = NULL, *file = NULL;
    char path[700];
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    qn_test_write_file(path, vocab, sizeof vocab - 1);
    snprintf(path, sizeof path, "%s/", folder);
    struct qn_model *model = make_gguf(path);
    qn_assert_ok(qn_tokenizer_open(folder, NULL, &first));
    qn_assert_ok(qn_tokenizer_create(model, NULL, &file));
    same_ids("wordpiece", "the file", first, file);
    static const enum qn_token_role roles[] = {QN_TOKEN_BOS, QN_TOKEN_UNK, QN_TOKEN_SEP, QN_TOKEN_PAD, QN_TOKEN_MASK};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        assert_int_equal(qn_tokenizer_role(file, roles[i]), qn_tokenizer_role(first, roles[i]));
    qn_tokenizer_free(first);
    qn_tokenizer_free(file);
    qn_model_close(model);
}

struct writing {
    struct qn_model *model;
    const char *folder;
};

static qn_status write_back(const struct qn_allocator *allocator, void *context)
{
    const struct writing *w = context;
    bool found;
    return qn_vocab_back_write(w->model, w->folder, allocator, &found);
}

static void test_every_allocation(void **state)
{
    (void)state;
    struct writing w = {make_gguf(folder_of("unigram")), qn_test_temp("back")};
    mkdir(w.folder, 0777);
    assert_true(qn_test_every_allocation(write_back, &w) > 3);
    qn_model_close(w.model);
}

int main(void)
{
    struct CMUnitTest tests[KINDS + 2];
    for (size_t i = 0; i < KINDS; i++)
        tests[i] = (struct CMUnitTest){kinds[i], test_round_trip, NULL, NULL, (void *)(uintptr_t)kinds[i]};
    tests[KINDS] = (struct CMUnitTest)cmocka_unit_test(test_every_allocation);
    tests[KINDS + 1] = (struct CMUnitTest)cmocka_unit_test(test_older_files);
    return cmocka_run_group_tests_name("tokenizers from GGUF", tests, NULL, NULL);
}

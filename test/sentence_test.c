/* A small sentence-transformers folder against what that package computes (tools/reference/make_sentence_model.py):
 * pooling, dense layer, normalisation, prompts; folders whose files contradict each other; lack of memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "quern/encoder.h"
#include "quern/model.h"
#include "quern/tokenizer.h"
#include "support/testing.h"

enum { TEXTS = 6 };

static const char *const texts[TEXTS] = {
    "a quern grinds any grain",
    "Stone on stone.",
    "",
    "x",
    "the mill the mill the mill",
    "a text that is longer than the model takes and so is cut at twenty tokens",
};

struct fixture {
    struct qn_model *model;
    struct qn_tokenizer *tokenizer;
    struct qn_encoder *encoder;
    struct qn_encoder_string strings[TEXTS];
};

static void open_all(struct fixture *f)
{
    const char *path = qn_test_source("test/data/encoders/sentence");
    *f = (struct fixture){0};
    qn_assert_ok(qn_model_open(path, NULL, &f->model));
    qn_assert_ok(qn_encoder_create(f->model, NULL, &f->encoder));
    qn_assert_ok(qn_tokenizer_open(path, NULL, &f->tokenizer));
    for (size_t i = 0; i < TEXTS; i++)
        f->strings[i] = (struct qn_encoder_string){.text = texts[i], .size = strlen(texts[i])};
}

static void close_all(struct fixture *f)
{
    qn_encoder_destroy(f->encoder);
    qn_tokenizer_free(f->tokenizer);
    qn_model_close(f->model);
}

static void compare(const float *found, const float *expected, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(found[i] - expected[i]) <= 2e-5f))
            fail_msg("%s: element %zu is %.8g; expected %.8g", what, i, (double)found[i], (double)expected[i]);
}

static void check(struct fixture *f, const char *file, const char *prompt, size_t skip,
                  const struct qn_embed_options *options)
{
    char path[200];
    struct qn_test_npy expected;
    snprintf(path, sizeof path, "test/data/encoders/sentence/%s", file);
    qn_test_npy_read(qn_test_source(path), &expected);
    uint32_t size = qn_encoder_embedding_size(f->encoder, options);
    assert_int_equal(expected.dims[expected.rank - 1], size);
    float *found = calloc(TEXTS * size, sizeof *found);
    qn_assert_ok(qn_encoder_embed_texts(f->encoder, f->tokenizer, f->strings, TEXTS, prompt, options, found));
    compare(found, (const float *)expected.data + skip * TEXTS * size, TEXTS * size, file);
    free(found);
    qn_test_npy_free(&expected);
}

static void test_embeddings(void **state)
{
    (void)state;
    struct fixture f;
    open_all(&f);
    struct qn_encoder_info info = {.struct_size = sizeof info};
    qn_encoder_get_info(f.encoder, &info);
    assert_int_equal(info.task, QN_ENCODER_EMBED);
    assert_int_equal(info.embedding, 8);
    assert_int_equal(info.max_tokens, 20);
    assert_int_equal(info.pooling, QN_POOLING_CLS | QN_POOLING_MEAN);
    assert_true(info.normalizes);
    assert_null(qn_encoder_prompt(f.encoder, NULL));
    assert_null(qn_encoder_prompt(f.encoder, "none"));
    assert_string_equal(qn_encoder_prompt(f.encoder, "query"), "query: ");
    check(&f, "embeddings.npy", NULL, 0, NULL);
    check(&f, "query.npy", qn_encoder_prompt(f.encoder, "query"), 0, NULL);
    close_all(&f);
}

static void test_poolings(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {QN_POOLING_CLS,           QN_POOLING_MAX,           QN_POOLING_MEAN,
                                     QN_POOLING_MEAN_SQRT_LEN, QN_POOLING_WEIGHTED_MEAN, QN_POOLING_LAST};
    struct fixture f;
    open_all(&f);
    for (size_t i = 0; i < 6; i++) {
        struct qn_embed_options options = {
            .struct_size = sizeof options, .pooling = kinds[i], .normalize = QN_CHOICE_NO};
        check(&f, "poolings.npy", NULL, i, &options);
    }
    close_all(&f);
}

/* Fewer dimensions: the first ones, normalised afterwards. */
static void test_dims(void **state)
{
    (void)state;
    struct fixture f;
    open_all(&f);
    struct qn_embed_options whole = {.struct_size = sizeof whole, .normalize = QN_CHOICE_NO};
    struct qn_embed_options cut = {.struct_size = sizeof cut, .dims = 3};
    float a[8], b[3];
    assert_int_equal(qn_encoder_embedding_size(f.encoder, &cut), 3);
    qn_assert_ok(qn_encoder_embed_texts(f.encoder, f.tokenizer, f.strings, 1, NULL, &whole, a));
    qn_assert_ok(qn_encoder_embed_texts(f.encoder, f.tokenizer, f.strings, 1, NULL, &cut, b));
    float length = sqrtf(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]);
    for (size_t i = 0; i < 3; i++)
        assert_true(fabsf(b[i] - a[i] / length) <= 1e-6f);
    struct qn_embed_options bad = {.struct_size = sizeof bad, .pooling = 1 << 9};
    qn_assert_fails(qn_encoder_embed_texts(f.encoder, f.tokenizer, f.strings, 1, NULL, &bad, b), QN_INVALID_ARGUMENT,
                    "pooling");
    close_all(&f);
}

static void test_bad_texts(void **state)
{
    (void)state;
    struct fixture f;
    open_all(&f);
    int32_t ids[30] = {2, 3}, types[2] = {0, 2};
    float out[64];
    struct qn_encoder_text text = {.tokens = ids, .count = 0};
    qn_assert_fails(qn_encoder_embed(f.encoder, &text, 1, NULL, out), QN_OUT_OF_RANGE, "takes 1 to 24");
    text.count = 25;
    qn_assert_fails(qn_encoder_embed(f.encoder, &text, 1, NULL, out), QN_OUT_OF_RANGE, "takes 1 to 24");
    text.count = 2;
    text.types = types;
    qn_assert_fails(qn_encoder_embed(f.encoder, &text, 1, NULL, out), QN_INVALID_ARGUMENT, "type of token 1");
    text.types = NULL;
    ids[1] = 62;
    qn_assert_fails(qn_encoder_embed(f.encoder, &text, 1, NULL, out), QN_INVALID_ARGUMENT, "token 1 is 62");
    ids[1] = 3;
    qn_assert_fails(qn_encoder_logits(f.encoder, &text, 1, out), QN_UNSUPPORTED, "no head");
    qn_encoder_cancel(f.encoder);
    qn_assert_fails(qn_encoder_embed(f.encoder, &text, 1, NULL, out), QN_CANCELLED, NULL);
    qn_assert_ok(qn_encoder_embed(f.encoder, &text, 1, NULL, out));
    qn_assert_ok(qn_encoder_embed(f.encoder, &text, 0, NULL, out));
    close_all(&f);
}

/* ---- folders that contradict themselves ----------------------------------------------------------------------- */

static const char *const copied[] = {
    "config.json",           "model.safetensors",         "modules.json",
    "1_Pooling/config.json", "2_Dense/config.json",       "2_Dense/model.safetensors",
    "tokenizer_config.json", "sentence_bert_config.json", "config_sentence_transformers.json",
};

/* A copy of the folder, with one file's text changed (from NULL: the whole of it; to NULL: the file left out). */
static const char *make_copy(const char *file, const char *from, const char *to)
{
    static int number;
    char name[64], path[700];
    snprintf(name, sizeof name, "folder%d", number++);
    const char *folder = qn_test_temp(name);
    mkdir(folder, 0777);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i ? "1_Pooling" : "2_Dense");
        mkdir(path, 0777);
    }
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        size_t size;
        snprintf(path, sizeof path, "test/data/encoders/sentence/%s", copied[i]);
        char *text = qn_test_read_file(qn_test_source(path), &size);
        snprintf(path, sizeof path, "%s/%s", folder, copied[i]);
        bool changed = strcmp(copied[i], file) == 0;
        if (!changed) {
            qn_test_write_file(path, text, size);
        } else if (to && !from) {
            qn_test_write_file(path, to, strlen(to));
        } else if (to) {
            char *at = strstr(text, from), *next = calloc(size + strlen(to) + 1, 1);
            assert_non_null(at);
            snprintf(next, size + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
            qn_test_write_file(path, next, strlen(next));
            free(next);
        }
        free(text);
    }
    return folder;
}

static void test_bad_folders(void **state)
{
    (void)state;
    static const struct {
        const char *file, *from, *to;
        enum qn_code code;
        const char *words;
    } cases[] = {
        {"modules.json", NULL, "{}", QN_INVALID_FILE, "a list of at most 16"},
        {"modules.json", NULL, "[{]", QN_INVALID_FILE, "modules.json"},
        {"modules.json", NULL, "[{\"type\": \"a.Pooling\"}]", QN_INVALID_FILE, "path"},
        {"modules.json", "dense.Dense", "cnn.CNN", QN_UNSUPPORTED, "cnn.CNN"},
        {"modules.json", "1_Pooling", "../encoders", QN_NOT_FOUND, NULL},
        {"modules.json", "pooling.Pooling", "normalize.Normalize", QN_UNSUPPORTED, "behind Normalize"},
        {"1_Pooling/config.json", NULL, NULL, QN_NOT_FOUND, "1_Pooling/config.json"},
        {"1_Pooling/config.json", "\"mean\"", "\"median\"", QN_INVALID_FILE, "pooling_mode"},
        {"1_Pooling/config.json", "\"mean\"", "3", QN_INVALID_FILE, "pooling_mode"},
        {"1_Pooling/config.json", "\"mean\"", "\"cls\"", QN_UNSUPPORTED, "order"},
        {"1_Pooling/config.json", "false", "\"no\"", QN_INVALID_FILE, "include_prompt"},
        {"2_Dense/config.json", "32", "31", QN_INVALID_FILE, "what comes before it gives 32"},
        {"2_Dense/config.json", ": 8", ": 9", QN_INVALID_FILE, "linear.weight"},
        {"2_Dense/config.json", ": 8", ": -1", QN_INVALID_FILE, "out_features"},
        {"2_Dense/config.json", "Tanh", "Swirl", QN_UNSUPPORTED, "Swirl"},
        {"2_Dense/config.json", NULL, NULL, QN_INVALID_FILE, "0 to 0"},
        {"2_Dense/model.safetensors", NULL, NULL, QN_NOT_FOUND, "neither model.safetensors"},
        {"config_sentence_transformers.json", "\"the \"", "7", QN_INVALID_FILE, "prompts"},
        {"config_sentence_transformers.json", NULL, "{\"prompts\": 1}", QN_INVALID_FILE, "prompts"},
        {"sentence_bert_config.json", NULL, "{\"max_seq_length\": \"long\"}", QN_INVALID_FILE, "max_seq_length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qn_model *model = NULL;
        struct qn_encoder *encoder = NULL;
        const char *folder = make_copy(cases[i].file, cases[i].from, cases[i].to);
        qn_assert_ok(qn_model_open(folder, NULL, &model));
        qn_assert_fails(qn_encoder_create(model, NULL, &encoder), cases[i].code, cases[i].words);
        assert_null(encoder);
        qn_model_close(model);
    }
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static qn_status create_and_run(const struct qn_allocator *allocator, void *context)
{
    struct qn_model *model = context;
    struct qn_encoder *encoder;
    struct qn_encoder_options options = {.struct_size = sizeof options, .allocator = allocator, .threads = 1};
    int32_t ids[5] = {2, 9, 8, 7, 3};
    float out[8];
    struct qn_encoder_text text = {.tokens = ids, .count = 5};
    qn_status status = qn_encoder_create(model, &options, &encoder);
    if (status)
        return status;
    status = qn_encoder_embed(encoder, &text, 1, NULL, out);
    qn_encoder_destroy(encoder);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    struct qn_model *model;
    qn_assert_ok(qn_model_open(qn_test_source("test/data/encoders/sentence"), NULL, &model));
    assert_true(qn_test_every_allocation(create_and_run, model) > 20);
    qn_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embeddings), cmocka_unit_test(test_poolings),    cmocka_unit_test(test_dims),
        cmocka_unit_test(test_bad_texts),  cmocka_unit_test(test_bad_folders), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("sentence embeddings", tests, NULL, NULL);
}

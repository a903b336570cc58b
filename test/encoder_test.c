/* Small random encoders against what PyTorch computes for them (made by tools/reference/make_encoders.py), and the
 * invariances that every one must keep: the same bits whatever runs beside a text, with any number of threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/encoder.h"
#include "quern/model.h"
#include "support/models.h"

enum { TEXTS_MAX = 16 };

struct case_data {
    struct qn_model *model;
    struct qn_test_npy inputs, expected;
    int32_t *tokens, *types;
    struct qn_encoder_text texts[TEXTS_MAX];
    size_t text_count, rows, columns;
};

static void load(struct case_data *c, const char *name, const char *file)
{
    char path[600];
    *c = (struct case_data){0};
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/encoders/%s%s%s", name, *file ? "/" : "", file);
    qn_assert_ok(qn_model_open(path, NULL, &c->model));
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/encoders/%s/inputs.npy", name);
    qn_test_npy_read(path, &c->inputs);
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/encoders/%s/expected.npy", name);
    qn_test_npy_read(path, &c->expected);
    c->rows = c->expected.dims[0];
    c->columns = c->expected.dims[1];
    size_t count = c->inputs.dims[0];
    const int32_t *rows = c->inputs.data; /* text, type, token */
    c->tokens = calloc(count, sizeof *c->tokens);
    c->types = calloc(count, sizeof *c->types);
    for (size_t i = 0; i < count; i++) {
        size_t text = (size_t)rows[3 * i];
        assert_true(text < TEXTS_MAX);
        c->types[i] = rows[3 * i + 1];
        c->tokens[i] = rows[3 * i + 2];
        if (c->texts[text].count++ == 0) {
            c->texts[text].tokens = c->tokens + i;
            c->texts[text].types = c->types + i;
        }
        c->text_count = text + 1;
    }
}

static void unload(struct case_data *c)
{
    qn_test_npy_free(&c->inputs);
    qn_test_npy_free(&c->expected);
    free(c->tokens);
    free(c->types);
    qn_model_close(c->model);
}

static void compute(const struct case_data *c, struct qn_encoder *encoder, size_t first, size_t count, float *out)
{
    struct qn_encoder_info info = {.struct_size = sizeof info};
    qn_encoder_get_info(encoder, &info);
    if (info.task == QN_ENCODER_EMBED)
        qn_assert_ok(qn_encoder_hidden(encoder, c->texts + first, count, out));
    else
        qn_assert_ok(qn_encoder_logits(encoder, c->texts + first, count, out));
}

/* The results of all texts, `group` of them a call. */
static float *evaluate(const struct case_data *c, struct qn_encoder_options options, size_t group)
{
    struct qn_encoder *encoder = NULL;
    struct qn_encoder_info info = {.struct_size = sizeof info};
    options.struct_size = sizeof options;
    qn_assert_ok(qn_encoder_create(c->model, &options, &encoder));
    qn_encoder_get_info(encoder, &info);
    assert_int_equal(info.task == QN_ENCODER_EMBED ? info.dim : info.labels, c->columns);
    float *out = calloc(c->rows * c->columns, sizeof *out), *at = out;
    for (size_t first = 0; first < c->text_count; first += group) {
        size_t count = c->text_count - first < group ? c->text_count - first : group;
        compute(c, encoder, first, count, at);
        for (size_t i = first; i < first + count; i++)
            at += (info.task == QN_ENCODER_CLASSIFY ? 1 : c->texts[i].count) * c->columns;
    }
    assert_int_equal(at - out, c->rows * c->columns);
    qn_encoder_destroy(encoder);
    return out;
}

static void check(const char *name, const char *file)
{
    struct case_data c;
    load(&c, name, file);
    float *whole = evaluate(&c, (struct qn_encoder_options){.threads = 1}, c.text_count);
    double error = qn_test_error_over_range(whole, c.expected.data, c.rows * c.columns);
    print_message("%s %s: error / range %.2e\n", name, file, error);
    assert_true(error <= 1e-4);

    const struct {
        uint32_t threads, batch;
        size_t group;
    } splits[] = {{2, 0, c.text_count}, {1, 0, 1}, {2, 7, c.text_count}, {2, 30, 4}};
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        struct qn_encoder_options options = {.threads = splits[i].threads, .batch_tokens = splits[i].batch};
        float *other = evaluate(&c, options, splits[i].group);
        if (memcmp(whole, other, c.rows * c.columns * sizeof *whole) != 0)
            fail_msg("%s: other bits with threads %u, batches of %u tokens, %zu texts a call", name, splits[i].threads,
                     splits[i].batch, splits[i].group);
        free(other);
    }
    float *unfused = evaluate(&c, (struct qn_encoder_options){.threads = 2, .disabled_passes = "all"}, 3);
    assert_true(qn_test_error_over_range(unfused, c.expected.data, c.rows * c.columns) <= 1e-4);
    free(unfused);
    free(whole);
    unload(&c);
}

static void check_folder(void **state)
{
    check(*state, "");
}

static void check_gguf(void **state)
{
    check(*state, "model.gguf");
}

int main(void)
{
    static const char *const folders[] = {
        "bert",
        "bert_tanh",
        "bert_classify",
        "bert_tokens",
        "bert_answer",
        "bert_fill",
        "roberta",
        "roberta_classify",
        "roberta_fill",
        "xlm_roberta_rank",
        "xlm_roberta_tokens",
        "distilbert",
        "distilbert_classify",
        "distilbert_answer",
        "distilbert_fill",
        "nomic",
        "nomic_classify",
        "nomic_fill",
    };
    static const char *const gguf[] = {"bert", "bert_classify", "bert_fill", "roberta", "distilbert_classify", "nomic"};
    enum { FOLDERS = sizeof folders / sizeof folders[0], FILES = sizeof gguf / sizeof gguf[0] };
    struct CMUnitTest tests[FOLDERS + FILES];
    for (size_t i = 0; i < FOLDERS; i++)
        tests[i] = (struct CMUnitTest){folders[i], check_folder, NULL, NULL, (void *)(uintptr_t)folders[i]};
    for (size_t i = 0; i < FILES; i++)
        tests[FOLDERS + i] = (struct CMUnitTest){gguf[i], check_gguf, NULL, NULL, (void *)(uintptr_t)gguf[i]};
    return cmocka_run_group_tests_name("encoders against PyTorch", tests, NULL, NULL);
}

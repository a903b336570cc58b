/* Two small trained models against the logits of llama2.c, an implementation that shares nothing with ours. Skipped
 * where the conformance data is absent. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/llm.h"
#include "quern/model.h"
#include "quern/tokenizer.h"
#include "support/testing.h"

enum { MAX_TOKENS = 512 };

struct reference {
    const char *folder, *stem;
    uint32_t count, vocabulary;
    int32_t tokens[MAX_TOKENS];
    float *logits; /* count x vocabulary */
};

static const char *data_path(const char *folder, const char *name)
{
    char relative[160];
    snprintf(relative, sizeof relative, "llm/%s/%s", folder, name);
    return qn_test_conformance(relative);
}

static void load(struct reference *r, const char *folder, const char *stem, uint32_t count, uint32_t vocabulary)
{
    char name[64];
    *r = (struct reference){.folder = folder, .stem = stem, .count = count, .vocabulary = vocabulary};
    snprintf(name, sizeof name, "ref-greedy%u-tokens.txt", count);
    FILE *file = fopen(data_path(folder, name), "r");
    assert_non_null(file);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(fscanf(file, "%d", &r->tokens[i]), 1);
    fclose(file);
    snprintf(name, sizeof name, "ref-greedy%u-logits-f32.bin", count);
    file = fopen(data_path(folder, name), "rb");
    assert_non_null(file);
    r->logits = malloc((size_t)count * vocabulary * sizeof(float));
    assert_int_equal(fread(r->logits, sizeof(float), (size_t)count * vocabulary, file), (size_t)count * vocabulary);
    fclose(file);
}

/* Largest error of the logits over all tokens, prefilled in chunks of `chunk`, and the reference's range. */
static double run(const struct reference *r, const char *suffix, struct qn_llm_options options, double *range)
{
    char name[96];
    snprintf(name, sizeof name, "%s-%s.gguf", r->stem, suffix);
    struct qn_model *model = NULL;
    struct qn_llm *llm = NULL;
    qn_assert_ok(qn_model_open(data_path(r->folder, name), NULL, &model));
    options.struct_size = sizeof options;
    qn_assert_ok(qn_llm_create(model, &options, &llm));
    size_t total = (size_t)r->count * r->vocabulary;
    float *logits = malloc(total * sizeof *logits);
    qn_assert_ok(qn_llm_eval(llm, r->tokens, r->count, logits));
    double worst = 0, low = r->logits[0], high = r->logits[0];
    for (size_t i = 0; i < total; i++) {
        assert_true(isfinite(logits[i]));
        worst = fmax(worst, fabs((double)logits[i] - r->logits[i]));
        low = fmin(low, r->logits[i]);
        high = fmax(high, r->logits[i]);
    }
    *range = high - low;
    free(logits);
    qn_llm_destroy(llm);
    qn_model_close(model);
    return worst;
}

static void check_model(const char *folder, const char *stem, uint32_t count, uint32_t vocabulary)
{
    struct reference r;
    load(&r, folder, stem, count, vocabulary);
    const struct {
        const char *suffix, *passes;
        qn_dtype kv;
        uint32_t threads, chunk;
        bool of_range; /* the bound is a share of the logits' range */
    } cases[] = {
        {"f32", NULL, QN_DTYPE_F32, 1, 0, false}, {"f32", NULL, QN_DTYPE_F32, 2, 7, false},
        {"f32", NULL, QN_DTYPE_F32, 2, 1, false}, {"f32", "all", QN_DTYPE_F32, 2, 64, false},
        {"f32", NULL, QN_DTYPE_F16, 2, 0, true},  {"f16", NULL, QN_DTYPE_F16, 2, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double range, worst = run(&r, cases[i].suffix,
                                  (struct qn_llm_options){.kv_dtype = cases[i].kv,
                                                          .threads = cases[i].threads,
                                                          .chunk = cases[i].chunk,
                                                          .disabled_passes = cases[i].passes},
                                  &range);
        print_message("%s %s kv %s threads %u chunk %u passes off: %s: max abs error %.2e of range %.1f\n", stem,
                      cases[i].suffix, qn_dtype_name(cases[i].kv), cases[i].threads, cases[i].chunk,
                      cases[i].passes ? cases[i].passes : "none", worst, range);
        assert_true(worst <= (cases[i].of_range ? 1e-3 * range : 1e-3));
    }
    free(r.logits);
}

static void stories260k(void **state)
{
    (void)state;
    check_model("stories260K", "stories260K", 200, 512);
}

static void babyllama(void **state)
{
    (void)state;
    check_model("babyllama", "babyllama-tok105", 250, 105);
}

struct story {
    char text[4096];
    size_t size;
};

static bool collect(void *context, const char *text, size_t size)
{
    struct story *story = context;
    assert_true(story->size + size < sizeof story->text);
    memcpy(story->text + story->size, text, size);
    story->size += size;
    return true;
}

/* The greedy story that llama2.c's own test expects. */
static void greedy_story(void **state)
{
    (void)state;
    size_t expected_size;
    char *expected = qn_test_read_file(data_path("stories260K", "expected_story.txt"), &expected_size);
    struct qn_model *model = NULL;
    struct qn_llm *llm = NULL;
    struct qn_tokenizer *tokenizer = NULL;
    qn_assert_ok(qn_model_open(data_path("stories260K", "stories260K-f32.gguf"), NULL, &model));
    qn_assert_ok(qn_tokenizer_create(model, NULL, &tokenizer));
    qn_assert_ok(qn_llm_create(
        model, &(struct qn_llm_options){.struct_size = sizeof(struct qn_llm_options), .kv_dtype = QN_DTYPE_F32}, &llm));
    struct story story = {0};
    int32_t bos = qn_tokenizer_role(tokenizer, QN_TOKEN_BOS);
    struct qn_generate_options options = {
        .struct_size = sizeof options, .max_tokens = 300, .on_text = collect, .context = &story};
    qn_assert_ok(qn_llm_generate(llm, tokenizer, NULL, &bos, 1, &options, NULL));
    while (expected_size && expected[expected_size - 1] == '\n')
        expected_size--;
    size_t skip_space = story.size && story.text[0] == ' ';
    assert_true(story.size - skip_space >= expected_size);
    assert_memory_equal(story.text + skip_space, expected, expected_size);
    free(expected);
    qn_llm_destroy(llm);
    qn_tokenizer_free(tokenizer);
    qn_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories260k),
        cmocka_unit_test(babyllama),
        cmocka_unit_test(greedy_story),
    };
    return cmocka_run_group_tests_name("language model conformance", tests, NULL, NULL);
}

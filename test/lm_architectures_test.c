/* A small random model of each architecture against the logits that PyTorch computes for it (made by
 * tools/reference/make_models.py), and the invariances that every one must keep. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/llm.h"
#include "quern/model.h"
#include "support/testing.h"

struct case_data {
    struct qn_model *model;
    struct qn_test_npy tokens, logits;
    size_t count, vocabulary;
};

static void load(struct case_data *c, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/models/%s.gguf", name);
    qn_assert_ok(qn_model_open(path, NULL, &c->model));
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/models/%s.tokens.npy", name);
    qn_test_npy_read(path, &c->tokens);
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/models/%s.logits.npy", name);
    qn_test_npy_read(path, &c->logits);
    c->count = c->logits.dims[0];
    c->vocabulary = c->logits.dims[1];
    assert_int_equal(c->tokens.dims[0], c->count);
}

static void unload(struct case_data *c)
{
    qn_test_npy_free(&c->tokens);
    qn_test_npy_free(&c->logits);
    qn_model_close(c->model);
}

/* The logits of all tokens, evaluated in pieces of the given size. */
static float *evaluate(const struct case_data *c, struct qn_llm_options options, size_t piece)
{
    struct qn_llm *llm = NULL;
    options.struct_size = sizeof options;
    qn_assert_ok(qn_llm_create(c->model, &options, &llm));
    float *logits = malloc(c->count * c->vocabulary * sizeof *logits);
    const int32_t *tokens = c->tokens.data;
    for (size_t done = 0; done < c->count; done += piece) {
        size_t part = c->count - done < piece ? c->count - done : piece;
        qn_assert_ok(qn_llm_eval(llm, tokens + done, part, logits + done * c->vocabulary));
    }
    assert_int_equal(qn_llm_position(llm), c->count);
    qn_llm_destroy(llm);
    return logits;
}

static double error_over_range(const struct case_data *c, const float *logits)
{
    const float *expected = c->logits.data;
    double worst = 0, low = expected[0], high = expected[0];
    for (size_t i = 0; i < c->count * c->vocabulary; i++) {
        assert_true(isfinite(logits[i]));
        worst = fmax(worst, fabs((double)logits[i] - expected[i]));
        low = fmin(low, expected[i]);
        high = fmax(high, expected[i]);
    }
    return worst / (high - low);
}

static void check(void **state)
{
    const char *name = *state;
    struct case_data c;
    load(&c, name);
    struct qn_llm_options exact = {.kv_dtype = QN_DTYPE_F32, .threads = 1};
    float *whole = evaluate(&c, exact, c.count);
    double error = error_over_range(&c, whole);
    print_message("%s: error / range %.2e\n", name, error);
    assert_true(error <= 1e-4);

    size_t bytes = c.count * c.vocabulary * sizeof *whole;
    const struct {
        uint32_t threads, chunk;
        size_t piece;
    } splits[] = {{2, 0, c.count}, {1, 7, c.count}, {3, 1, c.count}, {1, 0, 1}, {2, 5, 13}};
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        struct qn_llm_options options = {
            .kv_dtype = QN_DTYPE_F32, .threads = splits[i].threads, .chunk = splits[i].chunk};
        float *other = evaluate(&c, options, splits[i].piece);
        if (memcmp(whole, other, bytes) != 0)
            fail_msg("%s: other bits with threads %u, chunk %u, pieces of %zu", name, splits[i].threads,
                     splits[i].chunk, splits[i].piece);
        free(other);
    }
    struct qn_llm_options plain = {.kv_dtype = QN_DTYPE_F32, .threads = 2, .disabled_passes = "all"};
    float *unfused = evaluate(&c, plain, 11);
    assert_true(error_over_range(&c, unfused) <= 1e-4);
    free(unfused);
    struct qn_llm_options f32 = {.kv_dtype = QN_DTYPE_F32, .threads = 2, .f32_activations = true};
    float *precise = evaluate(&c, f32, c.count);
    assert_true(error_over_range(&c, precise) <= 1e-4);
    free(precise);
    free(whole);
    unload(&c);
}

int main(void)
{
    const char *const names[] = {
        "llama",          "llama_tied_mha", "llama_mqa_bias", "llama_linear", "llama_yarn", "llama3",
        "mistral_window", "mixtral",        "qwen2",          "qwen2moe",     "qwen3",      "qwen3moe",
        "gemma",          "gemma2",         "gemma3",         "phi2",         "phi3",       "phi3_short",
        "gptj",           "gptneox",        "gptneox_serial", "gpt2"};
    struct CMUnitTest tests[sizeof names / sizeof names[0]];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        tests[i] = (struct CMUnitTest){names[i], check, NULL, NULL, (void *)(uintptr_t)names[i]};
    return cmocka_run_group_tests_name("architectures against PyTorch", tests, NULL, NULL);
}

/* A small random model of each architecture against the logits that PyTorch computes for it (made by
 * tools/reference/make_models.py), and the invariances that every one must keep. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quern/llm.h"
#include "quern/model.h"
#include "support/models.h"

struct case_data {
    struct qn_model *model;
    struct qn_test_npy tokens, logits;
    size_t count, vocabulary;
};

/* The model at `source`, a file or a folder, with what PyTorch computed for case `name`. */
static void load(struct case_data *c, const char *source, const char *name)
{
    char path[600];
    qn_assert_ok(qn_model_open(source, NULL, &c->model));
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
    return qn_test_error_over_range(logits, c->logits.data, c->count * c->vocabulary);
}

static void check(void **state)
{
    const char *name = *state;
    char path[600];
    struct case_data c;
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/models/%s.gguf", name);
    load(&c, path, name);
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

/* Writes a folder with the weights of a case and its older configuration. */
static const char *older_folder(const char *name)
{
    char from[600], to[700];
    const char *folder = qn_test_temp(name);
    assert_int_equal(mkdir(folder, 0700), 0);
    const char *const files[][2] = {{"model.safetensors", "model.safetensors"}, {"config4.json", "config.json"}};
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, QN_SOURCE_DIR "/test/data/models/%s/%s", name, files[i][0]);
        snprintf(to, sizeof to, "%s/%s", folder, files[i][1]);
        assert_int_equal(symlink(from, to), 0);
    }
    return folder;
}

/* The same models as folders, with config.json as transformers 5 and as 4 write it; the first agree with the GGUF file
 * to the last bit where there is one, and all with PyTorch. */
static void check_folder(void **state)
{
    const char *name = *state;
    struct case_data c;
    struct qn_llm_options options = {.kv_dtype = QN_DTYPE_F32, .threads = 2};
    char path[600];
    float *logits[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/models/%s%s", name, i == 2 ? ".gguf" : "");
        if (i == 2 && access(path, R_OK) != 0)
            break;
        load(&c, i == 1 ? older_folder(name) : path, name);
        logits[i] = evaluate(&c, options, c.count);
        double error = error_over_range(&c, logits[i]);
        print_message("%s: error / range %.2e\n", i == 1 ? "as transformers 4 writes it" : path, error);
        assert_true(error <= 1e-4);
        if (i)
            assert_memory_equal(logits[0], logits[i], c.count * c.vocabulary * sizeof(float));
        unload(&c);
    }
    for (int i = 0; i < 3; i++)
        free(logits[i]);
}

/* The text model of one that sees pictures: its configuration inside another, its tensors under longer names, and a
 * tensor of the tower for pictures, which is left out. */
static const char *folder_with_pictures(const char *prefix)
{
    char path[700], *json, *weights;
    const char *folder = qn_test_temp(prefix);
    size_t json_size, size, header = 0, at = 8;
    assert_int_equal(mkdir(folder, 0700), 0);
    json = qn_test_read_file(QN_SOURCE_DIR "/test/data/models/gemma3/config.json", &json_size);
    weights = qn_test_read_file(QN_SOURCE_DIR "/test/data/models/gemma3/model.safetensors", &size);
    for (int i = 0; i < 8; i++)
        header |= (size_t)(unsigned char)weights[i] << 8 * i;
    char *config = malloc(json_size + 200), *out = malloc(3 * size + 200);
    int config_size = sprintf(config, "{\"model_type\":\"gemma3\",\"text_config\":%.*s}", (int)json_size, json);
    for (size_t i = 8; i < 8 + header; i++)
        if (strncmp(weights + i, "\"model.", 7) == 0) {
            at += (size_t)sprintf(out + at, "\"%s", prefix);
            i += 6;
        } else {
            out[at++] = weights[i];
        }
    while (out[at - 1] == ' ')
        at--;
    at--; /* the brace */
    size_t data = size - 8 - header;
    at += (size_t)sprintf(out + at, ",\"vision_tower.x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}}",
                          data, data + 4);
    for (int i = 0; i < 8; i++)
        out[i] = (char)((at - 8) >> 8 * i);
    memcpy(out + at, weights + 8 + header, data);
    memset(out + at + data, 0, 4);
    snprintf(path, sizeof path, "%s/config.json", folder);
    qn_test_write_file(path, config, (size_t)config_size);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    qn_test_write_file(path, out, at + data + 4);
    free(json);
    free(weights);
    free(config);
    free(out);
    return folder;
}

static void beside_pictures(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"language_model.model.", "model.language_model."};
    struct qn_llm_options options = {.kv_dtype = QN_DTYPE_F32, .threads = 2};
    for (int i = 0; i < 2; i++) {
        struct case_data c;
        load(&c, folder_with_pictures(prefixes[i]), "gemma3");
        float *logits = evaluate(&c, options, c.count);
        assert_true(error_over_range(&c, logits) <= 1e-4);
        free(logits);
        unload(&c);
    }
}

/* LongRoPE: a sequence that outgrows the original context is turned otherwise as a whole, however it came. */
static void outgrown(void **state)
{
    (void)state;
    struct case_data c;
    load(&c, QN_SOURCE_DIR "/test/data/models/phi3_long.gguf", "phi3_long");
    struct qn_llm_options options = {.kv_dtype = QN_DTYPE_F32, .threads = 2};
    float *whole = evaluate(&c, options, c.count);
    assert_true(error_over_range(&c, whole) <= 1e-4);
    for (size_t piece = 1; piece < 20; piece += 6) {
        float *parts = evaluate(&c, options, piece);
        size_t last = (c.count - 1) * c.vocabulary;
        assert_memory_equal(whole + last, parts + last, c.vocabulary * sizeof *whole);
        assert_memory_not_equal(whole, parts, 20 * c.vocabulary * sizeof *whole); /* those before the line */
        free(parts);
    }
    /* and back */
    struct qn_llm *llm = NULL;
    options.struct_size = sizeof options;
    qn_assert_ok(qn_llm_create(c.model, &options, &llm));
    const int32_t *tokens = c.tokens.data;
    float *first = malloc(c.vocabulary * sizeof *first);
    qn_assert_ok(qn_llm_eval(llm, tokens, 11, NULL));
    memcpy(first, qn_llm_logits(llm), c.vocabulary * sizeof *first);
    qn_assert_ok(qn_llm_eval(llm, tokens + 11, c.count - 11, NULL));
    assert_memory_equal(qn_llm_logits(llm), whole + (c.count - 1) * c.vocabulary, c.vocabulary * sizeof *first);
    qn_llm_truncate(llm, 10);
    qn_assert_ok(qn_llm_eval(llm, tokens + 10, 1, NULL));
    assert_memory_equal(qn_llm_logits(llm), first, c.vocabulary * sizeof *first);
    free(first);
    free(whole);
    qn_llm_destroy(llm);
    unload(&c);
}

int main(void)
{
    const char *const names[] = {
        "llama",          "llama_tied_mha",  "llama_mqa_bias", "llama_linear", "llama_yarn", "llama3",
        "mistral_window", "mixtral",         "qwen2",          "qwen2moe",     "qwen3",      "qwen3moe",
        "gemma",          "gemma2",          "gemma3",         "phi2",         "phi3",       "phi3_short",
        "gptj",           "gptneox",         "gptneox_serial", "gpt2",         "mamba",      "mamba_tied",
        "deepseek2",      "deepseek2_joint", "gpt-oss"};
    const char *const folders[] = {
        "tiny_llama", "tiny_mistral", "tiny_mixtral", "tiny_qwen2",     "tiny_qwen3", "tiny_gpt2", "qwen2moe",
        "qwen3moe",   "gemma",        "gemma2",       "gemma3",         "phi2",       "phi3",      "phi3_short",
        "phi3_long",  "gptj",         "gptneox",      "gptneox_serial", "deepseek2",  "gpt-oss",   "mamba"};
    enum { NAMES = sizeof names / sizeof names[0], FOLDERS = sizeof folders / sizeof folders[0] };
    struct CMUnitTest tests[NAMES + FOLDERS + 2] = {cmocka_unit_test(outgrown), cmocka_unit_test(beside_pictures)};
    for (size_t i = 0; i < NAMES; i++)
        tests[2 + i] = (struct CMUnitTest){names[i], check, NULL, NULL, (void *)(uintptr_t)names[i]};
    for (size_t i = 0; i < FOLDERS; i++)
        tests[2 + NAMES + i] = (struct CMUnitTest){folders[i], check_folder, NULL, NULL, (void *)(uintptr_t)folders[i]};
    return cmocka_run_group_tests_name("architectures against PyTorch", tests, NULL, NULL);
}

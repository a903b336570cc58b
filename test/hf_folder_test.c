/* Model folders against the logits of transformers (made by tools/reference/make_folders.py), the same after a
 * conversion to GGUF, and folders that contradict themselves. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "quern/convert.h"
#include "quern/llm.h"
#include "quern/model.h"
#include "support/testing.h"

/* ---- logits --------------------------------------------------------------------------------------------------- */

static double error_of(const char *path, const struct qn_test_npy *tokens, const struct qn_test_npy *expected)
{
    struct qn_model *model = NULL;
    struct qn_llm *llm = NULL;
    struct qn_llm_options options = {
        .struct_size = sizeof options, .kv_dtype = QN_DTYPE_F32, .threads = 2, .f32_activations = true};
    size_t count = expected->dims[0], vocabulary = expected->dims[1];
    qn_assert_ok(qn_model_open(path, NULL, &model));
    qn_assert_ok(qn_llm_create(model, &options, &llm));
    struct qn_llm_info info = {.struct_size = sizeof info};
    qn_llm_get_info(llm, &info);
    assert_int_equal(info.vocabulary, vocabulary);
    float *logits = malloc(count * vocabulary * sizeof *logits);
    const float *wanted = expected->data;
    const int32_t *ids = tokens->data;
    qn_assert_ok(qn_llm_eval(llm, ids, 7, logits)); /* prefill, then steps over the cache */
    for (size_t i = 7; i < count; i++)
        qn_assert_ok(qn_llm_eval(llm, ids + i, 1, logits + i * vocabulary));
    double worst = 0, low = wanted[0], high = wanted[0];
    for (size_t i = 0; i < count * vocabulary; i++) {
        assert_true(isfinite(logits[i]));
        worst = fmax(worst, fabs((double)logits[i] - wanted[i]));
        low = fmin(low, wanted[i]);
        high = fmax(high, wanted[i]);
    }
    free(logits);
    qn_llm_destroy(llm);
    qn_model_close(model);
    return worst / (high - low);
}

static void check_case(void **state)
{
    const char *name = *state;
    char path[600];
    struct qn_test_npy tokens, logits;
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/hf/%s/tokens.npy", name);
    qn_test_npy_read(path, &tokens);
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/hf/%s/logits.npy", name);
    qn_test_npy_read(path, &logits);
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/hf/%s", name);
    double folder = error_of(path, &tokens, &logits);
    const char *out = qn_test_temp("converted.gguf");
    struct qn_convert_stats stats = {.struct_size = sizeof stats};
    qn_assert_ok(qn_convert(path, out, NULL, &stats));
    assert_true(stats.tensors > 0 && stats.without_vocabulary);
    double file = error_of(out, &tokens, &logits);
    print_message("%s: error / range %.2e, as GGUF %.2e\n", name, folder, file);
    assert_true(folder <= 1e-4);
    assert_true(file <= 1e-4);
    const char *back = qn_test_temp("again");
    if (strncmp(name, "llama_", 6) != 0 || strcmp(name, "llama_shards") == 0) {
        qn_assert_ok(qn_convert(out, back, NULL, NULL));
        double again = error_of(back, &tokens, &logits);
        print_message("%s: back as a folder %.2e\n", name, again);
        assert_true(again <= 1e-4);
    }
    qn_test_npy_free(&tokens);
    qn_test_npy_free(&logits);
}

/* ---- folders that are wrong ----------------------------------------------------------------------------------- */

struct change {
    const char *name, *base;
    const char *file;      /* the one that is changed; NULL: none */
    const char *from, *to; /* text in it; from NULL: `to` is all of it; to NULL: the file is missing */
    enum qn_code code;
    const char *words[3];
};

static const char *const folder_files[] = {
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "pytorch_model.bin",
    "model-00002-of-00002.safetensors",
};

static char *replaced(const char *text, size_t size, const char *from, const char *to, size_t *out_size)
{
    size_t from_size = strlen(from), to_size = strlen(to);
    for (size_t i = 0; i + from_size <= size; i++)
        if (memcmp(text + i, from, from_size) == 0) {
            char *out = malloc(size + to_size + 1);
            memcpy(out, text, i);
            memcpy(out + i, to, to_size);
            memcpy(out + i + to_size, text + i + from_size, size - i - from_size);
            *out_size = size - from_size + to_size;
            return out;
        }
    fail_msg("'%s' is not in the file", from);
    return NULL;
}

/* Copies the folder to a temporary one, with the change. */
static const char *make_folder(const struct change *c)
{
    const char *folder = qn_test_temp(c->name);
    mkdir(folder, 0777);
    for (size_t i = 0; i < sizeof folder_files / sizeof folder_files[0]; i++) {
        char path[600];
        struct stat st;
        snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/hf/%s/%s", c->base, folder_files[i]);
        bool changed = c->file && strcmp(c->file, folder_files[i]) == 0;
        if (stat(path, &st) != 0 || (changed && !c->to))
            continue;
        size_t size;
        char *data = qn_test_read_file(path, &size);
        if (changed) {
            char *other = c->from ? replaced(data, size, c->from, c->to, &size) : strdup(c->to);
            size = c->from ? size : strlen(c->to);
            free(data);
            data = other;
        }
        snprintf(path, sizeof path, "%s/%s", folder, folder_files[i]);
        qn_test_write_file(path, data, size);
        free(data);
    }
    return folder;
}

static void check_change(void **state)
{
    const struct change *c = *state;
    struct qn_model *model = NULL;
    struct qn_llm *llm = NULL;
    qn_status status = qn_model_open(make_folder(c), NULL, &model);
    if (!status)
        status = qn_llm_create(model, NULL, &llm);
    if (!status)
        fail_msg("%s: accepted; expected '%s'", c->name, c->words[0]);
    for (int i = 0; i < 3 && c->words[i]; i++)
        if (!strstr(qn_status_message(status), c->words[i]))
            fail_msg("%s: '%s' lacks '%s'", c->name, qn_status_message(status), c->words[i]);
    assert_int_equal(qn_status_code(status), c->code);
    qn_status_free(status);
    qn_llm_destroy(llm);
    qn_model_close(model);
}

#define CONFIG(name, base, from, to, code, ...)    \
    {                                              \
        name, base, "config.json", from, to, code, \
        {                                          \
            __VA_ARGS__                            \
        }                                          \
    }

static struct change changes[] = {
    CONFIG("ffn", "mistral_tied", "\"intermediate_size\": 24", "\"intermediate_size\": 25", QN_INVALID_FILE,
           "key 'intermediate_size' is 25", "mlp.", "24"),
    CONFIG("hidden", "mistral_tied", "\"hidden_size\": 16", "\"hidden_size\": 18", QN_INVALID_FILE,
           "'hidden_size' is 18", "16 there"),
    CONFIG("vocabulary", "mistral_tied", "\"vocab_size\": 31", "\"vocab_size\": 32", QN_INVALID_FILE,
           "key 'vocab_size' is 32", "'model.embed_tokens.weight' has shape [31, 16]"),
    CONFIG("heads", "llama_shards", "\"num_attention_heads\": 2", "\"num_attention_heads\": 4", QN_INVALID_FILE,
           "num_attention_heads*head_dim", "is 32"),
    CONFIG("fewer_layers", "mistral_tied", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", QN_INVALID_FILE,
           "key 'num_hidden_layers' is 1", "model.layers.1."),
    CONFIG("more_layers", "mistral_tied", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", QN_INVALID_FILE,
           "blk.2.", "missing"),
    CONFIG("no_hidden", "mistral_tied", "\"hidden_size\"", "\"hidden_sise\"", QN_INVALID_FILE, "'hidden_size'"),
    CONFIG("text", "mistral_tied", "\"hidden_size\": 16", "\"hidden_size\": \"16\"", QN_INVALID_FILE, "'hidden_size'",
           "string"),
    CONFIG("negative", "mistral_tied", "\"hidden_size\": 16", "\"hidden_size\": -16", QN_INVALID_FILE, "'hidden_size'",
           "-16"),
    CONFIG("unknown", "mistral_tied", "\"mistral\"", "\"nosuchmodel\"", QN_UNSUPPORTED, "nosuchmodel"),
    CONFIG("no_type", "mistral_tied", "\"model_type\"", "\"model_tipe\"", QN_INVALID_FILE, "'model_type'"),
    CONFIG("rope", "llama_shards", "\"llama3\"", "\"magic\"", QN_UNSUPPORTED, "magic"),
    CONFIG("no_json", "mistral_tied", NULL, "{\"model_type\": ", QN_INVALID_FILE, "config.json"),
    CONFIG("array", "mistral_tied", NULL, "[]", QN_INVALID_FILE, "expected an object"),
    CONFIG("bits", "llama_fp8", "\"fp8\"", "\"bitsandbytes\"", QN_UNSUPPORTED, "bitsandbytes"),
    CONFIG("other_quant", "llama_fp8", "\"fp8\"", "\"aqlm\"", QN_UNSUPPORTED, "aqlm"),
    CONFIG("group", "llama_awq", "\"group_size\": 32", "\"group_size\": 16", QN_INVALID_FILE, "group_size"),
    CONFIG("bit_count", "llama_awq", "\"bits\": 4", "\"bits\": 3", QN_UNSUPPORTED, "bits"),
    CONFIG("block", "llama_fp8", "16,\n      24", "16,\n      40", QN_INVALID_FILE, "weight_block_size"),
    CONFIG("missing_config", "mistral_tied", NULL, NULL, QN_INVALID_ARGUMENT, "config.json"),
    {"no_weights", "mistral_tied", "model.safetensors", NULL, NULL, QN_NOT_FOUND, {"no weights"}},
    {"missing_shard",
     "llama_shards",
     "model-00002-of-00002.safetensors",
     NULL,
     NULL,
     QN_NOT_FOUND,
     {"1 of 2 shards is missing", "model-00002-of-00002.safetensors"}},
    {"index_climbs",
     "llama_shards",
     "model.safetensors.index.json",
     "\"model-00001",
     "\"../model-00001",
     QN_INVALID_FILE,
     {"same folder"}},
    {"index_moves",
     "llama_shards",
     "model.safetensors.index.json",
     "\"model-00001",
     "\"model-00002",
     QN_INVALID_FILE,
     {"the index places tensor", "lies in"}},
    {"index_lists_more",
     "llama_shards",
     "model.safetensors.index.json",
     "\"weight_map\": {",
     "\"weight_map\": {\"extra\": \"model-00001-of-00002.safetensors\",",
     QN_INVALID_FILE,
     {"tensor 'extra' is not in"}},
    {"index_lists_less",
     "llama_shards",
     "model.safetensors.index.json",
     "\"model.norm.weight\"",
     "\"lm_head.weight\"",
     QN_INVALID_FILE,
     {"lm_head.weight"}},
    {"index_empty", "llama_shards", "model.safetensors.index.json", NULL, "{}", QN_INVALID_FILE, {"weight_map"}},
    {"stray_tensor",
     "mistral_tied",
     "model.safetensors",
     "model.norm.weight",
     "model.form.weight",
     QN_UNSUPPORTED,
     {"'model.form.weight' has no place"}},
    {"shard_is_text", "mistral_tied", "model.safetensors", NULL, "not tensors at all", QN_INVALID_FILE, {"known kind"}},
};

static qn_status open_folder(const struct qn_allocator *allocator, void *context)
{
    struct qn_model_options options = {.struct_size = sizeof options, .allocator = allocator};
    struct qn_model *model = NULL;
    qn_status status = qn_model_open(context, &options, &model);
    qn_model_close(model);
    return status;
}

static void test_every_allocation(void **state)
{
    (void)state;
    static const char *const names[] = {"llama_shards", "qwen2_legacy", "llama_v4_bin", "llama_gptq", "mixtral_v4"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[600];
        snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/hf/%s", names[i]);
        assert_true(qn_test_every_allocation(open_folder, path) > 5);
    }
}

/* ---- going on after an interruption --------------------------------------------------------------------------- */

static bool stop_in_the_middle(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    return done < total / 2;
}

static void test_resume(void **state)
{
    (void)state;
    const char *in = QN_SOURCE_DIR "/test/data/hf/llama_shards";
    const char *whole = qn_test_temp("whole.gguf"), *out = qn_test_temp("resumed.gguf");
    char part[600];
    struct stat st;
    struct qn_convert_options stop = {.struct_size = sizeof stop, .type = "f16", .progress = stop_in_the_middle};
    struct qn_convert_options go = {.struct_size = sizeof go, .type = "f16"};
    struct qn_convert_stats stats = {.struct_size = sizeof stats};
    qn_assert_ok(qn_convert(in, whole, &go, &stats));
    assert_int_equal(stats.resumed, 0);
    qn_assert_fails(qn_convert(in, out, &stop, NULL), QN_CANCELLED, "goes on");
    assert_int_not_equal(stat(out, &st), 0);
    qn_assert_ok(qn_convert(in, out, &go, &stats));
    assert_true(stats.resumed > 3 && stats.resumed < stats.tensors);
    qn_test_same_files(whole, out);
    snprintf(part, sizeof part, "%s.part.state", out);
    assert_int_not_equal(stat(part, &st), 0);
    /* A part that belongs to other options is not gone on with. */
    go.type = "f32";
    qn_assert_fails(qn_convert(in, out, &stop, NULL), QN_CANCELLED, "goes on");
    qn_assert_ok(qn_convert(in, out, &go, &stats));
    assert_int_equal(stats.resumed, 0);
    qn_assert_fails(qn_convert(in, out, &(struct qn_convert_options){.struct_size = sizeof go, .type = "q9"}, NULL),
                    QN_INVALID_ARGUMENT, "'q9'");
}

/* ---- in fewer bits, in one step ------------------------------------------------------------------------------- */

static void test_quantise(void **state)
{
    (void)state;
    static const char *const folders[] = {"llama_fp8", "mixtral"};
    const char *plain = qn_test_temp("plain.gguf"), *two = qn_test_temp("two.gguf"), *one = qn_test_temp("one.gguf");
    struct qn_convert_options typed = {.struct_size = sizeof typed, .type = "q4_0"};
    struct qn_convert_options measured = {.struct_size = sizeof measured, .measure = true};
    struct qn_convert_stats stats = {.struct_size = sizeof stats};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char in[600];
        snprintf(in, sizeof in, QN_SOURCE_DIR "/test/data/hf/%s", folders[i]);
        qn_assert_ok(qn_convert(in, plain, NULL, NULL));
        qn_assert_ok(qn_quantize(plain, two, "Q4_0", NULL, NULL));
        qn_assert_ok(qn_quantize(in, one, "Q4_0", &measured, &stats));
        qn_test_same_files(one, two);
        qn_assert_ok(qn_convert(in, one, &typed, NULL));
        qn_test_same_files(one, two);
    }
    assert_true(stats.tensors > 10 && stats.fallbacks > 0);
    const char *in = QN_SOURCE_DIR "/test/data/hf/llama_fp8";
    struct qn_convert_keep keep = {"attn_", QN_DTYPE_Q8_0};
    measured.keeps = &keep;
    measured.keep_count = 1;
    qn_assert_ok(qn_quantize(in, one, "Q4_0", &measured, &stats));
    assert_true(stats.type_counts[QN_DTYPE_Q4_0] >= 3 && stats.type_counts[QN_DTYPE_Q8_0] >= 4);
    assert_true(stats.error > 0.02 && stats.error < stats.worst_error && stats.worst_error < 0.2);
    assert_non_null(strstr(stats.worst, ".weight"));
    qn_assert_fails(qn_quantize(QN_SOURCE_DIR "/test/data/hf/llama_fp8/model.safetensors", one, "Q4_0", NULL, NULL),
                    QN_UNSUPPORTED, "give the model's folder");
}

/* The disk is full at any point: the error says so, and neither the output nor a part of it stays. */
static void test_disk_full(void **state)
{
    (void)state;
    const char *in = QN_SOURCE_DIR "/test/data/hf/llama_fp8", *out = qn_test_temp("full.gguf");
    int entries = qn_test_temp_count(), failed = 0;
    struct rlimit before, limit;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    for (limit.rlim_cur = 1; limit.rlim_cur < 1 << 16; limit.rlim_cur = limit.rlim_cur * 3 + 5) {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        qn_status status = qn_quantize(in, out, "Q8_0", NULL, NULL);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        if (!status)
            break;
        qn_assert_fails(status, QN_IO, "full.gguf");
        assert_int_equal(qn_test_temp_count(), entries);
        failed++;
    }
    assert_true(failed > 3);
    signal(SIGXFSZ, handler);
}

int main(void)
{
    static const char *const names[] = {
        "llama_shards", "llama_v4_bin", "mistral_tied",     "mixtral",   "mixtral_v4", "qwen2_legacy",    "qwen3_bf16",
        "gpt2_base",    "llama_gptq",   "llama_gptq_order", "llama_awq", "llama_fp8",  "llama_fp8_tensor"};
    enum { CASES = sizeof names / sizeof names[0], CHANGES = sizeof changes / sizeof changes[0] };
    struct CMUnitTest tests[CASES + CHANGES + 4];
    size_t count = 0;
    for (size_t i = 0; i < CASES; i++)
        tests[count++] = (struct CMUnitTest){names[i], check_case, NULL, NULL, (void *)(uintptr_t)names[i]};
    for (size_t i = 0; i < CHANGES; i++)
        tests[count++] = (struct CMUnitTest){changes[i].name, check_change, NULL, NULL, &changes[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_every_allocation);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_resume);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_quantise);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_disk_full);
    return cmocka_run_group_tests_name("model folders", tests, NULL, NULL);
}

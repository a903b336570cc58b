/* Importance matrices of mixtures of experts: each expert's channels are summed over the tokens that it saw, and weigh
 * its own weights when it is quantised. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/imatrix_file.h"
#include "format/gguf/gguf.h"
#include "quant/quant.h"
#include "quern/convert.h"
#include "quern/eval.h"
#include "quern/llm.h"
#include "quern/model.h"
#include "quern/observe.h"
#include "quern/tokenizer.h"
#include "support/testing.h"

/* ---- collecting ----------------------------------------------------------------------------------------------- */

enum { EXPERTS = 3, WORDS = 31, TOKENS = 24 };

/* The small mixtral with a word for each of its 31 tokens. */
static const char *make_folder(void)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    const char *folder = qn_test_temp("moe");
    char path[600], json[2048];
    assert_int_equal(system(strcat(strcpy(path, "mkdir -p "), folder)), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t size;
        snprintf(path, sizeof path, "test/data/hf/mixtral/%s", files[i]);
        char *data = qn_test_read_file(qn_test_source(path), &size);
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        qn_test_write_file(path, data, size);
        free(data);
    }
    int used = snprintf(json, sizeof json,
                        "{\"version\":\"1.0\",\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"model\":"
                        "{\"type\":\"WordLevel\",\"unk_token\":\"w0\",\"vocab\":{");
    for (int i = 0; i < WORDS; i++)
        used += snprintf(json + used, sizeof json - (size_t)used, "%s\"w%d\":%d", i ? "," : "", i, i);
    used += snprintf(json + used, sizeof json - (size_t)used, "}}}");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    qn_test_write_file(path, json, (size_t)used);
    return folder;
}

struct watched {
    double squares[EXPERTS]; /* of channel 5 of what each expert's down projection in layer 1 reads */
    int64_t rows[EXPERTS];
};

static bool watch(void *context, const struct qn_observation *step)
{
    struct watched *w = context;
    if (strcmp(step->name, "blk.1.ffn_down_exps") != 0 || strcmp(step->op, "expert_matmul") != 0)
        return true;
    const struct qn_tensor *x = &step->inputs[0], *ids = &step->inputs[2];
    int64_t chosen = ids->dims[1], columns = x->dims[x->rank - 1];
    assert_int_equal(x->dims[1], chosen); /* a row for each token and each of its experts */
    for (int64_t i = 0; i < ids->dims[0] * chosen; i++) {
        int32_t expert = ((const int32_t *)ids->data)[i];
        double v = (double)((const float *)x->data)[i * columns + 5];
        w->squares[expert] += v * v;
        w->rows[expert]++;
    }
    return true;
}

static void each_expert_has_its_own_means(void **state)
{
    (void)state;
    const char *folder = make_folder(), *path = qn_test_temp("moe.imatrix.gguf");
    char text[512];
    int used = 0;
    struct qn_model *model;
    struct qn_tokenizer *tokenizer;
    struct qn_llm *llm;
    struct qn_llm_options llm_options = {.struct_size = sizeof llm_options, .threads = 1, .f32_activations = true};
    struct qn_eval_options options = {.struct_size = sizeof options, .context = TOKENS};
    struct qn_imatrix_stats stats = {.struct_size = sizeof stats};
    for (int i = 0; i < TOKENS; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "w%d ", i * 7 % WORDS);
    qn_assert_ok(qn_model_open(folder, NULL, &model));
    qn_assert_ok(qn_tokenizer_create(model, NULL, &tokenizer));
    qn_assert_ok(qn_llm_create(model, &llm_options, &llm));
    qn_assert_ok(qn_imatrix_collect(llm, tokenizer, text, (size_t)used, path, &options, NULL, &stats));
    assert_int_equal(stats.chunks, 1);
    struct watched watched = {0};
    struct qn_tokens tokens = {0};
    qn_assert_ok(qn_tokenizer_encode(tokenizer, text, (size_t)used, NULL, &tokens));
    assert_int_equal(tokens.count, TOKENS);
    qn_llm_observe(llm, watch, &watched);
    qn_assert_ok(qn_llm_eval(llm, tokens.ids, tokens.count, NULL));
    struct qn_imatrix *imatrix;
    qn_assert_ok(qn_imatrix_open(path, NULL, &imatrix));
    const struct qn_imatrix_entry *down = qn_imatrix_find(imatrix, QN_STR("blk.1.ffn_down_exps.weight"));
    const struct qn_imatrix_entry *gate = qn_imatrix_find(imatrix, QN_STR("blk.0.ffn_gate_exps.weight"));
    assert_true(down && down->matrices == EXPERTS && down->columns == 24);
    assert_true(gate && gate->matrices == EXPERTS && gate->columns == 16);
    int64_t rows = 0;
    for (int e = 0; e < EXPERTS; e++) {
        double mean = watched.rows[e] ? watched.squares[e] / (double)watched.rows[e] : 1;
        assert_true(fabs((double)down->means[e * 24 + 5] / mean - 1) < 1e-5);
        rows += watched.rows[e];
    }
    assert_int_equal(rows, 2 * TOKENS);
    qn_imatrix_close(imatrix);
    qn_tokens_free(&tokens);
    qn_llm_destroy(llm);
    qn_tokenizer_free(tokenizer);
    qn_model_close(model);
}

/* ---- using ---------------------------------------------------------------------------------------------------- */

enum { ROWS = 3, COLUMNS = 64, MATRIX = ROWS * COLUMNS };

static float weights[EXPERTS * MATRIX], means[EXPERTS * COLUMNS];

static const char *make_model(void)
{
    const char *path = qn_test_temp("experts.gguf");
    const uint64_t dims[] = {EXPERTS, ROWS, COLUMNS};
    struct qn_gguf_writer *writer;
    for (int i = 0; i < EXPERTS * MATRIX; i++)
        weights[i] = sinf((float)i * 1.7f) + 0.3f * cosf((float)i * 0.37f);
    for (int i = 0; i < EXPERTS * COLUMNS; i++)
        means[i] = (float)(1 + i * 13 % 29) * (i < COLUMNS ? 0.01f : 1);
    qn_assert_ok(qn_gguf_writer_create(path, NULL, &writer));
    qn_assert_ok(qn_gguf_writer_add_tensor(writer, QN_STR("blk.0.ffn_up_exps.weight"), QN_DTYPE_F32, 3, dims));
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    qn_assert_ok(qn_gguf_writer_write(writer, weights, sizeof weights));
    qn_assert_ok(qn_gguf_writer_commit(writer));
    return path;
}

/* The experts' blocks, each quantised alone under its own means. */
static void check(const char *in, const char *matrix)
{
    const char *out = qn_test_temp("experts_q4_0.gguf");
    struct qn_convert_options options = {.struct_size = sizeof options, .imatrix = matrix};
    struct qn_convert_stats stats = {.struct_size = sizeof stats};
    struct qn_gguf *gguf;
    qn_assert_ok(qn_quantize(in, out, "Q4_0", &options, &stats));
    assert_int_equal(stats.weighed, 1);
    qn_assert_ok(qn_gguf_open(out, NULL, &gguf));
    const uint8_t *blocks = qn_gguf_tensor_data(gguf, &gguf->tensors[0]);
    for (int e = 0; e < EXPERTS; e++) {
        uint8_t expected[MATRIX / 32 * 18];
        float importance[MATRIX];
        for (int i = 0; i < MATRIX; i++)
            importance[i] = means[e * COLUMNS + i % COLUMNS];
        qn_quant(QN_DTYPE_Q4_0)->quantise(weights + e * MATRIX, expected, MATRIX, importance);
        assert_memory_equal(blocks + e * (int)sizeof expected, expected, sizeof expected);
    }
    qn_gguf_close(gguf);
}

static void each_expert_is_weighed_by_its_own(void **state)
{
    (void)state;
    const char *in = make_model(), *path = qn_test_temp("used.imatrix.gguf"), *dat = qn_test_temp("used.dat");
    const float counts[EXPERTS] = {1, 1, 1};
    const struct qn_imatrix_sums sums = {QN_STR("blk.0.ffn_up_exps.weight"), EXPERTS, COLUMNS, means, counts};
    const struct qn_imatrix_run run = {"text", 1, 32};
    qn_assert_ok(qn_imatrix_write(path, &sums, 1, &run, NULL));
    check(in, path);
    struct {
        int32_t entries, length;
        char name[24];
        int32_t calls, values;
        float means[EXPERTS * COLUMNS];
    } old = {1, 24, "", 1, EXPERTS * COLUMNS, {0}};
    memcpy(old.name, sums.name.data, sizeof old.name);
    memcpy(old.means, means, sizeof means);
    assert_int_equal(sums.name.size, sizeof old.name);
    qn_test_write_file(dat, &old, sizeof old);
    check(in, dat);
    old.values = 2 * COLUMNS; /* of a model with two experts */
    qn_test_write_file(dat, &old, sizeof old - COLUMNS * sizeof(float));
    struct qn_convert_options options = {.struct_size = sizeof options, .imatrix = dat};
    qn_assert_fails(qn_quantize(in, qn_test_temp("never.gguf"), "Q4_0", &options, NULL), QN_INVALID_FILE,
                    "another model");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_expert_has_its_own_means),
        cmocka_unit_test(each_expert_is_weighed_by_its_own),
    };
    return cmocka_run_group_tests_name("imatrix_experts", tests, NULL, NULL);
}

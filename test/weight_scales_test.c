/* GGUF files with a factor beside a weight, <name>.scale, as models in NVFP4 have it: a model whose weights are divided
 * by powers of two, with those as factors, computes the same. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf/gguf.h"
#include "quern/convert.h"
#include "quern/llm.h"
#include "quern/model.h"
#include "support/testing.h"

enum { TOKENS = 9 };

static float *run(const char *path, size_t *count)
{
    static const int32_t ids[TOKENS] = {1, 17, 5, 30, 2, 9, 11, 4, 22};
    struct qn_model *model;
    struct qn_llm *llm;
    struct qn_llm_options options = {
        .struct_size = sizeof options, .kv_dtype = QN_DTYPE_F32, .threads = 1, .f32_activations = true};
    struct qn_llm_info info = {.struct_size = sizeof info};
    qn_assert_ok(qn_model_open(path, NULL, &model));
    qn_assert_ok(qn_llm_create(model, &options, &llm));
    qn_llm_get_info(llm, &info);
    *count = (size_t)TOKENS * info.vocabulary;
    float *logits = malloc(*count * sizeof *logits);
    qn_assert_ok(qn_llm_eval(llm, ids, TOKENS - 2, logits));
    for (size_t i = TOKENS - 2; i < TOKENS; i++)
        qn_assert_ok(qn_llm_eval(llm, ids + i, 1, logits + i * info.vocabulary));
    qn_llm_destroy(llm);
    qn_model_close(model);
    return logits;
}

/* Matrices of layers (and the output) have a factor; not the embedding, norms and biases. */
static bool is_scaled(const struct qn_gguf_tensor *t)
{
    return t->rank >= 2 && qn_str_ends(t->name, QN_STR(".weight")) && !qn_str_is(t->name, "token_embd.weight") &&
           !qn_str_is(t->name, "position_embd.weight");
}

static uint32_t factor_count(const struct qn_gguf_tensor *t)
{
    return t->rank > 2 ? (uint32_t)t->dims[t->rank - 3] : 1;
}

static float factor(uint32_t tensor, uint32_t matrix)
{
    return ldexpf(1, (int)((tensor * 3 + matrix * 2) % 7) - 3);
}

static void add_names(struct qn_gguf_writer *writer, const struct qn_gguf *in, bool wrong)
{
    for (uint32_t i = 0; i < in->tensor_count; i++) {
        const struct qn_gguf_tensor *t = &in->tensors[i];
        char name[128];
        uint64_t count = factor_count(t) + wrong;
        qn_assert_ok(qn_gguf_writer_add_tensor(writer, t->name, t->dtype, t->rank, t->dims));
        if (!is_scaled(t))
            continue;
        snprintf(name, sizeof name, "%.*s.scale", (int)t->name.size - 7, t->name.data);
        qn_assert_ok(qn_gguf_writer_add_tensor(writer, qn_str_from(name), QN_DTYPE_F32, 1, &count));
        snprintf(name, sizeof name, "%.*s.input_scale", (int)t->name.size - 7, t->name.data);
        qn_assert_ok(qn_gguf_writer_add_tensor(writer, qn_str_from(name), QN_DTYPE_F32, 1, &count));
    }
}

static void add_data(struct qn_gguf_writer *writer, const struct qn_gguf *in, bool wrong)
{
    static const float unused[16] = {7};
    for (uint32_t i = 0; i < in->tensor_count; i++) {
        const struct qn_gguf_tensor *t = &in->tensors[i];
        uint32_t factors = factor_count(t);
        size_t elements = (size_t)t->bytes / sizeof(float), each = elements / factors;
        float *values = malloc((size_t)t->bytes), scales[16] = {0};
        memcpy(values, qn_gguf_tensor_data(in, t), (size_t)t->bytes);
        for (uint32_t m = 0; m < factors; m++)
            scales[m] = factor(i, m);
        for (size_t k = 0; k < elements && is_scaled(t); k++)
            values[k] /= scales[k / each];
        qn_assert_ok(qn_gguf_writer_write(writer, values, (size_t)t->bytes));
        if (is_scaled(t)) {
            qn_assert_ok(qn_gguf_writer_write(writer, scales, (factors + wrong) * sizeof(float)));
            qn_assert_ok(qn_gguf_writer_write(writer, unused, (factors + wrong) * sizeof(float)));
        }
        free(values);
    }
}

static void make_scaled(const char *plain, const char *path, bool wrong)
{
    struct qn_gguf *in;
    struct qn_gguf_writer *writer;
    qn_assert_ok(qn_gguf_open(plain, NULL, &in));
    qn_assert_ok(qn_gguf_writer_create(path, NULL, &writer));
    for (uint32_t i = 0; i < in->kv_count; i++)
        qn_assert_ok(qn_gguf_writer_set(writer, in->kvs[i].key, &in->kvs[i].value));
    add_names(writer, in, wrong);
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    add_data(writer, in, wrong);
    qn_assert_ok(qn_gguf_writer_commit(writer));
    qn_gguf_close(in);
}

/* Dense, with biases, with experts. */
static void factors_are_applied(void **state)
{
    (void)state;
    static const char *const folders[] = {"llama_shards", "gpt2_base", "mixtral"};
    const struct qn_convert_options f32 = {.struct_size = sizeof f32, .type = "f32"};
    for (size_t f = 0; f < sizeof folders / sizeof folders[0]; f++) {
        char folder[128];
        const char *plain = qn_test_temp("plain.gguf"), *scaled = qn_test_temp("scaled.gguf");
        size_t count, same;
        snprintf(folder, sizeof folder, "test/data/hf/%s", folders[f]);
        qn_assert_ok(qn_convert(qn_test_source(folder), plain, &f32, NULL));
        make_scaled(plain, scaled, false);
        float *expected = run(plain, &count), *found = run(scaled, &same), range = 0, worst = 0;
        assert_int_equal(count, same);
        for (size_t i = 0; i < count; i++) {
            range = fmaxf(range, fabsf(expected[i]));
            worst = fmaxf(worst, fabsf(expected[i] - found[i]));
        }
        if (!(worst <= 1e-6f * range))
            fail_msg("%s: differs by %g of %g", folders[f], (double)worst, (double)range);
        free(expected);
        free(found);
    }
}

static void factors_of_another_size_are_refused(void **state)
{
    (void)state;
    const char *plain = qn_test_temp("p.gguf"), *wrong = qn_test_temp("wrong.gguf");
    const struct qn_convert_options f32 = {.struct_size = sizeof f32, .type = "f32"};
    const struct qn_llm_options options = {.struct_size = sizeof options, .threads = 1};
    struct qn_model *model;
    struct qn_llm *llm;
    qn_assert_ok(qn_convert(qn_test_source("test/data/hf/llama_shards"), plain, &f32, NULL));
    make_scaled(plain, wrong, true);
    qn_assert_ok(qn_model_open(wrong, NULL, &model));
    qn_assert_fails(qn_llm_create(model, &options, &llm), QN_INVALID_FILE, "attn_q.scale' has shape [2]");
    qn_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_are_applied),
        cmocka_unit_test(factors_of_another_size_are_refused),
    };
    return cmocka_run_group_tests_name("weight_scales", tests, NULL, NULL);
}

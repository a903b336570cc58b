/* Perplexity, divergence, importance matrices and the comparison of runs, on the small trained models. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/imatrix_file.h"
#include "format/gguf/gguf.h"
#include "quant/quant.h"
#include "quern/eval.h"
#include "quern/llm.h"
#include "quern/model.h"
#include "quern/observe.h"
#include "quern/convert.h"
#include "quern/session.h"
#include "quern/tokenizer.h"
#include "support/models.h"

static const char text[] =
    "Once there was a small rabbit who lived in a cosy burrow under a hill. One day the rabbit and his friend wanted "
    "to go to the beach, but it was raining hard. Big drops ran down the window. Then the friend had an idea. They "
    "made a ship out of chairs, and all afternoon they sailed over the carpet to far lands. In the evening the rain "
    "stopped, and they saw a rainbow over the hill. The rabbit was very happy, and he fell asleep with a smile.";

struct running {
    struct qn_model *model;
    struct qn_tokenizer *tokenizer;
    struct qn_llm *llm;
};

static struct running start(const char *path, bool exact)
{
    struct running r;
    struct qn_llm_options options = {.struct_size = sizeof options,
                                     .threads = 2,
                                     .context = 128,
                                     .f32_activations = exact,
                                     .kv_dtype = exact ? QN_DTYPE_F32 : QN_DTYPE_NONE};
    qn_assert_ok(qn_model_open(path, NULL, &r.model));
    qn_assert_ok(qn_tokenizer_create(r.model, NULL, &r.tokenizer));
    qn_assert_ok(qn_llm_create(r.model, &options, &r.llm));
    return r;
}

static void stop(struct running *r)
{
    qn_llm_destroy(r->llm);
    qn_tokenizer_free(r->tokenizer);
    qn_model_close(r->model);
}

static const char *stories(void)
{
    return qn_test_source("models/quern-stories.gguf");
}

/* ---- perplexity ----------------------------------------------------------------------------------------------- */

/* The definition, token by token: chunks of 32, the first token BOS, positions 16 to 30 scored. */
static double plain_perplexity(struct running *r, double *error)
{
    struct qn_tokens tokens = {0};
    struct qn_llm_info info = {.struct_size = sizeof info};
    double sum = 0, squares = 0;
    int count = 0;
    qn_llm_get_info(r->llm, &info);
    qn_assert_ok(qn_tokenizer_encode(r->tokenizer, text, sizeof text - 1, NULL, &tokens));
    for (size_t chunk = 0; chunk + 32 <= tokens.count; chunk += 32) {
        qn_llm_truncate(r->llm, 0);
        for (size_t i = 0; i < 31; i++) {
            int32_t id = i ? tokens.ids[chunk + i] : qn_tokenizer_role(r->tokenizer, QN_TOKEN_BOS);
            qn_assert_ok(qn_llm_eval(r->llm, &id, 1, NULL));
            const float *logits = qn_llm_logits(r->llm);
            double total = 0;
            for (uint32_t k = 0; k < info.vocabulary; k++)
                total += exp((double)logits[k]);
            double nll = log(total) - (double)logits[tokens.ids[chunk + i + 1]];
            if (i >= 16) {
                sum += nll;
                squares += nll * nll;
                count++;
            }
        }
    }
    qn_tokens_free(&tokens);
    double mean = sum / count;
    *error = exp(mean) * sqrt((squares / count - mean * mean) / (count - 1));
    return exp(mean);
}

static void perplexity_is_as_defined(void **state)
{
    (void)state;
    struct running r = start(stories(), true);
    struct qn_eval_options options = {.struct_size = sizeof options, .context = 32};
    struct qn_perplexity_stats stats = {.struct_size = sizeof stats};
    qn_assert_ok(qn_perplexity(r.llm, r.tokenizer, text, sizeof text - 1, NULL, &options, &stats));
    assert_int_equal(qn_llm_position(r.llm), 0);
    double error, expected = plain_perplexity(&r, &error);
    assert_true(stats.chunks >= 3 && stats.tokens == stats.chunks * 15);
    assert_true(fabs(stats.perplexity / expected - 1) < 1e-4 && fabs(stats.error / error - 1) < 1e-3);
    options.context = 129;
    qn_assert_fails(qn_perplexity(r.llm, r.tokenizer, text, sizeof text - 1, NULL, &options, &stats),
                    QN_INVALID_ARGUMENT, "4 to 128");
    options.context = 128;
    qn_assert_fails(qn_perplexity(r.llm, r.tokenizer, text, 100, NULL, &options, &stats), QN_INVALID_ARGUMENT,
                    "longer text");
    stop(&r);
}

static void divergence_from_itself_is_nothing(void **state)
{
    (void)state;
    const char *base = qn_test_temp("base.kl"), *small = qn_test_temp("q2.gguf");
    struct running r = start(stories(), true);
    struct qn_eval_options options = {.struct_size = sizeof options, .context = 32};
    struct qn_perplexity_stats kept = {.struct_size = sizeof kept}, same = kept, other = kept;
    qn_assert_ok(qn_perplexity(r.llm, r.tokenizer, text, sizeof text - 1, base, &options, &kept));
    qn_assert_ok(qn_divergence(r.llm, r.tokenizer, base, NULL, &same));
    assert_true(same.tokens == kept.tokens && fabs(same.perplexity - kept.perplexity) < 1e-9);
    assert_true(fabs(same.kl_mean) < 1e-4 && same.kl_max < 1e-3 && same.same_top == 1);
    stop(&r);
    qn_assert_ok(qn_quantize(stories(), small, "Q2_K", NULL, NULL));
    r = start(small, false);
    qn_assert_ok(qn_divergence(r.llm, r.tokenizer, base, NULL, &other));
    assert_true(other.kl_mean > 0.01 && other.kl_p99 >= other.kl_median && other.kl_max >= other.kl_p99);
    assert_true(other.same_top < 1 && other.kl_error > 0 && other.base_perplexity > 1);
    stop(&r);
}

static void damaged_references_are_refused(void **state)
{
    (void)state;
    const char *base = qn_test_temp("whole.kl"), *bad = qn_test_temp("bad.kl");
    struct running r = start(stories(), false);
    struct qn_eval_options options = {.struct_size = sizeof options, .context = 32, .max_chunks = 2};
    qn_assert_ok(qn_perplexity(r.llm, r.tokenizer, text, sizeof text - 1, base, &options, NULL));
    size_t size;
    char *bytes = qn_test_read_file(base, &size);
    static const struct {
        size_t at, cut;
        int32_t value;
        const char *words;
    } rows[] = {
        {0, 0, 1, "does not begin with"},   {8, 0, 3, "tokens over a vocabulary"},
        {8, 0, 1 << 30, "4 to 128"},        {12, 0, 2047, "the model has 2048"},
        {16, 0, -1, "chunks of"},           {16, 0, 0x7fffffff, "too few"},
        {20, 0, -7, "token 0 is -7"},       {0, 1, 0x676f6c5f, "too few"},
        {0, 99999999, 0, "does not begin"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *copy = malloc(size);
        size_t left = rows[i].cut > size ? 10 : size - rows[i].cut;
        memcpy(copy, bytes, size);
        if (rows[i].cut <= size)
            memcpy(copy + rows[i].at, &rows[i].value, 4);
        else
            copy[0] = 'x';
        FILE *file = fopen(bad, "wb");
        assert_int_equal(fwrite(copy, 1, left, file), left);
        fclose(file);
        qn_status status = qn_divergence(r.llm, r.tokenizer, bad, NULL, NULL);
        assert_non_null(status);
        if (!strstr(qn_status_message(status), rows[i].words) && rows[i].at != 8)
            fail_msg("row %zu: %s", i, qn_status_message(status));
        qn_status_free(status);
        free(copy);
    }
    free(bytes);
    stop(&r);
}

/* ---- importance matrix ---------------------------------------------------------------------------------------- */

struct watched {
    double sum; /* of squares of what blk.1.ffn_down reads, channel 5 */
    int64_t rows;
};

static bool watch(void *context, const struct qn_observation *step)
{
    struct watched *w = context;
    if (strcmp(step->name, "blk.1.ffn_down") != 0 || strcmp(step->op, "linear") != 0)
        return true;
    const struct qn_tensor *x = &step->inputs[0];
    assert_int_equal(x->dtype, QN_DTYPE_F32);
    for (int64_t r = 0; r < x->dims[0]; r++) {
        double v = (double)((const float *)x->data)[r * x->dims[1] + 5];
        w->sum += v * v;
        w->rows++;
    }
    return true;
}

static void importance_is_the_mean_of_squares(void **state)
{
    (void)state;
    const char *path = qn_test_temp("stories.imatrix.gguf"), *out = qn_test_temp("weighed.gguf");
    struct running r = start(stories(), true);
    struct qn_eval_options options = {.struct_size = sizeof options, .context = 32, .max_chunks = 2};
    struct qn_imatrix_stats stats = {.struct_size = sizeof stats};
    qn_assert_ok(qn_imatrix_collect(r.llm, r.tokenizer, text, sizeof text - 1, path, &options, NULL, &stats));
    assert_true(stats.chunks == 2 && stats.tensors > 20 && stats.idle_experts == 0);
    struct qn_tokens tokens = {0};
    struct watched watched = {0, 0};
    qn_assert_ok(qn_tokenizer_encode(r.tokenizer, text, sizeof text - 1, NULL, &tokens));
    qn_llm_observe(r.llm, watch, &watched);
    for (size_t chunk = 0; chunk < 2; chunk++) {
        tokens.ids[32 * chunk] = qn_tokenizer_role(r.tokenizer, QN_TOKEN_BOS);
        qn_llm_truncate(r.llm, 0);
        qn_assert_ok(qn_llm_eval(r.llm, tokens.ids + 32 * chunk, 32, NULL));
    }
    struct qn_imatrix *imatrix;
    qn_assert_ok(qn_imatrix_open(path, NULL, &imatrix));
    const struct qn_imatrix_entry *entry = qn_imatrix_find(imatrix, QN_STR("blk.1.ffn_down.weight"));
    assert_true(entry && watched.rows == 64 && entry->columns == 640);
    assert_true(fabs((double)entry->means[5] / (watched.sum / 64) - 1) < 1e-5);
    assert_null(qn_imatrix_find(imatrix, QN_STR("output.weight")));
    qn_imatrix_close(imatrix);
    qn_tokens_free(&tokens);
    stop(&r);
    struct qn_convert_keep keeps[] = {{"blk.0.*", QN_DTYPE_Q8_0}, {"attn_v", QN_DTYPE_NONE}};
    struct qn_convert_options quantize = {
        .struct_size = sizeof quantize, .imatrix = path, .keeps = keeps, .keep_count = 2};
    struct qn_convert_stats counted = {.struct_size = sizeof counted};
    qn_assert_ok(qn_quantize(stories(), out, "Q4_0", &quantize, &counted));
    assert_true(counted.weighed > 10);
    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open(out, NULL, &gguf));
    assert_int_equal(qn_gguf_tensor(gguf, QN_STR("blk.0.ffn_up.weight"))->dtype, QN_DTYPE_Q8_0);
    assert_int_equal(qn_gguf_tensor(gguf, QN_STR("blk.1.ffn_up.weight"))->dtype, QN_DTYPE_Q4_0);
    assert_int_equal(qn_gguf_tensor(gguf, QN_STR("blk.1.attn_v.weight"))->dtype, QN_DTYPE_Q8_0); /* as it was */
    assert_non_null(qn_gguf_find(gguf, "quantize.imatrix.file"));
    qn_gguf_close(gguf);
    keeps[0] = (struct qn_convert_keep){"nothing.*", QN_DTYPE_Q8_0};
    qn_assert_fails(qn_quantize(stories(), out, "Q4_0", &quantize, NULL), QN_INVALID_ARGUMENT, "names no tensor");
    keeps[0] = (struct qn_convert_keep){"ffn_down", QN_DTYPE_Q4_K};
    qn_assert_fails(qn_quantize(stories(), out, "Q4_0", &quantize, NULL), QN_INVALID_ARGUMENT, "rows of 640");
    keeps[0] = (struct qn_convert_keep){"attn_q", QN_DTYPE_IQ2_XS};
    qn_assert_fails(qn_quantize(stories(), out, "Q4_0", &quantize, NULL), QN_INVALID_ARGUMENT, "not written");
}

/* ---- two runs ------------------------------------------------------------------------------------------------- */

/* The stories model as f32, one tensor multiplied. */
static const char *make_fault(const char *name, const char *tensor, float factor)
{
    const char *path = qn_test_temp(name);
    qn_assert_ok(qn_quantize(stories(), path, "F32", NULL, NULL));
    qn_test_scale_tensor(path, tensor, factor);
    return path;
}

static struct qn_trace *trace_lm(const char *path)
{
    struct running r = start(path, true);
    struct qn_tokens tokens = {0};
    struct qn_trace *trace;
    qn_assert_ok(qn_trace_create(&trace));
    qn_assert_ok(qn_tokenizer_encode(r.tokenizer, text, 100, NULL, &tokens));
    qn_llm_observe(r.llm, qn_trace_record, trace);
    qn_assert_ok(qn_llm_eval(r.llm, tokens.ids, tokens.count, NULL));
    qn_tokens_free(&tokens);
    stop(&r);
    return trace;
}

static void a_scaled_tensor_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *tensor, *first;
        int32_t layer;
    } rows[] = {
        {"blk.2.ffn_down.weight", "blk.2.ffn_down", 2},
        {"blk.1.attn_norm.weight", "blk.1.attn_norm", 1},
        {"blk.3.attn_v.weight", "blk.3.attn_v", 3},
        {"output_norm.weight", "output_norm", -1},
    };
    char name[64];
    struct qn_trace *whole = trace_lm(make_fault("whole.gguf", "output_norm.weight", 1));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(name, sizeof name, "fault%zu.gguf", i);
        struct qn_trace *faulty = trace_lm(make_fault(name, rows[i].tensor, 1.01f));
        struct qn_trace_result result = {.struct_size = sizeof result};
        qn_assert_ok(qn_trace_compare(whole, faulty, 1e-3, &result));
        assert_true(result.first >= 0 && result.row_count > 40 && result.only_a == 0 && result.only_b == 0);
        const struct qn_trace_row *row = &result.rows[result.first];
        if (strcmp(row->name, rows[i].first) != 0 || row->layer != rows[i].layer)
            fail_msg("%s: found in %s, layer %d", rows[i].tensor, row->name, row->layer);
        assert_true(row->relative > 1e-3 && row->relative < 0.011 && row->max_error > 0);
        qn_trace_destroy(faulty);
    }
    struct qn_trace *again = trace_lm(qn_test_temp("whole.gguf"));
    struct qn_trace_result result = {.struct_size = sizeof result};
    qn_assert_ok(qn_trace_compare(whole, again, 0, &result));
    assert_int_equal(result.first, -1);
    qn_trace_destroy(again);
    qn_trace_destroy(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perplexity_is_as_defined),       cmocka_unit_test(divergence_from_itself_is_nothing),
        cmocka_unit_test(damaged_references_are_refused), cmocka_unit_test(importance_is_the_mean_of_squares),
        cmocka_unit_test(a_scaled_tensor_is_found),
    };
    return cmocka_run_group_tests_name("eval", tests, NULL, NULL);
}

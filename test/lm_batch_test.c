/* What the passes make of every architecture, and several sequences in one step: prompts of different lengths side by
 * side, then one token of each, with their cache rows in no order. Every sequence gets the bits that it gets alone; and
 * so it does from a table of rows that is padded for the longest of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/compiled.h"
#include "format/model_graph.h"
#include "quern/llm.h"
#include "support/testing.h"

enum { SEQUENCES = 3, LONGEST = 22, STEPS = 3, CACHE = 128, CHUNK = 64 };

static const uint32_t lengths[SEQUENCES] = {5, LONGEST - STEPS, 11};

struct batch {
    struct qn_model *model;
    struct qn_lm_config config;
    struct qn_compiled compiled;
    int32_t tokens[SEQUENCES][LONGEST];
    float *alone[SEQUENCES]; /* logits of all tokens of each sequence */
    int32_t row[SEQUENCES][LONGEST];
};

/* Each sequence by itself. */
static void evaluate_alone(struct batch *b)
{
    struct qn_llm_options options = {.struct_size = sizeof options, .kv_dtype = QN_DTYPE_F32, .threads = 1};
    struct qn_llm *llm = NULL;
    qn_assert_ok(qn_llm_create(b->model, &options, &llm));
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        uint32_t count = lengths[s] + STEPS;
        b->alone[s] = malloc(sizeof(float) * count * b->config.vocabulary);
        qn_llm_truncate(llm, 0);
        qn_assert_ok(qn_llm_eval(llm, b->tokens[s], count, b->alone[s]));
    }
    qn_llm_destroy(llm);
}

static struct qn_model *open_model(const char *name)
{
    char path[600];
    struct qn_model *model = NULL;
    snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/models/%s.gguf", name);
    qn_assert_ok(qn_model_open(path, NULL, &model));
    return model;
}

static void setup(struct batch *b, const char *name, const char *passes_off)
{
    uint32_t state = 5;
    memset(b, 0, sizeof *b);
    b->model = open_model(name);
    qn_assert_ok(qn_model_lm_config(b->model, &b->config));
    for (uint32_t s = 0; s < SEQUENCES; s++)
        for (uint32_t i = 0; i < LONGEST; i++) {
            state = state * 1664525u + 1013904223u;
            b->tokens[s][i] = (int32_t)((state >> 9) % b->config.vocabulary);
            b->row[s][i] = (int32_t)((s * LONGEST + i) * 37 % CACHE); /* 37 and 128 share no factor: all differ */
        }
    evaluate_alone(b);
    struct qn_lm_options options = {.chunk = CHUNK,
                                    .sequences = SEQUENCES,
                                    .positions = LONGEST + 9,
                                    .cache_rows = CACHE,
                                    .kv_dtype = QN_DTYPE_F32};
    struct qn_compile_options compile = {.threads = 2, .disabled_passes = passes_off};
    struct qn_graph *graph;
    qn_assert_ok(qn_model_lm_graph(b->model, &b->config, &options, qn_allocator_default(), &graph));
    qn_assert_ok(qn_compiled_init(&b->compiled, graph, b->model, &compile, qn_allocator_default()));
}

static void teardown(struct batch *b)
{
    qn_compiled_deinit(&b->compiled);
    qn_model_close(b->model);
    for (uint32_t s = 0; s < SEQUENCES; s++)
        free(b->alone[s]);
}

/* Tokens [from[s], to[s]) of each sequence in one step, token by token in turn, all logits against those of each
 * sequence alone: to the bit, or (passes off: sums in another order) within 1e-5. */
static void step(struct batch *b, const uint32_t *from, const uint32_t *to, uint32_t padding, bool exact)
{
    int32_t tokens[CHUNK], pos[CHUNK], slot[CHUNK], seq[CHUNK], out_rows[CHUNK], stretch[CHUNK] = {0};
    int32_t rows[SEQUENCES * (LONGEST + 9)] = {0};
    uint32_t count = 0, vocabulary = b->config.vocabulary, longest = 0;
    for (uint32_t s = 0; s < SEQUENCES; s++)
        longest = to[s] > longest ? to[s] : longest;
    longest += padding;
    for (uint32_t s = 0; s < SEQUENCES; s++)
        memcpy(rows + s * longest, b->row[s], to[s] * sizeof *rows);
    for (uint32_t i = 0; i < LONGEST; i++)
        for (uint32_t s = 0; s < SEQUENCES; s++) {
            uint32_t at = from[s] + i;
            if (at >= to[s])
                continue;
            tokens[count] = b->tokens[s][at];
            pos[count] = (int32_t)at;
            slot[count] = b->row[s][at];
            seq[count] = (int32_t)s;
            out_rows[count] = (int32_t)count;
            count++;
        }
    struct qn_exec_tensor inputs[] = {
        {.data = tokens, .rank = 1, .dims = {count}},
        {.data = pos, .rank = 1, .dims = {count}},
        {.data = slot, .rank = 1, .dims = {count}},
        {.data = seq, .rank = 1, .dims = {count}},
        {.data = rows, .rank = 2, .dims = {SEQUENCES, longest}},
        {.data = out_rows, .rank = 1, .dims = {count}},
        {.data = stretch, .rank = 1, .dims = {count}},
    };
    struct qn_exec_tensor output = {0};
    qn_assert_ok(qn_exec_run(b->compiled.exec, inputs, &output, NULL));
    const float *logits = output.data;
    for (uint32_t i = 0; i < count; i++) {
        const float *expected = b->alone[seq[i]] + (size_t)pos[i] * vocabulary;
        for (uint32_t k = 0; k < vocabulary && !exact; k++)
            assert_true(fabs((double)logits[i * vocabulary + k] - (double)expected[k]) <= 1e-4);
        if (exact && memcmp(logits + (size_t)i * vocabulary, expected, vocabulary * sizeof *logits) != 0)
            fail_msg("sequence %d, position %d: other bits in a batch than alone", seq[i], pos[i]);
    }
}

static void run(struct batch *b, bool exact)
{
    uint32_t from[SEQUENCES] = {0}, to[SEQUENCES];
    memcpy(to, lengths, sizeof to);
    step(b, from, to, 0, exact);
    for (uint32_t i = 0; i < STEPS; i++) {
        for (uint32_t s = 0; s < SEQUENCES; s++) {
            from[s] = to[s];
            to[s]++;
        }
        step(b, from, to, i * 4, exact);
    }
}

static void check(void **state)
{
    struct batch b;
    setup(&b, *state, NULL);
    run(&b, true);
    teardown(&b);
    setup(&b, *state, "all");
    run(&b, false);
    teardown(&b);
}

static uint32_t count_op(const struct qn_graph *graph, uint16_t op)
{
    uint32_t count = 0;
    for (qn_node n = 1; n < graph->nodes.count; n++)
        count += qn_graph_node(graph, n)->op == op;
    return count;
}

/* Each layer's attention reads the cache in place, each rotation, norm and gated unit is one node. */
static void check_fused(void **state)
{
    struct qn_model *model = open_model(*state);
    struct qn_lm_config config;
    struct qn_lm_options options = {
        .chunk = 8, .sequences = 1, .positions = 64, .cache_rows = 64, .kv_dtype = QN_DTYPE_F32};
    struct qn_graph *graph;
    qn_assert_ok(qn_model_lm_config(model, &config));
    qn_assert_ok(qn_model_lm_graph(model, &config, &options, qn_allocator_default(), &graph));
    qn_assert_ok(qn_optimise(&graph, NULL, NULL, 0, NULL));
    assert_int_equal(count_op(graph, QN_OP_paged_attention), config.layers);
    uint32_t ropes = count_op(graph, QN_OP_rope);
    assert_true(ropes == 2 * config.layers || (ropes == 0 && qn_str_is(config.arch, "gpt2")));
    assert_true(count_op(graph, QN_OP_rms_norm) + count_op(graph, QN_OP_layer_norm) > config.layers);
    assert_int_equal(count_op(graph, QN_OP_softmax), config.experts ? config.layers : 0);
    static const uint16_t gone[] = {QN_OP_where, QN_OP_iota, QN_OP_rsqrt, QN_OP_erf, QN_OP_transpose, QN_OP_concat};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        assert_int_equal(count_op(graph, gone[i]), 0);
    qn_graph_destroy(graph);
    qn_model_close(model);
}

int main(void)
{
    const char *const names[] = {"llama",    "mistral_window", "mixtral", "qwen2",     "qwen2moe", "qwen3",
                                 "qwen3moe", "gemma",          "gemma2",  "gemma3",    "phi2",     "phi3",
                                 "gptj",     "gptneox",        "gpt2",    "phi3_short"};
    /* what stands beside attention as the rest have it, or in its place */
    const char *const others[] = {"gpt-oss",        "deepseek2",      "deepseek2_joint", "mamba",     "mamba_tied",
                                  "gptneox_serial", "llama_mqa_bias", "llama3",          "llama_yarn"};
    enum { COUNT = sizeof names / sizeof names[0], OTHERS = sizeof others / sizeof others[0] };
    struct CMUnitTest tests[2 * COUNT + OTHERS];
    for (size_t i = 0; i < COUNT; i++) {
        tests[i] = (struct CMUnitTest){names[i], check, NULL, NULL, (void *)(uintptr_t)names[i]};
        tests[COUNT + i] = (struct CMUnitTest){names[i], check_fused, NULL, NULL, (void *)(uintptr_t)names[i]};
    }
    for (size_t i = 0; i < OTHERS; i++)
        tests[2 * COUNT + i] = (struct CMUnitTest){others[i], check, NULL, NULL, (void *)(uintptr_t)others[i]};
    return cmocka_run_group_tests_name("batches of sequences", tests, NULL, NULL);
}

/* The bits of a token's logits do not depend on how many tokens were evaluated beside it, on chunks or on threads: for
 * every weight type, on every instruction set of this machine. The model of the repository is quantised to each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/cpu.h"
#include "quern/llm.h"
#include "quern/model.h"
#include "quern/convert.h"
#include "support/testing.h"

enum {
    COUNT = 48, /* tokens; matmul_test goes to 512 rows, this is about what lies between kernels */
    MAX_TYPES = 64,
    BRIEF_TYPES = 4, /* the floats and a block type, which stands for all that go through the same kernels */
};

/* Plain C is slow and goes the same way for every type: on it one stands for all (matmul_test has the others). */
#define REF_TYPE "Q8_0"

static const struct {
    const char *name;
    uint32_t needs;
} levels[] = {
    {"ref", 0}, {"avx2", QN_CPU_AVX2}, {"avx512", QN_CPU_AVX512}, {"avx512vnni", QN_CPU_AVX512VNNI}, {"native", 0},
};

static void fill(int32_t *tokens, uint32_t vocabulary)
{
    uint32_t state = 99;
    for (size_t i = 0; i < COUNT; i++) {
        state = state * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((state >> 9) % vocabulary);
    }
}

/* Logits of all tokens, given in pieces. */
static float *evaluate(struct qn_model *model, uint32_t threads, uint32_t chunk, size_t piece, size_t *size)
{
    struct qn_llm *llm = NULL;
    struct qn_llm_options options = {.struct_size = sizeof options, .threads = threads, .chunk = chunk};
    struct qn_llm_info info = {.struct_size = sizeof info};
    qn_assert_ok(qn_llm_create(model, &options, &llm));
    qn_llm_get_info(llm, &info);
    int32_t tokens[COUNT];
    fill(tokens, info.vocabulary);
    *size = (size_t)COUNT * info.vocabulary * sizeof(float);
    float *logits = malloc(*size);
    for (size_t done = 0; done < COUNT; done += piece) {
        size_t part = COUNT - done < piece ? COUNT - done : piece;
        qn_assert_ok(qn_llm_eval(llm, tokens + done, part, logits + done * info.vocabulary));
    }
    qn_llm_destroy(llm);
    return logits;
}

static void check_level(struct qn_model *model, const char *type, const char *level)
{
    setenv("QUERN_CPU", level, 1);
    size_t size;
    float *whole = evaluate(model, 1, 512, COUNT, &size);
    const struct {
        uint32_t threads, chunk;
        size_t piece;
    } splits[] = {{2, 512, 1}, {3, 17, COUNT}, {2, 64, 5}};
    size_t split_count = strcmp(level, "ref") == 0 ? 1 : 3; /* plain C is slow */
    for (size_t i = 0; i < split_count; i++) {
        float *other = evaluate(model, splits[i].threads, splits[i].chunk, splits[i].piece, &size);
        if (memcmp(whole, other, size) != 0)
            fail_msg("%s on %s: other bits with threads %u, chunk %u, pieces of %zu", type, level, splits[i].threads,
                     splits[i].chunk, splits[i].piece);
        free(other);
    }
    free(whole);
    unsetenv("QUERN_CPU");
}

static void check_type(void **state)
{
    const char *type = *state, *path = qn_test_temp("invariance.gguf");
    uint32_t features;
    qn_assert_ok(qn_cpu_features(&features));
    struct qn_convert_options options = {.struct_size = sizeof options, .pure = true};
    qn_assert_ok(qn_quantize(qn_test_source("models/quern-stories.gguf"), path, type, &options, NULL));
    struct qn_model *model = NULL;
    qn_assert_ok(qn_model_open(path, NULL, &model));
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i].name, "ref") == 0 && strcmp(type, REF_TYPE) != 0)
            continue;
        if ((features & levels[i].needs) != levels[i].needs) {
            print_message("%s: %s skipped, not on this machine\n", type, levels[i].name);
            continue;
        }
        check_level(model, type, levels[i].name);
    }
    qn_model_close(model);
    remove(path);
}

int main(void)
{
    struct CMUnitTest tests[MAX_TYPES];
    size_t count = 0;
    const char *name, *summary;
    size_t most = qn_test_brief() ? BRIEF_TYPES : MAX_TYPES;
    for (size_t i = 0; (name = qn_convert_type(i, &summary)) && count < most; i++) {
        const char *end = name + strlen(name) - 2; /* the S and L mixes are the same types as M once they are pure */
        if (strcmp(end, "_S") == 0 || strcmp(end, "_L") == 0)
            continue;
        tests[count++] = (struct CMUnitTest){name, check_type, NULL, NULL, (void *)(uintptr_t)name};
    }
    return _cmocka_run_group_tests("row invariance of whole models", tests, count, NULL, NULL);
}

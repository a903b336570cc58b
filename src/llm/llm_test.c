/* The engine around a model: limits, rewinding, shifting, cancelling, page layout. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/llm.h"
#include "quern/tokenizer.h"
#include "support/testing.h"

static struct qn_model *model;

static int open_model(void **state)
{
    (void)state;
    qn_assert_ok(qn_model_open(qn_test_source("test/data/models/llama.gguf"), NULL, &model));
    return 0;
}

/* What other layers keep: states, compressed rows, rows of a window. */
static int open_named(void **state)
{
    char path[100];
    snprintf(path, sizeof path, "test/data/models/%s.gguf", (const char *)*state);
    qn_assert_ok(qn_model_open(qn_test_source(path), NULL, &model));
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    qn_model_close(model);
    return 0;
}

static struct qn_llm *create(struct qn_llm_options options)
{
    struct qn_llm *llm = NULL;
    options.struct_size = sizeof options;
    qn_assert_ok(qn_llm_create(model, &options, &llm));
    return llm;
}

static void fill(int32_t *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tokens[i] = (int32_t)(i * 17 % 61);
}

static void context_limit(void **state)
{
    (void)state;
    struct qn_llm *llm = create((struct qn_llm_options){.context = 10, .threads = 1});
    int32_t tokens[11];
    fill(tokens, 11);
    qn_assert_fails(qn_llm_eval(llm, tokens, 11, NULL), QN_OUT_OF_RANGE, "11 tokens do not fit");
    assert_int_equal(qn_llm_position(llm), 0);
    qn_assert_ok(qn_llm_eval(llm, tokens, 10, NULL));
    qn_assert_fails(qn_llm_eval(llm, tokens, 1, NULL), QN_OUT_OF_RANGE, "the context holds 10 and 10 are in use");
    qn_llm_destroy(llm);
}

static void wrong_token(void **state)
{
    (void)state;
    struct qn_llm *llm = create((struct qn_llm_options){.threads = 1});
    qn_assert_fails(qn_llm_eval(llm, (int32_t[]){1, 61}, 2, NULL), QN_INVALID_ARGUMENT, "token 1 is 61");
    qn_assert_fails(qn_llm_eval(llm, (int32_t[]){-1}, 1, NULL), QN_INVALID_ARGUMENT, "token 0 is -1");
    assert_null(qn_llm_logits(llm));
    qn_llm_destroy(llm);
}

/* Rewinding gives the same bits as never having gone there. */
static void truncate_and_go_on(void **state)
{
    (void)state;
    int32_t tokens[40];
    fill(tokens, 40);
    struct qn_llm *straight = create((struct qn_llm_options){.threads = 2});
    qn_assert_ok(qn_llm_eval(straight, tokens, 40, NULL));
    struct qn_llm *rewound = create((struct qn_llm_options){.threads = 2, .chunk = 9});
    int32_t other[20] = {5, 4, 3, 2, 1};
    qn_assert_ok(qn_llm_eval(rewound, tokens, 25, NULL));
    qn_assert_ok(qn_llm_eval(rewound, other, 20, NULL));
    qn_llm_truncate(rewound, 25);
    qn_assert_ok(qn_llm_eval(rewound, tokens + 25, 15, NULL));
    assert_memory_equal(qn_llm_logits(straight), qn_llm_logits(rewound), 61 * sizeof(float));
    assert_memory_equal(qn_llm_tokens(rewound), tokens, sizeof tokens);
    qn_llm_destroy(straight);
    qn_llm_destroy(rewound);
}

/* After a shift the state is that of the kept tokens alone. */
static void shift(void **state)
{
    (void)state;
    int32_t tokens[30], kept[20];
    fill(tokens, 30);
    memcpy(kept, tokens, 4 * sizeof *kept);
    memcpy(kept + 4, tokens + 14, 16 * sizeof *kept);
    struct qn_llm *shifted = create((struct qn_llm_options){.threads = 1}),
                  *fresh = create((struct qn_llm_options){.threads = 1});
    qn_assert_ok(qn_llm_eval(shifted, tokens, 30, NULL));
    qn_assert_ok(qn_llm_shift(shifted, 4, 10));
    qn_assert_ok(qn_llm_eval(fresh, kept, 20, NULL));
    assert_int_equal(qn_llm_position(shifted), 20);
    assert_memory_equal(qn_llm_logits(shifted), qn_llm_logits(fresh), 61 * sizeof(float));
    qn_assert_fails(qn_llm_shift(shifted, 15, 6), QN_INVALID_ARGUMENT, "cannot keep 15 and drop 6 of 20");
    qn_llm_destroy(shifted);
    qn_llm_destroy(fresh);
}

static void cancel(void **state)
{
    (void)state;
    int32_t tokens[20];
    fill(tokens, 20);
    struct qn_llm *llm = create((struct qn_llm_options){.threads = 2});
    qn_llm_cancel(llm);
    qn_assert_fails(qn_llm_eval(llm, tokens, 20, NULL), QN_CANCELLED, NULL);
    assert_int_equal(qn_llm_position(llm), 0);
    qn_assert_ok(qn_llm_eval(llm, tokens, 20, NULL)); /* a cancellation counts once */
    qn_llm_destroy(llm);
}

/* A step that did not come to its end leaves nothing behind. */
static void go_on_after_cancel(void **state)
{
    (void)state;
    int32_t tokens[40];
    fill(tokens, 40);
    struct qn_llm *straight = create((struct qn_llm_options){.threads = 1}),
                  *stopped = create((struct qn_llm_options){.threads = 2});
    qn_assert_ok(qn_llm_eval(straight, tokens, 40, NULL));
    qn_assert_ok(qn_llm_eval(stopped, tokens, 23, NULL));
    qn_llm_cancel(stopped);
    qn_assert_fails(qn_llm_eval(stopped, tokens, 9, NULL), QN_CANCELLED, NULL);
    assert_int_equal(qn_llm_position(stopped), 23);
    qn_assert_ok(qn_llm_eval(stopped, tokens + 23, 17, NULL));
    assert_memory_equal(qn_llm_logits(straight), qn_llm_logits(stopped), 61 * sizeof(float));
    qn_llm_destroy(straight);
    qn_llm_destroy(stopped);
}

/* Which rows of the cache a sequence lives in makes no difference, for each type of the cache. */
static void page_layout(void **state)
{
    (void)state;
    const qn_dtype kinds[] = {QN_DTYPE_F32, QN_DTYPE_F16, QN_DTYPE_Q8_0};
    int32_t tokens[180];
    fill(tokens, 180);
    for (size_t i = 0; i < 3; i++) {
        struct qn_model *wide = NULL; /* q8_0 needs heads of whole blocks of 32 */
        qn_assert_ok(qn_model_open(qn_test_source("models/quern-stories.gguf"), NULL, &wide));
        struct qn_llm *llm[2];
        for (size_t k = 0; k < 2; k++) {
            struct qn_llm_options options = {
                .struct_size = sizeof options, .context = 256, .kv_dtype = kinds[i], .threads = 2};
            qn_assert_ok(qn_llm_create(wide, &options, &llm[k]));
        }
        uint32_t *pages = llm[1]->pages.free; /* taken from the end */
        assert_int_equal(llm[1]->pages.free_count, 4);
        const uint32_t shuffled[] = {1, 3, 0, 2};
        memcpy(pages, shuffled, sizeof shuffled);
        for (size_t k = 0; k < 2; k++)
            qn_assert_ok(qn_llm_eval(llm[k], tokens, 180, NULL));
        assert_memory_equal(qn_llm_logits(llm[0]), qn_llm_logits(llm[1]), llm[0]->config.vocabulary * sizeof(float));
        for (size_t k = 0; k < 2; k++)
            qn_llm_destroy(llm[k]);
        qn_model_close(wide);
    }
}

static void wrong_options(void **state)
{
    (void)state;
    struct qn_llm *llm = NULL;
    struct qn_llm_options options = {.struct_size = sizeof options, .kv_dtype = QN_DTYPE_Q4_0};
    qn_assert_fails(qn_llm_create(model, &options, &llm), QN_INVALID_ARGUMENT, "expected f32, f16 or q8_0");
    options.kv_dtype = QN_DTYPE_Q8_0;
    qn_assert_fails(qn_llm_create(model, &options, &llm), QN_INVALID_ARGUMENT, "multiple of 32, this model's is 8");
    options.kv_dtype = QN_DTYPE_NONE;
    options.disabled_passes = "nonsense";
    qn_assert_fails(qn_llm_create(model, &options, &llm), QN_INVALID_ARGUMENT, "nonsense");
    options.struct_size = 0;
    qn_assert_fails(qn_llm_create(model, &options, &llm), QN_INVALID_ARGUMENT, "struct_size");
}

static qn_status create_and_run(const struct qn_allocator *allocator, void *context)
{
    (void)context;
    struct qn_llm_options options = {.struct_size = sizeof options, .threads = 2, .allocator = allocator};
    struct qn_llm *llm = NULL;
    qn_status status = qn_llm_create(model, &options, &llm);
    if (!status)
        status = qn_llm_eval(llm, (int32_t[]){1, 2, 3}, 3, NULL);
    qn_llm_destroy(llm);
    return status;
}

static void every_allocation(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(create_and_run, NULL) > 20);
}

static void some_allocations(void **state)
{
    (void)state;
    assert_true(qn_test_some_allocations(create_and_run, NULL) > 20);
}

/* Once a qn_llm stands, evaluating takes no memory: checked by an allocator that would count it. */
static void runs_allocate_nothing(void **state)
{
    (void)state;
    struct qn_test_allocator counter;
    qn_test_allocator_init(&counter, 0);
    struct qn_llm_options options = {.struct_size = sizeof options, .threads = 2, .allocator = &counter.allocator};
    struct qn_llm *llm = NULL;
    qn_assert_ok(qn_llm_create(model, &options, &llm));
    int32_t tokens[40];
    fill(tokens, 40);
    qn_assert_ok(qn_llm_eval(llm, tokens, 40, NULL));
    uint64_t before = counter.requests;
    qn_llm_truncate(llm, 0);
    for (size_t i = 0; i < 40; i++)
        qn_assert_ok(qn_llm_eval(llm, tokens + i, 1, NULL));
    assert_int_equal(counter.requests, before);
    qn_llm_destroy(llm);
    qn_test_allocator_done(&counter);
}

/* Several conversations over one model at once. */
static void *talk(void *context)
{
    struct qn_llm *llm = context;
    int32_t tokens[40];
    fill(tokens, 40);
    qn_status status = qn_llm_eval(llm, tokens, 40, NULL);
    return status;
}

static void many_at_once(void **state)
{
    (void)state;
    struct qn_llm *llm[3];
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        llm[i] = create((struct qn_llm_options){.threads = 2});
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, talk, llm[i]), 0);
    for (size_t i = 0; i < 3; i++) {
        void *status;
        pthread_join(threads[i], &status);
        qn_assert_ok(status);
    }
    for (size_t i = 1; i < 3; i++)
        assert_memory_equal(qn_llm_logits(llm[0]), qn_llm_logits(llm[i]), 61 * sizeof(float));
    for (size_t i = 0; i < 3; i++)
        qn_llm_destroy(llm[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_limit),
        cmocka_unit_test(wrong_token),
        cmocka_unit_test(truncate_and_go_on),
        cmocka_unit_test(shift),
        cmocka_unit_test(cancel),
        cmocka_unit_test(page_layout),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(every_allocation),
        cmocka_unit_test(runs_allocate_nothing),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(go_on_after_cancel),
    };
    int failures = cmocka_run_group_tests_name("llm", tests, open_model, close_model);
    static const char *const others[] = {"mamba", "deepseek2", "gpt-oss"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        void *name = (void *)(uintptr_t)others[i];
#define NAMED(test)                                \
    {                                              \
#test, test, open_named, close_model, name \
    }
        const struct CMUnitTest moved[] = {NAMED(truncate_and_go_on), NAMED(shift), NAMED(go_on_after_cancel),
                                           NAMED(runs_allocate_nothing), NAMED(some_allocations)};
#undef NAMED
        failures += cmocka_run_group_tests_name(others[i], moved, NULL, NULL);
    }
    return failures;
}

#include "quern/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/testing.h"
#include "text/sampler/weight.h"

/* ---- weights and random numbers ------------------------------------------------------------------------------- */

static void weights_are_exponentials(void **state)
{
    (void)state;
    assert_true(qn_weight(0) == (uint64_t)1 << QN_WEIGHT_BITS);
    assert_true(qn_weight(-30) == 0 && qn_weight(-INFINITY) == 0 && qn_weight(-1e300) == 0 && qn_weight(NAN) == 0);
    uint64_t last = qn_weight(0);
    for (double x = -0.001; x > -29; x -= 0.00137) {
        uint64_t weight = qn_weight(x);
        double expected = exp(x) * 0x1p42;
        assert_true(fabs((double)weight - expected) <= 1 + expected * 1e-9);
        assert_true(weight <= last);
        last = weight;
    }
    /* the same bits everywhere: tools/text/sampler_golden.py has them too */
    assert_true(qn_weight(-1) == 1617950892930u);
    assert_true(qn_weight(-0.1) == 3979517050065u);
    assert_true(qn_weight(-13.37) == 6866613u);
}

/* The first numbers of xoshiro256** seeded with splitmix64(0), as its authors' reference code gives them. */
static void random_numbers_are_the_published_ones(void **state)
{
    (void)state;
    struct qn_random random;
    qn_random_seed(&random, 0);
    assert_true(random.state[0] == 0xe220a8397b1dcdafu && random.state[1] == 0x6e789e6aa1b965f4u);
    assert_true(qn_random_next(&random) == 0x99ec5f36cb75f2b4u);
    assert_true(qn_random_next(&random) == 0xbf6e1f784956452au);
}

/* ---- sampling ------------------------------------------------------------------------------------------------- */

static struct qn_sampler *make(struct qn_sampler_options options, uint32_t vocabulary)
{
    struct qn_sampler *sampler;
    options.struct_size = sizeof options;
    qn_assert_ok(qn_sampler_create(&options, vocabulary, NULL, &sampler));
    return sampler;
}

static int32_t sample(struct qn_sampler *sampler, const float *logits, uint32_t count)
{
    int32_t token = -1;
    qn_assert_ok(qn_sampler_sample(sampler, logits, count, &token));
    assert_true(token >= 0 && (uint32_t)token < count);
    return token;
}

/* How often each of `count` tokens is drawn in `draws` draws. */
static void count_draws(struct qn_sampler *sampler, const float *logits, uint32_t count, int draws, int *counts)
{
    memset(counts, 0, count * sizeof *counts);
    for (int i = 0; i < draws; i++)
        counts[sample(sampler, logits, count)]++;
}

static void greedy_takes_the_lowest_id_of_equals(void **state)
{
    (void)state;
    const float logits[] = {1, 5, -INFINITY, 5, 4};
    struct qn_sampler *s = make((struct qn_sampler_options){0}, 5);
    assert_int_equal(sample(s, logits, 5), 1);
    assert_int_equal(sample(s, logits, 1), 0);
    qn_sampler_free(s);
    qn_assert_ok(qn_sampler_create(NULL, 5, NULL, &s));
    assert_int_equal(sample(s, logits, 5), 1);
    qn_sampler_free(s);
}

static void temperature_shapes_the_odds(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    const float logits[] = {2, 1, 0, -INFINITY};
    int counts[4];
    for (int k = 1; k <= 3; k++) {
        double temperature = k * 0.5, sum = 0;
        struct qn_sampler *s = make((struct qn_sampler_options){.temperature = (float)temperature, .seed = 3}, 4);
        count_draws(s, logits, 4, DRAWS, counts);
        for (int i = 0; i < 3; i++)
            sum += exp(logits[i] / temperature);
        for (int i = 0; i < 3; i++) {
            double p = exp(logits[i] / temperature) / sum;
            assert_true(fabs(counts[i] - DRAWS * p) < 4.5 * sqrt(DRAWS * p * (1 - p)));
        }
        assert_int_equal(counts[3], 0);
        qn_sampler_free(s);
    }
}

static void top_k_top_p_and_min_p_cut_the_tail(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    /* probabilities 0.4 0.3 0.2 0.1, shuffled; ids 4 and 5 equal the last */
    const float logits[] = {logf(0.1f), logf(0.3f), logf(0.4f), logf(0.2f), -INFINITY, -INFINITY};
    const struct {
        struct qn_sampler_options options;
        int allowed; /* bits by id */
    } cases[] = {
        {{.top_k = 1}, 1 << 2},
        {{.top_k = 2}, 1 << 2 | 1 << 1},
        {{.top_k = 3}, 1 << 2 | 1 << 1 | 1 << 3},
        {{.top_k = 100}, 15},
        {{.top_p = 0.3f}, 1 << 2},
        {{.top_p = 0.5f}, 1 << 2 | 1 << 1},
        {{.top_p = 0.85f}, 1 << 2 | 1 << 1 | 1 << 3},
        {{.top_p = 1}, 15},
        {{.min_p = 0.7f}, 1 << 2 | 1 << 1},
        {{.min_p = 0.3f}, 1 << 2 | 1 << 1 | 1 << 3},
        {{.min_p = 1}, 1 << 2},
        {{.top_k = 3, .top_p = 0.7f}, 1 << 2 | 1 << 1}, /* of 0.9: 0.63 */
        {{.top_k = 3, .min_p = 0.7f}, 1 << 2 | 1 << 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qn_sampler_options options = cases[i].options;
        options.temperature = 1.5f; /* the cuts are made before it */
        options.seed = i;
        struct qn_sampler *s = make(options, 6);
        int counts[6], seen = 0;
        count_draws(s, logits, 6, DRAWS, counts);
        for (int k = 0; k < 6; k++)
            seen |= (counts[k] > 0) << k;
        assert_int_equal(seen, cases[i].allowed);
        qn_sampler_free(s);
    }
}

/* Partial selection agrees with sorting everything. */
static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void top_k_of_many(void **state)
{
    (void)state;
    enum { COUNT = 5000, K = 37 };
    static float logits[COUNT], sorted[COUNT];
    uint64_t seed = 9;
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        logits[i] = sorted[i] = (float)(seed >> 44) / 1000.0f; /* with equals among them */
    }
    qsort(sorted, COUNT, sizeof *sorted, compare_floats);
    struct qn_sampler *s = make((struct qn_sampler_options){.temperature = 1e5f, .top_k = K, .seed = 1}, COUNT);
    bool seen[COUNT] = {0};
    int kinds = 0;
    for (int i = 0; i < 2000; i++) {
        int32_t token = sample(s, logits, COUNT);
        assert_true(logits[token] >= sorted[K - 1]);
        kinds += !seen[token];
        seen[token] = true;
    }
    assert_int_equal(kinds, K);
    qn_sampler_free(s);
}

static void penalties_look_back(void **state)
{
    (void)state;
    const float logits[] = {3, 2.5f, -1, -2};
    struct qn_sampler *s = make((struct qn_sampler_options){.repeat_penalty = 1.5f, .repeat_last_n = 2}, 4);
    assert_int_equal(sample(s, logits, 4), 0);
    qn_assert_ok(qn_sampler_accept(s, 0));
    assert_int_equal(sample(s, logits, 4), 1); /* 3 / 1.5 = 2 */
    qn_assert_ok(qn_sampler_accept(s, 1));
    assert_int_equal(sample(s, logits, 4), 0); /* 2 against 1.67 */
    qn_assert_ok(qn_sampler_accept(s, 2));
    qn_assert_ok(qn_sampler_accept(s, 3));
    assert_int_equal(sample(s, logits, 4), 0); /* 0 and 1 are forgotten */
    const float low[] = {-1, -1.4f};
    qn_sampler_reset(s, 0);
    qn_assert_ok(qn_sampler_accept(s, 0));
    assert_int_equal(sample(s, low, 2), 1); /* -1 * 1.5 = -1.5 */
    qn_sampler_free(s);

    s = make((struct qn_sampler_options){.frequency_penalty = 0.2f, .repeat_last_n = -1}, 4);
    for (int i = 0; i < 2; i++)
        qn_assert_ok(qn_sampler_accept(s, 0));
    assert_int_equal(sample(s, logits, 4), 0); /* 3 - 2 * 0.2 = 2.6 */
    qn_assert_ok(qn_sampler_accept(s, 0));
    assert_int_equal(sample(s, logits, 4), 1); /* 2.4 */
    qn_sampler_free(s);

    s = make((struct qn_sampler_options){.presence_penalty = 0.6f}, 4);
    qn_assert_ok(qn_sampler_accept(s, 0));
    assert_int_equal(sample(s, logits, 4), 1);
    qn_assert_fails(qn_sampler_accept(s, 4), QN_INVALID_ARGUMENT, "token 4");
    qn_sampler_free(s);
}

/* The window against a plain recount. */
static void the_window_slides(void **state)
{
    (void)state;
    enum { VOCABULARY = 7, WINDOW = 5, STEPS = 400 };
    int32_t history[STEPS];
    uint64_t seed = 4;
    struct qn_sampler *s =
        make((struct qn_sampler_options){.frequency_penalty = 1, .repeat_last_n = WINDOW}, VOCABULARY);
    for (int i = 0; i < STEPS; i++) {
        float logits[VOCABULARY], expected[VOCABULARY];
        int32_t best = 0;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        history[i] = (int32_t)((seed >> 33) % VOCABULARY);
        qn_assert_ok(qn_sampler_accept(s, history[i]));
        for (int k = 0; k < VOCABULARY; k++)
            expected[k] = logits[k] = (float)((seed >> (k * 7)) % 8) / 2;
        for (int k = i; k > i - WINDOW && k >= 0; k--)
            expected[history[k]] -= 1;
        for (int k = 1; k < VOCABULARY; k++)
            best = expected[k] > expected[best] ? k : best;
        assert_int_equal(sample(s, logits, VOCABULARY), best);
    }
    qn_sampler_free(s);
}

static void biases_add_up(void **state)
{
    (void)state;
    const float logits[] = {3, 2, 1};
    const struct qn_logit_bias biases[] = {{0, -INFINITY}, {2, 1}, {2, 0.5f}};
    struct qn_sampler *s = make((struct qn_sampler_options){.biases = biases, .bias_count = 3}, 3);
    assert_int_equal(sample(s, logits, 3), 2);
    assert_int_equal(sample(s, logits, 2), 1); /* a bias for what is not there */
    qn_sampler_free(s);
}

static void seeds_repeat_and_differ(void **state)
{
    (void)state;
    enum { COUNT = 1000, DRAWS = 50 };
    static float logits[COUNT];
    int32_t first[DRAWS];
    int equal = 0;
    for (int i = 0; i < COUNT; i++)
        logits[i] = (float)(i % 17) / 8;
    struct qn_sampler *a = make((struct qn_sampler_options){.temperature = 1, .top_p = 0.9f, .seed = 42}, COUNT);
    struct qn_sampler *b = make((struct qn_sampler_options){.temperature = 1, .top_p = 0.9f, .seed = 43}, COUNT);
    for (int i = 0; i < DRAWS; i++) {
        first[i] = sample(a, logits, COUNT);
        equal += first[i] == sample(b, logits, COUNT);
    }
    assert_true(equal < DRAWS / 5);
    qn_sampler_reset(a, 42);
    for (int i = 0; i < DRAWS; i++)
        assert_int_equal(sample(a, logits, COUNT), first[i]);
    static const int32_t golden[] = {84, 373, 675, 925, 993, 763, 712, 847}; /* by tools/text/sampler_golden.py */
    for (int i = 0; i < 8; i++)
        assert_int_equal(first[i], golden[i]);
    qn_sampler_free(a);
    qn_sampler_free(b);
}

static void bad_input_is_named(void **state)
{
    (void)state;
    struct qn_sampler *s = NULL;
    struct qn_sampler_options options = {.struct_size = sizeof options, .temperature = -1};
    qn_assert_fails(qn_sampler_create(&options, 3, NULL, &s), QN_INVALID_ARGUMENT, "temperature is -1");
    options.temperature = NAN;
    qn_assert_fails(qn_sampler_create(&options, 3, NULL, &s), QN_INVALID_ARGUMENT, "temperature");
    options = (struct qn_sampler_options){.struct_size = sizeof options, .top_p = 1.5f};
    qn_assert_fails(qn_sampler_create(&options, 3, NULL, &s), QN_INVALID_ARGUMENT, "top_p is 1.5");
    options = (struct qn_sampler_options){.struct_size = sizeof options, .repeat_last_n = -2};
    qn_assert_fails(qn_sampler_create(&options, 3, NULL, &s), QN_INVALID_ARGUMENT, "repeat_last_n is -2");
    options = (struct qn_sampler_options){.temperature = 1};
    qn_assert_fails(qn_sampler_create(&options, 3, NULL, &s), QN_INVALID_ARGUMENT, "struct_size");
    qn_assert_fails(qn_sampler_create(NULL, 0, NULL, &s), QN_INVALID_ARGUMENT, "vocabulary of 0");
    const struct qn_logit_bias bias = {3, 1}, endless = {0, INFINITY};
    options = (struct qn_sampler_options){.struct_size = sizeof options, .biases = &bias, .bias_count = 1};
    qn_assert_fails(qn_sampler_create(&options, 3, NULL, &s), QN_INVALID_ARGUMENT, "bias for token 3");
    options.biases = &endless;
    qn_assert_fails(qn_sampler_create(&options, 3, NULL, &s), QN_INVALID_ARGUMENT, "bias of token 0");

    s = make((struct qn_sampler_options){.temperature = 1}, 3);
    int32_t token;
    float logits[] = {1, NAN, 2};
    qn_assert_fails(qn_sampler_sample(s, logits, 3, &token), QN_INVALID_ARGUMENT, "token 1 is NaN");
    logits[1] = INFINITY;
    qn_assert_fails(qn_sampler_sample(s, logits, 3, &token), QN_INVALID_ARGUMENT, "token 1 is +infinity");
    logits[0] = logits[1] = logits[2] = -INFINITY;
    qn_assert_fails(qn_sampler_sample(s, logits, 3, &token), QN_INVALID_ARGUMENT, "no token can be chosen");
    qn_assert_fails(qn_sampler_sample(s, logits, 4, &token), QN_INVALID_ARGUMENT, "4 logits");
    qn_assert_fails(qn_sampler_sample(s, logits, 0, &token), QN_INVALID_ARGUMENT, "0 logits");
    qn_sampler_free(s);
}

static qn_status use(const struct qn_allocator *allocator, void *context)
{
    (void)context;
    const struct qn_logit_bias bias = {1, 2};
    struct qn_sampler_options options = {
        .struct_size = sizeof options, .temperature = 1, .repeat_penalty = 2, .biases = &bias, .bias_count = 1};
    const float logits[] = {1, 2, 3};
    struct qn_sampler *s = NULL;
    int32_t token;
    qn_status status = qn_sampler_create(&options, 50000, allocator, &s);
    if (!status)
        status = qn_sampler_sample(s, logits, 3, &token);
    qn_sampler_free(s);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(use, NULL) >= 3);
}

static void sampling_takes_no_memory(void **state)
{
    (void)state;
    struct qn_test_allocator allocator;
    struct qn_sampler_options options = {.struct_size = sizeof options,
                                         .temperature = 1,
                                         .top_k = 3,
                                         .top_p = 0.9f,
                                         .min_p = 0.1f,
                                         .repeat_penalty = 1.1f};
    const float logits[] = {1, 2, 3, 4, 5, 6};
    struct qn_sampler *s;
    qn_test_allocator_init(&allocator, 0);
    qn_assert_ok(qn_sampler_create(&options, 6, &allocator.allocator, &s));
    uint64_t before = allocator.requests;
    for (int i = 0; i < 100; i++)
        qn_assert_ok(qn_sampler_accept(s, sample(s, logits, 6)));
    assert_int_equal(allocator.requests, before);
    qn_sampler_free(s);
    qn_test_allocator_done(&allocator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_exponentials),
        cmocka_unit_test(random_numbers_are_the_published_ones),
        cmocka_unit_test(greedy_takes_the_lowest_id_of_equals),
        cmocka_unit_test(temperature_shapes_the_odds),
        cmocka_unit_test(top_k_top_p_and_min_p_cut_the_tail),
        cmocka_unit_test(top_k_of_many),
        cmocka_unit_test(penalties_look_back),
        cmocka_unit_test(the_window_slides),
        cmocka_unit_test(biases_add_up),
        cmocka_unit_test(seeds_repeat_and_differ),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(sampling_takes_no_memory),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}

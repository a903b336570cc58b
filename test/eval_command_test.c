/* `quern perplexity`, `--kl-base` and `quern imatrix` as a person runs them, on the small trained model. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "support/run_quern.h"
#include "support/testing.h"

static const char text[] =
    "Once there was a small rabbit who lived in a cosy burrow under a hill. One day the rabbit and his friend wanted "
    "to go to the beach, but it was raining hard. Big drops ran down the window. Then the friend had an idea. They "
    "made a ship out of chairs, and all afternoon they sailed over the carpet to far lands.";

static struct qn_arena arena;

static int set_up(void **state)
{
    (void)state;
    qn_arena_init(&arena, NULL);
    qn_test_write_file(qn_test_temp("text.txt"), text, sizeof text - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    qn_arena_deinit(&arena);
    return 0;
}

/* What a command prints with --json. */
static const struct qn_json *run_json(const char *arguments)
{
    const char *output;
    const struct qn_json *root;
    size_t size;
    assert_int_equal(qn_test_run_quern(&output, &size, "%s --json -q", arguments), 0);
    char *kept = qn_arena_alloc(&arena, size + 1, 1);
    memcpy(kept, output, size);
    qn_assert_ok(qn_json_read((struct qn_str){kept, size}, NULL, &arena, &root));
    return root;
}

static double number(const struct qn_json *object, const char *key)
{
    const struct qn_json *value = qn_json_member(object, key);
    assert_non_null(value);
    return value->kind == QN_JSON_INT ? (double)value->integer : value->number;
}

static const char *stories(void)
{
    return qn_test_source("models/quern-stories.gguf");
}

static void a_text_is_scored(void **state)
{
    (void)state;
    char line[1024];
    const char *output;
    snprintf(line, sizeof line, "perplexity '%s' -f '%s' -c 32 --chunks 2 -t 1", stories(), qn_test_temp("text.txt"));
    const struct qn_json *root = run_json(line);
    double value = number(root, "perplexity"), error = number(root, "error");
    assert_true(value > 1.5 && value < 60 && error > 0 && error < value);
    assert_true(number(root, "tokens") == 30 && number(root, "chunks") == 2);
    assert_null(qn_json_member(root, "kl_divergence"));
    assert_int_equal(qn_test_run_quern(&output, NULL, "perplexity '%s' -f - -c 32 --chunks 2 -t 2 -q < '%s'", stories(),
                                       qn_test_temp("text.txt")),
                     0);
    char shown[64];
    snprintf(shown, sizeof shown, "perplexity      %.4f ± %.5f", value, error); /* however many threads */
    assert_non_null(strstr(output, shown));
}

static void divergence_from_a_base(void **state)
{
    (void)state;
    char line[1024];
    const char *base = qn_test_temp("base.kl"), *small = qn_test_temp("q2.gguf"), *output;
    static const char *const words[] = {"KL mean", "KL median", "KL p99", "KL max", "same top token", "of the base"};
    snprintf(line, sizeof line, "perplexity '%s' -f '%s' -c 32 --chunks 2 -t 2 --save-kl '%s'", stories(),
             qn_test_temp("text.txt"), base);
    double value = number(run_json(line), "perplexity");
    snprintf(line, sizeof line, "perplexity '%s' --kl-base '%s' -t 2", stories(), base);
    const struct qn_json *same = run_json(line);
    assert_true(number(same, "perplexity") == value && number(same, "same_top") == 1);
    assert_true(number(qn_json_member(same, "kl_divergence"), "max") < 1e-3);
    assert_int_equal(qn_test_run_quern(&output, NULL, "quantize '%s' -o '%s' Q2_K -q", stories(), small), 0);
    snprintf(line, sizeof line, "perplexity '%s' --kl-base '%s' -t 2", small, base);
    const struct qn_json *other = run_json(line), *kl = qn_json_member(other, "kl_divergence");
    assert_true(number(kl, "mean") > 0.01 && number(kl, "error") > 0);
    assert_true(number(kl, "max") >= number(kl, "p99") && number(kl, "p99") > number(kl, "mean"));
    assert_true(number(other, "same_top") < 1 && number(other, "same_top") > 0.2 &&
                number(other, "tokens") == number(same, "tokens"));
    assert_int_equal(qn_test_run_quern(&output, NULL, "%s -q", line), 0);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_non_null(strstr(output, words[i]));
}

static void a_matrix_is_collected_and_used(void **state)
{
    (void)state;
    char line[1024];
    const char *matrix = qn_test_temp("stories.imatrix.gguf"), *output;
    snprintf(line, sizeof line, "imatrix '%s' -f '%s' -o '%s' -c 32 --chunks 2 -t 2", stories(),
             qn_test_temp("text.txt"), matrix);
    const struct qn_json *made = run_json(line);
    assert_true(number(made, "tensors") > 20 && number(made, "chunks") == 2 && number(made, "idle_experts") == 0);
    snprintf(line, sizeof line, "quantize '%s' -o '%s' IQ4_NL --imatrix '%s' --error", stories(),
             qn_test_temp("weighed.gguf"), matrix);
    const struct qn_json *used = run_json(line);
    assert_true(number(used, "weighed") > 20 && number(used, "error") > 0.01 && number(used, "error") < 0.2);
    assert_int_equal(qn_test_run_quern(&output, NULL, "quantize '%s' -o '%s' Q4_0 -q --imatrix '%s' 2>&1", stories(),
                                       qn_test_temp("never.gguf"), qn_test_temp("text.txt")),
                     3);
    assert_non_null(strstr(output, "no importance matrix"));
}

static void mistakes_are_told(void **state)
{
    (void)state;
    const char *output;
    assert_int_equal(qn_test_run_quern(&output, NULL, "perplexity '%s' 2>&1", stories()), 2);
    assert_non_null(strstr(output, "--kl-base"));
    assert_int_equal(qn_test_run_quern(&output, NULL, "imatrix '%s' -f x 2>&1", stories()), 2);
    assert_non_null(strstr(output, "--output"));
    assert_int_equal(
        qn_test_run_quern(&output, NULL, "perplexity '%s' -f '%s' -q 2>&1", stories(), qn_test_temp("text.txt")), 2);
    assert_non_null(strstr(output, "take a longer text"));
    assert_int_equal(
        qn_test_run_quern(&output, NULL, "perplexity '%s' --kl-base '%s' -q 2>&1", stories(), qn_test_temp("text.txt")),
        3);
    assert_non_null(strstr(output, "text.txt"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_scored),
        cmocka_unit_test(divergence_from_a_base),
        cmocka_unit_test(a_matrix_is_collected_and_used),
        cmocka_unit_test(mistakes_are_told),
    };
    return cmocka_run_group_tests_name("eval_command", tests, set_up, tear_down);
}

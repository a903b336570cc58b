/* `quern run`, `chat` and `bench` as a person runs them, on the model of the repository. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "quern/llm.h"
#include "quern/model.h"
#include "support/run_quern.h"
#include "support/testing.h"

static const char *output;

#define MODEL QN_SOURCE_DIR "/models/quern-stories.gguf"

static void assert_shown(const char *text)
{
    if (!strstr(output, text))
        fail_msg("'%s' is not shown in:\n%s", text, output);
}

static void same_seed_same_story(void **state)
{
    (void)state;
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -p 'Once upon a time' -s 5 -n 60 -q", MODEL), 0);
    assert_true(strncmp(output, "Once upon a time", 16) == 0);
    char *first = strdup(output);
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -p 'Once upon a time' -s 5 -n 60 -q -t 1", MODEL), 0);
    assert_string_equal(first, output);
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -p 'Once upon a time' -s 5 -n 60 -q -b 2", MODEL), 0);
    assert_string_equal(first, output);
    free(first);
}

static void ten_seeds_ten_stories(void **state)
{
    (void)state;
    char *stories[10];
    for (int seed = 0; seed < 10; seed++) {
        size_t size;
        assert_int_equal(qn_test_run_quern(&output, &size, "run %s -p 'Once upon a time' -s %d -q", MODEL, seed), 0);
        assert_in_range(size, 200, 4000); /* a story that ends by itself */
        stories[seed] = strdup(output);
        for (int other = 0; other < seed; other++)
            assert_string_not_equal(stories[seed], stories[other]);
    }
    for (int seed = 0; seed < 10; seed++)
        free(stories[seed]);
}

static void prompt_from_stdin_and_file(void **state)
{
    (void)state;
    const char *file = qn_test_temp("prompt.txt");
    qn_test_write_file(file, "Once upon a time", 16);
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -p 'Once upon a time' -s 5 -n 20 -q", MODEL), 0);
    char *first = strdup(output);
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -f %s -s 5 -n 20 -q", MODEL, file), 0);
    assert_string_equal(first, output);
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -s 5 -n 20 -q < %s", MODEL, file), 0);
    assert_string_equal(first, output);
    free(first);
}

static void stop_strings_are_not_shown(void **state)
{
    (void)state;
    assert_int_equal(
        qn_test_run_quern(&output, NULL, "run %s -p 'Once upon a time' -s 5 --no-echo --stop '.' -q", MODEL), 0);
    assert_null(strchr(output, '.'));
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -p 'Once upon a time' -s 5 --stop '.' --json -q", MODEL),
                     0);
    assert_shown("\"finish\": \"stop\"");
}

static void json_is_valid(void **state)
{
    (void)state;
    size_t size;
    assert_int_equal(
        qn_test_run_quern(&output, &size, "run %s -p 'Once \"upon\"' -s 5 -n 12 --json --stats 2>/dev/null", MODEL), 0);
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    const struct qn_json *root = NULL;
    qn_assert_ok(qn_json_read((struct qn_str){output, size}, NULL, &arena, &root));
    qn_arena_deinit(&arena);
    assert_shown("\"generated_tokens\": 12");
    assert_shown("\"finish\": \"length\"");
}

/* The logits file holds what the library computes. */
static void logits_file(void **state)
{
    (void)state;
    const char *path = qn_test_temp("logits.npy");
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s --tokens 1,20,300 --logits %s --kv f32 -q", MODEL, path),
                     0);
    struct qn_test_npy npy;
    qn_test_npy_read(path, &npy);
    assert_int_equal(npy.rank, 2);
    assert_int_equal(npy.dims[0], 3);
    struct qn_model *model = NULL;
    struct qn_llm *llm = NULL;
    struct qn_llm_options options = {.struct_size = sizeof options, .kv_dtype = QN_DTYPE_F32};
    qn_assert_ok(qn_model_open(MODEL, NULL, &model));
    qn_assert_ok(qn_llm_create(model, &options, &llm));
    float *logits = malloc(npy.count * sizeof *logits);
    qn_assert_ok(qn_llm_eval(llm, (int32_t[]){1, 20, 300}, 3, logits));
    assert_memory_equal(logits, npy.data, npy.count * sizeof *logits);
    free(logits);
    qn_llm_destroy(llm);
    qn_model_close(model);
    qn_test_npy_free(&npy);
}

static void exit_codes(void **state)
{
    (void)state;
    const struct {
        const char *arguments, *words;
        int code;
    } cases[] = {
        {"run", "MODEL", 2},
        {"run no-such-file.gguf -p x", "no-such-file.gguf", 5},
        {"run " QN_SOURCE_DIR "/README.md -p x", "README.md", 4},
        {"run " MODEL " -p x -f y", "exclude each other", 2},
        {"run " MODEL " --tokens 1,2", "belong together", 2},
        {"run " MODEL " --tokens 1,x --logits /tmp/never.npy", "expected ids separated by commas, found 'x'", 2},
        {"run " MODEL " --tokens 1,99999 --logits /tmp/never.npy", "token 1 is 99999", 2},
        {"run " MODEL " -p x --kv q4_0", "q4_0", 2},
        {"run " MODEL " -p x --top-p 2", "top-p", 2},
        {"run " MODEL " -p x --logit-bias 3", "expected ID=NUMBER, found '3'", 2},
        {"run " MODEL " -p x --passes-off nonsense", "nonsense", 2},
        {"run " MODEL " -f no-such-prompt.txt", "no-such-prompt.txt", 5},
        {"run " MODEL " -p 'a b c d e f g h' -c 4", "does not fit", 6},
        {"run " MODEL " --tepm 1 -p x", "--temp", 2},
        {"bench " MODEL " -p 0 -n 0", "nothing to measure", 2},
        {"chat " MODEL " --template-vars 5", "expected a JSON object", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code = qn_test_run_quern(&output, NULL, "%s 2>&1 </dev/null", cases[i].arguments);
        if (code != cases[i].code || !strstr(output, cases[i].words))
            fail_msg("quern %s: code %d (expected %d), expected '%s' in:\n%s", cases[i].arguments, code, cases[i].code,
                     cases[i].words, output);
    }
}

static void logit_bias_and_penalties(void **state)
{
    (void)state;
    assert_int_equal(
        qn_test_run_quern(&output, NULL, "run %s -p Once --temp 0 -n 5 --no-echo --logit-bias 300=1000 -q", MODEL), 0);
    char *forced = strdup(output);
    assert_int_equal(qn_test_run_quern(&output, NULL, "tokenize %s --decode -p '300 300 300 300 300'", MODEL), 0);
    size_t size = strlen(output);
    while (size && (output[size - 1] == '\n'))
        size--;
    assert_memory_equal(forced + strspn(forced, " "), output + strspn(output, " "), size - 1);
    free(forced);
}

static void context_shift_goes_on(void **state)
{
    (void)state;
    assert_int_equal(qn_test_run_quern(&output, NULL,
                                       "run %s -p 'Once upon a time' -s 1 -c 32 -n 100 --ignore-end --json -q", MODEL),
                     0);
    assert_shown("\"finish\": \"context full\"");
    assert_int_equal(
        qn_test_run_quern(&output, NULL,
                          "run %s -p 'Once upon a time' -s 1 -c 32 -n 100 --ignore-end --context-shift --json -q",
                          MODEL),
        0);
    assert_shown("\"finish\": \"length\"");
    assert_shown("\"generated_tokens\": 100");
}

static void chat_keeps_the_talk(void **state)
{
    (void)state;
    const char *file = qn_test_temp("talk.txt");
    const char talk[] = "Hello\n\"\"\"\ntwo\nlines\n\"\"\"\n/stats\n/clear\nAgain\n/exit\nnever read\n";
    qn_test_write_file(file, talk, sizeof talk - 1);
    assert_int_equal(qn_test_run_quern(&output, NULL, "chat %s -n 8 -s 1 < %s 2>&1", MODEL, file), 0);
    assert_shown("a plain template, the model has none");
    assert_shown("a new conversation");
    assert_shown("prompt ");
}

static void bench_rows(void **state)
{
    (void)state;
    size_t size;
    assert_int_equal(qn_test_run_quern(&output, &size, "bench %s -p 16 -n 4 -t 2 -r 2 --json -q", MODEL), 0);
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    const struct qn_json *root = NULL;
    qn_assert_ok(qn_json_read((struct qn_str){output, size}, NULL, &arena, &root));
    qn_arena_deinit(&arena);
    const char *keys[] = {"\"test\": \"pp16\"", "\"test\": \"tg4\"", "\"n_prompt\": 16", "\"n_gen\": 4",
                          "\"avg_ts\"",         "\"stddev_ts\"",     "\"model_type\"",   "\"n_threads\": 2"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_shown(keys[i]);
}

static void inspect_shows_graph_and_passes(void **state)
{
    (void)state;
    assert_int_equal(qn_test_run_quern(&output, NULL, "inspect %s --graph", MODEL), 0);
    assert_shown("softmax");
    assert_null(strstr(output, "attention"));
    assert_int_equal(qn_test_run_quern(&output, NULL, "inspect %s --graph --optimised", MODEL), 0);
    assert_shown("paged_attention");
    assert_shown("rms_norm");
    assert_null(strstr(output, "softmax"));
    assert_int_equal(qn_test_run_quern(&output, NULL, "inspect %s --passes --json", MODEL), 0);
    assert_shown("\"name\": \"paged_attention\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_story),
        cmocka_unit_test(ten_seeds_ten_stories),
        cmocka_unit_test(prompt_from_stdin_and_file),
        cmocka_unit_test(stop_strings_are_not_shown),
        cmocka_unit_test(json_is_valid),
        cmocka_unit_test(logits_file),
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(logit_bias_and_penalties),
        cmocka_unit_test(context_shift_goes_on),
        cmocka_unit_test(chat_keeps_the_talk),
        cmocka_unit_test(bench_rows),
        cmocka_unit_test(inspect_shows_graph_and_passes),
    };
    return cmocka_run_group_tests_name("the command on a language model", tests, NULL, NULL);
}

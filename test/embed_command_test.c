/* The commands that run encoders, `quern embed` and `quern run`: the command is $QUERN_COMMAND, which the build sets.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/testing.h"

/* Runs "quern <arguments>"; stdout in *out (free it), stderr in *errors where that is not NULL. */
static int quern(const char *arguments, char **out, char **errors)
{
    char command[4000];
    const char *program = getenv("QUERN_COMMAND");
    if (!program) {
        print_message("skipped: QUERN_COMMAND is not set\n");
        skip();
    }
    const char *out_path = qn_test_temp("stdout"), *errors_path = qn_test_temp("stderr");
    snprintf(command, sizeof command, "'%s' %s >'%s' 2>'%s' </dev/null", program, arguments, out_path, errors_path);
    int status = system(command);
    size_t size;
    *out = qn_test_read_file(out_path, &size);
    if (errors)
        *errors = qn_test_read_file(errors_path, &size);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_embed(void **state)
{
    (void)state;
    char arguments[1500], *out, *errors;
    const char *folder = qn_test_source("test/data/encoders/sentence"), *npy = qn_test_temp("vectors.npy");
    snprintf(arguments, sizeof arguments, "embed '%s' -f '%s/texts.txt' -o '%s' --stats", folder, folder, npy);
    assert_int_equal(quern(arguments, &out, &errors), 0);
    assert_non_null(strstr(errors, "float32 [6, 8]"));
    assert_non_null(strstr(errors, "texts/s"));
    free(out);
    free(errors);
    struct qn_test_npy found, expected;
    qn_test_npy_read(npy, &found);
    qn_test_npy_read(qn_test_source("test/data/encoders/sentence/embeddings.npy"), &expected);
    assert_int_equal(found.count, expected.count);
    for (uint64_t i = 0; i < found.count; i++)
        assert_true(fabsf(((const float *)found.data)[i] - ((const float *)expected.data)[i]) < 2e-5f);
    qn_test_npy_free(&found);
    qn_test_npy_free(&expected);

    snprintf(arguments, sizeof arguments, "embed '%s' x --prompt query --dims 3 --json", folder);
    assert_int_equal(quern(arguments, &out, NULL), 0);
    assert_non_null(strstr(out, "\"dimensions\": 3"));
    free(out);
    snprintf(arguments, sizeof arguments, "embed '%s' --tokens 2,9,3 --tokens 2,3 --pooling cls --no-normalize",
             folder);
    assert_int_equal(quern(arguments, &out, NULL), 0);
    size_t lines = 0, numbers = 1;
    for (const char *at = out; *at; at++) {
        lines += *at == '\n';
        numbers += *at == ' ' && lines == 0;
    }
    assert_int_equal(lines, 2);
    assert_int_equal(numbers, 16);
    free(out);
}

static void test_refusals(void **state)
{
    (void)state;
    char arguments[1500], *out, *errors;
    const char *folder = qn_test_source("test/data/encoders/sentence");
    const struct {
        const char *options;
        int code;
        const char *words;
    } cases[] = {
        {"x --prompt nosuch", 5, "known are"},
        {"x --normalize --no-normalize", 2, "exclude"},
        {"x --tokens 1", 2, "exclude"},
        {"--tokens 1,b", 2, "'b'"},
        {"--tokens 99", -1, "the vocabulary has"},
        {"-f /nonexistent", 5, "/nonexistent"},
        {"-f /dev/null", 1, "no text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(arguments, sizeof arguments, "embed '%s' %s", folder, cases[i].options);
        int code = quern(arguments, &out, &errors);
        assert_true(cases[i].code < 0 ? code != 0 : code == cases[i].code);
        if (!strstr(errors, cases[i].words))
            fail_msg("%s: '%s' does not say '%s'", cases[i].options, errors, cases[i].words);
        free(out);
        free(errors);
    }
    snprintf(arguments, sizeof arguments, "run '%s' -p x", folder);
    assert_int_equal(quern(arguments, &out, &errors), 4);
    assert_non_null(strstr(errors, "quern embed"));
    free(out);
    free(errors);
}

/* A head's folder with a vocabulary of letters. */
static const char *with_vocabulary(const char *name)
{
    static const char tokenizer[] =
        "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": [{\"id\": 4, \"content\": "
        "\"[MASK]\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": "
        "true}], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, \"post_processor\": "
        "{\"type\": "
        "\"BertProcessing\", \"sep\": [\"[SEP]\", 3], \"cls\": [\"[CLS]\", 2]}, \"decoder\": null, \"model\": "
        "{\"type\": "
        "\"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": "
        "100, \"vocab\": {\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"[MASK]\": 4, \"a\": 5, \"b\": 6, "
        "\"c\": 7, \"d\": 8, \"e\": 9, \"f\": 10}}}";
    static const char config[] = "{\"mask_token\": \"[MASK]\"}";
    char path[800], from[200];
    const char *folder = qn_test_temp(name);
    mkdir(folder, 0777);
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        const char *file = i ? "model.safetensors" : "config.json";
        snprintf(from, sizeof from, "test/data/encoders/%s/%s", name, file);
        char *data = qn_test_read_file(qn_test_source(from), &size);
        snprintf(path, sizeof path, "%s/%s", folder, file);
        qn_test_write_file(path, data, size);
        free(data);
    }
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    qn_test_write_file(path, tokenizer, sizeof tokenizer - 1);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    qn_test_write_file(path, config, sizeof config - 1);
    return folder;
}

static void check_run(const char *name, const char *options, const char *words)
{
    char arguments[1500], *out, *errors;
    snprintf(arguments, sizeof arguments, "run '%s' %s", with_vocabulary(name), options);
    int code = quern(arguments, &out, &errors);
    if (code != 0 || !strstr(out, words))
        fail_msg("%s %s: exit %d, '%s', '%s'; expected '%s'", name, options, code, out, errors, words);
    free(out);
    free(errors);
}

static void test_heads(void **state)
{
    (void)state;
    check_run("bert_classify", "-p 'a b c'", "neutral");
    check_run("bert_classify", "-p 'a b c' --pair 'd e' --json", "\"label\": \"positive\"");
    check_run("xlm_roberta_rank", "-p 'a b' --pair 'c d' --pair 'e' --json", "\"index\": 1");
    check_run("bert_tokens", "-p 'a b c d e f g h' --json", "[");
    check_run("bert_answer", "-p 'a b' --pair 'c d e f' --json", "\"answer\": ");
    check_run("bert_fill", "-p 'a [MASK] c' --top 2 --json", "\"position\": 2");
}

/* Folders without a tokenizer: token ids in, what the head gives out. The first text of inputs.npy has five tokens. */
static void test_ids(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t rows, columns;
    } cases[] = {{"bert", 5, 16}, {"bert_classify", 1, 3}, {"distilbert_answer", 5, 2}, {"roberta_fill", 5, 37}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[600], list[2][64] = {"", ""}, arguments[1500], *out, *errors;
        const char *npy = qn_test_temp("logits.npy");
        struct qn_test_npy inputs, found, expected;
        snprintf(path, sizeof path, "test/data/encoders/%s/inputs.npy", cases[i].name);
        qn_test_npy_read(qn_test_source(path), &inputs);
        for (int k = 0; k < 5; k++)
            for (int part = 0; part < 2; part++)
                snprintf(list[part] + strlen(list[part]), 12, "%s%d", k ? "," : "",
                         ((const int32_t *)inputs.data)[3 * k + 2 - part]);
        snprintf(path, sizeof path, "test/data/encoders/%s", cases[i].name);
        snprintf(arguments, sizeof arguments, "run '%s' --tokens %s --types %s --logits '%s' --activations f32",
                 qn_test_source(path), list[0], list[1], npy);
        int code = quern(arguments, &out, &errors);
        if (code != 0)
            fail_msg("%s: exit %d, '%s'", arguments, code, errors);
        qn_test_npy_read(npy, &found);
        strcat(path, "/expected.npy");
        qn_test_npy_read(qn_test_source(path), &expected);
        assert_int_equal(found.count, cases[i].rows * cases[i].columns);
        for (uint64_t k = 0; k < found.count; k++)
            if (!(fabsf(((const float *)found.data)[k] - ((const float *)expected.data)[k]) < 2e-5f))
                fail_msg("%s: element %d is %g, expected %g", cases[i].name, (int)k,
                         (double)((const float *)found.data)[k], (double)((const float *)expected.data)[k]);
        qn_test_npy_free(&inputs);
        qn_test_npy_free(&found);
        qn_test_npy_free(&expected);
        free(out);
        free(errors);
    }
    char arguments[1500], *out, *errors;
    snprintf(arguments, sizeof arguments, "run '%s' --tokens 5,6 --types 0 --logits /tmp/never.npy",
             qn_test_source("test/data/encoders/bert"));
    assert_int_equal(quern(arguments, &out, &errors), 2);
    assert_non_null(strstr(errors, "2 and 1 numbers"));
    free(out);
    free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests_name("commands for encoders", tests, NULL, NULL);
}

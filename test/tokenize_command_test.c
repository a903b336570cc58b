/* `quern tokenize` as a person runs it: the command is $QUERN_COMMAND, which the build sets. */
#define _GNU_SOURCE /* popen */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "format/gguf/gguf.h"
#include "support/testing.h"

static char output[1 << 14];
static size_t output_size;

/* Runs the command with a model made for these tests; returns its exit code, and what it wrote in `output`. The shell
 * line may hold '@' for the model's path. */
static int run(const char *line)
{
    const char *command = getenv("QUERN_COMMAND"), *model = qn_test_temp("vocab.gguf");
    char full[4096];
    size_t at = 0;
    if (!command) {
        print_message("skipped: QUERN_COMMAND is not set\n");
        skip();
    }
    for (; *line && at < sizeof full - 1024; line++) {
        if (*line == '@')
            at += (size_t)snprintf(full + at, sizeof full - at, "'%s'", model);
        else if (*line == '%')
            at += (size_t)snprintf(full + at, sizeof full - at, "'%s' tokenize", command);
        else
            full[at++] = *line;
    }
    full[at] = 0;
    FILE *pipe = popen(full, "r");
    assert_non_null(pipe);
    output_size = fread(output, 1, sizeof output - 1, pipe);
    output[output_size] = 0;
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_run(const char *line, const char *expected)
{
    int code = run(line);
    if (code != 0 || strcmp(output, expected) != 0)
        fail_msg("%s: code %d\n%s", line, code, output);
}

/* A byte-level vocabulary: the id is the byte, then "ab" and a control token. */
static int make_model(void **state)
{
    (void)state;
    static char bytes[256][4];
    static struct qn_str texts[258], merge = {"a b", 3}, model = {"gpt2", 4}, pre = {"gpt-2", 5};
    static int32_t types[258];
    unsigned other = 0x100;
    for (unsigned byte = 0; byte < 258; byte++) {
        unsigned c = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad) ? byte : other++;
        types[byte] = byte == 257 ? 3 : 1;
        if (byte > 255)
            continue;
        texts[byte].data = bytes[byte];
        texts[byte].size = (size_t)snprintf(bytes[byte], 4, c < 0x80 ? "%c" : "%c%c",
                                            c < 0x80 ? (char)c : (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)));
    }
    texts[256] = QN_STR("ab");
    texts[257] = QN_STR("<|im_end|>");
    const struct {
        const char *key;
        struct qn_gguf_value value;
    } rows[] = {
        {"tokenizer.ggml.model", {.type = QN_GGUF_STRING, .count = 1, .as.str = model}},
        {"tokenizer.ggml.pre", {.type = QN_GGUF_STRING, .count = 1, .as.str = pre}},
        {"tokenizer.ggml.tokens",
         {.type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_STRING, .count = 258, .as.strings = texts}},
        {"tokenizer.ggml.token_type",
         {.type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_I32, .count = 258, .as.items = (const uint8_t *)types}},
        {"tokenizer.ggml.merges",
         {.type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_STRING, .count = 1, .as.strings = &merge}},
        {"tokenizer.ggml.bos_token_id", {.type = QN_GGUF_U32, .count = 1, .as.u = 257}},
        {"tokenizer.ggml.add_bos_token", {.type = QN_GGUF_BOOL, .count = 1, .as.u = 1}},
    };
    struct qn_gguf_writer *writer;
    qn_assert_ok(qn_gguf_writer_create(qn_test_temp("vocab.gguf"), NULL, &writer));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        qn_assert_ok(qn_gguf_writer_set(writer, qn_str_from(rows[i].key), &rows[i].value));
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    qn_assert_ok(qn_gguf_writer_commit(writer));
    return 0;
}

static void ids_on_one_line(void **state)
{
    (void)state;
    assert_run("% @ --ids -p 'ab c'", "256 32 99\n");
    assert_run("printf 'ab\\n\\0\\377' | % @ --ids", "256 10 0 255\n"); /* stdin as it is, NUL and all */
    assert_run("% @ --ids -p ''", "\n");
    assert_run("printf '' | % @ --ids", "\n");
    assert_run("% @ --ids --bos -p ab", "257 256\n");
    assert_run("% @ --ids --no-bos -p ab", "256\n");
    assert_run("% @ --ids --special -p 'a<|im_end|>'", "97 257\n");
    assert_int_equal(run("% @ --ids -p '<|im_end|>'"), 0);
    assert_null(strstr(output, "257"));
}

static void decode_goes_back(void **state)
{
    (void)state;
    assert_run("% @ --decode -p '256 32 99'", "ab c");
    assert_run("% @ --decode -p '[256, 32,99]'", "ab c");
    assert_run("% @ --decode -p '97 257'", "a");
    assert_run("% @ --decode --special -p '97 257'", "a<|im_end|>");
    assert_run("% @ --decode -p ''", "");
    assert_int_equal(run("printf 'x\\0\\377\\n\\303' | % @ --ids | % @ --decode"), 0);
    assert_int_equal(output_size, 5);
    assert_memory_equal(output, "x\0\377\n\303", 5);
    assert_int_equal(run("% @ --decode -p '1 x' 2>&1"), 2);
    assert_non_null(strstr(output, "found 'x' at byte 2"));
    assert_int_equal(run("% @ --decode -p '-1' 2>&1"), 2);
    assert_int_equal(run("% @ --decode -p 99999 2>&1"), 2);
    assert_non_null(strstr(output, "token 99999 is not in the vocabulary of 258 tokens"));
}

static void shown_to_people_and_programs(void **state)
{
    (void)state;
    assert_int_equal(run("printf 'ab\\033' | % @"), 0);
    assert_non_null(strstr(output, "256  \"ab\""));
    assert_non_null(strstr(output, "\"\\x1b\"")); /* nothing reaches the terminal raw */
    assert_non_null(strstr(output, "2 tokens for 3 bytes"));
    assert_int_equal(run("% @ --json --bos -p 'ab\"'"), 0);
    struct qn_arena arena;
    const struct qn_json *root;
    qn_arena_init(&arena, NULL);
    qn_assert_ok(qn_json_read((struct qn_str){output, output_size}, NULL, &arena, &root));
    assert_int_equal(qn_json_member(root, "count")->integer, 3);
    assert_int_equal(qn_json_first(qn_json_member(root, "ids"))->integer, 257);
    qn_arena_deinit(&arena);
    assert_int_equal(run("% --help"), 0);
    assert_non_null(strstr(output, "Examples:"));
}

static void wrong_use_is_told(void **state)
{
    (void)state;
    assert_int_equal(run("% 2>&1"), 2);
    assert_int_equal(run("% @ --bos --no-bos -p x 2>&1"), 2);
    assert_int_equal(run("% @ --decode --ids -p 1 2>&1"), 2);
    assert_int_equal(run("% nothing.gguf -p x 2>&1"), 5);
    assert_non_null(strstr(output, "nothing.gguf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_on_one_line),
        cmocka_unit_test(decode_goes_back),
        cmocka_unit_test(shown_to_people_and_programs),
        cmocka_unit_test(wrong_use_is_told),
    };
    return cmocka_run_group_tests_name("tokenize_command", tests, make_model, NULL);
}

/* `quern inspect` as a person runs it: the command is $QUERN_COMMAND, which the build sets. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "gguf_build.h"
#include "support/run_quern.h"

static const char *output; /* of the last command */

static int run(const char *arguments)
{
    return qn_test_run_quern(&output, NULL, "%s", arguments);
}

static int inspect(const char *path, const char *options)
{
    return qn_test_run_quern(&output, NULL, "inspect '%s' %s 2>&1", path, options);
}

static void assert_shown(const char *text)
{
    if (!strstr(output, text))
        fail_msg("'%s' is not shown in:\n%s", text, output);
}

static void test_text(void **state)
{
    (void)state;
    assert_int_equal(inspect(qn_test_source("test/data/gguf/all_types.gguf"), ""), 0);
    assert_shown("format          GGUF version 3\n");
    assert_shown("architecture    sample\n");
    assert_shown("sample.u64            u64             18446744073709551615\n");
    assert_shown("sample.f32            f32             1.1\n");
    assert_shown("any grain\\n\\x00\\x1b\n");
    assert_shown("array.i64             i64[2]          [-9223372036854775808, 9223372036854775807]\n");
    assert_shown("array.array           array[3]        [[...], [...], [...]]\n");
    assert_shown("rank4     i8      [2, 1, 3, 2]                  12 B  at");
    assert_null(strchr(output, '\x1b'));
    assert_int_equal(inspect(qn_test_source("test/data/gguf/all_types.gguf"), "--tensors"), 0);
    assert_memory_equal(output, "tensors (7)", 11);
    assert_null(strstr(output, "metadata"));
    assert_int_equal(inspect(qn_test_source("test/data/gguf/split-00001-of-00003.gguf"), ""), 0);
    assert_shown("split-00003-of-00003.gguf (256 B)\n");
    assert_shown("of file 3\n");
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(inspect("/nonexistent.gguf", ""), 5);
    assert_shown("quern: error: /nonexistent.gguf: cannot open");
    assert_int_equal(inspect(qn_test_source("test/data/gguf/big_endian.gguf"), ""), 4);
    assert_shown("big-endian");
    const char *path = qn_test_temp("cut.gguf");
    qn_test_write_file(path, "GGUF\3\0\0\0", 8);
    assert_int_equal(inspect(path, ""), 3);
    assert_shown("cut.gguf: the file ends at byte 8");
    assert_int_equal(inspect("x", "--tensor"), 2);
    assert_shown("did you mean '--tensors'?");
    assert_int_equal(run("inspect --help"), 0);
    assert_shown("Usage: quern inspect FILE [options]");
    assert_int_equal(run("help inspect"), 0);
    assert_shown("Usage: quern inspect FILE [options]");
    assert_int_equal(run("inspekt 2>&1"), 2);
    assert_shown("did you mean 'inspect'?");
    assert_int_equal(run("--version"), 0);
    assert_memory_equal(output, "quern ", 6);
    assert_int_equal(run("2>&1"), 2);
    assert_shown("Commands:\n");
}

/* Runs `inspect --json` with standard output on `fd`, SIGPIPE ignored or not; returns how it ended, and what it wrote
 * on standard error in `output`. */
static int run_onto(int fd, bool ignore_pipe)
{
    const char *path = qn_test_source("test/data/gguf/all_types.gguf"), *command = getenv("QUERN_COMMAND");
    FILE *errors = tmpfile();
    int status = 0;
    assert_non_null(errors);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGPIPE, ignore_pipe ? SIG_IGN : SIG_DFL);
        dup2(fd, STDOUT_FILENO);
        dup2(fileno(errors), STDERR_FILENO);
        execl(command, command, "inspect", "--json", path, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    rewind(errors);
    static char text[4096];
    text[fread(text, 1, sizeof text - 1, errors)] = 0;
    output = text;
    fclose(errors);
    return status;
}

/* A reader that went away is nothing to complain of, a full disk is. */
static void test_closed_pipe(void **state)
{
    (void)state;
    if (!getenv("QUERN_COMMAND"))
        skip();
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    int status = run_onto(ends[1], true);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 141);
    assert_string_equal(output, "");
    status = run_onto(ends[1], false);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGPIPE);
    assert_string_equal(output, "");
    close(ends[1]);
    int full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    status = run_onto(full, false);
    close(full);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_shown("quern: error: cannot write to standard output");
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

/* The output is one strictly valid JSON value, without a key that occurs twice. */
static void assert_json(void)
{
    const struct qn_json_options options = {.name = "output", .unique_keys = true};
    const struct qn_json *root;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    qn_assert_ok(qn_json_read(qn_str_from(output), &options, &arena, &root));
    assert_int_equal(root->kind, QN_JSON_OBJECT);
    qn_arena_deinit(&arena);
}

static void test_json(void **state)
{
    (void)state;
    static const char *const names[] = {"all_types", "quantised", "no_tensors", "split-00001-of-00003"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "test/data/gguf/%s.gguf", names[i]);
        assert_int_equal(inspect(qn_test_source(name), "--json"), 0);
        assert_json();
        assert_shown("\"format\": \"GGUF\"");
    }
    assert_int_equal(inspect(qn_test_source("test/data/gguf/all_types.gguf"), "--json"), 0);
    assert_shown("\"sample.u64\": {\n      \"type\": \"u64\",\n      \"value\": 18446744073709551615\n    }");
    assert_shown("\"value\": [0, -0, 3.5, \"Infinity\"]");
    assert_shown("any grain\\n\\u0000\\u001b\"");
    assert_shown("\"shape\": [2, 1, 3, 2]");
    assert_int_equal(inspect(qn_test_source("test/data/gguf/all_types.gguf"), "--json --metadata"), 0);
    assert_json();
    assert_null(strstr(output, "\"tensors\""));
}

/* Text that would harm a terminal or break JSON, in every place where a file may hold it. */
static void test_odd_bytes(void **state)
{
    (void)state;
    struct gguf_bytes b = {.size = 0};
    const char *odd = "\x1b]0;title\x07 \"quoted\" \\ \xff\xfe \xe2\x80\xae <";
    put_header(&b, 3, 1, 4);
    put_key(&b, "general.architecture", QN_GGUF_STRING);
    put_text(&b, odd);
    put_key(&b, "general.name", QN_GGUF_STRING);
    put_text(&b, odd);
    put_key(&b, "list", QN_GGUF_ARRAY);
    put_array(&b, QN_GGUF_STRING, 2);
    put_text(&b, odd);
    put_text(&b, "");
    put_key(&b, "k \"\\ \xe2\x80\xae", QN_GGUF_BOOL);
    put_uint(&b, 1, 1);
    put_f32_tensor(&b, "t \"\\ \xe2\x80\xae", 1, 0);
    put_padding(&b, 32);
    put_zeros(&b, 4);
    const char *path = qn_test_temp("odd.gguf");
    qn_test_write_file(path, b.data, b.size);
    static const char *const options[] = {"", "--all", "--json"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(inspect(path, options[i]), 0);
        for (const char *p = output; *p; p++)
            if ((unsigned char)*p < 0x20 && *p != '\n')
                fail_msg("control character %02x at %zu with '%s'", *p, (size_t)(p - output), options[i]);
        assert_null(strchr(output, '\xff'));
    }
    assert_json();
    assert_int_equal(inspect(path, ""), 0);
    assert_shown("\\x1b]0;title\\x07 \"quoted\" \\\\ \\xff\\xfe \\u{202e} <");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text), cmocka_unit_test(test_exit_codes), cmocka_unit_test(test_closed_pipe),
        cmocka_unit_test(test_json), cmocka_unit_test(test_odd_bytes),
    };
    return cmocka_run_group_tests_name("gguf_inspect", tests, NULL, NULL);
}

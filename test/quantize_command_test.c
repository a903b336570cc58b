/* `quern quantize` as a person runs it: the command is $QUERN_COMMAND, which the build sets. */
#define _GNU_SOURCE /* popen */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "format/gguf/gguf.h"
#include "support/testing.h"

static char output[1 << 14];

/* Runs the command through the shell; returns its exit code, and what it wrote in `output`. */
static int run(const char *arguments)
{
    const char *command = getenv("QUERN_COMMAND");
    char line[2048];
    if (!command) {
        print_message("skipped: QUERN_COMMAND is not set\n");
        skip();
    }
    snprintf(line, sizeof line, "'%s' quantize %s", command, arguments);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = 0;
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_shown(const char *text)
{
    if (!strstr(output, text))
        fail_msg("'%s' is not shown in:\n%s", text, output);
}

static const char *make_model(void)
{
    const char *path = qn_test_temp("in.gguf");
    static float values[64 * 256];
    uint64_t dims[] = {64, 256};
    struct qn_gguf_writer *writer;
    for (int i = 0; i < 64 * 256; i++)
        values[i] = (float)(i * 37 % 101 - 50);
    qn_assert_ok(qn_gguf_writer_create(path, NULL, &writer));
    qn_assert_ok(qn_gguf_writer_add_tensor(writer, QN_STR("blk.0.attn_q.weight"), QN_DTYPE_F32, 2, dims));
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    qn_assert_ok(qn_gguf_writer_write(writer, values, sizeof values));
    qn_assert_ok(qn_gguf_writer_commit(writer));
    return path;
}

static void writes_the_file_and_a_summary(void **state)
{
    (void)state;
    char arguments[1024];
    const char *in = make_model(), *out = qn_test_temp("out.gguf");
    snprintf(arguments, sizeof arguments, "'%s' -o '%s' q5_K_m --threads 2 2>&1", in, out);
    assert_int_equal(run(arguments), 0);
    assert_shown("64.0 KiB -> 11.0 KiB in");
    assert_shown("1 q5_k");
    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open(out, NULL, &gguf));
    assert_int_equal(gguf->tensors[0].dtype, QN_DTYPE_Q5_K);
    qn_gguf_close(gguf);
    snprintf(arguments, sizeof arguments, "--json -q '%s' Q4_0 -o '%s' 2>&1", out, out);
    assert_int_equal(run(arguments), 2);
    assert_shown("the output is the input");
}

static void json_is_a_summary(void **state)
{
    (void)state;
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "--json '%s' Q4_0 -o '%s' 2>/dev/null", make_model(), qn_test_temp("j.gguf"));
    assert_int_equal(run(arguments), 0);
    struct qn_arena arena;
    const struct qn_json *root;
    qn_arena_init(&arena, NULL);
    qn_assert_ok(qn_json_read(qn_str_from(output), NULL, &arena, &root));
    assert_int_equal(qn_json_member(root, "bytes_in")->integer, 65536);
    assert_int_equal(qn_json_member(root, "bytes_out")->integer, 9216);
    assert_int_equal(qn_json_member(qn_json_member(root, "types"), "q4_0")->integer, 1);
    assert_true(qn_json_member(root, "seconds")->number > 0);
    qn_arena_deinit(&arena);
}

static void help_and_mistakes(void **state)
{
    (void)state;
    char arguments[1024];
    const char *in = make_model(), *out = qn_test_temp("never.gguf");
    assert_int_equal(run("--help"), 0);
    assert_shown("quern quantize model-f16.gguf -o model-q4_k_m.gguf Q4_K_M");
    assert_shown("Q4_K_M");
    assert_shown("MXFP4_MOE");
    snprintf(arguments, sizeof arguments, "'%s' Q4_0 2>&1", in);
    assert_int_equal(run(arguments), 2);
    assert_shown("--output");
    snprintf(arguments, sizeof arguments, "'%s' Q4_9 -o '%s' 2>&1", in, out);
    assert_int_equal(run(arguments), 2);
    assert_shown("'Q4_9'; known are F32");
    snprintf(arguments, sizeof arguments, "/nonexistent.gguf Q4_0 -o '%s' 2>&1", out);
    assert_int_equal(run(arguments), 5);
    snprintf(arguments, sizeof arguments, "'%s' Q4_0 -o /nonexistent/out.gguf 2>&1", in);
    assert_int_equal(run(arguments), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_file_and_a_summary),
        cmocka_unit_test(json_is_a_summary),
        cmocka_unit_test(help_and_mistakes),
    };
    return cmocka_run_group_tests_name("quantize_command", tests, NULL, NULL);
}

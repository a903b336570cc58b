#include "cli/args.c"

#include <unistd.h>

#include "cli/terminal.c"
#include "support/testing.h"

/* What one table of each kind of option was given. */
struct given {
    bool quiet, json;
    int64_t count;
    double temp;
    const char *prompt;
    int kv;
    struct qn_arg_list stop;
    const char *model, *extra;
};

static char printed[8192]; /* on stdout and stderr, by the last call of parse */

static int redirect(int fd, FILE *stream, FILE *file)
{
    fflush(stream);
    int saved = dup(fd);
    dup2(fileno(file), fd);
    return saved;
}

static void restore(int fd, FILE *stream, int saved)
{
    fflush(stream);
    dup2(saved, fd);
    close(saved);
}

/* Parses "run WORDS...", words separated by single spaces. Returns the exit code, or -1 when the command goes on. */
static int parse(struct given *g, const char *line)
{
    *g = (struct given){.count = 128, .temp = 0.8};
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &g->model, "the model"),
        QN_ARG_OPTIONAL("EXTRA", &g->extra, "more"),
        QN_ARG_INT('n', "tokens", &g->count, 0, 1000, "N", "tokens to generate (default 128)"),
        QN_ARG_REAL(0, "temp", &g->temp, 0, 10, "T", "temperature (default 0.8)"),
        QN_ARG_TEXT('p', "prompt", &g->prompt, "TEXT", "the prompt"),
        QN_ARG_CHOICE(0, "kv", &g->kv, "f32|f16|q8_0", "type of the KV cache"),
        QN_ARG_LIST('s', "stop", &g->stop, "TEXT", "stop at this text; may be repeated"),
        QN_ARG_FLAG('q', "quiet", &g->quiet, "say less"),
        QN_ARG_FLAG('j', "json", &g->json, "write JSON"),
        {0},
    };
    const struct qn_args args = {"run", "run a model", table, "  quern run m.gguf -p Hello\n"};
    static char words[8 * QN_ARG_LIST_MAX];
    char *argv[4 * QN_ARG_LIST_MAX] = {(char *)"run"};
    int argc = 1, code = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    FILE *file = tmpfile();
    assert_non_null(file);
    int out = redirect(STDOUT_FILENO, stdout, file), err = redirect(STDERR_FILENO, stderr, file);
    bool go_on = qn_args_parse(&args, argc, argv, &code);
    restore(STDERR_FILENO, stderr, err);
    restore(STDOUT_FILENO, stdout, out);
    rewind(file);
    printed[fread(printed, 1, sizeof printed - 1, file)] = 0;
    fclose(file);
    return go_on ? -1 : code;
}

static void assert_usage(const char *line, const char *words)
{
    struct given g;
    int code = parse(&g, line);
    if (code != QN_EXIT_USAGE || !strstr(printed, words) || !strstr(printed, "quern: error: ") ||
        !strstr(printed, "Try 'quern run --help'."))
        fail_msg("'%s': exit code %d, expected a usage error with '%s', found: %s", line, code, words, printed);
}

static void test_values(void **state)
{
    (void)state;
    struct given g;
    assert_int_equal(parse(&g, "m.gguf"), -1);
    assert_string_equal(g.model, "m.gguf");
    assert_null(g.extra);
    assert_int_equal(g.count, 128);
    assert_string_equal(printed, "");
    assert_int_equal(parse(&g, "-n 5 --temp 0.5 m.gguf --prompt=a=b --kv F16 x -q --stop=1 -s 2 -s3"), -1);
    assert_int_equal(g.count, 5);
    assert_true(g.temp == 0.5);
    assert_string_equal(g.prompt, "a=b");
    assert_int_equal(g.kv, 1);
    assert_string_equal(g.model, "m.gguf");
    assert_string_equal(g.extra, "x");
    assert_true(g.quiet && !g.json);
    assert_int_equal(g.stop.count, 3);
    assert_string_equal(g.stop.items[0], "1");
    assert_string_equal(g.stop.items[2], "3");
}

static void test_forms(void **state)
{
    (void)state;
    struct given g;
    assert_int_equal(parse(&g, "-qjn7 m"), -1);
    assert_true(g.quiet && g.json);
    assert_int_equal(g.count, 7);
    assert_int_equal(parse(&g, "m -n 1 -n 2"), -1);
    assert_int_equal(g.count, 2);
    assert_int_equal(parse(&g, "m -p --json"), -1); /* what follows is the value */
    assert_string_equal(g.prompt, "--json");
    assert_false(g.json);
    assert_int_equal(parse(&g, "-- -m --json"), -1);
    assert_string_equal(g.model, "-m");
    assert_string_equal(g.extra, "--json");
    assert_int_equal(parse(&g, "m -"), -1);
    assert_string_equal(g.extra, "-");
    assert_int_equal(parse(&g, "m --prompt="), -1);
    assert_string_equal(g.prompt, "");
}

static void test_errors(void **state)
{
    (void)state;
    assert_usage("", "missing argument MODEL (the model)");
    assert_usage("m x y", "unexpected argument 'y'");
    assert_usage("m --tokens", "option '--tokens' needs a value (N)");
    assert_usage("m -n x", "option '--tokens': expected a whole number, found 'x'");
    assert_usage("m -n 1.5", "option '--tokens': expected a whole number, found '1.5'");
    assert_usage("m -n=5", "option '--tokens': expected a whole number, found '=5'");
    assert_usage("m -n 1001", "option '--tokens': expected a number from 0 to 1000, found '1001'");
    assert_usage("m -n -1", "expected a number from 0 to 1000, found '-1'");
    assert_usage("m -n 99999999999999999999", "expected a number from 0 to 1000");
    assert_usage("m --temp hot", "option '--temp': expected a number, found 'hot'");
    assert_usage("m --temp nan", "option '--temp': expected a number, found 'nan'");
    assert_usage("m --temp inf", "option '--temp': expected a number from 0 to 10, found 'inf'");
    assert_usage("m --kv f64", "option '--kv': expected one of f32|f16|q8_0, found 'f64'");
    assert_usage("m --kv f1", "option '--kv': expected one of");
    assert_usage("m --json=1", "option '--json' takes no value, found '1'");
    assert_usage("m --promt x", "unknown option '--promt'; did you mean '--prompt'?");
    assert_usage("m --tok 5", "unknown option '--tok'; did you mean '--tokens'?");
    assert_usage("m --xyzzy", "unknown option '--xyzzy'\n");
    assert_usage("m -z", "unknown option '-z'");
    assert_usage("m -qz", "unknown option '-z' in '-qz'");
    char line[8 * QN_ARG_LIST_MAX] = "m";
    for (int i = 0; i < QN_ARG_LIST_MAX + 1; i++)
        strcat(line, " -s x");
    assert_usage(line, "'stop' is given more than 512 times");
}

static void test_help(void **state)
{
    (void)state;
    struct given g;
    static const char *const lines[] = {"--help", "-h", "m --help --unknown", "-qh"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(parse(&g, lines[i]), QN_EXIT_OK);
        assert_non_null(strstr(printed, "Usage: quern run MODEL [EXTRA] [options]\n"));
    }
    assert_non_null(strstr(printed, "  -n, --tokens N              tokens to generate (default 128)\n"));
    assert_non_null(strstr(printed, "      --kv f32|f16|q8_0       type of the KV cache\n"));
    assert_non_null(strstr(printed, "  -h, --help                  show this help\n"));
    assert_non_null(strstr(printed, "Examples:\n  quern run m.gguf -p Hello\n"));
}

static void test_rest(void **state)
{
    (void)state;
    struct qn_arg_list files = {.count = 0};
    const struct qn_arg table[] = {QN_ARG_REST("FILE", &files, "files"), {0}};
    const struct qn_args args = {"many", "takes files", table, NULL};
    char *argv[] = {(char *)"many", (char *)"a", (char *)"b", NULL};
    int code = 0;
    assert_true(qn_args_parse(&args, 3, argv, &code));
    assert_int_equal(files.count, 2);
    assert_string_equal(files.items[1], "b");
    files.count = 0;
    assert_false(qn_args_parse(&args, 1, argv, &code));
    assert_int_equal(code, QN_EXIT_USAGE);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"bench", "chat", "inspect", "quantize", "run", "tokenize"};
    static const struct {
        const char *word, *nearest;
    } rows[] = {
        {"inspcet", "inspect"},   {"insepct", "inspect"}, {"Inspect", "inspect"}, {"quantise", "quantize"},
        {"tokenise", "tokenize"}, {"rum", "run"},         {"chta", "chat"},       {"benchmark", NULL},
        {"tok", "tokenize"},      {"ru", "run"},          {"xyz", NULL},          {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *nearest = qn_args_nearest(rows[i].word, names, 6);
        if (rows[i].nearest ? !nearest || strcmp(nearest, rows[i].nearest) : nearest != NULL)
            fail_msg("'%s': '%s'", rows[i].word, nearest ? nearest : "nothing");
    }
    char word[200];
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    assert_null(qn_args_nearest(word, names, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_forms), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_help),   cmocka_unit_test(test_rest),  cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}

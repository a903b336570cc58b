/* Command-line options, driven by a table that a command declares:
 *
 *     int64_t count = 128;
 *     const char *model = NULL;
 *     const struct qn_arg table[] = {
 *         QN_ARG_POSITION("MODEL", &model, "the model to run"),
 *         QN_ARG_INT('n', "tokens", &count, 0, 1 << 20, "N", "tokens to generate (default 128)"),
 *         {0},
 *     };
 *     const struct qn_args args = {"run", "generate text", table, "  quern run model.gguf -p Hello\n"};
 *     int code = 0;
 *     if (!qn_args_parse(&args, argc, argv, &code))
 *         return code;
 *
 * Accepted: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, clusters of one-letter flags, options and positional
 * arguments in any order, "--" before positional arguments that start with a dash, and a lone "-". What follows an
 * option that takes a value is its value even when it starts with a dash. The last one counts when an option is
 * repeated, except for lists. --help is served for every command. Errors name the option, what was given and what
 * was expected, on stderr.
 */
#ifndef QN_CLI_ARGS_H
#define QN_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum qn_arg_type {
    QN_ARG_TYPE_END = 0,
    QN_ARG_TYPE_FLAG,     /* bool */
    QN_ARG_TYPE_INT,      /* int64_t */
    QN_ARG_TYPE_REAL,     /* double */
    QN_ARG_TYPE_TEXT,     /* const char *, pointing into argv */
    QN_ARG_TYPE_CHOICE,   /* int: which of the names in `value` ("f32|f16|q8_0"), any letter case */
    QN_ARG_TYPE_LIST,     /* struct qn_arg_list: every occurrence */
    QN_ARG_TYPE_POSITION, /* const char *: the next positional argument */
    QN_ARG_TYPE_REST,     /* struct qn_arg_list: all further positional arguments; last in the table */
};

enum { QN_ARG_LIST_MAX = 512 }; /* an exported decoder has four inputs a layer */

struct qn_arg_list {
    const char *items[QN_ARG_LIST_MAX]; /* pointing into argv */
    size_t count;
};

struct qn_arg {
    enum qn_arg_type type;
    char letter;       /* 0: none */
    bool optional;     /* POSITION, REST: may be absent */
    const char *name;  /* without dashes; a positional argument's shown name */
    void *out;         /* of the type above; keeps its content when the option is absent */
    const char *value; /* shown name of the value; the names of a CHOICE */
    double min, max;   /* INT, REAL: accepted range, both inclusive */
    const char *help;  /* one line, defaults included */
};

/* clang-format off */
#define QN_ARG_FLAG(letter, name, out, help) {QN_ARG_TYPE_FLAG, letter, true, name, (bool *){out}, 0, 0, 0, help}
#define QN_ARG_INT(letter, name, out, min, max, value, help) \
    {QN_ARG_TYPE_INT, letter, true, name, (int64_t *){out}, value, min, max, help}
#define QN_ARG_REAL(letter, name, out, min, max, value, help) \
    {QN_ARG_TYPE_REAL, letter, true, name, (double *){out}, value, min, max, help}
#define QN_ARG_TEXT(letter, name, out, value, help) \
    {QN_ARG_TYPE_TEXT, letter, true, name, (const char **){out}, value, 0, 0, help}
#define QN_ARG_CHOICE(letter, name, out, names, help) \
    {QN_ARG_TYPE_CHOICE, letter, true, name, (int *){out}, names, 0, 0, help}
#define QN_ARG_LIST(letter, name, out, value, help) \
    {QN_ARG_TYPE_LIST, letter, true, name, (struct qn_arg_list *){out}, value, 0, 0, help}
#define QN_ARG_POSITION(name, out, help) \
    {QN_ARG_TYPE_POSITION, 0, false, name, (const char **){out}, 0, 0, 0, help}
#define QN_ARG_OPTIONAL(name, out, help) {QN_ARG_TYPE_POSITION, 0, true, name, (const char **){out}, 0, 0, 0, help}
#define QN_ARG_REST(name, out, help) {QN_ARG_TYPE_REST, 0, false, name, (struct qn_arg_list *){out}, 0, 0, 0, help}
#define QN_ARG_OPTIONAL_REST(name, out, help) \
    {QN_ARG_TYPE_REST, 0, true, name, (struct qn_arg_list *){out}, 0, 0, 0, help}
/* clang-format on */

struct qn_args {
    const char *command;        /* "run" */
    const char *summary;        /* one line */
    const struct qn_arg *table; /* ends with {0} */
    const char *examples;       /* lines to print under "Examples:", or NULL */
};

/* Fills the table's variables from argv[1..]. False when the command has to end now with *code: --help was printed
 * (0) or the usage was wrong (2, with the error on stderr). */
bool qn_args_parse(const struct qn_args *args, int argc, char **argv, int *code);

/* Prints the help of a command to stdout. */
void qn_args_help(const struct qn_args *args);

/* The name in names[0..count) that is nearest to `word` and near enough to be a slip of the hand, or NULL. */
const char *qn_args_nearest(const char *word, const char *const *names, size_t count);

/* Prints a usage error ("quern: error: ...", and where to find help) and returns QN_EXIT_USAGE. For what a table
 * cannot say, such as two options that exclude each other. */
int qn_args_fail(const struct qn_args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

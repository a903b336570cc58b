#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/command.h"
#include "cli/terminal.h"

enum { MAX_NAME = 64, HELP_COLUMN = 30 };

static bool is_positional(const struct qn_arg *arg)
{
    return arg->type == QN_ARG_TYPE_POSITION || arg->type == QN_ARG_TYPE_REST;
}

/* ---- nearest name --------------------------------------------------------------------------------------------- */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap two neighbours) between two words; MAX_NAME when one is too long. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b), row[3][MAX_NAME + 1];
    if (m > MAX_NAME || n > MAX_NAME)
        return MAX_NAME;
    for (size_t j = 0; j <= n; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t replaced = last[j - 1] + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            now[j] = min_size(replaced, min_size(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min_size(now[j], before[j - 2] + 1);
        }
    }
    return row[m % 3][n];
}

const char *qn_args_nearest(const char *word, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = 0;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, names[i]);
        bool prefix = strlen(word) >= 3 && strncasecmp(word, names[i], strlen(word)) == 0;
        if (distance > 1 + min_size(strlen(word), strlen(names[i])) / 4 && !prefix)
            continue;
        if (prefix)
            distance = 0;
        if (!best || distance < best_distance) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

/* ---- errors --------------------------------------------------------------------------------------------------- */

int qn_args_fail(const struct qn_args *args, const char *fmt, ...)
{
    char text[512];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    qn_terminal_error("%s", text);
    fprintf(stderr, "Try 'quern %s --help'.\n", args->command);
    return QN_EXIT_USAGE;
}

static int fail_unknown(const struct qn_args *args, const char *given)
{
    const char *names[128], *best;
    size_t count = 0;
    for (const struct qn_arg *arg = args->table; arg->type && count < 127; arg++)
        if (!is_positional(arg))
            names[count++] = arg->name;
    names[count++] = "help";
    best = qn_args_nearest(given + strspn(given, "-"), names, count);
    if (best)
        return qn_args_fail(args, "unknown option '%s'; did you mean '--%s'?", given, best);
    return qn_args_fail(args, "unknown option '%s'", given);
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static int store_int(const struct qn_args *args, const struct qn_arg *arg, const char *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end || isspace((unsigned char)*value))
        return qn_args_fail(args, "option '--%s': expected a whole number, found '%s'", arg->name, value);
    if (errno == ERANGE || (double)number < arg->min || (double)number > arg->max)
        return qn_args_fail(args, "option '--%s': expected a number from %.0f to %.0f, found '%s'", arg->name, arg->min,
                            arg->max, value);
    *(int64_t *)arg->out = number;
    return QN_EXIT_OK;
}

static int store_real(const struct qn_args *args, const struct qn_arg *arg, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || isspace((unsigned char)*value) || isnan(number))
        return qn_args_fail(args, "option '--%s': expected a number, found '%s'", arg->name, value);
    if (number < arg->min || number > arg->max)
        return qn_args_fail(args, "option '--%s': expected a number from %g to %g, found '%s'", arg->name, arg->min,
                            arg->max, value);
    *(double *)arg->out = number;
    return QN_EXIT_OK;
}

static int store_choice(const struct qn_args *args, const struct qn_arg *arg, const char *value)
{
    size_t length = strlen(value);
    int index = 0;
    for (const char *name = arg->value; name; index++) {
        size_t name_length = strcspn(name, "|");
        if (length == name_length && strncasecmp(name, value, length) == 0) {
            *(int *)arg->out = index;
            return QN_EXIT_OK;
        }
        name = name[name_length] ? name + name_length + 1 : NULL;
    }
    return qn_args_fail(args, "option '--%s': expected one of %s, found '%s'", arg->name, arg->value, value);
}

static int store_list(const struct qn_args *args, const struct qn_arg *arg, const char *value)
{
    struct qn_arg_list *list = arg->out;
    if (list->count == QN_ARG_LIST_MAX)
        return qn_args_fail(args, "'%s' is given more than %d times", arg->name, QN_ARG_LIST_MAX);
    list->items[list->count++] = value;
    return QN_EXIT_OK;
}

static int store(const struct qn_args *args, const struct qn_arg *arg, const char *value)
{
    switch (arg->type) {
    case QN_ARG_TYPE_FLAG:
        *(bool *)arg->out = true;
        return QN_EXIT_OK;
    case QN_ARG_TYPE_INT:
        return store_int(args, arg, value);
    case QN_ARG_TYPE_REAL:
        return store_real(args, arg, value);
    case QN_ARG_TYPE_CHOICE:
        return store_choice(args, arg, value);
    case QN_ARG_TYPE_LIST:
    case QN_ARG_TYPE_REST:
        return store_list(args, arg, value);
    case QN_ARG_TYPE_TEXT:
    case QN_ARG_TYPE_POSITION:
        *(const char **)arg->out = value;
        return QN_EXIT_OK;
    case QN_ARG_TYPE_END:
        break;
    }
    return QN_EXIT_OK;
}

/* ---- parsing -------------------------------------------------------------------------------------------------- */

struct parser {
    const struct qn_args *args;
    int argc, next; /* next: index of the argument to read */
    char **argv;
    const struct qn_arg *position; /* where the next positional argument goes */
    bool help;
};

static const struct qn_arg *next_position(const struct qn_arg *arg)
{
    while (arg->type && !is_positional(arg))
        arg++;
    return arg;
}

static int parse_position(struct parser *p, const char *value)
{
    const struct qn_arg *arg = p->position;
    if (!arg->type)
        return qn_args_fail(p->args, "unexpected argument '%s'", value);
    if (arg->type == QN_ARG_TYPE_POSITION)
        p->position = next_position(arg + 1);
    return store(p->args, arg, value);
}

/* The value of an option: `attached` text where there is some, otherwise the next argument. */
static int parse_value(struct parser *p, const struct qn_arg *arg, const char *attached)
{
    if (attached)
        return store(p->args, arg, attached);
    if (p->next >= p->argc)
        return qn_args_fail(p->args, "option '--%s' needs a value (%s)", arg->name, arg->value);
    return store(p->args, arg, p->argv[p->next++]);
}

static int parse_long(struct parser *p, const char *given)
{
    const char *name = given + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    if (length == 4 && memcmp(name, "help", 4) == 0) {
        p->help = true;
        return QN_EXIT_OK;
    }
    for (const struct qn_arg *arg = p->args->table; arg->type; arg++) {
        if (is_positional(arg) || strncmp(arg->name, name, length) || arg->name[length])
            continue;
        if (arg->type != QN_ARG_TYPE_FLAG)
            return parse_value(p, arg, equals ? equals + 1 : NULL);
        if (equals)
            return qn_args_fail(p->args, "option '--%s' takes no value, found '%s'", arg->name, equals + 1);
        return store(p->args, arg, NULL);
    }
    return fail_unknown(p->args, given);
}

/* -n 5, -n5, and clusters of flags that may end with an option that takes a value: -qn5. */
static int parse_short(struct parser *p, const char *given)
{
    for (const char *letter = given + 1; *letter; letter++) {
        const struct qn_arg *arg = p->args->table;
        while (arg->type && arg->letter != *letter)
            arg++;
        if (!arg->type && *letter == 'h') {
            p->help = true;
            continue;
        }
        if (!arg->type && letter == given + 1)
            return fail_unknown(p->args, given);
        if (!arg->type)
            return qn_args_fail(p->args, "unknown option '-%c' in '%s'", *letter, given);
        if (arg->type != QN_ARG_TYPE_FLAG)
            return parse_value(p, arg, letter[1] ? letter + 1 : NULL);
        store(p->args, arg, NULL);
    }
    return QN_EXIT_OK;
}

static int parse_all(struct parser *p)
{
    bool options = true;
    while (p->next < p->argc) {
        const char *given = p->argv[p->next++];
        int code = QN_EXIT_OK;
        if (!options || given[0] != '-' || !given[1])
            code = parse_position(p, given);
        else if (given[1] != '-')
            code = parse_short(p, given);
        else if (given[2])
            code = parse_long(p, given);
        else
            options = false;
        if (code || p->help)
            return code;
    }
    const struct qn_arg *missing = p->position;
    if (missing->type == QN_ARG_TYPE_REST && ((struct qn_arg_list *)missing->out)->count)
        return QN_EXIT_OK;
    if (missing->type && !missing->optional)
        return qn_args_fail(p->args, "missing argument %s (%s)", missing->name, missing->help);
    return QN_EXIT_OK;
}

bool qn_args_parse(const struct qn_args *args, int argc, char **argv, int *code)
{
    struct parser p = {args, argc, 1, argv, next_position(args->table), false};
    *code = parse_all(&p);
    if (*code == QN_EXIT_OK && p.help)
        qn_args_help(args);
    return *code == QN_EXIT_OK && !p.help;
}

/* ---- help ----------------------------------------------------------------------------------------------------- */

static void help_row(const struct qn_arg *arg)
{
    char left[128];
    if (is_positional(arg))
        snprintf(left, sizeof left, "%s", arg->name);
    else if (arg->letter)
        snprintf(left, sizeof left, "-%c, --%s%s%s", arg->letter, arg->name, arg->value ? " " : "",
                 arg->value ? arg->value : "");
    else
        snprintf(left, sizeof left, "    --%s%s%s", arg->name, arg->value ? " " : "", arg->value ? arg->value : "");
    int width = (int)strlen(left);
    if (width + 4 > HELP_COLUMN)
        printf("  %s\n%*s%s\n", left, HELP_COLUMN, "", arg->help);
    else
        printf("  %s%*s%s\n", left, HELP_COLUMN - 2 - width, "", arg->help);
}

void qn_args_help(const struct qn_args *args)
{
    bool options = false, positions = false;
    printf("quern %s: %s\n\nUsage: quern %s", args->command, args->summary, args->command);
    for (const struct qn_arg *arg = args->table; arg->type; arg++) {
        options |= !is_positional(arg);
        positions |= is_positional(arg);
        if (is_positional(arg))
            printf(arg->optional ? " [%s%s]" : " %s%s", arg->name, arg->type == QN_ARG_TYPE_REST ? "..." : "");
    }
    printf("%s\n", options ? " [options]" : "");
    if (positions)
        printf("\nArguments:\n");
    for (const struct qn_arg *arg = args->table; arg->type; arg++)
        if (is_positional(arg))
            help_row(arg);
    printf("\nOptions:\n");
    for (const struct qn_arg *arg = args->table; arg->type; arg++)
        if (!is_positional(arg))
            help_row(arg);
    const struct qn_arg help = {QN_ARG_TYPE_FLAG, 'h', true, "help", NULL, NULL, 0, 0, "show this help"};
    help_row(&help);
    if (args->examples)
        printf("\nExamples:\n%s", args->examples);
}

/* The `quern` program: finds the subcommand and hands over. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "quern/version.h"

struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define QN_COMMAND(name, summary) {#name, summary, qn_cmd_##name},
#include "cli/commands.def"
#undef QN_COMMAND
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int fail_unknown(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *best = qn_args_nearest(name, names, COMMAND_COUNT);
    if (best)
        qn_terminal_error("unknown command '%s'; did you mean '%s'?", name, best);
    else
        qn_terminal_error("unknown command '%s'", name);
    fprintf(stderr, "Try 'quern --help'.\n");
    return QN_EXIT_USAGE;
}

static void print_help(FILE *out)
{
    fprintf(out, "quern: run any model\n\nUsage: quern COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nOptions:\n  -h, --help    show this help\n      --version show the version\n"
                 "\n'quern COMMAND --help' shows a command's options.\n");
}

int qn_cmd_help(int argc, char **argv)
{
    const char *name = NULL;
    const struct qn_arg table[] = {
        QN_ARG_OPTIONAL("COMMAND", &name, "the command to explain"),
        {0},
    };
    const struct qn_args args = {"help", "show what a command does and its options", table, "  quern help inspect\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    if (!name) {
        print_help(stdout);
        return QN_EXIT_OK;
    }
    const struct command *command = find_command(name);
    if (!command)
        return fail_unknown(name);
    char help[] = "--help", *help_argv[] = {(char *)command->name, help, NULL};
    return command->run(2, help_argv);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return QN_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(stdout);
        return QN_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        printf("quern %s\n", QUERN_VERSION);
        return QN_EXIT_OK;
    }
    const struct command *command = find_command(name);
    return command ? command->run(argc - 1, argv + 1) : fail_unknown(name);
}

int main(int argc, char **argv)
{
    return qn_terminal_finish(run(argc, argv));
}

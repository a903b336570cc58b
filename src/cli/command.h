/* What every subcommand has in common: its entry point and the exit codes of the program.
 *
 * Files under cli/ include "quern/..." (the public API) and each other, and nothing else of Quern.
 */
#ifndef QN_CLI_COMMAND_H
#define QN_CLI_COMMAND_H

#include "quern/status.h"

/* The exit codes of `quern`, for scripts. Numbers are stable. */
enum qn_exit {
    QN_EXIT_OK = 0,
    QN_EXIT_FAILED = 1,        /* the work failed while running: input/output, memory, a bug of ours */
    QN_EXIT_USAGE = 2,         /* the command line is wrong: nothing was done */
    QN_EXIT_BAD_FILE = 3,      /* a file is damaged or breaks its format's rules */
    QN_EXIT_UNSUPPORTED = 4,   /* a well-formed file or request that Quern cannot serve */
    QN_EXIT_NOT_FOUND = 5,     /* a file, tensor, key or name does not exist */
    QN_EXIT_LIMIT = 6,         /* past a capacity, such as the model's context */
    QN_EXIT_INTERRUPTED = 130, /* Ctrl-C */
    QN_EXIT_PIPE = 141,        /* the reader of standard output went away */
};

#define QN_COMMAND(name, summary) int qn_cmd_##name(int argc, char **argv);
#include "cli/commands.def"
#undef QN_COMMAND

/* Prints "quern: error: <message>" for a failed status, releases it and returns the exit code that fits it.
 * QN_EXIT_OK, without a word, for NULL. */
int qn_command_status(qn_status status);

/* Returns from a function that returns a qn_status when expr fails. */
#define QN_COMMAND_TRY(expr)                      \
    do {                                          \
        qn_status qn_command_try_status = (expr); \
        if (qn_command_try_status)                \
            return qn_command_try_status;         \
    } while (0)

#endif

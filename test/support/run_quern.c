#define _GNU_SOURCE /* popen */
#include "support/run_quern.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "support/testing.h"

int qn_test_run_quern(const char **output, size_t *size, const char *arguments, ...)
{
    static char text[1 << 20];
    char line[4096];
    const char *command = getenv("QUERN_COMMAND");
    if (!command) {
        print_message("skipped: QUERN_COMMAND is not set\n");
        skip();
    }
    int used = snprintf(line, sizeof line, "'%s' ", command);
    va_list args;
    va_start(args, arguments);
    vsnprintf(line + used, sizeof line - (size_t)used, arguments, args);
    va_end(args);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t got = fread(text, 1, sizeof text - 1, pipe);
    text[got] = 0;
    int status = pclose(pipe);
    if (!WIFEXITED(status))
        fail_msg("ended by a signal: %s", line);
    *output = text;
    if (size)
        *size = got;
    return WEXITSTATUS(status);
}

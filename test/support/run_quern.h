/* Running the quern command as a person does, through the shell. */
#ifndef QN_TEST_SUPPORT_RUN_QUERN_H
#define QN_TEST_SUPPORT_RUN_QUERN_H

#include <stddef.h>

/* Runs `quern <arguments>` ($QUERN_COMMAND, which the build sets; skips the test where it is absent) and gives its exit
 * code and what it wrote to stdout (terminated; add 2>&1 to see stderr). The text is valid until the next call. */
int qn_test_run_quern(const char **output, size_t *size, const char *arguments, ...)
    __attribute__((format(printf, 3, 4)));

#endif

/* What `quern convert` and `quern quantize` share: progress, interruption, and the summary. */
#ifndef QN_CLI_CONVERT_RUN_H
#define QN_CLI_CONVERT_RUN_H

#include <stdbool.h>

#include "quern/convert.h"

struct qn_convert_run {
    const char *input, *output;
    const char *type;                  /* of qn_quantize; NULL: qn_convert with options->type */
    const char *doing;                 /* "converting" */
    bool json, quiet;                  /* a summary as JSON on stdout; nothing on stderr */
    struct qn_convert_options options; /* all but struct_size and progress */
};

/* Does it and returns the exit code. SIGINT and SIGTERM stop it cleanly. */
int qn_convert_run(struct qn_convert_run *run);

#endif

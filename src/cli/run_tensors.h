/* `quern run` for models that take and give tensors. */
#ifndef QN_CLI_RUN_TENSORS_H
#define QN_CLI_RUN_TENSORS_H

#include "cli/tensors.h"

struct qn_run_tensors {
    struct qn_tensor_args tensors;
    const char *output_dir, *labels, *profile;
    struct qn_arg_list outputs; /* names; empty: all */
    int64_t top;
    bool json;
};

/* Runs once, writes or shows the outputs, and gives the exit code. */
int qn_run_tensors(const struct qn_run_tensors *args, struct qn_tensor_run *run);

#endif

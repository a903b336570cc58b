/* `quern bench` for models that take and give tensors. */
#ifndef QN_CLI_BENCH_TENSORS_H
#define QN_CLI_BENCH_TENSORS_H

#include "cli/tensors.h"

struct qn_bench_tensors {
    struct qn_tensor_args tensors;
    int64_t repeats;
    double seconds; /* stop after so many, whatever repeats says */
    const char *profile;
    bool json;
};

int qn_bench_tensors(const struct qn_bench_tensors *args, struct qn_tensor_run *run);

#endif

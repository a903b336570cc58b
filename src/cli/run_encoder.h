/* `quern run` for encoders: says what the model's head was trained to say of a text. */
#ifndef QN_CLI_RUN_ENCODER_H
#define QN_CLI_RUN_ENCODER_H

#include "cli/args.h"
#include "cli/encoder_open.h"

struct qn_run_encoder {
    struct qn_encoder_open_args open;
    const char *text; /* not NULL */
    size_t size;
    struct qn_arg_list pairs; /* second texts: documents, or the context of a question */
    int64_t top;
    bool json;
};

/* Whether the file holds an encoder. */
qn_status qn_run_is_encoder(const char *path, bool *out) QN_MUST_USE;

/* Runs and shows the result:
 *   a classifier's classes with their probabilities, for each pair where there are pairs; of a reranker (one class) the
 *   pairs, the best first; the entities of a token classifier; the answer to the question `text` in each pair; what
 *   fits in the place of each mask token.
 * Gives the exit code. */
int qn_run_encoder(const struct qn_run_encoder *args, const struct qn_args *command);

#endif

/* What the commands that run an encoder share: opening model, tokenizer and engine. */
#ifndef QN_CLI_ENCODER_OPEN_H
#define QN_CLI_ENCODER_OPEN_H

#include "quern/encoder.h"
#include "quern/model.h"
#include "quern/tokenizer.h"

struct qn_encoder_open_args {
    const char *path;
    int64_t threads, batch;
    const char *disabled_passes;
    bool exact; /* f32 activations */
};

struct qn_encoder_run {
    struct qn_model *model;
    struct qn_tokenizer *tokenizer; /* NULL where it was not asked for */
    struct qn_encoder *encoder;
    struct qn_encoder_info info;
    double load_s;
};

qn_status qn_encoder_open(const struct qn_encoder_open_args *args, bool need_tokenizer,
                          struct qn_encoder_run *run) QN_MUST_USE;
void qn_encoder_close(struct qn_encoder_run *run);

/* Ctrl-C cancels the encoder's call, until qn_interrupt_end. */
void qn_encoder_interrupt_begin(struct qn_encoder *encoder);

/* Token ids from "101,7592,102", the value of `option`. */
struct qn_args;
int qn_encoder_parse_ids(const struct qn_args *args, const char *option, const char *list, int32_t **ids,
                         size_t *count);

#endif

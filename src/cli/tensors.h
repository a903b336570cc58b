/* What the commands that run a model on tensors share: their options, opening model, extensions, session and run, and
 * finding data for every input. */
#ifndef QN_CLI_TENSORS_H
#define QN_CLI_TENSORS_H

#include "cli/args.h"
#include "quern/data.h"
#include "quern/extension.h"
#include "quern/model.h"
#include "quern/session.h"

struct qn_tensor_args {
    const char *path;
    int64_t threads, seed;
    struct qn_arg_list inputs, dims, extensions;
    const char *image, *backends, *passes_off;
    int normalise;
    bool random, stretch, quiet, prepare;
};

/* Rows of the option table; threads, seed, passes-off and quiet stand in the command's own. */
#define QN_TENSOR_ARG_ROWS(a)                                                                                          \
    QN_ARG_LIST('i', "input", &(a)->inputs, "NAME=FILE",                                                               \
                "data of an input: .npy, .pb, .png, .jpg, .wav; may be repeated"),                                     \
        QN_ARG_LIST('d', "dim", &(a)->dims, "NAME=N", "size of a symbolic dimension; may be repeated"),                \
        QN_ARG_FLAG(0, "random", &(a)->random, "random numbers for inputs that are not given"),                        \
        QN_ARG_TEXT(0, "image", &(a)->image, "FILE", "a picture for the model's image input"),                         \
        QN_ARG_CHOICE(0, "normalise", &(a)->normalise, "imagenet|unit|signed|none",                                    \
                      "how a picture's 0 .. 255 become numbers: ImageNet's means and deviations, 0 .. 1, -1 .. 1, or " \
                      "as they are (default imagenet)"),                                                               \
        QN_ARG_FLAG(0, "stretch", &(a)->stretch, "scale a picture without keeping its proportions"),                   \
        QN_ARG_TEXT(0, "backend", &(a)->backends, "LIST", "backends in the order of preference (default cpu)"),        \
        QN_ARG_LIST(0, "extension", &(a)->extensions, "FILE", "shared library with ops or backends; may be repeated")

enum { QN_TENSOR_MAX_DIMS = 64 };

struct qn_tensor_run {
    const struct qn_tensor_args *args;
    struct qn_model *model;
    struct qn_session *session;
    struct qn_run *run;
    struct qn_extension_library *libraries[QN_ARG_LIST_MAX];
    const struct qn_extension *extensions[QN_ARG_LIST_MAX];
    struct qn_dim_size dims[QN_TENSOR_MAX_DIMS];
    char dim_names[QN_TENSOR_MAX_DIMS][256];
    const char *given[QN_ARG_LIST_MAX]; /* inputs with a default for which there is a file */
    uint32_t given_count;
    struct qn_data *inputs; /* one a slot */
    uint32_t input_count, output_count;
    double open_s, session_s;
};

/* Reads --dim; false: end with *code. */
bool qn_tensor_args_finish(const struct qn_args *args, struct qn_tensor_args *tensors, struct qn_tensor_run *run,
                           int *code);

/* Opens model, extensions and session; *run is to be closed in any case. */
qn_status qn_tensor_open(const struct qn_tensor_args *args, struct qn_tensor_run *run) QN_MUST_USE;
/* Loads and binds data for every input. Errors name the input and what it wants. */
qn_status qn_tensor_bind(struct qn_tensor_run *run) QN_MUST_USE;
void qn_tensor_close(struct qn_tensor_run *run);

/* Executes; Ctrl-C cancels (then QN_CANCELLED). */
qn_status qn_tensor_execute(struct qn_tensor_run *run) QN_MUST_USE;

/* The profile of what was executed, as JSON for a trace viewer. */
qn_status qn_tensor_write_trace(const struct qn_tensor_run *run, const char *path) QN_MUST_USE;

/* "f32[N,3,224,224]" of a slot, or of a tensor. */
#define QN_TENSOR_TYPE_SIZE 256
const char *qn_tensor_slot_type(const struct qn_slot_info *slot, char buffer[QN_TENSOR_TYPE_SIZE]);
const char *qn_tensor_type(const struct qn_tensor *tensor, char buffer[QN_TENSOR_TYPE_SIZE]);

/* Whether the model at `path` is a language model that goes on from a prompt. */
qn_status qn_model_is_language(const char *path, bool *out) QN_MUST_USE;

double qn_tensor_now_s(void);

#endif

#include "cli/tensors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/footprint.h"
#include "cli/interrupt.h"

double qn_tensor_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- types as text -------------------------------------------------------------------------------------------- */

static const char *write_type(qn_dtype dtype, uint32_t rank, const int64_t *dims, const char *const *names,
                              char buffer[QN_TENSOR_TYPE_SIZE])
{
    size_t at = (size_t)snprintf(buffer, QN_TENSOR_TYPE_SIZE, "%s[", qn_dtype_name(dtype));
    for (uint32_t i = 0; i < rank && at < 200; i++) {
        if (dims[i] >= 0)
            at += (size_t)snprintf(buffer + at, QN_TENSOR_TYPE_SIZE - at, "%s%lld", i ? "," : "", (long long)dims[i]);
        else
            at += (size_t)snprintf(buffer + at, QN_TENSOR_TYPE_SIZE - at, "%s%.40s", i ? "," : "",
                                   names && names[i] ? names[i] : "?");
    }
    snprintf(buffer + at, QN_TENSOR_TYPE_SIZE - at, "]");
    return buffer;
}

const char *qn_tensor_slot_type(const struct qn_slot_info *slot, char buffer[QN_TENSOR_TYPE_SIZE])
{
    if (slot->kind == QN_DATA_TENSOR)
        return write_type(slot->dtype, slot->rank, slot->dims, slot->dim_names, buffer);
    snprintf(buffer, QN_TENSOR_TYPE_SIZE, "%s",
             slot->message == QN_DATA_MESSAGE_SEQUENCE   ? "sequence"
             : slot->message == QN_DATA_MESSAGE_OPTIONAL ? "optional"
                                                         : "tensor of any shape");
    return buffer;
}

const char *qn_tensor_type(const struct qn_tensor *tensor, char buffer[QN_TENSOR_TYPE_SIZE])
{
    return write_type(tensor->dtype, tensor->rank, tensor->dims, NULL, buffer);
}

/* ---- which kind of model --------------------------------------------------------------------------------------- */

qn_status qn_model_is_language(const char *path, bool *out)
{
    struct qn_model *model;
    struct qn_model_info info = {.struct_size = sizeof info};
    QN_COMMAND_TRY(qn_model_open(path, NULL, &model));
    qn_status status = qn_model_info(model, &info);
    if (!status)
        *out = info.output_count == 0; /* it carries no graph of its own */
    qn_model_close(model);
    return status;
}

/* ---- options -------------------------------------------------------------------------------------------------- */

bool qn_tensor_args_finish(const struct qn_args *args, struct qn_tensor_args *tensors, struct qn_tensor_run *run,
                           int *code)
{
    for (size_t i = 0; i < tensors->dims.count; i++) {
        const char *text = tensors->dims.items[i], *equals = strrchr(text, '=');
        char *end = NULL;
        long long size = equals ? strtoll(equals + 1, &end, 10) : -1;
        if (!equals || equals == text || (size_t)(equals - text) >= sizeof run->dim_names[i] || end == equals + 1 ||
            *end || size < 0) {
            *code = qn_args_fail(args, "option '--dim': expected NAME=N, found '%s'", text);
            return false;
        }
        memcpy(run->dim_names[i], text, (size_t)(equals - text));
        run->dims[i] = (struct qn_dim_size){run->dim_names[i], size};
    }
    for (size_t i = 0; i < tensors->inputs.count; i++)
        if (!strchr(tensors->inputs.items[i], '=')) {
            *code = qn_args_fail(args, "option '--input': expected NAME=FILE, found '%s'", tensors->inputs.items[i]);
            return false;
        }
    run->args = tensors;
    return true;
}

/* The file given for an input, or NULL. */
static const char *given(const struct qn_tensor_args *args, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = args->inputs.count; i-- > 0;)
        if (strncmp(args->inputs.items[i], name, length) == 0 && args->inputs.items[i][length] == '=')
            return args->inputs.items[i] + length + 1;
    return NULL;
}

/* Inputs with a default are inputs of the session only where a file is given for them. */
static qn_status collect_given(const struct qn_tensor_args *args, struct qn_tensor_run *run)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    QN_COMMAND_TRY(qn_model_info(run->model, &info));
    for (uint32_t i = 0; i < info.input_count && run->given_count < QN_ARG_LIST_MAX; i++) {
        struct qn_model_port port = {.struct_size = sizeof port};
        QN_COMMAND_TRY(qn_model_input(run->model, i, &port));
        if (port.has_default && given(args, port.name))
            run->given[run->given_count++] = port.name;
    }
    return NULL;
}

qn_status qn_tensor_open(const struct qn_tensor_args *args, struct qn_tensor_run *run)
{
    double start = qn_tensor_now_s();
    for (size_t i = 0; i < args->extensions.count; i++)
        QN_COMMAND_TRY(qn_extension_load(args->extensions.items[i], &run->libraries[i], &run->extensions[i]));
    QN_COMMAND_TRY(qn_model_open(args->path, NULL, &run->model));
    run->open_s = qn_tensor_now_s() - start;
    QN_COMMAND_TRY(collect_given(args, run));
    start = qn_tensor_now_s();
    struct qn_session_options options = {
        .struct_size = sizeof options,
        .threads = (uint32_t)args->threads,
        .disabled_passes = args->passes_off,
        .dims = run->dims,
        .dim_count = (uint32_t)args->dims.count,
        .backends = args->backends,
        .extensions = run->extensions,
        .extension_count = (uint32_t)args->extensions.count,
        .given_inputs = run->given,
        .given_count = run->given_count,
        .prepare = args->prepare,
    };
    QN_COMMAND_TRY(qn_session_create(run->model, &options, &run->session));
    QN_COMMAND_TRY(qn_run_create(run->session, &run->run));
    run->session_s = qn_tensor_now_s() - start;
    run->input_count = qn_session_slot_count(run->session, QN_SLOT_INPUT);
    run->output_count = qn_session_slot_count(run->session, QN_SLOT_OUTPUT);
    run->inputs = calloc(run->input_count + 1, sizeof *run->inputs);
    return run->inputs ? NULL : QN_STATUS(QN_OUT_OF_MEMORY, "no memory for %u inputs", run->input_count);
}

void qn_tensor_close(struct qn_tensor_run *run)
{
    qn_run_destroy(run->run);
    qn_session_destroy(run->session);
    for (uint32_t i = 0; run->inputs && i < run->input_count; i++)
        qn_data_free(&run->inputs[i], NULL);
    free(run->inputs);
    qn_model_close(run->model);
    for (size_t i = 0; i < QN_ARG_LIST_MAX; i++)
        qn_extension_unload(run->libraries[i]);
    *run = (struct qn_tensor_run){0};
}

/* ---- inputs --------------------------------------------------------------------------------------------------- */

static struct qn_image_options image_options(const struct qn_tensor_args *args)
{
    struct qn_image_options options = {
        .struct_size = sizeof options, .stretch = args->stretch, .raw = args->normalise == 3};
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
    for (int i = 0; i < 3; i++) {
        options.mean[i] = args->normalise == 0 ? mean[i] : args->normalise == 2 ? 0.5f : 0;
        options.deviation[i] = args->normalise == 0 ? deviation[i] : args->normalise == 2 ? 0.5f : 1;
    }
    return options;
}

/* Every name before a '=' must be an input. */
static qn_status check_names(const struct qn_tensor_run *run)
{
    for (size_t i = 0; i < run->args->inputs.count; i++) {
        const char *text = run->args->inputs.items[i];
        bool found = false;
        for (uint32_t k = 0; k < run->input_count && !found; k++) {
            struct qn_slot_info slot = {.struct_size = sizeof slot};
            QN_COMMAND_TRY(qn_session_slot(run->session, QN_SLOT_INPUT, k, &slot));
            size_t length = strlen(slot.name);
            found = strncmp(text, slot.name, length) == 0 && text[length] == '=';
        }
        if (!found)
            return QN_STATUS(QN_NOT_FOUND, "the model has no input '%.*s'; `quern inspect %s` lists them",
                             (int)strcspn(text, "="), text, run->args->path);
    }
    return NULL;
}

static bool is_picture(const struct qn_slot_info *slot)
{
    return slot->kind == QN_DATA_TENSOR && (slot->rank == 4 || slot->rank == 3) &&
           (slot->dtype == QN_DTYPE_F32 || slot->dtype == QN_DTYPE_F16 || slot->dtype == QN_DTYPE_U8);
}

static qn_status bind_one(struct qn_tensor_run *run, uint32_t index, const char **image)
{
    const struct qn_tensor_args *args = run->args;
    struct qn_slot_info slot = {.struct_size = sizeof slot};
    QN_COMMAND_TRY(qn_session_slot(run->session, QN_SLOT_INPUT, index, &slot));
    const char *path = given(args, slot.name);
    if (!path && *image && is_picture(&slot)) {
        path = *image;
        *image = NULL;
    }
    struct qn_image_options options = image_options(args);
    char type[QN_TENSOR_TYPE_SIZE];
    if (path)
        QN_COMMAND_TRY(qn_data_load(path, &slot, &options, NULL, &run->inputs[index]));
    else if (slot.optional)
        return NULL;
    else if (args->random)
        QN_COMMAND_TRY(qn_data_random(&slot, run->dims, (uint32_t)args->dims.count, (uint64_t)args->seed + index, NULL,
                                      &run->inputs[index]));
    else
        return QN_STATUS(QN_INVALID_ARGUMENT, "input '%s' %s is not given: --input %s=FILE, or --random", slot.name,
                         qn_tensor_slot_type(&slot, type), slot.name);
    return qn_run_bind_input(run->run, index, &run->inputs[index]);
}

qn_status qn_tensor_bind(struct qn_tensor_run *run)
{
    const char *image = run->args->image;
    QN_COMMAND_TRY(check_names(run));
    for (uint32_t i = 0; i < run->input_count; i++)
        QN_COMMAND_TRY(bind_one(run, i, &image));
    if (image)
        return QN_STATUS(QN_INVALID_ARGUMENT, "%s: the model has no input for a picture ([n, 3, h, w] or [n, h, w, 3])",
                         image);
    qn_footprint_settle();
    return NULL;
}

/* ---- running -------------------------------------------------------------------------------------------------- */

static void cancel(void *run)
{
    qn_run_cancel(run);
}

qn_status qn_tensor_execute(struct qn_tensor_run *run)
{
    qn_interrupt_begin(cancel, run->run, QN_INTERRUPT_ONCE);
    qn_status status = qn_run_execute(run->run);
    qn_interrupt_end();
    return status;
}

qn_status qn_tensor_write_trace(const struct qn_tensor_run *run, const char *path)
{
    char *json;
    size_t size;
    QN_COMMAND_TRY(qn_run_trace(run->run, &json, &size));
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(json, 1, size, file) == size;
    ok = (!file || fclose(file) == 0) && ok;
    qn_run_trace_free(run->run, json, size);
    return ok ? NULL : QN_STATUS(QN_IO, "%s: cannot be written: %s", path, strerror(errno));
}

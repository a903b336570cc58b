#include "cli/run_tensors.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/classes.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/terminal.h"

enum { SHOWN = 8 };

/* ---- outputs to files ----------------------------------------------------------------------------------------- */

static bool is_wanted(const struct qn_run_tensors *args, const char *name)
{
    bool wanted = args->outputs.count == 0;
    for (size_t i = 0; i < args->outputs.count && !wanted; i++)
        wanted = strcmp(args->outputs.items[i], name) == 0;
    return wanted;
}

static char plain(char c)
{
    bool stays = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._-", c);
    return stays || !c ? c : '_';
}

/* The output's name as a file's: all but letters, digits, '.', '_' and '-' becomes '_'. */
static qn_status stem_of(const char *folder, const char *name, char *out, size_t size)
{
    int at = snprintf(out, size, "%s/", folder);
    if (at < 0 || (size_t)at + strlen(name) + 1 > size)
        return QN_STATUS(QN_INVALID_ARGUMENT, "%s/%s: the path is too long", folder, name);
    for (; *name; name++)
        out[at++] = plain(*name);
    out[at] = 0;
    return NULL;
}

/* Files of `a` and `b` may have the same name: both names become one, or b's is that of an element of a. */
static bool same_file(const struct qn_slot_info *a, const char *b)
{
    const char *name = a->name;
    for (; *name && plain(*name) == plain(*b); name++)
        b++;
    if (*name)
        return false;
    return !*b || (a->kind != QN_DATA_TENSOR && *b == '.' && b[strspn(b, ".0123456789")] == 0);
}

/* An error when one wanted output would be written over another. */
static qn_status check_files(const struct qn_run_tensors *args, struct qn_tensor_run *run)
{
    for (uint32_t i = 0; i < run->output_count; i++)
        for (uint32_t k = 0; k < run->output_count; k++) {
            struct qn_slot_info a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
            QN_COMMAND_TRY(qn_session_slot(run->session, QN_SLOT_OUTPUT, i, &a));
            QN_COMMAND_TRY(qn_session_slot(run->session, QN_SLOT_OUTPUT, k, &b));
            if (i != k && is_wanted(args, a.name) && is_wanted(args, b.name) && same_file(&a, b.name))
                return QN_STATUS(QN_INVALID_ARGUMENT,
                                 "outputs '%s' and '%s' would be written to the same file: choose one with --output",
                                 a.name, b.name);
        }
    return NULL;
}

static qn_status save_outputs(const struct qn_run_tensors *args, struct qn_tensor_run *run)
{
    if (mkdir(args->output_dir, 0777) != 0 && errno != EEXIST)
        return QN_STATUS(QN_IO, "%s: cannot be made: %s", args->output_dir, strerror(errno));
    for (uint32_t i = 0; i < run->output_count; i++) {
        struct qn_slot_info slot = {.struct_size = sizeof slot};
        struct qn_data data;
        char stem[4096];
        QN_COMMAND_TRY(qn_session_slot(run->session, QN_SLOT_OUTPUT, i, &slot));
        QN_COMMAND_TRY(qn_run_output(run->run, i, &data));
        QN_COMMAND_TRY(stem_of(args->output_dir, slot.name, stem, sizeof stem));
        QN_COMMAND_TRY(qn_data_save(&data, stem, NULL));
    }
    return NULL;
}

/* ---- outputs on the screen ------------------------------------------------------------------------------------ */

static uint64_t elements(const struct qn_tensor *tensor)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        count *= (uint64_t)tensor->dims[i];
    return count;
}

static void show_element(const struct qn_tensor *tensor, uint64_t i)
{
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    double number;
    if (tensor->dtype == QN_DTYPE_STRING) {
        const struct qn_string *s = (const struct qn_string *)tensor->data + i;
        putchar('"');
        qn_terminal_text(stdout, s->data, s->size, 40);
        putchar('"');
    } else if (tensor->dtype == QN_DTYPE_I64) { /* more digits than a double has */
        printf("%lld", (long long)((const int64_t *)tensor->data)[i]);
    } else if (tensor->dtype == QN_DTYPE_U64) {
        printf("%llu", (unsigned long long)((const uint64_t *)tensor->data)[i]);
    } else if (!qn_tensor_number(tensor, i, &number)) {
        putchar('?');
    } else if (info->class_ == QN_DTYPE_CLASS_FLOAT) {
        printf("%.6g", number);
    } else if (info->class_ == QN_DTYPE_CLASS_BOOL) {
        fputs(number != 0 ? "true" : "false", stdout);
    } else {
        printf("%.0f", number);
    }
}

static void show_data(const struct qn_data *data, int indent)
{
    char type[QN_TENSOR_TYPE_SIZE];
    if (data->kind == QN_DATA_NONE) {
        puts("nothing");
        return;
    }
    if (data->kind != QN_DATA_TENSOR) {
        printf("%s of %u\n", data->kind == QN_DATA_MAP ? "map" : "sequence", data->count);
        for (uint32_t i = 0; i < data->count && i < SHOWN; i++) {
            printf("%*s%u: ", indent + 2, "", i);
            show_data(&data->items[i], indent + 2);
        }
        if (data->count > SHOWN)
            printf("%*s... %u more\n", indent + 2, "", data->count - SHOWN);
        return;
    }
    uint64_t count = elements(&data->tensor);
    printf("%s ", qn_tensor_type(&data->tensor, type));
    for (uint64_t i = 0; i < count && i < SHOWN; i++) {
        putchar(' ');
        show_element(&data->tensor, i);
    }
    puts(count > SHOWN ? " ..." : "");
}

static qn_status show_outputs(const struct qn_run_tensors *args, struct qn_tensor_run *run)
{
    for (uint32_t i = 0; i < run->output_count; i++) {
        struct qn_slot_info slot = {.struct_size = sizeof slot};
        struct qn_data data;
        QN_COMMAND_TRY(qn_session_slot(run->session, QN_SLOT_OUTPUT, i, &slot));
        if (!is_wanted(args, slot.name))
            continue;
        QN_COMMAND_TRY(qn_run_output(run->run, i, &data));
        qn_terminal_text(stdout, slot.name, strlen(slot.name), 0);
        fputs(": ", stdout);
        show_data(&data, 0);
    }
    return NULL;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static qn_status print_json(const struct qn_run_tensors *args, struct qn_tensor_run *run,
                            const struct qn_classes *classes, double run_s)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_string(&json, "model", args->tensors.path);
    qn_json_out_f64(&json, "load_s", run->open_s + run->session_s);
    qn_json_out_f64(&json, "run_s", run_s);
    if (classes->count) {
        qn_json_out_array(&json, "classes");
        for (uint32_t i = 0; i < classes->count; i++) {
            qn_json_out_object(&json, NULL);
            qn_json_out_u64(&json, "index", classes->items[i].index);
            if (classes->items[i].label[0])
                qn_json_out_string(&json, "label", classes->items[i].label);
            qn_json_out_f64(&json, "probability", classes->items[i].probability);
            qn_json_out_end(&json);
        }
        qn_json_out_end(&json);
    }
    qn_json_out_array(&json, "outputs");
    qn_status status = NULL;
    for (uint32_t i = 0; i < run->output_count && !status; i++) {
        struct qn_slot_info slot = {.struct_size = sizeof slot};
        struct qn_data data = {0};
        if ((status = qn_session_slot(run->session, QN_SLOT_OUTPUT, i, &slot)) ||
            (status = qn_run_output(run->run, i, &data)))
            break;
        if (!is_wanted(args, slot.name))
            continue;
        qn_json_out_object(&json, NULL);
        qn_json_out_string(&json, "name", slot.name);
        static const char *const kinds[] = {"none", "tensor", "sequence", "map"};
        qn_json_out_string(&json, "kind", kinds[data.kind]);
        if (data.kind == QN_DATA_TENSOR) {
            qn_json_out_string(&json, "dtype", qn_dtype_name(data.tensor.dtype));
            qn_json_out_array_inline(&json, "shape");
            for (uint32_t k = 0; k < data.tensor.rank; k++)
                qn_json_out_u64(&json, NULL, (uint64_t)data.tensor.dims[k]);
            qn_json_out_end(&json);
        } else if (data.kind != QN_DATA_NONE) {
            qn_json_out_u64(&json, "count", data.count);
        }
        qn_json_out_end(&json);
    }
    qn_json_out_end(&json);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
    return status;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static qn_status choose_outputs(const struct qn_run_tensors *args, struct qn_tensor_run *run)
{
    for (uint32_t i = 0; i < run->output_count && args->outputs.count; i++)
        QN_COMMAND_TRY(qn_run_want_output(run->run, i, false));
    for (size_t i = 0; i < args->outputs.count; i++) {
        int32_t index = qn_session_find(run->session, QN_SLOT_OUTPUT, args->outputs.items[i]);
        if (index < 0)
            return QN_STATUS(QN_NOT_FOUND, "the model has no output '%s'", args->outputs.items[i]);
        QN_COMMAND_TRY(qn_run_want_output(run->run, (uint32_t)index, true));
    }
    return NULL;
}

static qn_status work(const struct qn_run_tensors *args, struct qn_tensor_run *run)
{
    struct qn_classes classes = {0};
    QN_COMMAND_TRY(qn_tensor_open(&args->tensors, run));
    QN_COMMAND_TRY(qn_tensor_bind(run));
    QN_COMMAND_TRY(choose_outputs(args, run));
    if (args->output_dir)
        QN_COMMAND_TRY(check_files(args, run));
    if (args->profile)
        QN_COMMAND_TRY(qn_run_profile(run->run));
    double start = qn_tensor_now_s();
    QN_COMMAND_TRY(qn_tensor_execute(run));
    double run_s = qn_tensor_now_s() - start;
    if (args->profile)
        QN_COMMAND_TRY(qn_tensor_write_trace(run, args->profile));
    if (args->output_dir)
        QN_COMMAND_TRY(save_outputs(args, run));
    if (args->labels || args->tensors.image)
        QN_COMMAND_TRY(qn_classes_find(run, args->labels, (uint32_t)args->top, &classes));
    if (args->json)
        return print_json(args, run, &classes, run_s);
    char load[QN_TERMINAL_NUMBER_SIZE], took[QN_TERMINAL_NUMBER_SIZE];
    if (classes.count)
        qn_classes_print(&classes, stdout);
    else if (!args->output_dir)
        QN_COMMAND_TRY(show_outputs(args, run));
    qn_terminal_note("load %s, run %s", qn_terminal_seconds(run->open_s + run->session_s, load),
                     qn_terminal_seconds(run_s, took));
    return NULL;
}

int qn_run_tensors(const struct qn_run_tensors *args, struct qn_tensor_run *run)
{
    qn_status status = work(args, run);
    bool cancelled = qn_status_code(status) == QN_CANCELLED;
    int code = qn_command_status(status);
    qn_tensor_close(run);
    return cancelled ? QN_EXIT_INTERRUPTED : code;
}

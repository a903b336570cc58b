#include "cli/encoder_open.h"

#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/lm.h"
#include "cli/terminal.h"

static void cancel(void *encoder)
{
    qn_encoder_cancel(encoder);
}

void qn_encoder_interrupt_begin(struct qn_encoder *encoder)
{
    qn_interrupt_begin(cancel, encoder, 0);
}

qn_status qn_encoder_open(const struct qn_encoder_open_args *args, bool need_tokenizer, struct qn_encoder_run *run)
{
    *run = (struct qn_encoder_run){.info.struct_size = sizeof run->info};
    double start = qn_lm_now_s();
    struct qn_progress progress;
    qn_progress_begin(&progress, "loading");
    struct qn_encoder_options options = {
        .struct_size = sizeof options,
        .threads = (uint32_t)args->threads,
        .batch_tokens = (uint32_t)args->batch,
        .f32_activations = args->exact,
        .disabled_passes = args->disabled_passes,
    };
    qn_status status = qn_model_open(args->path, NULL, &run->model);
    if (!status)
        status = qn_encoder_create(run->model, &options, &run->encoder);
    if (!status && need_tokenizer)
        status = qn_tokenizer_open(args->path, NULL, &run->tokenizer);
    qn_progress_end(&progress);
    QN_COMMAND_TRY(status);
    qn_encoder_get_info(run->encoder, &run->info);
    run->load_s = qn_lm_now_s() - start;
    return NULL;
}

void qn_encoder_close(struct qn_encoder_run *run)
{
    qn_encoder_destroy(run->encoder);
    qn_tokenizer_free(run->tokenizer);
    qn_model_close(run->model);
}

int qn_encoder_parse_ids(const struct qn_args *args, const char *option, const char *list, int32_t **ids, size_t *count)
{
    *ids = calloc(strlen(list) / 2 + 2, sizeof **ids);
    *count = 0;
    if (!*ids)
        return QN_EXIT_FAILED;
    for (const char *at = list; *at;) {
        char *end;
        long id = strtol(at, &end, 10);
        size_t gap = strspn(end, ", ");
        if (end == at || id < 0 || id > INT32_MAX || (gap == 0 && *end))
            return qn_args_fail(args, "option '%s': expected ids separated by commas, found '%s'", option, at);
        (*ids)[(*count)++] = (int32_t)id;
        at = end + gap;
    }
    return *count ? QN_EXIT_OK : qn_args_fail(args, "option '%s': no ids", option);
}

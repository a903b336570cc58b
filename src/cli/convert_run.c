#include "cli/convert_run.h"

#include <stdio.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json_out.h"
#include "cli/terminal.h"

static bool on_progress(void *context, uint64_t done, uint64_t total)
{
    qn_progress_update(context, done, total);
    return !qn_interrupt_came();
}

static void print_json(const struct qn_convert_run *run, const struct qn_convert_stats *stats)
{
    struct qn_json_out json;
    const char *type = run->type ? run->type : run->options.type;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_string(&json, "input", run->input);
    qn_json_out_string(&json, "output", run->output);
    qn_json_out_string(&json, "type", type ? type : "auto");
    qn_json_out_u64(&json, "bytes_in", stats->bytes_in);
    qn_json_out_u64(&json, "bytes_out", stats->bytes_out);
    qn_json_out_f64(&json, "seconds", stats->seconds);
    qn_json_out_u64(&json, "tensors", stats->tensors);
    qn_json_out_u64(&json, "resumed", stats->resumed);
    qn_json_out_u64(&json, "requantised", stats->requantised);
    qn_json_out_u64(&json, "fallbacks", stats->fallbacks);
    qn_json_out_u64(&json, "weighed", stats->weighed);
    qn_json_out_u64(&json, "left_out", stats->left_out);
    qn_json_out_bool(&json, "without_vocabulary", stats->without_vocabulary);
    if (run->options.measure) {
        qn_json_out_f64(&json, "error", stats->error);
        qn_json_out_f64(&json, "worst_error", stats->worst_error);
        qn_json_out_string(&json, "worst_tensor", stats->worst);
    }
    qn_json_out_object(&json, "types");
    for (int i = 0; i < QN_DTYPE_LIMIT; i++)
        if (stats->type_counts[i])
            qn_json_out_u64(&json, qn_dtype_name((qn_dtype)i), stats->type_counts[i]);
    qn_json_out_end(&json);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static void print_summary(const struct qn_convert_run *run, const struct qn_convert_stats *stats)
{
    char in[QN_TERMINAL_NUMBER_SIZE], out[QN_TERMINAL_NUMBER_SIZE], seconds[QN_TERMINAL_NUMBER_SIZE], types[512];
    size_t used = 0;
    types[0] = 0;
    for (int i = 0; i < QN_DTYPE_LIMIT && used < sizeof types; i++)
        if (stats->type_counts[i])
            used += (size_t)snprintf(types + used, sizeof types - used, "%s%llu %s", used ? ", " : "",
                                     (unsigned long long)stats->type_counts[i], qn_dtype_name((qn_dtype)i));
    qn_terminal_note("%s: %s -> %s in %s", run->output, qn_terminal_bytes(stats->bytes_in, in),
                     qn_terminal_bytes(stats->bytes_out, out), qn_terminal_seconds(stats->seconds, seconds));
    qn_terminal_note("tensors: %s", types);
    if (run->options.measure)
        qn_terminal_note("error: %.5f of the weights (root mean square); largest %.5f in '%s'", stats->error,
                         stats->worst_error, stats->worst);
    if (stats->resumed)
        qn_terminal_note("%llu tensors had been written by an earlier run", (unsigned long long)stats->resumed);
    if (stats->requantised)
        qn_terminal_warning(
            "%llu tensors were quantised before: start from the F16, BF16 or F32 model for full quality",
            (unsigned long long)stats->requantised);
    if (stats->fallbacks)
        qn_terminal_warning("%llu tensors got another type because their rows do not fit the block of the wanted one",
                            (unsigned long long)stats->fallbacks);
    if (stats->left_out)
        qn_terminal_warning("the head that fills masks (%llu tensors) was left out: GGUF has no place for it",
                            (unsigned long long)stats->left_out);
    if (stats->without_vocabulary)
        qn_terminal_warning("no tokenizer that the output can hold was found: it runs with token ids only");
}

int qn_convert_run(struct qn_convert_run *run)
{
    qn_terminal_set_quiet(run->quiet);
    struct qn_progress progress;
    qn_progress_begin(&progress, run->doing);
    run->options.struct_size = sizeof run->options;
    run->options.progress = on_progress;
    run->options.progress_context = &progress;
    struct qn_convert_stats stats = {.struct_size = sizeof stats};
    qn_interrupt_begin(NULL, NULL, QN_INTERRUPT_TERM);
    qn_status status = run->type ? qn_quantize(run->input, run->output, run->type, &run->options, &stats)
                                 : qn_convert(run->input, run->output, &run->options, &stats);
    qn_interrupt_end();
    qn_progress_end(&progress);
    if (status)
        return qn_command_status(status);
    if (run->json)
        print_json(run, &stats);
    print_summary(run, &stats);
    return QN_EXIT_OK;
}

/* quern convert: a model folder as GGUF, or GGUF as a model folder. */
#include <signal.h>
#include <stdio.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/terminal.h"
#include "quern/convert.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static bool on_progress(void *context, uint64_t done, uint64_t total)
{
    qn_progress_update(context, done, total);
    return !interrupted;
}

static void print_json(const char *input, const char *output, const struct qn_convert_stats *stats)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_string(&json, "input", input);
    qn_json_out_string(&json, "output", output);
    qn_json_out_u64(&json, "bytes_out", stats->bytes_out);
    qn_json_out_f64(&json, "seconds", stats->seconds);
    qn_json_out_u64(&json, "tensors", stats->tensors);
    qn_json_out_u64(&json, "resumed", stats->resumed);
    qn_json_out_u64(&json, "fallbacks", stats->fallbacks);
    qn_json_out_bool(&json, "without_vocabulary", stats->without_vocabulary);
    qn_json_out_u64(&json, "left_out", stats->left_out);
    qn_json_out_object(&json, "types");
    for (int i = 0; i < QN_DTYPE_LIMIT; i++)
        if (stats->type_counts[i])
            qn_json_out_u64(&json, qn_dtype_name((qn_dtype)i), stats->type_counts[i]);
    qn_json_out_end(&json);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static void print_summary(const char *output, const struct qn_convert_stats *stats)
{
    char bytes[QN_TERMINAL_NUMBER_SIZE], seconds[QN_TERMINAL_NUMBER_SIZE];
    qn_terminal_note("%s: %llu tensors, %s, in %s", output, (unsigned long long)stats->tensors,
                     qn_terminal_bytes(stats->bytes_out, bytes), qn_terminal_seconds(stats->seconds, seconds));
    if (stats->resumed)
        qn_terminal_note("%llu tensors had been written by an earlier run", (unsigned long long)stats->resumed);
    if (stats->fallbacks)
        qn_terminal_warning("%llu tensors are f16: their rows do not fit the blocks of the type",
                            (unsigned long long)stats->fallbacks);
    if (stats->left_out)
        qn_terminal_warning("the head that fills masks (%llu tensors) was left out: GGUF has no place for it",
                            (unsigned long long)stats->left_out);
    if (stats->without_vocabulary)
        qn_terminal_warning("no tokenizer that GGUF can hold was found: the file runs with token ids only");
}

int qn_cmd_convert(int argc, char **argv)
{
    const char *input = NULL, *type = NULL, *output = NULL;
    int64_t threads = 0;
    bool json = false, quiet = false;
    const struct qn_arg table[] = {
        QN_ARG_POSITION("SRC", &input, "a model's folder (with config.json), or a GGUF file"),
        QN_ARG_TEXT('o', "output", &output, "OUT", "OUT.gguf, or a folder to write a GGUF file back to (required)"),
        QN_ARG_TEXT(0, "type", &type, "TYPE", "auto, f32, f16, bf16 or q8_0 (default auto: as the source has them)"),
        QN_ARG_INT('t', "threads", &threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_FLAG(0, "json", &json, "print a summary as JSON on stdout"),
        QN_ARG_FLAG('q', "quiet", &quiet, "no progress and no summary on stderr"),
        {0},
    };
    const struct qn_args args = {"convert", "write a model folder as GGUF, or GGUF as a model folder", table,
                                 "  quern convert Llama-3.2-1B -o llama.gguf\n"
                                 "  quern convert Llama-3.2-1B -o llama-q8_0.gguf --type q8_0\n"
                                 "  quern convert llama.gguf -o folder/ --json\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    if (!output)
        return qn_args_fail(&args, "missing option '--output' (the file or folder to write)");
    qn_terminal_set_quiet(quiet);
    struct qn_progress progress;
    qn_progress_begin(&progress, "converting");
    struct qn_convert_options options = {
        .struct_size = sizeof options,
        .type = type,
        .threads = (uint32_t)threads,
        .progress = on_progress,
        .progress_context = &progress,
    };
    struct qn_convert_stats stats = {.struct_size = sizeof stats};
    struct sigaction action = {.sa_handler = on_interrupt}, before, before_term;
    sigaction(SIGINT, &action, &before);
    sigaction(SIGTERM, &action, &before_term);
    qn_status status = qn_convert(input, output, &options, &stats);
    sigaction(SIGINT, &before, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    qn_progress_end(&progress);
    if (status)
        return qn_command_status(status);
    if (json)
        print_json(input, output, &stats);
    print_summary(output, &stats);
    return QN_EXIT_OK;
}

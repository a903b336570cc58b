/* quern quantize: a GGUF model with its weights in fewer bits. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/terminal.h"
#include "quern/quantize.h"

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

static void print_types(FILE *out)
{
    const char *name, *summary;
    for (size_t i = 0; (name = qn_quantize_type(i, &summary)); i++)
        fprintf(out, "  %-10s %s\n", name, summary);
}

static void print_json(const char *input, const char *output, const char *type, const struct qn_quantize_stats *stats)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_string(&json, "input", input);
    qn_json_out_string(&json, "output", output);
    qn_json_out_string(&json, "type", type);
    qn_json_out_u64(&json, "bytes_in", stats->bytes_in);
    qn_json_out_u64(&json, "bytes_out", stats->bytes_out);
    qn_json_out_f64(&json, "seconds", stats->seconds);
    qn_json_out_u64(&json, "tensors", stats->tensors);
    qn_json_out_u64(&json, "requantised", stats->requantised);
    qn_json_out_u64(&json, "fallbacks", stats->fallbacks);
    qn_json_out_u64(&json, "weighed", stats->weighed);
    qn_json_out_object(&json, "types");
    for (int i = 0; i < QN_DTYPE_LIMIT; i++)
        if (stats->type_counts[i])
            qn_json_out_u64(&json, qn_dtype_name((qn_dtype)i), stats->type_counts[i]);
    qn_json_out_end(&json);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static void print_summary(const char *output, const struct qn_quantize_stats *stats)
{
    char in[QN_TERMINAL_NUMBER_SIZE], out[QN_TERMINAL_NUMBER_SIZE], seconds[QN_TERMINAL_NUMBER_SIZE], types[512];
    size_t used = 0;
    types[0] = 0;
    for (int i = 0; i < QN_DTYPE_LIMIT && used < sizeof types; i++)
        if (stats->type_counts[i])
            used += (size_t)snprintf(types + used, sizeof types - used, "%s%llu %s", used ? ", " : "",
                                     (unsigned long long)stats->type_counts[i], qn_dtype_name((qn_dtype)i));
    qn_terminal_note("%s: %s -> %s in %s", output, qn_terminal_bytes(stats->bytes_in, in),
                     qn_terminal_bytes(stats->bytes_out, out), qn_terminal_seconds(stats->seconds, seconds));
    qn_terminal_note("tensors: %s", types);
    if (stats->requantised)
        qn_terminal_warning(
            "%llu tensors were quantised before: start from the F16, BF16 or F32 model for full quality",
            (unsigned long long)stats->requantised);
    if (stats->fallbacks)
        qn_terminal_warning("%llu tensors got another type because their rows do not fit the block of the wanted one",
                            (unsigned long long)stats->fallbacks);
}

/* PATTERN=TYPE. The copies of the patterns stand in `patterns`. */
static bool parse_keeps(const struct qn_args *args, const struct qn_arg_list *list, struct qn_quantize_keep *keeps,
                        char (*patterns)[192], int *code)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->items[i], *equals = strrchr(text, '=');
        size_t size = equals ? (size_t)(equals - text) : strlen(text);
        if (size == 0 || size >= sizeof patterns[i]) {
            *code = qn_args_fail(args, "option '--keep' was given '%s'; expected PATTERN=TYPE", text);
            return false;
        }
        memcpy(patterns[i], text, size);
        patterns[i][size] = 0;
        keeps[i] = (struct qn_quantize_keep){patterns[i], QN_DTYPE_NONE};
        if (equals && equals[1])
            keeps[i].dtype = qn_dtype_from_name(equals + 1, strlen(equals + 1));
        if (equals && equals[1] && keeps[i].dtype == QN_DTYPE_NONE) {
            *code = qn_args_fail(args, "option '--keep': unknown type '%s' in '%s'", equals + 1, text);
            return false;
        }
    }
    return true;
}

int qn_cmd_quantize(int argc, char **argv)
{
    const char *input = NULL, *type = NULL, *output = NULL;
    const char *imatrix = NULL;
    struct qn_arg_list keep_list = {0};
    struct qn_quantize_keep keeps[QN_ARG_LIST_MAX];
    char patterns[QN_ARG_LIST_MAX][192];
    int64_t threads = 0;
    bool pure = false, json = false, quiet = false;
    const struct qn_arg table[] = {
        QN_ARG_POSITION("IN", &input, "GGUF file to read; the first one of a split model"),
        QN_ARG_POSITION("TYPE", &type, "what to make of it, in any letter case (list below)"),
        QN_ARG_TEXT('o', "output", &output, "OUT", "GGUF file to write (required)"),
        QN_ARG_INT('t', "threads", &threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_FLAG(0, "pure", &pure, "every weight in TYPE, none in a finer one"),
        QN_ARG_TEXT(0, "imatrix", &imatrix, "FILE", "importance matrix that weighs the error (see quern imatrix)"),
        QN_ARG_LIST(0, "keep", &keep_list, "PATTERN=TYPE",
                    "type of the tensors whose names match (* and ?, or a part); no TYPE: as it is"),
        QN_ARG_FLAG(0, "json", &json, "print a summary as JSON on stdout"),
        QN_ARG_FLAG('q', "quiet", &quiet, "no progress and no summary on stderr"),
        {0},
    };
    const struct qn_args args = {"quantize", "write a GGUF model with its weights in fewer bits", table,
                                 "  quern quantize model-f16.gguf -o model-q4_k_m.gguf Q4_K_M\n"
                                 "  quern quantize model-bf16.gguf -o model-q8_0.gguf q8_0 --threads 4 --json\n"
                                 "  quern quantize model-f16.gguf -o small.gguf Q2_K_S --imatrix model.imatrix.gguf\n"
                                 "  quern quantize model-f16.gguf -o mixed.gguf Q4_K_M --keep 'blk.0.*=q8_0'\n"
                                 "\nTypes:\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code)) {
        if (code == QN_EXIT_OK)
            print_types(stdout);
        return code;
    }
    if (!output)
        return qn_args_fail(&args, "missing option '--output' (the file to write)");
    if (!parse_keeps(&args, &keep_list, keeps, patterns, &code))
        return code;
    qn_terminal_set_quiet(quiet);
    struct qn_progress progress;
    qn_progress_begin(&progress, "quantising");
    struct qn_quantize_options options = {
        .struct_size = sizeof options,
        .threads = (uint32_t)threads,
        .pure = pure,
        .imatrix = imatrix,
        .keeps = keeps,
        .keep_count = keep_list.count,
        .progress = on_progress,
        .progress_context = &progress,
    };
    struct qn_quantize_stats stats = {.struct_size = sizeof stats};
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    sigaction(SIGINT, &action, &before);
    qn_status status = qn_quantize_gguf(input, output, type, &options, &stats);
    sigaction(SIGINT, &before, NULL);
    qn_progress_end(&progress);
    if (status)
        return qn_command_status(status);
    if (json)
        print_json(input, output, type, &stats);
    print_summary(output, &stats);
    return QN_EXIT_OK;
}

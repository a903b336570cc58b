/* quern imatrix: which input channels of each weight matrix see large activations. */
#include <stdlib.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json_out.h"
#include "cli/lm.h"
#include "cli/terminal.h"
#include "cli/text_file.h"
#include "quern/eval.h"

struct options {
    struct qn_lm_args lm;
    const char *file, *output;
    int64_t chunks;
    bool output_tensor, json;
};

static bool on_progress(void *context, uint64_t done, uint64_t total, double value)
{
    (void)value;
    qn_progress_update(context, done, total);
    return !qn_interrupt_came();
}

static void print_result(const struct options *o, const struct qn_imatrix_stats *stats)
{
    if (o->json) {
        struct qn_json_out json;
        qn_json_out_begin(&json, stdout);
        qn_json_out_object(&json, NULL);
        qn_json_out_string(&json, "model", o->lm.path);
        qn_json_out_string(&json, "output", o->output);
        qn_json_out_u64(&json, "chunks", stats->chunks);
        qn_json_out_u64(&json, "tensors", stats->tensors);
        qn_json_out_u64(&json, "idle_experts", stats->idle_experts);
        qn_json_out_f64(&json, "seconds", stats->seconds);
        qn_json_out_end(&json);
        qn_json_out_finish(&json);
    }
    char seconds[QN_TERMINAL_NUMBER_SIZE];
    qn_terminal_note("%s: %llu tensors over %llu chunks in %s", o->output, (unsigned long long)stats->tensors,
                     (unsigned long long)stats->chunks, qn_terminal_seconds(stats->seconds, seconds));
    if (stats->idle_experts)
        qn_terminal_warning("%llu experts saw no token: take a longer or more varied text",
                            (unsigned long long)stats->idle_experts);
}

static int collect(const struct options *o, struct qn_lm_run *run, const char *text, size_t size)
{
    struct qn_progress progress;
    struct qn_eval_options options = {.struct_size = sizeof options,
                                      .context = (uint32_t)o->lm.context,
                                      .max_chunks = (uint32_t)o->chunks,
                                      .progress = on_progress,
                                      .progress_context = &progress};
    struct qn_imatrix_options imatrix = {
        .struct_size = sizeof imatrix, .output_tensor = o->output_tensor, .dataset = o->file};
    struct qn_imatrix_stats stats = {.struct_size = sizeof stats};
    qn_progress_begin(&progress, "evaluating");
    qn_lm_interrupt_begin(run->llm);
    qn_status status = qn_imatrix_collect(run->llm, run->tokenizer, text, size, o->output, &options, &imatrix, &stats);
    qn_interrupt_end();
    qn_progress_end(&progress);
    if (status)
        return qn_command_status(status);
    print_result(o, &stats);
    return QN_EXIT_OK;
}

int qn_cmd_imatrix(int argc, char **argv)
{
    struct options o = {.lm = QN_LM_ARGS_DEFAULT};
    o.lm.context = 512;
    o.lm.activations = 1;
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &o.lm.path, "language model, best in f16, bf16 or f32"),
        QN_ARG_TEXT('f', "file", &o.file, "TEXT", "text to run through it (required); -: standard input"),
        QN_ARG_TEXT('o', "output", &o.output, "FILE", "importance matrix to write (required)"),
        QN_ARG_INT('c', "context", &o.lm.context, 4, 1 << 28, "N", "tokens of a chunk (default 512)"),
        QN_ARG_INT(0, "chunks", &o.chunks, 1, 1 << 30, "N", "at most N chunks (default: the whole text)"),
        QN_ARG_FLAG(0, "output-tensor", &o.output_tensor, "collect for the output matrix too"),
        QN_ARG_INT('t', "threads", &o.lm.threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_FLAG(0, "json", &o.json, "a summary as JSON"),
        QN_ARG_FLAG('q', "quiet", &o.lm.quiet, "nothing but errors on stderr"),
        {0},
    };
    const struct qn_args args = {"imatrix", "collect an importance matrix for quern quantize", table,
                                 "  quern imatrix model-f16.gguf -f text.txt -o model.imatrix.gguf\n"
                                 "  quern quantize model-f16.gguf -o small.gguf Q4_K_M --imatrix model.imatrix.gguf\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    if (!o.file || !o.output)
        return qn_args_fail(&args, "missing option '--%s'", o.file ? "output" : "file");
    qn_terminal_set_quiet(o.lm.quiet);
    size_t size;
    char *text = qn_text_file_read(o.file, &size, &code);
    if (!text)
        return code;
    struct qn_lm_run run;
    qn_status status = qn_lm_open(&o.lm, true, &run);
    code = status ? qn_command_status(status) : collect(&o, &run, text, size);
    qn_lm_close(&run);
    free(text);
    return code;
}

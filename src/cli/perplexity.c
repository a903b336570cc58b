/* quern perplexity: how well a language model predicts a text, alone or beside a reference run. */
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
    const char *file, *save, *base;
    int64_t chunks;
    bool json;
};

static bool on_progress(void *context, uint64_t done, uint64_t total, double value)
{
    (void)value;
    qn_progress_update(context, done, total);
    return !qn_interrupt_came();
}

static void print_json(const struct options *o, const struct qn_perplexity_stats *stats)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_string(&json, "model", o->lm.path);
    qn_json_out_f64(&json, "perplexity", stats->perplexity);
    qn_json_out_f64(&json, "error", stats->error);
    qn_json_out_u64(&json, "chunks", stats->chunks);
    qn_json_out_u64(&json, "tokens", stats->tokens);
    qn_json_out_f64(&json, "seconds", stats->seconds);
    if (o->base) {
        qn_json_out_f64(&json, "base_perplexity", stats->base_perplexity);
        qn_json_out_object(&json, "kl_divergence");
        qn_json_out_f64(&json, "mean", stats->kl_mean);
        qn_json_out_f64(&json, "error", stats->kl_error);
        qn_json_out_f64(&json, "median", stats->kl_median);
        qn_json_out_f64(&json, "p99", stats->kl_p99);
        qn_json_out_f64(&json, "max", stats->kl_max);
        qn_json_out_end(&json);
        qn_json_out_f64(&json, "same_top", stats->same_top);
        qn_json_out_f64(&json, "same_top_error", stats->same_top_error);
    }
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static void print_text(const struct options *o, const struct qn_perplexity_stats *stats)
{
    printf("perplexity      %.4f ± %.5f\n", stats->perplexity, stats->error);
    if (o->base) {
        printf("of the base     %.4f (ratio %.6f)\n", stats->base_perplexity,
               stats->perplexity / stats->base_perplexity);
        printf("KL mean         %.6f ± %.6f\n", stats->kl_mean, stats->kl_error);
        printf("KL median       %.6f\n", stats->kl_median);
        printf("KL p99          %.6f\n", stats->kl_p99);
        printf("KL max          %.6f\n", stats->kl_max);
        printf("same top token  %.3f ± %.3f %%\n", 100 * stats->same_top, 100 * stats->same_top_error);
    }
    char seconds[QN_TERMINAL_NUMBER_SIZE];
    qn_terminal_note("%llu tokens scored in %llu chunks, %s", (unsigned long long)stats->tokens,
                     (unsigned long long)stats->chunks, qn_terminal_seconds(stats->seconds, seconds));
}

static int measure(const struct options *o, struct qn_lm_run *run, const char *text, size_t size)
{
    struct qn_progress progress;
    struct qn_eval_options options = {.struct_size = sizeof options,
                                      .context = (uint32_t)o->lm.context,
                                      .max_chunks = (uint32_t)o->chunks,
                                      .progress = on_progress,
                                      .progress_context = &progress};
    struct qn_perplexity_stats stats = {.struct_size = sizeof stats};
    qn_progress_begin(&progress, "evaluating");
    qn_lm_interrupt_begin(run->llm);
    qn_status status = o->base ? qn_divergence(run->llm, run->tokenizer, o->base, &options, &stats)
                               : qn_perplexity(run->llm, run->tokenizer, text, size, o->save, &options, &stats);
    qn_interrupt_end();
    qn_progress_end(&progress);
    if (status)
        return qn_command_status(status);
    if (o->json)
        print_json(o, &stats);
    else
        print_text(o, &stats);
    return QN_EXIT_OK;
}

int qn_cmd_perplexity(int argc, char **argv)
{
    struct options o = {.lm = QN_LM_ARGS_DEFAULT};
    o.lm.context = 512;
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &o.lm.path, "language model"),
        QN_ARG_TEXT('f', "file", &o.file, "TEXT", "text to score; -: standard input"),
        QN_ARG_INT('c', "context", &o.lm.context, 4, 1 << 28, "N",
                   "tokens of a chunk, of which the second half counts (default 512)"),
        QN_ARG_INT(0, "chunks", &o.chunks, 1, 1 << 30, "N", "at most N chunks (default: the whole text)"),
        QN_ARG_TEXT(0, "save-kl", &o.save, "FILE", "keep the log-probabilities, for --kl-base"),
        QN_ARG_TEXT(0, "kl-base", &o.base, "FILE",
                    "compare with the run that --save-kl wrote FILE; its text and chunks are used"),
        QN_ARG_INT('t', "threads", &o.lm.threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_CHOICE(0, "kv", &o.lm.kv, "f16|f32|q8_0", "type of the KV cache (default f16)"),
        QN_ARG_CHOICE(0, "activations", &o.lm.activations, "auto|f32",
                      "f32: never round activations; slower, closer to the exact result (default auto)"),
        QN_ARG_FLAG(0, "json", &o.json, "the result as JSON"),
        QN_ARG_FLAG('q', "quiet", &o.lm.quiet, "nothing but errors on stderr"),
        {0},
    };
    const struct qn_args args = {"perplexity", "measure how well a language model predicts a text", table,
                                 "  quern perplexity model.gguf -f text.txt\n"
                                 "  quern perplexity model-f16.gguf -f text.txt --save-kl base.kl\n"
                                 "  quern perplexity model-q4_k_m.gguf --kl-base base.kl --json\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    if (!o.file == !o.base)
        return qn_args_fail(&args, "give either a text ('--file') or a reference run ('--kl-base')");
    if (o.base && o.save)
        return qn_args_fail(&args, "'--save-kl' keeps a run over a text, '--kl-base' has one already");
    qn_terminal_set_quiet(o.lm.quiet);
    size_t size = 0;
    char *text = o.file ? qn_text_file_read(o.file, &size, &code) : NULL;
    if (o.file && !text)
        return code;
    struct qn_lm_run run;
    qn_status status = qn_lm_open(&o.lm, true, &run);
    code = status ? qn_command_status(status) : measure(&o, &run, text, size);
    qn_lm_close(&run);
    free(text);
    return code;
}

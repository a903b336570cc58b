#include "cli/lm.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"

static void cancel(void *llm)
{
    qn_llm_cancel(llm);
}

void qn_lm_interrupt_begin(struct qn_llm *llm)
{
    qn_interrupt_begin(cancel, llm, 0);
}

double qn_lm_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

static bool on_open(void *context, uint64_t done, uint64_t total)
{
    qn_progress_update(context, done, total);
    return true;
}

static uint64_t fresh_seed(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t bits = (uint64_t)t.tv_sec * 1000000007u ^ (uint64_t)t.tv_nsec;
    return (bits ^ bits >> 29) & 0x7fffffff; /* short enough to type again */
}

static const qn_dtype kv_types[] = {QN_DTYPE_F16, QN_DTYPE_F32, QN_DTYPE_Q8_0};

bool qn_lm_args_finish(const struct qn_args *args, struct qn_lm_args *lm, int *code)
{
    for (size_t i = 0; i < lm->bias_list.count; i++) {
        const char *text = lm->bias_list.items[i];
        char *middle, *end;
        long id = strtol(text, &middle, 10);
        double bias = *middle == '=' ? strtod(middle + 1, &end) : 0;
        if (middle == text || *middle != '=' || end == middle + 1 || *end || id < 0 || id > INT32_MAX) {
            *code = qn_args_fail(args, "option '--logit-bias': expected ID=NUMBER, found '%s'", text);
            return false;
        }
        lm->biases[i] = (struct qn_logit_bias){(int32_t)id, (float)bias};
    }
    qn_terminal_set_quiet(lm->quiet);
    return true;
}

static qn_status make_sampler(const struct qn_lm_args *args, struct qn_lm_run *run)
{
    struct qn_llm_info info = {.struct_size = sizeof info};
    qn_llm_get_info(run->llm, &info);
    struct qn_sampler_options options = {
        .struct_size = sizeof options,
        .temperature = (float)args->temperature,
        .top_k = (uint32_t)args->top_k,
        .top_p = (float)args->top_p,
        .min_p = (float)args->min_p,
        .repeat_penalty = (float)args->repeat_penalty,
        .frequency_penalty = (float)args->frequency_penalty,
        .presence_penalty = (float)args->presence_penalty,
        .repeat_last_n = (int32_t)args->repeat_last,
        .seed = run->seed,
        .biases = args->biases,
        .bias_count = args->bias_list.count,
    };
    return qn_sampler_create(&options, info.vocabulary, NULL, &run->sampler);
}

qn_status qn_lm_open(const struct qn_lm_args *args, bool need_tokenizer, struct qn_lm_run *run)
{
    *run = (struct qn_lm_run){0};
    double start = qn_lm_now_s();
    struct qn_progress progress;
    qn_progress_begin(&progress, "loading");
    struct qn_model_options model_options = {
        .struct_size = sizeof model_options, .progress = on_open, .progress_context = &progress};
    qn_status status = qn_model_open(args->path, &model_options, &run->model);
    if (!status && need_tokenizer)
        status = qn_tokenizer_create(run->model, NULL, &run->tokenizer);
    struct qn_llm_options options = {
        .struct_size = sizeof options,
        .threads = (uint32_t)args->threads,
        .context = (uint32_t)args->context,
        .chunk = (uint32_t)args->chunk,
        .kv_dtype = kv_types[args->kv],
        .f32_activations = args->activations == 1,
        .disabled_passes = args->disabled_passes,
    };
    if (!status)
        status = qn_llm_create(run->model, &options, &run->llm);
    qn_progress_end(&progress);
    QN_COMMAND_TRY(status);
    run->seed = args->seed < 0 ? fresh_seed() : (uint64_t)args->seed;
    run->load_s = qn_lm_now_s() - start;
    return make_sampler(args, run);
}

void qn_lm_close(struct qn_lm_run *run)
{
    qn_sampler_free(run->sampler);
    qn_llm_destroy(run->llm);
    qn_tokenizer_free(run->tokenizer);
    qn_model_close(run->model);
}

/* ---- words ---------------------------------------------------------------------------------------------------- */

const char *qn_lm_finish_name(enum qn_finish finish)
{
    static const char *const names[] = {
        [QN_FINISH_LENGTH] = "length",       [QN_FINISH_END] = "end",
        [QN_FINISH_STOP] = "stop",           [QN_FINISH_CONTEXT] = "context full",
        [QN_FINISH_CANCELLED] = "cancelled",
    };
    return names[finish];
}

void qn_lm_print_stats(const struct qn_lm_run *run, const struct qn_generate_stats *stats)
{
    char load[QN_TERMINAL_NUMBER_SIZE], first[QN_TERMINAL_NUMBER_SIZE], kv[QN_TERMINAL_NUMBER_SIZE];
    struct qn_llm_info info = {.struct_size = sizeof info};
    qn_llm_get_info(run->llm, &info);
    double prompt_rate = stats->prompt_s > 0 ? stats->prompt_tokens / stats->prompt_s : 0;
    uint32_t decoded = stats->generated_tokens ? stats->generated_tokens - 1 : 0;
    double decode_rate = stats->decode_s > 0 ? decoded / stats->decode_s : 0;
    qn_terminal_note("load %s, first token after %s", qn_terminal_seconds(run->load_s, load),
                     qn_terminal_seconds(stats->first_token_s, first));
    qn_terminal_note("prompt %u tokens at %.1f tokens/s, generated %u tokens at %.1f tokens/s (%s)",
                     stats->prompt_tokens, prompt_rate, stats->generated_tokens, decode_rate,
                     qn_lm_finish_name(stats->finish));
    qn_terminal_note("context %u of %u positions, KV cache up to %s, %u threads, %s, seed %llu",
                     qn_llm_position(run->llm), info.context, qn_terminal_bytes(info.kv_bytes, kv), info.threads,
                     info.cpu, (unsigned long long)run->seed);
}

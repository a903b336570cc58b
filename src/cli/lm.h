/* What the commands that run a language model share: their options, and opening model, tokenizer, engine and sampler.
 * */
#ifndef QN_CLI_LM_H
#define QN_CLI_LM_H

#include "cli/args.h"
#include "quern/llm.h"
#include "quern/model.h"
#include "quern/sampler.h"
#include "quern/tokenizer.h"

struct qn_lm_args {
    const char *path;
    int64_t threads, context, chunk;
    int kv, activations;
    const char *disabled_passes;
    double temperature, top_p, min_p, repeat_penalty, frequency_penalty, presence_penalty;
    int64_t top_k, repeat_last, seed, max_tokens;
    struct qn_arg_list stops, bias_list;
    struct qn_logit_bias biases[QN_ARG_LIST_MAX]; /* bias_list, parsed */
    bool context_shift, quiet, stats;
};

/* Defaults: what most people want from a story or a chat. */
#define QN_LM_ARGS_DEFAULT                                                                                       \
    {                                                                                                            \
        .temperature = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05, .repeat_penalty = 1.0, .repeat_last = 64, \
        .seed = -1, .max_tokens = 0                                                                              \
    }

/* Rows of the option table. */
#define QN_LM_ARG_ROWS(a)                                                                                              \
    QN_ARG_INT('n', "tokens-max", &(a)->max_tokens, 0, 1 << 28, "N",                                                   \
               "most tokens to generate (default 0: until the model ends or the context is full)"),                    \
        QN_ARG_REAL(0, "temp", &(a)->temperature, 0, 100, "T", "temperature; 0: always the likeliest (default 0.8)"),  \
        QN_ARG_INT(0, "top-k", &(a)->top_k, 0, 1 << 28, "K", "only the K likeliest; 0: all (default 40)"),             \
        QN_ARG_REAL(0, "top-p", &(a)->top_p, 0, 1, "P", "only the likeliest with total P (default 0.95)"),             \
        QN_ARG_REAL(0, "min-p", &(a)->min_p, 0, 1, "P", "only those at least P times the likeliest (default 0.05)"),   \
        QN_ARG_REAL(0, "repeat-penalty", &(a)->repeat_penalty, 0.01, 100, "X",                                         \
                    "divides the logits of recent tokens; 1: off (default 1)"),                                        \
        QN_ARG_INT(0, "repeat-last", &(a)->repeat_last, -1, 1 << 20, "N",                                              \
                   "how many tokens the penalties look back; -1: all (default 64)"),                                   \
        QN_ARG_REAL(0, "frequency-penalty", &(a)->frequency_penalty, -100, 100, "X",                                   \
                    "taken off for each time a token occurred (default 0)"),                                           \
        QN_ARG_REAL(0, "presence-penalty", &(a)->presence_penalty, -100, 100, "X",                                     \
                    "taken off once a token occurred (default 0)"),                                                    \
        QN_ARG_LIST(0, "logit-bias", &(a)->bias_list, "ID=X", "adds X to the logit of token ID; may be repeated"),     \
        QN_ARG_INT('s', "seed", &(a)->seed, -1, 9007199254740992.0, "N", "seed; -1: another one each time"),           \
        QN_ARG_LIST(0, "stop", &(a)->stops, "TEXT", "ends the output before TEXT; may be repeated"),                   \
        QN_ARG_INT('t', "threads", &(a)->threads, 1, 1024, "N", "threads (default: one a physical core)"),             \
        QN_ARG_INT('c', "context", &(a)->context, 1, 1 << 28, "N", "positions of the context (default: the model's)"), \
        QN_ARG_INT('b', "batch", &(a)->chunk, 1, 1 << 20, "N", "tokens a step of the prompt takes (default 512)"),     \
        QN_ARG_CHOICE(0, "kv", &(a)->kv, "f16|f32|q8_0", "type of the KV cache (default f16)"),                        \
        QN_ARG_CHOICE(0, "activations", &(a)->activations, "auto|f32",                                                 \
                      "f32: never round activations; slower, closer to the exact result (default auto)"),              \
        QN_ARG_TEXT(0, "passes-off", &(a)->disabled_passes, "LIST", "graph passes not to run, or all"),                \
        QN_ARG_FLAG(0, "context-shift", &(a)->context_shift, "when the context is full, forget its older half"),       \
        QN_ARG_FLAG(0, "stats", &(a)->stats, "speed and sizes on stderr at the end"),                                  \
        QN_ARG_FLAG('q', "quiet", &(a)->quiet, "nothing but errors on stderr")

struct qn_lm_run {
    struct qn_model *model;
    struct qn_tokenizer *tokenizer;
    struct qn_llm *llm;
    struct qn_sampler *sampler;
    uint64_t seed; /* the one in use */
    double load_s;
};

/* After qn_args_parse: reads what the table cannot say and applies --quiet. False: end with *code. */
bool qn_lm_args_finish(const struct qn_args *args, struct qn_lm_args *lm, int *code);

/* Opens all four, the tokenizer only where it is needed. Errors name what is wrong; *run is to be closed in any case.
 * */
qn_status qn_lm_open(const struct qn_lm_args *args, bool need_tokenizer, struct qn_lm_run *run) QN_MUST_USE;
void qn_lm_close(struct qn_lm_run *run);

/* Ctrl-C cancels the call that runs on `llm`, until qn_interrupt_end. */
void qn_lm_interrupt_begin(struct qn_llm *llm);

double qn_lm_now_s(void);
const char *qn_lm_finish_name(enum qn_finish finish);
/* "prompt 12 tokens, 340.1 tokens/s; ..." on stderr. */
void qn_lm_print_stats(const struct qn_lm_run *run, const struct qn_generate_stats *stats);

#endif

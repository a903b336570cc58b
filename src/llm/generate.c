/* Prompt in, text out: evaluates, samples, decodes, watches for the end. */
#include "llm/llm.h"
#include "platform/clock.h"
#include "quern/sampler.h"
#include "quern/tokenizer.h"

struct generation {
    struct qn_llm *llm;
    const struct qn_tokenizer *tokenizer;
    struct qn_sampler *sampler;
    struct qn_generate_options options;
    struct qn_decoder *decoder;
    struct qn_stop *stop; /* NULL without stop strings */
    struct qn_generate_stats stats;
    uint64_t start_ns, first_ns;
    bool done; /* stats.finish holds why */
};

static double seconds_since(uint64_t start_ns)
{
    return (double)(qn_clock_ns() - start_ns) * 1e-9;
}

static void finish(struct generation *g, enum qn_finish why)
{
    g->done = true;
    g->stats.finish = why;
}

/* Without a sampler the likeliest token; the lowest id among equals. NaN never wins. */
static int32_t likeliest(const float *logits, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (logits[i] > logits[best] || logits[best] != logits[best])
            best = i;
    return (int32_t)best;
}

static void show(struct generation *g, const char *text, size_t size)
{
    if (size && g->options.on_text && !g->options.on_text(g->options.context, text, size))
        finish(g, QN_FINISH_CANCELLED);
}

/* Text on its way out passes the stop strings, which may hold some of it back. */
static qn_status pass_text(struct generation *g, const char *text, size_t size)
{
    if (!g->stop) {
        show(g, text, size);
        return NULL;
    }
    const char *out;
    size_t out_size;
    int32_t hit;
    QN_TRY(qn_stop_push(g->stop, text, size, &out, &out_size, &hit));
    show(g, out, out_size);
    if (hit >= 0)
        finish(g, QN_FINISH_STOP);
    return NULL;
}

static qn_status flush(struct generation *g)
{
    const char *text;
    size_t size;
    QN_TRY(qn_decoder_finish(g->decoder, &text, &size));
    QN_TRY(pass_text(g, text, size));
    if (g->stop) {
        qn_stop_finish(g->stop, &text, &size);
        show(g, text, size);
    }
    return NULL;
}

/* Half of the context goes, but for the first token, which holds the attention of many models. */
static qn_status make_room(struct generation *g)
{
    uint32_t position = qn_llm_position(g->llm);
    if (position < g->llm->context)
        return NULL;
    if (!g->options.context_shift || position < 4) {
        finish(g, QN_FINISH_CONTEXT);
        return NULL;
    }
    return qn_llm_shift(g->llm, 1, position / 2);
}

static qn_status evaluate_prompt(struct generation *g, const int32_t *prompt, size_t count)
{
    for (size_t done = 0; done < count; done += g->llm->chunk) {
        size_t part = count - done < g->llm->chunk ? count - done : g->llm->chunk;
        QN_TRY(qn_llm_eval(g->llm, prompt + done, part, NULL));
        if (g->options.on_prompt)
            g->options.on_prompt(g->options.context, done + part, count);
    }
    if (g->sampler)
        for (size_t i = 0; i < count; i++)
            QN_TRY(qn_sampler_accept(g->sampler, prompt[i]));
    g->stats.prompt_tokens = (uint32_t)count;
    g->stats.prompt_s = seconds_since(g->start_ns);
    return NULL;
}

/* Samples one token and gives out its text. The token is evaluated by the next call, or never when it was the last. */
static qn_status next_token(struct generation *g, int32_t *id)
{
    const float *logits = qn_llm_logits(g->llm);
    if (g->sampler) {
        QN_TRY(qn_sampler_sample(g->sampler, logits, g->llm->config.vocabulary, id));
        QN_TRY(qn_sampler_accept(g->sampler, *id));
    } else {
        *id = likeliest(logits, g->llm->config.vocabulary);
    }
    if (g->stats.generated_tokens++ == 0) {
        g->stats.first_token_s = seconds_since(g->start_ns);
        g->first_ns = qn_clock_ns();
    }
    if (qn_tokenizer_is_eog(g->tokenizer, *id) && !g->options.ignore_end) {
        finish(g, QN_FINISH_END);
        return NULL;
    }
    const char *text;
    size_t size;
    QN_TRY(qn_decoder_push(g->decoder, *id, &text, &size));
    QN_TRY(pass_text(g, text, size));
    if (!g->done && g->options.max_tokens && g->stats.generated_tokens >= g->options.max_tokens)
        finish(g, QN_FINISH_LENGTH);
    return NULL;
}

static qn_status run(struct generation *g, const int32_t *prompt, size_t count)
{
    if (count == 0 && !qn_llm_logits(g->llm))
        return QN_ERROR(QN_INVALID_ARGUMENT, "the prompt is empty and nothing was evaluated before");
    uint32_t used = qn_llm_position(g->llm);
    if (count > g->llm->context - used)
        return QN_ERROR(QN_OUT_OF_RANGE,
                        "the prompt of %zu tokens does not fit: the context holds %u and %u are in use", count,
                        g->llm->context, used);
    QN_TRY(evaluate_prompt(g, prompt, count));
    while (!g->done) {
        int32_t id;
        QN_TRY(next_token(g, &id));
        if (!g->done)
            QN_TRY(make_room(g));
        if (!g->done)
            QN_TRY(qn_llm_eval(g->llm, &id, 1, NULL));
    }
    return NULL;
}

qn_status qn_llm_generate(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, struct qn_sampler *sampler,
                          const int32_t *prompt, size_t count, const struct qn_generate_options *options,
                          struct qn_generate_stats *stats)
{
    struct generation g = {.llm = llm, .tokenizer = tokenizer, .sampler = sampler, .start_ns = qn_clock_ns()};
    if (options)
        memcpy(&g.options, options, options->struct_size < sizeof g.options ? options->struct_size : sizeof g.options);
    struct qn_decode_options decode = {.struct_size = sizeof decode, .special = g.options.special};
    decode.continued = qn_llm_position(llm) > 0 || count > 1;
    qn_status status = qn_decoder_create(tokenizer, &decode, llm->allocator, &g.decoder);
    if (!status && g.options.stop_count)
        status = qn_stop_create(g.options.stops, g.options.stop_count, llm->allocator, &g.stop);
    if (!status)
        status = run(&g, prompt, count);
    if (qn_status_code(status) == QN_CANCELLED) {
        qn_status_free(status);
        status = NULL;
        finish(&g, QN_FINISH_CANCELLED);
    }
    if (!status)
        status = flush(&g);
    if (g.first_ns)
        g.stats.decode_s = seconds_since(g.first_ns);
    qn_stop_free(g.stop);
    qn_decoder_free(g.decoder);
    if (stats) {
        size_t size = stats->struct_size < sizeof g.stats ? stats->struct_size : sizeof g.stats;
        g.stats.struct_size = stats->struct_size;
        memcpy(stats, &g.stats, size);
    }
    return status;
}

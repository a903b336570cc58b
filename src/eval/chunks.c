#include "eval/chunks.h"

#include <string.h>

enum { DEFAULT_CONTEXT = 512 };

static qn_status begin(struct qn_chunks *c, struct qn_llm *llm, const struct qn_tokenizer *tokenizer,
                       const struct qn_eval_options *options)
{
    *c = (struct qn_chunks){.llm = llm, .first = QN_TOKEN_NONE, .tokens = {.allocator = llm->allocator}};
    if (options)
        memcpy(&c->options, options,
               options->struct_size < sizeof c->options ? options->struct_size : sizeof c->options);
    if (!c->options.context)
        c->options.context = DEFAULT_CONTEXT;
    if (c->options.context < 4 || c->options.context > llm->context)
        return QN_ERROR(QN_INVALID_ARGUMENT, "chunks of %u tokens; expected 4 to %u, the model's context",
                        c->options.context, llm->context);
    if (tokenizer && qn_tokenizer_adds(tokenizer, QN_TOKEN_BOS))
        c->first = qn_tokenizer_role(tokenizer, QN_TOKEN_BOS);
    return NULL;
}

qn_status qn_chunks_init(struct qn_chunks *c, struct qn_llm *llm, const struct qn_tokenizer *tokenizer,
                         const char *text, size_t size, uint32_t least, const struct qn_eval_options *options)
{
    QN_TRY(begin(c, llm, tokenizer, options));
    QN_TRY(qn_tokenizer_encode(tokenizer, text, size, NULL, &c->tokens));
    uint32_t context = c->options.context;
    if (c->tokens.count < (size_t)least * context)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "the text has %zu tokens; expected at least %u, %u chunks of %u: take a longer text or "
                        "shorter chunks",
                        c->tokens.count, least * context, least, context);
    size_t count = c->tokens.count / context;
    c->count = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    if (c->options.max_chunks && c->count > c->options.max_chunks)
        c->count = c->options.max_chunks;
    return NULL;
}

qn_status qn_chunks_init_tokens(struct qn_chunks *c, struct qn_llm *llm, const struct qn_tokenizer *tokenizer,
                                const int32_t *tokens, uint32_t count, const struct qn_eval_options *options)
{
    QN_TRY(begin(c, llm, tokenizer, options));
    c->count = c->options.max_chunks && count > c->options.max_chunks ? c->options.max_chunks : count;
    size_t all = (size_t)c->count * c->options.context;
    c->tokens.ids = qn_calloc(llm->allocator, all, sizeof *c->tokens.ids);
    if (!c->tokens.ids)
        return QN_OOM();
    c->tokens.count = c->tokens.capacity = all;
    memcpy(c->tokens.ids, tokens, all * sizeof *tokens);
    return NULL;
}

void qn_chunks_free(struct qn_chunks *c)
{
    qn_tokens_free(&c->tokens);
}

static qn_status eval(struct qn_chunks *c, const int32_t *tokens, uint32_t scored, float *buffer, uint32_t room,
                      qn_chunk_fn fn, void *context)
{
    uint32_t end = c->options.context, at = fn ? scored : end;
    QN_TRY(qn_llm_eval(c->llm, tokens, at, NULL));
    while (at < end) {
        uint32_t rows = end - at < room ? end - at : room;
        QN_TRY(qn_llm_eval(c->llm, tokens + at, rows, buffer));
        QN_TRY(fn(context, buffer, at, rows));
        at += rows;
    }
    return NULL;
}

qn_status qn_chunks_eval(struct qn_chunks *c, uint32_t chunk, uint32_t scored, float *buffer, uint32_t room,
                         qn_chunk_fn fn, void *context)
{
    int32_t *tokens = c->tokens.ids + (size_t)chunk * c->options.context, own = tokens[0];
    qn_llm_truncate(c->llm, 0);
    if (c->first != QN_TOKEN_NONE)
        tokens[0] = c->first;
    qn_status status = eval(c, tokens, scored, buffer, room, fn, context);
    tokens[0] = own;
    qn_llm_truncate(c->llm, 0);
    return qn_status_note(status, "chunk %u", chunk);
}

qn_status qn_chunks_progress(const struct qn_chunks *c, uint32_t done, double value)
{
    if (c->options.progress && !c->options.progress(c->options.progress_context, done, c->count, value))
        return QN_ERROR(QN_CANCELLED, "stopped before the end");
    return NULL;
}

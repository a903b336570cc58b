#include "quern/tokenizer.h"

#include "text/tokenizer/pipeline.h"

enum qn_tokenizer_kind qn_tokenizer_kind(const struct qn_tokenizer *t)
{
    return t->kind;
}

uint32_t qn_tokenizer_count(const struct qn_tokenizer *t)
{
    return t->count;
}

int32_t qn_tokenizer_role(const struct qn_tokenizer *t, enum qn_token_role role)
{
    return (unsigned)role < QN_TOKEN_ROLE_COUNT ? t->roles[role] : QN_TOKEN_NONE;
}

bool qn_tokenizer_adds(const struct qn_tokenizer *t, enum qn_token_role role)
{
    return (unsigned)role < QN_TOKEN_ROLE_COUNT && t->adds[role] && t->roles[role] >= 0;
}

static const struct qn_token *token_at(const struct qn_tokenizer *t, int32_t id)
{
    static const struct qn_token none = {.text = "", .piece = ""};
    return t->tokens && id >= 0 && (uint32_t)id < t->count ? &t->tokens[id] : &none;
}

uint32_t qn_tokenizer_flags(const struct qn_tokenizer *t, int32_t id)
{
    return token_at(t, id)->flags;
}

bool qn_tokenizer_is_eog(const struct qn_tokenizer *t, int32_t id)
{
    return token_at(t, id)->flags & QN_TOKEN_EOG;
}

const char *qn_tokenizer_text(const struct qn_tokenizer *t, int32_t id, size_t *size)
{
    const struct qn_token *token = token_at(t, id);
    *size = token->text_size;
    return token->text;
}

const char *qn_tokenizer_piece(const struct qn_tokenizer *t, int32_t id, size_t *size)
{
    const struct qn_token *token = token_at(t, id);
    *size = token->piece_size;
    return token->piece;
}

int32_t qn_tokenizer_find(const struct qn_tokenizer *t, const char *text, size_t size)
{
    int32_t index = t->pipeline ? qn_text_ids_find(&t->pipeline->added_ids, text, size) : -1;
    return index >= 0 ? t->pipeline->added[index].id : qn_text_ids_find(&t->by_text, text, size);
}

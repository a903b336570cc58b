/* Texts for an encoder: tokens with what stands around them, cut to the model's length. */
#include <stdlib.h>
#include <string.h>

#include "llm/encoder_impl.h"
#include "quern/tokenizer.h"

static uint32_t max_tokens(const struct qn_encoder *e)
{
    struct qn_encoder_info info = {.struct_size = sizeof info};
    qn_encoder_get_info(e, &info);
    return info.max_tokens;
}

qn_status qn_encoder_tokenize(const struct qn_encoder *e, const struct qn_tokenizer *tokenizer,
                              const struct qn_encoder_string *string, const char *prompt, bool special,
                              struct qn_encoded *out)
{
    struct qn_pair_options options = {.struct_size = sizeof options,
                                      .parse_special = special,
                                      .truncate = QN_LENGTH_GIVEN,
                                      .pad = QN_LENGTH_FREE,
                                      .truncation = {.max_length = max_tokens(e)}};
    if (!prompt || !*prompt)
        return qn_tokenizer_encode_pair(tokenizer, string->text, string->size, string->pair, string->pair_size,
                                        &options, out);
    struct qn_strbuf text;
    qn_strbuf_init(&text, e->allocator);
    qn_strbuf_add(&text, prompt);
    qn_strbuf_append(&text, string->text, string->size);
    qn_status status = text.failed ? QN_OOM()
                                   : qn_tokenizer_encode_pair(tokenizer, text.data, text.size, string->pair,
                                                              string->pair_size, &options, out);
    qn_strbuf_deinit(&text);
    return status;
}

/* Tokens of all texts, one text's behind the other's. */
struct texts {
    const struct qn_allocator *allocator;
    struct qn_encoder_text *items;
    size_t count;
    QN_ARRAY(int32_t) tokens;
    QN_ARRAY(int32_t) types;
};

static void free_texts(struct texts *t)
{
    qn_free(t->allocator, t->items, (t->count + 1) * sizeof *t->items);
    qn_array_free(&t->tokens, t->allocator);
    qn_array_free(&t->types, t->allocator);
}

static qn_status add_text(const struct qn_encoder *e, const struct qn_tokenizer *tokenizer,
                          const struct qn_encoder_string *string, const char *prompt, struct texts *t, size_t index)
{
    struct qn_encoded encoded = {.allocator = e->allocator};
    QN_TRY(qn_encoder_tokenize(e, tokenizer, string, prompt, false, &encoded));
    uint32_t types = e->config.token_types;
    bool room = qn_array_reserve(&t->tokens, t->allocator, (uint64_t)t->tokens.count + encoded.count) &&
                qn_array_reserve(&t->types, t->allocator, (uint64_t)t->types.count + encoded.count);
    for (size_t i = 0; i < encoded.count && room; i++) {
        uint32_t type = encoded.tokens[i].type_id;
        t->tokens.items[t->tokens.count++] = encoded.tokens[i].id;
        t->types.items[t->types.count++] = type < types ? (int32_t)type : 0;
    }
    t->items[index].count = encoded.count;
    qn_encoded_free(&encoded);
    return room ? NULL : QN_OOM();
}

static qn_status make_texts(const struct qn_encoder *e, const struct qn_tokenizer *tokenizer,
                            const struct qn_encoder_string *strings, size_t count, const char *prompt, struct texts *t)
{
    *t = (struct texts){.allocator = e->allocator, .count = count};
    t->items = qn_calloc(e->allocator, count + 1, sizeof *t->items);
    if (!t->items)
        return QN_OOM();
    for (size_t i = 0; i < count; i++)
        QN_TRY(qn_status_note(add_text(e, tokenizer, &strings[i], prompt, t, i), "text %zu", i));
    for (size_t i = 0, at = 0; i < count; at += t->items[i++].count) {
        t->items[i].tokens = t->tokens.items + at;
        t->items[i].types = t->types.items + at;
    }
    return NULL;
}

/* The tokens that a prompt takes at the beginning of a text: all of the prompt alone but those behind it. */
static qn_status count_prompt(const struct qn_encoder *e, const struct qn_tokenizer *tokenizer, const char *prompt,
                              uint32_t *out)
{
    struct qn_encoder_string string = {.text = prompt, .size = strlen(prompt)};
    struct qn_encoded encoded = {.allocator = e->allocator};
    QN_TRY(qn_encoder_tokenize(e, tokenizer, &string, NULL, false, &encoded));
    size_t count = encoded.count;
    while (count && encoded.tokens[count - 1].special)
        count--;
    *out = (uint32_t)count;
    qn_encoded_free(&encoded);
    return NULL;
}

qn_status qn_encoder_embed_texts(struct qn_encoder *e, const struct qn_tokenizer *tokenizer,
                                 const struct qn_encoder_string *strings, size_t count, const char *prompt,
                                 const struct qn_embed_options *options, float *out)
{
    struct qn_embed_options all = {.struct_size = sizeof all};
    struct texts texts;
    if (options && options->struct_size < sizeof options->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_embed_options: struct_size is not set");
    if (options)
        memcpy(&all, options, options->struct_size < sizeof all ? options->struct_size : sizeof all);
    all.struct_size = sizeof all;
    if (prompt && *prompt)
        QN_TRY(count_prompt(e, tokenizer, prompt, &all.prompt_tokens));
    qn_status status = make_texts(e, tokenizer, strings, count, prompt, &texts);
    if (!status)
        status = qn_encoder_embed(e, texts.items, count, &all, out);
    free_texts(&texts);
    return status;
}

qn_status qn_encoder_classify_texts(struct qn_encoder *e, const struct qn_tokenizer *tokenizer,
                                    const struct qn_encoder_string *strings, size_t count, float *out)
{
    struct texts texts;
    if (e->config.head != QN_ENCODER_HEAD_SEQUENCE)
        return QN_ERROR(QN_UNSUPPORTED, "this model does not classify texts");
    qn_status status = make_texts(e, tokenizer, strings, count, NULL, &texts);
    if (!status)
        status = qn_encoder_logits(e, texts.items, count, out);
    free_texts(&texts);
    return status;
}

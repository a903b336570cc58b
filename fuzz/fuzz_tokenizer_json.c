/* Fuzzes tokenizer.json: the input up to the first NUL is the file, what follows is text. What can be read is used, and
 * what must hold of the result is checked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer/vocab.h"

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static void check_tokens(const struct qn_encoded *e, const size_t sizes[2])
{
    for (size_t i = 0; i < e->count; i++) {
        const struct qn_encoded_token *t = &e->tokens[i];
        require(t->sequence >= -1 && t->sequence <= 1);
        require(t->sequence < 0 || t->begin <= t->end);
        /* what a suffix spelt in bytes adds may lie behind the end */
        require(t->sequence < 0 || t->begin <= sizes[t->sequence] + 64);
    }
    for (size_t i = 0; i < e->overflow_count; i++)
        check_tokens(&e->overflow[i], sizes);
}

/* What a decoder gives out piece by piece is the whole, when its parts are as those of the whole. */
static void stream(const struct qn_tokenizer *t, const struct qn_tokens *tokens)
{
    struct qn_decoder *decoder;
    const char *text;
    size_t size;
    if (qn_decoder_create(t, NULL, NULL, &decoder))
        return;
    for (size_t i = 0; i < tokens->count && i < 64; i++)
        qn_status_free(qn_decoder_push(decoder, tokens->ids[i], &text, &size));
    qn_status_free(qn_decoder_finish(decoder, &text, &size));
    qn_decoder_free(decoder);
}

static void use(const struct qn_tokenizer *t, const char *text, size_t size)
{
    struct qn_tokens tokens = {0};
    struct qn_text back = {0};
    struct qn_encoded pair = {0};
    size_t half = size / 2;
    struct qn_pair_options options = {.struct_size = sizeof options, .parse_special = size & 1, .characters = size & 2};
    qn_status status = qn_tokenizer_encode(t, text, size, NULL, &tokens);
    if (!status) {
        bool inside = true;
        for (size_t i = 0; i < tokens.count; i++)
            inside &= tokens.ids[i] >= 0 && (uint32_t)tokens.ids[i] < qn_tokenizer_count(t);
        status = qn_tokenizer_decode(t, tokens.ids, tokens.count, NULL, &back);
        require(!status || !inside || qn_status_code(status) != QN_INVALID_ARGUMENT);
        stream(t, &tokens);
    } else {
        require(tokens.count == 0);
    }
    qn_status_free(status);
    status = qn_tokenizer_encode_pair(t, text, half, text + half, size - half, &options, &pair);
    if (!status && !options.characters)
        check_tokens(&pair, (const size_t[2]){half, size - half});
    require(!status || (!pair.tokens && !pair.overflow));
    qn_status_free(status);
    qn_encoded_free(&pair);
    qn_tokens_free(&tokens);
    qn_text_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    struct qn_str json = {(const char *)data, end ? (size_t)(end - data) : size};
    struct qn_tokenizer *t;
    if (size > 1 << 16)
        return 0;
    qn_status status = qn_tokenizer_from_json(json, "fuzz.json", NULL, NULL, &t);
    if (!status) {
        static const char text[] =
            "Hello  world 12345 it's\tna\xc3\xafve e\xcc\x81 \xe6\x97\xa5\xe6\x9c\xac <s>\xff a.";
        use(t, text, sizeof text - 1);
        if (end)
            use(t, (const char *)end + 1, size - json.size - 1);
        qn_tokenizer_free(t);
    } else {
        require(strstr(qn_status_message(status), "fuzz.json") || qn_status_code(status) == QN_OUT_OF_MEMORY);
    }
    qn_status_free(status);
    return 0;
}

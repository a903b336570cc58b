/* Fuzzes the tokenizers: the first byte chooses between a vocabulary of any kind made from the input, a whole GGUF
 * file's vocabulary, and a pre-tokeniser's pattern. What is built is used, and what must hold of the result is
 * checked. */
#define _GNU_SOURCE /* memmem */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "format/gguf/gguf.h"
#include "text/tokenizer/pre.h"
#include "text/tokenizer/vocab.h"

enum { TOKENS_MAX = 96, MERGES_MAX = 64 };

/* The input, read from the front; zeros once it is used up. */
struct source {
    const uint8_t *data;
    size_t size;
};

static uint8_t take(struct source *s)
{
    if (!s->size)
        return 0;
    s->size--;
    return *s->data++;
}

static struct qn_str take_text(struct source *s)
{
    size_t size = take(s);
    size = size < 224 ? size % 12 : size - 200; /* mostly short */
    size = size < s->size ? size : s->size;
    struct qn_str text = {(const char *)s->data, size};
    s->data += size;
    s->size -= size;
    return text;
}

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

/* ---- what must hold ------------------------------------------------------------------------------------------- */

/* Streamed, the pieces are the whole text; cleaned, they are UTF-8. */
static void check_streams(const struct qn_tokenizer *t, const struct qn_tokens *tokens, const struct qn_text *whole)
{
    for (int raw = 0; raw < 2; raw++) {
        struct qn_decode_options options = {.struct_size = sizeof options, .raw = raw};
        struct qn_decoder *decoder;
        struct qn_strbuf all;
        const char *text;
        size_t size;
        qn_strbuf_init(&all, NULL);
        require(!qn_decoder_create(t, &options, NULL, &decoder));
        for (size_t i = 0; i < tokens->count; i++) {
            require(!qn_decoder_push(decoder, tokens->ids[i], &text, &size));
            qn_strbuf_append(&all, text, size);
        }
        require(!qn_decoder_finish(decoder, &text, &size));
        qn_strbuf_append(&all, text, size);
        require(!raw || (all.size == whole->size && (!all.size || memcmp(all.data, whole->data, all.size) == 0)));
        for (size_t at = 0; !raw && at < all.size;) {
            uint32_t c;
            size_t length = qn_utf8_decode(all.data + at, all.size - at, &c);
            require(length > 0);
            at += length;
        }
        qn_decoder_free(decoder);
        qn_strbuf_deinit(&all);
    }
}

static void use(const struct qn_tokenizer *t, struct qn_str text, uint8_t flags, bool lossless)
{
    struct qn_encode_options options = {
        .struct_size = sizeof options, .bare = flags & 1, .parse_special = flags & 2, .continued = flags & 4};
    struct qn_decode_options same = {.struct_size = sizeof same, .continued = flags & 4};
    struct qn_tokens tokens = {0};
    struct qn_text back = {0};
    qn_status status = qn_tokenizer_encode(t, text.data, text.size, &options, &tokens);
    if (!status) {
        for (size_t i = 0; i < tokens.count; i++)
            require(tokens.ids[i] >= 0 && (uint32_t)tokens.ids[i] < t->count);
        require(!qn_tokenizer_decode(t, tokens.ids, tokens.count, &same, &back));
        if (lossless && !options.parse_special)
            require(back.size == text.size && (!text.size || memcmp(back.data, text.data, text.size) == 0));
        if (!options.continued)
            check_streams(t, &tokens, &back);
    } else {
        require(tokens.count == 0);
    }
    qn_status_free(status);
    qn_tokens_free(&tokens);
    qn_text_free(&back);
}

/* ---- a vocabulary from the input ------------------------------------------------------------------------------ */

struct vocab {
    struct qn_vocab_desc desc;
    struct qn_str texts[TOKENS_MAX + 256];
    float scores[TOKENS_MAX + 256];
    uint8_t types[TOKENS_MAX + 256];
    struct qn_str merges[MERGES_MAX][2];
    char bytes[256][8];
};

static qn_status merge_at(const void *context, uint32_t i, struct qn_str *left, struct qn_str *right)
{
    const struct vocab *v = context;
    *left = v->merges[i][0];
    *right = v->merges[i][1];
    return NULL;
}

/* All bytes as GPT-2 or SentencePiece writes them. */
static void add_bytes(struct vocab *v)
{
    static const char hex[] = "0123456789ABCDEF";
    unsigned other = 0x100;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint32_t i = v->desc.count++;
        char *text = v->bytes[byte];
        bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
        if (v->desc.kind == QN_TOKENIZER_BPE) {
            v->texts[i] = (struct qn_str){text, qn_utf8_encode(printable ? byte : other++, text)};
            v->types[i] = QN_TOKEN_NORMAL;
        } else {
            memcpy(text, (const char[]){'<', '0', 'x', hex[byte >> 4], hex[byte & 15], '>'}, 6);
            v->texts[i] = (struct qn_str){text, 6};
            v->types[i] = QN_TOKEN_BYTE;
        }
    }
}

static void read_vocab(struct vocab *v, struct source *s, uint8_t flags)
{
    static const uint8_t types[] = {QN_TOKEN_NORMAL,       QN_TOKEN_NORMAL, QN_TOKEN_NORMAL, QN_TOKEN_CONTROL,
                                    QN_TOKEN_USER_DEFINED, QN_TOKEN_UNUSED, QN_TOKEN_BYTE,   QN_TOKEN_UNKNOWN};
    static const char *const pres[] = {"gpt-2",   "llama-bpe", "gemma4",   "deepseek-v3",
                                       "kimi-k2", "bloom",     "tiny_aya", "whitespace"};
    v->desc.texts = v->texts;
    v->desc.scores = flags & 4 ? NULL : v->scores;
    v->desc.types = v->types;
    v->desc.merge = merge_at;
    v->desc.merge_context = v;
    v->desc.add_space_prefix = flags & 8;
    v->desc.merge_spaces = flags & 16;
    v->desc.lower_case = v->desc.strip_accents = flags & 32;
    v->desc.strip_after_special = flags & 64;
    v->desc.strip_before = flags & 128 ? "</s>" : NULL;
    if (flags & 1)
        add_bytes(v);
    uint32_t tokens = take(s) % TOKENS_MAX, merges = take(s) % MERGES_MAX;
    const struct qn_pre *pre = qn_pre_find(qn_str_from(pres[take(s) % 8]));
    if (v->desc.kind == QN_TOKENIZER_BPE) {
        v->desc.pre_flags = pre->flags;
        v->desc.patterns = pre->patterns;
        while (v->desc.pattern_count < QN_PRE_PATTERNS_MAX && pre->patterns[v->desc.pattern_count])
            v->desc.pattern_count++;
    }
    for (uint32_t i = 0; i < tokens; i++, v->desc.count++) {
        v->types[v->desc.count] = types[take(s) % 8];
        v->scores[v->desc.count] = (float)(int8_t)take(s) / 8;
        v->texts[v->desc.count] = take_text(s);
    }
    for (uint32_t i = 0; i < merges && v->desc.count; i++, v->desc.merge_count++)
        for (int side = 0; side < 2; side++)
            v->merges[i][side] = v->texts[take(s) % v->desc.count];
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++)
        v->desc.roles[role] = role < 6 && v->desc.count ? take(s) % (int)v->desc.count : QN_TOKEN_NONE;
    v->desc.adds[QN_TOKEN_BOS] = flags & 2;
    v->desc.adds[QN_TOKEN_EOS] = flags & 4;
    v->desc.charsmap = flags & 1 ? (struct qn_str){0} : take_text(s);
}

/* Bytes are all there and nothing else can stand for a text: what is encoded must come back. */
static bool is_lossless(const struct qn_tokenizer *t, uint8_t flags)
{
    bool bytes = t->kind == QN_TOKENIZER_SPM || (t->kind == QN_TOKENIZER_BPE && !(t->pre_flags & QN_PRE_CHARACTERS));
    if (!bytes || !(flags & 1) || (flags & (2 | 4 | 64 | 128)))
        return false;
    if (t->kind == QN_TOKENIZER_SPM && qn_text_ids_find(&t->by_match, QN_SPACE_MARK, 3) < 0)
        return false;                       /* a space becomes the bytes of its mark */
    for (uint32_t i = 0; i < t->count; i++) /* texts that a space mark or a special token in the text would change */
        if (t->tokens[i].flags & (QN_TOKEN_CONTROL | QN_TOKEN_USER_DEFINED | QN_TOKEN_UNKNOWN))
            return false;
    return true;
}

static void fuzz_vocab(struct source s, enum qn_tokenizer_kind kind)
{
    struct vocab *v = calloc(1, sizeof *v);
    struct qn_tokenizer *t;
    uint8_t flags = take(&s), use_flags = take(&s);
    if (!v)
        return;
    v->desc.kind = kind;
    v->desc.origin = QN_STR("fuzz");
    read_vocab(v, &s, flags);
    qn_status status = qn_tokenizer_build(&v->desc, NULL, &t);
    if (!status) {
        struct qn_str text = {(const char *)s.data, s.size};
        bool marked = kind == QN_TOKENIZER_SPM && memmem(text.data, text.size, QN_SPACE_MARK, 3);
        use(t, text, use_flags, is_lossless(t, flags) && !marked);
        qn_tokenizer_free(t);
    }
    qn_status_free(status);
    free(v);
}

/* ---- the others ----------------------------------------------------------------------------------------------- */

static void fuzz_gguf(struct source s)
{
    struct qn_gguf *gguf;
    struct qn_tokenizer *t;
    qn_status status = qn_gguf_open_memory(s.data, s.size, "fuzz.gguf", NULL, &gguf);
    if (!status) {
        status = qn_tokenizer_from_gguf(gguf, NULL, &t);
        if (!status) {
            use(t, (struct qn_str){(const char *)s.data, s.size < 4096 ? s.size : 4096}, 2, false);
            qn_tokenizer_free(t);
        } else {
            require(strstr(qn_status_message(status), "fuzz.gguf") || qn_status_code(status) == QN_OUT_OF_MEMORY);
        }
        qn_gguf_close(gguf);
    }
    qn_status_free(status);
}

/* The pieces of a text are its parts, in order. */
static void fuzz_pattern(struct source s)
{
    uint8_t flags = take(&s);
    struct qn_str pattern = take_text(&s);
    struct qn_split split = {.behavior = (enum qn_split_behavior)(flags % 5), .invert = flags & 128};
    struct qn_matcher *matcher;
    struct qn_pieces pieces = {0};
    char text[256];
    size_t size = 0;
    while (s.size && size < sizeof text - 4) /* valid UTF-8, as the callers guarantee */
        size += qn_utf8_encode(take(&s) < 200 ? take(&s) : 0x300u + take(&s) * 7u, text + size);
    qn_status status = qn_regex_create(pattern, NULL, &split.regex);
    if (!status) {
        require(!qn_matcher_create(NULL, &matcher));
        status = qn_split_piece(&split, matcher, text, (struct qn_piece){0, (uint32_t)size}, qn_allocator_default(),
                                &pieces);
        uint32_t at = 0;
        for (uint32_t i = 0; i < pieces.list.count && !status; i++) {
            struct qn_piece piece = pieces.list.items[i];
            require(piece.begin >= at && piece.begin < piece.end && piece.end <= size);
            require(split.behavior == QN_SPLIT_REMOVED || piece.begin == at);
            at = piece.end;
        }
        require(status || split.behavior == QN_SPLIT_REMOVED || at == size);
        qn_matcher_free(matcher);
        qn_regex_free(split.regex);
        qn_array_free(&pieces.list, qn_allocator_default());
    }
    qn_status_free(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source s = {data, size};
    uint8_t what = take(&s) % 8;
    if (what == 6)
        fuzz_gguf(s);
    else if (what == 7)
        fuzz_pattern(s);
    else
        fuzz_vocab(s, what < 2 ? QN_TOKENIZER_BPE : (enum qn_tokenizer_kind)(what - 1));
    return 0;
}

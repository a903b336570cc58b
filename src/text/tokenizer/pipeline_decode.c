/* Decoding by a pipeline: the texts of tokens go through all decoders, then they are joined. */
#include "base/utf8.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/pipeline.h"

/* Token texts on their way; all of it lies in an arena. */
struct texts {
    struct qn_arena arena;
    struct qn_str *items;
    size_t count;
    struct qn_strbuf buffer; /* for the text that is being made */
    struct qn_matcher *matcher;
};

static qn_status keep(struct texts *t, struct qn_str *out)
{
    if (t->buffer.failed)
        return QN_OOM();
    *out = qn_arena_str(&t->arena, qn_strbuf_view(&t->buffer));
    return out->data ? NULL : QN_OOM();
}

/* ---- replacing ------------------------------------------------------------------------------------------------ */

static size_t find(struct qn_str text, size_t from, struct qn_str part)
{
    for (size_t at = from; at + part.size <= text.size; at++)
        if (memcmp(text.data + at, part.data, part.size) == 0)
            return at;
    return text.size + 1;
}

/* An empty part stands at each character's beginning and at the end. */
static void append_spread(struct qn_strbuf *out, struct qn_str text, struct qn_str with)
{
    for (size_t at = 0; at < text.size;) {
        size_t size = qn_utf8_step(text.data + at, text.size - at);
        qn_strbuf_append(out, with.data, with.size);
        qn_strbuf_append(out, text.data + at, size);
        at += size;
    }
    qn_strbuf_append(out, with.data, with.size);
}

static qn_status replace(struct texts *t, struct qn_str *text, struct qn_str part, struct qn_str with)
{
    size_t at = 0, next = part.size ? find(*text, 0, part) : 0;
    if (next > text->size)
        return NULL;
    qn_strbuf_clear(&t->buffer);
    if (part.size == 0) {
        append_spread(&t->buffer, *text, with);
        return keep(t, text);
    }
    for (; next <= text->size; next = find(*text, at, part)) {
        qn_strbuf_append(&t->buffer, text->data + at, next - at);
        qn_strbuf_append(&t->buffer, with.data, with.size);
        at = next + part.size;
    }
    qn_strbuf_append(&t->buffer, text->data + at, text->size - at);
    return keep(t, text);
}

/* Takes back the spaces that cutting put before punctuation and parts of English words. */
static qn_status clean_up(struct texts *t, struct qn_str *text)
{
    static const char *const rules[][2] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},    {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    if (text->size == 0 || !memchr(text->data, ' ', text->size))
        return NULL;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        QN_TRY(replace(t, text, qn_str_from(rules[i][0]), qn_str_from(rules[i][1])));
    return NULL;
}

static qn_status replace_pattern(struct texts *t, struct qn_str *text, const struct qn_decode_step *step)
{
    struct qn_match_walk walk = {0};
    size_t last = 0;
    if (text->size == 0)
        return NULL;
    if (!t->matcher)
        QN_TRY(qn_matcher_create(t->arena.allocator, &t->matcher));
    qn_strbuf_clear(&t->buffer);
    for (bool found = true; found;) {
        size_t begin, end;
        QN_TRY(qn_match_next(step->regex, t->matcher, text->data, text->size, &walk, &begin, &end, &found));
        if (!found)
            break;
        qn_strbuf_append(&t->buffer, text->data + last, begin - last);
        qn_strbuf_append(&t->buffer, step->content.data, step->content.size);
        last = end;
    }
    qn_strbuf_append(&t->buffer, text->data + last, text->size - last);
    return keep(t, text);
}

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

/* Bytes as text: U+FFFD for each part that cannot be completed. */
static void append_valid(struct qn_strbuf *out, struct qn_str bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        size_t rest = bytes.size - at, length = 1;
        uint32_t c;
        size_t size = qn_utf8_decode(bytes.data + at, rest, &c);
        while (!size && length < rest && length < 3 && qn_utf8_is_cut(bytes.data + at, length + 1))
            length++;
        if (size)
            qn_strbuf_append(out, bytes.data + at, size);
        else
            qn_strbuf_append(out, "\xef\xbf\xbd", 3);
        at += size ? size : length;
    }
}

static qn_status byte_level(struct texts *t)
{
    struct qn_strbuf bytes;
    size_t longest = 0;
    for (size_t i = 0; i < t->count; i++)
        longest = t->items[i].size > longest ? t->items[i].size : longest;
    char *buffer = qn_arena_alloc(&t->arena, longest, 1);
    if (!buffer)
        return QN_OOM();
    qn_strbuf_init(&bytes, t->arena.allocator);
    for (size_t i = 0; i < t->count; i++) {
        size_t size;
        bool alphabet = qn_byte_level_decode(t->items[i].data, t->items[i].size, buffer, &size);
        if (alphabet)
            qn_strbuf_append(&bytes, buffer, size);
        else
            qn_strbuf_append(&bytes, t->items[i].data, t->items[i].size);
    }
    qn_strbuf_clear(&t->buffer);
    append_valid(&t->buffer, qn_strbuf_view(&bytes));
    bool failed = bytes.failed;
    qn_strbuf_deinit(&bytes);
    t->items = QN_ARENA_NEW(&t->arena, struct qn_str);
    t->count = 1;
    return failed || !t->items ? QN_OOM() : keep(t, &t->items[0]);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* "<0x0A>" -> 10, or -1. A sign may stand for the first digit, as Rust reads numbers. */
static int byte_value(struct qn_str text)
{
    if (text.size != 6 || memcmp(text.data, "<0x", 3) != 0 || text.data[5] != '>' || hex_digit(text.data[4]) < 0)
        return -1;
    if (text.data[3] == '+')
        return hex_digit(text.data[4]);
    return hex_digit(text.data[3]) < 0 ? -1 : hex_digit(text.data[3]) * 16 + hex_digit(text.data[4]);
}

static bool is_valid(struct qn_str bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        uint32_t c;
        size_t size = qn_utf8_decode(bytes.data + at, bytes.size - at, &c);
        if (!size)
            return false;
        at += size;
    }
    return true;
}

/* Runs of byte tokens become text; where they are none, each byte becomes U+FFFD. */
static qn_status byte_fallback(struct texts *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count;) {
        size_t count = 0;
        int value;
        qn_strbuf_clear(&t->buffer);
        for (; i + count < t->count && (value = byte_value(t->items[i + count])) >= 0; count++)
            qn_strbuf_append(&t->buffer, (const char[]){(char)value}, 1);
        if (count == 0) {
            t->items[kept++] = t->items[i++];
            continue;
        }
        if (is_valid(qn_strbuf_view(&t->buffer)))
            QN_TRY(keep(t, &t->items[kept++]));
        else
            for (size_t k = 0; k < count; k++)
                t->items[kept++] = QN_STR("\xef\xbf\xbd");
        i += count;
    }
    t->count = kept;
    return NULL;
}

/* ---- one text at a time --------------------------------------------------------------------------------------- */

static qn_status word_piece(struct texts *t, const struct qn_decode_step *step)
{
    for (size_t i = 0; i < t->count; i++) {
        struct qn_str *text = &t->items[i];
        if (i && qn_str_starts(*text, step->content)) {
            *text = (struct qn_str){text->data + step->content.size, text->size - step->content.size};
        } else if (i) {
            qn_strbuf_clear(&t->buffer);
            qn_strbuf_append(&t->buffer, " ", 1);
            qn_strbuf_append(&t->buffer, text->data, text->size);
            QN_TRY(keep(t, text));
        }
        if (step->cleanup)
            QN_TRY(clean_up(t, text));
    }
    return NULL;
}

static qn_status metaspace(struct texts *t, const struct qn_decode_step *step)
{
    char mark[4];
    struct qn_str part = {mark, qn_utf8_encode(step->c, mark)};
    for (size_t i = 0; i < t->count; i++) {
        bool drop = i == 0 && step->scheme != QN_PREPEND_NEVER;
        QN_TRY(replace(t, &t->items[i], part, drop ? QN_STR("") : QN_STR(" ")));
    }
    return NULL;
}

static qn_status ctc(struct texts *t, const struct qn_decode_step *step)
{
    size_t kept = 0;
    struct qn_str last = {NULL, 0};
    for (size_t i = 0; i < t->count; i++) {
        struct qn_str text = t->items[i];
        if (i && qn_str_eq(text, last))
            continue;
        last = text;
        QN_TRY(replace(t, &text, step->content, QN_STR("")));
        if (step->cleanup) {
            QN_TRY(clean_up(t, &text));
            QN_TRY(replace(t, &text, step->delimiter, QN_STR(" ")));
        }
        if (text.size)
            t->items[kept++] = text;
    }
    t->count = kept;
    return NULL;
}

static struct qn_str strip(struct qn_str text, const struct qn_decode_step *step)
{
    char character[4];
    struct qn_str part = {character, qn_utf8_encode(step->c, character)};
    struct qn_str rest = text;
    for (uint64_t i = 0; i < step->start && qn_str_starts(rest, part); i++)
        rest = (struct qn_str){rest.data + part.size, rest.size - part.size};
    /* the package strips the end of the whole text: what both would take is taken once */
    struct qn_str whole = text;
    for (uint64_t i = 0; i < step->stop && qn_str_ends(whole, part); i++)
        whole.size -= part.size;
    const char *end = whole.data + whole.size;
    return (struct qn_str){rest.data, end > rest.data ? (size_t)(end - rest.data) : 0};
}

static qn_status fuse(struct texts *t)
{
    qn_strbuf_clear(&t->buffer);
    for (size_t i = 0; i < t->count; i++)
        qn_strbuf_append(&t->buffer, t->items[i].data, t->items[i].size);
    t->items = QN_ARENA_NEW(&t->arena, struct qn_str);
    t->count = 1;
    return t->items ? keep(t, &t->items[0]) : QN_OOM();
}

static qn_status apply(const struct qn_decode_step *step, struct texts *t)
{
    switch (step->kind) {
    case QN_DECODE_BPE:
        for (size_t i = 0; i < t->count; i++)
            QN_TRY(replace(t, &t->items[i], step->content, i + 1 < t->count ? QN_STR(" ") : QN_STR("")));
        return NULL;
    case QN_DECODE_BYTE_LEVEL:
        return byte_level(t);
    case QN_DECODE_WORDPIECE:
        return word_piece(t, step);
    case QN_DECODE_METASPACE:
        return metaspace(t, step);
    case QN_DECODE_CTC:
        return ctc(t, step);
    case QN_DECODE_REPLACE:
        for (size_t i = 0; i < t->count; i++)
            QN_TRY(replace_pattern(t, &t->items[i], step));
        return NULL;
    case QN_DECODE_FUSE:
        return fuse(t);
    case QN_DECODE_STRIP:
        for (size_t i = 0; i < t->count; i++)
            t->items[i] = strip(t->items[i], step);
        return NULL;
    case QN_DECODE_BYTE_FALLBACK:
        return byte_fallback(t);
    }
    return NULL;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

/* The text of an id as the decoders see it, and whether it is special. Ids that the vocabulary leaves out have none. */
static bool text_of(const struct qn_tokenizer *t, int32_t id, struct qn_str *text, bool *special)
{
    const struct qn_token *token = &t->tokens[id];
    *text = (struct qn_str){token->text, token->text_size};
    *special = t->pipeline->hidden[id];
    return token->text != NULL;
}

static qn_status decode(const struct qn_tokenizer *t, const int32_t *ids, size_t count, bool special,
                        struct texts *texts, struct qn_strbuf *out)
{
    const struct qn_pipeline *pipeline = t->pipeline;
    texts->items = QN_ARENA_ARRAY(&texts->arena, struct qn_str, count);
    if (!texts->items)
        return QN_OOM();
    for (size_t i = 0; i < count; i++) {
        bool is_special;
        if (text_of(t, ids[i], &texts->items[texts->count], &is_special))
            texts->count += special || !is_special;
    }
    for (uint32_t i = 0; i < pipeline->decoder_count; i++)
        QN_TRY(apply(&pipeline->decoders[i], texts));
    for (size_t i = 0; i < texts->count; i++) {
        if (i && !pipeline->has_decoder)
            qn_strbuf_append(out, " ", 1);
        qn_strbuf_append(out, texts->items[i].data, texts->items[i].size);
    }
    return out->failed ? QN_OOM() : NULL;
}

qn_status qn_pipeline_decode(const struct qn_tokenizer *t, const int32_t *ids, size_t count, bool special,
                             struct qn_strbuf *out)
{
    struct texts texts = {0};
    if (t->pipeline->model.kind >= QN_UNIT_SENTENCE_BPE)
        return qn_spiece_decode(t, ids, count, special, out);
    qn_arena_init(&texts.arena, t->arena.allocator);
    qn_strbuf_init(&texts.buffer, t->arena.allocator);
    qn_status status = decode(t, ids, count, special, &texts, out);
    qn_matcher_free(texts.matcher);
    qn_strbuf_deinit(&texts.buffer);
    qn_arena_deinit(&texts.arena);
    return status;
}

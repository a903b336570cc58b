/* qn_tokenizer_encode: special tokens first, then what lies between them by kind of vocabulary. */
#include <utf8proc.h>

#include "text/tokenizer/encoding.h"
#include "text/tokenizer/pipeline.h"
#include "text/tokenizer/pre.h"
#include "base/utf8.h"

enum { LONG_TEXT = 4096 };

/* ---- output --------------------------------------------------------------------------------------------------- */

bool qn_encoding_grow(struct qn_tokens *out, size_t want)
{
    const struct qn_allocator *allocator = out->allocator ? out->allocator : qn_allocator_default();
    size_t capacity = out->capacity ? out->capacity * 2 : 64;
    if (capacity < out->count + want)
        capacity = out->count + want;
    if (capacity > SIZE_MAX / 2 / sizeof *out->ids)
        return false;
    int32_t *ids = qn_resize(allocator, out->ids, out->capacity * sizeof *ids, capacity * sizeof *ids);
    if (!ids)
        return false;
    out->ids = ids;
    out->capacity = capacity;
    return true;
}

/* One unknown token; SentencePiece writes several in a row as one. */
static bool emit_unknown(struct qn_encoding *e)
{
    const struct qn_tokenizer *t = e->tokenizer;
    int32_t unknown = t->roles[QN_TOKEN_UNK];
    bool again = e->out->count > e->fragment_first && e->out->ids[e->out->count - 1] == unknown;
    if (t->kind == QN_TOKENIZER_SPM)
        return unknown < 0 || again || qn_encoding_emit(e, unknown);
    return !qn_token_is(t, unknown, QN_TOKEN_UNKNOWN) || qn_encoding_emit(e, unknown);
}

bool qn_encoding_emit_bytes(struct qn_encoding *e, const char *bytes, size_t size)
{
    const int32_t *ids = e->tokenizer->byte_ids;
    bool whole = e->tokenizer->kind == QN_TOKENIZER_SPM; /* a character is unknown as a whole; BPE knows bytes */
    for (size_t i = 0; i < size && whole; i++)
        if (ids[(uint8_t)bytes[i]] < 0)
            return emit_unknown(e);
    for (size_t i = 0; i < size; i++)
        if (!(ids[(uint8_t)bytes[i]] < 0 ? emit_unknown(e) : qn_encoding_emit(e, ids[(uint8_t)bytes[i]])))
            return false;
    return true;
}

void qn_tokens_free(struct qn_tokens *tokens)
{
    const struct qn_allocator *allocator = tokens->allocator ? tokens->allocator : qn_allocator_default();
    qn_free(allocator, tokens->ids, tokens->capacity * sizeof *tokens->ids);
    *tokens = (struct qn_tokens){.allocator = tokens->allocator};
}

/* ---- SentencePiece -------------------------------------------------------------------------------------------- */

/* Appends text with U+2581 for spaces. */
static void mark_spaces(struct qn_strbuf *out, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *space = memchr(text + at, ' ', size - at);
        size_t end = space ? (size_t)(space - text) : size;
        qn_strbuf_append(out, text + at, end - at);
        if (space)
            qn_strbuf_append(out, QN_SPACE_MARK, 3);
        at = end + (space != NULL);
    }
}

/* Appends text in small letters, broken bytes as they are. */
static void make_lower(struct qn_strbuf *out, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        char utf8[4];
        uint32_t c;
        size_t length = qn_utf8_decode(text + at, size - at, &c);
        if (length)
            qn_strbuf_append(out, utf8, qn_utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), utf8));
        else
            qn_strbuf_append(out, text + at, 1);
        at += length ? length : 1;
    }
}

/* The end of the word that begins at `at`: a run of marks, then text up to the next mark. */
static size_t word_end(const char *text, size_t size, size_t at)
{
    while (size - at >= 3 && memcmp(text + at, QN_SPACE_MARK, 3) == 0)
        at += 3;
    while (at < size) {
        const char *lead = memchr(text + at, '\xe2', size - at);
        if (!lead)
            return size;
        at = (size_t)(lead - text);
        if (size - at >= 3 && memcmp(lead, QN_SPACE_MARK, 3) == 0)
            return at;
        at++;
    }
    return size;
}

qn_status qn_encode_spm(struct qn_encoding *e, const char *text, size_t size, bool prefix)
{
    qn_strbuf_clear(&e->text);
    if (prefix && e->tokenizer->add_space_prefix)
        qn_strbuf_append(&e->text, QN_SPACE_MARK, 3);
    mark_spaces(&e->text, text, size);
    if (e->text.failed)
        return QN_OOM();
    if (e->text.size > INT32_MAX)
        return QN_ERROR(QN_OUT_OF_RANGE, "a text of %zu bytes is too long for one call", size);
    for (size_t at = 0; at < e->text.size;) {
        size_t end = e->tokenizer->cuts_at_marks ? word_end(e->text.data, e->text.size, at) : e->text.size;
        QN_TRY(qn_merge_word(e, e->text.data, at, end - at));
        at = end;
    }
    return NULL;
}

/* ---- BPE ------------------------------------------------------------------------------------------------------ */

/* The text itself when it is UTF-8; otherwise a copy of the same length in which a control character stands for each
 * broken byte, so that the patterns can be applied while the bytes are kept. NULL on lack of memory. */
static const char *valid_text(struct qn_encoding *e, const char *text, size_t size)
{
    size_t from = 0;
    bool copied = false;
    for (size_t at = 0; at < size;) {
        uint32_t c;
        size_t length = (uint8_t)text[at] < 0x80 ? 1 : qn_utf8_decode(text + at, size - at, &c);
        if (!length) {
            if (!copied)
                qn_strbuf_clear(&e->valid);
            copied = true;
            qn_strbuf_append(&e->valid, text + from, at - from);
            qn_strbuf_append(&e->valid, "\x1a", 1);
            from = at + 1;
        }
        at += length ? length : 1;
    }
    if (!copied)
        return text;
    qn_strbuf_append(&e->valid, text + from, size - from);
    return e->valid.failed ? NULL : e->valid.data;
}

/* Cuts text into e->pieces[0]. */
static qn_status split_text(struct qn_encoding *e, const char *text, size_t size)
{
    const struct qn_tokenizer *t = e->tokenizer;
    e->pieces[0].list.count = 0;
    if (!qn_array_push(&e->pieces[0].list, e->allocator, (struct qn_piece){0, (uint32_t)size}))
        return QN_OOM();
    if (!e->matcher && t->split_count)
        QN_TRY(qn_matcher_create(e->allocator, &e->matcher));
    for (uint32_t i = 0; i < t->split_count; i++) {
        e->pieces[1].list.count = 0;
        for (uint32_t k = 0; k < e->pieces[0].list.count; k++)
            QN_TRY(qn_split_piece(&t->splits[i], e->matcher, text, e->pieces[0].list.items[k], e->allocator,
                                  &e->pieces[1]));
        struct qn_pieces swap = e->pieces[0];
        e->pieces[0] = e->pieces[1];
        e->pieces[1] = swap;
    }
    return NULL;
}

qn_status qn_encode_bpe(struct qn_encoding *e, const char *text, size_t size)
{
    const struct qn_tokenizer *t = e->tokenizer;
    if ((t->pre_flags & QN_PRE_SPACE_MARK) || t->lower_case) {
        qn_strbuf_clear(&e->text);
        if (t->lower_case)
            make_lower(&e->text, text, size);
        else
            mark_spaces(&e->text, text, size);
        if (e->text.failed)
            return QN_OOM();
        text = e->text.data;
        size = e->text.size;
    }
    if (size > INT32_MAX)
        return QN_ERROR(QN_OUT_OF_RANGE, "a text of %zu bytes is too long for one call", size);
    const char *valid = valid_text(e, text, size);
    if (!valid)
        return QN_OOM();
    QN_TRY(split_text(e, valid, size));
    for (uint32_t i = 0; i < e->pieces[0].list.count; i++) {
        struct qn_piece piece = e->pieces[0].list.items[i];
        QN_TRY(qn_merge_word(e, text, piece.begin, piece.end - piece.begin));
    }
    return NULL;
}

/* ---- special tokens ------------------------------------------------------------------------------------------- */

/* The longest special token at text[0..size), or -1. */
static int32_t special_at(const struct qn_tokenizer *t, const char *text, size_t size, bool all, size_t *length)
{
    int32_t best = -1;
    uint32_t node = 0;
    for (size_t at = 0; at < size && (node = qn_text_trie_step(&t->special, node, (uint8_t)text[at])); at++) {
        int32_t id = t->special.nodes.items[node].id;
        if (id < 0 || (!all && (t->tokens[id].flags & (QN_TOKEN_CONTROL | QN_TOKEN_UNKNOWN))))
            continue;
        best = id;
        *length = at + 1;
    }
    return best;
}

/* White space of ASCII, whatever the locale. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static qn_status encode_fragment(struct qn_encoding *e, const char *text, size_t size, bool prefix)
{
    if (size == 0)
        return NULL;
    e->epoch++;
    e->fragment_first = e->out->count;
    switch (e->tokenizer->kind) {
    case QN_TOKENIZER_SPM:
        return qn_encode_spm(e, text, size, prefix);
    case QN_TOKENIZER_BPE:
        return qn_encode_bpe(e, text, size);
    case QN_TOKENIZER_WORDPIECE:
        return qn_encode_wordpiece(e, text, size);
    case QN_TOKENIZER_UNIGRAM:
        return qn_encode_unigram(e, text, size, prefix);
    case QN_TOKENIZER_WORDLEVEL:
    case QN_TOKENIZER_NONE:
        break;
    }
    return NULL;
}

static qn_status encode_text(struct qn_encoding *e, const char *text, size_t size,
                             const struct qn_encode_options *options)
{
    const struct qn_tokenizer *t = e->tokenizer;
    const bool *begins = options->parse_special ? t->begins_special : t->begins_user_defined;
    size_t from = 0;
    bool prefix = !options->continued;
    for (size_t at = 0; at < size; at++) {
        size_t length = 0;
        int32_t id = -1;
        if (begins[(uint8_t)text[at]])
            id = special_at(t, text + at, size - at, options->parse_special, &length);
        if (id < 0)
            continue;
        size_t end = at, after = at + length;
        while ((t->tokens[id].flags & QN_TOKEN_LSTRIP) && end > from && is_space(text[end - 1]))
            end--;
        while ((t->tokens[id].flags & QN_TOKEN_RSTRIP) && after < size && is_space(text[after]))
            after++;
        QN_TRY(encode_fragment(e, text + from, end - from, prefix));
        if (!qn_encoding_emit(e, id))
            return QN_OOM();
        prefix = true;
        from = after;
        at = after - 1;
    }
    return encode_fragment(e, text + from, size - from, prefix);
}

/* ---- the call ------------------------------------------------------------------------------------------------- */

static bool emit_role(struct qn_encoding *e, enum qn_token_role role)
{
    const struct qn_tokenizer *t = e->tokenizer;
    return !t->adds[role] || t->roles[role] < 0 || qn_encoding_emit(e, t->roles[role]);
}

static void deinit(struct qn_encoding *e)
{
    qn_array_free(&e->symbols, e->allocator);
    qn_array_free(&e->heap.list, e->allocator);
    qn_array_free(&e->pieces[0].list, e->allocator);
    qn_array_free(&e->pieces[1].list, e->allocator);
    qn_strbuf_deinit(&e->text);
    qn_strbuf_deinit(&e->valid);
    qn_matcher_free(e->matcher);
    qn_free(e->allocator, e->words, QN_CACHED_WORDS * sizeof *e->words);
}

/* The ids alone; nothing is cut or filled up. */
static qn_status encode_by_pipeline(const struct qn_tokenizer *t, const char *text, size_t size,
                                    const struct qn_encode_options *options, struct qn_tokens *tokens)
{
    struct qn_encode_call call = {.texts = {{text, size}},
                                  .text_count = 1,
                                  .bare = options->bare,
                                  .special = options->parse_special,
                                  .continued = options->continued};
    struct qn_encoded encoded = {.allocator = t->arena.allocator};
    QN_TRY(qn_pipeline_encode(t, &call, &encoded));
    bool ok = tokens->capacity - tokens->count >= encoded.count || qn_encoding_grow(tokens, encoded.count);
    for (size_t i = 0; i < encoded.count && ok; i++)
        tokens->ids[tokens->count++] = encoded.tokens[i].id;
    qn_encoded_free(&encoded);
    return ok ? NULL : QN_OOM();
}

qn_status qn_tokenizer_encode(const struct qn_tokenizer *t, const char *text, size_t size,
                              const struct qn_encode_options *options, struct qn_tokens *tokens)
{
    struct qn_encode_options all = {.struct_size = sizeof all};
    if (options && options->struct_size < sizeof options->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_encode_options: struct_size is not set");
    if (options)
        memcpy(&all, options, options->struct_size < sizeof all ? options->struct_size : sizeof all);
    if (t->kind == QN_TOKENIZER_NONE)
        return QN_ERROR(QN_UNSUPPORTED, "the model has no vocabulary, so text cannot be turned into tokens");
    if (t->pipeline)
        return encode_by_pipeline(t, text, size, &all, tokens);
    struct qn_encoding e = {.tokenizer = t, .allocator = t->arena.allocator, .out = tokens};
    qn_strbuf_init(&e.text, e.allocator);
    qn_strbuf_init(&e.valid, e.allocator);
    if (size >= LONG_TEXT &&
        (t->has_all_bytes || t->kind != QN_TOKENIZER_SPM))                  /* unknown tokens hang on the word before */
        e.words = qn_calloc(e.allocator, QN_CACHED_WORDS, sizeof *e.words); /* does without when there is no memory */
    size_t before = tokens->count;
    bool ok = all.bare || emit_role(&e, QN_TOKEN_BOS);
    qn_status status = ok ? encode_text(&e, text, size, &all) : QN_OOM();
    if (!status && !all.bare && (!emit_role(&e, QN_TOKEN_EOS) || !emit_role(&e, QN_TOKEN_SEP)))
        status = QN_OOM();
    deinit(&e);
    if (status)
        tokens->count = before;
    return status;
}

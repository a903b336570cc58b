/* Tokens to text, at once or one at a time. */
#include "text/tokenizer/pipeline.h"
#include "base/utf8.h"

/* ---- pieces --------------------------------------------------------------------------------------------------- */

/* Where in a text the next piece stands: encoding put a space before a text and after each special token. */
struct joint {
    bool strip_space;
};

static bool hides(const struct qn_tokenizer *t, int32_t id, bool special)
{
    return !special && qn_token_is(t, id, QN_TOKEN_CONTROL | QN_TOKEN_UNKNOWN);
}

static qn_status check_id(const struct qn_tokenizer *t, int32_t id)
{
    if (t->kind == QN_TOKENIZER_NONE)
        return QN_ERROR(QN_UNSUPPORTED, "the model has no vocabulary, so tokens cannot be turned into text");
    if (id < 0 || (uint32_t)id >= t->count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "token %d is not in the vocabulary of %u tokens", id, t->count);
    return NULL;
}

/* The bytes that a valid id adds here. */
static struct qn_str next_piece(const struct qn_tokenizer *t, int32_t id, bool special, struct joint *joint)
{
    const struct qn_token *token = &t->tokens[id];
    struct qn_str piece = {token->piece, token->piece_size};
    bool strip = joint->strip_space && t->tokens[id].flags & (QN_TOKEN_NORMAL | QN_TOKEN_UNUSED) && piece.size &&
                 piece.data[0] == ' ' && !(token->flags & QN_TOKEN_CONTROL);
    bool wants_space = t->add_space_prefix || t->merge_spaces || t->kind == QN_TOKENIZER_WORDPIECE;
    joint->strip_space = wants_space && (token->flags & (QN_TOKEN_CONTROL | QN_TOKEN_USER_DEFINED));
    if (hides(t, id, special))
        return (struct qn_str){"", 0};
    return strip ? (struct qn_str){piece.data + 1, piece.size - 1} : piece;
}

static struct joint first_joint(const struct qn_tokenizer *t, bool continued)
{
    bool wants_space = t->add_space_prefix || t->merge_spaces || t->kind == QN_TOKENIZER_WORDPIECE;
    return (struct joint){!continued && wants_space};
}

/* ---- at once -------------------------------------------------------------------------------------------------- */

void qn_text_free(struct qn_text *text)
{
    const struct qn_allocator *allocator = text->allocator ? text->allocator : qn_allocator_default();
    qn_free(allocator, text->data, text->capacity);
    *text = (struct qn_text){.allocator = text->allocator};
}

static bool append(struct qn_text *text, struct qn_str bytes)
{
    const struct qn_allocator *allocator = text->allocator ? text->allocator : qn_allocator_default();
    if (bytes.size >= SIZE_MAX / 4 - text->size)
        return false;
    size_t need = text->size + bytes.size + 1, capacity = text->capacity ? text->capacity : 64;
    while (capacity < need)
        capacity *= 2;
    if (capacity != text->capacity) {
        char *data = qn_resize(allocator, text->data, text->capacity, capacity);
        if (!data)
            return false;
        text->data = data;
        text->capacity = capacity;
    }
    if (bytes.size)
        memcpy(text->data + text->size, bytes.data, bytes.size);
    text->size += bytes.size;
    text->data[text->size] = 0;
    return true;
}

static qn_status read_options(const struct qn_decode_options *given, struct qn_decode_options *out)
{
    *out = (struct qn_decode_options){.struct_size = sizeof *out};
    if (given && given->struct_size < sizeof given->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_decode_options: struct_size is not set");
    if (given)
        memcpy(out, given, given->struct_size < sizeof *out ? given->struct_size : sizeof *out);
    return NULL;
}

static qn_status decode_by_pipeline(const struct qn_tokenizer *t, const int32_t *ids, size_t count, bool special,
                                    struct qn_text *text)
{
    struct qn_strbuf out;
    for (size_t i = 0; i < count; i++)
        QN_TRY(check_id(t, ids[i]));
    qn_strbuf_init(&out, t->arena.allocator);
    qn_status status = qn_pipeline_decode(t, ids, count, special, &out);
    if (!status && !append(text, qn_strbuf_view(&out)))
        status = QN_OOM();
    qn_strbuf_deinit(&out);
    return status;
}

qn_status qn_tokenizer_decode(const struct qn_tokenizer *t, const int32_t *ids, size_t count,
                              const struct qn_decode_options *options, struct qn_text *text)
{
    struct qn_decode_options all;
    QN_TRY(read_options(options, &all));
    struct joint joint = first_joint(t, all.continued);
    if (!append(text, (struct qn_str){"", 0}))
        return QN_OOM();
    if (t->pipeline)
        return decode_by_pipeline(t, ids, count, all.special, text);
    for (size_t i = 0; i < count; i++) {
        QN_TRY(check_id(t, ids[i]));
        if (!append(text, next_piece(t, ids[i], all.special, &joint)))
            return QN_OOM();
    }
    return NULL;
}

/* ---- one at a time -------------------------------------------------------------------------------------------- */

struct qn_decoder {
    const struct qn_tokenizer *tokenizer;
    const struct qn_allocator *allocator;
    struct qn_decode_options options;
    struct joint joint;
    char held[4]; /* the beginning of a character */
    size_t held_size;
    struct qn_strbuf out;

    /* With a pipeline, the text of a token depends on those around it: the ids since a whole character ended are
     * decoded together, and what they show beyond the text of the first of them is new. */
    QN_ARRAY(int32_t) ids;
    uint32_t shown_ids;      /* whose text is out already */
    struct qn_strbuf window; /* the text of all ids here */
    size_t shown;            /* bytes of the first ones' text */
};

qn_status qn_decoder_create(const struct qn_tokenizer *tokenizer, const struct qn_decode_options *options,
                            const struct qn_allocator *allocator, struct qn_decoder **out)
{
    struct qn_decode_options all;
    QN_TRY(read_options(options, &all));
    allocator = allocator ? allocator : qn_allocator_default();
    struct qn_decoder *decoder = qn_calloc(allocator, 1, sizeof *decoder);
    if (!decoder)
        return QN_OOM();
    decoder->tokenizer = tokenizer;
    decoder->allocator = allocator;
    decoder->options = all;
    decoder->joint = first_joint(tokenizer, decoder->options.continued);
    qn_strbuf_init(&decoder->out, allocator);
    qn_strbuf_init(&decoder->window, allocator);
    *out = decoder;
    return NULL;
}

void qn_decoder_free(struct qn_decoder *decoder)
{
    if (!decoder)
        return;
    qn_strbuf_deinit(&decoder->out);
    qn_strbuf_deinit(&decoder->window);
    qn_array_free(&decoder->ids, decoder->allocator);
    qn_free(decoder->allocator, decoder, sizeof *decoder);
}

static void put_broken(struct qn_decoder *decoder, const char *bytes, size_t size)
{
    if (decoder->options.raw)
        qn_strbuf_append(&decoder->out, bytes, size);
    else
        qn_strbuf_append(&decoder->out, "\xef\xbf\xbd", 3);
}

/* How many bytes at text[0..size) belong together when no character is there: the beginning of one, or one byte. */
static size_t broken_length(const char *text, size_t size)
{
    size_t length = 1;
    while (length < size && length < 3 && qn_utf8_is_cut(text, length + 1))
        length++;
    return length;
}

/* Gives out the whole characters of held bytes and piece together, and holds back what may still be completed. */
static void put(struct qn_decoder *decoder, struct qn_str piece)
{
    while (decoder->held_size && piece.size) { /* complete the held character a byte at a time */
        uint32_t c;
        decoder->held[decoder->held_size] = piece.data[0];
        if (qn_utf8_decode(decoder->held, decoder->held_size + 1, &c)) {
            qn_strbuf_append(&decoder->out, decoder->held, decoder->held_size + 1);
            decoder->held_size = 0;
        } else if (qn_utf8_is_cut(decoder->held, decoder->held_size + 1)) {
            decoder->held_size++;
        } else { /* the byte does not go on with it: it begins something else */
            put_broken(decoder, decoder->held, decoder->held_size);
            decoder->held_size = 0;
            break;
        }
        piece.data++;
        piece.size--;
    }
    for (size_t at = 0; at < piece.size;) {
        const char *text = piece.data + at;
        size_t rest = piece.size - at;
        uint32_t c;
        size_t length = qn_utf8_decode(text, rest, &c);
        if (length) {
            qn_strbuf_append(&decoder->out, text, length);
        } else if (qn_utf8_is_cut(text, rest)) {
            memcpy(decoder->held, text, rest);
            decoder->held_size = rest;
            return;
        } else {
            length = broken_length(text, rest);
            put_broken(decoder, text, length);
        }
        at += length;
    }
}

static qn_status give(struct qn_decoder *decoder, const char **text, size_t *size)
{
    if (decoder->out.failed)
        return QN_OOM();
    struct qn_str view = qn_strbuf_view(&decoder->out);
    *text = view.data;
    *size = view.size;
    return NULL;
}

static qn_status decode_window(struct qn_decoder *d, uint32_t count)
{
    qn_strbuf_clear(&d->window);
    return qn_pipeline_decode(d->tokenizer, d->ids.items, count, d->options.special, &d->window);
}

/* Shows what the window has beyond what is out, unless its end may still change. */
static qn_status show_window(struct qn_decoder *d, bool last)
{
    enum { WINDOW = 64 }; /* ids that may wait for the end of a character */
    QN_TRY(decode_window(d, d->ids.count));
    struct qn_str text = qn_strbuf_view(&d->window);
    bool cut = qn_str_ends(text, QN_STR("\xef\xbf\xbd")) && !last && d->ids.count - d->shown_ids < WINDOW;
    if (text.size <= d->shown || cut)
        return NULL;
    qn_strbuf_append(&d->out, text.data + d->shown, text.size - d->shown);
    /* the ids whose text just came out stay as what the next ones follow */
    uint32_t kept = d->ids.count - d->shown_ids;
    memmove(d->ids.items, d->ids.items + d->shown_ids, kept * sizeof *d->ids.items);
    d->ids.count = d->shown_ids = kept;
    QN_TRY(decode_window(d, kept));
    d->shown = d->window.size;
    return NULL;
}

static qn_status push_to_window(struct qn_decoder *d, int32_t id)
{
    if (!qn_array_push(&d->ids, d->allocator, id))
        return QN_OOM();
    qn_status status = show_window(d, false);
    if (status)
        d->ids.count--;
    return status;
}

qn_status qn_decoder_push(struct qn_decoder *decoder, int32_t id, const char **text, size_t *size)
{
    qn_strbuf_clear(&decoder->out);
    QN_TRY(check_id(decoder->tokenizer, id));
    if (decoder->tokenizer->pipeline) {
        QN_TRY(push_to_window(decoder, id));
        return give(decoder, text, size);
    }
    put(decoder, next_piece(decoder->tokenizer, id, decoder->options.special, &decoder->joint));
    return give(decoder, text, size);
}

qn_status qn_decoder_finish(struct qn_decoder *decoder, const char **text, size_t *size)
{
    qn_strbuf_clear(&decoder->out);
    if (decoder->tokenizer->pipeline) {
        QN_TRY(show_window(decoder, true));
        decoder->ids.count = decoder->shown_ids = 0;
        decoder->shown = 0;
        return give(decoder, text, size);
    }
    if (decoder->held_size)
        put_broken(decoder, decoder->held, decoder->held_size);
    decoder->held_size = 0;
    decoder->joint = first_joint(decoder->tokenizer, decoder->options.continued);
    return give(decoder, text, size);
}

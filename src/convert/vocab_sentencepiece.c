/* tokenizer.model, a protobuf message of SentencePiece, as GGUF's lists. Only pieces, the kind of model and the
 * switches that GGUF has are read. */
#include <inttypes.h>
#include <string.h>

#include "convert/gguf_vocab.h"

struct cursor {
    const uint8_t *at, *end;
};

struct field {
    uint32_t number, wire;
    uint64_t value;      /* wire 0 */
    struct cursor bytes; /* wire 2; wire 5: its four bytes */
};

static bool read_varint(struct cursor *c, uint64_t *out)
{
    *out = 0;
    for (uint32_t shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* The next field; false at the end or where the bytes are none. */
static bool next_field(struct cursor *c, struct field *f)
{
    uint64_t tag, size = 0;
    if (c->at == c->end || !read_varint(c, &tag) || tag >> 3 > UINT32_MAX)
        return false;
    *f = (struct field){.number = (uint32_t)(tag >> 3), .wire = tag & 7};
    switch (f->wire) {
    case 0:
        return read_varint(c, &f->value);
    case 1:
        size = 8;
        break;
    case 2:
        if (!read_varint(c, &size))
            return false;
        break;
    case 5:
        size = 4;
        break;
    default:
        return false;
    }
    if (size > (uint64_t)(c->end - c->at))
        return false;
    f->bytes = (struct cursor){c->at, c->at + size};
    c->at += size;
    return true;
}

static qn_status put_piece(struct qn_gguf_vocab *v, uint32_t id, struct cursor piece)
{
    struct field f;
    struct qn_str text = {0};
    float score = 0;
    uint64_t type = QN_GGUF_TOKEN_NORMAL;
    while (next_field(&piece, &f)) {
        if (f.number == 1 && f.wire == 2)
            text = (struct qn_str){(const char *)f.bytes.at, (size_t)(f.bytes.end - f.bytes.at)};
        else if (f.number == 2 && f.wire == 5)
            memcpy(&score, f.bytes.at, sizeof score);
        else if (f.number == 3 && f.wire == 0)
            type = f.value;
    }
    if (piece.at != piece.end || !text.data || type < 1 || type > 6)
        return QN_ERROR(QN_INVALID_FILE, "piece %u is damaged", id);
    if (id >= v->count)
        return QN_ERROR(QN_INVALID_FILE, "piece %u, but the model's embedding has %u rows", id, v->count);
    if (type == QN_GGUF_TOKEN_USER_DEFINED) /* as llama.cpp's converter: what is added later says which are */
        type = QN_GGUF_TOKEN_NORMAL;
    QN_TRY(qn_gguf_vocab_put(v, id, text, (int32_t)type)); /* the same numbers as GGUF's */
    v->scores[id] = score;
    return NULL;
}

static void read_trainer(struct cursor c, uint64_t *kind)
{
    struct field f;
    while (next_field(&c, &f))
        if (f.number == 3 && f.wire == 0)
            *kind = f.value;
}

static void read_normalizer(struct qn_gguf_vocab *v, struct cursor c)
{
    struct field f;
    v->add_space = v->remove_spaces = 1; /* the message's defaults */
    while (next_field(&c, &f)) {
        if (f.number == 2 && f.wire == 2 && f.bytes.at != f.bytes.end) {
            v->charsmap = f.bytes.at;
            v->charsmap_size = (size_t)(f.bytes.end - f.bytes.at);
        } else if (f.number == 3 && f.wire == 0) {
            v->add_space = f.value != 0;
        } else if (f.number == 4 && f.wire == 0) {
            v->remove_spaces = f.value != 0;
        }
    }
}

qn_status qn_gguf_vocab_sentencepiece(const uint8_t *data, uint64_t size, struct qn_gguf_vocab *v)
{
    enum { UNIGRAM = 1, BPE = 2 };
    struct cursor c = {data, data + size};
    struct field f;
    uint64_t kind = UNIGRAM;
    uint32_t id = 0;
    QN_TRY(qn_gguf_vocab_start(v, true));
    while (next_field(&c, &f)) {
        if (f.wire != 2)
            continue;
        if (f.number == 1)
            QN_TRY(put_piece(v, id++, f.bytes));
        else if (f.number == 2)
            read_trainer(f.bytes, &kind);
        else if (f.number == 3)
            read_normalizer(v, f.bytes);
    }
    if (c.at != c.end || id == 0)
        return QN_ERROR(QN_INVALID_FILE, "no SentencePiece model, or a damaged one");
    if (kind != UNIGRAM && kind != BPE)
        return QN_ERROR(QN_UNSUPPORTED, "a SentencePiece model of kind %" PRIu64 "; expected unigram or BPE", kind);
    v->model = kind == BPE ? "llama" : "t5";
    if (kind == BPE)
        v->charsmap = NULL;
    return NULL;
}

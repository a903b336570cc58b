#include "format/onnx/protobuf_write.h"

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

static void put_varint(struct qn_strbuf *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    do {
        bytes[count++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    qn_strbuf_append(out, bytes, count);
}

void qn_pb_put_uint(struct qn_strbuf *out, uint32_t number, uint64_t value)
{
    put_varint(out, (uint64_t)number << 3 | WIRE_VARINT);
    put_varint(out, value);
}

void qn_pb_put_head(struct qn_strbuf *out, uint32_t number, uint64_t size)
{
    put_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
    put_varint(out, size);
}

void qn_pb_put_text(struct qn_strbuf *out, uint32_t number, struct qn_str text)
{
    qn_pb_put_head(out, number, text.size);
    if (text.size)
        qn_strbuf_append(out, text.data, text.size);
}

void qn_pb_put_message(struct qn_strbuf *out, uint32_t number, const struct qn_strbuf *message)
{
    out->failed |= message->failed;
    qn_pb_put_text(out, number, qn_strbuf_view(message));
}

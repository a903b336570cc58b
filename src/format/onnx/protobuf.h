/* Protobuf messages decoded by tables into plain structs, without copying what they hold.
 *
 * A table lists a message's fields: number, kind, and where in the struct the value goes. Texts and bytes become views
 * of the encoded bytes (a text that is left out is empty, never NULL); only arrays of numbers and of structs take
 * memory, from an arena, at most a fixed multiple of the encoded size. Unknown fields are skipped; of a field that may
 * stand once the last one counts; repeated numbers are read packed or one by one. A field with the wrong wire type is
 * an error that names message, field and offset.
 */
#ifndef QN_FORMAT_ONNX_PROTOBUF_H
#define QN_FORMAT_ONNX_PROTOBUF_H

#include "base/arena.h"
#include "base/status.h"

/* Bytes of a field: a view of the encoded message, of any alignment, or an array in the arena. */
struct qn_onnx_bytes {
    const uint8_t *data;
    uint64_t size; /* bytes */
    bool in_file;  /* data lies in the encoded message */
};

enum qn_pb_kind {
    /* may stand once */
    QN_PB_I64 = 0, /* int64_t from a varint */
    QN_PB_I32,     /* int32_t from a varint; also enums */
    QN_PB_F32,     /* float */
    QN_PB_TEXT,    /* struct qn_str */
    QN_PB_BYTES,   /* struct qn_onnx_bytes */
    QN_PB_MESSAGE, /* a struct in the struct */
    QN_PB_INLINE,  /* a message whose table speaks of the same struct */
    QN_PB_POINTER, /* const struct * into the arena */
    QN_PB_SEEN,    /* a message or bytes whose content is not kept, only counted */
    /* repeated; the member is a pointer into the arena */
    QN_PB_TEXTS,
    QN_PB_MESSAGES,
    QN_PB_I64S, /* also uint64 */
    QN_PB_I32S,
    QN_PB_F32S,
    /* repeated; the member is a struct qn_onnx_bytes, a view where the entries stand packed in one piece */
    QN_PB_FIXED32S,
    QN_PB_FIXED64S,
};

enum { QN_PB_MAX_FIELDS = 24, QN_PB_MAX_DEPTH = 100, QN_PB_TABLE_FACTOR = 32, QN_PB_TABLE_FLOOR = 1 << 16 };

struct qn_pb_message;

struct qn_pb_field {
    uint32_t number;
    enum qn_pb_kind kind;
    const char *name;
    uint16_t offset;
    uint16_t count_offset, count_size; /* where the number of entries goes; size 0: nowhere, else 4 or 8 bytes */
    const struct qn_pb_message *message;
};

struct qn_pb_message {
    const char *name;
    size_t size, align; /* of the struct */
    const struct qn_pb_field *fields;
    uint32_t field_count;
    /* Called when all fields are read; counts[i] is how many entries field i of the table had. NULL: nothing to do. */
    qn_status (*finish)(void *object, const uint64_t *counts);
};

/* Decodes one message into *out, a zeroed struct of message->size bytes. Views point into data. */
qn_status qn_pb_decode(const struct qn_pb_message *message, const void *data, uint64_t size, struct qn_arena *arena,
                       void *out) QN_MUST_USE;

/* One field of an encoded message. */
struct qn_pb_span {
    uint32_t number, wire; /* its wire type, as encoded */
    const uint8_t *start;  /* of its tag */
    uint64_t whole;        /* bytes from there */
    const uint8_t *data;   /* content of texts, bytes and messages; NULL for numbers */
    uint64_t size;
};

/* The field at *offset, which moves on behind it. False at the end, and where no well-formed field stands; then
 * *offset is untouched. */
bool qn_pb_next(const uint8_t *data, uint64_t size, uint64_t *offset, struct qn_pb_span *out);

#endif

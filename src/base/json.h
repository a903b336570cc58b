/* JSON, strict in both directions (RFC 8259): a reader into one flat array of nodes, and a writer into a buffer. */
#ifndef QN_BASE_JSON_H
#define QN_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

/* ---- reading -------------------------------------------------------------------------------------------------- */

enum qn_json_kind {
    QN_JSON_NULL = 1,
    QN_JSON_BOOL,
    QN_JSON_INT,    /* no fraction, no exponent, and fits int64 */
    QN_JSON_DOUBLE, /* any other number */
    QN_JSON_STRING,
    QN_JSON_ARRAY,
    QN_JSON_OBJECT,
};

/* A value. The children of an array or object follow it directly, in the order of the text: elements, or key, value,
 * key, value. Walk them with qn_json_next:
 *
 *     const struct qn_json *item = qn_json_first(array);
 *     for (uint32_t i = 0; i < array->size; i++, item = qn_json_next(item)) ...
 */
struct qn_json {
    enum qn_json_kind kind;
    uint32_t size; /* string: bytes; array: elements; object: pairs */
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *text; /* not terminated, valid UTF-8; may hold NUL */
        uint64_t span;    /* array, object: nodes in it, itself included */
    };
};

struct qn_json_options {
    const char *name;   /* of the file, for errors; NULL: "JSON" */
    uint32_t max_depth; /* 0: 256 */
    bool unique_keys;   /* a key that stands twice in an object is an error */
};

/* Reads one value and nothing behind it but white space. Nodes and unescaped strings lie in the arena; strings without
 * escapes point into `text`, which must live as long. Errors name the byte. Memory: 16 bytes a node, where a
 * node is at least two bytes of text, and up to three times that while reading. */
qn_status qn_json_read(struct qn_str text, const struct qn_json_options *options, struct qn_arena *arena,
                       const struct qn_json **root) QN_MUST_USE;

static inline const struct qn_json *qn_json_first(const struct qn_json *container)
{
    return container + 1;
}

static inline const struct qn_json *qn_json_next(const struct qn_json *value)
{
    return value + (value->kind >= QN_JSON_ARRAY ? value->span : 1);
}

static inline struct qn_str qn_json_str(const struct qn_json *string)
{
    return (struct qn_str){string->text, string->size};
}

/* The value of the first member with this key; NULL when there is none, or `object` is NULL or no object. */
const struct qn_json *qn_json_member(const struct qn_json *object, const char *key);

/* "null", "boolean", "number", "string", "array", "object". */
const char *qn_json_kind_name(enum qn_json_kind kind);

/* ---- writing -------------------------------------------------------------------------------------------------- */

/* Zero is a writer without a buffer; set `out`. Commas, colons and line breaks come by themselves. The caller may empty
 * `out` (to a file, a socket) between any two calls. Lack of memory shows in out->failed. */
struct qn_json_writer {
    struct qn_strbuf *out;
    uint32_t indent; /* spaces a level; 0: all on one line, no blanks */
    uint32_t depth;
    bool comma;     /* a value stands before the next one */
    bool after_key; /* the next value belongs to a key */
};

void qn_json_begin_object(struct qn_json_writer *writer);
void qn_json_end_object(struct qn_json_writer *writer);
void qn_json_begin_array(struct qn_json_writer *writer);
void qn_json_end_array(struct qn_json_writer *writer);
void qn_json_key(struct qn_json_writer *writer, const char *key);
void qn_json_key_str(struct qn_json_writer *writer, struct qn_str key);
/* Bytes that are not UTF-8 become U+FFFD, one for each byte. */
void qn_json_write_str(struct qn_json_writer *writer, struct qn_str text);
void qn_json_write_text(struct qn_json_writer *writer, const char *text); /* NULL: null */
void qn_json_write_int(struct qn_json_writer *writer, int64_t value);
void qn_json_write_uint(struct qn_json_writer *writer, uint64_t value);
/* The fewest digits that read back as the same double; NaN and infinities, which JSON lacks, become null. */
void qn_json_write_double(struct qn_json_writer *writer, double value);
void qn_json_write_bool(struct qn_json_writer *writer, bool value);
void qn_json_write_null(struct qn_json_writer *writer);
/* Bytes as a string in base64. */
void qn_json_write_base64(struct qn_json_writer *writer, const void *data, size_t size);
/* A value that is JSON already. */
void qn_json_write_json(struct qn_json_writer *writer, struct qn_str json);

#endif

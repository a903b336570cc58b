/* Status: how every fallible call of Quern reports.
 *
 * A status is one pointer. NULL means success and costs nothing; anything else is a record with a code, the
 * source position, a message and the notes that callers added on the way up. The receiver owns the record and
 * releases it with qn_status_free. Results must be used.
 *
 * Threads: a status belongs to the thread that received it; it may be handed over, never shared.
 */
#ifndef QUERN_STATUS_H
#define QUERN_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define QN_MUST_USE __attribute__((warn_unused_result))
#define QN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum qn_code {
    QN_OK = 0,
    QN_INVALID_ARGUMENT = 1, /* the caller's request is wrong: a flag, a shape, a name */
    QN_INVALID_FILE = 2,     /* the content of a file breaks its format's rules */
    QN_UNSUPPORTED = 3,      /* well-formed, but Quern lacks the op, type or version */
    QN_NOT_FOUND = 4,        /* a file, tensor, key or name that does not exist */
    QN_IO = 5,               /* the operating system refused a read, write, map or socket call */
    QN_OUT_OF_MEMORY = 6,    /* an allocation failed or passed a limit */
    QN_OUT_OF_RANGE = 7,     /* past a capacity: the context is full, an index is too large */
    QN_CANCELLED = 8,        /* the caller asked for the work to stop */
    QN_INTERNAL = 9,         /* a bug in Quern; please report it */
};

typedef struct qn_status_record *qn_status;

/* The code of a status; QN_OK for NULL. */
enum qn_code qn_status_code(qn_status status);

/* The code as a short lower-case phrase, for example "invalid file". Static storage. */
const char *qn_code_name(enum qn_code code);

/* Message and notes, outermost note first, joined by ": ". Lives as long as the status; "ok" for NULL. */
const char *qn_status_message(qn_status status);

/* Source position where the status was raised ("src/format/gguf/gguf_read.c:120"); "" for NULL. */
const char *qn_status_origin(qn_status status);

/* Makes a status, for extensions and programs that report through the same type: QN_STATUS(QN_NOT_FOUND, "no %s",
 * name). A lack of memory gives the out-of-memory status. */
#define QN_STATUS(code, ...) qn_status_make((code), __FILE__, __LINE__, __VA_ARGS__)
qn_status qn_status_make(enum qn_code code, const char *file, int line, const char *fmt, ...)
    QN_PRINTF(4, 5) QN_MUST_USE __attribute__((returns_nonnull));

/* Releases a status. NULL is allowed. */
void qn_status_free(qn_status status);

#ifdef __cplusplus
}
#endif
#endif

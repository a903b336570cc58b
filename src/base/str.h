/* String views and a growing text buffer. A view does not own its bytes and need not be terminated. */
#ifndef QN_BASE_STR_H
#define QN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quern/allocator.h"

struct qn_str {
    const char *data;
    size_t size;
};

#define QN_STR(literal) ((struct qn_str){"" literal, sizeof(literal) - 1})
/* printf("%.*s", QN_STR_ARG(s)) */
#define QN_STR_ARG(s) (int)((s).size > 1000 ? 1000 : (s).size), (s).data ? (s).data : ""

static inline struct qn_str qn_str_from(const char *text)
{
    return (struct qn_str){text, text ? strlen(text) : 0};
}

static inline bool qn_str_eq(struct qn_str a, struct qn_str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool qn_str_is(struct qn_str a, const char *text)
{
    return qn_str_eq(a, qn_str_from(text));
}

static inline bool qn_str_starts(struct qn_str text, struct qn_str prefix)
{
    return text.size >= prefix.size && (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

static inline bool qn_str_ends(struct qn_str text, struct qn_str suffix)
{
    return text.size >= suffix.size &&
           (suffix.size == 0 || memcmp(text.data + text.size - suffix.size, suffix.data, suffix.size) == 0);
}

/* A growing, always terminated buffer. A failed allocation sets `failed` and drops later appends, so that a
 * writer checks once at the end. */
struct qn_strbuf {
    const struct qn_allocator *allocator;
    char *data; /* NULL until the first append */
    size_t size, capacity;
    bool failed;
};

void qn_strbuf_init(struct qn_strbuf *buf, const struct qn_allocator *allocator);
void qn_strbuf_deinit(struct qn_strbuf *buf);
void qn_strbuf_clear(struct qn_strbuf *buf);
void qn_strbuf_append(struct qn_strbuf *buf, const void *data, size_t size);
void qn_strbuf_add(struct qn_strbuf *buf, const char *text);
void qn_strbuf_printf(struct qn_strbuf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct qn_str qn_strbuf_view(const struct qn_strbuf *buf)
{
    return (struct qn_str){buf->data ? buf->data : "", buf->size};
}

#endif

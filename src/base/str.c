#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"

void qn_strbuf_init(struct qn_strbuf *buf, const struct qn_allocator *allocator)
{
    *buf = (struct qn_strbuf){.allocator = allocator ? allocator : qn_allocator_default()};
}

void qn_strbuf_deinit(struct qn_strbuf *buf)
{
    qn_free(buf->allocator, buf->data, buf->capacity);
    qn_strbuf_init(buf, buf->allocator);
}

void qn_strbuf_clear(struct qn_strbuf *buf)
{
    buf->size = 0;
    if (buf->data)
        buf->data[0] = 0;
}

/* Room for `extra` more bytes and the terminator. */
static bool reserve(struct qn_strbuf *buf, size_t extra)
{
    if (buf->failed)
        return false;
    size_t need = buf->size + extra + 1;
    if (need <= buf->size) {
        buf->failed = true;
        return false;
    }
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity ? buf->capacity * 2 : 64;
    if (capacity < need)
        capacity = need;
    char *data = qn_resize(buf->allocator, buf->data, buf->capacity, capacity);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void qn_strbuf_append(struct qn_strbuf *buf, const void *data, size_t size)
{
    if (!reserve(buf, size))
        return;
    if (size)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = 0;
}

void qn_strbuf_add(struct qn_strbuf *buf, const char *text)
{
    qn_strbuf_append(buf, text, strlen(text));
}

void qn_strbuf_printf(struct qn_strbuf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0 || !reserve(buf, (size_t)length))
        return;
    va_start(args, fmt);
    vsnprintf(buf->data + buf->size, (size_t)length + 1, fmt, args);
    va_end(args);
    buf->size += (size_t)length;
}

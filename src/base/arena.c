#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

struct qn_arena_chunk {
    struct qn_arena_chunk *next;
    size_t size; /* of the whole chunk, this header included */
    size_t used;
};

enum { FIRST_CHUNK = 4096, LARGEST_GROWTH = 1 << 20, MAX_ALIGN = 64 };

static void *libc_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

const struct qn_allocator *qn_allocator_default(void)
{
    static const struct qn_allocator libc = {NULL, libc_resize};
    return &libc;
}

void *qn_calloc(const struct qn_allocator *allocator, size_t count, size_t elem_size)
{
    size_t size;
    if (!qn_mul_size(count, elem_size, &size))
        return NULL;
    void *ptr = qn_alloc(allocator, size ? size : 1);
    if (ptr)
        memset(ptr, 0, size);
    return ptr;
}

void qn_arena_init(struct qn_arena *arena, const struct qn_allocator *allocator)
{
    *arena = (struct qn_arena){.allocator = allocator ? allocator : qn_allocator_default()};
}

void qn_arena_deinit(struct qn_arena *arena)
{
    for (struct qn_arena_chunk *chunk = arena->chunks; chunk;) {
        struct qn_arena_chunk *next = chunk->next;
        qn_free(arena->allocator, chunk, chunk->size);
        chunk = next;
    }
    arena->chunks = NULL;
    arena->total = 0;
}

static struct qn_arena_chunk *add_chunk(struct qn_arena *arena, size_t need)
{
    size_t size = arena->total < FIRST_CHUNK ? FIRST_CHUNK : arena->total;
    if (size > LARGEST_GROWTH)
        size = LARGEST_GROWTH;
    if (size < need)
        size = need;
    struct qn_arena_chunk *chunk = qn_alloc(arena->allocator, size);
    if (!chunk)
        return NULL;
    *chunk = (struct qn_arena_chunk){arena->chunks, size, sizeof *chunk};
    arena->chunks = chunk;
    arena->total += size;
    return chunk;
}

static void *carve(struct qn_arena_chunk *chunk, size_t size, size_t align)
{
    uintptr_t base = (uintptr_t)chunk;
    uintptr_t start = (base + chunk->used + align - 1) & ~(uintptr_t)(align - 1);
    if (start - base > chunk->size || chunk->size - (start - base) < size)
        return NULL;
    chunk->used = start - base + size;
    return memset((void *)start, 0, size);
}

void *qn_arena_alloc(struct qn_arena *arena, size_t size, size_t align)
{
    void *ptr = arena->chunks ? carve(arena->chunks, size, align) : NULL;
    if (ptr)
        return ptr;
    size_t need;
    if (!qn_add_size(size, sizeof(struct qn_arena_chunk) + MAX_ALIGN, &need))
        return NULL;
    struct qn_arena_chunk *chunk = add_chunk(arena, need);
    return chunk ? carve(chunk, size, align) : NULL;
}

void *qn_arena_array(struct qn_arena *arena, size_t count, size_t elem_size, size_t align)
{
    size_t size;
    return qn_mul_size(count, elem_size, &size) ? qn_arena_alloc(arena, size, align) : NULL;
}

struct qn_str qn_arena_str(struct qn_arena *arena, struct qn_str text)
{
    char *copy = text.size == SIZE_MAX ? NULL : qn_arena_alloc(arena, text.size + 1, 1);
    if (!copy)
        return (struct qn_str){0};
    if (text.size)
        memcpy(copy, text.data, text.size);
    return (struct qn_str){copy, text.size};
}

struct qn_str qn_arena_printf(struct qn_arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = length < 0 ? NULL : qn_arena_alloc(arena, (size_t)length + 1, 1);
    if (!text)
        return (struct qn_str){0};
    va_start(args, fmt);
    vsnprintf(text, (size_t)length + 1, fmt, args);
    va_end(args);
    return (struct qn_str){text, (size_t)length};
}

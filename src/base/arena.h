/* Arena: memory of one lifetime, released at once. Also the thin calls on an allocator. */
#ifndef QN_BASE_ARENA_H
#define QN_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "quern/allocator.h"

static inline void *qn_alloc(const struct qn_allocator *allocator, size_t size)
{
    return allocator->resize(allocator->context, NULL, 0, size);
}

static inline void *qn_resize(const struct qn_allocator *allocator, void *ptr, size_t old_size, size_t new_size)
{
    return allocator->resize(allocator->context, ptr, old_size, new_size);
}

static inline void qn_free(const struct qn_allocator *allocator, void *ptr, size_t size)
{
    if (ptr)
        allocator->resize(allocator->context, ptr, size, 0);
}

/* Zero-filled count * elem_size bytes, NULL on overflow or lack of memory. Free with qn_free(a, p, count*elem_size). */
void *qn_calloc(const struct qn_allocator *allocator, size_t count, size_t elem_size);

struct qn_arena_chunk;

struct qn_arena {
    const struct qn_allocator *allocator;
    struct qn_arena_chunk *chunks; /* newest first */
    size_t total;                  /* bytes taken from the allocator */
};

/* Takes no memory yet. allocator NULL means the default. */
void qn_arena_init(struct qn_arena *arena, const struct qn_allocator *allocator);
void qn_arena_deinit(struct qn_arena *arena);

/* Zero-filled memory aligned to `align` (a power of two up to 64), NULL on lack of memory. size 0 gives a valid
 * pointer. Lives until the arena is deinitialised. */
void *qn_arena_alloc(struct qn_arena *arena, size_t size, size_t align);

/* The same for an array; NULL also when count * elem_size overflows. */
void *qn_arena_array(struct qn_arena *arena, size_t count, size_t elem_size, size_t align);

#define QN_ARENA_NEW(arena, type) ((type *)qn_arena_alloc((arena), sizeof(type), _Alignof(type)))
#define QN_ARENA_ARRAY(arena, type, count) ((type *)qn_arena_array((arena), (count), sizeof(type), _Alignof(type)))

/* A terminated copy; .data is NULL on lack of memory. */
struct qn_str qn_arena_str(struct qn_arena *arena, struct qn_str text);
struct qn_str qn_arena_printf(struct qn_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

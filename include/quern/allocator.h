/* Allocator: where an object of Quern takes its memory from, given once at creation.
 *
 * One function does all: new_size == 0 frees, ptr == NULL allocates, otherwise it resizes and keeps the content.
 * It returns NULL when it cannot serve a request (the old block stays valid). Blocks are aligned to 16 bytes.
 * Threads: an allocator passed to an object that several threads use must be thread-safe.
 */
#ifndef QUERN_ALLOCATOR_H
#define QUERN_ALLOCATOR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct qn_allocator {
    void *context;
    void *(*resize)(void *context, void *ptr, size_t old_size, size_t new_size);
};

/* malloc, realloc and free of the C library. Static storage; used wherever NULL is passed. */
const struct qn_allocator *qn_allocator_default(void);

#ifdef __cplusplus
}
#endif
#endif

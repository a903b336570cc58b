/* Growing arrays of any element type: struct { T *items; uint32_t count, capacity; }.
 *
 *     QN_ARRAY(struct step) steps = {0};
 *     if (!qn_array_push(&steps, allocator, value)) return QN_OOM();
 *     qn_array_free(&steps, allocator);
 */
#ifndef QN_BASE_ARRAY_H
#define QN_BASE_ARRAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

#define QN_ARRAY(type)            \
    struct {                      \
        type *items;              \
        uint32_t count, capacity; \
    }

/* Room for at least `want` elements; false on lack of memory (the array stays as it was). */
bool qn_array_grow(void **items, uint32_t *capacity, size_t elem_size, uint64_t want,
                   const struct qn_allocator *allocator);

#define qn_array_reserve(array, allocator, want) \
    ((uint64_t)(want) <= (array)->capacity ||    \
     qn_array_grow((void **)&(array)->items, &(array)->capacity, sizeof *(array)->items, (want), (allocator)))

#define qn_array_push(array, allocator, ...)                             \
    (qn_array_reserve(array, allocator, (uint64_t)(array)->count + 1) && \
     ((array)->items[(array)->count++] = (__VA_ARGS__), true))

#define qn_array_free(array, allocator)                                                           \
    do {                                                                                          \
        qn_free((allocator), (array)->items, (size_t)(array)->capacity * sizeof *(array)->items); \
        (array)->items = NULL;                                                                    \
        (array)->count = (array)->capacity = 0;                                                   \
    } while (0)

#endif

#include "base/array.h"

#include "base/checked.h"

bool qn_array_grow(void **items, uint32_t *capacity, size_t elem_size, uint64_t want,
                   const struct qn_allocator *allocator)
{
    if (want > UINT32_MAX)
        return false;
    uint64_t next = *capacity ? (uint64_t)*capacity * 2 : 8;
    if (next < want)
        next = want;
    if (next > UINT32_MAX)
        next = UINT32_MAX;
    size_t bytes;
    if (!qn_mul_size((size_t)next, elem_size, &bytes))
        return false;
    void *grown = qn_resize(allocator, *items, (size_t)*capacity * elem_size, bytes);
    if (!grown)
        return false;
    *items = grown;
    *capacity = (uint32_t)next;
    return true;
}

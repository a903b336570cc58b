/* Checked arithmetic for every size that comes from a file: false means overflow, *out is then undefined. */
#ifndef QN_BASE_CHECKED_H
#define QN_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool qn_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool qn_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool qn_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool qn_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* Rounds up to a power of two. */
static inline bool qn_align_u64(uint64_t value, uint64_t align, uint64_t *out)
{
    if (__builtin_add_overflow(value, align - 1, out))
        return false;
    *out &= ~(align - 1);
    return true;
}

#endif

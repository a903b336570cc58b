#include "base/bytes.h"

enum { ALIGN = 64 };

struct qn_bytes {
    const struct qn_allocator *allocator;
    size_t size;   /* of what was allocated */
    size_t offset; /* of the bytes, from here */
    uint32_t owners;
};

struct qn_bytes *qn_bytes_create(const struct qn_allocator *allocator, uint64_t size)
{
    if (size > SIZE_MAX - sizeof(struct qn_bytes) - ALIGN)
        return NULL;
    size_t whole = sizeof(struct qn_bytes) + ALIGN + (size_t)size;
    struct qn_bytes *bytes = qn_alloc(allocator, whole);
    if (!bytes)
        return NULL;
    size_t behind = (size_t)(uintptr_t)(bytes + 1);
    *bytes = (struct qn_bytes){
        .allocator = allocator, .size = whole, .offset = sizeof *bytes + (ALIGN - behind % ALIGN) % ALIGN, .owners = 1};
    return bytes;
}

void *qn_bytes_data(struct qn_bytes *bytes)
{
    return (char *)bytes + bytes->offset;
}

struct qn_bytes *qn_bytes_hold(struct qn_bytes *bytes)
{
    if (bytes)
        __atomic_add_fetch(&bytes->owners, 1, __ATOMIC_RELAXED);
    return bytes;
}

void qn_bytes_release(struct qn_bytes *bytes)
{
    if (bytes && __atomic_sub_fetch(&bytes->owners, 1, __ATOMIC_ACQ_REL) == 0)
        qn_free(bytes->allocator, bytes, bytes->size);
}

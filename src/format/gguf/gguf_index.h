/* Hash index over arrays whose elements begin with their name (a struct qn_str): keys and tensors. */
#ifndef QN_FORMAT_GGUF_INDEX_H
#define QN_FORMAT_GGUF_INDEX_H

#include "base/arena.h"
#include "base/status.h"

struct qn_gguf_index {
    uint32_t *slots; /* 0: free, otherwise 1 + the element's number; NULL for no elements */
    uint32_t mask;
};

/* Indexes items[0..count). A name that occurs twice is an error that starts with `noun`. */
qn_status qn_gguf_index_build(struct qn_gguf_index *index, const void *items, uint32_t count, size_t stride,
                              const char *noun, struct qn_arena *arena) QN_MUST_USE;

/* Number of the element with this name, UINT32_MAX when there is none. */
uint32_t qn_gguf_index_find(const uint32_t *slots, uint32_t mask, const void *items, size_t stride, struct qn_str name);

#endif

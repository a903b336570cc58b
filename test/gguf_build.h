/* GGUF files put together byte by byte, right or wrong: for the tests of the reader. */
#ifndef QN_TEST_GGUF_BUILD_H
#define QN_TEST_GGUF_BUILD_H

#include <stdlib.h>
#include <string.h>

#include "format/gguf/gguf.h"
#include "support/testing.h"

struct gguf_bytes {
    uint8_t data[16384];
    size_t size;
};

static inline void put_bytes(struct gguf_bytes *b, const void *data, size_t size)
{
    assert_true(b->size + size <= sizeof b->data);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void put_uint(struct gguf_bytes *b, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        put_bytes(b, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static inline void put_u32(struct gguf_bytes *b, uint64_t value)
{
    put_uint(b, value, 4);
}

static inline void put_u64(struct gguf_bytes *b, uint64_t value)
{
    put_uint(b, value, 8);
}

static inline void put_text(struct gguf_bytes *b, const char *text)
{
    put_u64(b, strlen(text));
    put_bytes(b, text, strlen(text));
}

static inline void put_header(struct gguf_bytes *b, uint32_t version, uint64_t tensors, uint64_t kvs)
{
    put_bytes(b, "GGUF", 4);
    put_u32(b, version);
    put_u64(b, tensors);
    put_u64(b, kvs);
}

/* A key and the type of its value. */
static inline void put_key(struct gguf_bytes *b, const char *key, uint32_t type)
{
    put_text(b, key);
    put_u32(b, type);
}

static inline void put_array(struct gguf_bytes *b, uint32_t elem_type, uint64_t count)
{
    put_u32(b, elem_type);
    put_u64(b, count);
}

static inline void put_kv_u32(struct gguf_bytes *b, const char *key, uint32_t value)
{
    put_key(b, key, QN_GGUF_U32);
    put_u32(b, value);
}

/* Dimensions as in the file: innermost first. */
static inline void put_tensor(struct gguf_bytes *b, const char *name, uint32_t rank, const uint64_t *dims,
                              uint32_t type, uint64_t offset)
{
    put_text(b, name);
    put_u32(b, rank);
    for (uint32_t i = 0; i < rank; i++)
        put_u64(b, dims[i]);
    put_u32(b, type);
    put_u64(b, offset);
}

/* A tensor of n f32 values. */
static inline void put_f32_tensor(struct gguf_bytes *b, const char *name, uint64_t n, uint64_t offset)
{
    put_tensor(b, name, 1, &n, 0, offset);
}

static inline void put_padding(struct gguf_bytes *b, size_t alignment)
{
    while (b->size % alignment)
        put_uint(b, 0, 1);
}

static inline void put_zeros(struct gguf_bytes *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_uint(b, 0, 1);
}

/* Opens a copy that ends exactly where the bytes do, so that a sanitizer sees each read past the end. *copy has to be
 * freed after the file is closed. */
static inline qn_status open_bytes(const void *data, size_t size, const struct qn_allocator *allocator, void **copy,
                                   struct qn_gguf **out)
{
    *copy = malloc(size ? size : 1);
    assert_non_null(*copy);
    memcpy(*copy, data, size);
    return qn_gguf_open_memory(*copy, size, "hostile.gguf", allocator, out);
}

#endif

/* ONNX files written byte by byte, right and wrong, for tests of the reader. */
#ifndef QN_TEST_ONNX_BUILD_H
#define QN_TEST_ONNX_BUILD_H

#include <stdlib.h>
#include <string.h>

#include "support/testing.h"

/* Bytes under way; start from {0}, end with pb_free. */
struct pb {
    uint8_t *data;
    size_t size, capacity;
};

static inline void pb_raw(struct pb *b, const void *data, size_t size)
{
    if (b->size + size > b->capacity) {
        b->capacity = 2 * (b->size + size) + 64;
        b->data = realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void pb_free(struct pb *b)
{
    free(b->data);
    *b = (struct pb){0};
}

static inline void pb_varint(struct pb *b, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        pb_raw(b, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void pb_int(struct pb *b, uint32_t field, int64_t value)
{
    pb_varint(b, field << 3);
    pb_varint(b, (uint64_t)value);
}

static inline void pb_bytes(struct pb *b, uint32_t field, const void *data, size_t size)
{
    pb_varint(b, field << 3 | 2);
    pb_varint(b, size);
    pb_raw(b, data, size);
}

static inline void pb_text(struct pb *b, uint32_t field, const char *text)
{
    pb_bytes(b, field, text, strlen(text));
}

static inline void pb_float(struct pb *b, uint32_t field, float value)
{
    pb_varint(b, field << 3 | 5);
    pb_raw(b, &value, sizeof value);
}

/* Takes the inner message over. */
static inline void pb_message(struct pb *b, uint32_t field, struct pb *inner)
{
    pb_bytes(b, field, inner->data, inner->size);
    pb_free(inner);
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

/* A TensorProto without data; dims end with -1. */
static inline struct pb pb_tensor(const char *name, int type, const int64_t *dims)
{
    struct pb t = {0};
    for (; *dims >= 0; dims++)
        pb_int(&t, 1, *dims);
    pb_int(&t, 2, type);
    pb_text(&t, 8, name);
    return t;
}

static inline void pb_external(struct pb *tensor, const char *key, const char *value)
{
    struct pb entry = {0};
    pb_text(&entry, 1, key);
    pb_text(&entry, 2, value);
    pb_message(tensor, 13, &entry);
}

static inline struct pb pb_node(const char *op, const char *input, const char *output)
{
    struct pb n = {0};
    pb_text(&n, 1, input);
    pb_text(&n, 2, output);
    pb_text(&n, 3, "node1");
    pb_text(&n, 4, op);
    return n;
}

/* f32[2] or with another type */
static inline struct pb pb_value(const char *name, int type)
{
    struct pb v = {0}, outer = {0}, tensor = {0}, shape = {0}, dim = {0};
    pb_text(&v, 1, name);
    pb_int(&dim, 1, 2);
    pb_message(&shape, 1, &dim);
    pb_int(&tensor, 1, type);
    pb_message(&tensor, 2, &shape);
    pb_message(&outer, 1, &tensor);
    pb_message(&v, 2, &outer);
    return v;
}

/* A model around a graph, which it takes over. */
static inline struct pb pb_model(struct pb *graph)
{
    struct pb m = {0}, opset = {0};
    pb_int(&m, 1, 8);
    pb_text(&m, 2, "tests");
    pb_message(&m, 7, graph);
    pb_int(&opset, 2, 17);
    pb_message(&m, 8, &opset);
    return m;
}

/* Graph fields */
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12, GRAPH_SPARSE = 15 };

/* x -> Identity -> y, and a tensor (taken over; NULL: none). */
static inline struct pb pb_small_model(struct pb *tensor)
{
    struct pb g = {0}, node = pb_node("Identity", "x", "y"), in = pb_value("x", 1), out = pb_value("y", 1);
    pb_message(&g, GRAPH_NODE, &node);
    pb_text(&g, GRAPH_NAME, "g");
    if (tensor)
        pb_message(&g, GRAPH_INITIALIZER, tensor);
    pb_message(&g, GRAPH_INPUT, &in);
    pb_message(&g, GRAPH_OUTPUT, &out);
    return pb_model(&g);
}

#endif

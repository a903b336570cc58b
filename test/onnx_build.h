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
static inline struct pb pb_model_of(struct pb *graph, int64_t version)
{
    struct pb m = {0}, opset = {0};
    pb_int(&m, 1, 8);
    pb_text(&m, 2, "tests");
    pb_message(&m, 7, graph);
    pb_int(&opset, 2, version);
    pb_message(&m, 8, &opset);
    return m;
}

static inline struct pb pb_model(struct pb *graph)
{
    return pb_model_of(graph, 17);
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

/* ---- any graph ------------------------------------------------------------------------------------------------ */

enum { F32 = 1, I32 = 6, I64 = 7, BOOL = 9 }; /* data types */
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTR = 5, NODE_DOMAIN = 7 };

/* The names of a list separated by commas, as one field each. */
static inline void pb_names(struct pb *b, uint32_t field, const char *names)
{
    for (const char *end; *names; names = *end ? end + 1 : end) {
        end = strchr(names, ',') ? strchr(names, ',') : names + strlen(names);
        pb_bytes(b, field, names, (size_t)(end - names));
    }
}

static inline struct pb pb_node_of(const char *op, const char *inputs, const char *outputs)
{
    struct pb n = {0};
    pb_names(&n, NODE_INPUT, inputs);
    pb_names(&n, NODE_OUTPUT, outputs);
    pb_text(&n, NODE_NAME, op);
    pb_text(&n, NODE_OP, op);
    return n;
}

static inline void pb_attr_int(struct pb *node, const char *name, int64_t value)
{
    struct pb attr = {0};
    pb_text(&attr, 1, name);
    pb_int(&attr, 3, value);
    pb_int(&attr, 20, 2);
    pb_message(node, NODE_ATTR, &attr);
}

static inline void pb_attr_graph(struct pb *node, const char *name, struct pb *graph)
{
    struct pb attr = {0};
    pb_text(&attr, 1, name);
    pb_message(&attr, 6, graph);
    pb_int(&attr, 20, 5);
    pb_message(node, NODE_ATTR, &attr);
}

/* dims: names or numbers separated by commas; NULL: no shape. */
static inline void pb_add_value(struct pb *graph, uint32_t field, const char *name, int type, const char *dims)
{
    struct pb v = {0}, outer = {0}, tensor = {0}, shape = {0};
    pb_text(&v, 1, name);
    pb_int(&tensor, 1, type);
    for (const char *end; dims && *dims; dims = *end ? end + 1 : end) {
        struct pb dim = {0};
        end = strchr(dims, ',') ? strchr(dims, ',') : dims + strlen(dims);
        if (*dims >= '0' && *dims <= '9')
            pb_int(&dim, 1, atoi(dims));
        else
            pb_bytes(&dim, 2, dims, (size_t)(end - dims));
        pb_message(&shape, 1, &dim);
    }
    if (dims)
        pb_message(&tensor, 2, &shape);
    pb_message(&outer, 1, &tensor);
    pb_message(&v, 2, &outer);
    pb_message(graph, field, &v);
    pb_free(&shape);
}

static inline void pb_add_node(struct pb *graph, struct pb node)
{
    pb_message(graph, GRAPH_NODE, &node);
}

static inline void pb_add_i64s(struct pb *graph, const char *name, int64_t count, const int64_t *values)
{
    struct pb t = pb_tensor(name, I64, (const int64_t[]){count, -1});
    pb_bytes(&t, 9, values, (size_t)count * sizeof *values);
    pb_message(graph, GRAPH_INITIALIZER, &t);
}

#endif

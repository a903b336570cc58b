/* Tensors as the public API passes them: a pointer, an element type and a shape. Contiguous, row-major. */
#ifndef QUERN_TENSOR_H
#define QUERN_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "quern/dtype.h"

enum { QN_TENSOR_MAX_RANK = 8 };

/* An element of a string tensor: bytes, usually UTF-8, not terminated. The bytes belong to whoever owns the tensor. */
struct qn_string {
    const char *data;
    size_t size;
};

/* The caller owns the memory. */
struct qn_tensor {
    void *data;
    size_t bytes; /* of room behind data */
    qn_dtype dtype;
    uint32_t rank;
    int64_t dims[QN_TENSOR_MAX_RANK]; /* outermost first */
};

/* What a model takes or gives: a tensor, or a sequence, optional or map of such. Whoever makes it owns it. */
enum qn_data_kind {
    QN_DATA_NONE = 0, /* absent; an optional without content */
    QN_DATA_TENSOR,
    QN_DATA_SEQUENCE, /* items: tensors, or maps */
    QN_DATA_MAP,      /* items[0]: keys [n], int64 or string; items[1]: values [n, ...] */
};

struct qn_data {
    enum qn_data_kind kind;
    struct qn_tensor tensor; /* TENSOR */
    uint32_t count;          /* SEQUENCE, MAP */
    struct qn_data *items;
};

#endif

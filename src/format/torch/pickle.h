/* Python pickles that hold tensors: a reader that executes nothing. It knows lists, tuples, dictionaries, numbers and
 * texts, and the few functions that PyTorch writes to rebuild tensors; everything else is refused by module, name and
 * position. */
#ifndef QN_FORMAT_PICKLE_H
#define QN_FORMAT_PICKLE_H

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "quern/dtype.h"

enum { QN_PICKLE_MAX_RANK = 8 };

enum qn_pickle_kind {
    QN_PICKLE_NONE = 0,
    QN_PICKLE_BOOL,
    QN_PICKLE_INT,
    QN_PICKLE_FLOAT,
    QN_PICKLE_TEXT, /* str, or bytes */
    QN_PICKLE_LIST, /* list or tuple: items */
    QN_PICKLE_DICT, /* items are key, value, key, value */
    QN_PICKLE_GLOBAL,
    QN_PICKLE_STORAGE,
    QN_PICKLE_TENSOR,
    QN_PICKLE_LARGE, /* an integer beyond 64 bits; text is its bytes, the lowest first */
};

struct qn_pickle_value;

struct qn_pickle_cell {
    struct qn_pickle_value *value;
    struct qn_pickle_cell *next;
};

struct qn_pickle_storage {
    struct qn_str key;
    qn_dtype dtype;
    uint64_t count;  /* elements of the dtype */
    uint64_t offset; /* elements before the part that is meant */
};

struct qn_pickle_value {
    enum qn_pickle_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct qn_str text;
        struct {
            struct qn_pickle_cell *first, *last;
            uint32_t count;
        } items;
        struct {
            struct qn_str module, name;
        } global;
        struct qn_pickle_storage storage;
        struct {
            const struct qn_pickle_storage *storage;
            qn_dtype dtype;
            uint64_t offset; /* in elements of the dtype */
            uint32_t rank;
            uint64_t dims[QN_PICKLE_MAX_RANK], strides[QN_PICKLE_MAX_RANK];
        } tensor;
    };
};

/* Reads one pickle at data[0..size): *used is where it ends. Values live in the arena, texts in the data. */
qn_status qn_pickle_read(const uint8_t *data, uint64_t size, struct qn_arena *arena, const struct qn_pickle_value **out,
                         uint64_t *used) QN_MUST_USE;

#endif

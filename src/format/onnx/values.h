/* Contents of small tensors that the importer knows before a run: numbers, and integers in terms of symbols. */
#ifndef QN_FORMAT_ONNX_VALUES_H
#define QN_FORMAT_ONNX_VALUES_H

#include "ir/ir.h"

enum { QN_CONTENTS_MAX = 32 };

/* An integer is plus - minus, both sizes (>= 0), of which at most one is a number other than 0. A float is `real`.
 * `lowest`: it is the least i64, which has no such form and is not known, but as a bound means "from the start". */
struct qn_item {
    bool known, lowest;
    qn_dim plus, minus;
    double real;
};

struct qn_contents {
    qn_dtype dtype; /* integers, bool, f32, f64 */
    uint32_t rank;  /* 0 or 1 */
    uint32_t count;
    bool fixed;      /* comes from constants of the model alone */
    uint64_t inputs; /* bit i: from the bytes of the body's input i */
    struct qn_item items[QN_CONTENTS_MAX];
};

bool qn_contents_dtype(qn_dtype dtype); /* contents of this dtype are followed */
static inline bool qn_contents_real(qn_dtype dtype)
{
    return dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F64;
}

struct qn_item qn_item_number(int64_t number);
struct qn_item qn_item_dim(qn_dim dim);
/* The integer, when it is a number. */
bool qn_item_get(const struct qn_item *item, int64_t *out);
bool qn_contents_known(const struct qn_contents *contents);   /* all items */
bool qn_contents_numbers(const struct qn_contents *contents); /* all items, without symbols */

/* Elements from and to bytes; to: only numbers. false for a dtype that is not followed. */
bool qn_contents_read(struct qn_contents *contents, const void *data);
void qn_contents_write(const struct qn_contents *contents, void *data);

/* Sums and differences; unknown where it goes out of range. */
struct qn_item qn_item_add(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b);
struct qn_item qn_item_sub(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b);
struct qn_item qn_item_mul(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b);
struct qn_item qn_item_div(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b); /* towards zero */
struct qn_item qn_item_mod(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b); /* as Python */
struct qn_item qn_item_min(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b, bool max);
/* -1 less, 0 equal, 1 greater, 2 not known. Symbols may be anything from 0 on. */
int qn_item_compare(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b);
/* The item as a size: unknown (false) when it cannot be one; plus - minus where that may be below zero is a size that a
 * run checks. */
bool qn_item_size(struct qn_graph *g, const struct qn_item *item, qn_dim *out);

#endif

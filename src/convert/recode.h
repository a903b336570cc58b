/* Elements from one type to another, by all threads: floats, checks, importance, blocks, and the error that is made. */
#ifndef QN_CONVERT_RECODE_H
#define QN_CONVERT_RECODE_H

#include "base/status.h"
#include "pool/pool.h"
#include "quern/dtype.h"

/* A run of one tensor's elements. A tensor is a run of blocks, whatever its shape: rows are multiples of the block size
 * of both types. `bad`, `error` and `square` are results. */
struct qn_recode {
    const uint8_t *in;
    uint8_t *out;
    uint64_t elems, first; /* first: index in the tensor of the run's first element */
    qn_dtype from, to;
    const float *means; /* importance of the input channels: `matrices` rows of `columns`; NULL: none */
    uint64_t columns, matrix_elems, matrices;
    bool measure;         /* whether the error is wanted */
    uint64_t bad;         /* index in the tensor of the first element that `to` cannot hold, UINT64_MAX: none */
    double error, square; /* sums over the run of (x - stored x)^2 and x^2 */
};

struct qn_recoder; /* the threads' memory */
qn_status qn_recoder_create(struct qn_pool *pool, const struct qn_allocator *allocator,
                            struct qn_recoder **out) QN_MUST_USE;
void qn_recoder_destroy(struct qn_recoder *recoder); /* NULL is allowed */

/* Any number of elements that is whole blocks of both types. The bytes do not depend on the number of threads. */
qn_status qn_recode(struct qn_recoder *recoder, struct qn_recode *run) QN_MUST_USE;
/* The value of the element at run->bad. */
float qn_recode_bad_value(struct qn_recoder *recoder, const struct qn_recode *run);

#endif

/* Weights of com.microsoft MatMulNBits: a row for each output, cut along K into blocks of 32 codes with a scale each:
 * value = scale * (code - zero). 4 bits around 8 (Q4_0) or a zero point of the block (Q4_1), 8 bits around 128 (Q8_0).
 * Q4_0 and Q8_0 have the levels and scales of GGUF's types. The zero points of Q4_1 are whole numbers, the packed form
 * that all engines take, so a block has the levels of Q4_F32. */
#ifndef QN_CONVERT_NBITS_H
#define QN_CONVERT_NBITS_H

#include "base/status.h"
#include "pool/pool.h"
#include "quern/dtype.h"

enum { QN_NBITS_BLOCK = 32 };

struct qn_nbits {
    qn_dtype type;  /* Q4_0, Q4_1, Q8_0 */
    qn_dtype dtype; /* of the weight and of the scales: f32 or f16 */
    uint64_t n, k;
    bool rows;                       /* the weight is [n, k]; otherwise [k, n] */
    const uint8_t *weight;           /* at any address */
    uint8_t *codes, *scales, *zeros; /* to be filled; zeros: Q4_1 only */
    bool measure;
    uint64_t bad;         /* result: index in the weight of an element that is not finite, UINT64_MAX: none */
    double error, square; /* results of measure: sums of (x - stored x)^2 and x^2 */
};

uint32_t qn_nbits_bits(qn_dtype type); /* 0 for a type that cannot be held */
uint64_t qn_nbits_code_bytes(const struct qn_nbits *w);
uint64_t qn_nbits_scale_bytes(const struct qn_nbits *w);
uint64_t qn_nbits_zero_bytes(const struct qn_nbits *w); /* 0: none */

/* Fills codes, scales and zeros, and the results. The bytes do not depend on the number of threads. */
qn_status qn_nbits_quantise(struct qn_nbits *w, struct qn_pool *pool, const struct qn_allocator *allocator) QN_MUST_USE;

#endif

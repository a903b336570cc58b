/* Family MATMUL: c[m][n] = sum over k of x[m][k] * w[n][k], + bias[n], + residual[m][n]. Weights stay in their file
 * layout. Sums run in one fixed order along K for each kernel, whatever m is: a row's bits never depend on the rows
 * beside it. bias and residual are added once to the finished sum.
 *
 * The index space is made of panels of weight rows; how many rows a panel has is the kernel's own affair. Scratch holds
 * an unpacked panel (at most some hundred KB), never a second copy of the weights.
 *
 * Family ACTIVATION: turns f32 rows into the form that a matmul kernel reads (enum qn_act). A row is one tile.
 */
#ifndef QN_KERNELS_MATMUL_H
#define QN_KERNELS_MATMUL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

struct qn_matmul_params {
    const void *x;    /* m rows in the kernel's activation form */
    int64_t x_stride; /* bytes between rows; qn_act_row_bytes(act, k) unless act is F32 */
    const void *w;    /* n rows of k elements of w_dtype, at any address */
    int64_t w_stride; /* bytes between rows */
    qn_dtype w_dtype;
    float *c;
    int64_t c_stride;      /* elements between rows */
    const float *bias;     /* n elements or NULL */
    const float *residual; /* m rows c_stride apart, or NULL; may be the same memory as c */
    int64_t m, n, k;       /* k is a multiple of w_dtype's block size */
    const int32_t *x_rows; /* which rows of x are the m that count, and which rows of c, bias aside, their results; */
    const int32_t *c_rows; /* NULL: the first m, in order */
};

/* Row m of those that count. */
static inline const void *qn_matmul_x(const struct qn_matmul_params *p, int64_t m)
{
    return (const uint8_t *)p->x + (p->x_rows ? p->x_rows[m] : m) * p->x_stride;
}

struct qn_activation_params {
    const float *x;
    int64_t x_stride; /* elements */
    void *out;        /* rows qn_act_row_bytes apart */
    int64_t rows, k;  /* Q8_32: k is a multiple of 32 */
};

/* Bytes of one row of k elements in a form, rounded up to 64. */
int64_t qn_act_row_bytes(enum qn_act act, int64_t k);

/* A row of the Q8_32 form: x[i] is close to scale[i / 32] * q[i], q in -127 .. 127. One array after the other, in this
 * order, each as long as if k were a multiple of QN_Q8_STEP, zero behind k. The sums save kernels from multiplying by
 * the offset or the minimum of a block type element by element; they are negative because that is how an offset enters
 * an accumulator. */
enum { QN_Q8_STEP = 512 };
#define QN_Q8_LEAST 1e-35f /* a block without a larger magnitude is zero: its reciprocal would overflow */

struct qn_q8_row {
    const int8_t *q;             /* k */
    const float *scale;          /* k / 32 */
    const int32_t *minus_sum;    /* k / 32: -(sum of the block's q) */
    const int32_t *minus_first;  /* k / 32: -(sum of the first 16) */
    const int32_t *minus_second; /* k / 32: -(sum of the last 16) */
};

/* Where the arrays behind q begin, in bytes from the row's start. */
struct qn_q8_layout {
    int64_t scale, minus_sum, minus_first, minus_second;
};

static inline struct qn_q8_layout qn_q8_layout(int64_t k)
{
    int64_t padded = (k + QN_Q8_STEP - 1) / QN_Q8_STEP * QN_Q8_STEP, array = padded / 32 * 4;
    return (struct qn_q8_layout){padded, padded + array, padded + 2 * array, padded + 3 * array};
}

static inline struct qn_q8_row qn_q8_row_at(const void *row, const struct qn_q8_layout *at)
{
    const uint8_t *bytes = row;
    return (struct qn_q8_row){
        .q = row,
        .scale = (const float *)(const void *)(bytes + at->scale),
        .minus_sum = (const int32_t *)(const void *)(bytes + at->minus_sum),
        .minus_first = (const int32_t *)(const void *)(bytes + at->minus_first),
        .minus_second = (const int32_t *)(const void *)(bytes + at->minus_second),
    };
}

static inline struct qn_q8_row qn_q8_row(const void *row, int64_t k)
{
    struct qn_q8_layout at = qn_q8_layout(k);
    return qn_q8_row_at(row, &at);
}

/* The end of every matmul: one finished sum becomes an element of c. */
static inline void qn_matmul_store(const struct qn_matmul_params *p, int64_t m, int64_t n, float sum)
{
    int64_t at = (p->c_rows ? p->c_rows[m] : m) * p->c_stride + n;
    if (p->bias)
        sum += p->bias[n];
    if (p->residual)
        sum += p->residual[at];
    p->c[at] = sum;
}

/* Rows of the activation family: the index space is the rows, no scratch. */
int64_t qn_activation_tiles(const void *params);

#endif

/* Family MATMUL: c[m][n] = sum over k of x[m][k] * w[n][k], + bias[n], + residual[m][n]. Weights stay in their file
 * layout. Sums run in one fixed order along K for each kernel, whatever m is: a row's bits never depend on the rows
 * beside it.
 *
 * Family ACTIVATION: turns f32 rows into the form that a matmul kernel reads (enum qn_act). A row is one tile.
 */
#ifndef QN_KERNELS_MATMUL_H
#define QN_KERNELS_MATMUL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

struct qn_matmul_params {
    const void *x;        /* m rows in the kernel's activation form */
    int64_t x_stride;     /* bytes between rows; qn_act_row_bytes(act, k) unless act is F32 */
    const void *w;        /* n rows of k elements of w_dtype */
    int64_t w_stride;     /* bytes between rows */
    qn_dtype w_dtype;
    float *c;
    int64_t c_stride;     /* elements between rows */
    const float *bias;    /* n elements or NULL */
    const float *residual; /* m rows c_stride apart, or NULL; may be the same memory as c */
    int64_t m, n, k;      /* k is a multiple of w_dtype's block size */
};

struct qn_activation_params {
    const float *x;
    int64_t x_stride; /* elements */
    void *out;        /* rows qn_act_row_bytes apart */
    int64_t rows, k;
};

/* Bytes of one row of k elements in a form, rounded up to 64. */
int64_t qn_act_row_bytes(enum qn_act act, int64_t k);

#endif

/* Family GEMM: y[m][n] = activation(sum over k of a[m][k] b[k][n] + bias[n] + residual[m][n]) with a constant b, read
 * in panels (QN_PACK_PANELS_F32, QN_PACK_PANELS_16) by the vector kernels and as it lies by the generic one.
 *
 * A panel is QN_GEMM_PANEL columns of b: [k][QN_GEMM_PANEL] elements, zeros behind the last column. Panels follow each
 * other. An element of y starts as bias + residual and is one chain of fused multiply-adds along k, whatever m is: a
 * row's bits never depend on the rows beside it.
 *
 * Family PACK, form PANELS: from b with any strides (a transposed one is a view) to panels; a tile is a panel.
 */
#ifndef QN_KERNELS_GEMM_H
#define QN_KERNELS_GEMM_H

#include "kernels/kernel.h"

enum { QN_GEMM_PANEL = 32 };

struct qn_gemm_params {
    const float *a;
    int64_t a_stride; /* elements between rows; a row is contiguous */
    const void *b;    /* panels; generic kernel: elements at b_k and b_n bytes from each other */
    qn_dtype b_dtype;
    int64_t b_k, b_n;
    float *y;
    int64_t y_stride;
    const float *bias;     /* n elements or NULL */
    const float *residual; /* rows y_stride apart, or NULL; may be the same memory as y */
    int64_t m, n, k;
    int32_t activation; /* enum qn_activation */
    float alpha, beta;
};

struct qn_gemm_pack_params {
    const void *b;
    int64_t k, n;
    int64_t b_k, b_n;      /* bytes between neighbours along k and n */
    int64_t element_bytes; /* 4 or 2 */
    void *out;             /* 64-byte aligned */
};

/* Bytes of the panels. */
int64_t qn_gemm_packed_bytes(int64_t k, int64_t n, int64_t element_bytes);

extern const struct qn_kernel qn_gemm_ref;

#endif

/* Family INTEGER_GEMM: y = sum over k of (a - a_zero) (b - b_zero), a [m][k] and b [k][n] of u8 or i8, summed exactly
 * in 32 bits (wrapping), then brought to y's dtype (struct qn_integer_out).
 *
 * The vector kernels read b in panels (QN_PACK_PANELS_I8), the generic one as it lies. A panel is QN_INTEGER_PANEL
 * columns: [k / 4 rounded up][QN_INTEGER_PANEL][4] signed bytes, zeros behind the last k and column, then the sum of
 * each column over k as i32. Unsigned b is stored less 128, and its zero point means one less 128; likewise a signed a
 * is read plus 128. Both shifts cancel exactly.
 *
 * Results are the same bits on every instruction set but for what an activation other than clipping rounds. */
#ifndef QN_KERNELS_INTEGER_GEMM_H
#define QN_KERNELS_INTEGER_GEMM_H

#include "kernels/kernel.h"

enum { QN_INTEGER_PANEL = 32 };

/* From the sum s of a row and column to an element of y:
 *   I32     s + bias
 *   F32     activation((s + bias) a_scale b_scale), or with a bias in float activation(s a_scale b_scale + bias)
 *   U8, I8  that, divided by y_scale, rounded to nearest even, + y_zero, saturated. Without an activation, or with
 *           RELU, the three scales are one factor a_scale b_scale / y_scale: where the sequence dequantise, quantise
 *           rounds in between, the result may be the neighbour. */
struct qn_integer_out {
    void *y;
    qn_dtype dtype;
    int64_t stride; /* elements between rows */
    const float *a_scale;
    const float *b_scale;
    int64_t b_scale_step; /* 1: one a column; 0: one for all */
    const void *bias;     /* n elements: i32, or f32 with bias_is_float; NULL: none */
    bool bias_is_float;
    const float *y_scale;
    const void *y_zero; /* of y's dtype, NULL: 0 */
    int32_t activation; /* enum qn_activation */
    float alpha, beta;
};

struct qn_integer_gemm_params {
    const void *a;
    int64_t a_stride; /* bytes between rows; a row is contiguous */
    bool a_signed, b_signed;
    const void *b; /* panels; generic kernel: bytes b_k and b_n apart */
    int64_t b_k, b_n;
    const void *a_zero;  /* like a, NULL: 0 */
    int64_t a_zero_step; /* 1: one a row */
    const void *b_zero;  /* like b, NULL: 0 */
    int64_t b_zero_step; /* 1: one a column */
    int64_t m, n, k;
    struct qn_integer_out out;
};

struct qn_integer_pack_params {
    const void *b;
    bool b_signed;
    int64_t k, n;
    int64_t b_k, b_n;         /* bytes between neighbours */
    int64_t batches, b_batch; /* matrices, bytes between them; their panels follow each other */
    void *out;                /* 64-byte aligned */
};

/* Bytes of the panels of one matrix; INT64_MAX when that overflows. */
int64_t qn_integer_packed_bytes(int64_t k, int64_t n);

/* A panel (32-byte aligned) from columns that are contiguous along k, column_bytes apart; `flip` takes 128 off unsigned
 * bytes. scratch: qn_integer_columns_scratch(k) bytes. */
void qn_integer_pack_columns(const uint8_t *from, int64_t column_bytes, int64_t columns, int64_t k, bool flip,
                             void *panel, uint8_t *scratch);
int64_t qn_integer_columns_scratch(int64_t k);

static inline int64_t qn_integer_panel_bytes(int64_t k)
{
    return ((k + 3) / 4 + 1) * QN_INTEGER_PANEL * 4;
}

static inline int32_t qn_integer_byte(const void *p, int64_t i, bool is_signed)
{
    return is_signed ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

/* Bytes of an element of y. */
static inline int64_t qn_integer_out_bytes(const struct qn_integer_out *out)
{
    return out->dtype == QN_DTYPE_U8 || out->dtype == QN_DTYPE_I8 ? 1 : 4;
}

/* One sum (without bias) of a column to the element at y, in plain C. */
void qn_integer_store(const struct qn_integer_out *out, void *y, int64_t column, int32_t sum);

extern const struct qn_kernel qn_integer_gemm_ref;

#endif

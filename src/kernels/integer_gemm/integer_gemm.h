/* Family INTEGER_GEMM: y = sum over k of (a - a_zero) (b - b_zero), a [m][k] and b [k][n] of u8 or i8, summed exactly
 * in 32 bits (wrapping), then brought to y's dtype (struct qn_integer_out).
 *
 * The vector kernels read b in panels (QN_PACK_PANELS_I8), the generic one as it lies. A panel is QN_INTEGER_PANEL
 * columns: [k / 4 rounded up][QN_INTEGER_PANEL][4] signed bytes, zeros behind the last k and column, then the sum of
 * each column over k as i32. Unsigned b is stored less 128, and its zero point means one less 128; likewise a signed a
 * is read plus 128. Both shifts cancel exactly.
 *
 * AVX2 without VNNI reads constant b in sorted panels (QN_PACK_SORTED_I8): the column sums; for each 8 columns a table
 * of u16, padded together to 64 bytes; for each 8 columns the units of 8 k, as bytes [2][8 columns][4 k], zeros behind
 * the last k and column, sorted by what their weights allow (enum qn_integer_class; a unit allows what each of its
 * columns does). The table has the number of quads, that of pairs, then each unit's place along k; k is at most
 * 8 * 65535.
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

/* Bytes of a matrix in the form PANELS_I8 or SORTED_I8, likewise. */
int64_t qn_integer_form_bytes(enum qn_pack form, int64_t k, int64_t n);

/* A tile of the packing of PANELS_I8: gives its first panel and their number. bytes: between panels, at least
 * qn_integer_panel_bytes(k). scratch: qn_integer_columns_scratch(k) bytes where b_k is 1. */
char *qn_integer_pack_tile(const struct qn_integer_pack_params *p, int64_t tile, int64_t bytes, void *scratch,
                           int64_t *count);
int64_t qn_integer_pack_tiles(const void *params);

/* A panel (32-byte aligned) from columns that are contiguous along k, column_bytes apart; `flip` takes 128 off unsigned
 * bytes. scratch: qn_integer_columns_scratch(k) bytes. */
void qn_integer_pack_columns(const uint8_t *from, int64_t column_bytes, int64_t columns, int64_t k, bool flip,
                             void *panel, uint8_t *scratch);
int64_t qn_integer_columns_scratch(int64_t k);

static inline int64_t qn_integer_panel_bytes(int64_t k)
{
    return ((k + 3) / 4 + 1) * QN_INTEGER_PANEL * 4;
}

/* How the products of u8 rows with a column's weights may be summed in 16 bits, without exceeding them. */
enum qn_integer_class {
    QN_INTEGER_QUAD,  /* by fours, k 0, 1, 4, 5 and 2, 3, 6, 7: those above 0 sum up to 128 at most, those below too */
    QN_INTEGER_PAIRS, /* by neighbours, likewise */
    QN_INTEGER_WORDS, /* not at all */
    QN_INTEGER_CLASSES,
};

/* Units of 8 k along k. */
static inline int64_t qn_integer_units(int64_t k)
{
    return (k + 7) / 8;
}

/* Column sums and tables. */
static inline int64_t qn_integer_sorted_head_bytes(int64_t k)
{
    return QN_INTEGER_PANEL * 4 + (QN_INTEGER_PANEL / 8 * (qn_integer_units(k) + 2) * 2 + 63) / 64 * 64;
}

static inline int64_t qn_integer_sorted_panel_bytes(int64_t k)
{
    return qn_integer_sorted_head_bytes(k) + qn_integer_units(k) * (8 * QN_INTEGER_PANEL);
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

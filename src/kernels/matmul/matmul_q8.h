/* Matmul of block types by activations in the form Q8_32, on integers: written once over the vocabulary of simd/simd.h
 * and compiled once an instruction set.
 *
 * A lane is a row of weights throughout. A panel of rows is unpacked into scratch PARTS * 32 elements at a time, lanes
 * side by side (matmul_q8_unpack.h), then a register tile runs every row of x over it. One row of x takes the same way
 * as many: unpacking is about as much work as a product with one row, and both together keep up with memory.
 *
 * The order of sums: integer sums of 32 elements (of 16 for types with a scale for 16) are exact. They are turned into
 * floats, multiplied by the scales of the weights, the two halves added if there are two, and joined to the total by
 * one multiply-add with the scale of x; a minimum follows by another. From block to block along K, one total an output.
 *
 * The including file defines COLUMN_VECTORS, ROWS and ROWS_HALVES: a register tile of rows times vectors. */
#ifndef QN_MATMUL_Q8_H
#define QN_MATMUL_Q8_H

#include <stdbool.h>

#include "kernels/matmul/matmul.h"
#include "quant/q2_k/q2_k.h"
#include "quant/q3_k/q3_k.h"
#include "quant/q4_0/q4_0.h"
#include "quant/q4_1/q4_1.h"
#include "quant/q4_k/q4_k.h"
#include "quant/q5_0/q5_0.h"
#include "quant/q5_1/q5_1.h"
#include "quant/q5_k/q5_k.h"
#include "quant/q6_k/q6_k.h"
#include "quant/q8_0/q8_0.h"

#include "kernels/matmul/matmul_q8_unpack.h"

enum {
    ROWS_HELD = 512, /* rows of x whose totals a panel keeps in scratch */
};

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Vectors of a panel's width: one row of x leaves no work to share between two. */
QN_INLINE int panel_vectors(int64_t m)
{
    return m == 1 ? 1 : COLUMN_VECTORS;
}

/* ---- the register tile ------------------------------------------------------------------------------------ */

/* Sums of four products over groups [begin, end) of a part, from sum[r][v] on. */
QN_INLINE void dot_groups(enum format f, int rows, int vectors, const struct part *part, int begin, int end,
                          const struct qn_q8_row x[], int64_t element, vi sum[ROWS][COLUMN_VECTORS])
{
    QN_UNROLL
    for (int g = begin; g < end; g++) {
        vi w[COLUMN_VECTORS];
        QN_UNROLL
        for (int v = 0; v < vectors; v++)
            w[v] = vi_load(part[v].q[g]);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vi four = vi_set4(x[r].q + element + 4 * g);
            QN_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[r][v] = f == Q8_0 ? vi_dot_wide(sum[r][v], w[v], four) : vi_dot(sum[r][v], w[v], four);
        }
    }
}

QN_INLINE void start_sums(enum format f, int rows, int vectors, const int32_t *const minus[],
                          vi sum[ROWS][COLUMN_VECTORS])
{
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        vi start = offset_shift(f) ? vi_left(vi_set(*minus[r]), offset_shift(f)) : vi_set(0);
        QN_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = start;
    }
}

/* One part with one scale times `rows` rows of x. */
QN_INLINE void multiply_part(enum format f, int rows, int vectors, const struct part *part, const struct qn_q8_row x[],
                             int64_t block, vf total[ROWS][COLUMN_VECTORS])
{
    vi sum[ROWS][COLUMN_VECTORS];
    const int32_t *minus[ROWS];
    QN_UNROLL
    for (int r = 0; r < rows; r++)
        minus[r] = x[r].minus_sum + block;
    start_sums(f, rows, vectors, minus, sum);
    dot_groups(f, rows, vectors, part, 0, 8, x, 32 * block, sum);
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        vf x_scale = vf_set(x[r].scale[block]);
        QN_UNROLL
        for (int v = 0; v < vectors; v++) {
            vf scaled = vf_mul(vi_float(sum[r][v]), vf_load(part[v].scale[0]));
            total[r][v] = vf_fma(scaled, x_scale, total[r][v]);
            if (has_min(f))
                total[r][v] = vf_fma(vf_load(part[v].min[0]), vf_set(x[r].scaled_sum[block]), total[r][v]);
        }
    }
}

/* One part with a scale for each half. */
QN_INLINE void multiply_halves(enum format f, int rows, int vectors, const struct part *part,
                               const struct qn_q8_row x[], int64_t block, vf total[ROWS][COLUMN_VECTORS])
{
    vf scaled[ROWS][COLUMN_VECTORS];
    QN_UNROLL
    for (int half = 0; half < 2; half++) {
        vi sum[ROWS][COLUMN_VECTORS];
        const int32_t *minus[ROWS];
        QN_UNROLL
        for (int r = 0; r < rows; r++)
            minus[r] = x[r].minus_half + 2 * block + half;
        start_sums(f, rows, vectors, minus, sum);
        dot_groups(f, rows, vectors, part, 4 * half, 4 * half + 4, x, 32 * block, sum);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            QN_UNROLL
            for (int v = 0; v < vectors; v++) {
                vf value = vi_float(sum[r][v]), scale = vf_load(part[v].scale[half]);
                scaled[r][v] = half ? vf_fma(value, scale, scaled[r][v]) : vf_mul(value, scale);
                if (has_min(f))
                    scaled[r][v] = vf_fma(vf_load(part[v].min[half]), vi_float(vi_set(*minus[r])), scaled[r][v]);
            }
        }
    }
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < vectors; v++)
            total[r][v] = vf_fma(scaled[r][v], vf_set(x[r].scale[block]), total[r][v]);
    }
}

/* `count` parts times `rows` rows of x, from block `first` of K on. */
QN_INLINE void multiply_rows(enum format f, int rows, int vectors, const struct part *parts, int64_t first,
                             int64_t count, const struct qn_matmul_params *p, int64_t m, float *totals)
{
    struct qn_q8_row x[ROWS];
    vf total[ROWS][COLUMN_VECTORS];
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        x[r] = qn_q8_row((const uint8_t *)p->x + (m + r) * p->x_stride, p->k);
        QN_UNROLL
        for (int v = 0; v < vectors; v++)
            total[r][v] = vf_load(totals + (r * vectors + v) * VF_LANES);
    }
    for (int64_t b = 0; b < count; b++)
        if (has_halves(f))
            multiply_halves(f, rows, vectors, parts + b * vectors, x, first + b, total);
        else
            multiply_part(f, rows, vectors, parts + b * vectors, x, first + b, total);
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < vectors; v++)
            vf_store(totals + (r * vectors + v) * VF_LANES, total[r][v]);
    }
}

/* The same for any number of rows of x. */
QN_INLINE void multiply_all(enum format f, const struct part *parts, int64_t first, int64_t count,
                            const struct qn_matmul_params *p, int64_t begin, int64_t end, float *totals)
{
    enum { V = COLUMN_VECTORS, WIDTH = V * VF_LANES };
    const int rows = has_halves(f) ? ROWS_HALVES : ROWS;
    int64_t m = begin;
    for (; m + rows <= end; m += rows)
        multiply_rows(f, rows, V, parts, first, count, p, m, totals + (m - begin) * WIDTH);
    totals += (m - begin) * WIDTH;
    if (end - m == 1)
        multiply_rows(f, 1, V, parts, first, count, p, m, totals);
    else if (end - m == 2)
        multiply_rows(f, 2, V, parts, first, count, p, m, totals);
    else if (end - m == 3)
        multiply_rows(f, 3, V, parts, first, count, p, m, totals);
    else if (rows > 4 && end - m == 4)
        multiply_rows(f, rows > 4 ? 4 : 1, V, parts, first, count, p, m, totals);
    else if (rows > 5 && end - m == 5)
        multiply_rows(f, rows > 5 ? 5 : 1, V, parts, first, count, p, m, totals);
}

/* ---- panels ----------------------------------------------------------------------------------------------- */

/* VF_LANES rows of weights from n on; past the last row, the last again. */
QN_INLINE void find_rows(const struct qn_matmul_params *p, int64_t n, const uint8_t *rows[VF_LANES])
{
    for (int i = 0; i < VF_LANES; i++)
        rows[i] = (const uint8_t *)p->w + least(n + i, p->n - 1) * p->w_stride;
}

QN_INLINE void run_panel(enum format f, const struct qn_matmul_params *p, int64_t n, int vectors, int64_t begin,
                         int64_t end, struct part *parts, float *totals)
{
    const uint8_t *rows[COLUMN_VECTORS][VF_LANES];
    int64_t blocks = p->k / 32, width = vectors * VF_LANES;
    for (int v = 0; v < vectors; v++)
        find_rows(p, n + v * VF_LANES, rows[v]);
    for (int64_t i = 0; i < (end - begin) * width; i++)
        totals[i] = 0;
    for (int64_t first = 0; first < blocks; first += PARTS) {
        int64_t count = least(PARTS, blocks - first);
        if (vectors == 1) {
            const uint8_t *ahead = rows[0][0] + VF_LANES * p->w_stride + first * bytes_of_part(f);
            unpack_parts(f, rows[0], first, count, parts, 1, ahead);
            multiply_rows(f, 1, 1, parts, first, count, p, begin, totals);
            continue;
        }
        for (int v = 0; v < COLUMN_VECTORS; v++)
            unpack_parts(f, rows[v], first, count, parts + v, COLUMN_VECTORS, NULL);
        multiply_all(f, parts, first, count, p, begin, end, totals);
    }
    for (int64_t m = begin; m < end; m++)
        for (int64_t i = 0; i < least(width, p->n - n); i++)
            qn_matmul_store(p, m, n + i, totals[(m - begin) * width + i]);
}

/* ---- the kernel's functions ------------------------------------------------------------------------------- */

static int64_t q8_tiles(const void *params)
{
    const struct qn_matmul_params *p = params;
    int64_t width = panel_vectors(p->m) * VF_LANES;
    return (p->n + width - 1) / width;
}

static int64_t q8_scratch(const void *params)
{
    const struct qn_matmul_params *p = params;
    int64_t vectors = panel_vectors(p->m), totals = least(p->m, ROWS_HELD) * vectors * VF_LANES;
    return PARTS * vectors * (int64_t)sizeof(struct part) + totals * (int64_t)sizeof(float);
}

QN_INLINE void q8_run(enum format f, const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_matmul_params *p = params;
    struct part *parts = scratch;
    if (p->m == 1) {
        for (int64_t n = begin * VF_LANES; n < least(end * VF_LANES, p->n); n += VF_LANES)
            run_panel(f, p, n, 1, 0, 1, parts, (float *)(void *)(parts + PARTS));
        return;
    }
    enum { WIDTH = COLUMN_VECTORS * VF_LANES };
    for (int64_t n = begin * WIDTH; n < least(end * WIDTH, p->n); n += WIDTH)
        for (int64_t m = 0; m < p->m; m += ROWS_HELD)
            run_panel(f, p, n, COLUMN_VECTORS, m, least(m + ROWS_HELD, p->m), parts,
                      (float *)(void *)(parts + PARTS * COLUMN_VECTORS));
}

#endif

/* The inner loop of matrix products: a register tile of rows by two vectors, and the transposition that brings lines
 * under it.
 *
 * Each element is one chain of fused multiply-adds along n, continued from memory where it is not fresh: its bits do
 * not depend on how many rows stand beside it, nor on where n is cut into pieces. */
#ifndef QN_SIMD_VEC_TILE_H
#define QN_SIMD_VEC_TILE_H

#include "kernels/simd/vec.h"

/* Rows of a register tile: TILE_ROWS x 2 accumulators, two vectors of b and one element of a fill the registers. */
#if defined(__AVX512F__)
enum { TILE_ROWS = 12 };
#else
enum { TILE_ROWS = 6 };
#endif
enum { TILE_COLUMNS = 2 * VF_LANES };

/* c[rows][TILE_COLUMNS] (+)= a[rows][n] b[n][TILE_COLUMNS]; strides in floats. */
QN_INLINE void vf_tile(const int rows, const float *a, int64_t a_row, const float *b, int64_t b_row, float *c,
                       int64_t c_row, int64_t n, bool fresh)
{
    vf acc[TILE_ROWS][2];
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        acc[r][0] = fresh ? vf_zero() : vf_load(c + r * c_row);
        acc[r][1] = fresh ? vf_zero() : vf_load(c + r * c_row + VF_LANES);
    }
    for (int64_t i = 0; i < n; i++) {
        vf b0 = vf_load(b + i * b_row), b1 = vf_load(b + i * b_row + VF_LANES);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vf x = vf_set(a[r * a_row + i]);
            acc[r][0] = vf_fma(x, b0, acc[r][0]);
            acc[r][1] = vf_fma(x, b1, acc[r][1]);
        }
    }
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        vf_store(c + r * c_row, acc[r][0]);
        vf_store(c + r * c_row + VF_LANES, acc[r][1]);
    }
}

/* As many of the rows (at least one) as a tile takes; gives their number. */
static inline int64_t vf_tile_rows(int64_t rows, const float *a, int64_t a_row, const float *b, int64_t b_row, float *c,
                                   int64_t c_row, int64_t n, bool fresh)
{
    if (rows >= TILE_ROWS) {
        vf_tile(TILE_ROWS, a, a_row, b, b_row, c, c_row, n, fresh);
        return TILE_ROWS;
    }
    if (TILE_ROWS > 8 && rows >= 8) {
        vf_tile(8 < TILE_ROWS ? 8 : TILE_ROWS, a, a_row, b, b_row, c, c_row, n, fresh);
        return 8;
    }
    if (rows >= 4) {
        vf_tile(4, a, a_row, b, b_row, c, c_row, n, fresh);
        return 4;
    }
    if (rows >= 2) {
        vf_tile(2, a, a_row, b, b_row, c, c_row, n, fresh);
        return 2;
    }
    vf_tile(1, a, a_row, b, b_row, c, c_row, n, fresh);
    return 1;
}

/* panel[n][TILE_COLUMNS] from TILE_COLUMNS lines of n floats (a multiple of VF_LANES), `stride` apart. */
static inline void vf_transpose_lines(const float *lines, int64_t stride, float *panel, int64_t n)
{
    for (int64_t half = 0; half < TILE_COLUMNS; half += VF_LANES) {
        for (int64_t i = 0; i < n; i += VF_LANES) {
            vf square[VF_LANES];
            QN_UNROLL
            for (int j = 0; j < VF_LANES; j++)
                square[j] = vf_load(lines + (half + j) * stride + i);
            vf_transpose(square);
            QN_UNROLL
            for (int j = 0; j < VF_LANES; j++)
                vf_store(panel + (i + j) * TILE_COLUMNS + half, square[j]);
        }
    }
}

#endif

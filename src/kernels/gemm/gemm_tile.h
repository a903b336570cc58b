/* The register tile of products with packed panels, for GEMM and convolutions: rows x units, a unit being TILE_COLUMNS
 * columns of a panel (the whole of it on AVX-512, half of it on AVX2).
 *
 * Each element is one chain of fused multiply-adds along k, begun from `c` (or from bias and residual): its bits do
 * not depend on the shape of the tile that computes it, nor on where k is cut into pieces. */
#ifndef QN_KERNELS_GEMM_TILE_H
#define QN_KERNELS_GEMM_TILE_H

#include "kernels/gemm/gemm.h"
#include "kernels/simd/vec_tile.h"

enum gemm_source { GEMM_F32, GEMM_F16, GEMM_BF16 };
enum { GEMM_UNITS = 4 }; /* units side by side where there are few rows */

struct gemm_tile {
    const float *a;
    int64_t a_row;             /* floats between rows */
    const char *b[GEMM_UNITS]; /* first element of each unit, at this piece's first k */
    int64_t depth;             /* k's of this piece */
    float *c;                  /* of the first row and column */
    int64_t c_row;             /* floats */
    int64_t columns;           /* of c, at most units * TILE_COLUMNS */
    bool first;                /* begin from bias and residual instead of c */
    const float *bias;         /* of the first column, or NULL */
    const float *residual;     /* of the first row and column, or NULL; rows c_row apart */
};

QN_INLINE vf gemm_load_b(enum gemm_source source, const char *p, int64_t i)
{
    if (source == GEMM_F32)
        return vf_load((const float *)(const void *)p + i);
    const uint16_t *half = (const uint16_t *)(const void *)p + i;
    return source == GEMM_F16 ? vf_load_f16(half) : vf_load_bf16(half);
}

/* Vector j of a row of c, or of what c begins from; lanes past the last column are 0. */
QN_INLINE vf gemm_load_c(const float *p, int j, int64_t columns, bool full)
{
    return full ? vf_load(p + j * VF_LANES) : vf_load_up_to(p + j * VF_LANES, columns - (int64_t)j * VF_LANES);
}

QN_INLINE void gemm_store_c(float *p, int j, int64_t columns, bool full, vf v)
{
    vf_store_up_to(p + j * VF_LANES, v, full ? VF_LANES : columns - (int64_t)j * VF_LANES);
}

QN_INLINE void gemm_tile_run(const int rows, const int units, enum gemm_source source, const struct gemm_tile *t,
                             bool full)
{
    vf acc[TILE_ROWS * 2];
    const int width = 2 * units;
    QN_UNROLL
    for (int j = 0; j < width; j++) {
        vf bias = t->first && t->bias ? gemm_load_c(t->bias, j, t->columns, full) : vf_zero();
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            if (!t->first)
                acc[r * width + j] = gemm_load_c(t->c + r * t->c_row, j, t->columns, full);
            else if (t->residual)
                acc[r * width + j] = vf_add(bias, gemm_load_c(t->residual + r * t->c_row, j, t->columns, full));
            else
                acc[r * width + j] = bias;
        }
    }
    for (int64_t i = 0; i < t->depth; i++) {
        vf b[2 * GEMM_UNITS];
        QN_UNROLL
        for (int u = 0; u < units; u++) {
            b[2 * u] = gemm_load_b(source, t->b[u], i * QN_GEMM_PANEL);
            b[2 * u + 1] = gemm_load_b(source, t->b[u], i * QN_GEMM_PANEL + VF_LANES);
        }
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vf x = vf_set(t->a[r * t->a_row + i]);
            QN_UNROLL
            for (int j = 0; j < width; j++)
                acc[r * width + j] = vf_fma(x, b[j], acc[r * width + j]);
        }
    }
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int j = 0; j < width; j++)
            gemm_store_c(t->c + r * t->c_row, j, t->columns, full, acc[r * width + j]);
    }
}

/* As many of the rows (at least one) as a tile of one unit takes; gives their number. */
QN_INLINE int64_t gemm_tile_rows(enum gemm_source source, const struct gemm_tile *t, int64_t rows)
{
    bool full = t->columns >= TILE_COLUMNS;
#define QN_GEMM_ROWS(count)                              \
    if ((count) <= TILE_ROWS && rows >= (count)) {       \
        if (full)                                        \
            gemm_tile_run((count), 1, source, t, true);  \
        else                                             \
            gemm_tile_run((count), 1, source, t, false); \
        return (count);                                  \
    }
    QN_GEMM_ROWS(TILE_ROWS)
    QN_GEMM_ROWS(TILE_ROWS * 2 / 3)
    QN_GEMM_ROWS(TILE_ROWS / 3)
    QN_GEMM_ROWS(2)
    QN_GEMM_ROWS(1)
#undef QN_GEMM_ROWS
    return 1;
}

#endif

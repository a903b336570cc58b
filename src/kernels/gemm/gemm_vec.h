/* GEMM on vectors. A file for an instruction set includes this and names its kernels.
 *
 * A tile is a block of at most ROWS rows and COLUMNS columns of y. It walks along k in pieces of DEPTH: a piece of a
 * panel (DEPTH x 32) stays in the first cache level while all rows pass over it, the rows' piece stays in the second.
 * One or two rows instead read several panels side by side, whole: then the panels' bytes are what counts. */
#include "kernels/gemm/gemm_tile.h"
#include "kernels/simd/vec_activation.h"

enum {
    ROWS = 144,
    COLUMNS = 128,
    DEPTH = 256,
    WIDE_UNITS = TILE_ROWS == 12 ? 2 : 1,
    PIECE_ROW = DEPTH + 16, /* floats: rows of a copied piece fall into different cache sets */
    UNITS_OF_PANEL = QN_GEMM_PANEL / TILE_COLUMNS,
    AHEAD_ROWS = TILE_ROWS == 6 ? 24 : INT32_MAX, /* from so many rows on the next piece of b is fetched meanwhile */
};

static int64_t blocks(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_few(const struct qn_gemm_params *p)
{
    return p->m <= 2;
}

/* Rows whose stride is a multiple of 2 KiB compete for a few cache sets: their piece is copied. */
static bool copies_rows(const struct qn_gemm_params *p)
{
    return !is_few(p) && p->m >= TILE_ROWS && p->a_stride % 512 == 0;
}

static int64_t block_rows(const struct qn_gemm_params *p)
{
    /* equal blocks: 150 rows are 2 x 75 and not 144 + 6 */
    int64_t count = blocks(p->m, ROWS);
    return count ? blocks(blocks(p->m, count), TILE_ROWS) * TILE_ROWS : ROWS;
}

static int64_t tiles(const void *params)
{
    const struct qn_gemm_params *p = params;
    if (p->m <= 0)
        return 0;
    return blocks(p->m, block_rows(p)) * blocks(p->n, COLUMNS);
}

static int64_t scratch_bytes(const void *params)
{
    return copies_rows(params) ? (int64_t)ROWS * PIECE_ROW * 4 : 0;
}

/* Unit u of b (TILE_COLUMNS columns) at k. */
QN_INLINE const char *unit_at(const struct qn_gemm_params *p, enum gemm_source source, int64_t u, int64_t k)
{
    int64_t bytes = source == GEMM_F32 ? 4 : 2, panel = u / UNITS_OF_PANEL;
    return (const char *)p->b + ((panel * p->k + k) * QN_GEMM_PANEL + u % UNITS_OF_PANEL * TILE_COLUMNS) * bytes;
}

static const float *piece_of(const struct qn_gemm_params *p, int64_t row, int64_t rows, int64_t k, int64_t depth,
                             float *scratch, int64_t *stride)
{
    const float *a = p->a + row * p->a_stride + k;
    *stride = p->a_stride;
    if (!copies_rows(p))
        return a;
    for (int64_t r = 0; r < rows; r++) {
        const float *from = a + r * p->a_stride;
        float *to = scratch + r * PIECE_ROW;
        int64_t i = 0;
        for (int64_t j = 0; r + 4 < rows && j < depth; j += 16) /* rows lie on pages of their own */
            __builtin_prefetch(from + 4 * p->a_stride + j);
        for (; i + VF_LANES <= depth; i += VF_LANES)
            vf_store(to + i, vf_load(from + i));
        for (; i < depth; i++)
            to[i] = from[i];
    }
    *stride = PIECE_ROW;
    return scratch;
}

/* The same columns twice as wide, half the rows: fewer loads a product. */
QN_INLINE int64_t gemm_wide_rows(enum gemm_source source, const struct gemm_tile *t, int64_t rows)
{
    if (rows >= 6) {
        gemm_tile_run(6, WIDE_UNITS, source, t, true);
        return 6;
    }
    if (rows >= 4) {
        gemm_tile_run(4, WIDE_UNITS, source, t, true);
        return 4;
    }
    if (rows >= 2) {
        gemm_tile_run(2, WIDE_UNITS, source, t, true);
        return 2;
    }
    gemm_tile_run(1, WIDE_UNITS, source, t, true);
    return 1;
}

/* The piece of b that is read after one: lines of a unit, `left` of them to be fetched, `each` before every tile of
 * rows. Products whose weights are larger than the caches take 8 % less time with it (Zen 3, 128 rows). */
struct ahead {
    const char *at;
    int64_t line, left, each;
};

QN_INLINE struct ahead piece_after(enum gemm_source source, const struct qn_gemm_params *p, int64_t row, int64_t rows,
                                   int64_t column, int64_t columns, int64_t j, int64_t k)
{
    if (rows < AHEAD_ROWS)
        return (struct ahead){0};
    if (j >= column + columns) {
        j = column;
        k += DEPTH;
    }
    if (k >= p->k) {
        k = 0;
        j = row + rows < p->m ? column : column + columns;
    }
    if (j >= p->n)
        return (struct ahead){0};
    int64_t depth = least(p->k - k, DEPTH), line = QN_GEMM_PANEL * (source == GEMM_F32 ? 4 : 2);
    return (struct ahead){unit_at(p, source, j / TILE_COLUMNS, k), line, depth, blocks(depth * TILE_ROWS, rows)};
}

QN_INLINE void fetch(struct ahead *next)
{
    for (int64_t i = 0; i < next->each && next->left > 0; i++, next->left--, next->at += next->line)
        __builtin_prefetch(next->at, 0, 2); /* into the second level */
}

QN_INLINE void run_block(enum gemm_source source, const struct qn_gemm_params *p, int64_t row, int64_t rows,
                         int64_t column, int64_t columns, float *scratch)
{
    int64_t k = 0;
    do {
        struct gemm_tile t = {.depth = least(p->k - k, DEPTH), .c_row = p->y_stride, .first = k == 0};
        const float *a = piece_of(p, row, rows, k, t.depth, scratch, &t.a_row);
        for (int64_t j = column, wide; j < column + columns; j += wide) {
            wide = column + columns - j >= WIDE_UNITS * TILE_COLUMNS ? WIDE_UNITS * TILE_COLUMNS : TILE_COLUMNS;
            for (int64_t u = 0; u < WIDE_UNITS; u++)
                t.b[u] = unit_at(p, source, j / TILE_COLUMNS + (wide > TILE_COLUMNS ? u : 0), k);
            t.columns = least(column + columns - j, wide);
            t.bias = p->bias ? p->bias + j : NULL;
            struct ahead next = piece_after(source, p, row, rows, column, columns, j + wide, k);
            for (int64_t r = 0, done; r < rows; r += done) {
                fetch(&next);
                t.a = a + r * t.a_row;
                t.c = p->y + (row + r) * p->y_stride + j;
                t.residual = p->residual ? p->residual + (row + r) * p->y_stride + j : NULL;
                done =
                    wide > TILE_COLUMNS ? gemm_wide_rows(source, &t, rows - r) : gemm_tile_rows(source, &t, rows - r);
            }
            if (k + t.depth >= p->k)
                vf_activate_block(p->activation, p->alpha, p->beta, p->y + row * p->y_stride + j, p->y_stride, rows,
                                  t.columns);
        }
        k += t.depth;
    } while (k < p->k);
}

/* One or two rows. */
QN_INLINE void run_few(enum gemm_source source, const struct qn_gemm_params *p, int64_t row, int64_t rows,
                       int64_t column, int64_t columns)
{
    int64_t width = GEMM_UNITS * TILE_COLUMNS;
    for (int64_t j = column; j < column + columns; j += width) {
        struct gemm_tile t = {.a = p->a + row * p->a_stride,
                              .a_row = p->a_stride,
                              .depth = p->k,
                              .c = p->y + row * p->y_stride + j,
                              .c_row = p->y_stride,
                              .columns = least(column + columns - j, width),
                              .first = true,
                              .bias = p->bias ? p->bias + j : NULL,
                              .residual = p->residual ? p->residual + row * p->y_stride + j : NULL};
        int64_t units = blocks(t.columns, TILE_COLUMNS);
        for (int64_t u = 0; u < GEMM_UNITS; u++) /* past the end: the last one again, its sums are not stored */
            t.b[u] = unit_at(p, source, j / TILE_COLUMNS + least(u, units - 1), 0);
        bool full = t.columns == width;
        for (int64_t r = 0; r < rows; r++) {
            if (full)
                gemm_tile_run(1, GEMM_UNITS, source, &t, true);
            else
                gemm_tile_run(1, GEMM_UNITS, source, &t, false);
            t.a += t.a_row;
            t.c += t.c_row;
            t.residual = t.residual ? t.residual + t.c_row : NULL;
        }
        vf_activate_block(p->activation, p->alpha, p->beta, p->y + row * p->y_stride + j, p->y_stride, rows, t.columns);
    }
}

QN_INLINE void run_tiles(enum gemm_source source, const struct qn_gemm_params *p, int64_t begin, int64_t end,
                         void *scratch)
{
    int64_t height = block_rows(p), row_blocks = blocks(p->m, height);
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t row = tile % row_blocks * height, column = tile / row_blocks * COLUMNS;
        int64_t rows = least(p->m - row, height), columns = least(p->n - column, COLUMNS);
        if (is_few(p))
            run_few(source, p, row, rows, column, columns);
        else
            run_block(source, p, row, rows, column, columns, scratch);
    }
}

static void run_f32(const void *params, int64_t begin, int64_t end, void *scratch)
{
    run_tiles(GEMM_F32, params, begin, end, scratch);
}

static void run_f16(const void *params, int64_t begin, int64_t end, void *scratch)
{
    run_tiles(GEMM_F16, params, begin, end, scratch);
}

static void run_bf16(const void *params, int64_t begin, int64_t end, void *scratch)
{
    run_tiles(GEMM_BF16, params, begin, end, scratch);
}

/* BATCH_MATMUL on vectors: f32, f16 and bf16 operands; f64 and integers go to the generic kernel. A file for an
 * instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes this.
 *
 * A tile is a block of ROWS rows and COLUMNS columns of one matrix. It walks along k in pieces of DEPTH: b is brought
 * into panels [DEPTH][TILE_COLUMNS] of floats, by a transposition where it is contiguous along k, and register tiles
 * run down them. An element is one chain of multiply-adds along k. */
#include "kernels/batch_matmul/batch_matmul.h"
#include "kernels/simd/vec_element.h"
#include "kernels/simd/vec_tile.h"
#include "kernels/walk.h"

enum { ROWS = 96, COLUMNS = 256, DEPTH = 256 };

static bool is_narrow(const struct qn_batch_matmul_params *p)
{
    return vf_takes(p->a.dtype) && vf_takes(p->b.dtype) && p->y.dtype == QN_DTYPE_F32;
}

static int64_t blocks(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}

static int64_t tiles(const void *params)
{
    const struct qn_batch_matmul_params *p = params;
    if (!is_narrow(p))
        return qn_batch_matmul_ref.tiles(params);
    int64_t batches = 1;
    uint32_t last = p->y.rank - 1;
    for (uint32_t i = 0; i + 1 < last; i++)
        batches *= p->y.dims[i];
    return batches * blocks(p->y.dims[last - 1], ROWS) * blocks(p->y.dims[last], COLUMNS);
}

/* Sums of the tile, a piece of a's rows, the lines of a panel that is to be transposed, the panel. */
static int64_t scratch_bytes(const void *params)
{
    if (!is_narrow(params))
        return qn_batch_matmul_ref.scratch ? qn_batch_matmul_ref.scratch(params) : 0;
    return (ROWS * COLUMNS + ROWS * DEPTH + 2 * TILE_COLUMNS * DEPTH) * 4;
}

/* One matrix product's tile. */
struct block {
    const char *a, *b;     /* of its first row, and first column */
    int64_t a_row, a_step; /* bytes along m and k */
    int64_t b_row, b_step; /* bytes along k and n */
    qn_dtype a_dtype, b_dtype;
    int64_t rows, columns, k;
    float *sums, *piece, *lines, *panel;
};

/* Rows of a from k on, as floats: in place where they are. */
static const float *a_piece(const struct block *t, int64_t k, int64_t depth, int64_t *stride)
{
    const char *from = t->a + k * t->a_step;
    if (t->a_dtype == QN_DTYPE_F32 && t->a_step == 4 && t->a_row % 4 == 0) {
        *stride = t->a_row / 4;
        return (const float *)(const void *)from;
    }
    *stride = DEPTH;
    for (int64_t r = 0; r < t->rows; r++)
        vf_load_run(t->piece + r * DEPTH, from + r * t->a_row, t->a_step, t->a_dtype, depth);
    return t->piece;
}

/* Columns [column, column + TILE_COLUMNS) of b from k on; those beyond its end are 0. */
static void fill_panel(const struct block *t, int64_t k, int64_t depth, int64_t column)
{
    const char *from = t->b + k * t->b_row + column * t->b_step;
    int64_t n = t->columns - column < TILE_COLUMNS ? t->columns - column : TILE_COLUMNS;
    if (t->b_row == qn_element_bytes(t->b_dtype) && t->b_step != t->b_row) {
        int64_t wide = blocks(depth, VF_LANES) * VF_LANES;
        for (int64_t j = 0; j < TILE_COLUMNS; j++) {
            float *line = t->lines + j * DEPTH;
            int64_t filled = j < n ? depth : 0;
            vf_load_run(line, from + j * t->b_step, t->b_row, t->b_dtype, filled);
            for (; filled < wide; filled++)
                line[filled] = 0;
        }
        vf_transpose_lines(t->lines, DEPTH, t->panel, wide);
        return;
    }
    for (int64_t i = 0; i < depth; i++) {
        float *row = t->panel + i * TILE_COLUMNS;
        vf_load_run(row, from + i * t->b_row, t->b_step, t->b_dtype, n);
        for (int64_t j = n; j < TILE_COLUMNS; j++)
            row[j] = 0;
    }
}

static void multiply(const struct block *t)
{
    for (int64_t i = 0; i < t->rows * COLUMNS; i += VF_LANES)
        vf_store(t->sums + i, vf_zero());
    for (int64_t k = 0; k < t->k; k += DEPTH) {
        int64_t depth = t->k - k < DEPTH ? t->k - k : DEPTH, stride;
        const float *a = a_piece(t, k, depth, &stride);
        for (int64_t column = 0; column < t->columns; column += TILE_COLUMNS) {
            fill_panel(t, k, depth, column);
            for (int64_t r = 0; r < t->rows;)
                r += vf_tile_rows(t->rows - r, a + r * stride, stride, t->panel, TILE_COLUMNS,
                                  t->sums + r * COLUMNS + column, COLUMNS, depth, false);
        }
    }
}

static void run_tile(const struct qn_batch_matmul_params *p, int64_t tile, float *scratch)
{
    uint32_t last = p->y.rank - 1;
    int64_t m = p->y.dims[last - 1], n = p->y.dims[last], row_blocks = blocks(m, ROWS),
            column_blocks = blocks(n, COLUMNS);
    int64_t column = tile % column_blocks * COLUMNS, row = tile / column_blocks % row_blocks * ROWS;
    int64_t first = tile / column_blocks / row_blocks * m + row; /* its row among all of y */
    int64_t a_bytes = qn_element_bytes(p->a.dtype), b_bytes = qn_element_bytes(p->b.dtype);
    struct qn_view b = p->b; /* as seen from a row of y: the same matrix for all m rows */
    b.dims[last - 1] = m;
    b.strides[last - 1] = 0;
    struct block t = {
        .a = qn_view_row(&p->a, last, first, a_bytes),
        .a_row = p->a.strides[last - 1] * a_bytes,
        .a_step = p->a.strides[last] * a_bytes,
        .b_row = p->b.strides[last - 1] * b_bytes,
        .b_step = p->b.strides[last] * b_bytes,
        .a_dtype = p->a.dtype,
        .b_dtype = p->b.dtype,
        .rows = m - row < ROWS ? m - row : ROWS,
        .columns = n - column < COLUMNS ? n - column : COLUMNS,
        .k = p->a.dims[last],
        .sums = scratch,
        .piece = scratch + ROWS * COLUMNS,
        .lines = scratch + ROWS * COLUMNS + ROWS * DEPTH,
        .panel = scratch + ROWS * COLUMNS + ROWS * DEPTH + TILE_COLUMNS * DEPTH,
    };
    t.b = qn_view_row(&b, last, first, b_bytes) + column * t.b_step;
    multiply(&t);
    int64_t y_step = p->y.strides[last] * 4;
    for (int64_t r = 0; r < t.rows; r++)
        vf_store_run(qn_view_row(&p->y, last, first + r, 4) + column * y_step, y_step, QN_DTYPE_F32,
                     t.sums + r * COLUMNS, t.columns);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    if (!is_narrow(params)) {
        qn_batch_matmul_ref.run(params, begin, end, scratch);
        return;
    }
    for (int64_t tile = begin; tile < end; tile++)
        run_tile(params, tile, scratch);
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_BATCH_MATMUL,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};

/* INTEGER_GEMM on vectors. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS and RANK and includes
 * this.
 *
 * A tile is a block of at most ROWS rows and COLUMNS columns. A panel stays in the first cache level while the rows
 * pass over it. */
#include "kernels/integer_gemm/integer_tile.h"

enum { ROWS = 96, COLUMNS = 256 };

static int64_t blocks(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t block_rows(const struct qn_integer_gemm_params *p)
{
    int64_t count = blocks(p->m, ROWS); /* equal blocks */
    return count ? blocks(blocks(p->m, count), INT_ROWS) * INT_ROWS : ROWS;
}

static int64_t tiles(const void *params)
{
    const struct qn_integer_gemm_params *p = params;
    return p->m > 0 ? blocks(p->m, block_rows(p)) * blocks(p->n, COLUMNS) : 0;
}

/* Bytes of a row widened, a multiple of 64 and not of 4096. */
static inline int64_t wide_row(int64_t k)
{
    return blocks(k * 2 + 8, 64) * 64 + 64;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_integer_gemm_params *p = params;
    int64_t bytes = 2 * (ROWS + INT_ROWS) * 4;
#if defined(QN_INT_SORTED)
    bytes += int_copy_bytes(ROWS, p->k);
#elif defined(QN_INT_WIDENS)
    bytes += ROWS * wide_row(p->k);
#endif
    (void)p;
    return blocks(bytes, 64) * 64;
}

/* Some column has a zero point, unsigned ones counted from 128: rows need their sums. */
static bool needs_sums(const struct qn_integer_gemm_params *p)
{
    if (!p->b_zero)
        return !p->b_signed;
    int32_t none = p->b_signed ? 0 : 128;
    bool found = false;
    for (int64_t j = 0; j < (p->b_zero_step ? p->n : 1); j++)
        found |= qn_integer_byte(p->b_zero, j, p->b_signed) != none;
    return found;
}

static void run_tile(const struct qn_integer_gemm_params *p, int64_t row, int64_t rows, int64_t first, int64_t end,
                     bool sums, char *scratch, struct int_columns *columns, bool fresh)
{
    const uint8_t *a = (const uint8_t *)p->a + row * p->a_stride;
    int32_t *row_sums = (int32_t *)(void *)scratch, *zeros = row_sums + ROWS + INT_ROWS;
    int32_t shift = p->a_signed ? 128 : 0;
    struct int_rows block = {.a = a,
                             .a_row = p->a_stride,
                             .rows = rows,
                             .k = p->k,
                             .flip = p->a_signed,
                             .sums = row_sums,
                             .ahead = int_fetch_ahead(rows)};
    for (int64_t r = 0; sums && r < rows; r++)
        row_sums[r] = int_sum(a + r * p->a_stride, p->k, p->a_signed);
    if (p->a_zero_step) {
        for (int64_t r = 0; r < rows; r++)
            zeros[r] = int_zero(p->a_zero, row + r, p->a_signed, shift);
        block.zeros = zeros;
    } else {
        block.a_zero = int_zero(p->a_zero, 0, p->a_signed, shift);
    }
#if defined(QN_INT_SORTED)
    int_copy_rows(&block, (char *)(zeros + ROWS + INT_ROWS));
#elif defined(QN_INT_WIDENS)
    char *wide = (char *)(zeros + ROWS + INT_ROWS);
    for (int64_t r = 0; r < rows; r++)
        int_widen((int16_t *)(void *)(wide + r * wide_row(p->k)), a + r * p->a_stride, p->k, p->a_signed);
    block.a = wide;
    block.a_row = wide_row(p->k);
    block.k = blocks(p->k, 4) * 4;
#endif
    struct int_panels panels = {p->b, p->n, p->k, p->b_zero, p->b_zero_step, p->b_signed};
    int_block(&block, &panels, first, end, &p->out,
              (char *)p->out.y + row * p->out.stride * qn_integer_out_bytes(&p->out), columns, fresh);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_integer_gemm_params *p = params;
    int64_t height = block_rows(p), row_blocks = blocks(p->m, height);
    bool sums = needs_sums(p);
    struct int_columns columns[COLUMNS / QN_INTEGER_PANEL];
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t row = tile % row_blocks * height, column = tile / row_blocks * COLUMNS;
        run_tile(p, row, least(p->m - row, height), column, least(p->n, column + COLUMNS), sums, scratch, columns,
                 tile == begin || row == 0);
    }
}

#if defined(QN_INT_SORTED)
static bool fits(const void *params)
{
    return qn_integer_units(((const struct qn_integer_gemm_params *)params)->k) <= UINT16_MAX;
}
#endif

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_INTEGER_GEMM,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
#if defined(QN_INT_SORTED)
    .pack = QN_PACK_SORTED_I8,
    .fits = fits,
#else
    .pack = QN_PACK_PANELS_I8,
#endif
};

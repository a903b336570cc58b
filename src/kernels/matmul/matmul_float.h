/* Matmul on floats, written once over the vocabulary of simd/simd.h and compiled once an instruction set.
 *
 * The order of sums. K is cut into blocks of BLOCK units (a unit is a float, or a pair of bfloats where the instruction
 * set multiplies pairs). In a block, chain j sums the units j, j + VF_LANES, j + 2 VF_LANES ... by fused multiply-add
 * from zero; then the chains are added to the total in the order of j, and blocks in their order. Both ways of
 * computing keep to it:
 *
 *   few rows of x    vectors along K: lane j of an accumulator is chain j; VF_LANES rows of weights are folded at once
 *                    by a transposition. Weights stream through registers.
 *   many rows of x   vectors along N: a panel of COLUMNS weight rows is unpacked for one block, chain after chain, and
 *                    a register tile of ROWS x COLUMNS accumulators runs down one chain, then adds it to the totals.
 *
 * The including file defines COLUMN_VECTORS (vectors of a panel's width: ROWS * COLUMN_VECTORS accumulators must fit
 * the registers), for pairs QN_MULTIPLY_ADD, QN_UNIT_ELEMENTS 2 and load_pairs_part, and where codes in blocks are read
 * without a buffer between QN_LOAD_CODES(bits, bytes), VF_LANES codes of 4 or 8 bits as a vi; then NEEDS and RANK for
 * the kernels, QN_MATMUL_KERNEL.
 */
#ifndef QN_MATMUL_FLOAT_H
#define QN_MATMUL_FLOAT_H

#include "kernels/matmul/matmul.h"
#include "quant/quant.h"

#ifndef QN_MULTIPLY_ADD
#define QN_MULTIPLY_ADD vf_fma
#define QN_UNIT_ELEMENTS 1
#endif

enum {
    BLOCK = 1024, /* units; a multiple of every block type's size */
    ROWS = 6,     /* of x in a register tile */
    COLUMNS = COLUMN_VECTORS * VF_LANES,
    MANY = 6,        /* rows of x from which unpacking pays */
    AHEAD = 12288,   /* bytes that weights are asked for before they are used, where they are used once */
    ROWS_HELD = 512, /* rows of x whose totals a panel keeps in scratch */
    TOGETHER = 4,    /* rows of codes that few rows of x meet at once */
};

/* How weights turn into vectors of units. */
enum source {
    SOURCE_F32,
    SOURCE_F16,
    SOURCE_BF16,
    SOURCE_PAIRS,   /* bfloat pairs as they lie */
    SOURCE_GENERIC, /* any dtype, dequantised to F32 a block at a time */
    SOURCE_Q4_F32,  /* codes in blocks, dequantised in registers */
    SOURCE_Q8_F32,
};

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

QN_INLINE int64_t unit_count(const struct qn_matmul_params *p)
{
    return (p->k + QN_UNIT_ELEMENTS - 1) / QN_UNIT_ELEMENTS;
}

QN_INLINE bool is_codes(enum source source)
{
    return source == SOURCE_Q4_F32 || source == SOURCE_Q8_F32;
}

/* Bytes from unit to unit of a source that is read in place. */
QN_INLINE int64_t unit_bytes(enum source source)
{
    return source == SOURCE_F16 || source == SOURCE_BF16 ? 2 : 4;
}

#ifdef QN_LOAD_CODES
enum { CODES = 32 /* in a block, behind its scale and zero point */, CODES_AT = 2 * sizeof(float) };

/* Vector s of a row in blocks. */
QN_INLINE vf load_codes(enum source source, const uint8_t *w, int64_t s)
{
    const int bits = source == SOURCE_Q4_F32 ? 4 : 8;
    const uint64_t vectors = CODES / VF_LANES, block = (uint64_t)s / vectors, vector = (uint64_t)s % vectors;
    float scale, zero;
    w += block * (CODES_AT + CODES / 8 * bits);
    __builtin_memcpy(&scale, w, sizeof scale);
    __builtin_memcpy(&zero, w + sizeof scale, sizeof zero);
    vf codes = vi_float(QN_LOAD_CODES(bits, w + CODES_AT + vector * VF_LANES / 8 * bits));
    return vf_mul(vf_set(scale), vf_sub(codes, vf_set(zero)));
}
#endif

/* Vector s of units from w on; `elements` are left in the row from it on, and nothing behind them is read. */
QN_INLINE vf load_units(enum source source, const uint8_t *w, int64_t s, int64_t elements)
{
#ifdef QN_LOAD_CODES
    if (is_codes(source))
        return load_codes(source, w, s);
#endif
    w += s * unit_bytes(source) * VF_LANES;
    const uint16_t *half = (const uint16_t *)(const void *)w;
    const float *full = (const float *)(const void *)w;
    if (elements >= VF_LANES * QN_UNIT_ELEMENTS)
        return source == SOURCE_F16 ? vf_load_f16(half) : source == SOURCE_BF16 ? vf_load_bf16(half) : vf_load(full);
#if QN_UNIT_ELEMENTS == 2
    return load_pairs_part(half, elements);
#else
    return source == SOURCE_F16    ? vf_load_f16_part(half, elements)
           : source == SOURCE_BF16 ? vf_load_bf16_part(half, elements)
                                   : vf_load_part(full, elements);
#endif
}

/* Row n of the weights from unit `unit` on, as a pointer that load_units reads: the file's own bytes, or `buffer` after
 * dequantising into it. */
QN_INLINE const uint8_t *row_block(enum source source, const struct qn_matmul_params *p, int64_t n, int64_t unit,
                                   int64_t elements, float *buffer)
{
    const uint8_t *row = (const uint8_t *)p->w + least(n, p->n - 1) * p->w_stride;
    if (source < SOURCE_GENERIC)
        return row + unit * unit_bytes(source);
    const struct qn_dtype_info *info = qn_dtype_info(p->w_dtype);
    row += unit / info->block_elems * info->block_bytes;
    if (is_codes(source))
        return row;
    qn_quant(p->w_dtype)->dequantise(row, buffer, elements);
    return (const uint8_t *)buffer;
}

QN_INLINE const float *x_row(const struct qn_matmul_params *p, int64_t m)
{
    return qn_matmul_x(p, m);
}

/* ---- few rows of x -------------------------------------------------------------------------------------------- */

/* One block of a row of weights times one row of x; lane j becomes chain j. One row after another is the order in which
 * memory is fastest; the chains of the next blocks hide the latency of this one. */
QN_INLINE vf dot_block(enum source source, const uint8_t *w, const float *x, int64_t elements)
{
    const int64_t step = unit_bytes(source) * VF_LANES;
    int64_t whole = elements / (VF_LANES * QN_UNIT_ELEMENTS);
    vf sum = vf_zero();
    for (int64_t i = 0; i < whole; i++) {
        if (source != SOURCE_GENERIC)
            __builtin_prefetch(w + i * step + AHEAD);
        sum = QN_MULTIPLY_ADD(load_units(source, w, i, INT64_MAX), vf_load(x + i * VF_LANES), sum);
    }
    int64_t rest = elements - whole * VF_LANES * QN_UNIT_ELEMENTS;
    if (rest) {
        int64_t rest_units = (rest + QN_UNIT_ELEMENTS - 1) / QN_UNIT_ELEMENTS;
        vf value = vf_load_part(x + whole * VF_LANES, rest_units);
        vf next = QN_MULTIPLY_ADD(load_units(source, w, whole, rest), value, sum);
        sum = vf_keep(next, sum, rest_units);
    }
    return sum;
}

#ifdef QN_LOAD_CODES
/* The same for TOGETHER rows of codes, whose chains hide each other's latency: a row takes too many instructions for
 * the next one to start meanwhile. */
QN_INLINE void dot_codes(enum source source, const uint8_t *const w[TOGETHER], const float *x, int64_t elements,
                         vf sums[TOGETHER])
{
    QN_UNROLL
    for (int r = 0; r < TOGETHER; r++)
        sums[r] = vf_zero();
    for (int64_t i = 0; i < elements / VF_LANES; i++) {
        vf value = vf_load(x + i * VF_LANES);
        QN_UNROLL
        for (int r = 0; r < TOGETHER; r++)
            sums[r] = QN_MULTIPLY_ADD(load_codes(source, w[r], i), value, sums[r]);
    }
}
#endif

/* Adds the chains of VF_LANES rows of weights, block after block, and stores the outputs of one row of x. */
static __attribute__((noinline)) void fold_few(const struct qn_matmul_params *p, int64_t m, int64_t n,
                                               float (*lanes)[VF_LANES][VF_LANES], int64_t blocks)
{
    vf total = vf_zero();
    for (int64_t b = 0; b < blocks; b++) {
        vf chain[VF_LANES];
        QN_UNROLL
        for (int i = 0; i < VF_LANES; i++)
            chain[i] = vf_load(lanes[b][i]);
        vf_transpose(chain);
        QN_UNROLL
        for (int j = 0; j < VF_LANES; j++)
            total = vf_add(total, chain[j]);
    }
    float sums[VF_LANES];
    vf_store(sums, total);
    for (int64_t i = 0; i < least(VF_LANES, p->n - n); i++)
        qn_matmul_store(p, m, n + i, sums[i]);
}

/* The chains of VF_LANES rows of weights from n on, a block of K after the other, for each row of x. */
QN_INLINE void run_chains(enum source source, const struct qn_matmul_params *p, int64_t n, float *buffer,
                          float (*lanes)[VF_LANES][VF_LANES], int64_t blocks)
{
    const int together = is_codes(source) ? TOGETHER : 1;
    for (int i = 0; i < VF_LANES; i += together)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t unit = b * BLOCK, elements = least(BLOCK * QN_UNIT_ELEMENTS, p->k - unit * QN_UNIT_ELEMENTS);
            const uint8_t *w[TOGETHER];
            vf sums[TOGETHER];
            for (int r = 0; r < together; r++)
                w[r] = row_block(source, p, n + i + r, unit, elements, buffer);
            for (int64_t m = 0; m < p->m; m++) {
#ifdef QN_LOAD_CODES
                if (is_codes(source))
                    dot_codes(source, w, x_row(p, m) + unit, elements, sums);
                else
#endif
                    sums[0] = dot_block(source, w[0], x_row(p, m) + unit, elements);
                for (int r = 0; r < together; r++)
                    vf_store(lanes[m * blocks + b][i + r], sums[r]);
            }
        }
}

/* A tile is VF_LANES rows of weights. */
QN_INLINE void run_few(enum source source, const struct qn_matmul_params *p, int64_t begin, int64_t end, float *scratch)
{
    int64_t units = unit_count(p), blocks = (units + BLOCK - 1) / BLOCK;
    float *buffer = scratch;
    float(*lanes)[VF_LANES][VF_LANES] = (float(*)[VF_LANES][VF_LANES])(buffer + BLOCK);
    for (int64_t n = begin * VF_LANES; n < least(end * VF_LANES, p->n); n += VF_LANES) {
        run_chains(source, p, n, buffer, lanes, blocks);
        for (int64_t m = 0; m < p->m; m++)
            fold_few(p, m, n, lanes + m * blocks, blocks);
    }
}

/* ---- many rows of x ------------------------------------------------------------------------------------------- */

/* Unpacks one block of a panel: panel[chain][step][column], zero where a chain ends early. */
QN_INLINE void unpack(enum source source, const struct qn_matmul_params *p, int64_t n, int64_t unit, float *panel,
                      float (*buffer)[BLOCK])
{
    int64_t elements = least(BLOCK * QN_UNIT_ELEMENTS, p->k - unit * QN_UNIT_ELEMENTS);
    int64_t steps = (elements + VF_LANES * QN_UNIT_ELEMENTS - 1) / (VF_LANES * QN_UNIT_ELEMENTS);
    for (int column = 0; column < COLUMNS; column += VF_LANES) {
        const uint8_t *w[VF_LANES];
        for (int i = 0; i < VF_LANES; i++)
            w[i] = row_block(source, p, n + column + i, unit, elements, buffer[i]);
        for (int64_t s = 0; s < steps; s++) {
            vf v[VF_LANES];
            QN_UNROLL
            for (int i = 0; i < VF_LANES; i++)
                v[i] = load_units(source, w[i], s, elements - s * VF_LANES * QN_UNIT_ELEMENTS);
            vf_transpose(v);
            QN_UNROLL
            for (int j = 0; j < VF_LANES; j++)
                vf_store(panel + (j * (BLOCK / VF_LANES) + s) * COLUMNS + column, v[j]);
        }
    }
}

/* Runs `rows` rows of x down one chain and adds it to their totals. */
QN_INLINE void multiply_chain(int rows, const float *panel, int64_t steps, const float *x, int64_t x_stride,
                              float (*totals)[COLUMNS])
{
    vf sum[ROWS][COLUMN_VECTORS];
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            sum[r][v] = vf_zero();
    }
    for (int64_t s = 0; s < steps; s++) {
        vf w[COLUMN_VECTORS];
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            w[v] = vf_load(panel + s * COLUMNS + v * VF_LANES);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vf value = vf_set(x[r * x_stride + s * VF_LANES]);
            QN_UNROLL
            for (int v = 0; v < COLUMN_VECTORS; v++)
                sum[r][v] = QN_MULTIPLY_ADD(w[v], value, sum[r][v]);
        }
    }
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            vf_store(totals[r] + v * VF_LANES, vf_add(vf_load(totals[r] + v * VF_LANES), sum[r][v]));
    }
}

/* All chains of one block for `rows` rows of x. Meanwhile asks for the block of the rows that follow: a chain reads a
 * float of each cache line, which prefetchers do not see through. */
QN_INLINE void multiply_block(int rows, const float *panel, int64_t units, const float *x, int64_t x_stride,
                              float (*totals)[COLUMNS])
{
    for (int j = 0; j < least(VF_LANES, units); j++) {
        int64_t steps = (units - j + VF_LANES - 1) / VF_LANES;
        for (int r = 0; r < rows; r++)
            for (int64_t i = 0; i < steps; i += 64 / (int)sizeof(float))
                __builtin_prefetch(x + (rows + r) * x_stride + j * steps + i);
        multiply_chain(rows, panel + j * (BLOCK / VF_LANES) * COLUMNS, steps, x + j, x_stride, totals);
    }
}

/* One block of a panel times `rows` rows of x from `first` on. Rows by a list are copied, ROWS at a time, to where they
 * stand one behind the other. */
static __attribute__((noinline)) void multiply(const struct qn_matmul_params *p, int64_t first, int64_t rows,
                                               int64_t unit, const float *panel, float (*totals)[COLUMNS],
                                               float (*held)[BLOCK])
{
    int64_t units = least(BLOCK, unit_count(p) - unit), x_stride = p->x_rows ? BLOCK : p->x_stride / 4, m = 0;
    while (m < rows) {
        int64_t count = rows - m >= ROWS ? ROWS : rows - m >= 2 ? 2 : 1;
        const float *x = x_row(p, first + m) + unit;
        for (int64_t r = 0; r < count && p->x_rows; r++) {
            const float *from = x_row(p, first + m + r) + unit;
            for (int64_t i = 0; i < units; i++)
                held[r][i] = from[i];
            x = held[0];
        }
        if (count == ROWS)
            multiply_block(ROWS, panel, units, x, x_stride, totals + m);
        else if (count == 2)
            multiply_block(2, panel, units, x, x_stride, totals + m);
        else
            multiply_block(1, panel, units, x, x_stride, totals + m);
        m += count;
    }
}

/* A tile is COLUMNS rows of weights. */
QN_INLINE void run_many(enum source source, const struct qn_matmul_params *p, int64_t begin, int64_t end,
                        float *scratch)
{
    float *panel = scratch;
    float(*totals)[COLUMNS] = (float(*)[COLUMNS])(panel + BLOCK * COLUMNS);
    float(*buffer)[BLOCK] = (float(*)[BLOCK])(totals + least(p->m, ROWS_HELD)), (*held)[BLOCK] = buffer + VF_LANES;
    for (int64_t n = begin * COLUMNS; n < least(end * COLUMNS, p->n); n += COLUMNS)
        for (int64_t first = 0; first < p->m; first += ROWS_HELD) {
            int64_t rows = least(ROWS_HELD, p->m - first), columns = least(COLUMNS, p->n - n);
            for (int64_t i = 0; i < rows * COLUMN_VECTORS; i++)
                vf_store(totals[0] + i * VF_LANES, vf_zero());
            for (int64_t unit = 0; unit < unit_count(p); unit += BLOCK) {
                unpack(source, p, n, unit, panel, buffer);
                multiply(p, first, rows, unit, panel, totals, held);
            }
            for (int64_t m = 0; m < rows; m++)
                for (int64_t i = 0; i < columns; i++)
                    qn_matmul_store(p, first + m, n + i, totals[m][i]);
        }
}

/* ---- the kernel's functions ----------------------------------------------------------------------------------- */

static int64_t float_tiles(const void *params)
{
    const struct qn_matmul_params *p = params;
    int64_t width = p->m < MANY ? VF_LANES : COLUMNS;
    return (p->n + width - 1) / width;
}

/* What m rows need, or any fewer: a call with a list of rows may have fewer of them than was planned for. */
static int64_t float_scratch(const void *params)
{
    const struct qn_matmul_params *p = params;
    int64_t blocks = (unit_count(p) + BLOCK - 1) / BLOCK;
    int64_t few = BLOCK + least(p->m, MANY - 1) * blocks * VF_LANES * VF_LANES;
    int64_t many = BLOCK * COLUMNS + least(p->m, ROWS_HELD) * COLUMNS + (VF_LANES + (p->x_rows ? ROWS : 0)) * BLOCK;
    return (p->m < MANY || few > many ? few : many) * (int64_t)sizeof(float);
}

QN_INLINE void float_run(enum source source, const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_matmul_params *p = params;
    if (p->m < MANY)
        run_few(source, p, begin, end, scratch);
    else
        run_many(source, p, begin, end, scratch);
}

/* Of SOURCE_GENERIC where the weights have a way of their own. */
QN_INLINE void generic_run(const void *params, int64_t begin, int64_t end, void *scratch)
{
#ifdef QN_LOAD_CODES
    qn_dtype dtype = ((const struct qn_matmul_params *)params)->w_dtype;
    if (dtype == QN_DTYPE_Q4_F32) {
        float_run(SOURCE_Q4_F32, params, begin, end, scratch);
        return;
    }
    if (dtype == QN_DTYPE_Q8_F32) {
        float_run(SOURCE_Q8_F32, params, begin, end, scratch);
        return;
    }
#endif
    float_run(SOURCE_GENERIC, params, begin, end, scratch);
}

/* qn_matmul_<name>: one kernel, with weights in `source_dtype` and x as `form` says. */
#define QN_MATMUL_KERNEL(number, kernel_name, source, source_dtype, form)                        \
    static void run_##kernel_name(const void *params, int64_t begin, int64_t end, void *scratch) \
    {                                                                                            \
        if (source == SOURCE_GENERIC)                                                            \
            generic_run(params, begin, end, scratch);                                            \
        else                                                                                     \
            float_run(source, params, begin, end, scratch);                                      \
    }                                                                                            \
    const struct qn_kernel qn_matmul_##kernel_name = {                                           \
        .serial = number,                                                                        \
        .name = "matmul_" #kernel_name,                                                          \
        .family = QN_FAMILY_MATMUL,                                                              \
        .needs = NEEDS,                                                                          \
        .dtype = source_dtype,                                                                   \
        .act = form,                                                                             \
        .rank = RANK,                                                                            \
        .tiles = float_tiles,                                                                    \
        .scratch = float_scratch,                                                                \
        .run = run_##kernel_name,                                                                \
    }

#endif

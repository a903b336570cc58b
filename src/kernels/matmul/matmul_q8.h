/* Matmul of block types by activations in the form Q8_32, on integers: written once over the vocabulary of simd/simd.h
 * and compiled once an instruction set.
 *
 * The order of sums: integer sums of 32 elements (of 16 for types with halves) are exact. As a float, such a sum is
 * multiplied by its scale; the second half follows by a multiply-add, and minimums by multiply-adds with the sums of x.
 * What comes of a block is joined by one multiply-add with the scale of x to the sum of its step of STEP blocks, and the
 * sums of steps are added along K. Both ways of computing keep to it:
 *
 *   few rows of x    vectors along K: a row of weights streams through registers, STEP blocks at a time, and VF_LANES
 *                    rows are transposed to run down their blocks together.
 *   many rows of x   vectors along N: a panel of rows of weights is decoded into scratch STEP blocks at a time, a lane a
 *                    row, and a register tile runs over it for all rows of x.
 *
 * The including file defines COLUMN_VECTORS, ROWS and ROWS_HALVES: a register tile of rows times vectors. */
#ifndef QN_MATMUL_Q8_H
#define QN_MATMUL_Q8_H

#include "kernels/matmul/matmul.h"
#include "kernels/matmul/matmul_q8_decode.h"

enum {
    ROWS_HELD = 512, /* rows of x whose totals a panel keeps in scratch */
    AHEAD = 12288,   /* bytes that weights are asked for before they are used, where they are used once */
    MANY = 4,        /* rows of x from which a panel pays */
    COLUMNS = COLUMN_VECTORS * VF_LANES,
    TAIL_BYTES = STEP * 34, /* of the widest step */
};

/* 32 elements of VF_LANES rows side by side: four of a row to a lane. */
struct part {
    int32_t q[8][VF_LANES];
    float scale[2][VF_LANES];
    float min[2][VF_LANES];
};

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

QN_INLINE const uint8_t *weight_row(const struct qn_matmul_params *p, int64_t n)
{
    return (const uint8_t *)p->w + least(n, p->n - 1) * p->w_stride;
}

QN_INLINE struct qn_q8_row x_row(const struct qn_matmul_params *p, int64_t m)
{
    return qn_q8_row((const uint8_t *)p->x + m * p->x_stride, p->k);
}

/* The last, incomplete step of a row, zero behind its `bytes` bytes. */
static __attribute__((noinline, cold)) void copy_tail(uint8_t tail[TAIL_BYTES], const uint8_t *row, int64_t bytes)
{
    for (int64_t i = 0; i < TAIL_BYTES; i++)
        tail[i] = i < bytes ? row[i] : 0;
}

/* Blocks `block` and on of a row as a whole step: at the row's end a copy in `tail`. */
QN_INLINE const uint8_t *step_of(enum format f, const uint8_t *row, int64_t block, int64_t count,
                                 uint8_t tail[TAIL_BYTES])
{
    row += bytes_of(f, block);
    if (__builtin_expect(count == STEP, 1))
        return row;
    copy_tail(tail, row, bytes_of(f, count));
    return tail;
}

/* ---- few rows of x ---------------------------------------------------------------------------------------- */

/* One step of a row of weights times one row of x: what each block adds to the total, over the scale of x. */
QN_INLINE vf dot_step(enum format f, const vi q[8], const struct scales *s, const struct qn_q8_row *x, int64_t block)
{
    vi sums[8], first, second;
    QN_UNROLL
    for (int i = 0; i < 8; i++) {
        vi value = vi_bytes((const uint8_t *)x->q + 32 * (block + i * VI_BLOCKS));
        sums[i] = f == Q8_0 ? vi_dot_wide(vi_set(0), q[i], value) : vi_dot(vi_set(0), q[i], value);
    }
    vi_fold(sums, &first, &second);
    if (!has_halves(f)) {
        vi minus = vi_load(x->minus_sum + block), sum = vi_add(first, second);
        if (offset_shift(f))
            sum = vi_add(sum, vi_left(minus, offset_shift(f)));
        vf scaled = vf_mul(vi_float(sum), s->scale[0]);
        return has_min(f) ? vf_fma(s->min[0], vi_float(minus), scaled) : scaled;
    }
    vi minus_first = vi_load(x->minus_first + block), minus_second = vi_load(x->minus_second + block);
    if (offset_shift(f)) {
        first = vi_add(first, vi_left(minus_first, offset_shift(f)));
        second = vi_add(second, vi_left(minus_second, offset_shift(f)));
    }
    vf scaled = vf_mul(vi_float(first), s->scale[0]);
    if (has_min(f))
        scaled = vf_fma(s->min[0], vi_float(minus_first), scaled);
    scaled = vf_fma(vi_float(second), s->scale[1], scaled);
    return has_min(f) ? vf_fma(s->min[1], vi_float(minus_second), scaled) : scaled;
}

/* Runs VF_LANES rows of weights down their blocks and stores the outputs of one row of x. */
QN_INLINE void fold_few(const struct qn_matmul_params *p, int64_t m, int64_t n, float (*scaled)[VF_LANES][STEP])
{
    int64_t blocks = p->k / 32;
    const float *x_scale = x_row(p, m).scale;
    vf total = vf_zero();
    for (int64_t block = 0; block < blocks; block += STEP, scaled++) {
        vf v[STEP];
        QN_UNROLL
        for (int i = 0; i < VF_LANES; i++)
            v[i] = vf_load(scaled[0][i]);
        vf_transpose(v);
        vf sum = vf_zero();
        if (blocks - block >= STEP) {
            QN_UNROLL
            for (int b = 0; b < STEP; b++)
                sum = vf_fma(v[b], vf_set(x_scale[block + b]), sum);
        } else {
            for (int b = 0; b < blocks - block; b++)
                sum = vf_fma(v[b], vf_set(x_scale[block + b]), sum);
        }
        total = vf_add(total, sum);
    }
    float sums[VF_LANES];
    vf_store(sums, total);
    for (int64_t i = 0; i < least(VF_LANES, p->n - n); i++)
        qn_matmul_store(p, m, n + i, sums[i]);
}

/* One row of weights times `rows` rows of x (0: as many as there are). */
QN_INLINE void stream_row(enum format f, const struct qn_matmul_params *p, int rows, const uint8_t *row, int i,
                          float (*scaled)[VF_LANES][STEP], int64_t steps)
{
    struct qn_q8_row x = x_row(p, 0);
    uint8_t tail[TAIL_BYTES];
    for (int64_t step = 0; step < steps; step++) {
        const uint8_t *w = step_of(f, row, step * STEP, least(STEP, p->k / 32 - step * STEP), tail);
        for (int64_t ahead = 0; ahead < bytes_of(f, STEP); ahead += 64)
            __builtin_prefetch(w + AHEAD + ahead);
        struct scales s = scales_of(f, w);
        vi q[8];
        QN_UNROLL
        for (int j = 0; j < 8; j++)
            q[j] = levels(f, w, j);
        vf_store(scaled[step][i], dot_step(f, q, &s, &x, step * STEP));
        for (int64_t m = 1; m < (rows ? rows : p->m); m++) {
            struct qn_q8_row other = x_row(p, m);
            vf_store(scaled[m * steps + step][i], dot_step(f, q, &s, &other, step * STEP));
        }
    }
}

/* A tile is VF_LANES rows of weights. */
QN_INLINE void run_few(enum format f, const struct qn_matmul_params *p, int64_t begin, int64_t end, float *scratch)
{
    int64_t steps = (p->k / 32 + STEP - 1) / STEP;
    float(*scaled)[VF_LANES][STEP] = (float(*)[VF_LANES][STEP])scratch; /* [m][steps] */
    for (int64_t n = begin * VF_LANES; n < least(end * VF_LANES, p->n); n += VF_LANES) {
        for (int i = 0; i < VF_LANES; i++)
            if (p->m == 1)
                stream_row(f, p, 1, weight_row(p, n + i), i, scaled, steps);
            else
                stream_row(f, p, 0, weight_row(p, n + i), i, scaled, steps);
        for (int64_t m = 0; m < p->m; m++)
            fold_few(p, m, n, scaled + m * steps);
    }
}

/* ---- many rows of x: a panel ------------------------------------------------------------------------------ */

QN_INLINE void transpose_scales(vf v[VF_LANES], int64_t count, float *out)
{
    vf_transpose(v);
    for (int64_t b = 0; b < count; b++)
        vf_store(out + b * COLUMN_VECTORS * (int64_t)(sizeof(struct part) / sizeof(float)), v[b]);
}

/* Decodes `count` blocks of VF_LANES rows from n on into parts[0], parts[COLUMN_VECTORS], ... */
QN_INLINE void unpack(enum format f, const struct qn_matmul_params *p, int64_t n, int64_t block, int64_t count,
                      struct part *parts)
{
    uint8_t tails[VF_LANES][TAIL_BYTES];
    const uint8_t *w[VF_LANES];
    vf scale[2][VF_LANES], min[2][VF_LANES];
    for (int i = 0; i < VF_LANES; i++) {
        w[i] = step_of(f, weight_row(p, n + i), block, count, tails[i]);
        struct scales s = scales_of(f, w[i]);
        scale[0][i] = s.scale[0];
        if (has_halves(f))
            scale[1][i] = s.scale[1];
        if (has_min(f))
            min[0][i] = s.min[0];
        if (has_min(f) && has_halves(f))
            min[1][i] = s.min[1];
    }
    for (int half = 0; half < (has_halves(f) ? 2 : 1); half++) {
        transpose_scales(scale[half], count, parts->scale[half]);
        if (has_min(f))
            transpose_scales(min[half], count, parts->min[half]);
    }
    QN_UNROLL
    for (int j = 0; j < 8; j++) {
        vi v[VF_LANES];
        QN_UNROLL
        for (int i = 0; i < VF_LANES; i++)
            v[i] = levels(f, w[i], j);
        vi_transpose(v);
        QN_UNROLL
        for (int i = 0; i < VF_LANES; i++)
            vi_store(parts[(j * VI_BLOCKS + i / 8) * COLUMN_VECTORS].q[i % 8], v[i]);
    }
}

/* ---- many rows of x: the register tile -------------------------------------------------------------------- */

/* Sums of four products over groups [begin, end) of a part, from sum[r][v] on; x[r] are bytes at that part. */
QN_INLINE void dot_groups(enum format f, int rows, const struct part *part, int begin, int end,
                          const uint8_t *const x[ROWS], int64_t element, vi sum[ROWS][COLUMN_VECTORS])
{
    QN_UNROLL
    for (int g = begin; g < end; g++) {
        vi w[COLUMN_VECTORS];
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            w[v] = vi_load(part[v].q[g]);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vi four = vi_set4(x[r] + element + 4 * g);
            QN_UNROLL
            for (int v = 0; v < COLUMN_VECTORS; v++)
                sum[r][v] = f == Q8_0 ? vi_dot_wide(sum[r][v], w[v], four) : vi_dot(sum[r][v], w[v], four);
        }
    }
}

/* Integers and floats of the rows' arrays: rows are reached by one pointer each, arrays by offsets they share. */
QN_INLINE int32_t int_at(const uint8_t *row, int64_t offset)
{
    return *(const int32_t *)(const void *)(row + offset);
}
QN_INLINE float float_at(const uint8_t *row, int64_t offset)
{
    return *(const float *)(const void *)(row + offset);
}

/* One block times `rows` rows of x. */
QN_INLINE void multiply_part(enum format f, int rows, const struct part *part, const uint8_t *const x[ROWS],
                             const struct qn_q8_layout *at, int64_t block, vf sum[ROWS][COLUMN_VECTORS])
{
    vf scaled[ROWS][COLUMN_VECTORS];
    const int halves = has_halves(f) ? 2 : 1;
    QN_UNROLL
    for (int half = 0; half < halves; half++) {
        int64_t minus = (halves == 1 ? at->minus_sum : half ? at->minus_second : at->minus_first) + 4 * block;
        vi dot[ROWS][COLUMN_VECTORS];
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vi start = offset_shift(f) ? vi_left(vi_set(int_at(x[r], minus)), offset_shift(f)) : vi_set(0);
            QN_UNROLL
            for (int v = 0; v < COLUMN_VECTORS; v++)
                dot[r][v] = start;
        }
        dot_groups(f, rows, part, half * 4, half * 4 + 8 / halves, x, 32 * block, dot);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            QN_UNROLL
            for (int v = 0; v < COLUMN_VECTORS; v++) {
                vf value = vi_float(dot[r][v]), scale = vf_load(part[v].scale[half]);
                scaled[r][v] = half ? vf_fma(value, scale, scaled[r][v]) : vf_mul(value, scale);
                if (has_min(f))
                    scaled[r][v] = vf_fma(vf_load(part[v].min[half]), vi_float(vi_set(int_at(x[r], minus))), scaled[r][v]);
            }
        }
    }
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            sum[r][v] = vf_fma(scaled[r][v], vf_set(float_at(x[r], at->scale + 4 * block)), sum[r][v]);
    }
}

/* `count` blocks from `block` on times `rows` rows of x from m on. */
QN_INLINE void multiply_rows(enum format f, int rows, const struct part *parts, int64_t block, int64_t count,
                             const struct qn_matmul_params *p, int64_t m, float (*totals)[COLUMNS])
{
    struct qn_q8_layout at = qn_q8_layout(p->k);
    const uint8_t *x[ROWS];
    vf sum[ROWS][COLUMN_VECTORS];
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        x[r] = (const uint8_t *)p->x + (m + r) * p->x_stride;
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            sum[r][v] = vf_zero();
    }
    for (int64_t b = 0; b < count; b++)
        multiply_part(f, rows, parts + b * COLUMN_VECTORS, x, &at, block + b, sum);
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            vf_store(totals[r] + v * VF_LANES, vf_add(vf_load(totals[r] + v * VF_LANES), sum[r][v]));
    }
}

/* The same for any number of rows of x, in register tiles of ROWS or ROWS_HALVES and a smaller last one. */
QN_INLINE void multiply_all(enum format f, const struct part *parts, int64_t block, int64_t count,
                            const struct qn_matmul_params *p, int64_t begin, int64_t end, float (*totals)[COLUMNS])
{
    const int rows = has_halves(f) ? ROWS_HALVES : ROWS;
    int64_t m = begin;
    for (; m + rows <= end; m += rows)
        multiply_rows(f, rows, parts, block, count, p, m, totals + (m - begin));
    totals += m - begin;
    switch (end - m) {
    case 5:
        multiply_rows(f, rows > 5 ? 5 : 1, parts, block, count, p, m, totals);
        break;
    case 4:
        multiply_rows(f, rows > 4 ? 4 : 1, parts, block, count, p, m, totals);
        break;
    case 3:
        multiply_rows(f, rows > 3 ? 3 : 1, parts, block, count, p, m, totals);
        break;
    case 2:
        multiply_rows(f, rows > 2 ? 2 : 1, parts, block, count, p, m, totals);
        break;
    case 1:
        multiply_rows(f, 1, parts, block, count, p, m, totals);
        break;
    default:
        break;
    }
}

/* A tile is COLUMNS rows of weights. */
QN_INLINE void run_many(enum format f, const struct qn_matmul_params *p, int64_t begin, int64_t end, void *scratch)
{
    struct part *parts = scratch;
    float(*totals)[COLUMNS] = (float(*)[COLUMNS])(void *)(parts + STEP * COLUMN_VECTORS);
    int64_t blocks = p->k / 32;
    for (int64_t n = begin * COLUMNS; n < least(end * COLUMNS, p->n); n += COLUMNS)
        for (int64_t first = 0; first < p->m; first += ROWS_HELD) {
            int64_t last = least(first + ROWS_HELD, p->m);
            for (int64_t i = 0; i < (last - first) * COLUMNS; i++)
                totals[0][i] = 0;
            for (int64_t block = 0; block < blocks; block += STEP) {
                int64_t count = least(STEP, blocks - block);
                for (int v = 0; v < COLUMN_VECTORS; v++)
                    unpack(f, p, n + v * VF_LANES, block, count, parts + v);
                multiply_all(f, parts, block, count, p, first, last, totals);
            }
            for (int64_t m = first; m < last; m++)
                for (int64_t i = 0; i < least(COLUMNS, p->n - n); i++)
                    qn_matmul_store(p, m, n + i, totals[m - first][i]);
        }
}

/* ---- the kernel's functions ------------------------------------------------------------------------------- */

static int64_t q8_tiles(const void *params)
{
    const struct qn_matmul_params *p = params;
    int64_t width = p->m < MANY ? VF_LANES : COLUMNS;
    return (p->n + width - 1) / width;
}

static int64_t q8_scratch(const void *params)
{
    const struct qn_matmul_params *p = params;
    int64_t steps = (p->k / 32 + STEP - 1) / STEP;
    int64_t few = p->m * steps * VF_LANES * STEP * (int64_t)sizeof(float);
    int64_t many = STEP * COLUMN_VECTORS * (int64_t)sizeof(struct part) +
                   least(p->m, ROWS_HELD) * COLUMNS * (int64_t)sizeof(float);
    return p->m < MANY ? few : many;
}

QN_INLINE void q8_run(enum format f, const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_matmul_params *p = params;
    if (p->m < MANY)
        run_few(f, p, begin, end, scratch);
    else
        run_many(f, p, begin, end, scratch);
}

#endif

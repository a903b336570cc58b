/* Matmul of block types by activations in the form Q8_32, on integers: written once over the vocabulary of simd/simd.h
 * and compiled once an instruction set.
 *
 * The order of sums: integer sums of 32 elements (of 16 for types with halves) are exact. As a float, such a sum is
 * multiplied by its scale; the second half follows by a multiply-add, and minimums by multiply-adds with the sums of x.
 * What comes of a block is joined by one multiply-add with the scale of x to the sum of its step of STEP blocks, and
 * the sums of steps are added along K. Both ways of computing keep to it:
 *
 *   few rows of x    vectors along K: a row of weights streams through registers, STEP blocks at a time, and VF_LANES
 *                    rows are transposed to run down their blocks together.
 *   many rows of x   vectors along N: a panel of rows of weights is decoded into scratch STEP blocks at a time, a lane
 *                    a row, and a register tile runs over it for all rows of x.
 *
 * The including file defines COLUMN_VECTORS, ROWS and ROWS_HALVES: a register tile of rows times vectors; then NEEDS
 * and RANK for the kernels, QN_MATMUL_KERNEL. */
#ifndef QN_MATMUL_Q8_H
#define QN_MATMUL_Q8_H

#include "kernels/matmul/matmul.h"
#include "kernels/matmul/matmul_q8_decode.h"

enum {
    ROWS_HELD = 512, /* rows of x whose totals a panel keeps in scratch */
    AHEAD = 12288,   /* bytes that weights are asked for before they are used, where they are used once */
    MANY = 8,        /* rows of x from which a panel pays */
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

/* ---- few rows of x -------------------------------------------------------------------------------------------- */

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
static __attribute__((noinline)) void fold_few(const struct qn_matmul_params *p, int64_t m, int64_t n,
                                               float (*scaled)[VF_LANES][STEP])
{
    int64_t blocks = p->k / 32;
    const float *x_scale = qn_q8_row(qn_matmul_x(p, m), p->k).scale;
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
    struct qn_q8_layout layout = qn_q8_layout(p->k);
    struct qn_q8_row x = qn_q8_row_at(qn_matmul_x(p, 0), &layout);
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
            struct qn_q8_row other = qn_q8_row_at(qn_matmul_x(p, m), &layout);
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

/* ---- many rows of x: a panel ---------------------------------------------------------------------------------- */

/* Decodes `count` blocks of VF_LANES rows from n on into parts[0], parts[COLUMN_VECTORS], ... */
QN_INLINE void unpack(enum format f, const struct qn_matmul_params *p, int64_t n, int64_t block, int64_t count,
                      struct part *parts)
{
    const int halves = has_halves(f) ? 2 : 1;
    const bool min = has_min(f);
    uint8_t tails[VF_LANES][TAIL_BYTES];
    const uint8_t *w[VF_LANES];
    vf scales[2][VF_LANES], mins[2][VF_LANES];
    for (int i = 0; i < VF_LANES; i++) {
        w[i] = step_of(f, weight_row(p, n + i), block, count, tails[i]);
        struct scales s = scales_of(f, w[i]);
        for (int half = 0; half < halves; half++) {
            scales[half][i] = s.scale[half];
            if (min)
                mins[half][i] = s.min[half];
        }
    }
    for (int half = 0; half < halves; half++) {
        vf_transpose(scales[half]);
        for (int64_t b = 0; b < count; b++)
            vf_store(parts[b * COLUMN_VECTORS].scale[half], scales[half][b]);
        if (min) {
            vf_transpose(mins[half]);
            for (int64_t b = 0; b < count; b++)
                vf_store(parts[b * COLUMN_VECTORS].min[half], mins[half][b]);
        }
    }
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

/* ---- many rows of x: the register tile ------------------------------------------------------------------------ */

/* Where the rows of x stand at one part: rows are reached by one pointer each, arrays by offsets that they share. */
struct place {
    int64_t q, scale, minus[2]; /* bytes from a row's start; minus of the whole part, or of its halves */
};

QN_INLINE int32_t int_at(const uint8_t *row, int64_t offset)
{
    return *(const int32_t *)(const void *)(row + offset);
}
QN_INLINE float float_at(const uint8_t *row, int64_t offset)
{
    return *(const float *)(const void *)(row + offset);
}

/* Sums of four products over groups [begin, end) of a part, from dot[r][v] on. */
QN_INLINE void dot_groups(enum format f, int rows, const struct part *part, int begin, int end,
                          const uint8_t *const x[ROWS], int64_t q, vi dot[ROWS][COLUMN_VECTORS])
{
    QN_UNROLL
    for (int g = begin; g < end; g++) {
        vi w[COLUMN_VECTORS];
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            w[v] = vi_load(part[v].q[g]);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vi four = vi_set4(x[r] + q + 4 * g);
            QN_UNROLL
            for (int v = 0; v < COLUMN_VECTORS; v++)
                dot[r][v] = f == Q8_0 ? vi_dot_wide(dot[r][v], w[v], four) : vi_dot(dot[r][v], w[v], four);
        }
    }
}

/* One part times `rows` rows of x. */
QN_INLINE void multiply_part(enum format f, int rows, const struct part *part, const uint8_t *const x[ROWS],
                             const struct place *at, vf sum[ROWS][COLUMN_VECTORS])
{
    vf scaled[ROWS][COLUMN_VECTORS];
    const int halves = has_halves(f) ? 2 : 1;
    QN_UNROLL
    for (int half = 0; half < halves; half++) {
        vi dot[ROWS][COLUMN_VECTORS];
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vi minus = vi_set(int_at(x[r], at->minus[half]));
            vi start = offset_shift(f) ? vi_left(minus, offset_shift(f)) : vi_set(0);
            QN_UNROLL
            for (int v = 0; v < COLUMN_VECTORS; v++)
                dot[r][v] = start;
        }
        dot_groups(f, rows, part, half * 4, half * 4 + 8 / halves, x, at->q, dot);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vf minus = vi_float(vi_set(int_at(x[r], at->minus[half])));
            QN_UNROLL
            for (int v = 0; v < COLUMN_VECTORS; v++) {
                vf value = vi_float(dot[r][v]), scale = vf_load(part[v].scale[half]);
                scaled[r][v] = half ? vf_fma(value, scale, scaled[r][v]) : vf_mul(value, scale);
                if (has_min(f))
                    scaled[r][v] = vf_fma(vf_load(part[v].min[half]), minus, scaled[r][v]);
            }
        }
    }
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            sum[r][v] = vf_fma(scaled[r][v], vf_set(float_at(x[r], at->scale)), sum[r][v]);
    }
}

/* A step of a panel: `count` parts from block `block` of K on, and rows [begin, end) of x, whose totals are totals[0]
 * and on. */
struct work {
    const struct part *parts;
    int64_t block, count;
    int64_t begin, end;
    float (*totals)[COLUMNS];
};

QN_INLINE void multiply_rows(enum format f, int rows, const struct qn_matmul_params *p, const struct work *work,
                             int64_t m)
{
    struct qn_q8_layout layout = qn_q8_layout(p->k);
    struct place at = {32 * work->block, layout.scale + 4 * work->block, {layout.minus_sum + 4 * work->block}};
    if (has_halves(f)) {
        at.minus[0] = layout.minus_first + 4 * work->block;
        at.minus[1] = layout.minus_second + 4 * work->block;
    }
    const uint8_t *x[ROWS];
    vf sum[ROWS][COLUMN_VECTORS];
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        x[r] = qn_matmul_x(p, m + r);
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            sum[r][v] = vf_zero();
    }
    for (int64_t b = 0; b < work->count; b++) {
        multiply_part(f, rows, work->parts + b * COLUMN_VECTORS, x, &at, sum);
        at.q += 32;
        at.scale += 4;
        at.minus[0] += 4;
        at.minus[1] += 4;
    }
    float(*totals)[COLUMNS] = work->totals + (m - work->begin);
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < COLUMN_VECTORS; v++)
            vf_store(totals[r] + v * VF_LANES, vf_add(vf_load(totals[r] + v * VF_LANES), sum[r][v]));
    }
}

QN_INLINE void multiply_format(enum format f, const struct qn_matmul_params *p, const struct work *work)
{
    const int rows = has_halves(f) ? ROWS_HALVES : ROWS;
    int64_t m = work->begin;
    for (; m + rows <= work->end; m += rows)
        multiply_rows(f, rows, p, work, m);
    for (; rows > 2 && m + 2 <= work->end; m += 2)
        multiply_rows(f, rows > 2 ? 2 : 1, p, work, m);
    for (; m < work->end; m++)
        multiply_rows(f, 1, p, work, m);
}

/* Parts of several formats are alike: one function for each kind of part. */
static __attribute__((noinline)) void multiply(enum format f, const struct qn_matmul_params *p, const struct work *work)
{
    switch (f) {
    case Q4_0:
        multiply_format(Q4_0, p, work);
        break;
    case Q5_0:
        multiply_format(Q5_0, p, work);
        break;
    case Q8_0:
        multiply_format(Q8_0, p, work);
        break;
    case Q2_K:
        multiply_format(Q2_K, p, work);
        break;
    case Q3_K:
        multiply_format(Q3_K, p, work);
        break;
    case Q6_K:
        multiply_format(Q6_K, p, work);
        break;
    case Q4_1:
    case Q5_1:
    case Q4_K:
    case Q5_K:
        multiply_format(Q4_K, p, work);
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
                totals[i / COLUMNS][i % COLUMNS] = 0;
            for (int64_t block = 0; block < blocks; block += STEP) {
                int64_t count = least(STEP, blocks - block);
                for (int v = 0; v < COLUMN_VECTORS; v++)
                    unpack(f, p, n + v * VF_LANES, block, count, parts + v);
                struct work work = {parts, block, count, first, last, totals};
                multiply(f, p, &work);
            }
            for (int64_t m = first; m < last; m++)
                for (int64_t i = 0; i < least(COLUMNS, p->n - n); i++)
                    qn_matmul_store(p, m, n + i, totals[m - first][i]);
        }
}

/* ---- the kernel's functions ----------------------------------------------------------------------------------- */

static int64_t q8_tiles(const void *params)
{
    const struct qn_matmul_params *p = params;
    int64_t width = p->m < MANY ? VF_LANES : COLUMNS;
    return (p->n + width - 1) / width;
}

/* What m rows need, or any fewer: a call with a list of rows may have fewer of them than was planned for. */
static int64_t q8_scratch(const void *params)
{
    const struct qn_matmul_params *p = params;
    int64_t steps = (p->k / 32 + STEP - 1) / STEP;
    int64_t few = least(p->m, MANY - 1) * steps * VF_LANES * STEP * (int64_t)sizeof(float);
    int64_t many = STEP * COLUMN_VECTORS * (int64_t)sizeof(struct part) +
                   least(p->m, ROWS_HELD) * COLUMNS * (int64_t)sizeof(float);
    return p->m < MANY || few > many ? few : many;
}

QN_INLINE void q8_run(enum format f, const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_matmul_params *p = params;
    if (p->m < MANY)
        run_few(f, p, begin, end, scratch);
    else
        run_many(f, p, begin, end, scratch);
}

/* qn_matmul_<name>: the kernel of one block type. */
#define QN_MATMUL_KERNEL(number, kernel_name, TYPE)                                              \
    static void run_##kernel_name(const void *params, int64_t begin, int64_t end, void *scratch) \
    {                                                                                            \
        q8_run(TYPE, params, begin, end, scratch);                                               \
    }                                                                                            \
    const struct qn_kernel qn_matmul_##kernel_name = {                                           \
        .serial = number,                                                                        \
        .name = "matmul_" #kernel_name,                                                          \
        .family = QN_FAMILY_MATMUL,                                                              \
        .needs = NEEDS,                                                                          \
        .dtype = QN_DTYPE_##TYPE,                                                                \
        .act = QN_ACT_Q8_32,                                                                     \
        .rank = RANK,                                                                            \
        .tiles = q8_tiles,                                                                       \
        .scratch = q8_scratch,                                                                   \
        .run = run_##kernel_name,                                                                \
    }

#endif

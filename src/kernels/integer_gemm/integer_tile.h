/* Integer products with packed panels, for INTEGER_GEMM and INTEGER_CONV: a block of rows by a panel, summed in
 * registers over all of k, then brought to the output's dtype.
 *
 * The dot product of four bytes is one instruction with VNNI (512 or 256 bits wide). AVX2 has tiles of its own:
 * for sorted panels (integer_sorted.h) and for others (integer_words.h, "words" below).
 *
 * The instruction is written out because gcc, given its intrinsic, moves sums between registers and memory: a tile took
 * 1.1 to 2 times as long (gcc 12, k of 64 to 256). */
#ifndef QN_KERNELS_INTEGER_TILE_H
#define QN_KERNELS_INTEGER_TILE_H

#include <stddef.h>

#include "kernels/integer_gemm/integer_gemm.h"
#include "kernels/simd/vec_activation.h"
#include "kernels/simd/vec_bytes.h"

#if defined(QN_INT_SORTED)
enum { INT_ROWS = 12 };
#elif defined(__AVX512VNNI__)
enum { INT_ROWS = 12 };
QN_INLINE vi int_dot(vi sum, vi u, vi s)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(s));
    return sum;
}
#elif defined(__AVXVNNI__)
enum { INT_ROWS = 6 };
QN_INLINE vi int_dot(vi sum, vi u, vi s)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(u), "x"(s));
    return sum;
}
#else
enum { INT_ROWS = 6 };
#define QN_INT_WIDENS 1 /* rows are given as 16-bit numbers */
#endif

enum { INT_UNIT = 2 * VF_LANES /* columns of a register tile */, INT_VECTORS = QN_INTEGER_PANEL / VF_LANES };

enum { INT_STORE = 6 /* rows whose vectors stay in registers */ };

/* What stands in front of the sums of a panel's columns. */
struct int_columns {
    _Alignas(64) int32_t offset[QN_INTEGER_PANEL];    /* bias - a_zero corrected, or bias where a_zero differs by row */
    _Alignas(64) int32_t corrected[QN_INTEGER_PANEL]; /* column sum - k b_zero */
    _Alignas(64) int32_t b_zero[QN_INTEGER_PANEL];
    _Alignas(64) float scale[QN_INTEGER_PANEL];
    _Alignas(64) float bias[QN_INTEGER_PANEL];
    bool has_b_zero;
    bool small_scales; /* all below 1: a scaled sum of 32 bits stays one */
};

/* A block of rows as the tiles read it. */
struct int_rows {
    const void *a;        /* bytes; words: 16-bit numbers; sorted: copies, tile by tile */
    int64_t a_row;        /* bytes between rows */
    int64_t rows, k;      /* k: to read; a multiple of 4 where zeros follow the last (words: always) */
    bool flip;            /* bytes are signed: 128 is added (AVX2: has been) */
    const int32_t *sums;  /* of each row, 128 included; needed where some b_zero is not 0 */
    const int32_t *zeros; /* a_zero of each row, 128 included; NULL: a_zero */
    int32_t a_zero;
    int32_t ahead; /* bytes of the next panel to fetch with 16 bytes of each row, at most 128; 0: do not */
};

#if defined(QN_INT_SORTED)
static inline int64_t int_panel_bytes(int64_t k)
{
    return qn_integer_sorted_panel_bytes(k);
}

/* Where a panel has the sums of its columns. */
static inline int64_t int_sums_at(int64_t k)
{
    (void)k;
    return 0;
}
#else
static inline int64_t int_panel_bytes(int64_t k)
{
    return qn_integer_panel_bytes(k);
}

static inline int64_t int_sums_at(int64_t k)
{
    return qn_integer_panel_bytes(k) - QN_INTEGER_PANEL * 4;
}
#endif

/* A panel is fetched while the rows pass over the one before it. Under fewer than three tiles it streams in anyhow. */
static inline int32_t int_fetch_ahead(int64_t rows)
{
    return rows >= 3 * INT_ROWS ? (int32_t)((16 * QN_INTEGER_PANEL * INT_ROWS + rows - 1) / rows) : 0;
}

static inline int32_t int_zero(const void *zero, int64_t i, bool is_signed, int32_t shift)
{
    return (zero ? qn_integer_byte(zero, i, is_signed) : 0) + shift;
}

/* The common end: bytes, one factor below 1 a column, no zero points of weights. */
struct int_bytes {
    const struct int_columns *columns;
    char *y; /* the block's first row, the panel's first column */
    int64_t stride;
    int64_t left; /* columns of the panel that y has */
    int32_t zero;
    bool is_signed, relu;
};

static inline struct int_bytes int_bytes_of(const struct int_columns *columns, const struct qn_integer_out *out,
                                            char *y, int64_t left)
{
    bool is_signed = out->dtype == QN_DTYPE_I8;
    return (struct int_bytes){.columns = columns,
                              .y = y,
                              .stride = out->stride,
                              .left = left,
                              .zero = int_zero(out->y_zero, 0, is_signed, 0),
                              .is_signed = is_signed,
                              .relu = out->activation == QN_ACTIVATION_RELU};
}

/* A tile's sums, offsets included, two vectors a row, brought to y. What `f` holds is read before the first store: for
 * the compiler, y may lie anywhere. */
QN_INLINE void int_store_rows(const int rows, const struct int_bytes *f, int64_t row, int64_t column, const vi *acc,
                              const bool full)
{
    struct vi_saturation s = vi_saturation(f->zero, f->relu ? f->zero : f->is_signed ? -128 : 0, f->is_signed);
    const float *scale = f->columns->scale + column;
    char *to = f->y + row * f->stride + column;
    int64_t stride = f->stride, left = full ? INT_UNIT : f->left - column;
    QN_UNROLL
    for (int r = 0; r < rows; r += 2, to += 2 * stride) {
        vi v[4];
        QN_UNROLL
        for (int j = 0; j < 4; j++) /* behind an odd last row: that row again */
            v[j] = vi_nearest(
                vf_mul(vi_float(acc[r + 1 < rows ? r * 2 + j : r * 2 + j % 2]), vf_load(scale + j % 2 * VF_LANES)));
        vi bytes = vi_saturate(v[0], v[1], v[2], v[3], &s);
        vi_store_half(to, bytes, false, left);
        if (r + 1 < rows)
            vi_store_half(to + stride, bytes, true, left);
    }
}

QN_INLINE void int_store_part(const int rows, const struct int_bytes *f, int64_t row, int64_t column,
                              const int32_t *out)
{
    vi acc[2 * INT_STORE];
    QN_UNROLL
    for (int j = 0; j < rows * 2; j++) {
        int64_t at = column + j % 2 * VF_LANES;
        acc[j] = vi_add(vi_load(out + j / 2 * QN_INTEGER_PANEL + at), vi_load(f->columns->offset + at));
    }
    if (f->left - column >= INT_UNIT)
        int_store_rows(rows, f, row, column, acc, true);
    else
        int_store_rows(rows, f, row, column, acc, false);
}

/* Sums of a panel, out[rows][QN_INTEGER_PANEL], offsets not included, brought to y. */
QN_INLINE void int_store_sums(const int rows, const struct int_bytes *f, int64_t row, const int32_t *out)
{
    const int first = rows < INT_STORE ? rows : INT_STORE;
    for (int64_t column = 0; column < f->left; column += INT_UNIT) {
        int_store_part(first, f, row, column, out);
        if (rows > first)
            int_store_part(rows - first, f, row + first, column, out + first * QN_INTEGER_PANEL);
    }
}

enum { INT_LINES = (INT_ROWS + 2) / 3 };

/* Where the tile of rows from `row` on fetches the next panel, counted from this one. The tiles of a panel share it, so
 * that it comes from memory no faster than this one is worked off; a burst at its beginning would be waited for. */
QN_INLINE int64_t int_ahead(const struct int_rows *block, int64_t row)
{
    return int_panel_bytes(block->k) + block->k / 16 * block->ahead * (row / INT_ROWS);
}

#if defined(QN_INT_SORTED)
#include "kernels/integer_gemm/integer_sorted.h"
#elif defined(QN_INT_WIDENS)
#include "kernels/integer_gemm/integer_words.h"
#else
/* Adds the products of the next 4 `steps` bytes of each row. Rows are found from every third one: x86 addresses reach
 * two strides further. */
QN_INLINE void int_steps(const int rows, const int vectors, const int steps, const uint8_t *lines[INT_LINES],
                         int64_t stride, const char *b, vi *acc, bool flip)
{
    vi shift = vi_set((int32_t)0x80808080u);
    QN_UNROLL
    for (int step = 0; step < steps; step++, b += QN_INTEGER_PANEL * 4) {
        vi w0 = vi_load((const int32_t *)(const void *)b);
        vi w1 = vectors > 1 ? vi_load((const int32_t *)(const void *)b + VF_LANES) : w0;
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vi x = vi_set4(lines[r / 3] + r % 3 * stride + step * 4);
            x = flip ? vi_xor(x, shift) : x;
            acc[r * 2] = int_dot(acc[r * 2], x, w0);
            if (vectors > 1)
                acc[r * 2 + 1] = int_dot(acc[r * 2 + 1], x, w1);
        }
    }
    QN_UNROLL
    for (int g = 0; g < (rows + 2) / 3; g++)
        lines[g] += steps * 4;
}

/* Rows times INT_UNIT columns of a panel, of which the first `vectors` vectors count, to y where `bytes` is given,
 * otherwise to out[rows][QN_INTEGER_PANEL]. */
QN_INLINE void int_tile(const int rows, const int vectors, const struct int_rows *block, int64_t row, const char *panel,
                        int64_t column, int32_t *out, const struct int_bytes *bytes, bool flip)
{
    const uint8_t *a = (const uint8_t *)block->a + row * block->a_row, *lines[INT_LINES];
    const char *b = panel + column * 4, *next = panel + int_ahead(block, row);
    int64_t stride = block->a_row, k = block->k, i = 0;
    vi acc[INT_ROWS * 2];
    QN_UNROLL
    for (int j = 0; j < rows * 2; j++) {
        acc[j] = bytes ? vi_load(bytes->columns->offset + column + j % 2 * VF_LANES) : vi_set(0);
        __asm__("" : "+v"(acc[j]));
    }
    QN_UNROLL
    for (int g = 0; g < (rows + 2) / 3; g++) {
        lines[g] = a + 3 * g * stride;
        __asm__("" : "+r"(lines[g])); /* or they are counted from one, with as many strides to keep */
    }
    for (; i + 16 <= k; i += 16, b += QN_INTEGER_PANEL * 16, next += block->ahead) {
        __builtin_prefetch(next, 0, 2);
        __builtin_prefetch(next + 64, 0, 2);
        int_steps(rows, vectors, 4, lines, stride, b, acc, flip);
    }
    for (; i + 4 <= k; i += 4, b += QN_INTEGER_PANEL * 4)
        int_steps(rows, vectors, 1, lines, stride, b, acc, flip);
    if (i < k) {
        uint8_t rest[INT_ROWS * 4] = {0};
        for (int r = 0; r < rows; r++)
            for (int64_t j = 0; j < k - i; j++)
                rest[r * 4 + j] = a[r * stride + i + j];
        for (int g = 0; g < (rows + 2) / 3; g++)
            lines[g] = rest + 12 * g;
        int_steps(rows, vectors, 1, lines, 4, b, acc, flip);
    }
    if (bytes && bytes->left - column >= INT_UNIT)
        int_store_rows(rows, bytes, row, column, acc, true);
    else if (bytes)
        int_store_rows(rows, bytes, row, column, acc, false);
    QN_UNROLL
    for (int r = 0; !bytes && r < rows; r++) {
        vi_store(out + r * QN_INTEGER_PANEL + column, acc[r * 2]);
        vi_store(out + r * QN_INTEGER_PANEL + column + VF_LANES, acc[r * 2 + 1]);
    }
}
/* Sums of a panel for rows [row, row + count), count <= INT_ROWS: see int_tile. */
QN_INLINE void int_tile_panel(const int rows, const struct int_rows *block, int64_t row, const char *panel,
                              int32_t *out, const struct int_bytes *bytes)
{
    int64_t end = bytes ? bytes->left : QN_INTEGER_PANEL;
    for (int64_t column = 0; column < end; column += INT_UNIT) {
        bool narrow = bytes && end - column <= VF_LANES;
        if (block->flip && narrow)
            int_tile(rows, 1, block, row, panel, column, out, bytes, true);
        else if (narrow)
            int_tile(rows, 1, block, row, panel, column, out, bytes, false);
        else if (block->flip && bytes)
            int_tile(rows, 2, block, row, panel, column, out, bytes, true);
        else if (block->flip)
            int_tile(rows, 2, block, row, panel, column, out, NULL, true);
        else if (bytes)
            int_tile(rows, 2, block, row, panel, column, out, bytes, false);
        else
            int_tile(rows, 2, block, row, panel, column, out, NULL, false);
    }
}
#endif

/* The number of rows in the tile from `row` on. What fills no tile is shared between the last two. Heights are even: an
 * odd end goes with the row before it, which gets its values again. */
static inline int64_t int_height(const struct int_rows *block, int64_t *row)
{
    int64_t left = block->rows - *row, height = left < INT_ROWS ? left : INT_ROWS;
    if (left > INT_ROWS && left < 2 * INT_ROWS)
        height = ((left + 1) / 2 + 1) & ~(int64_t)1;
    else if (height % 2 && *row > 0)
        --*row, height++;
    else if (height > 1)
        height &= ~(int64_t)1;
    return height;
}

/* A tile of the rows from `row` on; gives their number. */
static inline int64_t int_tile_rows(const struct int_rows *block, int64_t *row, const char *panel, int32_t *out,
                                    const struct int_bytes *bytes)
{
    int64_t height = int_height(block, row);
    switch (height) {
#if defined(__AVX512VNNI__) || defined(QN_INT_SORTED)
    case 12:
        int_tile_panel(12, block, *row, panel, out, bytes);
        break;
    case 10:
        int_tile_panel(10, block, *row, panel, out, bytes);
        break;
    case 8:
        int_tile_panel(8, block, *row, panel, out, bytes);
        break;
#endif
    case 6:
        int_tile_panel(6, block, *row, panel, out, bytes);
        break;
    case 4:
        int_tile_panel(4, block, *row, panel, out, bytes);
        break;
    case 2:
        int_tile_panel(2, block, *row, panel, out, bytes);
        break;
    default:
        int_tile_panel(1, block, *row, panel, out, bytes);
    }
    return height;
}

/* A packed matrix; panels: of column 0. */
struct int_panels {
    const char *panels;
    int64_t n, k;
    const void *b_zero;
    int64_t b_zero_step;
    bool b_signed;
};

/* The scales of a byte result are one factor. */
static inline bool int_folds(const struct qn_integer_out *out)
{
    return (out->dtype == QN_DTYPE_U8 || out->dtype == QN_DTYPE_I8) && !(out->bias && out->bias_is_float) &&
           (out->activation == QN_ACTIVATION_NONE || out->activation == QN_ACTIVATION_RELU);
}

/* What the columns [first, first + QN_INTEGER_PANEL) need; `sums` are the panel's column sums. */
static inline void int_prepare(struct int_columns *c, const struct qn_integer_out *out, const struct int_rows *block,
                               const int32_t *sums, int64_t first, const struct int_panels *b)
{
    int64_t inside = b->n - first < QN_INTEGER_PANEL ? b->n - first : QN_INTEGER_PANEL;
    __builtin_memset(c, 0, sizeof *c);
    if (b->b_zero || !b->b_signed) {
        int32_t shift = b->b_signed ? 0 : -128, one = int_zero(b->b_zero, 0, b->b_signed, shift);
        for (int64_t j = 0; j < inside; j++)
            c->b_zero[j] = b->b_zero_step ? int_zero(b->b_zero, first + j, b->b_signed, shift) : one;
        for (int64_t j = 0; j < inside; j++)
            c->has_b_zero |= c->b_zero[j] != 0;
    }
    for (int64_t j = 0; j < QN_INTEGER_PANEL; j++)
        c->corrected[j] = (int32_t)((uint32_t)sums[j] - (uint32_t)b->k * (uint32_t)c->b_zero[j]);
    if (out->bias && out->bias_is_float)
        __builtin_memcpy(c->bias, (const float *)out->bias + first, (size_t)inside * 4);
    else if (out->bias)
        __builtin_memcpy(c->offset, (const int32_t *)out->bias + first, (size_t)inside * 4);
    if (!block->zeros)
        for (int64_t j = 0; j < QN_INTEGER_PANEL; j++)
            c->offset[j] = (int32_t)((uint32_t)c->offset[j] - (uint32_t)block->a_zero * (uint32_t)c->corrected[j]);
    if (out->dtype == QN_DTYPE_I32)
        return;
    if (out->b_scale_step)
        __builtin_memcpy(c->scale, out->b_scale + first, (size_t)inside * 4);
    else
        for (int64_t j = 0; j < QN_INTEGER_PANEL; j++)
            c->scale[j] = *out->b_scale;
    float a_scale = *out->a_scale, y_scale = int_folds(out) ? *out->y_scale : 1;
    int32_t large = 0;
    for (int64_t j = 0; j < QN_INTEGER_PANEL; j++) {
        c->scale[j] = a_scale * c->scale[j] / y_scale;
        large |= !(__builtin_fabsf(c->scale[j]) < 1);
    }
    c->small_scales = !large;
}

/* Finished 32-bit sum of lanes j of row r. */
QN_INLINE vi int_finished(const struct int_columns *c, const struct int_rows *block, int64_t row, const int32_t *sums,
                          int64_t j)
{
    vi v = vi_add(vi_load(sums + j), vi_load(c->offset + j));
    if (c->has_b_zero)
        v = vi_sub(v, vi_mul(vi_load(c->b_zero + j), vi_set(block->sums[row])));
    if (block->zeros)
        v = vi_sub(v, vi_mul(vi_load(c->corrected + j), vi_set(block->zeros[row])));
    return v;
}

/* Brings sums[count][QN_INTEGER_PANEL] of rows [row, row + count) of the block to y; y points to the first row of the
 * block and the panel's first column; columns of the panel lie inside. Overwrites sums. */
static inline void int_finish(const struct int_columns *c, const struct qn_integer_out *out,
                              const struct int_rows *block, int64_t row, int64_t count, int64_t columns, int32_t *sums,
                              char *y)
{
    bool bytes = out->dtype == QN_DTYPE_U8 || out->dtype == QN_DTYPE_I8, folds = int_folds(out);
    if (out->dtype == QN_DTYPE_I32) {
        for (int64_t r = 0; r < count; r++)
            for (int64_t j = 0; j < columns; j += VF_LANES) {
                int32_t *to = (int32_t *)(void *)y + (row + r) * out->stride + j;
                vi v = int_finished(c, block, row + r, sums + r * QN_INTEGER_PANEL, j);
                if (columns - j >= VF_LANES)
                    vi_store(to, v);
                else
                    vf_store_up_to((float *)(void *)to, vi_as_float(v), columns - j);
            }
        return;
    }
    if (!bytes) {
        float *to = (float *)(void *)y + row * out->stride;
        for (int64_t r = 0; r < count; r++)
            for (int64_t j = 0; j < columns; j += VF_LANES) {
                vf v = vi_float(int_finished(c, block, row + r, sums + r * QN_INTEGER_PANEL, j));
                v = vf_add(vf_mul(v, vf_load(c->scale + j)), vf_load(c->bias + j));
                vf_store_up_to(to + r * out->stride + j, v, columns - j);
            }
        vf_activate_block(out->activation, out->alpha, out->beta, to, out->stride, count, columns);
        return;
    }
    bool is_signed = out->dtype == QN_DTYPE_I8;
    int32_t zero = out->y_zero ? qn_integer_byte(out->y_zero, 0, is_signed) : 0, least = is_signed ? -128 : 0;
    vf low = vf_set((float)(least - zero)), high = vf_set((float)(least + 255 - zero));
    if (folds) {
        if (out->activation == QN_ACTIVATION_RELU)
            low = vf_max(low, vf_zero());
        for (int64_t r = 0; r < count; r++)
            for (int64_t j = 0; j < columns; j += VF_LANES) {
                vf v = vi_float(int_finished(c, block, row + r, sums + r * QN_INTEGER_PANEL, j));
                vi_quantise(y + (row + r) * out->stride + j, vf_mul(v, vf_load(c->scale + j)), low, high, vi_set(zero),
                            columns - j);
            }
        return;
    }
    float *floats = (float *)(void *)sums; /* in place */
    for (int64_t r = 0; r < count; r++)
        for (int64_t j = 0; j < QN_INTEGER_PANEL; j += VF_LANES) {
            vf v = vi_float(int_finished(c, block, row + r, sums + r * QN_INTEGER_PANEL, j));
            vf_store(floats + r * QN_INTEGER_PANEL + j, vf_add(vf_mul(v, vf_load(c->scale + j)), vf_load(c->bias + j)));
        }
    vf_activate_block(out->activation, out->alpha, out->beta, floats, QN_INTEGER_PANEL, count, QN_INTEGER_PANEL);
    for (int64_t r = 0; r < count; r++)
        for (int64_t j = 0; j < columns; j += VF_LANES) {
            vf v = vf_div(vf_load(floats + r * QN_INTEGER_PANEL + j), vf_set(*out->y_scale));
            vi_quantise(y + (row + r) * out->stride + j, v, low, high, vi_set(zero), columns - j);
        }
}

/* y: the block's first row, column 0. columns: one for each panel of [first, end), made here where `fresh`; they serve
 * all blocks of rows that share a_zero, or all that have zeros. */
static inline void int_block(const struct int_rows *block, const struct int_panels *b, int64_t first, int64_t end,
                             const struct qn_integer_out *out, char *y, struct int_columns *columns, bool fresh)
{
    _Alignas(64) int32_t sums[INT_ROWS * QN_INTEGER_PANEL] = {0};
    for (int64_t column = first; column < end; column += QN_INTEGER_PANEL, columns++) {
        const char *panel = b->panels + column / QN_INTEGER_PANEL * int_panel_bytes(b->k);
        const int32_t *column_sums = (const int32_t *)(const void *)(panel + int_sums_at(b->k));
        if (fresh)
            int_prepare(columns, out, block, column_sums, column, b);
        int64_t count = end - column < QN_INTEGER_PANEL ? end - column : QN_INTEGER_PANEL, done;
        char *to = y + column * qn_integer_out_bytes(out);
        if (int_folds(out) && columns->small_scales && !columns->has_b_zero && !block->zeros) {
            struct int_bytes bytes = int_bytes_of(columns, out, to, count);
            for (int64_t row = 0; row < block->rows; row += done)
                done = int_tile_rows(block, &row, panel, sums, &bytes);
            continue;
        }
        for (int64_t row = 0; row < block->rows; row += done) {
            done = int_tile_rows(block, &row, panel, sums, NULL);
            int_finish(columns, out, block, row, done, count, sums, to);
        }
    }
}

/* Bytes to 16-bit numbers, 128 added where they are signed; zeros up to a multiple of 4. */
static inline void int_widen(int16_t *to, const uint8_t *from, int64_t n, bool flip)
{
    int64_t i = 0;
    uint8_t shift = flip ? 0x80 : 0;
    for (; i + 16 <= n; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        bytes = _mm_xor_si128(bytes, _mm_set1_epi8((char)shift));
        _mm256_storeu_si256((__m256i *)(void *)(to + i), _mm256_cvtepu8_epi16(bytes));
    }
    for (; i < n; i++)
        to[i] = (int16_t)(uint8_t)(from[i] ^ shift);
    for (; i % 4; i++)
        to[i] = 0;
}

static inline int32_t int_sum(const uint8_t *from, int64_t n, bool flip)
{
    uint32_t sum = 0;
    uint8_t shift = flip ? 0x80 : 0;
    for (int64_t i = 0; i < n; i++)
        sum += (uint8_t)(from[i] ^ shift);
    return (int32_t)sum;
}

#endif

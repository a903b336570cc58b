/* Convolutions of 3x3 without steps in Winograd's way, in squares of 4 x 4 outputs, for AVX2: a quarter of the
 * multiplications, and exact. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS and RANK and includes
 * this.
 *
 * Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015), F(4x4, 3x3): y = A' ((B' x B) (G w G')) A.
 * The fractions of G, 1/4, -1/6, 1/24, 1, are left out of it and A is made 24 times as large by them, so that all three
 * are whole numbers: inputs less 128 become at most 128 * 10 * 10 and weights 128 * 7 * 7, which 16 bits hold, and the
 * results are 24 * 24 = 9 * 64 times the sums wanted. All is counted modulo 2^32; 9 has an inverse there and 64 is a
 * shift, which leaves 26 bits of a sum: enough for CHUNK channels, 9 * 128 * 128 each. More channels are done in parts.
 *
 * Weights are transformed from their panels in every run, a few columns and channels at a time, which costs a tenth of
 * what the products of 16 squares take: kept, they would be eight times as large. */
#include <stddef.h>

#include "kernels/integer_conv/integer_conv.h"
#include "kernels/integer_gemm/integer_tile.h"

enum {
    SIZE = 4, /* outputs along an edge of a square */
    EDGE = SIZE + 2,
    POINTS = EDGE * EDGE,
    TAPS = 9,
    CHUNK = 128,          /* channels; at most 2^25 / (9 * 128 * 128) = 227 */
    WIDTH = 16,           /* columns of a register tile and of the transformed weights */
    ROWS = 6,             /* of a register tile */
    LANES = 16,           /* 16-bit numbers in a vector */
    IN_BYTES = 320 << 10, /* of a block's inputs, transformed: most of the second cache level */
    LEAST_BLOCK = 8,      /* squares; fewer would have the weights transformed too often */
    LINE = 64,            /* bytes in a cache line */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* ---- blocks of squares ---------------------------------------------------------------------------------------- */

struct block {
    const struct qn_integer_conv_params *p;
    int64_t high, wide, squares; /* of an image; of all images */
    int64_t size;                /* squares in a block */
    int64_t row, in_step;        /* 16-bit numbers between squares of a point; between points */
    int64_t first, n;            /* squares whose inputs are there */
    uint8_t *outside;            /* a pixel that counts as 0 */
    int16_t *in, *weights;       /* [point][square][channel]; [point][channel / 2][WIDTH][2] */
    int32_t *sums, *totals;      /* [point][square][WIDTH]; [square][pixel][QN_INTEGER_PANEL] */
};

enum { WEIGHTS_STEP = CHUNK * WIDTH + LINE / 2 };

static int64_t sums_step(const struct block *b)
{
    return b->size * WIDTH + LINE / 4;
}

static struct block block_of(const struct qn_integer_conv_params *p)
{
    struct block b = {.p = p};
    b.high = (p->size[1] + SIZE - 1) / SIZE;
    b.wide = (p->size[2] + SIZE - 1) / SIZE;
    b.squares = p->n * p->in[0] * b.high * b.wide;
    b.row = round_up(p->c, LANES);
    int64_t limit = IN_BYTES / (POINTS * b.row * 2);
    limit = limit < LEAST_BLOCK ? LEAST_BLOCK : limit;
    int64_t count = (b.squares + limit - 1) / limit; /* blocks of nearly one size */
    b.size = count ? (b.squares + count - 1) / count : 1;
    b.in_step = b.size * b.row + LINE / 2; /* points fall into different cache sets */
    return b;
}

static int64_t block_count(const struct block *b)
{
    return (b->squares + b->size - 1) / b->size;
}

static int64_t panel_count(const struct qn_integer_conv_params *p)
{
    return (p->o + QN_INTEGER_PANEL - 1) / QN_INTEGER_PANEL;
}

/* ---- transformations of a line, of 16-bit inputs and weights and 32-bit sums ----------------------------------- */

QN_INLINE vi add16(vi a, vi b)
{
    return _mm256_add_epi16(a, b);
}
QN_INLINE vi sub16(vi a, vi b)
{
    return _mm256_sub_epi16(a, b);
}
QN_INLINE vi times4_16(vi a)
{
    return _mm256_slli_epi16(a, 2);
}

/* B' */
QN_INLINE void line_in(const vi *d, vi *v)
{
    vi far_even = sub16(d[4], times4_16(d[2])), far_odd = sub16(d[3], times4_16(d[1]));
    vi even = sub16(d[4], d[2]), odd = sub16(d[3], d[1]);
    odd = add16(odd, odd);
    v[0] = add16(times4_16(sub16(d[0], d[2])), even);
    v[1] = add16(far_even, far_odd);
    v[2] = sub16(far_even, far_odd);
    v[3] = add16(even, odd);
    v[4] = sub16(even, odd);
    v[5] = sub16(sub16(d[5], d[3]), add16(odd, odd));
}

/* G without its fractions */
QN_INLINE void line_weights(const vi *w, vi *u)
{
    vi near = add16(w[0], w[2]), far = add16(w[0], times4_16(w[2])), twice = add16(w[1], w[1]);
    u[0] = w[0];
    u[1] = add16(near, w[1]);
    u[2] = sub16(near, w[1]);
    u[3] = add16(far, twice);
    u[4] = sub16(far, twice);
    u[5] = w[2];
}

/* A', 24 times, with G's fractions */
QN_INLINE void line_out(const vi *m, vi *y)
{
    vi near = _mm256_slli_epi32(vi_add(m[1], m[2]), 2), far = vi_add(m[3], m[4]);
    vi near_odd = _mm256_slli_epi32(vi_sub(m[2], m[1]), 2), far_odd = _mm256_slli_epi32(vi_sub(m[3], m[4]), 1);
    vi first = vi_add(m[0], m[0]), last = vi_add(m[5], m[5]);
    first = vi_add(first, vi_add(first, first)); /* 6 */
    last = _mm256_slli_epi32(vi_add(last, m[5]), 3);
    y[0] = vi_add(vi_sub(first, near), far);
    y[1] = vi_add(near_odd, far_odd);
    y[2] = vi_sub(_mm256_slli_epi32(far, 2), near);
    y[3] = vi_add(vi_add(near_odd, last), _mm256_slli_epi32(far_odd, 2));
}

/* ---- inputs --------------------------------------------------------------------------------------------------- */

/* Where the inputs of a square lie. */
static void square_inputs(const struct block *b, int64_t square, const uint8_t **from)
{
    const struct qn_integer_conv_params *p = b->p;
    int64_t image = square / b->wide / b->high;
    int64_t top = square / b->wide % b->high * SIZE - p->begin[1], left = square % b->wide * SIZE - p->begin[2];
    const uint8_t *x = (const uint8_t *)p->x + image * p->in[1] * p->in[2] * p->c;
    for (int64_t i = top; i < top + EDGE; i++)
        for (int64_t j = left; j < left + EDGE; j++) {
            bool inside = i >= 0 && i < p->in[1] && j >= 0 && j < p->in[2];
            *from++ = inside ? x + (i * p->in[2] + j) * p->c : b->outside;
        }
}

/* LANES channels of a square, `flip`: 128 is taken off them. */
QN_INLINE void square_in(const uint8_t *const *from, int64_t at, __m128i flip, int16_t *to, int64_t step)
{
    vi half[EDGE][EDGE], line[EDGE], out[EDGE];
    QN_UNROLL
    for (int j = 0; j < EDGE; j++) {
        QN_UNROLL
        for (int i = 0; i < EDGE; i++) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from[i * EDGE + j] + at));
            line[i] = _mm256_cvtepi8_epi16(_mm_xor_si128(bytes, flip));
        }
        line_in(line, out);
        QN_UNROLL
        for (int i = 0; i < EDGE; i++)
            half[i][j] = out[i];
    }
    QN_UNROLL
    for (int i = 0; i < EDGE; i++) {
        line_in(half[i], out);
        QN_UNROLL
        for (int j = 0; j < EDGE; j++)
            _mm256_storeu_si256((vi *)(void *)(to + (i * EDGE + j) * step), out[j]);
    }
}

static void block_inputs(struct block *b, int64_t first, int64_t n)
{
    const uint8_t *from[POINTS];
    __m128i flip = _mm_set1_epi8(b->p->x_signed ? 0 : (char)0x80);
    int64_t whole = b->p->c / LANES * LANES, rest = b->p->c - whole;
    if (b->first == first && b->n == n)
        return;
    b->first = first;
    b->n = n;
    for (int64_t t = 0; t < n; t++) {
        square_inputs(b, first + t, from);
        int16_t *to = b->in + t * b->row;
        for (int64_t at = 0; at < whole; at += LANES)
            square_in(from, at, flip, to + at, b->in_step);
        if (rest) { /* the last pixel ends with x */
            uint8_t copies[POINTS][LANES] = {{0}};
            for (int i = 0; i < POINTS; i++) {
                __builtin_memcpy(copies[i], from[i] + whole, (size_t)rest);
                from[i] = copies[i];
            }
            square_in(from, 0, flip, to + whole, b->in_step);
        }
    }
}

/* ---- weights -------------------------------------------------------------------------------------------------- */

/* Nine vectors of eight columns, four channels each, to the points of one pair of channels. */
QN_INLINE void pair_weights(const vi *bytes, vi order, int16_t *to)
{
    vi half[EDGE][3], line[3], out[EDGE];
    QN_UNROLL
    for (int j = 0; j < 3; j++) {
        QN_UNROLL
        for (int i = 0; i < 3; i++) /* to the upper bytes, and down again with their sign */
            line[i] = _mm256_srai_epi16(_mm256_shuffle_epi8(bytes[i * 3 + j], order), 8);
        line_weights(line, out);
        QN_UNROLL
        for (int i = 0; i < EDGE; i++)
            half[i][j] = out[i];
    }
    QN_UNROLL
    for (int i = 0; i < EDGE; i++) {
        line_weights(half[i], out);
        QN_UNROLL
        for (int j = 0; j < EDGE; j++)
            _mm256_store_si256((vi *)(void *)(to + (i * EDGE + j) * WEIGHTS_STEP), out[j]);
    }
}

/* WIDTH columns of a panel, from `column` on, channels [first, first + n). */
static void chunk_weights(const struct block *b, const char *panel, int64_t column, int64_t first, int64_t n)
{
    enum { AHEAD = 4 }; /* fours of channels */
    vi low = _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13));
    vi high = _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15));
    int64_t tap_bytes = b->p->c * QN_INTEGER_PANEL;
    for (int64_t four = 0; four < n / 4; four++) {
        const char *from = panel + (first / 4 + four) * (QN_INTEGER_PANEL * 4) + column * 4;
        for (int64_t v = 0; v < WIDTH / VF_LANES; v++) {
            vi bytes[TAPS];
            QN_UNROLL
            for (int tap = 0; tap < TAPS; tap++) {
                bytes[tap] = vi_load((const int32_t *)(const void *)(from + tap * tap_bytes) + v * VF_LANES);
                __builtin_prefetch(from + tap * tap_bytes + AHEAD * QN_INTEGER_PANEL * 4);
            }
            int16_t *to = b->weights + four * 4 * WIDTH + v * LANES;
            pair_weights(bytes, low, to);
            pair_weights(bytes, high, to + 2 * WIDTH);
        }
    }
}

/* ---- products ------------------------------------------------------------------------------------------------- */

struct product {
    const int16_t *a, *w; /* of the first square; of the point */
    int32_t *sums;
    int64_t row, pairs; /* of channels */
};

QN_INLINE void product_tile(const int rows, const struct product *t)
{
    vi acc[ROWS * 2];
    const int16_t *w = t->w, *a = t->a;
    QN_UNROLL
    for (int i = 0; i < rows * 2; i++) {
        acc[i] = vi_set(0);
        __asm__("" : "+x"(acc[i]));
    }
    for (int64_t i = 0; i < t->pairs; i++, w += 2 * WIDTH, a += 2) {
        vi w0 = vi_load((const int32_t *)(const void *)w), w1 = vi_load((const int32_t *)(const void *)(w + LANES));
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            int32_t two;
            __builtin_memcpy(&two, a + r * t->row, sizeof two);
            vi x = vi_set(two);
            acc[r * 2] = int_dot(acc[r * 2], x, w0);
            acc[r * 2 + 1] = int_dot(acc[r * 2 + 1], x, w1);
        }
    }
    QN_UNROLL
    for (int i = 0; i < rows * 2; i++)
        vi_store(t->sums + i * VF_LANES, acc[i]);
}

/* The products of `pairs` pairs of channels from `first` on, at all points. */
static void chunk_products(const struct block *b, int64_t first, int64_t pairs)
{
    int64_t tiles = (b->n + ROWS - 1) / ROWS;
    for (int64_t point = 0; point < POINTS; point++) {
        struct product t = {.row = b->row, .pairs = pairs, .w = b->weights + point * WEIGHTS_STEP};
        for (int64_t i = 0, r = 0, rows; i < tiles; i++, r += rows) {
            rows = (b->n - r + tiles - i - 1) / (tiles - i); /* of nearly one height */
            t.a = b->in + point * b->in_step + r * b->row + first;
            t.sums = b->sums + point * sums_step(b) + r * WIDTH;
            if (rows == 6)
                product_tile(6, &t);
            else if (rows == 5)
                product_tile(5, &t);
            else if (rows == 4)
                product_tile(4, &t);
            else if (rows == 3)
                product_tile(3, &t);
            else if (rows == 2)
                product_tile(2, &t);
            else
                product_tile(1, &t);
        }
    }
}

/* ---- outputs -------------------------------------------------------------------------------------------------- */

/* A vector of columns of a square; `more`: added to what is there. */
QN_INLINE void square_out(const int32_t *sums, int64_t step, int32_t *to, bool more)
{
    const vi ninth = vi_set(0x38e38e39); /* times 9 it is 1 modulo 2^32 */
    vi half[SIZE][EDGE], line[EDGE], out[SIZE];
    QN_UNROLL
    for (int j = 0; j < EDGE; j++) {
        QN_UNROLL
        for (int i = 0; i < EDGE; i++)
            line[i] = vi_load(sums + (i * EDGE + j) * step);
        line_out(line, out);
        QN_UNROLL
        for (int i = 0; i < SIZE; i++)
            half[i][j] = out[i];
    }
    QN_UNROLL
    for (int i = 0; i < SIZE; i++) {
        line_out(half[i], out);
        QN_UNROLL
        for (int j = 0; j < SIZE; j++, to += QN_INTEGER_PANEL) {
            vi sum = _mm256_srai_epi32(vi_mul(out[j], ninth), 6);
            vi_store(to, more ? vi_add(vi_load(to), sum) : sum);
        }
    }
}

static void chunk_outputs(const struct block *b, int64_t column, bool more)
{
    for (int64_t t = 0; t < b->n; t++) {
        const int32_t *sums = b->sums + t * WIDTH;
        int32_t *to = b->totals + t * SIZE * SIZE * QN_INTEGER_PANEL + column;
        for (int64_t v = 0; v < WIDTH; v += VF_LANES)
            square_out(sums + v, sums_step(b), to + v, more);
    }
}

/* Sums of the inputs that `count` pixels of a line of a square see. */
static void window_sums(const struct block *b, int64_t square, int64_t line, int64_t count, int32_t *sums)
{
    const uint8_t *from[POINTS];
    square_inputs(b, square, from);
    for (int64_t j = 0; j < count; j++) {
        sums[j] = 0;
        for (int64_t tap = 0; tap < TAPS; tap++)
            sums[j] +=
                int_sum(from[(line + tap / 3) * EDGE + j + tap % 3], b->p->c, b->p->x_signed) - 128 * (int32_t)b->p->c;
    }
}

/* The totals of a panel's columns to y. */
static void panel_outputs(const struct block *b, const struct int_rows *rows, const struct int_columns *columns,
                          const struct qn_integer_out *out, int64_t first)
{
    const struct qn_integer_conv_params *p = b->p;
    int64_t left = least(QN_INTEGER_PANEL, p->o - first), element = qn_integer_out_bytes(out);
    bool direct = int_folds(out) && columns->small_scales && !columns->has_b_zero && left == QN_INTEGER_PANEL;
    struct int_bytes bytes = int_bytes_of(columns, out, NULL, left);
    for (int64_t t = 0; t < b->n; t++) {
        int64_t square = b->first + t, image = square / b->wide / b->high;
        int64_t top = square / b->wide % b->high * SIZE, side = square % b->wide * SIZE;
        int64_t high = least(SIZE, p->size[1] - top), wide = least(SIZE, p->size[2] - side);
        for (int64_t i = 0; i < high; i++) {
            int32_t *totals = b->totals + (t * SIZE + i) * SIZE * QN_INTEGER_PANEL;
            int64_t pixel = (image * p->size[1] + top + i) * p->size[2] + side;
            char *y = (char *)out->y + (pixel * out->stride + first) * element;
            if (columns->has_b_zero)
                window_sums(b, square, i, wide, (int32_t *)(uintptr_t)rows->sums);
            if (!direct || wide < SIZE) {
                int_finish(columns, out, rows, 0, wide, left, totals, y);
                continue;
            }
            bytes.y = y;
            for (int64_t column = 0; column < QN_INTEGER_PANEL; column += INT_UNIT) {
                vi acc[SIZE * 2];
                QN_UNROLL
                for (int j = 0; j < SIZE * 2; j++) {
                    int64_t at = column + j % 2 * VF_LANES;
                    acc[j] = vi_add(vi_load(totals + j / 2 * QN_INTEGER_PANEL + at), vi_load(columns->offset + at));
                }
                int_store_rows(SIZE, &bytes, 0, column, acc, true);
            }
        }
    }
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

/* A panel of a block of squares a tile. */
static int64_t tiles(const void *params)
{
    struct block b = block_of(params);
    return block_count(&b) * panel_count(params);
}

static int64_t lay_out(struct block *b, char *scratch)
{
    int64_t outside = round_up(b->p->c, LINE), in = round_up(POINTS * b->in_step * 2, LINE);
    int64_t weights = POINTS * WEIGHTS_STEP * 2, sums = POINTS * sums_step(b) * 4;
    b->outside = (uint8_t *)scratch;
    b->in = (int16_t *)(void *)(scratch + outside);
    b->weights = (int16_t *)(void *)(scratch + outside + in);
    b->sums = (int32_t *)(void *)(scratch + outside + in + weights);
    b->totals = (int32_t *)(void *)(scratch + outside + in + weights + sums);
    return outside + in + weights + sums + b->size * SIZE * SIZE * QN_INTEGER_PANEL * 4;
}

static int64_t scratch_bytes(const void *params)
{
    struct block b = block_of(params);
    return lay_out(&b, NULL);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_integer_conv_params *p = params;
    struct block b = block_of(p);
    lay_out(&b, scratch);
    struct qn_integer_out out = p->out;
    out.stride = p->o;
    struct int_panels panels = {p->w, p->o, p->c * TAPS, p->w_zero, p->w_zero_step, p->w_signed};
    int32_t window[SIZE];
    struct int_rows rows = {.sums = window, .a_zero = int_zero(p->x_zero, 0, p->x_signed, p->x_signed ? 0 : -128)};
    __builtin_memset(b.outside, p->x_zero ? *(const uint8_t *)p->x_zero : 0, (size_t)p->c);
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t block = tile / panel_count(p) * b.size, first = tile % panel_count(p) * QN_INTEGER_PANEL;
        const char *panel = panels.panels + first / QN_INTEGER_PANEL * qn_integer_panel_bytes(panels.k);
        struct int_columns columns;
        int_prepare(&columns, &out, &rows, (const int32_t *)(const void *)(panel + panels.k * QN_INTEGER_PANEL), first,
                    &panels);
        block_inputs(&b, block, least(b.size, b.squares - block));
        for (int64_t column = 0; column < QN_INTEGER_PANEL && first + column < p->o; column += WIDTH)
            for (int64_t c = 0; c < p->c; c += CHUNK) {
                int64_t n = least(CHUNK, p->c - c);
                chunk_weights(&b, panel, column, c, n);
                chunk_products(&b, c, n / 2);
                chunk_outputs(&b, column, c > 0);
            }
        panel_outputs(&b, &rows, &columns, &out, first);
    }
}

/* Worth it: 36 products a square and the transformation of the weights, in vectors, against 9 products a pixel. */
static bool fits(const void *params)
{
    const struct qn_integer_conv_params *p = params;
    static const int64_t kernel[] = {1, 3, 3};
    bool plain = p->groups == 1 && p->c >= 16 && p->c % 4 == 0 && p->o >= WIDTH && qn_integer_conv_is_dense(p) &&
                 p->in[0] == p->size[0] && p->begin[0] == 0;
    for (int i = 0; i < 3; i++)
        plain = plain && p->kernel[i] == kernel[i] && p->strides[i] == 1 && p->dilations[i] == 1;
    if (!plain)
        return false;
    struct block b = block_of(p);
    return 5 * (POINTS * b.squares + 160) < 4 * TAPS * qn_integer_conv_rows(p);
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_INTEGER_CONV,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
    .pack = QN_PACK_CONV_I8,
    .fits = fits,
};

/* INTEGER_CONV on vectors, channels last. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS and RANK
 * and includes this.
 *
 * A tile is a block of output pixels and of output channels of a group. Its pixels' taps are copied side by side into
 * rows (one by one convolutions without stride read x as it lies), and rows by panels is INTEGER_GEMM. Depthwise
 * convolutions multiply pairs of taps, channel by channel. */
#include "kernels/integer_conv/integer_conv.h"
#include "kernels/integer_gemm/integer_tile.h"

enum {
    ROWS = 96,
    COLUMNS = 256,
    ROW_BYTES = 256 << 10, /* of copied taps: they and a panel share the second cache level */
    PIXELS = 64,           /* depthwise: a tile's */
};

static int64_t blocks(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_depthwise(const struct qn_integer_conv_params *p)
{
    return qn_integer_conv_is_depthwise(p->o, p->c / p->groups, p->groups);
}

/* x is read as it lies: row r of the product is pixel r. */
static bool is_direct(const struct qn_integer_conv_params *p)
{
    bool direct = qn_integer_conv_taps(p) == 1;
    for (int i = 0; i < 3; i++)
        direct = direct && p->strides[i] == 1 && p->begin[i] == 0 && p->in[i] == p->size[i];
    return direct;
}

static int64_t depth(const struct qn_integer_conv_params *p)
{
    return p->c / p->groups * qn_integer_conv_taps(p);
}

/* Bytes of a row of copied taps; neighbours fall into different cache sets. */
static int64_t row_bytes(const struct qn_integer_conv_params *p)
{
    return blocks(depth(p), 64) * 64 + 64;
}

static int64_t block_rows(const struct qn_integer_conv_params *p)
{
    int64_t rows = qn_integer_conv_rows(p);
    if (is_depthwise(p))
        return PIXELS;
    int64_t limit = is_direct(p) ? ROWS : most(INT_ROWS, least(ROWS, ROW_BYTES / row_bytes(p) / INT_ROWS * INT_ROWS));
    int64_t count = blocks(rows, limit);
    return count ? blocks(blocks(rows, count), INT_ROWS) * INT_ROWS : INT_ROWS;
}

/* Blocks of channels; depthwise: one. */
static int64_t column_blocks(const struct qn_integer_conv_params *p)
{
    return is_depthwise(p) ? 1 : p->groups * blocks(p->o / p->groups, COLUMNS);
}

static int64_t tiles(const void *params)
{
    const struct qn_integer_conv_params *p = params;
    int64_t rows = qn_integer_conv_rows(p);
    return rows > 0 ? blocks(rows, block_rows(p)) * column_blocks(p) : 0;
}

/* Where a pixel's taps lie: at x + offsets[tap]. Those outside the image, and the one that makes the number even, lie
 * in a row of x_zero. */
struct pixel_taps {
    const uint8_t *x;
    const int64_t *offsets;
};

/* Taps of a depthwise pixel, an even number. */
static int64_t even_taps(const struct qn_integer_conv_params *p)
{
    return (qn_integer_conv_taps(p) + 1) / 2 * 2;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_integer_conv_params *p = params;
    if (is_depthwise(p))
        return blocks(p->c, 64) * 64 + PIXELS * (int64_t)sizeof(struct pixel_taps) + (PIXELS + 1) * even_taps(p) * 8;
    int64_t bytes = (ROWS + INT_ROWS) * 4;
    if (!is_direct(p))
        bytes += block_rows(p) * row_bytes(p);
#ifdef QN_INT_WIDENS
    bytes += block_rows(p) * row_bytes(p) * 2;
#endif
    return blocks(bytes, 64) * 64 + 64;
}

/* ---- rows of copied taps -------------------------------------------------------------------------------------- */

/* A 16-byte piece. */
typedef long long int_pair __attribute__((vector_size(16), aligned(1), may_alias));

QN_INLINE void copy_bytes(uint8_t *to, const uint8_t *from, int64_t n)
{
    int64_t i = 0;
    if (n >= 16) {
        for (; i + 16 <= n; i += 16)
            *(int_pair *)(void *)(to + i) = *(const int_pair *)(const void *)(from + i);
        if (i < n)
            *(int_pair *)(void *)(to + n - 16) = *(const int_pair *)(const void *)(from + n - 16);
        return;
    }
    if (n >= 4) {
        for (; i + 4 <= n; i += 4)
            __builtin_memcpy(to + i, from + i, 4);
        __builtin_memcpy(to + n - 4, from + n - 4, 4);
        return;
    }
    for (; i < n; i++)
        to[i] = from[i];
}

QN_INLINE void fill_bytes(uint8_t *to, uint8_t value, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = value;
}

/* The taps of one line along the innermost axis, from offset `x` of its first channel. */
QN_INLINE void copy_line(const struct qn_integer_conv_params *p, uint8_t *to, const uint8_t *x, int64_t at,
                         uint8_t zero)
{
    int64_t channels = p->c / p->groups, taps = p->kernel[2], step = p->dilations[2];
    bool inside = at >= 0 && at + (taps - 1) * step < p->in[2];
    if (inside && step == 1 && p->x_s[2] == channels) {
        copy_bytes(to, x + at * channels, taps * channels);
        return;
    }
    for (int64_t tap = 0; tap < taps; tap++, at += step, to += channels) {
        if (at >= 0 && at < p->in[2])
            copy_bytes(to, x + at * p->x_s[2], channels);
        else
            fill_bytes(to, zero, channels);
    }
}

/* Pixels along the innermost axis: the lines that lie inside as a whole are copied without a look at the borders. */
static void copy_lines(const struct qn_integer_conv_params *p, uint8_t *to, int64_t stride, const uint8_t *x,
                       int64_t first, int64_t count, uint8_t zero)
{
    int64_t channels = p->c / p->groups, line = p->kernel[2] * channels, at = first * p->strides[2] - p->begin[2],
            i = 0;
    int64_t step = p->strides[2] * p->x_s[2];
    bool runs = p->x_s[2] == channels && (p->dilations[2] == 1 || p->kernel[2] == 1);
    for (; i < count && (at < 0 || !runs); i++, at += p->strides[2])
        copy_line(p, to + i * stride, x, at, zero);
    const uint8_t *from = x + at * p->x_s[2];
    int64_t inside = at + p->kernel[2] <= p->in[2] ? (p->in[2] - p->kernel[2] - at) / p->strides[2] + 1 : 0;
    int64_t end = least(count, i + inside);
    if (line >= 16 && line <= 32)
        for (; i < end; i++, from += step, at += p->strides[2]) {
            uint8_t *out = to + i * stride;
            int_pair head = *(const int_pair *)(const void *)from;
            int_pair tail = *(const int_pair *)(const void *)(from + line - 16);
            *(int_pair *)(void *)out = head;
            *(int_pair *)(void *)(out + line - 16) = tail;
        }
    else
        for (; i < end; i++, from += step, at += p->strides[2])
            copy_bytes(to + i * stride, from, line);
    for (; i < count; i++, at += p->strides[2])
        copy_line(p, to + i * stride, x, at, zero);
}

/* The taps of rows [row, row + rows) of the product, `stride` bytes apart. */
static void copy_rows(const struct qn_integer_conv_params *p, int64_t row, int64_t rows, int64_t group, uint8_t *to,
                      int64_t stride, uint8_t zero)
{
    int64_t channels = p->c / p->groups, line = p->kernel[2] * channels;
    for (int64_t count; rows > 0; rows -= count, row += count, to += count * stride) {
        struct qn_integer_pixel pixel = qn_integer_conv_pixel(p, row);
        const uint8_t *x = (const uint8_t *)p->x + pixel.batch * p->x_n + group * channels;
        count = least(rows, p->size[2] - pixel.at[2]);
        for (int64_t i = 0; i < p->kernel[0]; i++)
            for (int64_t j = 0; j < p->kernel[1]; j++) {
                int64_t a = pixel.at[0] * p->strides[0] - p->begin[0] + i * p->dilations[0];
                int64_t b = pixel.at[1] * p->strides[1] - p->begin[1] + j * p->dilations[1];
                uint8_t *out = to + (i * p->kernel[1] + j) * line;
                if (a >= 0 && a < p->in[0] && b >= 0 && b < p->in[1])
                    copy_lines(p, out, stride, x + a * p->x_s[0] + b * p->x_s[1], pixel.at[2], count, zero);
                else
                    for (int64_t r = 0; r < count; r++)
                        fill_bytes(out + r * stride, zero, line);
            }
    }
}

static void next_pixel(const struct qn_integer_conv_params *p, struct qn_integer_pixel *pixel)
{
    for (int i = 2; i >= 0; i--) {
        if (++pixel->at[i] < p->size[i])
            return;
        pixel->at[i] = 0;
    }
    pixel->batch++;
}

static bool needs_sums(const struct qn_integer_conv_params *p)
{
    if (!p->w_zero)
        return !p->w_signed;
    int32_t none = p->w_signed ? 0 : 128;
    bool found = false;
    for (int64_t j = 0; j < (p->w_zero_step ? p->o : 1); j++)
        found |= qn_integer_byte(p->w_zero, j, p->w_signed) != none;
    return found;
}

/* The epilogue as seen from the first channel of a group. */
static struct qn_integer_out group_out(const struct qn_integer_conv_params *p, int64_t group)
{
    struct qn_integer_out out = p->out;
    int64_t first = group * (p->o / p->groups);
    out.stride = p->o;
    if (out.b_scale)
        out.b_scale += first * out.b_scale_step;
    if (out.bias)
        out.bias = (const char *)out.bias + first * 4;
    return out;
}

static void run_block(const struct qn_integer_conv_params *p, int64_t row, int64_t rows, int64_t column_block,
                      bool sums, char *scratch)
{
    int64_t n = p->o / p->groups, per_group = blocks(n, COLUMNS), group = column_block / per_group, k = depth(p);
    int64_t first = column_block % per_group * COLUMNS, channels = p->c / p->groups;
    uint8_t zero = p->x_zero ? *(const uint8_t *)p->x_zero : 0;
    int32_t *row_sums = (int32_t *)(void *)scratch;
    uint8_t *copied = (uint8_t *)scratch + blocks((ROWS + INT_ROWS) * 4, 64) * 64;
    struct int_rows block = {.rows = rows, .k = k, .flip = p->x_signed, .sums = row_sums};
    block.a_zero = int_zero(p->x_zero, 0, p->x_signed, p->x_signed ? 128 : 0);
    if (is_direct(p)) {
        block.a = (const uint8_t *)p->x + row * p->c + group * channels;
        block.a_row = p->c;
    } else {
        copy_rows(p, row, rows, group, copied, row_bytes(p), zero);
        block.a = copied;
        block.a_row = row_bytes(p);
    }
    for (int64_t r = 0; sums && r < rows; r++)
        row_sums[r] = int_sum((const uint8_t *)block.a + r * block.a_row, k, p->x_signed);
#ifdef QN_INT_WIDENS
    int64_t wide_row = 2 * row_bytes(p);
    copied += is_direct(p) ? 0 : block_rows(p) * row_bytes(p);
    for (int64_t r = 0; r < rows; r++)
        int_widen((int16_t *)(void *)(copied + r * wide_row), (const uint8_t *)block.a + r * block.a_row, k,
                  p->x_signed);
    block.a = copied;
    block.a_row = wide_row;
#endif
    struct int_panels panels = {(const char *)p->w + group * qn_integer_packed_bytes(k, n),
                                n,
                                k,
                                p->w_zero ? (const char *)p->w_zero + group * n * p->w_zero_step : NULL,
                                p->w_zero_step,
                                p->w_signed};
    struct qn_integer_out out = group_out(p, group);
    int_block(&block, &panels, first, least(n, first + COLUMNS), &out,
              (char *)out.y + (row * p->o + group * n) * qn_integer_out_bytes(&out));
}

/* ---- depthwise ------------------------------------------------------------------------------------------------ */

/* What a panel of channels needs: the bias less x_zero times the weights' sum, weights less their zero points. The tap
 * that makes the number even reads x_zero, and its weight is 0 less the zero point. */
static void prepare_channels(const struct qn_integer_conv_params *p, int64_t first, struct int_columns *c,
                             int32_t *zero_pairs)
{
    int64_t taps = qn_integer_conv_taps(p), wide = blocks(p->o, QN_INTEGER_PANEL) * QN_INTEGER_PANEL;
    const int16_t *w = (const int16_t *)p->w;
    int32_t sums[QN_INTEGER_PANEL] = {0};
    struct int_rows none = {.k = even_taps(p), .a_zero = p->x_zero ? qn_integer_byte(p->x_zero, 0, p->x_signed) : 0};
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t j = 0; j < QN_INTEGER_PANEL; j++)
            sums[j] += w[(tap / 2 * wide + first + j) * 2 + tap % 2];
    int_prepare(c, &p->out, &none, sums, first, p->o, p->w_zero, p->w_zero_step, p->w_signed, int_folds(&p->out));
    for (int64_t j = 0; j < QN_INTEGER_PANEL; j++)
        zero_pairs[j] = (int32_t)((uint32_t)(c->b_zero[j] & 0xffff) * 0x10001u);
}

/* Sums of QN_INTEGER_PANEL channels of a pixel; the `channels` that exist are read. */
QN_INLINE void depthwise_pixel(const uint8_t *x, const int64_t *taps, int64_t pairs, int64_t first, int64_t channels,
                               const int16_t *w, int64_t wide, const int32_t *zero_pairs, bool is_signed, bool full,
                               bool zeros, int32_t *out)
{
#if defined(__AVX512F__)
    __m512i low = _mm512_setzero_si512(), high = low; /* channels 0-7, 16-23 and 8-15, 24-31 */
    __mmask32 mask = full ? 0xffffffffu : (__mmask32)((1ull << channels) - 1);
    for (int64_t i = 0; i < pairs; i++, w += wide * 2) {
        __m256i a = _mm256_maskz_loadu_epi8(mask, x + taps[2 * i] + first);
        __m256i b = _mm256_maskz_loadu_epi8(mask, x + taps[2 * i + 1] + first);
        __m256i l = _mm256_unpacklo_epi8(a, b), h = _mm256_unpackhi_epi8(a, b);
        __m512i x0 = is_signed ? _mm512_cvtepi8_epi16(l) : _mm512_cvtepu8_epi16(l);
        __m512i x1 = is_signed ? _mm512_cvtepi8_epi16(h) : _mm512_cvtepu8_epi16(h);
        __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 32); /* channels 0-15, 16-31 */
        if (zeros) {
            w0 = _mm512_sub_epi16(w0, _mm512_loadu_si512(zero_pairs));
            w1 = _mm512_sub_epi16(w1, _mm512_loadu_si512(zero_pairs + 16));
        }
        low = _mm512_add_epi32(low, _mm512_madd_epi16(x0, _mm512_shuffle_i64x2(w0, w1, 0x44)));
        high = _mm512_add_epi32(high, _mm512_madd_epi16(x1, _mm512_shuffle_i64x2(w0, w1, 0xee)));
    }
    _mm512_storeu_si512(out, _mm512_shuffle_i64x2(low, high, 0x44));
    _mm512_storeu_si512(out + 16, _mm512_shuffle_i64x2(low, high, 0xee));
#else
    __m256i sums[4];
    for (int j = 0; j < 4; j++)
        sums[j] = _mm256_setzero_si256();
    for (int64_t i = 0; i < pairs; i++, w += wide * 2) {
        uint8_t part[2][QN_INTEGER_PANEL];
        const uint8_t *from[2] = {x + taps[2 * i] + first, x + taps[2 * i + 1] + first};
        for (int t = 0; t < 2 && !full; t++) {
            __builtin_memset(part[t], 0, sizeof part[t]);
            copy_bytes(part[t], from[t], channels);
            from[t] = part[t];
        }
        for (int half = 0; half < 2; half++) {
            __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(from[0] + half * 16));
            __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(from[1] + half * 16));
            __m128i l = _mm_unpacklo_epi8(a, b), h = _mm_unpackhi_epi8(a, b);
            __m256i wide_x[2] = {is_signed ? _mm256_cvtepi8_epi16(l) : _mm256_cvtepu8_epi16(l),
                                 is_signed ? _mm256_cvtepi8_epi16(h) : _mm256_cvtepu8_epi16(h)};
            for (int j = 0; j < 2; j++) {
                int64_t at = half * 16 + j * 8;
                __m256i weights = _mm256_loadu_si256((const __m256i *)(const void *)(w + at * 2));
                if (zeros)
                    weights = _mm256_sub_epi16(weights, vi_load(zero_pairs + at));
                sums[half * 2 + j] = _mm256_add_epi32(sums[half * 2 + j], _mm256_madd_epi16(wide_x[j], weights));
            }
        }
    }
    for (int j = 0; j < 4; j++)
        vi_store(out + j * 8, sums[j]);
#endif
}

/* Offsets of the taps from the pixel's first; with `outside` of a pixel at a border. */
static void find_offsets(const struct qn_integer_conv_params *p, const int64_t at[3], const uint8_t *x,
                         const uint8_t *outside, int64_t *offsets)
{
    int64_t tap = 0;
    for (int64_t i = 0; i < p->kernel[0]; i++)
        for (int64_t j = 0; j < p->kernel[1]; j++)
            for (int64_t k = 0; k < p->kernel[2]; k++, tap++) {
                int64_t a = i * p->dilations[0], b = j * p->dilations[1], c = k * p->dilations[2];
                bool inside = !outside || (at[0] + a >= 0 && at[0] + a < p->in[0] && at[1] + b >= 0 &&
                                           at[1] + b < p->in[1] && at[2] + c >= 0 && at[2] + c < p->in[2]);
                offsets[tap] = inside ? a * p->x_s[0] + b * p->x_s[1] + c * p->x_s[2]
                                      : (int64_t)((uintptr_t)outside - (uintptr_t)x);
            }
    if (tap % 2)
        offsets[tap] = outside ? (int64_t)((uintptr_t)outside - (uintptr_t)x) : 0; /* its weight is 0 */
}

/* The taps of a run of pixels; `own` has room for the offsets of each. Where weights have zero points, the tap that
 * makes the number even counts: then every pixel has offsets of its own. */
static void find_taps(const struct qn_integer_conv_params *p, int64_t row, int64_t rows, const uint8_t *outside,
                      const int64_t *shared, int64_t *own, struct pixel_taps *taps)
{
    struct qn_integer_pixel pixel = qn_integer_conv_pixel(p, row);
    int64_t even = even_taps(p);
    bool exact = even != qn_integer_conv_taps(p) && needs_sums(p);
    for (int64_t r = 0; r < rows; r++, next_pixel(p, &pixel), own += even) {
        int64_t at[3], offset = pixel.batch * p->x_n;
        bool inside = !exact;
        for (int i = 0; i < 3; i++) {
            at[i] = pixel.at[i] * p->strides[i] - p->begin[i];
            inside = inside && at[i] >= 0 && at[i] + (p->kernel[i] - 1) * p->dilations[i] < p->in[i];
            offset += at[i] * p->x_s[i];
        }
        taps[r].x = (const uint8_t *)((uintptr_t)p->x + (uintptr_t)offset);
        taps[r].offsets = inside ? shared : own;
        if (!inside)
            find_offsets(p, at, taps[r].x, outside, own);
    }
}

QN_INLINE void depthwise_panel(const struct qn_integer_conv_params *p, const struct pixel_taps *taps, int64_t row,
                               int64_t rows, int64_t first, bool is_signed, bool full)
{
    struct int_columns c;
    _Alignas(64) int32_t sums[INT_ROWS * QN_INTEGER_PANEL], zero_pairs[QN_INTEGER_PANEL];
    int64_t even = even_taps(p), wide = blocks(p->o, QN_INTEGER_PANEL) * QN_INTEGER_PANEL;
    int64_t channels = least(p->o - first, QN_INTEGER_PANEL), bytes = qn_integer_out_bytes(&p->out);
    prepare_channels(p, first, &c, zero_pairs);
    struct qn_integer_out out = p->out;
    out.stride = p->o;
    struct int_rows block = {.rows = rows};
    bool zeros = c.has_b_zero;
    c.has_b_zero = false; /* taken off the weights */
    const int16_t *w = (const int16_t *)p->w + first * 2;
    char *y = (char *)out.y + (row * p->o + first) * bytes;
    for (int64_t r = 0; r < rows; r += INT_ROWS) {
        int64_t count = least(rows - r, INT_ROWS);
        for (int64_t i = 0; i < count; i++) {
            if (zeros)
                depthwise_pixel(taps[r + i].x, taps[r + i].offsets, even / 2, first, channels, w, wide, zero_pairs,
                                is_signed, full, true, sums + i * QN_INTEGER_PANEL);
            else
                depthwise_pixel(taps[r + i].x, taps[r + i].offsets, even / 2, first, channels, w, wide, zero_pairs,
                                is_signed, full, false, sums + i * QN_INTEGER_PANEL);
        }
        int_finish(&c, &out, &block, r, count, channels, sums, y);
    }
}

static void run_depthwise(const struct qn_integer_conv_params *p, int64_t row, int64_t rows, char *scratch)
{
    uint8_t *outside = (uint8_t *)scratch;
    struct pixel_taps *taps = (struct pixel_taps *)(void *)(scratch + blocks(p->c, 64) * 64);
    int64_t *shared = (int64_t *)(void *)(taps + PIXELS), *own = shared + even_taps(p);
    fill_bytes(outside, p->x_zero ? *(const uint8_t *)p->x_zero : 0, p->c);
    find_offsets(p, (const int64_t[]){0, 0, 0}, p->x, NULL, shared);
    find_taps(p, row, rows, outside, shared, own, taps);
    for (int64_t first = 0; first < p->o; first += QN_INTEGER_PANEL) {
        bool full = p->o - first >= QN_INTEGER_PANEL;
        if (p->x_signed && full)
            depthwise_panel(p, taps, row, rows, first, true, true);
        else if (p->x_signed)
            depthwise_panel(p, taps, row, rows, first, true, false);
        else if (full)
            depthwise_panel(p, taps, row, rows, first, false, true);
        else
            depthwise_panel(p, taps, row, rows, first, false, false);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_integer_conv_params *p = params;
    int64_t height = block_rows(p), rows = qn_integer_conv_rows(p), row_blocks = blocks(rows, height);
    bool sums = needs_sums(p);
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t row = tile % row_blocks * height, count = least(rows - row, height);
        if (is_depthwise(p))
            run_depthwise(p, row, count, scratch);
        else
            run_block(p, row, count, tile / row_blocks, sums, scratch);
    }
}

/* Channels last, without gaps. */
static bool fits(const void *params)
{
    const struct qn_integer_conv_params *p = params;
    int64_t x = p->c, y = p->o;
    if ((p->x_c != 1 && p->c > 1) || (p->y_c != 1 && p->o > 1))
        return false;
    for (int i = 2; i >= 0; i--) {
        if ((p->in[i] > 1 && p->x_s[i] != x) || (p->size[i] > 1 && p->y_s[i] != y))
            return false;
        x *= p->in[i];
        y *= p->size[i];
    }
    return p->n <= 1 || (p->x_n == x && p->y_n == y);
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

/* Depthwise convolutions of bytes on vectors, channels last: a panel of channels of a pixel at a time with VNNI
 * (AVX2 without: integer_depthwise_words.h). A part of integer_conv_vec.h. */
#ifndef QN_KERNELS_INTEGER_DEPTHWISE_VEC_H
#define QN_KERNELS_INTEGER_DEPTHWISE_VEC_H

#include "kernels/integer_conv/integer_conv.h"
#include "kernels/integer_gemm/integer_tile.h"

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

#ifdef QN_INT_WIDENS
#include "kernels/integer_conv/integer_depthwise_words.h"
#else
enum {
    PIXELS = 64,    /* a tile's, at most */
    CHANNELS = 256, /* a tile's where blocks of pixels are FEW; otherwise all */
    FEW = 4,
};

/* ---- taps ----------------------------------------------------------------------------------------------------- */

/* Where a pixel's taps lie: at x + offsets[tap]. Those outside the image, and those that make the number a multiple of
 * four, lie in a row of x_zero. */
struct pixel_taps {
    const uint8_t *x;
    const int64_t *offsets;
};

/* Taps of a pixel, in fours. */
static int64_t padded_taps(const struct qn_integer_conv_params *p)
{
    return (qn_integer_conv_taps(p) + 3) / 4 * 4;
}

/* Bytes of the weights of a panel as pairs of taps in 16 bits. */
static int64_t pairs_bytes(const struct qn_integer_conv_params *p)
{
#if defined(__AVX512F__)
    (void)p;
    return 0;
#else
    return padded_taps(p) / 2 * QN_INTEGER_PANEL * 4;
#endif
}

static int64_t depthwise_scratch(const struct qn_integer_conv_params *p)
{
    return pairs_bytes(p) + blocks(p->c, 64) * 64 + PIXELS * (int64_t)sizeof(struct pixel_taps) +
           (PIXELS + 1) * padded_taps(p) * 8;
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
    for (; tap % 4; tap++)
        offsets[tap] = outside ? (int64_t)((uintptr_t)outside - (uintptr_t)x) : 0; /* its weight is 0 */
}

/* The taps of a run of pixels; `own` has room for the offsets of each. Where weights have zero points, the taps
 * that fill up the last four count: then every pixel has offsets of its own. */
static void find_taps(const struct qn_integer_conv_params *p, int64_t row, int64_t rows, const uint8_t *outside,
                      const int64_t *shared, int64_t *own, struct pixel_taps *taps)
{
    int64_t padded = padded_taps(p);
    bool exact = padded != qn_integer_conv_taps(p) && needs_sums(p);
    for (int64_t count; rows > 0; rows -= count, row += count) {
        struct qn_integer_pixel pixel = qn_integer_conv_pixel(p, row);
        int64_t at[3], offset = pixel.batch * p->x_n, reach[3];
        for (int i = 0; i < 3; i++) {
            at[i] = pixel.at[i] * p->strides[i] - p->begin[i];
            reach[i] = p->in[i] - (p->kernel[i] - 1) * p->dilations[i];
            offset += at[i] * p->x_s[i];
        }
        bool line = !exact && at[0] >= 0 && at[0] < reach[0] && at[1] >= 0 && at[1] < reach[1];
        uintptr_t x = (uintptr_t)p->x + (uintptr_t)offset;
        count = least(rows, p->size[2] - pixel.at[2]);
        for (int64_t i = 0; i < count; i++, taps++, at[2] += p->strides[2]) {
            bool inside = line && at[2] >= 0 && at[2] < reach[2];
            *taps = (struct pixel_taps){(const uint8_t *)x, inside ? shared : own};
            if (!inside) {
                find_offsets(p, at, taps->x, outside, own);
                own += padded;
            }
            x += (uintptr_t)(p->strides[2] * p->x_s[2]);
        }
    }
}

/* ---- a pixel's sums ------------------------------------------------------------------------------------------- */

/* What a panel of channels has in common. */
struct depthwise {
    struct int_columns columns;
    const int8_t *w; /* of the panel's first channel */
    const int32_t
        *pairs;   /* AVX-VNNI: [pair of taps][QN_INTEGER_PANEL] pairs of 16-bit numbers, zero points taken off */
    int64_t wide; /* channels in a row of the packed weights */
    int64_t taps, fours, first, channels;
    bool is_signed, zeros; /* x; weights have zero points */
};

/* The bias less x_zero times the weights' sum. The taps that fill up the last four read x_zero, and their weights are 0
 * less the zero point. */
static void prepare_channels(const struct qn_integer_conv_params *p, int64_t first, struct depthwise *d)
{
    int32_t sums[QN_INTEGER_PANEL] = {0};
    d->wide = blocks(p->o, QN_INTEGER_PANEL) * QN_INTEGER_PANEL;
    d->w = (const int8_t *)p->w + first * 4;
    d->taps = qn_integer_conv_taps(p);
    d->fours = padded_taps(p) / 4;
    d->first = first;
    d->channels = least(p->o - first, QN_INTEGER_PANEL);
    d->is_signed = p->x_signed;
    for (int64_t i = 0; i < d->fours; i++)
        for (int64_t j = 0; j < QN_INTEGER_PANEL; j++)
            for (int64_t k = 0; k < 4; k++)
                sums[j] += d->w[(i * d->wide + j) * 4 + k];
    struct int_rows none = {.a_zero = p->x_zero ? qn_integer_byte(p->x_zero, 0, p->x_signed) : 0};
#if defined(__AVX512F__)
    none.a_zero += p->x_signed ? 128 : 0; /* as x is read */
#endif
    struct int_panels weights = {
        .n = p->o, .k = padded_taps(p), .b_zero = p->w_zero, .b_zero_step = p->w_zero_step, .b_signed = p->w_signed};
    int_prepare(&d->columns, &p->out, &none, sums, first, &weights);
    d->zeros = d->columns.has_b_zero;
    d->columns.has_b_zero = false; /* taken off here */
}

#if defined(__AVX512F__)
QN_INLINE void widen_weights(struct depthwise *d, char *pairs)
{
    (void)d, (void)pairs;
}

/* Adds a pixel to the sums of channels 0-15 and 16-31. Four taps of a channel side by side are one dot product. */
QN_INLINE void depthwise_add(const struct depthwise *d, const uint8_t *x, const int64_t *taps, const bool full,
                             const bool zeros, vi sums[INT_VECTORS])
{
    const __m512i low = _mm512_set_epi16(55, 39, 54, 38, 53, 37, 52, 36, 51, 35, 50, 34, 49, 33, 48, 32, 23, 7, 22, 6,
                                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(8)), flip = _mm512_set1_epi8((char)0x80);
    const __m512i ones = _mm512_set1_epi8(1);
    __mmask32 mask = full ? 0xffffffffu : (__mmask32)((1ull << d->channels) - 1);
    __m512i total[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    const int8_t *w = d->w;
    x += d->first;
    for (int64_t i = 0; i < d->fours; i++, w += d->wide * 4, taps += 4) {
        __m256i t[4];
        QN_UNROLL
        for (int k = 0; k < 4; k++)
            t[k] = full ? _mm256_loadu_si256((const __m256i *)(const void *)(x + taps[k]))
                        : _mm256_maskz_loadu_epi8(mask, x + taps[k]);
        __m512i even = _mm512_inserti64x4(_mm512_castsi256_si512(t[0]), t[2], 1);
        __m512i odd = _mm512_inserti64x4(_mm512_castsi256_si512(t[1]), t[3], 1);
        if (d->is_signed) {
            even = _mm512_xor_si512(even, flip);
            odd = _mm512_xor_si512(odd, flip);
        }
        __m512i a = _mm512_unpacklo_epi8(even, odd), b = _mm512_unpackhi_epi8(even, odd);
        __m512i fours[2] = {_mm512_permutex2var_epi16(a, low, b), _mm512_permutex2var_epi16(a, high, b)};
        QN_UNROLL
        for (int j = 0; j < 2; j++) {
            sums[j] = _mm512_dpbusd_epi32(sums[j], fours[j], _mm512_loadu_si512(w + j * 64));
            if (zeros)
                total[j] = _mm512_dpbusd_epi32(total[j], fours[j], ones);
        }
    }
    QN_UNROLL
    for (int j = 0; j < 2 && zeros; j++)
        sums[j] = vi_sub(sums[j], vi_mul(total[j], vi_load(d->columns.b_zero + j * 16)));
}

#else
/* Taps 2 half and 2 half + 1 of eight channels as pairs of 16-bit numbers, zero points taken off. */
QN_INLINE __m256i depthwise_weights(const struct depthwise *d, const int8_t *w, int64_t at, const int half)
{
    const __m256i pairs = half ? _mm256_setr_epi8(-1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15, -1, 2, -1,
                                                  3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15)
                               : _mm256_setr_epi8(-1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1, 0, -1,
                                                  1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13);
    __m256i fours = _mm256_loadu_si256((const __m256i *)(const void *)(w + at * 4));
    __m256i words = _mm256_srai_epi16(_mm256_shuffle_epi8(fours, pairs), 8);
    if (!d->zeros)
        return words;
    __m256i zero = _mm256_and_si256(vi_load(d->columns.b_zero + at), _mm256_set1_epi32(0xffff));
    return _mm256_sub_epi16(words, _mm256_or_si256(zero, _mm256_slli_epi32(zero, 16)));
}

static void widen_weights(struct depthwise *d, char *pairs)
{
    const int8_t *w = d->w;
    int32_t *to = (int32_t *)(void *)pairs;
    d->pairs = to;
    for (int64_t i = 0; i < d->fours; i++, w += d->wide * 4)
        for (int pair = 0; pair < 2; pair++)
            for (int64_t at = 0; at < QN_INTEGER_PANEL; at += VF_LANES, to += VF_LANES)
                vi_store(to, pair ? depthwise_weights(d, w, at, 1) : depthwise_weights(d, w, at, 0));
}

/* Adds a pixel to the sums of the panel's channels. Two taps of a channel side by side are one dot product. */
QN_INLINE void depthwise_add(const struct depthwise *d, const uint8_t *x, const int64_t *taps, const bool full,
                             const bool zeros, vi sums[INT_VECTORS])
{
    enum { PART = 16 }; /* channels */
    const int32_t *w = d->pairs;
    int64_t pairs = zeros ? d->fours * 2 : (d->taps + 1) / 2; /* the weights of the others are 0 */
    x += d->first;
    for (int64_t i = 0; i < pairs; i++, w += QN_INTEGER_PANEL, taps += 2)
        QN_UNROLL
    for (int part = 0; part < QN_INTEGER_PANEL / PART; part++) {
        uint8_t rest[2][PART] = {0};
        const uint8_t *from[2] = {x + taps[0] + part * PART, x + taps[1] + part * PART};
        int64_t left = full ? PART : least(PART, d->channels - part * PART);
        for (int t = 0; left < PART && t < 2; t++) {
            copy_bytes(rest[t], from[t], most(left, 0));
            from[t] = rest[t];
        }
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)from[0]);
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)from[1]);
        __m128i both[2] = {_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)};
        QN_UNROLL
        for (int j = 0; j < 2; j++) {
            vi wide = d->is_signed ? _mm256_cvtepi8_epi16(both[j]) : _mm256_cvtepu8_epi16(both[j]);
            vi two = _mm256_madd_epi16(wide, vi_load(w + part * PART + j * VF_LANES));
            sums[part * 2 + j] = vi_add(sums[part * 2 + j], two);
        }
    }
}
#endif

QN_INLINE void depthwise_pixel(const struct depthwise *d, const struct pixel_taps *taps, const bool full, int32_t *out)
{
    vi sums[INT_VECTORS];
    QN_UNROLL
    for (int j = 0; j < INT_VECTORS; j++)
        sums[j] = vi_set(0);
    if (d->zeros)
        depthwise_add(d, taps->x, taps->offsets, full, true, sums);
    else
        depthwise_add(d, taps->x, taps->offsets, full, false, sums);
    QN_UNROLL
    for (int j = 0; j < INT_VECTORS; j++)
        vi_store(out + j * VF_LANES, sums[j]);
}

/* The common end, straight from registers. */
QN_INLINE bool depthwise_bytes(const struct depthwise *d, const struct qn_integer_out *out,
                               const struct pixel_taps *taps, int64_t rows, const bool full, char *y)
{
    if (!int_folds(out) || !d->columns.small_scales || d->zeros)
        return false;
    struct int_bytes bytes = int_bytes_of(&d->columns, out, y, d->channels);
    for (int64_t r = 0; r < rows; r += 2) {
        bool last = r + 1 == rows;
        vi sums[2][INT_VECTORS];
        QN_UNROLL
        for (int j = 0; j < 2 * INT_VECTORS; j++)
            sums[j / INT_VECTORS][j % INT_VECTORS] = vi_load(d->columns.offset + j % INT_VECTORS * VF_LANES);
        depthwise_add(d, taps[r].x, taps[r].offsets, full, false, sums[0]);
        if (!last)
            depthwise_add(d, taps[r + 1].x, taps[r + 1].offsets, full, false, sums[1]);
        QN_UNROLL
        for (int64_t at = 0; at < QN_INTEGER_PANEL; at += INT_UNIT) {
            int64_t v = at / VF_LANES;
            vi unit[4] = {sums[0][v], sums[0][v + 1], sums[1][v], sums[1][v + 1]};
            if (at >= d->channels)
                break;
            if (last)
                int_store_rows(1, &bytes, r, at, unit, full);
            else
                int_store_rows(2, &bytes, r, at, unit, full);
        }
    }
    return true;
}

/* ---- tiles ---------------------------------------------------------------------------------------------------- */

QN_INLINE void depthwise_panel(const struct qn_integer_conv_params *p, const struct pixel_taps *taps, int64_t row,
                               int64_t rows, int64_t first, const bool full, char *pairs)
{
    struct depthwise d;
    struct qn_integer_out out = p->out;
    prepare_channels(p, first, &d);
    widen_weights(&d, pairs);
    out.stride = p->o;
    char *y = (char *)out.y + (row * p->o + first) * qn_integer_out_bytes(&out);
    if (depthwise_bytes(&d, &out, taps, rows, full, y))
        return;
    _Alignas(64) int32_t sums[INT_ROWS * QN_INTEGER_PANEL];
    struct int_rows block = {.rows = rows};
    for (int64_t r = 0; r < rows; r += INT_ROWS) {
        int64_t count = least(rows - r, INT_ROWS);
        for (int64_t i = 0; i < count; i++)
            depthwise_pixel(&d, &taps[r + i], full, sums + i * QN_INTEGER_PANEL);
        int_finish(&d.columns, &out, &block, r, count, d.channels, sums, y);
    }
}

/* Channels channel .. end, of which the first stands at the beginning of a panel. */
static void run_depthwise_tile(const struct qn_integer_conv_params *p, int64_t row, int64_t rows, int64_t channel,
                               int64_t end, char *scratch)
{
    char *pairs = scratch;
    uint8_t *outside = (uint8_t *)scratch + pairs_bytes(p);
    struct pixel_taps *taps = (struct pixel_taps *)(void *)(outside + blocks(p->c, 64) * 64);
    int64_t *shared = (int64_t *)(void *)(taps + PIXELS), *own = shared + padded_taps(p);
    fill_bytes(outside, p->x_zero ? *(const uint8_t *)p->x_zero : 0, p->c);
    find_offsets(p, (const int64_t[]){0, 0, 0}, p->x, NULL, shared);
    find_taps(p, row, rows, outside, shared, own, taps);
    for (int64_t first = channel; first < end; first += QN_INTEGER_PANEL) {
        if (p->o - first >= QN_INTEGER_PANEL)
            depthwise_panel(p, taps, row, rows, first, true, pairs);
        else
            depthwise_panel(p, taps, row, rows, first, false, pairs);
    }
}

static int64_t depthwise_rows(const struct qn_integer_conv_params *p)
{
    int64_t rows = qn_integer_conv_rows(p);
    return blocks(rows, most(1, blocks(rows, PIXELS))); /* equal blocks */
}

static int64_t depthwise_columns(const struct qn_integer_conv_params *p, int64_t row_blocks)
{
    return row_blocks >= FEW ? p->o : CHANNELS;
}

static int64_t depthwise_tiles(const struct qn_integer_conv_params *p)
{
    int64_t rows = qn_integer_conv_rows(p), row_blocks = rows > 0 ? blocks(rows, depthwise_rows(p)) : 0;
    return row_blocks && p->o ? row_blocks * blocks(p->o, depthwise_columns(p, row_blocks)) : 0;
}

static void run_depthwise(const struct qn_integer_conv_params *p, int64_t begin, int64_t end, char *scratch)
{
    int64_t height = depthwise_rows(p), rows = qn_integer_conv_rows(p), row_blocks = blocks(rows, height);
    int64_t width = depthwise_columns(p, row_blocks);
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t row = tile % row_blocks * height, first = tile / row_blocks * width;
        run_depthwise_tile(p, row, least(rows - row, height), first, least(p->o, first + width), scratch);
    }
}
#endif

#endif

/* Depthwise convolutions of bytes for AVX2, whose products of bytes saturate: 16-bit numbers are multiplied in pairs. A
 * part of integer_depthwise_vec.h.
 *
 * A pair is two taps of a channel side by side; a vector holds those of eight channels. The window's rows are taken two
 * at a time, and a pair's taps stand one above the other; in the last of an odd number of rows they stand beside each
 * other. A line of pairs keeps its weights in registers while the pixels pass: a pixel is widened and paired once for
 * all outputs of a register tile that it is a part of. Steps of more than 2 pixels and dilated rows have lines of one
 * pair.
 *
 * Where the pixels of a register tile lie says a table, one row a row of the window. What lies outside the image is a
 * row of x_zero. */
#ifndef QN_KERNELS_INTEGER_DEPTHWISE_WORDS_H
#define QN_KERNELS_INTEGER_DEPTHWISE_WORDS_H

enum {
    UNIT = 16,           /* channels of a register tile: two vectors of sums a pixel */
    UNIT_PIXELS = 6,     /* at most */
    WIDE_CHANNELS = 256, /* of a tile, at most */
    LEAST_CHANNELS = 64, /* where tiles are few */
    STRIP = 128,         /* output pixels of a line that are one piece, at most */
    TILE_PIXELS = 64,    /* strips that are shorter go together */
    ENOUGH_TILES = 16,
};

/* ---- tiles ---------------------------------------------------------------------------------------------------- */

/* A tile: `strips` pieces of output lines, `width` channels. */
struct depthwise_tiles {
    int64_t pieces, piece; /* of an output line; pixels of one */
    int64_t all, strips;   /* pieces of all lines; of a tile */
    int64_t width;
};

static struct depthwise_tiles plan_tiles(const struct qn_integer_conv_params *p)
{
    struct depthwise_tiles t;
    int64_t line = p->size[2], lines = p->n * p->size[0] * p->size[1];
    t.pieces = blocks(line, STRIP);
    t.piece = line ? blocks(blocks(line, t.pieces), UNIT_PIXELS) * UNIT_PIXELS : 1;
    t.pieces = blocks(line, t.piece);
    t.all = lines * t.pieces;
    t.strips = most(1, TILE_PIXELS / most(1, least(t.piece, line)));
    int64_t high = most(1, blocks(t.all, t.strips)), wanted = blocks(ENOUGH_TILES, high);
    wanted = most(blocks(p->o, WIDE_CHANNELS), least(wanted, p->o / LEAST_CHANNELS));
    t.width = most(UNIT, blocks(blocks(p->o, most(1, wanted)), UNIT) * UNIT);
    return t;
}

static int64_t depthwise_tiles(const struct qn_integer_conv_params *p)
{
    struct depthwise_tiles t = plan_tiles(p);
    return blocks(t.all, t.strips) * blocks(p->o, t.width);
}

/* ---- the window ----------------------------------------------------------------------------------------------- */

/* Pairs of taps whose pixels are found from first[q] and second[q] in the table, q counted from the first pixel. */
struct depthwise_line {
    int64_t first, second;
    int64_t pairs;
    bool beside; /* the taps of a pair are neighbours in a row: the next pair is two columns on */
};

/* What the pixels of a call have in common. */
struct depthwise {
    const struct qn_integer_conv_params *p;
    struct depthwise_line *lines;
    int64_t (*taps)[2]; /* of each pair; the second -1: none */
    int64_t line_count, pairs;
    int64_t rows, columns; /* of the table */
    int64_t *column_at;    /* pixels from the window's first column of the tile */
    int64_t *inner;        /* the table of tiles inside the image, from the tile's first pixel */
    int64_t *border;       /* the table of the others, from x */
    int64_t *row_at;       /* of a line of pixels: where the window's rows lie, or OUTSIDE */
    uint8_t *copied, *outside;
    int by; /* steps of the window in columns of the table */
    struct depthwise_unit *units;
    int16_t *weights; /* [unit][pair][2][16], as sums lie */
    int64_t unit_count;
    struct qn_integer_out out;
    struct vi_saturation saturation;
    bool is_3x3; /* two lines, of three and two pairs */
    bool folds;  /* the common end */
};

#define OUTSIDE INT64_MIN

/* Columns of the table are columns of the image, and lines have several pairs. */
static bool shares_columns(const struct qn_integer_conv_params *p)
{
    return p->dilations[2] == 1 && p->strides[2] <= 2;
}

/* Columns of the image that `pixels` outputs read; one more, as half a pair may. */
static int64_t reach(const struct qn_integer_conv_params *p, int64_t pixels)
{
    return (pixels - 1) * p->strides[2] + (p->kernel[2] - 1) * p->dilations[2] + 2;
}

/* Whole vectors of offsets. */
static int64_t table_columns(const struct qn_integer_conv_params *p)
{
    return blocks(shares_columns(p) ? reach(p, UNIT_PIXELS) : UNIT_PIXELS * p->kernel[2], 4) * 4;
}

static void add_line(struct depthwise *d, int64_t first, int64_t second, int64_t pairs, bool beside)
{
    d->lines[d->line_count++] = (struct depthwise_line){first, second, pairs, beside};
}

static void add_pair(struct depthwise *d, int64_t first, int64_t second)
{
    d->taps[d->pairs][0] = first;
    d->taps[d->pairs++][1] = second;
}

/* Taps of rows `row` and the next. */
static void add_rows(struct depthwise *d, int64_t row)
{
    int64_t taps = d->p->kernel[2], step = shares_columns(d->p) ? 1 : UNIT_PIXELS;
    for (int64_t j = 0, count; j < taps; j += count) {
        int64_t left = taps - j, at = row * d->columns + j * step;
        count = step > 1 || left < 3 ? 1 : left < 5 ? 3 : left < 7 ? 5 : 7;
        add_line(d, at, at + d->columns, count, false);
        for (int64_t i = j; i < j + count; i++)
            add_pair(d, row * taps + i, (row + 1) * taps + i);
    }
}

/* Taps of one row. */
static void add_row(struct depthwise *d, int64_t row)
{
    int64_t taps = d->p->kernel[2], pairs = (taps + 1) / 2, step = shares_columns(d->p) ? 1 : UNIT_PIXELS;
    for (int64_t j = 0, count; j < pairs; j += count) {
        int64_t at = row * d->columns + 2 * j * step;
        count = step > 1 ? 1 : least(pairs - j, 4);
        add_line(d, at, 2 * j + 1 < taps ? at + step : at, count, count > 1);
        for (int64_t i = 2 * j; i < 2 * (j + count); i += 2)
            add_pair(d, row * taps + i, i + 1 < taps ? row * taps + i + 1 : -1);
    }
}

static void find_lines(struct depthwise *d)
{
    const struct qn_integer_conv_params *p = d->p;
    bool shares = shares_columns(p);
    int64_t row = 0;
    for (; row + 1 < d->rows; row += 2)
        add_rows(d, row);
    if (row < d->rows)
        add_row(d, row);
    for (int64_t i = 0; i < d->columns; i++)
        d->column_at[i] = shares ? i : i % UNIT_PIXELS * p->strides[2] + i / UNIT_PIXELS * p->dilations[2];
    row = 0;
    for (int64_t i = 0; i < p->kernel[0]; i++)
        for (int64_t j = 0; j < p->kernel[1]; j++, row++)
            for (int64_t k = 0; k < d->columns; k++)
                d->inner[row * d->columns + k] =
                    i * p->dilations[0] * p->x_s[0] + j * p->dilations[1] * p->x_s[1] + d->column_at[k] * p->x_s[2];
}

/* Where the window's rows lie for a line of output pixels; whether all lie in the image. */
static bool find_rows(struct depthwise *d, const struct qn_integer_pixel *pixel)
{
    const struct qn_integer_conv_params *p = d->p;
    int64_t *row = d->row_at, z = pixel->at[0] * p->strides[0] - p->begin[0];
    bool inside = true;
    for (int64_t i = 0; i < p->kernel[0]; i++, z += p->dilations[0]) {
        int64_t y = pixel->at[1] * p->strides[1] - p->begin[1];
        for (int64_t j = 0; j < p->kernel[1]; j++, y += p->dilations[1]) {
            bool has = z >= 0 && z < p->in[0] && y >= 0 && y < p->in[1];
            *row++ = has ? pixel->batch * p->x_n + z * p->x_s[0] + y * p->x_s[1] : OUTSIDE;
            inside = inside && has;
        }
    }
    return inside;
}

/* The table of pixels that start at column `start`, from x. */
static void find_border(struct depthwise *d, int64_t start)
{
    const struct qn_integer_conv_params *p = d->p;
    int64_t *border = d->border, columns = d->columns, rows = d->rows, in = p->in[2], step = p->x_s[2];
    vi outside = _mm256_set1_epi64x((int64_t)((uintptr_t)d->outside - (uintptr_t)p->x));
    for (int64_t i = 0; i < columns; i += 4) {
        int64_t at[4];
        QN_UNROLL
        for (int k = 0; k < 4; k++) {
            at[k] = start + d->column_at[i + k];
            at[k] = at[k] >= 0 && at[k] < in ? at[k] * step : OUTSIDE;
        }
        vi column = _mm256_setr_epi64x(at[0], at[1], at[2], at[3]);
        vi none = _mm256_cmpeq_epi64(column, _mm256_set1_epi64x(OUTSIDE));
        for (int64_t r = 0; r < rows; r++) {
            vi offsets = _mm256_add_epi64(column, _mm256_set1_epi64x(d->row_at[r]));
            vi out = d->row_at[r] == OUTSIDE ? outside : _mm256_blendv_epi8(offsets, outside, none);
            _mm256_storeu_si256((__m256i *)(void *)(border + r * columns + i), out);
        }
    }
}

/* ---- channels ------------------------------------------------------------------------------------------------- */

struct depthwise_unit {
    struct int_columns columns;
    /* Eight channels a vector, in the order of sums: 0 to 3 and 8 to 11, then 4 to 7 and 12 to 15. */
    _Alignas(32) int32_t offset[UNIT];
    float scale[UNIT];
    int64_t first, channels;
    bool bytes; /* the common end, all channels: columns are not needed */
};

/* Channels 0 to 15 as sums lie. */
QN_INLINE void as_sums(vi v[2])
{
    vi low = _mm256_permute2x128_si256(v[0], v[1], 0x20), high = _mm256_permute2x128_si256(v[0], v[1], 0x31);
    v[0] = low;
    v[1] = high;
}

/* The weights of a tap for the channels from `first` on, zero points taken off. */
QN_INLINE void unit_tap(const struct qn_integer_conv_params *p, int64_t first, const int32_t *zeros, int64_t tap,
                        vi w[2])
{
    int64_t wide = blocks(p->o, QN_INTEGER_PANEL) * QN_INTEGER_PANEL;
    const int8_t *from = (const int8_t *)p->w + (tap / 4 * wide + first) * 4;
    __m128i left = _mm_cvtsi64_si128(24 - tap % 4 * 8);
    QN_UNROLL
    for (int j = 0; j < 2; j++) {
        vi fours = vi_load((const int32_t *)(const void *)(from + j * 32));
        w[j] = _mm256_srai_epi32(_mm256_sll_epi32(fours, left), 24);
        w[j] = vi_sub(w[j], vi_load(zeros + j * VF_LANES));
    }
}

static void pair_weights(const struct depthwise *d, int64_t first, const int32_t *zeros, int16_t *to)
{
    for (int64_t i = 0; i < d->pairs; i++, to += 2 * UNIT) {
        vi w[2], second[2] = {vi_set(0), vi_set(0)};
        unit_tap(d->p, first, zeros, d->taps[i][0], w);
        if (d->taps[i][1] >= 0)
            unit_tap(d->p, first, zeros, d->taps[i][1], second);
        QN_UNROLL
        for (int j = 0; j < 2; j++)
            w[j] = _mm256_blend_epi16(w[j], _mm256_slli_epi32(second[j], 16), 0xaa);
        as_sums(w);
        vi_store((int32_t *)(void *)to, w[0]);
        vi_store((int32_t *)(void *)(to + UNIT), w[1]);
    }
}

/* The sums of a panel's weights as they are packed. */
static void sum_weights(const struct qn_integer_conv_params *p, int64_t first, int64_t channels, int32_t *sums)
{
    int64_t wide = blocks(p->o, QN_INTEGER_PANEL) * QN_INTEGER_PANEL, fours = (qn_integer_conv_taps(p) + 3) / 4;
    for (int64_t j = 0; j < channels; j += VF_LANES) {
        const int8_t *from = (const int8_t *)p->w + (first + j) * 4;
        vi total = vi_set(0);
        for (int64_t i = 0; i < fours; i++, from += wide * 4) {
            vi words = _mm256_maddubs_epi16(_mm256_set1_epi8(1), vi_load((const int32_t *)(const void *)from));
            total = vi_add(total, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
        }
        vi_store(sums + j, total);
    }
}

static void prepare_columns(const struct qn_integer_conv_params *p, int64_t first, struct int_columns *columns)
{
    _Alignas(32) int32_t sums[QN_INTEGER_PANEL] = {0};
    struct int_rows none = {.a_zero = p->x_zero ? qn_integer_byte(p->x_zero, 0, p->x_signed) : 0};
    struct int_panels panels = {.n = p->o,
                                .k = qn_integer_conv_taps(p),
                                .b_zero = p->w_zero,
                                .b_zero_step = p->w_zero_step,
                                .b_signed = p->w_signed};
    sum_weights(p, first, least(QN_INTEGER_PANEL, p->o - first), sums);
    int_prepare(columns, &p->out, &none, sums, first, &panels);
    columns->has_b_zero = false; /* taken off here */
}

/* The units of channels [first, end): where they are no multiple of UNIT, the last two share some. Two units are a
 * panel. */
static void prepare_units(struct depthwise *d, int64_t first, int64_t end)
{
    int16_t *weights = d->weights;
    struct int_columns columns;
    int64_t panel = 0;
    d->unit_count = blocks(end - first, UNIT);
    for (int64_t i = 0; i < d->unit_count; i++, weights += d->pairs * 2 * UNIT) {
        struct depthwise_unit *u = &d->units[i];
        u->first = most(first, least(first + i * UNIT, end - UNIT));
        u->channels = least(UNIT, end - u->first);
        if (i % 2 == 0 || u->first != panel + UNIT) {
            panel = u->first;
            prepare_columns(d->p, panel, &columns);
        }
        int64_t at = u->first - panel;
        u->bytes = d->folds && columns.small_scales && u->channels == UNIT;
        if (!u->bytes)
            prepare_columns(d->p, u->first, &u->columns);
        pair_weights(d, u->first, columns.b_zero + at, weights);
        vi offset[2] = {vi_load(columns.offset + at), vi_load(columns.offset + at + VF_LANES)};
        vi scale[2] = {vi_load((const int32_t *)(const void *)(columns.scale + at)),
                       vi_load((const int32_t *)(const void *)(columns.scale + at + VF_LANES))};
        as_sums(offset);
        as_sums(scale);
        QN_UNROLL
        for (int j = 0; j < 2; j++) {
            vi_store(u->offset + j * VF_LANES, offset[j]);
            vi_store((int32_t *)(void *)(u->scale + j * VF_LANES), scale[j]);
        }
    }
}

/* ---- register tiles ------------------------------------------------------------------------------------------- */

QN_INLINE vi widen_pixel(const uint8_t *x, const bool is_signed)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)x);
    return is_signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
}

/* Weights are read where they are used: registers are for sums. Written out because gcc, given intrinsics, loads the
 * weights first and moves sums to memory. */
QN_INLINE vi add_pair_of(vi sum, vi pixels, const int16_t *w)
{
    vi products;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(products)
            : "x"(pixels), "m"(*(const vi *)(const void *)w));
    return sum;
}

/* Adds a line to the sums of `pixels` outputs, the pixels of which are `by` columns apart. */
QN_INLINE void add_pairs(const int pairs, const bool beside, const int by, const int pixels, const bool is_signed,
                         const uint8_t *x, const int64_t *first, const int64_t *second, const int16_t *w,
                         vi sums[UNIT_PIXELS][2])
{
    const int apart = beside ? 2 : 1, step = by == 2 && (beside || pairs == 1) ? 2 : 1;
    const int columns = (pixels - 1) * by + (pairs - 1) * apart + 1;
    vi next = vi_set(0);
    QN_UNROLL
    for (int q = 0; q < columns; q += step) {
        bool kept = beside && step == 1 && q > 0; /* this one's first was the last one's second */
        vi a = kept ? next : widen_pixel(x + first[q], is_signed), b = widen_pixel(x + second[q], is_signed);
        vi both[2] = {_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)};
        next = b;
        QN_UNROLL
        for (int j = 0; j < pairs; j++) {
            const int at = q - j * apart, i = at / by;
            if (at >= 0 && at % by == 0 && i < pixels) {
                sums[i][0] = add_pair_of(sums[i][0], both[0], w + 2 * j * UNIT);
                sums[i][1] = add_pair_of(sums[i][1], both[1], w + (2 * j + 1) * UNIT);
            }
        }
    }
}

QN_INLINE void add_lines(const int by, const int pixels, const bool is_signed, const struct depthwise *d,
                         const uint8_t *x, const int64_t *table, const int16_t *w, vi sums[UNIT_PIXELS][2])
{
    enum { BESIDE = 8 };
    if (d->is_3x3) { /* without a look at each line: 7 % of the time */
        const int64_t *last = table + 2 * d->columns;
        add_pairs(3, false, by, pixels, is_signed, x, table, table + d->columns, w, sums);
        add_pairs(2, true, by, pixels, is_signed, x, last, last + 1, w + 3 * 2 * UNIT, sums);
        return;
    }
    for (int64_t i = 0; i < d->line_count; i++) {
        const struct depthwise_line *line = &d->lines[i];
        const int64_t *first = table + line->first, *second = table + line->second;
        switch (line->pairs + (line->beside ? BESIDE : 0)) {
        case 7:
            add_pairs(7, false, by, pixels, is_signed, x, first, second, w, sums);
            break;
        case 5:
            add_pairs(5, false, by, pixels, is_signed, x, first, second, w, sums);
            break;
        case 3:
            add_pairs(3, false, by, pixels, is_signed, x, first, second, w, sums);
            break;
        case BESIDE + 4:
            add_pairs(4, true, by, pixels, is_signed, x, first, second, w, sums);
            break;
        case BESIDE + 3:
            add_pairs(3, true, by, pixels, is_signed, x, first, second, w, sums);
            break;
        case BESIDE + 2:
            add_pairs(2, true, by, pixels, is_signed, x, first, second, w, sums);
            break;
        default:
            add_pairs(1, false, by, pixels, is_signed, x, first, second, w, sums);
        }
        w += line->pairs * 2 * UNIT;
    }
}

/* The common end, straight from registers: y is the first pixel's first channel of the unit. */
QN_INLINE void store_bytes(const int pixels, const struct depthwise_unit *u, const struct vi_saturation *s, char *y,
                           int64_t stride, vi sums[UNIT_PIXELS][2])
{
    QN_UNROLL
    for (int i = 0; i < pixels; i += 2) {
        vi words[2];
        QN_UNROLL
        for (int k = 0; k < 2; k++) { /* behind an odd last pixel: that one again */
            const vi *sum = sums[i + k < pixels ? i + k : i];
            vi low = vi_nearest(vf_mul(vi_float(sum[0]), vf_load(u->scale)));
            vi high = vi_nearest(vf_mul(vi_float(sum[1]), vf_load(u->scale + VF_LANES)));
            words[k] = vi_pack_words(low, high, s->zero);
        }
        vi bytes = vi_pack_bytes(words[0], words[1], s->floor);
        bytes = vi_xor(_mm256_permute4x64_epi64(bytes, 0xd8), s->flip);
        vi_store_half(y + i * stride, bytes, false, UNIT);
        if (i + 1 < pixels)
            vi_store_half(y + (i + 1) * stride, bytes, true, UNIT);
    }
}

/* Any other end; sums [pixels][QN_INTEGER_PANEL] as they lie, y the first pixel's channel 0. */
static void store_sums(const struct qn_integer_out *out, const struct depthwise_unit *u, int64_t pixels, char *y,
                       int32_t *sums)
{
    struct int_rows rows = {.rows = pixels};
    for (int64_t i = 0; i < pixels; i++) {
        int32_t *sum = sums + i * QN_INTEGER_PANEL;
        vi both[2] = {vi_load(sum), vi_load(sum + VF_LANES)};
        as_sums(both);
        vi_store(sum, both[0]);
        vi_store(sum + VF_LANES, both[1]);
    }
    int_finish(&u->columns, out, &rows, 0, pixels, u->channels, sums, y + u->first * qn_integer_out_bytes(out));
}

/* `pixels` outputs; y is the first one's channel 0. */
QN_INLINE void depthwise_pixels(const int pixels, const int by, const bool is_signed, const struct depthwise *d,
                                const uint8_t *x, const int64_t *table, char *y)
{
    const struct vi_saturation s = d->saturation;
    const int64_t count = d->unit_count, stride = d->out.stride, weights = d->pairs * 2 * UNIT;
    const int16_t *w = d->weights;
    const struct depthwise_unit *u = d->units;
    for (int64_t i = 0; i < count; i++, u++, w += weights) {
        const bool bytes = u->bytes;
        vi sums[UNIT_PIXELS][2];
        QN_UNROLL
        for (int j = 0; j < 2 * pixels; j++)
            sums[j / 2][j % 2] = bytes ? vi_load(u->offset + j % 2 * VF_LANES) : vi_set(0);
        add_lines(by, pixels, is_signed, d, x + u->first, table, w, sums);
        if (bytes) {
            store_bytes(pixels, u, &s, y + u->first, stride, sums);
            continue;
        }
        _Alignas(32) int32_t plain[UNIT_PIXELS * QN_INTEGER_PANEL] = {0};
        QN_UNROLL
        for (int j = 0; j < 2 * pixels; j++)
            vi_store(plain + j / 2 * QN_INTEGER_PANEL + j % 2 * VF_LANES, sums[j / 2][j % 2]);
        store_sums(&d->out, u, pixels, y, plain);
    }
}

/* ---- strips --------------------------------------------------------------------------------------------------- */

/* Fewer than UNIT channels: the pixels of the border's table, one behind the other, which then is theirs. */
static const uint8_t *copy_pixels(struct depthwise *d)
{
    const struct depthwise_unit *u = &d->units[0];
    const uint8_t *x = (const uint8_t *)d->p->x + u->first;
    for (int64_t i = 0; i < d->rows * d->columns; i++) {
        copy_bytes(d->copied + i * UNIT, x + d->border[i], u->channels);
        d->border[i] = i * UNIT;
    }
    return d->copied - u->first;
}

QN_INLINE void choose_pixels(const int by, const bool is_signed, const struct depthwise *d, int64_t pixels,
                             const uint8_t *x, const int64_t *table, char *y)
{
    switch (pixels) {
    case 6:
        depthwise_pixels(6, by, is_signed, d, x, table, y);
        break;
    case 4:
        depthwise_pixels(4, by, is_signed, d, x, table, y);
        break;
    case 3:
        depthwise_pixels(3, by, is_signed, d, x, table, y);
        break;
    case 2:
        depthwise_pixels(2, by, is_signed, d, x, table, y);
        break;
    default:
        depthwise_pixels(1, by, is_signed, d, x, table, y);
    }
}

/* Of `left` pixels those of the next register tile: 14 are 6, 4 and 4, and 7 are 4 and 3. */
static int64_t some_pixels(int64_t left)
{
    return left > 8 || left == 6 ? 6 : left == 5 ? 3 : least(left, 4);
}

/* Output pixels [at, at + count) of a line. */
static void run_strip(struct depthwise *d, int64_t line, int64_t at, int64_t count)
{
    const struct qn_integer_conv_params *p = d->p;
    struct qn_integer_pixel pixel = qn_integer_conv_pixel(p, line * p->size[2]);
    int64_t element = p->o * qn_integer_out_bytes(&p->out);
    char *y = (char *)p->out.y + (line * p->size[2] + at) * element;
    bool inside = find_rows(d, &pixel), whole = d->units[0].channels == UNIT;
    for (int64_t pixels; count > 0; count -= pixels, at += pixels, y += pixels * element) {
        pixels = some_pixels(count);
        int64_t start = at * p->strides[2] - p->begin[2];
        const uint8_t *x = p->x;
        const int64_t *table = d->border;
        if (inside && whole && start >= 0 && start + reach(p, pixels) <= p->in[2]) {
            x += d->row_at[0] + start * p->x_s[2];
            table = d->inner;
        } else
            find_border(d, start);
        if (!whole)
            x = copy_pixels(d);
        if (p->x_signed && d->by == 2)
            choose_pixels(2, true, d, pixels, x, table, y);
        else if (p->x_signed)
            choose_pixels(1, true, d, pixels, x, table, y);
        else if (d->by == 2)
            choose_pixels(2, false, d, pixels, x, table, y);
        else
            choose_pixels(1, false, d, pixels, x, table, y);
    }
}

/* What a call needs of scratch memory, in the order of struct depthwise; with `d` it is given out. */
static int64_t lay_scratch(const struct qn_integer_conv_params *p, struct depthwise *d, char *scratch)
{
    int64_t taps = qn_integer_conv_taps(p), rows = p->kernel[0] * p->kernel[1], table = rows * table_columns(p);
    int64_t units = least(blocks(p->o, UNIT), WIDE_CHANNELS / UNIT);
    int64_t parts[] = {
        units * (int64_t)sizeof *d->units,
        units * taps * 2 * UNIT * (int64_t)sizeof *d->weights,
        table * UNIT,
        blocks(p->c, UNIT) * UNIT,
        taps * (int64_t)sizeof *d->lines,
        taps * (int64_t)sizeof *d->taps,
        table_columns(p) * 8,
        table * 8,
        table * 8,
        rows * 8,
    };
    enum { PARTS = sizeof parts / sizeof parts[0] };
    int64_t at[PARTS + 1] = {0};
    for (int i = 0; i < PARTS; i++)
        at[i + 1] = at[i] + blocks(parts[i], 64) * 64;
    if (d) {
        d->units = (void *)scratch;
        d->weights = (void *)(scratch + at[1]);
        d->copied = (void *)(scratch + at[2]);
        d->outside = (void *)(scratch + at[3]);
        d->lines = (void *)(scratch + at[4]);
        d->taps = (void *)(scratch + at[5]);
        d->column_at = (void *)(scratch + at[6]);
        d->inner = (void *)(scratch + at[7]);
        d->border = (void *)(scratch + at[8]);
        d->row_at = (void *)(scratch + at[9]);
    }
    return at[PARTS];
}

static int64_t depthwise_scratch(const struct qn_integer_conv_params *p)
{
    return lay_scratch(p, NULL, NULL);
}

static void run_depthwise(const struct qn_integer_conv_params *p, int64_t begin, int64_t end, char *scratch)
{
    struct depthwise_tiles t = plan_tiles(p);
    struct depthwise d = {.p = p,
                          .rows = p->kernel[0] * p->kernel[1],
                          .columns = table_columns(p),
                          .by = shares_columns(p) ? (int)p->strides[2] : 1,
                          .out = p->out,
                          .folds = int_folds(&p->out)};
    bool y_signed = p->out.dtype == QN_DTYPE_I8, relu = p->out.activation == QN_ACTIVATION_RELU;
    int32_t zero = d.folds ? int_zero(p->out.y_zero, 0, y_signed, 0) : 0;
    d.saturation = vi_saturation(zero, relu ? zero : y_signed ? -128 : 0, y_signed);
    d.out.stride = p->o;
    lay_scratch(p, &d, scratch);
    fill_bytes(d.outside, p->x_zero ? *(const uint8_t *)p->x_zero : 0, p->c);
    find_lines(&d);
    d.is_3x3 = d.rows == 3 && p->kernel[2] == 3 && shares_columns(p);
    int64_t high = blocks(t.all, t.strips), prepared = -1;
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t first = tile / high * t.width, strip = tile % high * t.strips;
        if (first != prepared)
            prepare_units(&d, first, least(p->o, first + t.width));
        prepared = first;
        for (int64_t last = least(t.all, strip + t.strips); strip < last; strip++) {
            int64_t at = strip % t.pieces * t.piece;
            run_strip(&d, strip / t.pieces, at, least(t.piece, p->size[2] - at));
        }
    }
}

#undef OUTSIDE

#endif

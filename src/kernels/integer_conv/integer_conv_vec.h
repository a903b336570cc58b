/* INTEGER_CONV on vectors, channels last. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS and RANK
 * and includes this.
 *
 * A tile is a block of output pixels and of output channels of a group. Its pixels' taps are copied side by side into
 * rows (one by one convolutions without stride read x as it lies), and rows by panels is INTEGER_GEMM. */
#include "kernels/integer_conv/integer_depthwise_vec.h"

enum {
    ROWS = 96,
    COLUMNS = 256,
    ENOUGH = 16,           /* tiles: more make no thread wait for another, but each begins anew */
    ROW_BYTES = 256 << 10, /* of laid rows: they and a panel share the second cache level */
};

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

/* Scratch bytes of a row: taps, and the same widened. */
static int64_t laid_bytes(const struct qn_integer_conv_params *p)
{
    int64_t bytes = is_direct(p) ? 0 : row_bytes(p);
#ifdef QN_INT_WIDENS
    bytes += 2 * row_bytes(p);
#endif
    return bytes;
}

static int64_t block_rows(const struct qn_integer_conv_params *p)
{
    int64_t rows = qn_integer_conv_rows(p), bytes = laid_bytes(p);
    int64_t limit = bytes ? most(INT_ROWS, least(ROWS, ROW_BYTES / bytes / INT_ROWS * INT_ROWS)) : ROWS;
    int64_t count = blocks(rows, limit);
    return count ? blocks(blocks(rows, count), INT_ROWS) * INT_ROWS : INT_ROWS;
}

/* Output channels of a tile: fewer than COLUMNS where few blocks of rows would leave threads without work, unless the
 * rows' taps were to be copied for each. */
static int64_t block_columns(const struct qn_integer_conv_params *p, int64_t row_blocks)
{
    if (!is_direct(p) && row_blocks > 1)
        return COLUMNS;
    int64_t share = blocks(p->o * row_blocks, ENOUGH);
    return least(COLUMNS, blocks(share, QN_INTEGER_PANEL) * QN_INTEGER_PANEL);
}

static int64_t tiles(const void *params)
{
    const struct qn_integer_conv_params *p = params;
    if (is_depthwise(p))
        return depthwise_tiles(p);
    int64_t rows = qn_integer_conv_rows(p), row_blocks = rows > 0 ? blocks(rows, block_rows(p)) : 0;
    return row_blocks && p->o ? row_blocks * p->groups * blocks(p->o / p->groups, block_columns(p, row_blocks)) : 0;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_integer_conv_params *p = params;
    if (is_depthwise(p))
        return depthwise_scratch(p);
    return blocks((ROWS + INT_ROWS) * 4 + block_rows(p) * laid_bytes(p), 64) * 64 + 64;
}

/* ---- rows of copied taps -------------------------------------------------------------------------------------- */

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

/* The taps of rows [row, row + rows) of the product, `stride` bytes apart, zeros up to a multiple of 4. */
static void copy_rows(const struct qn_integer_conv_params *p, int64_t row, int64_t rows, int64_t group, uint8_t *to,
                      int64_t stride, uint8_t zero)
{
    int64_t channels = p->c / p->groups, line = p->kernel[2] * channels, end = depth(p) / 4 * 4;
    for (int64_t r = 0; r < rows && end < depth(p); r++)
        __builtin_memset(to + r * stride + end, 0, 4);
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

/* A block of rows as the tiles read it: pixels side by side, their sums where they count. */
static struct int_rows lay_rows(const struct qn_integer_conv_params *p, int64_t row, int64_t rows, int64_t group,
                                bool sums, char *scratch)
{
    int64_t k = depth(p), channels = p->c / p->groups;
    uint8_t zero = p->x_zero ? *(const uint8_t *)p->x_zero : 0;
    int32_t *row_sums = (int32_t *)(void *)scratch;
    uint8_t *copied = (uint8_t *)scratch + blocks((ROWS + INT_ROWS) * 4, 64) * 64;
    struct int_rows block = {
        .rows = rows, .k = k, .flip = p->x_signed, .sums = row_sums, .ahead = int_fetch_ahead(rows)};
    block.a_zero = int_zero(p->x_zero, 0, p->x_signed, p->x_signed ? 128 : 0);
    if (is_direct(p)) {
        block.a = (const uint8_t *)p->x + row * p->c + group * channels;
        block.a_row = p->c;
    } else {
        copy_rows(p, row, rows, group, copied, row_bytes(p), zero);
        block.a = copied;
        block.a_row = row_bytes(p);
        block.k = blocks(k, 4) * 4;
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
    block.k = blocks(k, 4) * 4;
#endif
    return block;
}

/* Columns first .. end of a group for a block of rows. */
static void run_block(const struct qn_integer_conv_params *p, const struct int_rows *block, int64_t row, int64_t group,
                      int64_t first, int64_t end, struct int_columns *columns, bool fresh)
{
    int64_t n = p->o / p->groups, k = depth(p);
    struct int_panels panels = {(const char *)p->w + group * qn_integer_packed_bytes(k, n),
                                n,
                                k,
                                p->w_zero ? (const char *)p->w_zero + group * n * p->w_zero_step : NULL,
                                p->w_zero_step,
                                p->w_signed};
    struct qn_integer_out out = group_out(p, group);
    int_block(block, &panels, first, end, &out, (char *)out.y + (row * p->o + group * n) * qn_integer_out_bytes(&out),
              columns, fresh);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_integer_conv_params *p = params;
    if (is_depthwise(p)) {
        run_depthwise(p, begin, end, scratch);
        return;
    }
    int64_t height = block_rows(p), rows = qn_integer_conv_rows(p), row_blocks = blocks(rows, height);
    int64_t width = block_columns(p, row_blocks), n = p->o / p->groups;
    int64_t per_group = blocks(n, width), laid_row = -1, laid_group = -1;
    bool sums = needs_sums(p);
    struct int_columns columns[COLUMNS / QN_INTEGER_PANEL];
    struct int_rows block;
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t row = tile % row_blocks * height, count = least(rows - row, height);
        int64_t group = tile / row_blocks / per_group, first = tile / row_blocks % per_group * width;
        int64_t last = least(n, first + width);
        if (row != laid_row || group != laid_group)
            block = lay_rows(p, row, count, group, sums, scratch);
        laid_row = row;
        laid_group = group;
        run_block(p, &block, row, group, first, last, columns, tile == begin || row == 0);
    }
}

static bool fits(const void *params)
{
    return qn_integer_conv_is_dense(params);
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

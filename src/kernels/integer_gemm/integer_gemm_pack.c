/* Panels of bytes for INTEGER_GEMM, in plain C: it is a copy. */
#include <stddef.h>

#include "kernels/integer_gemm/integer_gemm.h"
#include "kernels/panel_words.h"

int64_t qn_integer_packed_bytes(int64_t k, int64_t n)
{
    int64_t panels = (n + QN_INTEGER_PANEL - 1) / QN_INTEGER_PANEL, bytes;
    if (k > INT64_MAX / 256 || __builtin_mul_overflow(panels, qn_integer_panel_bytes(k), &bytes))
        return INT64_MAX;
    return bytes;
}

enum {
    ROWS_OF_SUM = 256, /* bytes whose sum fits in 16 bits */
    GROUP = 16,        /* panels a tile */
    AHEAD = 32,        /* rows */
};

typedef int8_t bytes16 __attribute__((vector_size(16), may_alias));
typedef int16_t shorts8 __attribute__((vector_size(16), may_alias));

int64_t qn_integer_columns_scratch(int64_t k)
{
    return (k + 3) / 4 * 4 * QN_INTEGER_PANEL;
}

/* Pairs of neighbouring bytes are summed as 16-bit lanes, as many as these hold. */
static int32_t sum_of(const int8_t *bytes, int64_t count)
{
    enum { PAIRS = ROWS_OF_SUM / 2 };
    int32_t sum = 0;
    int64_t i = 0;
    while (count - i >= 16) {
        int64_t vectors = (count - i) / 16 < PAIRS ? (count - i) / 16 : PAIRS;
        shorts8 lanes = {0}, v;
        for (int64_t k = 0; k < vectors; k++, i += 16) {
            __builtin_memcpy(&v, bytes + i, sizeof v);
            lanes += (v >> 8) + (v << 8 >> 8);
        }
        for (int k = 0; k < 8; k++)
            sum += lanes[k];
    }
    for (; i < count; i++)
        sum += bytes[i];
    return sum;
}

void qn_integer_pack_columns(const uint8_t *from, int64_t column_bytes, int64_t columns, int64_t k, bool flip,
                             void *panel, uint8_t *scratch)
{
    int64_t wide = (k + 3) / 4 * 4;
    if (flip || wide != k) {
        for (int64_t j = 0; j < columns; j++) {
            uint8_t *to = scratch + j * wide;
            for (int64_t i = 0; i < k; i++)
                to[i] = from[j * column_bytes + i] ^ (flip ? 0x80 : 0);
            for (int64_t i = k; i < wide; i++)
                to[i] = 0;
        }
        from = scratch;
        column_bytes = wide;
    }
    int32_t sums[QN_INTEGER_PANEL] = {0};
    for (int64_t j = 0; j < columns; j++)
        sums[j] = sum_of((const int8_t *)from + j * column_bytes, wide);
    if (columns < QN_INTEGER_PANEL)
        __builtin_memset(panel, 0, (size_t)(wide * QN_INTEGER_PANEL));
    struct qn_panel_words words = {.from = (const char *)from,
                                   .row_bytes = column_bytes,
                                   .columns = columns,
                                   .count = wide / 4,
                                   .taps = 1,
                                   .to = panel,
                                   .width = QN_INTEGER_PANEL};
    qn_panel_words_copy(&words);
    __builtin_memcpy((char *)panel + wide * QN_INTEGER_PANEL, sums, sizeof sums);
}

static int64_t panels_of(const struct qn_integer_pack_params *p)
{
    return (p->n + QN_INTEGER_PANEL - 1) / QN_INTEGER_PANEL;
}

static int64_t groups_of(const struct qn_integer_pack_params *p)
{
    return (panels_of(p) + GROUP - 1) / GROUP;
}

int64_t qn_integer_pack_tiles(const void *params)
{
    const struct qn_integer_pack_params *p = params;
    return p->batches * groups_of(p);
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_integer_pack_params *p = params;
    return p->b_k == 1 ? qn_integer_columns_scratch(p->k) : 0;
}

/* Four rows of 16 columns to 16 groups of four bytes. */
static void weave(const bytes16 rows[4], bytes16 *to)
{
    for (int half = 0; half < 2; half++) {
        bytes16 a =
            half ? __builtin_shufflevector(rows[0], rows[1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                           31)
                 : __builtin_shufflevector(rows[0], rows[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        bytes16 b =
            half ? __builtin_shufflevector(rows[2], rows[3], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                           31)
                 : __builtin_shufflevector(rows[2], rows[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        to[half * 2] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
        to[half * 2 + 1] = __builtin_shufflevector(a, b, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
    }
}

enum { HALVES = QN_INTEGER_PANEL / 16, VECTORS = QN_INTEGER_PANEL * 4 / 16 };

/* Sums of a panel's columns, two 16-bit lanes each. */
struct column_sums {
    shorts8 lanes[VECTORS];
};

/* `count` rows, at most four, of a panel of a matrix whose rows (of n) are contiguous. `columns` and `count` are
 * constants where panel and step are full. */
static inline __attribute__((always_inline)) void pack_step(const struct qn_integer_pack_params *p, const char *from,
                                                            int64_t columns, int64_t count, char *out,
                                                            struct column_sums *sums)
{
    bytes16 flip = (bytes16){0} + (int8_t)(p->b_signed ? 0 : -128), rows[HALVES][4] = {0}, to[4];
    for (int64_t i = 0; i < count; i++) {
        bytes16 line[HALVES] = {0};
        __builtin_memcpy(line, from + i * p->b_k, (size_t)columns);
        for (int h = 0; h < HALVES; h++)
            rows[h][i] = line[h] ^ flip;
    }
    for (int h = 0; h < HALVES; h++) {
        weave(rows[h], to);
        __builtin_memcpy(out + h * sizeof to, to, sizeof to);
        for (int i = 0; i < 4; i++) {
            shorts8 pairs = (shorts8)to[i];
            sums->lanes[h * 4 + i] += (pairs >> 8) + (pairs << 8 >> 8);
        }
    }
}

/* Panels [first, last), `bytes` apart, of a matrix whose rows are contiguous, four rows at a time, so that these are
 * read in stretches. Rows may be pages apart, which no hardware fetches ahead. */
static void pack_rows(const struct qn_integer_pack_params *p, const char *from, int64_t first, int64_t last,
                      int64_t bytes, char *out)
{
    int32_t sums[GROUP][QN_INTEGER_PANEL] = {0};
    int64_t sums_at = qn_integer_panel_bytes(p->k) - QN_INTEGER_PANEL * 4;
    int64_t rest = p->n - (last - 1) * QN_INTEGER_PANEL, full = rest < QN_INTEGER_PANEL ? last - 1 : last;
    for (int64_t begin = 0; begin < p->k; begin += ROWS_OF_SUM) {
        int64_t end = p->k - begin < ROWS_OF_SUM ? p->k : begin + ROWS_OF_SUM;
        struct column_sums part[GROUP] = {0};
        for (int64_t k = begin; k < end; k += 4) {
            const char *rows = from + k * p->b_k;
            int64_t count = end - k < 4 ? end - k : 4;
            for (int64_t i = first; i < last; i++) {
                const char *columns = rows + i * QN_INTEGER_PANEL;
                char *to = out + i * bytes + k * QN_INTEGER_PANEL;
                for (int64_t r = 0; r < 4 && i % 2 == 0; r++)
                    __builtin_prefetch(columns + (r + AHEAD) * p->b_k);
                if (i < full && count == 4)
                    pack_step(p, columns, QN_INTEGER_PANEL, 4, to, &part[i - first]);
                else
                    pack_step(p, columns, i < full ? QN_INTEGER_PANEL : rest, count, to, &part[i - first]);
            }
        }
        for (int64_t i = 0; i < last - first; i++)
            for (int j = 0; j < 2 * QN_INTEGER_PANEL; j++)
                sums[i][j / 2] += part[i].lanes[j / 8][j % 8];
    }
    for (int64_t j = rest; j < QN_INTEGER_PANEL; j++) { /* zeros stay zeros, whatever is taken off */
        sums[last - 1 - first][j] = 0;
        for (int64_t k = 0; k < p->k; k++)
            out[(last - 1) * bytes + k / 4 * (QN_INTEGER_PANEL * 4) + j * 4 + k % 4] = 0;
    }
    for (int64_t i = first; i < last; i++)
        __builtin_memcpy(out + i * bytes + sums_at, sums[i - first], sizeof sums[0]);
}

/* Any strides. */
static void pack_strided(const struct qn_integer_pack_params *p, const char *from, int64_t columns, char *out)
{
    char flip = p->b_signed ? 0 : (char)0x80;
    int32_t sums[QN_INTEGER_PANEL] = {0};
    __builtin_memset(out, 0, (size_t)qn_integer_panel_bytes(p->k));
    for (int64_t k = 0; k < p->k; k++) {
        char *to = out + k / 4 * (QN_INTEGER_PANEL * 4) + k % 4;
        for (int64_t j = 0; j < columns; j++) {
            char value = (char)(from[k * p->b_k + j * p->b_n] ^ flip);
            to[j * 4] = value;
            sums[j] += (int8_t)value;
        }
    }
    __builtin_memcpy(out + (p->k + 3) / 4 * (QN_INTEGER_PANEL * 4), sums, sizeof sums);
}

char *qn_integer_pack_tile(const struct qn_integer_pack_params *p, int64_t tile, int64_t bytes, void *scratch,
                           int64_t *count)
{
    int64_t batch = tile / groups_of(p), first = tile % groups_of(p) * GROUP;
    int64_t last = panels_of(p) - first < GROUP ? panels_of(p) : first + GROUP;
    char *out = (char *)p->out + batch * panels_of(p) * bytes;
    const char *from = (const char *)p->b + batch * p->b_batch;
    *count = last - first;
    if (p->b_n == 1) {
        pack_rows(p, from, first, last, bytes, out);
        return out + first * bytes;
    }
    for (int64_t i = first; i < last; i++) {
        int64_t column = i * QN_INTEGER_PANEL;
        int64_t columns = p->n - column < QN_INTEGER_PANEL ? p->n - column : QN_INTEGER_PANEL;
        const char *source = from + column * p->b_n;
        if (p->b_k == 1)
            qn_integer_pack_columns((const uint8_t *)source, p->b_n, columns, p->k, !p->b_signed, out + i * bytes,
                                    scratch);
        else
            pack_strided(p, source, columns, out + i * bytes);
    }
    return out + first * bytes;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_integer_pack_params *p = params;
    int64_t count;
    for (int64_t tile = begin; tile < end; tile++)
        qn_integer_pack_tile(p, tile, qn_integer_panel_bytes(p->k), scratch, &count);
}

const struct qn_kernel qn_pack_panels_i8 = {
    .serial = 1702,
    .name = "pack_panels_i8",
    .family = QN_FAMILY_PACK,
    .tiles = qn_integer_pack_tiles,
    .scratch = scratch_bytes,
    .run = run,
    .pack = QN_PACK_PANELS_I8,
};

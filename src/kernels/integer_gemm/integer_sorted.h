/* The register tiles of INTEGER_GEMM for AVX2 on sorted panels: what a unit's weights allow decides how its products
 * are summed (enum qn_integer_class). A part of integer_tile.h.
 *
 * vpmaddubsw multiplies bytes and sums pairs, saturating, in 16 bits. On Zen 3 multiplications have two of four ports;
 * for 64 products quads take 5 operations, 3 of them multiplications, pairs 6 and 4, the rest 12 and 4: 114, 101 and 61
 * G multiply-adds a second in registers, where 16-bit numbers (integer_words.h) reach 79.
 *
 * Rows are copied, so that a tile finds all its rows at fixed distances from a unit's first. */
#ifndef QN_KERNELS_INTEGER_SORTED_H
#define QN_KERNELS_INTEGER_SORTED_H

enum { INT_K = 8 /* of a unit */, INT_UNIT_BYTES = INT_K * VF_LANES };

typedef struct {
    char bytes[4];
} int_four; /* what an instruction reads */

QN_INLINE vi int_weights(const char *w)
{
    return vi_load((const int32_t *)(const void *)w);
}

/* Constants of 16-bit lanes, read from memory: no register is left for them. */
typedef struct {
    _Alignas(32) uint16_t lanes[16];
} int_lanes;
static const int_lanes int_ones = {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
static const int_lanes int_low_bytes = {
    {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}};

/* The steps below add the products of bytes of a row with a unit's weights. They are written out whole, or gcc hands
 * sums through memory. */

/* 8 bytes. */
QN_INLINE vi int_quad(vi sum, const char *x, vi w0, vi w1, const int_lanes *ones)
{
    vi p, q;
    __asm__("vpbroadcastd %3, %1\n\tvpbroadcastd %4, %2\n\t"
            "vpmaddubsw %5, %1, %1\n\tvpmaddubsw %6, %2, %2\n\t"
            "vpaddw %2, %1, %1\n\tvpmaddwd %7, %1, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(p), "=&x"(q)
            : "m"(*(const int_four *)x), "m"(*(const int_four *)(x + 4)), "x"(w0), "x"(w1), "m"(*ones));
    return sum;
}

/* 8 bytes. */
QN_INLINE vi int_pairs(vi sum, const char *x, vi w0, vi w1, const int_lanes *ones)
{
    vi p, q;
    __asm__("vpbroadcastd %3, %1\n\tvpbroadcastd %4, %2\n\t"
            "vpmaddubsw %5, %1, %1\n\tvpmaddubsw %6, %2, %2\n\t"
            "vpmaddwd %7, %1, %1\n\tvpmaddwd %7, %2, %2\n\t"
            "vpaddd %1, %0, %0\n\tvpaddd %2, %0, %0"
            : "+x"(sum), "=&x"(p), "=&x"(q)
            : "m"(*(const int_four *)x), "m"(*(const int_four *)(x + 4)), "x"(w0), "x"(w1), "m"(*ones));
    return sum;
}

/* 4 bytes, the even and the odd ones as 16-bit numbers; so are the weights. */
QN_INLINE vi int_words(vi sum, const char *x, vi even, vi odd, const int_lanes *low_bytes)
{
    vi p, q;
    __asm__("vpbroadcastd %3, %1\n\t"
            "vpsrlw $8, %1, %2\n\tvpand %6, %1, %1\n\t"
            "vpmaddwd %4, %1, %1\n\tvpmaddwd %5, %2, %2\n\t"
            "vpaddd %1, %0, %0\n\tvpaddd %2, %0, %0"
            : "+x"(sum), "=&x"(p), "=&x"(q)
            : "m"(*(const int_four *)x), "x"(even), "x"(odd), "m"(*low_bytes));
    return sum;
}

/* Rows of a tile by VF_LANES columns of a panel, to out[rows][QN_INTEGER_PANEL]. x: [units][rows][INT_K]; w: [units]
 * [INT_UNIT_BYTES] by class; table: how many units are quads, how many pairs, then the place of each along k; `ahead`
 * bytes from `next` on are fetched with each unit. */
QN_INLINE void int_tile(const int rows, const char *x, const char *w, const uint16_t *table, int64_t units,
                        const char *next, int64_t ahead, int32_t *out)
{
    vi acc[INT_ROWS];
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        acc[r] = vi_set(0);
        __asm__("" : "+x"(acc[r]));
    }
    int64_t quads = table[0], pairs = quads + table[1], i = 0;
    table += 2;
    for (; i < quads; i++, w += INT_UNIT_BYTES, next += ahead) {
        const char *at = x + (int64_t)table[i] * (rows * INT_K);
        vi w0 = int_weights(w), w1 = int_weights(w + INT_UNIT_BYTES / 2);
        if (rows > 2)
            __builtin_prefetch(next, 0, 2);
        QN_UNROLL
        for (int r = 0; r < rows; r++)
            acc[r] = int_quad(acc[r], at + r * INT_K, w0, w1, &int_ones);
    }
    for (; i < pairs; i++, w += INT_UNIT_BYTES, next += ahead) {
        const char *at = x + (int64_t)table[i] * (rows * INT_K);
        vi w0 = int_weights(w), w1 = int_weights(w + INT_UNIT_BYTES / 2);
        if (rows > 2)
            __builtin_prefetch(next, 0, 2);
        QN_UNROLL
        for (int r = 0; r < rows; r++)
            acc[r] = int_pairs(acc[r], at + r * INT_K, w0, w1, &int_ones);
    }
    for (; i < units; i++, w += INT_UNIT_BYTES, next += ahead) {
        const char *at = x + (int64_t)table[i] * (rows * INT_K);
        if (rows > 2)
            __builtin_prefetch(next, 0, 2);
        QN_UNROLL
        for (int half = 0; half < 2; half++) {
            vi four = int_weights(w + half * (INT_UNIT_BYTES / 2));
            vi even = _mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8), odd = _mm256_srai_epi16(four, 8);
            QN_UNROLL
            for (int r = 0; r < rows; r++)
                acc[r] = int_words(acc[r], at + r * INT_K + half * 4, even, odd, &int_low_bytes);
        }
    }
    QN_UNROLL
    for (int r = 0; r < rows; r++)
        vi_store(out + r * QN_INTEGER_PANEL, acc[r]);
}

/* Where the rows of the tile that begins at `row` lie, in rows: the last tile may begin one early, at an odd one
 * (int_height). */
static inline int64_t int_place(int64_t row)
{
    return (row + 1) & ~(int64_t)1;
}

/* Sums of a panel for rows [row, row + count), count <= INT_ROWS: to y where `bytes` is given, otherwise to
 * out[rows][QN_INTEGER_PANEL]. */
QN_INLINE void int_tile_panel(const int rows, const struct int_rows *block, int64_t row, const char *panel,
                              int32_t *out, const struct int_bytes *bytes)
{
    int64_t end = bytes ? bytes->left : QN_INTEGER_PANEL, units = qn_integer_units(block->k);
    int64_t ahead = block->ahead / 8; /* a unit has an eighth of a panel's 16 k */
    const char *x = (const char *)block->a + int_place(row) * units * INT_K, *next = panel + int_ahead(block, row);
    const uint16_t *table = (const uint16_t *)(const void *)(panel + QN_INTEGER_PANEL * 4);
    panel += qn_integer_sorted_head_bytes(block->k);
    for (int64_t column = 0; column < end; column += VF_LANES) {
        int_tile(rows, x, panel, table, units, next, ahead, out + column);
        panel += units * INT_UNIT_BYTES;
        next += units * ahead;
        table += units + 2;
    }
    if (bytes)
        int_store_sums(rows, bytes, row, out);
}

/* Bytes for the copies of so many rows. */
static inline int64_t int_copy_bytes(int64_t rows, int64_t k)
{
    return int_place(rows) * qn_integer_units(k) * INT_K;
}

static inline int64_t int_height(const struct int_rows *block, int64_t *row);

/* Copies the block's rows, `flip` adding 128 to signed bytes, in the order in which the tiles read them: [tile][unit]
 * [row of the tile][INT_K]. What stands behind the last k meets weights of 0. */
static inline void int_copy_rows(struct int_rows *block, char *to)
{
    int64_t units = qn_integer_units(block->k), whole = block->k / INT_K, done;
    uint64_t flip = block->flip ? 0x8080808080808080u : 0, eight;
    for (int64_t row = 0; row < block->rows; row += done) {
        done = int_height(block, &row);
        const char *from = (const char *)block->a + row * block->a_row;
        char *tile = to + int_place(row) * units * INT_K;
        for (int64_t r = 0; r < done; r++, from += block->a_row) {
            char *at = tile + r * INT_K;
            for (int64_t u = 0; u < whole; u++, at += done * INT_K) {
                __builtin_memcpy(&eight, from + u * INT_K, INT_K);
                eight ^= flip;
                __builtin_memcpy(at, &eight, INT_K);
            }
            if (whole < units) {
                eight = 0;
                __builtin_memcpy(&eight, from + whole * INT_K, (size_t)(block->k % INT_K));
                eight ^= flip;
                __builtin_memcpy(at, &eight, INT_K);
            }
        }
    }
    block->a = to;
}

#endif

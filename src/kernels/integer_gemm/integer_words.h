/* The register tiles of INTEGER_GEMM and INTEGER_CONV for AVX2, whose products of bytes saturate: rows are given
 * widened to 16 bits, weights are widened on the way, and a vector holds four columns, two partial sums each. A part of
 * integer_tile.h.
 *
 * On Zen 3 a multiplication and an addition share two of four ports: 82 of the 102 G multiply-adds a second that its
 * multiplications alone would reach at 3.2 GHz. */
#ifndef QN_KERNELS_INTEGER_WORDS_H
#define QN_KERNELS_INTEGER_WORDS_H

enum { INT_LANES = VF_LANES / 2 /* columns of a vector */ };

/* Written out for the reason that int_dot of VNNI is. */
QN_INLINE vi int_dot(vi sum, vi u, vi s)
{
    vi products;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(products) : "x"(u), "x"(s));
    return sum;
}

/* Adds the products of the next 4 `steps` numbers of each row. Rows are found from every third one: x86 addresses reach
 * two strides further. */
QN_INLINE void int_steps(const int rows, const int vectors, const int steps, const char *lines[INT_LINES],
                         int64_t stride, const char *b, vi *acc)
{
    QN_UNROLL
    for (int step = 0; step < steps; step++, b += QN_INTEGER_PANEL * 4) {
        vi w[QN_INTEGER_PANEL / INT_LANES];
        QN_UNROLL
        for (int v = 0; v < vectors; v++)
            w[v] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(b + v * INT_LANES * 4)));
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            int64_t four;
            __builtin_memcpy(&four, lines[r / 3] + r % 3 * stride + step * 8, 8);
            vi x = _mm256_set1_epi64x(four);
            QN_UNROLL
            for (int v = 0; v < vectors; v++)
                acc[r * vectors + v] = int_dot(acc[r * vectors + v], x, w[v]);
        }
    }
    QN_UNROLL
    for (int g = 0; g < (rows + 2) / 3; g++)
        lines[g] += steps * 8;
}

/* Rows times `vectors` vectors of columns of a panel, to out[rows][QN_INTEGER_PANEL]. */
QN_INLINE void int_tile(const int rows, const int vectors, const struct int_rows *block, int64_t row, const char *panel,
                        int64_t column, int32_t *out)
{
    const char *a = (const char *)block->a + row * block->a_row, *lines[INT_LINES];
    const char *b = panel + column * 4, *next = panel + int_ahead(block, row);
    int64_t stride = block->a_row, k = block->k, i = 0;
    vi acc[INT_ROWS * 2];
    QN_UNROLL
    for (int j = 0; j < rows * vectors; j++) {
        acc[j] = vi_set(0);
        __asm__("" : "+x"(acc[j]));
    }
    QN_UNROLL
    for (int g = 0; g < (rows + 2) / 3; g++) {
        lines[g] = a + 3 * g * stride;
        __asm__("" : "+r"(lines[g])); /* or they are counted from one, with as many strides to keep */
    }
    for (; i + 16 <= k; i += 16, b += QN_INTEGER_PANEL * 16, next += block->ahead) {
        __builtin_prefetch(next, 0, 2);
        __builtin_prefetch(next + 64, 0, 2);
        int_steps(rows, vectors, 4, lines, stride, b, acc);
    }
    for (; i < k; i += 4, b += QN_INTEGER_PANEL * 4)
        int_steps(rows, vectors, 1, lines, stride, b, acc);
    QN_UNROLL
    for (int r = 0; r < rows; r++) {
        QN_UNROLL
        for (int v = 0; v < vectors; v += 2) {
            vi sums = _mm256_hadd_epi32(acc[r * vectors + v], acc[r * vectors + v + 1]);
            vi_store(out + r * QN_INTEGER_PANEL + column + v * INT_LANES, _mm256_permute4x64_epi64(sums, 0xd8));
        }
    }
}

/* Sums of a panel for rows [row, row + count), count <= INT_ROWS: to y where `bytes` is given, otherwise to
 * out[rows][QN_INTEGER_PANEL]. */
QN_INLINE void int_tile_panel(const int rows, const struct int_rows *block, int64_t row, const char *panel,
                              int32_t *out, const struct int_bytes *bytes)
{
    const int vectors = rows == 1 ? 8 : rows == 2 ? 4 : 2; /* few rows: more of a panel's line at a time */
    int64_t end = bytes ? bytes->left : QN_INTEGER_PANEL;
    for (int64_t column = 0; column < end; column += vectors * INT_LANES)
        int_tile(rows, vectors, block, row, panel, column, out);
    if (bytes)
        int_store_sums(rows, bytes, row, out);
}

#endif

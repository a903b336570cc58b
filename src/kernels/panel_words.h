/* Copies of weights into panels, in plain C: rows of the source become columns of the panel, 4-byte words at a time (a
 * float, or four bytes along k). */
#ifndef QN_KERNELS_PANEL_WORDS_H
#define QN_KERNELS_PANEL_WORDS_H

#include <stdint.h>

typedef uint32_t qn_words __attribute__((vector_size(16)));

struct qn_panel_words {
    const char *from; /* word f of column j at from + j * row_bytes + 4 f, at any address */
    int64_t row_bytes;
    int64_t columns, count; /* columns; words of each */
    int64_t taps;           /* word f goes to row (f % taps) * tap_rows + f / taps of the panel; 1: to row f */
    int64_t tap_rows;
    uint32_t *to;  /* 16-byte aligned where `width` is a multiple of 4 */
    int64_t width; /* words in a row of the panel; what lies behind the columns is left as it is */
};

static inline __attribute__((always_inline)) uint32_t *qn_panel_row(const struct qn_panel_words *p, int64_t f)
{
    return p->to + (p->taps == 1 ? f : f % p->taps * p->tap_rows + f / p->taps) * p->width;
}

/* Four words of columns j .. j + 3 to rows[0 .. 4): a transposition in registers. */
static inline __attribute__((always_inline)) void qn_panel_square(const char *from, int64_t row_bytes, int64_t j,
                                                                  uint32_t *const rows[4])
{
    qn_words a, b, c, d;
    __builtin_memcpy(&a, from, sizeof a);
    __builtin_memcpy(&b, from + row_bytes, sizeof b);
    __builtin_memcpy(&c, from + 2 * row_bytes, sizeof c);
    __builtin_memcpy(&d, from + 3 * row_bytes, sizeof d);
    qn_words ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    qn_words ef = __builtin_shufflevector(a, b, 2, 6, 3, 7), gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    qn_words out[4] = {
        __builtin_shufflevector(ab, cd, 0, 1, 4, 5),
        __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
        __builtin_shufflevector(ef, gh, 0, 1, 4, 5),
        __builtin_shufflevector(ef, gh, 2, 3, 6, 7),
    };
    for (int i = 0; i < 4; i++)
        __builtin_memcpy(rows[i] + j, &out[i], sizeof out[i]);
}

static inline void qn_panel_words_copy(const struct qn_panel_words *p)
{
    int64_t squares = p->columns / 4 * 4, f = 0;
    for (; f + 4 <= p->count; f += 4) {
        uint32_t *rows[4];
        for (int i = 0; i < 4; i++)
            rows[i] = qn_panel_row(p, f + i);
        const char *from = p->from + f * 4;
        for (int64_t j = 0; j < squares; j += 4)
            qn_panel_square(from + j * p->row_bytes, p->row_bytes, j, rows);
        for (int64_t j = squares; j < p->columns; j++)
            for (int i = 0; i < 4; i++)
                __builtin_memcpy(rows[i] + j, from + j * p->row_bytes + i * 4, 4);
    }
    for (; f < p->count; f++)
        for (int64_t j = 0; j < p->columns; j++)
            __builtin_memcpy(qn_panel_row(p, f) + j, p->from + j * p->row_bytes + f * 4, 4);
}

#endif

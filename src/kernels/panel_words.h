/* Copies of weights into panels: rows of the source become columns of the panel, 4-byte words at a time (a float, or
 * four bytes along k). Plain C, and larger squares in a file for an instruction set. */
#ifndef QN_KERNELS_PANEL_WORDS_H
#define QN_KERNELS_PANEL_WORDS_H

#include <stdint.h>

#if defined(__AVX2__)
#include "kernels/simd/vec.h"
#endif

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

/* Words [f, f_end) of columns [j, j_end). */
static inline void qn_panel_words_part(const struct qn_panel_words *p, int64_t f, int64_t f_end, int64_t j,
                                       int64_t j_end)
{
    int64_t squares = j + (j_end - j) / 4 * 4;
    for (; f + 4 <= f_end && j < j_end; f += 4) {
        uint32_t *rows[4];
        for (int i = 0; i < 4; i++)
            rows[i] = qn_panel_row(p, f + i);
        const char *from = p->from + f * 4;
        for (int64_t k = j; k < squares; k += 4)
            qn_panel_square(from + k * p->row_bytes, p->row_bytes, k, rows);
        for (int64_t k = squares; k < j_end; k++)
            for (int i = 0; i < 4; i++)
                __builtin_memcpy(rows[i] + k, from + k * p->row_bytes + i * 4, 4);
    }
    for (; f < f_end; f++)
        for (int64_t k = j; k < j_end; k++)
            __builtin_memcpy(qn_panel_row(p, f) + k, p->from + k * p->row_bytes + f * 4, 4);
}

#if defined(__AVX2__)
/* Squares of VF_LANES in larger registers, for whole ones of words and columns. A few columns at a time are read from
 * end to end: more, where they lie a power of two apart, would drive each other out of the cache. */
static inline void qn_panel_vectors(const struct qn_panel_words *p, int64_t words, int64_t columns)
{
    enum { AHEAD = 512 }; /* bytes */
    for (int64_t j = 0; j < columns; j += VF_LANES) {
        const char *from = p->from + j * p->row_bytes;
        int64_t tap = 0, first = 0; /* of word f: f % taps, f / taps */
        for (int64_t f = 0; f < words; f += VF_LANES, from += VF_LANES * 4) {
            vf v[VF_LANES];
            QN_UNROLL
            for (int i = 0; i < VF_LANES; i++) {
                v[i] = vf_load((const float *)(const void *)(from + i * p->row_bytes));
                __builtin_prefetch(from + i * p->row_bytes + AHEAD, 0, 2);
            }
            vf_transpose(v);
            QN_UNROLL
            for (int i = 0; i < VF_LANES; i++) {
                vf_store((float *)(void *)(p->to + (tap * p->tap_rows + first) * p->width + j), v[i]);
                if (++tap == p->taps) {
                    tap = 0;
                    first++;
                }
            }
        }
    }
}
#endif

static inline void qn_panel_words_copy(const struct qn_panel_words *p)
{
    int64_t words = 0, columns = 0;
#if defined(__AVX2__)
    words = p->count / VF_LANES * VF_LANES;
    columns = p->columns / VF_LANES * VF_LANES;
    qn_panel_vectors(p, words, columns);
#endif
    qn_panel_words_part(p, 0, words, columns, p->columns);
    qn_panel_words_part(p, words, p->count, 0, p->columns);
}

#endif

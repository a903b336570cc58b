/* Block types for matmul_q8.h: how a row of weights turns into bytes and scales, in its own order along K.
 *
 * Every type comes down to the same form, with unsigned bytes q below 64 (Q8_0: as vi_wide gives them):
 *   w[i] = scale * (q[i] - offset) - minimum
 * with one scale and minimum for 32 elements, or for 16 in types with halves. A step is VF_LANES blocks of 32 elements
 * of one row: 8 vectors of bytes, a lane a block for scales and minimums. */
#ifndef QN_MATMUL_Q8_DECODE_H
#define QN_MATMUL_Q8_DECODE_H

#include <stdbool.h>

#include "quant/q2_k/q2_k.h"
#include "quant/q3_k/q3_k.h"
#include "quant/q4_0/q4_0.h"
#include "quant/q4_1/q4_1.h"
#include "quant/q4_k/q4_k.h"
#include "quant/q5_0/q5_0.h"
#include "quant/q5_1/q5_1.h"
#include "quant/q5_k/q5_k.h"
#include "quant/q6_k/q6_k.h"
#include "quant/q8_0/q8_0.h"

enum format { Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K };

enum { STEP = VF_LANES };

QN_INLINE bool is_super(enum format f)
{
    return f >= Q2_K;
}
QN_INLINE bool has_halves(enum format f)
{
    return f == Q2_K || f == Q3_K || f == Q6_K;
}
QN_INLINE bool has_min(enum format f)
{
    return f == Q4_1 || f == Q5_1 || f == Q2_K || f == Q4_K || f == Q5_K;
}

/* The offset is 2 to this power; 0: none. */
QN_INLINE unsigned offset_shift(enum format f)
{
    return f == Q4_0 ? 3 : f == Q5_0 ? 4 : f == Q8_0 ? VI_WIDE_SHIFT : f == Q3_K ? 2 : f == Q6_K ? 5 : 0;
}

/* Bytes of a block of 32, or of a super-block of 256. */
QN_INLINE int block_bytes(enum format f)
{
    static const int bytes[] = {
        sizeof(struct qn_q4_0), sizeof(struct qn_q4_1), sizeof(struct qn_q5_0), sizeof(struct qn_q5_1),
        sizeof(struct qn_q8_0), sizeof(struct qn_q2_k), sizeof(struct qn_q3_k), sizeof(struct qn_q4_k),
        sizeof(struct qn_q5_k), sizeof(struct qn_q6_k),
    };
    return bytes[f];
}

/* Bytes of `blocks` blocks of 32 elements, whole super-blocks. */
QN_INLINE int64_t bytes_of(enum format f, int64_t blocks)
{
    return is_super(f) ? blocks / 8 * block_bytes(f) : blocks * block_bytes(f);
}

/* ---- levels --------------------------------------------------------------------------------------------------- */

/* Blocks `block` and on (below 8, as many as fill a vector) of the super-block at p. */
QN_INLINE vi super_levels(enum format f, const uint8_t *p, int block)
{
    const vi one = vi_set(0x01010101), three = vi_set(0x03030303), nibble = vi_set(0x0f0f0f0f);
    const int h = block / 4, part = block % 4;
    switch (f) {
    case Q2_K: {
        const struct qn_q2_k *b = (const void *)p;
        return vi_and(vi_bits(b->qs + 32 * h, 2 * part, 2), three);
    }
    case Q3_K: {
        const struct qn_q3_k *b = (const void *)p;
        vi low = vi_and(vi_bits(b->qs + 32 * h, 2 * part, 2), three);
        return vi_or(low, vi_left(vi_and(vi_bits(b->hmask, block, 1), one), 2));
    }
    case Q4_K: {
        const struct qn_q4_k *b = (const void *)p;
        return vi_and(vi_bits(b->qs + 32 * (block / 2), 4 * (block % 2), 4), nibble);
    }
    case Q5_K: {
        const struct qn_q5_k *b = (const void *)p;
        vi low = vi_and(vi_bits(b->qs + 32 * (block / 2), 4 * (block % 2), 4), nibble);
        return vi_or(low, vi_left(vi_and(vi_bits(b->qh, block, 1), one), 4));
    }
    default: {
        const struct qn_q6_k *b = (const void *)p;
        vi low = vi_and(vi_right(vi_bytes(b->ql + 64 * h + 32 * (part % 2)), 4 * (unsigned)(part / 2)), nibble);
        return vi_or(low, vi_left(vi_and(vi_bits(b->qh + 32 * h, 2 * part, 2), three), 4));
    }
    }
}

/* Vector i (below 8) of the step at p. */
QN_INLINE vi levels(enum format f, const uint8_t *p, int i)
{
    const int bytes = block_bytes(f), block = i * VI_BLOCKS;
    if (is_super(f))
        return super_levels(f, p + block / 8 * bytes, block % 8);
    p += block * bytes;
    if (f == Q8_0)
        return vi_wide(vi_blocks(p + 2, bytes));
    vi low = vi_nibbles(p + bytes - 16, bytes);
    return f == Q5_0 || f == Q5_1 ? vi_or(low, vi_flags(p + bytes - 20, bytes)) : low;
}

/* ---- scales and minimums -------------------------------------------------------------------------------------- */

struct scales {
    vf scale[2]; /* of the block, or of its halves */
    vf min[2];
};

/* Lanes of bytes, the first or second of each lane's two. */
QN_INLINE vi byte_of(vi words, int which)
{
    return vi_and(vi_right(words, 8 * (unsigned)which), vi_set(255));
}

QN_INLINE uint32_t word_at(const uint8_t *p)
{
    uint32_t word;
    __builtin_memcpy(&word, p, 4);
    return word;
}

QN_INLINE uint64_t two_words(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

/* Q4_K and Q5_K: see quant/k_scales.h. */
QN_INLINE struct scales k_scales(enum format f, const uint8_t *p)
{
    const uint32_t six = 0x3f3f3f3f, low = 0x0f0f0f0f, top = 0x30303030;
    const int bytes = block_bytes(f);
    uint64_t scale[STEP / 8], min[STEP / 8];
    QN_UNROLL
    for (int i = 0; i < STEP / 8; i++) {
        const uint8_t *packed = p + i * bytes + 4;
        uint32_t a = word_at(packed), b = word_at(packed + 4), c = word_at(packed + 8);
        scale[i] = two_words(a & six, (c & low) | (a >> 2 & top));
        min[i] = two_words(b & six, (c >> 4 & low) | (b >> 2 & top));
    }
    struct scales s;
    s.scale[0] = vf_mul(vf_eight_halves(p, bytes), vi_float(vi_eight_bytes(scale)));
    s.min[0] = vf_mul(vf_eight_halves(p + 2, bytes), vi_float(vi_eight_bytes(min)));
    return s;
}

/* See qn_q3_k_scale. */
QN_INLINE struct scales q3_k_scales(const uint8_t *p)
{
    const uint32_t low = 0x0f0f0f0f, top = 0x30303030;
    const int bytes = block_bytes(Q3_K);
    uint64_t packed[STEP / 4];
    QN_UNROLL
    for (int i = 0; i < STEP / 8; i++) {
        const uint8_t *from = p + i * bytes + 96;
        uint32_t a = word_at(from), b = word_at(from + 4), c = word_at(from + 8);
        packed[2 * i] = two_words((a & low) | (c << 4 & top), (b & low) | (c << 2 & top));
        packed[2 * i + 1] = two_words((a >> 4 & low) | (c & top), (b >> 4 & low) | (c >> 2 & top));
    }
    vi words = vi_eight_pairs(packed);
    vf d = vf_eight_halves(p + 108, bytes);
    struct scales s;
    for (int half = 0; half < 2; half++)
        s.scale[half] = vf_mul(d, vi_float(vi_add(byte_of(words, half), vi_set(-32))));
    return s;
}

QN_INLINE struct scales q2_k_scales(const uint8_t *p)
{
    const int bytes = block_bytes(Q2_K);
    vi words = vi_eight_words(p, bytes);
    vf d = vf_eight_halves(p + 80, bytes), dmin = vf_eight_halves(p + 82, bytes);
    struct scales s;
    for (int half = 0; half < 2; half++) {
        vi both = byte_of(words, half);
        s.scale[half] = vf_mul(d, vi_float(vi_and(both, vi_set(15))));
        s.min[half] = vf_mul(dmin, vi_float(vi_right(both, 4)));
    }
    return s;
}

QN_INLINE struct scales q6_k_scales(const uint8_t *p)
{
    const int bytes = block_bytes(Q6_K);
    vi words = vi_eight_words(p + 192, bytes);
    vf d = vf_eight_halves(p + 208, bytes);
    struct scales s;
    s.scale[0] = vf_mul(d, vi_float(vi_right_signed(vi_left(words, 24), 24)));
    s.scale[1] = vf_mul(d, vi_float(vi_right_signed(vi_left(words, 16), 24)));
    return s;
}

/* Those of the step at p; what the type lacks stays undefined. */
QN_INLINE struct scales scales_of(enum format f, const uint8_t *p)
{
    switch (f) {
    case Q2_K:
        return q2_k_scales(p);
    case Q3_K:
        return q3_k_scales(p);
    case Q4_K:
    case Q5_K:
        return k_scales(f, p);
    case Q6_K:
        return q6_k_scales(p);
    default: {
        vi heads = vi_heads(p, block_bytes(f));
        struct scales s;
        s.scale[0] = vi_half_float(heads);
        if (has_min(f)) /* x = d * q + m */
            s.min[0] = vf_mul(vi_half_float(vi_right(heads, 16)), vf_set(-1));
        return s;
    }
    }
}

#endif

/* Unpacking of block types for matmul_q8.h: VF_LANES rows side by side, a lane a row, in steps of 32 elements.
 *
 * Every type comes down to the same form, a struct part of 32 elements of VF_LANES rows:
 *   w[i] = scale[i / 16 or 0] * (q[i] - offset) + min[i / 16 or 0]
 * with unsigned bytes q below 64 (Q8_0: as vi_wide gives them), four of a row to a lane. */
#ifndef QN_MATMUL_Q8_UNPACK_H
#define QN_MATMUL_Q8_UNPACK_H

enum format { Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K };

enum { PARTS = 16 }; /* unpacked at a time: 512 elements */

struct part {
    int32_t q[8][VF_LANES];
    float scale[2][VF_LANES];
    float min[2][VF_LANES];
};

/* Scale and minimum stand for 16 elements, not for 32. */
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
QN_INLINE bool is_super(enum format f)
{
    return f >= Q2_K;
}
QN_INLINE int64_t bytes_of_block(enum format f)
{
    switch (f) {
    case Q4_0:
        return sizeof(struct qn_q4_0);
    case Q4_1:
        return sizeof(struct qn_q4_1);
    case Q5_0:
        return sizeof(struct qn_q5_0);
    case Q5_1:
        return sizeof(struct qn_q5_1);
    case Q8_0:
        return sizeof(struct qn_q8_0);
    case Q2_K:
        return sizeof(struct qn_q2_k);
    case Q3_K:
        return sizeof(struct qn_q3_k);
    case Q4_K:
        return sizeof(struct qn_q4_k);
    case Q5_K:
        return sizeof(struct qn_q5_k);
    default:
        return sizeof(struct qn_q6_k);
    }
}

/* Bytes that VF_LANES rows spend on 32 elements, rounded up. */
QN_INLINE int64_t bytes_of_part(enum format f)
{
    return VF_LANES * bytes_of_block(f) / (is_super(f) ? 8 : 1);
}

/* ---- blocks of 32 ----------------------------------------------------------------------------------------- */

/* The fifth bits of elements 4 group to 4 group + 3, each at bit 4 of its byte, from a row's 32 in a lane. */
QN_INLINE vi fifth_bits(vi high, unsigned group)
{
    vi four = vi_and(vi_right(high, 4 * group), vi_set(15));
    return vi_and(vi_mul(four, vi_set(0x02040810)), vi_set(0x10101010));
}

/* One block, its first 4 bytes and its fifth bits already gathered. */
QN_INLINE void unpack_block(enum format f, const uint8_t *const rows[VF_LANES], int64_t offset, vi head, vi high,
                            struct part *part)
{
    const vi low_nibbles = vi_set(0x0f0f0f0f);
    vi raw[4];
    if (f == Q8_0) {
        for (int piece = 0; piece < 2; piece++) {
            vi_transpose_rows(rows, offset + 2 + 16 * piece, raw);
            QN_UNROLL
            for (int i = 0; i < 4; i++)
                vi_store(part->q[4 * piece + i], vi_wide(raw[i]));
        }
    } else {
        vi_transpose_rows(rows, offset + bytes_of_block(f) - 16, raw);
        QN_UNROLL
        for (int i = 0; i < 4; i++) {
            vi low = vi_and(raw[i], low_nibbles), top = vi_and(vi_right(raw[i], 4), low_nibbles);
            if (f == Q5_0 || f == Q5_1) {
                low = vi_or(low, fifth_bits(high, (unsigned)i));
                top = vi_or(top, fifth_bits(high, 4 + (unsigned)i));
            }
            vi_store(part->q[i], low);
            vi_store(part->q[4 + i], top);
        }
    }
    vf_store(part->scale[0], vi_half_float(head));
    if (has_min(f))
        vf_store(part->min[0], vi_half_float(vi_right(head, 16)));
}

/* ---- super-blocks of 256 ---------------------------------------------------------------------------------- */

QN_INLINE vf byte_float(vi bytes, unsigned which)
{
    return vi_float(vi_and(vi_right(bytes, 8 * which), vi_set(255)));
}

/* Scales and minimums of Q4_K and Q5_K, whose head is d, dmin and the 12 bytes of k_scales.h. */
QN_INLINE void unpack_k_scales(const uint8_t *const rows[VF_LANES], int64_t offset, struct part *parts, int step)
{
    vi head[4];
    vi_transpose_rows(rows, offset, head);
    vf d = vi_half_float(head[0]), minus_dmin = vf_mul(vi_half_float(vi_right(head[0], 16)), vf_set(-1));
    const vi six = vi_set(0x3f3f3f3f), four = vi_set(0x0f0f0f0f), top = vi_set(0x30303030);
    vi scale[2], min[2];
    scale[0] = vi_and(head[1], six);
    min[0] = vi_and(head[2], six);
    scale[1] = vi_or(vi_and(head[3], four), vi_and(vi_right(head[1], 2), top));
    min[1] = vi_or(vi_and(vi_right(head[3], 4), four), vi_and(vi_right(head[2], 2), top));
    QN_UNROLL
    for (int j = 0; j < 8; j++) {
        vf_store(parts[j * step].scale[0], vf_mul(d, byte_float(scale[j / 4], j % 4)));
        vf_store(parts[j * step].min[0], vf_mul(minus_dmin, byte_float(min[j / 4], j % 4)));
    }
}

/* Part j of a super-block of Q4_K or Q5_K together with part j + 1 (j even): the two nibbles of the same bytes. */
QN_INLINE void unpack_k_pair(enum format f, const uint8_t *const rows[VF_LANES], int64_t offset, int j,
                             const vi high[8], struct part *parts, int step)
{
    const vi low_nibbles = vi_set(0x0f0f0f0f), bit4 = vi_set(0x10101010);
    QN_UNROLL
    for (int piece = 0; piece < 2; piece++) {
        vi raw[4];
        vi_transpose_rows(rows, offset + bytes_of_block(f) - 128 + 16 * j + 16 * piece, raw);
        QN_UNROLL
        for (int i = 0; i < 4; i++) {
            vi low = vi_and(raw[i], low_nibbles), top = vi_and(vi_right(raw[i], 4), low_nibbles);
            if (f == Q5_K) {
                vi bits = high[4 * piece + i];
                low = vi_or(low, vi_and(j < 4 ? vi_left(bits, 4 - (unsigned)j) : vi_right(bits, (unsigned)j - 4), bit4));
                top = vi_or(top, vi_and(j < 3 ? vi_left(bits, 3 - (unsigned)j) : vi_right(bits, (unsigned)j - 3), bit4));
            }
            vi_store(parts[j * step].q[4 * piece + i], low);
            vi_store(parts[(j + 1) * step].q[4 * piece + i], top);
        }
    }
}

QN_INLINE void unpack_q4_k(enum format f, const uint8_t *const rows[VF_LANES], int64_t offset, struct part *parts,
                           int step)
{
    vi high[8];
    unpack_k_scales(rows, offset, parts, step);
    if (f == Q5_K) {
        vi_transpose_rows(rows, offset + 16, high);
        vi_transpose_rows(rows, offset + 32, high + 4);
    }
    QN_UNROLL
    for (int j = 0; j < 8; j += 2)
        unpack_k_pair(f, rows, offset, j, high, parts, step);
}

/* Signed bytes of the 16 groups, as scales. */
QN_INLINE void store_group_scales(vf d, const vi scales[4], vf bias, struct part *parts, int step)
{
    QN_UNROLL
    for (int j = 0; j < 16; j++) {
        vf scale = vf_add(byte_float(scales[j / 4], j % 4), bias);
        vf_store(parts[j / 2 * step].scale[j % 2], vf_mul(d, scale));
    }
}

/* The half at any offset of each row, widened. */
QN_INLINE vf load_halves(const uint8_t *const rows[VF_LANES], int64_t offset)
{
    int32_t halves[VF_LANES];
    for (int r = 0; r < VF_LANES; r++) {
        uint16_t half;
        __builtin_memcpy(&half, rows[r] + offset, 2);
        halves[r] = half;
    }
    return vi_half_float(vi_load(halves));
}

QN_INLINE void unpack_q6_k(const uint8_t *const rows[VF_LANES], int64_t offset, struct part *parts, int step)
{
    const vi low_nibbles = vi_set(0x0f0f0f0f), two = vi_set(0x30303030);
    vi scales[4];
    vi_transpose_rows(rows, offset + 192, scales);
    QN_UNROLL
    for (int i = 0; i < 4; i++) /* to unsigned; the bias takes it back */
        scales[i] = vi_xor(scales[i], vi_set((int32_t)0x80808080));
    store_group_scales(load_halves(rows, offset + 208), scales, vf_set(-128), parts, step);
    for (int h = 0; h < 2; h++)
        for (int piece = 0; piece < 2; piece++) {
            vi a[4], b[4], high[4];
            vi_transpose_rows(rows, offset + 64 * h + 16 * piece, a);
            vi_transpose_rows(rows, offset + 64 * h + 32 + 16 * piece, b);
            vi_transpose_rows(rows, offset + 128 + 32 * h + 16 * piece, high);
            struct part *p = parts + 4 * h * step;
            QN_UNROLL
            for (int i = 0; i < 4; i++) {
                int g = 4 * piece + i;
                vi_store(p[0].q[g], vi_or(vi_and(a[i], low_nibbles), vi_and(vi_left(high[i], 4), two)));
                vi_store(p[step].q[g], vi_or(vi_and(b[i], low_nibbles), vi_and(vi_left(high[i], 2), two)));
                vi_store(p[2 * step].q[g], vi_or(vi_and(vi_right(a[i], 4), low_nibbles), vi_and(high[i], two)));
                vi_store(p[3 * step].q[g],
                         vi_or(vi_and(vi_right(b[i], 4), low_nibbles), vi_and(vi_right(high[i], 2), two)));
            }
        }
}

QN_INLINE void unpack_q2_k(const uint8_t *const rows[VF_LANES], int64_t offset, struct part *parts, int step)
{
    vi head[4];
    vi_transpose_rows(rows, offset, head);
    vf d = load_halves(rows, offset + 80), dmin = load_halves(rows, offset + 82);
    QN_UNROLL
    for (int j = 0; j < 16; j++) {
        vi both = vi_right(head[j / 4], 8 * (j % 4));
        vf scale = vi_float(vi_and(both, vi_set(15))), min = vi_float(vi_and(vi_right(both, 4), vi_set(15)));
        vf_store(parts[j / 2 * step].scale[j % 2], vf_mul(d, scale));
        vf_store(parts[j / 2 * step].min[j % 2], vf_mul(dmin, min));
    }
    for (int h = 0; h < 2; h++)
        for (int piece = 0; piece < 2; piece++) {
            vi raw[4];
            vi_transpose_rows(rows, offset + 16 + 32 * h + 16 * piece, raw);
            QN_UNROLL
            for (int part = 0; part < 4; part++) {
                QN_UNROLL
                for (int i = 0; i < 4; i++)
                    vi_store(parts[(4 * h + part) * step].q[4 * piece + i],
                             vi_and(vi_right(raw[i], 2 * (unsigned)part), vi_set(0x03030303)));
            }
        }
}

QN_INLINE void unpack_q3_k(const uint8_t *const rows[VF_LANES], int64_t offset, struct part *parts, int step)
{
    const vi four = vi_set(0x0f0f0f0f), top = vi_set(0x30303030);
    vi tail[4], scales[4], third[8];
    vi_transpose_rows(rows, offset + 94, tail); /* 2 bytes of levels, then the scales, then d */
    vi low[2], high;
    low[0] = vi_or(vi_right(tail[0], 16), vi_left(tail[1], 16));
    low[1] = vi_or(vi_right(tail[1], 16), vi_left(tail[2], 16));
    high = vi_or(vi_right(tail[2], 16), vi_left(tail[3], 16));
    scales[0] = vi_or(vi_and(low[0], four), vi_and(vi_left(high, 4), top));
    scales[1] = vi_or(vi_and(low[1], four), vi_and(vi_left(high, 2), top));
    scales[2] = vi_or(vi_and(vi_right(low[0], 4), four), vi_and(high, top));
    scales[3] = vi_or(vi_and(vi_right(low[1], 4), four), vi_and(vi_right(high, 2), top));
    store_group_scales(vi_half_float(vi_right(tail[3], 16)), scales, vf_set(-32), parts, step);
    vi_transpose_rows(rows, offset, third);
    vi_transpose_rows(rows, offset + 16, third + 4);
    QN_UNROLL
    for (int h = 0; h < 2; h++) {
        QN_UNROLL
        for (int piece = 0; piece < 2; piece++) {
            vi raw[4];
            vi_transpose_rows(rows, offset + 32 + 32 * h + 16 * piece, raw);
            QN_UNROLL
            for (int part = 0; part < 4; part++) {
                unsigned bit = 4 * (unsigned)h + (unsigned)part;
                QN_UNROLL
                for (int i = 0; i < 4; i++) {
                    vi mask = third[4 * piece + i];
                    mask = bit < 2 ? vi_left(mask, 2 - bit) : vi_right(mask, bit - 2);
                    vi_store(parts[bit * (unsigned)step].q[4 * piece + i],
                             vi_or(vi_and(vi_right(raw[i], 2 * (unsigned)part), vi_set(0x03030303)),
                                   vi_and(mask, vi_set(0x04040404))));
                }
            }
        }
    }
}

/* ---- all of them ------------------------------------------------------------------------------------------ */

/* Unpacks `count` parts from element 32 * first on (super-blocks whole) into parts[0], parts[step], ... Asks for the
 * memory from `ahead` on at the pace at which it reads; NULL: does not. */
QN_INLINE void unpack_parts(enum format f, const uint8_t *const rows[VF_LANES], int64_t first, int64_t count,
                            struct part *parts, int step, const uint8_t *ahead)
{
    if (is_super(f)) {
        for (int64_t b = 0; b < count / 8; b++) {
            int64_t offset = (first / 8 + b) * bytes_of_block(f);
            struct part *block = parts + 8 * b * step;
            if (ahead)
                for (int64_t i = 0; i < 8 * bytes_of_part(f); i += 64)
                    __builtin_prefetch(ahead + 8 * b * bytes_of_part(f) + i, 0, 2);
            if (f == Q2_K)
                unpack_q2_k(rows, offset, block, step);
            else if (f == Q3_K)
                unpack_q3_k(rows, offset, block, step);
            else if (f == Q6_K)
                unpack_q6_k(rows, offset, block, step);
            else
                unpack_q4_k(f, rows, offset, block, step);
        }
        return;
    }
    int32_t heads[PARTS][VF_LANES], highs[PARTS][VF_LANES];
    for (int r = 0; r < VF_LANES; r++)
        for (int64_t b = 0; b < count; b++) {
            const uint8_t *block = rows[r] + (first + b) * bytes_of_block(f);
            __builtin_memcpy(&heads[b][r], block, 4);
            if (f == Q5_0 || f == Q5_1)
                __builtin_memcpy(&highs[b][r], block + bytes_of_block(f) - 20, 4);
        }
    for (int64_t b = 0; b < count; b++) {
        vi high = f == Q5_0 || f == Q5_1 ? vi_load(highs[b]) : vi_set(0);
        if (ahead)
            for (int64_t i = 0; i < bytes_of_part(f); i += 64)
                __builtin_prefetch(ahead + b * bytes_of_part(f) + i, 0, 2);
        unpack_block(f, rows, (first + b) * bytes_of_block(f), vi_load(heads[b]), high, parts + b * step);
    }
}

#endif

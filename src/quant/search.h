/* The search that the quantisers share: scales (and minimums) that make the weighted squared error small.
 *
 * A type stores x as d * q or d * q + m with q from a set of levels. For given q the best d and m follow from least
 * squares in closed form; for given d and m the best q is the nearest. So the search rounds under a few trial scales
 * around the one that just covers the group, keeps the trial whose least-squares error is smallest, and then goes back
 * and forth between the two steps. Types with groups code their scales too: those codes are chosen by the error they
 * cause, and the common factor is fitted by least squares again.
 *
 * Sixteen groups are searched at once, one in each lane of a vector. Everything works on elements divided by the
 * largest magnitude of their block, so that no sum over- or underflows. The bits of a block depend neither on the
 * instruction set nor on its neighbours. All functions are pure.
 */
#ifndef QN_QUANT_SEARCH_H
#define QN_QUANT_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define QN_SEARCH_MAX 256  /* elements of a group, at most */
#define QN_SEARCH_LANES 16 /* groups that are searched at once */

/* Weight of an element's squared error where the caller gives no importance. In trained networks the large elements
 * of a group matter more than plain squared error says, so types with coded scales lean towards them. */
enum qn_weighing {
    QN_WEIGH_EQUAL, /* 1 */
    QN_WEIGH_RMS,   /* |x| + root mean square of the group */
    QN_WEIGH_ABS,   /* |x| */
};

enum qn_levels {
    QN_LEVELS_WHOLE, /* the whole numbers lo..hi */
    QN_LEVELS_IQ4,   /* QN_IQ4_VALUES[0..15] */
    QN_LEVELS_FP4,   /* QN_MXFP4_VALUES[0..15]; the scale is a power of two */
};

/* One block as it was found. */
struct qn_search_block {
    uint16_t d, m; /* halves; m: the minimum, with groups what their codes mn stand for is subtracted. In FP4 d is the
                          exponent e */
    const int8_t *sc;  /* a code a group */
    const uint8_t *mn; /* a code a group */
    const int8_t *q;   /* levels; with a table their indexes */
};

/* How far the search goes. */
struct qn_search_effort {
    /* The levels (with a minimum: the widths of the range) at which a group's largest element is put, inside the range
     * or past it: past the end it is cut off, which pays where it stands alone. */
    const float *trials;
    int count;
    int refine; /* steps of going back and forth, at most */
};
#define QN_SEARCH_EFFORT(array, steps)                \
    {                                                 \
        array, sizeof(array) / sizeof *(array), steps \
    }

/* What a type is, as far as the search goes. Static. */
struct qn_search {
    int groups, size; /* a block: 1, 8 or 16 groups of 16, 32 or 256 elements */
    enum qn_levels levels;
    int lo, hi;           /* levels, the lowest 0 with a minimum */
    bool minimum;         /* x ~ d * q + m, else d * q; with groups x ~ (d * sc) * q - dmin * mn */
    bool below_zero;      /* the minimum is at most 0 */
    int code_lo, code_hi; /* of the groups' scales (-code_lo >= code_hi) and minimums (0..code_hi) */
    enum qn_weighing weighing;
    struct qn_search_effort effort;  /* none: the largest element is put at hi, and that is all there is to it */
    struct qn_search_effort weighed; /* with importance; none: the same */
    size_t block_bytes;
    void (*pack)(void *block, const struct qn_search_block *found);
};

/* Quantises `elems` elements, a whole number of blocks. `importance` weighs the squared error of each, times
 * sqrt(mean square of the block + x^2); where it is NULL or zero all over a block, the rule of the type counts. What is
 * not finite counts as 0. */
void qn_search(const struct qn_search *s, const float *in, const float *importance, int64_t elems, void *blocks);

/* ---- for each instruction set --------------------------------------------------------------------------------- */

/* Up to 16 groups. d, m and amax are one a block, the others one a group or an element. */
struct qn_search_found {
    uint16_t d[QN_SEARCH_LANES], m[QN_SEARCH_LANES];
    int8_t sc[QN_SEARCH_LANES];
    uint8_t mn[QN_SEARCH_LANES];
    int8_t q[QN_SEARCH_LANES * QN_SEARCH_MAX];
};

struct qn_search_isa {
    const char *name;
    uint32_t needs; /* enum qn_cpu_feature */
    /* Whole blocks, 16 groups at most. */
    void (*find)(const struct qn_search *s, const float *in, const float *importance, int groups,
                 struct qn_search_found *found);
    /* IEEE halves to floats, as qn_half_load. */
    void (*load_halves)(const uint16_t *in, float *out, int64_t count);
};

/* The best that this machine can run. */
const struct qn_search_isa *qn_search_isa(void);
/* All that it can run, best first, the portable one last; NULL behind the last. For tests. */
const struct qn_search_isa *qn_search_isa_at(int index);

/* ---- for packing ---------------------------------------------------------------------------------------------- */

/* 32 levels of four bits (0..15): element i in the low nibble of qs[i], element i + 16 in the high one. */
static inline void qn_search_pack_four(const uint8_t *q, uint8_t qs[16])
{
    for (int k = 0; k < 16; k++)
        qs[k] = (uint8_t)((q[k] & 15) | (q[k + 16] & 15) << 4);
}

/* Bit i of the 32 is bit 4 of q[i]. */
static inline void qn_search_pack_fifth(const uint8_t *q, uint8_t qh[4])
{
    for (int k = 0; k < 32; k += 8) {
        uint64_t eight; /* little or big endian, both rows of bits end up in one byte */
        memcpy(&eight, q + k, sizeof eight);
        eight = eight >> 4 & 0x0101010101010101u;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        eight = __builtin_bswap64(eight);
#endif
        qh[k / 8] = (uint8_t)(eight * 0x0102040810204080u >> 56);
    }
}

#endif

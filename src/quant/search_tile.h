/* Sixteen groups side by side, one in each lane, and the sums of the search over them: the first half of the body of
 * search_ref.c, search_avx2.c and search_avx512.c (search_lanes.h is the second).
 *
 * Each lane is a group, so sums over a group need no folding, and a lane's bits depend neither on the width of the
 * vectors nor on the other lanes. Additions and multiplications stay apart (no fused ones), in the order written here.
 */
#ifndef QN_QUANT_SEARCH_TILE_H
#define QN_QUANT_SEARCH_TILE_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "quant/half.h"
#include "quant/iq4_values.h"
#include "quant/mxfp4/mxfp4.h"
#include "quant/search.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define QN_WIDTH 16
#define QN_STEPS 1 /* vectors that are worked on at once */
#elif defined(__AVX2__)
#define QN_WIDTH 8
#define QN_STEPS 2
#else
#define QN_WIDTH 4
#define QN_STEPS 2
#endif
enum { LANES = QN_SEARCH_LANES };

typedef float vf __attribute__((vector_size(4 * QN_WIDTH)));
typedef int32_t vm __attribute__((vector_size(4 * QN_WIDTH))); /* all ones in lanes that are true */
typedef float quad __attribute__((vector_size(16)));
typedef int32_t quad_order __attribute__((vector_size(16)));

#if defined(__clang__)
#define QN_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define QN_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (quad_order){i, j, k, l})
#endif
#if defined(QN_DEBUG)
#define QN_INLINE static inline
#else
#define QN_INLINE static inline __attribute__((always_inline))
#endif

/* 1.5 * 2^23: a float of this size has no bits below 1, so adding and subtracting it rounds to whole numbers, and after
 * adding it the low bits are those of the whole number. For |v| < 2^22. */
#define QN_ROUNDER 12582912.0f

/* ---- vectors -------------------------------------------------------------------------------------------------- */

QN_INLINE vf load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

QN_INLINE void store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

QN_INLINE vf spread(float v)
{
    return (vf){0} + v;
}

QN_INLINE vf choose(vm mask, vf yes, vf no)
{
    return (vf)((mask & (vm)yes) | (~mask & (vm)no));
}

QN_INLINE vf magnitude(vf v)
{
    return (vf)((vm)v & 0x7fffffff);
}

/* 0 for what is not finite. */
QN_INLINE vf clean(vf v)
{
    return (vf)((vm)v & (((vm)v & 0x7f800000) != 0x7f800000));
}

/* Neither is NaN; of equal ones the second. */
QN_INLINE vf least(vf a, vf b)
{
#if QN_WIDTH == 16
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif QN_WIDTH == 8
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE__)
    return (vf)_mm_min_ps((__m128)a, (__m128)b);
#else
    return choose(a < b, a, b);
#endif
}

QN_INLINE vf most(vf a, vf b)
{
#if QN_WIDTH == 16
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif QN_WIDTH == 8
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE__)
    return (vf)_mm_max_ps((__m128)a, (__m128)b);
#else
    return choose(a > b, a, b);
#endif
}

/* sum + step in lanes where v > bound. */
QN_INLINE vf add_above(vf sum, vf v, float bound, float step)
{
#if QN_WIDTH == 16
    __mmask16 above = _mm512_cmp_ps_mask((__m512)v, _mm512_set1_ps(bound), _CMP_GT_OQ);
    return (vf)_mm512_mask_add_ps((__m512)sum, above, (__m512)sum, _mm512_set1_ps(step));
#else
    return sum + (vf)((v > bound) & (vm)spread(step));
#endif
}

QN_INLINE bool any(vm mask)
{
#if QN_WIDTH == 16
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask);
#elif QN_WIDTH == 8
    return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
    return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

/* The low bytes of the lanes. */
QN_INLINE void store_bytes(int8_t *to, vm v)
{
#if QN_WIDTH == 16
    __m128i bytes = _mm512_cvtepi32_epi8((__m512i)v);
    memcpy(to, &bytes, sizeof bytes);
#elif QN_WIDTH == 8
    __m256i order = _mm256_set1_epi32(0x0c080400), four = _mm256_shuffle_epi8((__m256i)v, order);
    int low = _mm256_extract_epi32(four, 0), high = _mm256_extract_epi32(four, 4);
    memcpy(to, &low, sizeof low);
    memcpy(to + 4, &high, sizeof high);
#else
    for (int i = 0; i < QN_WIDTH; i++)
        to[i] = (int8_t)v[i];
#endif
}

/* ---- levels --------------------------------------------------------------------------------------------------- */

static const int8_t iq4_values[16] = {QN_IQ4_VALUES};
static const int8_t fp4_values[16] = {QN_MXFP4_VALUES};

/* The level nearest to each v: in the tables it climbs from the lowest past every midpoint that lies below. */
QN_INLINE vf nearest_level(vf v, const enum qn_levels levels, vf lo, vf hi)
{
    vf level;
    switch (levels) {
    case QN_LEVELS_WHOLE:
        break;
    case QN_LEVELS_IQ4:
        level = spread(iq4_values[0]);
        for (int k = 1; k < 16; k++)
            level = add_above(level, v, 0.5f * (float)(iq4_values[k] + iq4_values[k - 1]),
                              (float)(iq4_values[k] - iq4_values[k - 1]));
        return level;
    case QN_LEVELS_FP4:
        level = spread(0);
        for (int k = 1; k < 8; k++)
            level = add_above(level, magnitude(v), 0.5f * (float)(fp4_values[k] + fp4_values[k - 1]),
                              (float)(fp4_values[k] - fp4_values[k - 1]));
        return (vf)((vm)level | ((vm)v & INT32_MIN));
    }
    return (least(most(v, lo), hi) + QN_ROUNDER) - QN_ROUNDER;
}

/* The same as whole numbers: the level, or its index in the table. */
QN_INLINE vm nearest_index(vf v, const enum qn_levels levels, vf lo, vf hi)
{
    vm index = {0};
    switch (levels) {
    case QN_LEVELS_WHOLE:
        break;
    case QN_LEVELS_IQ4:
        for (int k = 1; k < 16; k++)
            index -= v > 0.5f * (float)(iq4_values[k] + iq4_values[k - 1]);
        return index;
    case QN_LEVELS_FP4:
        for (int k = 1; k < 8; k++)
            index -= magnitude(v) > 0.5f * (float)(fp4_values[k] + fp4_values[k - 1]);
        return index + ((v < 0) & (index > 0) & 8);
    }
    return (vm)(least(most(v, lo), hi) + QN_ROUNDER); /* its low byte */
}

QN_INLINE vf inverse_of(vf d)
{
    vf inverse = 1 / choose(d == 0, spread(1), d);
    return choose((d == 0) | (magnitude(inverse) > FLT_MAX), spread(0), inverse);
}

/* Index of the level nearest to (in - m) / d, for groups that lie behind each other, each with its own d and m; that of
 * 0 where d is 0. */
QN_INLINE void write_levels(const float *in, int groups, int size, const float *d, const float *m,
                            const enum qn_levels levels, float lo, float hi, int8_t *q)
{
    for (int g = 0; g < groups; g++) {
        vf inverse = inverse_of(spread(d[g])), min = spread(m[g]);
        for (int i = 0; i < size; i += QN_WIDTH, in += QN_WIDTH, q += QN_WIDTH) {
            vm index = nearest_index((clean(load(in)) - min) * inverse, levels, spread(lo), spread(hi));
            store_bytes(q, index);
        }
    }
}

/* ---- tiles ---------------------------------------------------------------------------------------------------- */

/* Sixteen groups, element i of group l at [i][l]. Lanes without a group hold zeros. */
struct tile {
    int size;
    const struct qn_search_effort *effort;
    bool weighted;     /* false: w is not set, every weight is 1 */
    float amax[LANES]; /* largest magnitude of the group's block, 1 where all are 0; the unit of x */
    _Alignas(64) float x[QN_SEARCH_MAX][LANES];
    _Alignas(64) float w[QN_SEARCH_MAX][LANES];
};

/* to[i][l] = element i of group l, not made finite. */
static void transpose(const float *in, int groups, int size, float to[][LANES])
{
    static const float nothing[QN_SEARCH_MAX];
    const float *rows[LANES];
    for (int l = 0; l < LANES; l++)
        rows[l] = l < groups ? in + (ptrdiff_t)l * size : nothing;
    for (int i = 0; i < size; i += 4) {
        for (int l = 0; l < LANES; l += 4) {
            quad r[4];
            for (int k = 0; k < 4; k++)
                memcpy(&r[k], rows[l + k] + i, sizeof r[k]);
            quad a = QN_SHUFFLE(r[0], r[1], 0, 4, 1, 5), b = QN_SHUFFLE(r[0], r[1], 2, 6, 3, 7);
            quad c = QN_SHUFFLE(r[2], r[3], 0, 4, 1, 5), d = QN_SHUFFLE(r[2], r[3], 2, 6, 3, 7);
            quad columns[4] = {QN_SHUFFLE(a, c, 0, 1, 4, 5), QN_SHUFFLE(a, c, 2, 3, 6, 7), QN_SHUFFLE(b, d, 0, 1, 4, 5),
                               QN_SHUFFLE(b, d, 2, 3, 6, 7)};
            for (int k = 0; k < 4; k++)
                memcpy(&to[i + k][l], &columns[k], sizeof columns[k]);
        }
    }
}

/* The largest value of the lanes of each block, `per` of them. */
static void largest_of_block(float lanes[LANES], int per)
{
    for (int l = 0; per > 1 && l < LANES; l += per) {
        float largest = 0;
        for (int k = l; k < l + per; k++)
            largest = lanes[k] > largest ? lanes[k] : largest;
        for (int k = l; k < l + per; k++)
            lanes[k] = largest;
    }
}

/* Divides each block by its largest magnitude; mean squares of the groups go to `mean`. */
static void normalise(struct tile *t, int per, float mean[LANES])
{
    float inverse[LANES];
    for (int at = 0; at < LANES; at += QN_WIDTH) {
        vf largest = {0};
        for (int i = 0; i < t->size; i++) {
            vf x = clean(load(&t->x[i][at]));
            store(&t->x[i][at], x);
            largest = most(magnitude(x), largest);
        }
        store(t->amax + at, largest);
    }
    largest_of_block(t->amax, per);
    for (int l = 0; l < LANES; l++) {
        bool none = t->amax[l] < 1e-30f; /* far below half of the smallest scale that any type can store */
        inverse[l] = none ? 0 : 1 / t->amax[l];
        t->amax[l] = none ? 1 : t->amax[l];
    }
    for (int at = 0; at < LANES; at += QN_WIDTH) {
        vf sum = {0}, unit = load(inverse + at);
        for (int i = 0; i < t->size; i++) {
            vf x = load(&t->x[i][at]) * unit;
            store(&t->x[i][at], x);
            sum += x * x;
        }
        store(mean + at, sum / (float)t->size);
    }
}

/* Weight by the rule of the type. */
QN_INLINE float rule_of(enum qn_weighing weighing, float x, float rms)
{
    return weighing == QN_WEIGH_EQUAL ? 1 : rms + fabsf(x);
}

/* Weights by the importance in t->w, in blocks where some of it is above 0. */
static void weigh_by_importance(struct tile *t, int per, enum qn_weighing weighing, const float mean[LANES],
                                const float rms[LANES])
{
    float heaviest[LANES] = {0}, square[LANES];
    for (int i = 0; i < t->size; i++) {
        for (int at = 0; at < LANES; at += QN_WIDTH)
            store(&t->w[i][at], clean(load(&t->w[i][at])));
        for (int l = 0; l < LANES; l++)
            heaviest[l] = t->w[i][l] > heaviest[l] ? t->w[i][l] : heaviest[l];
    }
    largest_of_block(heaviest, per);
    for (int l = 0; l < LANES; l++) {
        square[l] = 0;
        for (int k = l / per * per; k < l / per * per + per; k++)
            square[l] += mean[k];
        square[l] /= (float)per;
    }
    for (int i = 0; i < t->size; i++) {
        for (int l = 0; l < LANES; l++) {
            float x = t->x[i][l], share = t->w[i][l] > 0 ? t->w[i][l] / heaviest[l] : 0;
            share *= sqrtf(square[l] + x * x); /* large weights matter more than the activations' mean squares tell */
            share = share > 1e-9f ? share : 1e-9f; /* keeps every group solvable */
            t->w[i][l] = heaviest[l] < 1e-30f ? rule_of(weighing, x, rms[l]) : share;
        }
    }
}

static void fill_tile(const struct qn_search *s, const float *in, const float *importance, int groups, struct tile *t)
{
    float mean[LANES], rms[LANES];
    t->size = s->size;
    t->effort = importance && s->weighed.count ? &s->weighed : &s->effort;
    t->weighted = importance || s->weighing != QN_WEIGH_EQUAL;
    transpose(in, groups, s->size, t->x);
    normalise(t, s->groups, mean);
    if (!t->weighted)
        return;
    for (int l = 0; l < LANES; l++)
        rms[l] = s->weighing == QN_WEIGH_RMS ? sqrtf(mean[l]) : 0;
    if (importance) {
        transpose(importance, groups, s->size, t->w);
        weigh_by_importance(t, s->groups, s->weighing, mean, rms);
        return;
    }
    for (int i = 0; i < s->size; i++)
        for (int l = 0; l < LANES; l++)
            t->w[i][l] = rms[l] + fabsf(t->x[i][l]);
}

/* ---- sums under a trial --------------------------------------------------------------------------------------- */

/* Sums over the groups of QN_STEPS vectors, each element times its weight: q the levels, x the elements. */
struct sums {
    vf q[QN_STEPS], qq[QN_STEPS], xq[QN_STEPS];
};

struct moments {
    vf w[QN_STEPS], x[QN_STEPS], xx[QN_STEPS];
};

/* How the inner loops are made: constants, so that each combination has its own. */
struct form {
    bool weighted, minimum;
    enum qn_levels levels;
};

/* Rounds (x - m) * inverse to the levels and sums over the groups from lane `at` on. */
QN_INLINE void round_sums(const struct tile *t, int at, const vf *inverse, const vf *m, float lo, float hi,
                          const struct form form, struct sums *s)
{
    struct sums sum = {0};
    for (int i = 0; i < t->size; i++) {
        for (int k = 0; k < QN_STEPS; k++) {
            vf x = load(&t->x[i][at + k * QN_WIDTH]);
            vf level = nearest_level((form.minimum ? x - m[k] : x) * inverse[k], form.levels, spread(lo), spread(hi));
            vf heavy = form.weighted ? load(&t->w[i][at + k * QN_WIDTH]) * level : level;
            if (form.minimum)
                sum.q[k] += heavy;
            sum.qq[k] += heavy * level;
            sum.xq[k] += heavy * x;
        }
    }
    *s = sum;
}

#endif

/* Shared by the files of the search: four-lane arithmetic, rounding a group under a trial scale and summing up. */
#ifndef QN_QUANT_SEARCH_INTERNAL_H
#define QN_QUANT_SEARCH_INTERNAL_H

#include <stdint.h>
#include <string.h>

/* Four lanes. The order of each sum is fixed by the code, so the bits are the same on every machine. */
typedef float qn_lanes __attribute__((vector_size(16)));
typedef int32_t qn_lane_mask __attribute__((vector_size(16)));

static inline qn_lanes qn_lanes_load(const float *p)
{
    qn_lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline qn_lanes qn_lanes_spread(float v)
{
    return (qn_lanes){v, v, v, v};
}

/* `yes` in lanes whose mask is all ones, `no` where it is zero. */
static inline qn_lanes qn_lanes_choose(qn_lane_mask mask, qn_lanes yes, qn_lanes no)
{
    return (qn_lanes)((mask & (qn_lane_mask)yes) | (~mask & (qn_lane_mask)no));
}

static inline float qn_lanes_total(qn_lanes a, qn_lanes b)
{
    qn_lanes s = a + b;
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Sums over a group of elements, each times its weight. */
struct qn_search_sums {
    float q, qq, xq;
};

struct qn_search_moments {
    float w, x, xx;
};

/* 1.5 * 2^23: a float of this size has no bits below 1, so adding and subtracting it rounds to whole numbers. */
#define QN_SEARCH_ONE 12582912.0f

/* Nearest whole number for |v| < 2^22. */
static inline float qn_search_nearest(float v)
{
    return (v + QN_SEARCH_ONE) - QN_SEARCH_ONE;
}

static inline float qn_search_limit(float v, float lo, float hi)
{
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}

/* Rounds (x - m) * inverse to lo..hi and sums; the levels themselves are not kept. */
struct qn_search_sums qn_search_round_sums(const float *x, const float *w, int n, float inverse, float m, float lo,
                                           float hi);
struct qn_search_moments qn_search_moments(const float *x, const float *w, int n);

/* Weighted squared error of d * q + m. */
static inline float qn_search_error(const struct qn_search_sums *s, const struct qn_search_moments *mo, float d,
                                    float m)
{
    return mo->xx - 2 * d * s->xq - 2 * m * mo->x + d * d * s->qq + 2 * d * m * s->q + m * m * mo->w;
}

#endif

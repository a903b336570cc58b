/* The search that the quantisers share: scales (and minimums) that make the weighted squared error small.
 *
 * A type stores x as d * q or d * q + m with whole q in a range. For given q the best d and m follow from least
 * squares in closed form; for given d and m the best q is the nearest. So the search rounds under a few trial scales
 * around the one that just covers the block, keeps the trial whose least-squares error is smallest, and then goes back
 * and forth between the two steps until nothing changes. Types with groups code their scales too: those codes are
 * chosen by the error they cause, and the common factor is fitted by least squares again.
 *
 * Everything works on elements divided by the largest magnitude of the block, so that no sum over- or underflows.
 * All functions are pure.
 */
#ifndef QN_QUANT_SEARCH_H
#define QN_QUANT_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#define QN_SEARCH_MAX 256 /* elements of a block */
#define QN_SEARCH_GROUPS 16

/* Weight of an element's squared error where the caller gives no importance. In trained networks the large elements
 * of a group matter more than plain squared error says, so types with coded scales lean towards them. */
enum qn_weighing {
    QN_WEIGH_EQUAL, /* 1 */
    QN_WEIGH_RMS,   /* |x| + root mean square of the group */
    QN_WEIGH_ABS,   /* |x| */
};

/* Copies n elements to x, divided by their largest magnitude, which is returned (1 for a block of zeros). Elements that
 * are not finite count as 0. */
float qn_search_normalise(const float *in, int n, float *x);

/* The same, and the weights of n elements (at most QN_SEARCH_MAX) in groups of `group`: the importance times
 * sqrt(mean square of all n + x^2) where it is given and not all zero, otherwise by the rule. */
float qn_search_load(const float *in, const float *importance, int n, int group, enum qn_weighing weighing, float *x,
                     float *w);

/* d * amax as a half, limited to the finite ones; what it stands for, divided by amax, goes to *stored. */
uint16_t qn_search_half(float d, float amax, float *stored);

/* The same for a scale, which is never 0 unless d is: levels or codes make up for a scale that is too large. */
uint16_t qn_search_scale_half(float d, float amax, float *stored);

/* q[i] = the whole number in lo..hi nearest to (x[i] - m) / d; 0 limited to that range where d is 0. */
void qn_search_round(const float *x, int n, float d, float m, int lo, int hi, int8_t *q);

/* Scale for x ~ d * q, q in lo..hi, lo < 0 < hi. May be negative; 0 for a group of zeros. n is a multiple of 8. */
float qn_search_scale(const float *x, const float *w, int n, int lo, int hi);

/* Scale and minimum for x ~ d * q + m, q in 0..hi. d >= 0; m <= 0 where below_zero says so. */
void qn_search_affine(const float *x, const float *w, int n, int hi, bool below_zero, float *d, float *m);

/* A block of groups, each with coded scales. */
struct qn_search_shape {
    int groups, size; /* size elements a group, a multiple of 8 */
    int lo, hi;       /* levels */
    int code_lo, code_hi;
};

/* x ~ (d * sc[j]) * q, sc in code_lo..code_hi with -code_lo >= code_hi. */
void qn_search_groups_scale(const struct qn_search_shape *shape, const float *x, const float *w, float amax,
                            uint16_t *d, int8_t *sc, int8_t *q);

/* x ~ (d * sc[j]) * q - dmin * mn[j], sc and mn in 0..code_hi, q in 0..hi. */
void qn_search_groups_affine(const struct qn_search_shape *shape, const float *x, const float *w, float amax,
                             uint16_t *d, uint16_t *dmin, uint8_t *sc, uint8_t *mn, int8_t *q);

#endif

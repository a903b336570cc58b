#include "quant/search.h"

#include <math.h>
#include <string.h>

#include "quant/half.h"
#include "quant/search_internal.h"

enum { REFINE_MAX = 4 };

static inline qn_lanes level(qn_lanes v, qn_lanes lo, qn_lanes hi)
{
    qn_lanes one = qn_lanes_spread(QN_SEARCH_ONE);
    v = qn_lanes_choose(v < lo, lo, v);
    v = qn_lanes_choose(v > hi, hi, v);
    return (v + one) - one;
}

struct qn_search_sums qn_search_round_sums(const float *x, const float *w, int n, float inverse, float m, float lo,
                                           float hi)
{
    qn_lanes q[2] = {0}, qq[2] = {0}, xq[2] = {0};
    for (int i = 0; i < n; i += 8) {
        for (int half = 0; half < 2; half++) {
            qn_lanes v = qn_lanes_load(x + i + 4 * half);
            qn_lanes l =
                level((v - qn_lanes_spread(m)) * qn_lanes_spread(inverse), qn_lanes_spread(lo), qn_lanes_spread(hi));
            qn_lanes wl = qn_lanes_load(w + i + 4 * half) * l;
            q[half] += wl;
            qq[half] += wl * l;
            xq[half] += wl * v;
        }
    }
    return (struct qn_search_sums){qn_lanes_total(q[0], q[1]), qn_lanes_total(qq[0], qq[1]),
                                   qn_lanes_total(xq[0], xq[1])};
}

struct qn_search_moments qn_search_moments(const float *x, const float *w, int n)
{
    qn_lanes w_sum = {0}, x_sum = {0}, xx_sum = {0}, none = {0};
    for (int i = 0; i < n; i += 4) {
        qn_lanes v = qn_lanes_load(x + i), weight = qn_lanes_load(w + i);
        w_sum += weight;
        x_sum += weight * v;
        xx_sum += weight * v * v;
    }
    return (struct qn_search_moments){qn_lanes_total(w_sum, none), qn_lanes_total(x_sum, none),
                                      qn_lanes_total(xx_sum, none)};
}

static void weigh(const float *x, int n, enum qn_weighing weighing, float *w)
{
    float square = 0;
    for (int i = 0; i < n; i++)
        square += x[i] * x[i];
    float rms = sqrtf(square / (float)n);
    for (int i = 0; i < n; i++) {
        switch (weighing) {
        case QN_WEIGH_EQUAL:
            w[i] = 1;
            break;
        case QN_WEIGH_RMS:
            w[i] = rms + fabsf(x[i]);
            break;
        case QN_WEIGH_ABS:
            w[i] = fabsf(x[i]);
            break;
        }
    }
}

float qn_search_normalise(const float *in, int n, float *x)
{
    float amax = 0;
    for (int i = 0; i < n; i++) {
        x[i] = isfinite(in[i]) ? in[i] : 0;
        amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
    }
    if (amax < 1e-30f) { /* far below half of the smallest scale that any type can store */
        for (int i = 0; i < n; i++)
            x[i] = 0;
        return 1;
    }
    for (int i = 0; i < n; i++)
        x[i] /= amax;
    return amax;
}

float qn_search_load(const float *in, const float *importance, int n, int group, enum qn_weighing weighing, float *x,
                     float *w)
{
    float amax = qn_search_normalise(in, n, x), heaviest = 0;
    for (int i = 0; importance && i < n; i++)
        if (isfinite(importance[i]) && importance[i] > heaviest)
            heaviest = importance[i];
    if (heaviest < 1e-30f) {
        for (int i = 0; i < n; i += group)
            weigh(x + i, group, weighing, w + i);
        return amax;
    }
    float square = 0;
    for (int i = 0; i < n; i++)
        square += x[i] * x[i];
    square /= (float)n;
    for (int i = 0; i < n; i++) {
        float share = isfinite(importance[i]) && importance[i] > 0 ? importance[i] / heaviest : 0;
        share *= sqrtf(square + x[i] * x[i]); /* large weights matter more than the activations' mean squares tell */
        w[i] = share > 1e-9f ? share : 1e-9f; /* keeps every group solvable */
    }
    return amax;
}

uint16_t qn_search_half(float d, float amax, float *stored)
{
    uint16_t half = qn_half_store(qn_search_limit(d * amax, -65504.0f, 65504.0f));
    *stored = qn_half_load(half) / amax;
    return half;
}

uint16_t qn_search_scale_half(float d, float amax, float *stored)
{
    uint16_t half = qn_search_half(d, amax, stored);
    if (d == 0 || *stored != 0)
        return half;
    half = d < 0 ? 0x8001 : 0x0001;
    *stored = qn_half_load(half) / amax;
    return half;
}

void qn_search_round(const float *x, int n, float d, float m, int lo, int hi, int8_t *q)
{
    float inverse = d != 0 ? 1 / d : 0;
    if (!isfinite(inverse))
        inverse = 0;
    for (int i = 0; i < n; i++)
        q[i] = (int8_t)(int)qn_search_nearest(qn_search_limit((x[i] - m) * inverse, (float)lo, (float)hi));
}

float qn_search_scale(const float *x, const float *w, int n, int lo, int hi)
{
    float largest = 0;
    for (int i = 0; i < n; i++)
        largest = fabsf(x[i]) > fabsf(largest) ? x[i] : largest;
    if (fabsf(largest) < 1e-15f)
        return 0;
    /* The largest element is put near either end of the range, inside it or past it by this many levels. Past the end
     * it is cut off, which pays where it stands alone. */
    static const float trials[] = {-1.2f, -0.9f, -0.7f, -0.5f, -0.35f, -0.2f, -0.1f, 0,   0.1f,
                                   0.2f,  0.35f, 0.5f,  0.7f,  0.9f,   1.2f,  1.6f,  2.0f};
    float best_score = 0, best_d = 0;
    for (int end = 0; end < 2; end++) {
        float last = (float)(end ? hi : lo);
        for (unsigned t = 0; t < sizeof trials / sizeof trials[0]; t++) {
            float at = last + (end ? trials[t] : -trials[t]);
            struct qn_search_sums s = qn_search_round_sums(x, w, n, at / largest, 0, (float)lo, (float)hi);
            if (s.qq > 0 && s.xq * s.xq > best_score * s.qq) {
                best_score = s.xq * s.xq / s.qq;
                best_d = s.xq / s.qq;
            }
        }
    }
    for (int r = 0; r < REFINE_MAX && best_d != 0; r++) {
        struct qn_search_sums s = qn_search_round_sums(x, w, n, 1 / best_d, 0, (float)lo, (float)hi);
        if (!(s.qq > 0) || s.xq * s.xq <= best_score * s.qq)
            break;
        best_score = s.xq * s.xq / s.qq;
        best_d = s.xq / s.qq;
    }
    return best_d;
}

/* Least squares of d and m for the levels behind the sums; the error goes to *error. False: no positive scale. */
static bool solve_affine(const struct qn_search_sums *s, const struct qn_search_moments *mo, bool below_zero, float *d,
                         float *m, float *error)
{
    float det = mo->w * s->qq - s->q * s->q;
    if (!(det > 1e-12f * mo->w * s->qq))
        return false;
    *d = (mo->w * s->xq - mo->x * s->q) / det;
    *m = (s->qq * mo->x - s->q * s->xq) / det;
    if (below_zero && *m > 0) {
        *m = 0;
        *d = s->xq / s->qq;
    }
    *error = mo->xx - *d * s->xq - *m * mo->x;
    return *d > 0;
}

void qn_search_affine(const float *x, const float *w, int n, int hi, bool below_zero, float *d, float *m)
{
    float min = x[0], max = x[0];
    for (int i = 1; i < n; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    if (below_zero && min > 0)
        min = 0;
    if (max - min < 1e-15f) {
        *d = 0;
        *m = min;
        return;
    }
    struct qn_search_moments mo = qn_search_moments(x, w, n);
    *d = (max - min) / (float)hi;
    *m = min;
    struct qn_search_sums s = qn_search_round_sums(x, w, n, 1 / *d, min, 0, (float)hi);
    float best = qn_search_error(&s, &mo, *d, *m);
    static const float trials[] = {-1.0f, -0.8f, -0.6f, -0.4f, -0.2f, 0,    0.2f,
                                   0.4f,  0.6f,  0.8f,  1.0f,  1.3f,  1.6f, 2.0f};
    float trial_d, trial_m, error;
    for (unsigned t = 0; t < sizeof trials / sizeof trials[0]; t++) {
        s = qn_search_round_sums(x, w, n, ((float)hi + trials[t]) / (max - min), min, 0, (float)hi);
        if (solve_affine(&s, &mo, below_zero, &trial_d, &trial_m, &error) && error < best) {
            best = error;
            *d = trial_d;
            *m = trial_m;
        }
    }
    for (int r = 0; r < REFINE_MAX; r++) {
        s = qn_search_round_sums(x, w, n, 1 / *d, *m, 0, (float)hi);
        if (!solve_affine(&s, &mo, below_zero, &trial_d, &trial_m, &error) || error >= best)
            break;
        best = error;
        *d = trial_d;
        *m = trial_m;
    }
}

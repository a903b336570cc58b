/* The second level of the search: blocks of groups whose scales (and minimums) are codes of a few bits. */
#include <math.h>
#include <string.h>

#include "quant/search.h"
#include "quant/search_internal.h"

enum { ROUNDS = 3 };

static int nearest_code(float code, const struct qn_search_shape *shape)
{
    return (int)qn_search_nearest(qn_search_limit(code, (float)shape->code_lo, (float)shape->code_hi));
}

/* Rounds a group under d * q + m. */
static struct qn_search_sums try_group(const struct qn_search_shape *shape, const float *x, const float *w, float d,
                                       float m)
{
    float inverse = d != 0 ? 1 / d : 0;
    if (!isfinite(inverse))
        inverse = 0;
    return qn_search_round_sums(x, w, shape->size, inverse, m, (float)shape->lo, (float)shape->hi);
}

/* The code near `start` whose error (less a constant) is smallest, the sums under it, and that error. */
static int choose_scale(const struct qn_search_shape *shape, const float *x, const float *w, float factor, int start,
                        struct qn_search_sums *sums, float *error)
{
    static const struct qn_search_moments none;
    int chosen = start;
    *error = INFINITY;
    for (int code = start - 1; code <= start + 1; code++) {
        if (code < shape->code_lo || code > shape->code_hi)
            continue;
        struct qn_search_sums s = try_group(shape, x, w, factor * (float)code, 0);
        float trial = qn_search_error(&s, &none, factor * (float)code, 0);
        if (trial < *error) {
            *error = trial;
            *sums = s;
            chosen = code;
        }
    }
    return chosen;
}

void qn_search_groups_scale(const struct qn_search_shape *shape, const float *x, const float *w, float amax,
                            uint16_t *d, int8_t *sc, int8_t *q)
{
    float scales[QN_SEARCH_GROUPS], largest = 0, factor, kept_factor = 0, best = INFINITY;
    int size = shape->size;
    for (int j = 0; j < shape->groups; j++) {
        scales[j] = qn_search_scale(x + j * size, w + j * size, size, shape->lo, shape->hi);
        largest = fabsf(scales[j]) > fabsf(largest) ? scales[j] : largest;
        sc[j] = 0;
    }
    *d = 0;
    uint16_t trial = qn_search_scale_half(largest / (float)shape->code_lo, amax, &factor);
    for (int r = 0; r < ROUNDS && factor != 0; r++) {
        int8_t codes[QN_SEARCH_GROUPS];
        float error = 0, cross = 0, square = 0, group_error;
        for (int j = 0; j < shape->groups; j++) {
            struct qn_search_sums s = {0, 0, 0};
            int start = nearest_code(scales[j] / factor, shape);
            codes[j] = (int8_t)choose_scale(shape, x + j * size, w + j * size, factor, start, &s, &group_error);
            error += group_error;
            cross += (float)codes[j] * s.xq;
            square += (float)codes[j] * (float)codes[j] * s.qq;
        }
        if (error >= best)
            break;
        best = error;
        kept_factor = factor;
        *d = trial;
        memcpy(sc, codes, (size_t)shape->groups);
        if (!(square > 0))
            break;
        trial = qn_search_scale_half(cross / square, amax, &factor);
    }
    for (int j = 0; j < shape->groups; j++)
        qn_search_round(x + j * size, size, kept_factor * (float)sc[j], 0, shape->lo, shape->hi, q + j * size);
}

/* Normal equations of d and dmin over all groups: x ~ d * (sc q) - dmin * mn. */
struct factors {
    double aa, ab, bb, ax, bx;
};

static void factors_add(struct factors *f, const struct qn_search_sums *s, const struct qn_search_moments *mo, int sc,
                        int mn)
{
    f->aa += (double)sc * sc * s->qq;
    f->ab += (double)sc * mn * s->q;
    f->bb += (double)mn * mn * mo->w;
    f->ax += (double)sc * s->xq;
    f->bx += (double)mn * mo->x;
}

static void factors_solve(const struct factors *f, float *d, float *dmin)
{
    double det = f->aa * f->bb - f->ab * f->ab;
    if (det > 1e-9 * f->aa * f->bb) {
        *d = (float)((f->bb * f->ax - f->ab * f->bx) / det);
        *dmin = (float)((f->ab * f->ax - f->aa * f->bx) / det);
    } else if (f->aa > 0) {
        *d = (float)(f->ax / f->aa);
    }
    *d = *d > 0 ? *d : 0;
    *dmin = *dmin > 0 ? *dmin : 0;
}

/* The pair of codes near (sc, mn) whose error is smallest. */
static void choose_affine(const struct qn_search_shape *shape, const float *x, const float *w, float d, float dmin,
                          const struct qn_search_moments *mo, int *sc, int *mn, struct qn_search_sums *sums,
                          float *error)
{
    int sc_start = *sc, mn_start = *mn;
    *error = INFINITY;
    for (int s_code = sc_start - 1; s_code <= sc_start + 1; s_code++) {
        for (int m_code = mn_start - 1; m_code <= mn_start + 1; m_code++) {
            if (s_code < 0 || s_code > shape->code_hi || m_code < 0 || m_code > shape->code_hi)
                continue;
            float scale = d * (float)s_code, min = -dmin * (float)m_code;
            struct qn_search_sums s = try_group(shape, x, w, scale, min);
            float trial = qn_search_error(&s, mo, scale, min);
            if (trial < *error) {
                *error = trial;
                *sums = s;
                *sc = s_code;
                *mn = m_code;
            }
        }
    }
}

void qn_search_groups_affine(const struct qn_search_shape *shape, const float *x, const float *w, float amax,
                             uint16_t *d, uint16_t *dmin, uint8_t *sc, uint8_t *mn, int8_t *q)
{
    float scales[QN_SEARCH_GROUPS], mins[QN_SEARCH_GROUPS], scale_max = 0, min_max = 0;
    struct qn_search_moments mo[QN_SEARCH_GROUPS];
    int size = shape->size;
    for (int j = 0; j < shape->groups; j++) {
        qn_search_affine(x + j * size, w + j * size, size, shape->hi, true, &scales[j], &mins[j]);
        mo[j] = qn_search_moments(x + j * size, w + j * size, size);
        mins[j] = -mins[j];
        scale_max = scales[j] > scale_max ? scales[j] : scale_max;
        min_max = mins[j] > min_max ? mins[j] : min_max;
        sc[j] = mn[j] = 0;
    }
    float factor, min_factor, kept = 0, min_kept = 0, best = INFINITY;
    uint16_t trial = qn_search_scale_half(scale_max / (float)shape->code_hi, amax, &factor);
    uint16_t min_trial = qn_search_scale_half(min_max / (float)shape->code_hi, amax, &min_factor);
    *d = *dmin = 0;
    for (int r = 0; r < ROUNDS; r++) {
        uint8_t sc_codes[QN_SEARCH_GROUPS], mn_codes[QN_SEARCH_GROUPS];
        struct factors f = {0, 0, 0, 0, 0};
        float error = 0, group_error;
        for (int j = 0; j < shape->groups; j++) {
            struct qn_search_sums s = {0, 0, 0};
            int s_code = factor > 0 ? nearest_code(scales[j] / factor, shape) : 0;
            int m_code = min_factor > 0 ? nearest_code(mins[j] / min_factor, shape) : 0;
            choose_affine(shape, x + j * size, w + j * size, factor, min_factor, &mo[j], &s_code, &m_code, &s,
                          &group_error);
            sc_codes[j] = (uint8_t)s_code;
            mn_codes[j] = (uint8_t)m_code;
            error += group_error;
            factors_add(&f, &s, &mo[j], s_code, m_code);
        }
        if (error >= best)
            break;
        best = error;
        kept = factor;
        min_kept = min_factor;
        *d = trial;
        *dmin = min_trial;
        memcpy(sc, sc_codes, (size_t)shape->groups);
        memcpy(mn, mn_codes, (size_t)shape->groups);
        float d_fit = factor, dmin_fit = min_factor;
        factors_solve(&f, &d_fit, &dmin_fit);
        trial = qn_search_scale_half(d_fit, amax, &factor);
        min_trial = qn_search_scale_half(dmin_fit, amax, &min_factor);
    }
    for (int j = 0; j < shape->groups; j++)
        qn_search_round(x + j * size, size, kept * (float)sc[j], -min_kept * (float)mn[j], 0, shape->hi, q + j * size);
}

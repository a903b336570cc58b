/* The search over groups in lanes: the body of search_ref.c, search_avx2.c and search_avx512.c, which define NAME,
 * TEXT and NEEDS. See search.h and search_tile.h. */
#include "quant/search_tile.h"

enum { ROUNDS = 3, BLOCKS_MAX = LANES };

/* ---- one scale a group ---------------------------------------------------------------------------------------- */

struct best_scale {
    vf score[QN_STEPS], d[QN_STEPS];
};

/* Takes the least-squares scales of the trial where their error is smaller. True: some lane did. */
QN_INLINE bool take_scale(const struct sums *s, struct best_scale *best)
{
    vm better = {0};
    for (int k = 0; k < QN_STEPS; k++) {
        vm solved = s->qq[k] > 0;
        vf d = s->xq[k] / choose(solved, s->qq[k], spread(1));
        vf score = s->xq[k] * d;
        vm taken = solved & (score > best->score[k]);
        best->score[k] = choose(taken, score, best->score[k]);
        best->d[k] = choose(taken, d, best->d[k]);
        better |= taken;
    }
    return any(better);
}

/* Scale of each group, x ~ d * q. May be negative; 0 for a group of zeros. */
QN_INLINE void scales_of(const struct tile *t, const struct qn_search *s, const struct form form, float scales[LANES])
{
    float lo = (float)s->lo, hi = (float)s->hi;
    for (int at = 0; at < LANES; at += QN_WIDTH * QN_STEPS) {
        vf unit[QN_STEPS], inverse[QN_STEPS], none[QN_STEPS] = {0};
        struct best_scale best = {0};
        struct sums sums;
        for (int k = 0; k < QN_STEPS; k++) {
            vf low = {0}, high = {0};
            for (int i = 0; i < t->size; i++) {
                vf x = load(&t->x[i][at + k * QN_WIDTH]);
                low = least(x, low);
                high = most(x, high);
            }
            vf largest = choose(high < -low, low, high);
            unit[k] = choose(magnitude(largest) < 1e-15f, spread(0), inverse_of(largest));
        }
        for (int r = 0; r < t->effort->count; r++) {
            for (int k = 0; k < QN_STEPS; k++)
                inverse[k] = t->effort->trials[r] * unit[k];
            round_sums(t, at, inverse, none, lo, hi, form, &sums);
            take_scale(&sums, &best);
        }
        for (int r = 0; r < t->effort->refine; r++) {
            for (int k = 0; k < QN_STEPS; k++)
                inverse[k] = inverse_of(best.d[k]);
            round_sums(t, at, inverse, none, lo, hi, form, &sums);
            if (!take_scale(&sums, &best))
                break;
        }
        for (int k = 0; k < QN_STEPS; k++)
            store(scales + at + k * QN_WIDTH, choose(unit[k] == 0, spread(0), best.d[k]));
    }
}

/* ---- scale and minimum a group -------------------------------------------------------------------------------- */

struct lane_moments {
    float w[LANES], x[LANES], xx[LANES];
};

struct best_affine {
    vf error[QN_STEPS], d[QN_STEPS], m[QN_STEPS];
};

/* Least squares of d and m for the levels behind the sums, taken where d is positive and the error smaller. */
QN_INLINE bool take_affine(const struct sums *s, const struct moments *mo, bool below_zero, struct best_affine *best)
{
    vm better = {0};
    for (int k = 0; k < QN_STEPS; k++) {
        vf det = mo->w[k] * s->qq[k] - s->q[k] * s->q[k];
        vm solved = det > 1e-12f * (mo->w[k] * s->qq[k]);
        vf divisor = choose(solved, det, spread(1));
        vf d = (mo->w[k] * s->xq[k] - mo->x[k] * s->q[k]) / divisor;
        vf m = (s->qq[k] * mo->x[k] - s->q[k] * s->xq[k]) / divisor;
        if (below_zero) {
            vm above = m > 0;
            d = choose(above, s->xq[k] / choose(solved, s->qq[k], spread(1)), d);
            m = choose(above, spread(0), m);
        }
        vf error = mo->xx[k] - d * s->xq[k] - m * mo->x[k];
        vm taken = solved & (d > 0) & (error < best->error[k]);
        best->error[k] = choose(taken, error, best->error[k]);
        best->d[k] = choose(taken, d, best->d[k]);
        best->m[k] = choose(taken, m, best->m[k]);
        better |= taken;
    }
    return any(better);
}

/* Where the search starts: the range covered, cut at 0. */
QN_INLINE void start_affine(const struct tile *t, int at, const struct qn_search *s, const bool weighted,
                            vf min[QN_STEPS], vf unit[QN_STEPS], struct moments *mo, struct best_affine *best)
{
    for (int k = 0; k < QN_STEPS; k++) {
        vf low = load(&t->x[0][at + k * QN_WIDTH]), high = low, w = {0}, x = {0}, xx = {0};
        for (int i = 0; i < t->size; i++) {
            vf v = load(&t->x[i][at + k * QN_WIDTH]);
            vf heavy = weighted ? load(&t->w[i][at + k * QN_WIDTH]) : spread(1);
            low = least(v, low);
            high = most(v, high);
            w += heavy;
            x += heavy * v;
            xx += heavy * v * v;
        }
        mo->w[k] = w;
        mo->x[k] = x;
        mo->xx[k] = xx;
        if (s->below_zero)
            low = least(spread(0), low);
        vm flat = high - low < 1e-15f;
        min[k] = low;
        unit[k] = choose(flat, spread(0), 1 / choose(flat, spread(1), high - low));
        best->error[k] = choose(flat, spread(-FLT_MAX), spread(FLT_MAX));
        best->d[k] = choose(flat, spread(0), (high - low) / (float)s->hi);
        best->m[k] = low;
    }
}

/* Scale and minimum of each group, x ~ d * q + m, d >= 0, and its moments. */
QN_INLINE void affine_of(const struct tile *t, const struct qn_search *s, const struct form form, float d[LANES],
                         float m[LANES], struct lane_moments *all)
{
    float hi = (float)s->hi;
    for (int at = 0; at < LANES; at += QN_WIDTH * QN_STEPS) {
        vf unit[QN_STEPS], min[QN_STEPS], inverse[QN_STEPS];
        struct moments mo;
        struct best_affine best;
        struct sums sums;
        start_affine(t, at, s, form.weighted, min, unit, &mo, &best);
        for (int r = 0; r < t->effort->count; r++) {
            for (int k = 0; k < QN_STEPS; k++)
                inverse[k] = t->effort->trials[r] * unit[k];
            round_sums(t, at, inverse, min, 0, hi, form, &sums);
            take_affine(&sums, &mo, s->below_zero, &best);
        }
        for (int r = 0; r < t->effort->refine; r++) {
            for (int k = 0; k < QN_STEPS; k++)
                inverse[k] = inverse_of(best.d[k]);
            round_sums(t, at, inverse, best.m, 0, hi, form, &sums);
            if (!take_affine(&sums, &mo, s->below_zero, &best))
                break;
        }
        for (int k = 0; k < QN_STEPS; k++) {
            store(d + at + k * QN_WIDTH, best.d[k]);
            store(m + at + k * QN_WIDTH, best.m[k]);
            store(all->w + at + k * QN_WIDTH, mo.w[k]);
            store(all->x + at + k * QN_WIDTH, mo.x[k]);
            store(all->xx + at + k * QN_WIDTH, mo.xx[k]);
        }
    }
}

/* ---- halves --------------------------------------------------------------------------------------------------- */

/* d in units of amax as a half, limited to the finite ones. */
static uint16_t store_half(float d, float amax)
{
    float value = d * amax;
    value = value < -65504.0f ? -65504.0f : value;
    return qn_half_store(value > 65504.0f ? 65504.0f : value);
}

/* The same for a scale, which is never 0 unless d is: levels or codes make up for a scale that is too large. */
static uint16_t store_scale(float d, float amax)
{
    uint16_t half = store_half(d, amax);
    if (d == 0 || (half & 0x7fff))
        return half;
    return d < 0 ? 0x8001 : 0x0001;
}

/* And what it stands for, in units of amax. */
static uint16_t store_factor(float d, float amax, float *stored)
{
    uint16_t half = store_scale(d, amax);
    *stored = qn_half_load(half) / amax;
    return half;
}

/* ---- blocks of groups with coded scales ----------------------------------------------------------------------- */

static float limit(float v, float lo, float hi)
{
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}

static float nearest_code(float code, float lo, float hi)
{
    return (limit(code, lo, hi) + QN_ROUNDER) - QN_ROUNDER;
}

/* A scale code (and one of the minimum) a lane, what they cost and the sums under them. */
struct codes {
    float sc[LANES], mn[LANES], error[LANES], q[LANES], qq[LANES], xq[LANES];
};

/* Sums of all lanes under scales d and minimums m. */
QN_INLINE void sums_under(const struct tile *t, const struct qn_search *s, const struct form form, const float d[LANES],
                          const float m[LANES], struct codes *out)
{
    for (int at = 0; at < LANES; at += QN_WIDTH * QN_STEPS) {
        vf inverse[QN_STEPS], min[QN_STEPS];
        struct sums sums;
        for (int k = 0; k < QN_STEPS; k++) {
            inverse[k] = inverse_of(load(d + at + k * QN_WIDTH));
            min[k] = load(m + at + k * QN_WIDTH);
        }
        round_sums(t, at, inverse, min, (float)s->lo, (float)s->hi, form, &sums);
        for (int k = 0; k < QN_STEPS; k++) {
            store(out->q + at + k * QN_WIDTH, sums.q[k]);
            store(out->qq + at + k * QN_WIDTH, sums.qq[k]);
            store(out->xq + at + k * QN_WIDTH, sums.xq[k]);
        }
    }
}

/* Takes the trial's codes in lanes where they cost less. */
QN_INLINE void take_cheaper(const struct codes *trial, struct codes *best)
{
    for (int l = 0; l < LANES; l++) {
        bool better = trial->error[l] < best->error[l];
        best->error[l] = better ? trial->error[l] : best->error[l];
        best->sc[l] = better ? trial->sc[l] : best->sc[l];
        best->mn[l] = better ? trial->mn[l] : best->mn[l];
        best->q[l] = better ? trial->q[l] : best->q[l];
        best->qq[l] = better ? trial->qq[l] : best->qq[l];
        best->xq[l] = better ? trial->xq[l] : best->xq[l];
    }
}

/* What the second level knows of the blocks of a tile, one entry a block; factors in units of amax. */
struct block_search {
    int blocks, per; /* groups a block */
    float factor[BLOCKS_MAX], min_factor[BLOCKS_MAX], error[BLOCKS_MAX];
    uint16_t trial[BLOCKS_MAX], min_trial[BLOCKS_MAX];
};

/* The best of the codes around the nearest; errors less a constant. */
QN_INLINE void choose_scales(const struct tile *t, const struct qn_search *s, const struct form form,
                             const struct block_search *b, const float scales[LANES], struct codes *best)
{
    float lo = (float)s->code_lo, hi = (float)s->code_hi, start[LANES], factor[LANES], d[LANES], none[LANES] = {0};
    for (int l = 0; l < LANES; l++) {
        factor[l] = b->factor[l / b->per];
        start[l] = factor[l] != 0 ? nearest_code(scales[l] / factor[l], lo, hi) : 0;
        best->error[l] = FLT_MAX;
    }
    for (int delta = -1; delta <= 1; delta++) {
        struct codes trial = {0};
        for (int l = 0; l < LANES; l++) {
            trial.sc[l] = limit(start[l] + (float)delta, lo, hi);
            d[l] = factor[l] * trial.sc[l];
        }
        sums_under(t, s, form, d, none, &trial);
        for (int l = 0; l < LANES; l++)
            trial.error[l] = d[l] * (d[l] * trial.qq[l] - 2 * trial.xq[l]);
        take_cheaper(&trial, best);
    }
}

/* Keeps a block's codes if their error is smaller, and fits its factor to them. False: not smaller. */
static bool take_scales(struct block_search *b, int block, const struct codes *codes, const struct tile *t,
                        struct qn_search_found *found)
{
    float error = 0, cross = 0, square = 0;
    int begin = block * b->per, end = begin + b->per;
    for (int j = begin; j < end; j++) {
        error += codes->error[j];
        cross += codes->sc[j] * codes->xq[j];
        square += codes->sc[j] * codes->sc[j] * codes->qq[j];
    }
    if (!(error < b->error[block]) || b->factor[block] == 0)
        return false;
    b->error[block] = error;
    found->d[block] = b->trial[block];
    for (int j = begin; j < end; j++)
        found->sc[j] = (int8_t)codes->sc[j];
    if (!(square > 0))
        return false;
    b->trial[block] = store_factor(cross / square, t->amax[begin], &b->factor[block]);
    return true;
}

QN_INLINE void coded_scales(const struct tile *t, const struct qn_search *s, const struct form form, int groups,
                            struct qn_search_found *found)
{
    struct block_search b = {.blocks = groups / s->groups, .per = s->groups};
    float scales[LANES];
    scales_of(t, s, form, scales);
    memset(found->sc, 0, sizeof found->sc);
    for (int i = 0; i < b.blocks; i++) {
        float largest = 0;
        for (int j = i * b.per; j < (i + 1) * b.per; j++)
            largest = fabsf(scales[j]) > fabsf(largest) ? scales[j] : largest;
        b.trial[i] = store_factor(largest / (float)s->code_lo, t->amax[i * b.per], &b.factor[i]);
        b.error[i] = FLT_MAX;
        found->d[i] = 0;
    }
    for (int r = 0; r < ROUNDS; r++) {
        struct codes codes;
        bool going = false;
        choose_scales(t, s, form, &b, scales, &codes);
        for (int i = 0; i < b.blocks; i++)
            going |= take_scales(&b, i, &codes, t, found);
        if (!going)
            break;
    }
}

/* Normal equations of d and dmin over all groups: x ~ d * (sc q) - dmin * mn. */
struct factors {
    double aa, ab, bb, ax, bx;
};

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

/* The best of the nine pairs of codes around the nearest. */
QN_INLINE void choose_affine(const struct tile *t, const struct qn_search *s, const struct form form,
                             const struct block_search *b, const struct lane_moments *mo, const float scales[LANES],
                             const float mins[LANES], struct codes *best)
{
    float hi = (float)s->code_hi, factor[LANES], min_factor[LANES], sc_start[LANES], mn_start[LANES];
    float d[LANES], m[LANES];
    for (int l = 0; l < LANES; l++) {
        factor[l] = b->factor[l / b->per];
        min_factor[l] = b->min_factor[l / b->per];
        sc_start[l] = factor[l] > 0 ? nearest_code(scales[l] / factor[l], 0, hi) : 0;
        mn_start[l] = min_factor[l] > 0 ? nearest_code(-mins[l] / min_factor[l], 0, hi) : 0;
        best->error[l] = FLT_MAX;
    }
    for (int pair = 0; pair < 9; pair++) {
        struct codes trial;
        int sc_step = pair / 3 - 1, mn_step = pair % 3 - 1;
        for (int l = 0; l < LANES; l++) {
            trial.sc[l] = limit(sc_start[l] + (float)sc_step, 0, hi);
            trial.mn[l] = limit(mn_start[l] + (float)mn_step, 0, hi);
            d[l] = factor[l] * trial.sc[l];
            m[l] = -min_factor[l] * trial.mn[l];
        }
        sums_under(t, s, form, d, m, &trial);
        for (int l = 0; l < LANES; l++)
            trial.error[l] = mo->xx[l] - 2 * d[l] * trial.xq[l] - 2 * m[l] * mo->x[l] + d[l] * d[l] * trial.qq[l] +
                             2 * d[l] * m[l] * trial.q[l] + m[l] * m[l] * mo->w[l];
        take_cheaper(&trial, best);
    }
}

/* Keeps a block's codes if their error is smaller, and fits its factors to them. False: not smaller. */
static bool take_affines(struct block_search *b, int block, const struct codes *codes, const struct lane_moments *mo,
                         const struct tile *t, struct qn_search_found *found)
{
    struct factors f = {0};
    float error = 0, amax = t->amax[block * b->per];
    int begin = block * b->per, end = begin + b->per;
    for (int j = begin; j < end; j++) {
        error += codes->error[j];
        f.aa += (double)(codes->sc[j] * codes->sc[j]) * (double)codes->qq[j];
        f.ab += (double)(codes->sc[j] * codes->mn[j]) * (double)codes->q[j];
        f.bb += (double)(codes->mn[j] * codes->mn[j]) * (double)mo->w[j];
        f.ax += (double)codes->sc[j] * (double)codes->xq[j];
        f.bx += (double)codes->mn[j] * (double)mo->x[j];
    }
    if (!(error < b->error[block]))
        return false;
    b->error[block] = error;
    found->d[block] = b->trial[block];
    found->m[block] = b->min_trial[block];
    for (int j = begin; j < end; j++) {
        found->sc[j] = (int8_t)codes->sc[j];
        found->mn[j] = (uint8_t)codes->mn[j];
    }
    float d = b->factor[block], dmin = b->min_factor[block];
    factors_solve(&f, &d, &dmin);
    b->trial[block] = store_factor(d, amax, &b->factor[block]);
    b->min_trial[block] = store_factor(dmin, amax, &b->min_factor[block]);
    return true;
}

QN_INLINE void coded_affines(const struct tile *t, const struct qn_search *s, const struct form form, int groups,
                             struct qn_search_found *found)
{
    struct block_search b = {.blocks = groups / s->groups, .per = s->groups};
    struct lane_moments mo;
    float scales[LANES], mins[LANES];
    affine_of(t, s, form, scales, mins, &mo);
    memset(found->sc, 0, sizeof found->sc);
    memset(found->mn, 0, sizeof found->mn);
    for (int i = 0; i < b.blocks; i++) {
        float largest = 0, lowest = 0, amax = t->amax[i * b.per];
        for (int j = i * b.per; j < (i + 1) * b.per; j++) {
            largest = scales[j] > largest ? scales[j] : largest;
            lowest = mins[j] < lowest ? mins[j] : lowest;
        }
        b.trial[i] = store_factor(largest / (float)s->code_hi, amax, &b.factor[i]);
        b.min_trial[i] = store_factor(-lowest / (float)s->code_hi, amax, &b.min_factor[i]);
        b.error[i] = FLT_MAX;
        found->d[i] = found->m[i] = 0;
    }
    for (int r = 0; r < ROUNDS; r++) {
        struct codes codes;
        bool going = false;
        choose_affine(t, s, form, &b, &mo, scales, mins, &codes);
        for (int i = 0; i < b.blocks; i++)
            going |= take_affines(&b, i, &codes, &mo, t, found);
        if (!going)
            break;
    }
}

/* ---- powers of two -------------------------------------------------------------------------------------------- */

/* Weighted squared errors under scales d, in units of amax^2. */
QN_INLINE void errors_under(const struct tile *t, const struct form form, const float d[LANES],
                            const float inverse[LANES], float errors[LANES])
{
    for (int at = 0; at < LANES; at += QN_WIDTH * QN_STEPS) {
        vf error[QN_STEPS] = {0};
        for (int i = 0; i < t->size; i++) {
            for (int k = 0; k < QN_STEPS; k++) {
                vf x = load(&t->x[i][at + k * QN_WIDTH]), none = spread(0);
                vf level = nearest_level(x * load(inverse + at + k * QN_WIDTH), form.levels, none, none);
                vf delta = x - load(d + at + k * QN_WIDTH) * level;
                error[k] += form.weighted ? load(&t->w[i][at + k * QN_WIDTH]) * delta * delta : delta * delta;
            }
        }
        memcpy(errors + at, error, sizeof error);
    }
}

/* The best of three exponents; the scales go to `scales`. */
QN_INLINE void exponents_of(const struct tile *t, const struct form form, uint16_t exponents[LANES],
                            float scales[LANES])
{
    float d[LANES], inverse[LANES], errors[LANES], best[LANES];
    for (int l = 0; l < LANES; l++)
        best[l] = FLT_MAX;
    for (int trial = -1; trial <= 1; trial++) {
        uint16_t e[LANES];
        for (int l = 0; l < LANES; l++) { /* amax is in [2^k, 2^(k+1)): under e = k + 125 it is 8 to 16 units */
            int k = (int)(qn_f32_bits(t->amax[l]) >> 23) - 127;
            e[l] = (uint16_t)(k + 125 + trial);
            d[l] = qn_mxfp4_scale((uint8_t)e[l]) / t->amax[l];
            inverse[l] = t->amax[l] / qn_mxfp4_scale((uint8_t)e[l]);
        }
        errors_under(t, form, d, inverse, errors);
        for (int l = 0; l < LANES; l++) {
            bool better = errors[l] < best[l];
            best[l] = better ? errors[l] : best[l];
            exponents[l] = better ? e[l] : exponents[l];
            scales[l] = better ? qn_mxfp4_scale((uint8_t)e[l]) : scales[l];
        }
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

/* Largest magnitude of each of the groups, which lie behind each other. */
static void largest_of(const float *in, int groups, int size, float *amax)
{
    for (int g = 0; g < groups; g++) {
        vf most_of = {0};
        float lanes[QN_WIDTH];
        for (int i = 0; i < size; i += QN_WIDTH, in += QN_WIDTH)
            most_of = most(magnitude(clean(load(in))), most_of);
        store(lanes, most_of);
        amax[g] = 0;
        for (int l = 0; l < QN_WIDTH; l++)
            amax[g] = lanes[l] > amax[g] ? lanes[l] : amax[g];
    }
}

/* Scales (and minimums) as they are stored; what they stand for, a group, goes to d and m. */
QN_INLINE void find_scales(const struct tile *t, const struct qn_search *s, const struct form form, int groups,
                           struct qn_search_found *found, float d[LANES], float m[LANES])
{
    if (form.levels == QN_LEVELS_FP4) {
        exponents_of(t, form, found->d, d);
        return;
    }
    if (s->groups > 1) {
        if (form.minimum)
            coded_affines(t, s, form, groups, found);
        else
            coded_scales(t, s, form, groups, found);
        for (int j = 0; j < groups; j++) {
            d[j] = qn_half_load(found->d[j / s->groups]) * (float)found->sc[j];
            if (form.minimum)
                m[j] = -(qn_half_load(found->m[j / s->groups]) * (float)found->mn[j]);
        }
        return;
    }
    struct lane_moments mo;
    if (form.minimum)
        affine_of(t, s, form, d, m, &mo);
    else
        scales_of(t, s, form, d);
    for (int j = 0; j < groups; j++) {
        found->d[j] = store_scale(d[j], t->amax[j]);
        found->m[j] = store_half(m[j], t->amax[j]);
        d[j] = qn_half_load(found->d[j]);
        m[j] = qn_half_load(found->m[j]);
    }
}

QN_INLINE void find_in_tile(const struct qn_search *s, const float *in, const float *importance, int groups,
                            const bool minimum, const enum qn_levels levels, struct qn_search_found *found)
{
    struct tile t;
    float d[LANES], m[LANES] = {0};
    fill_tile(s, in, importance, groups, &t);
    if (t.weighted)
        find_scales(&t, s, (struct form){true, minimum, levels}, groups, found, d, m);
    else
        find_scales(&t, s, (struct form){false, minimum, levels}, groups, found, d, m);
    write_levels(in, groups, s->size, d, m, levels, (float)s->lo, (float)s->hi, found->q);
}

static void find(const struct qn_search *s, const float *in, const float *importance, int groups,
                 struct qn_search_found *found)
{
    if (s->levels == QN_LEVELS_IQ4) {
        find_in_tile(s, in, importance, groups, false, QN_LEVELS_IQ4, found);
    } else if (s->levels == QN_LEVELS_FP4) {
        find_in_tile(s, in, importance, groups, false, QN_LEVELS_FP4, found);
    } else if (s->minimum) {
        find_in_tile(s, in, importance, groups, true, QN_LEVELS_WHOLE, found);
    } else if (s->effort.count) {
        find_in_tile(s, in, importance, groups, false, QN_LEVELS_WHOLE, found);
    } else {
        float d[LANES], m[LANES] = {0};
        largest_of(in, groups, s->size, d);
        for (int j = 0; j < groups; j++) {
            found->d[j] = d[j] < 1e-30f ? 0 : store_scale(1 / (float)s->hi, d[j]);
            d[j] = qn_half_load(found->d[j]);
        }
        write_levels(in, groups, s->size, d, m, QN_LEVELS_WHOLE, (float)s->lo, (float)s->hi, found->q);
    }
}

static void load_halves(const uint16_t *in, float *out, int64_t count)
{
    int64_t i = 0;
#if defined(__F16C__)
    for (; i + 8 <= count; i += 8) {
        __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(in + i));
        __m256 v = _mm256_cvtph_ps(halves);
        if (__builtin_expect(_mm256_movemask_ps(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)), 0))
            break; /* the instruction makes signalling NaNs quiet */
        _mm256_storeu_ps(out + i, v);
    }
#endif
    for (; i < count; i++)
        out[i] = qn_half_load(in[i]);
}

const struct qn_search_isa NAME = {TEXT, NEEDS, find, load_halves};

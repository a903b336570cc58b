#include "quant/q4_f32/q4_f32.h"

#include <math.h>
#include <string.h>

#include "quant/search.h"
#include "quant/type.h"

enum { TOP = 15, N = 32, RUN = 64 }; /* RUN: blocks that are worked on together */

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q4_f32 *b = blocks;
    for (int64_t i = 0; i < elems / N; i++, b++, out += N) {
        float scale, zero;
        memcpy(&scale, b->scale, sizeof scale);
        memcpy(&zero, b->zero, sizeof zero);
        for (int k = 0; k < N / 2; k++) {
            out[2 * k] = scale * ((float)(b->qs[k] & 15) - zero);
            out[2 * k + 1] = scale * ((float)(b->qs[k] >> 4) - zero);
        }
    }
}

/* ---- searches ------------------------------------------------------------------------------------------------- */

struct found {
    uint16_t d, m;
    int8_t q[N];
};

static void keep(void *block, const struct qn_search_block *b)
{
    struct found *found = block;
    found->d = b->d;
    found->m = b->m;
    memcpy(found->q, b->q, N);
}

/* A minimum at or below zero: it tells where the zero point lies. */
static const float widths[] = {14.2f, 15, 15.8f};
static const struct qn_search range = {.groups = 1,
                                       .size = N,
                                       .hi = TOP,
                                       .minimum = true,
                                       .below_zero = true,
                                       .effort = QN_SEARCH_EFFORT(widths, 1),
                                       .block_bytes = sizeof(struct found),
                                       .pack = keep};

/* With the zero point given: levels -zero..TOP - zero. */
static void find_levels(int zero, const float *x, const float *w, int count, struct found *out)
{
    float lo = (float)-zero, hi = (float)(TOP - zero);
    const float trials[] = {lo - 0.4f, lo, lo + 0.4f, hi - 0.4f, hi, hi + 0.4f};
    const struct qn_search search = {.groups = 1,
                                     .size = N,
                                     .lo = -zero,
                                     .hi = TOP - zero,
                                     .effort = QN_SEARCH_EFFORT(trials, 1),
                                     .block_bytes = sizeof(struct found),
                                     .pack = keep};
    qn_search(&search, x, w, (int64_t)count * N, out);
}

/* ---- blocks --------------------------------------------------------------------------------------------------- */

struct best {
    float error, scale;
    int zero;
    int8_t q[N];
};

static int zero_near(const struct found *found)
{
    float d = qn_half_load(found->d), m = qn_half_load(found->m);
    return d > 0 ? (int)fminf(rintf(-m / d), TOP) : m < 0 ? TOP : 0;
}

/* The scale is fitted to the levels again, since it is stored in full. */
static void consider(const float *x, const float *w, const struct found *found, int zero, struct best *best)
{
    float error = 0, xq = 0, qq = 0;
    for (int i = 0; i < N; i++) {
        float q = found->q[i], weight = w ? w[i] : 1;
        xq += weight * x[i] * q;
        qq += weight * q * q;
    }
    float scale = qq > 0 ? xq / qq : 0;
    for (int i = 0; i < N; i++) {
        float e = x[i] - scale * (float)found->q[i];
        error += (w ? w[i] : 1) * e * e;
    }
    if (!(error < best->error))
        return;
    *best = (struct best){.error = error, .scale = scale, .zero = zero};
    memcpy(best->q, found->q, N);
}

/* Divides the block by its largest magnitude, which is returned: halves hold what is found then. What is not finite
 * counts as 0. */
static float normalise(const float *in, float *x)
{
    float largest = 0;
    for (int i = 0; i < N; i++) {
        x[i] = isfinite(in[i]) ? in[i] : 0;
        largest = fmaxf(largest, fabsf(x[i]));
    }
    if (largest < 1e-30f) {
        memset(x, 0, N * sizeof *x);
        return 1;
    }
    for (int i = 0; i < N; i++)
        x[i] /= largest;
    return largest;
}

/* The best whole zero point lies beside the best minimum's: blocks are sorted by it, three to each. */
static void find_best(const float *x, const float *w, int count, struct best *best)
{
    struct found found[RUN];
    float some[RUN * N], weights[RUN * N];
    int near[RUN], from[RUN];
    qn_search(&range, x, w, (int64_t)count * N, found);
    for (int i = 0; i < count; i++) {
        near[i] = zero_near(&found[i]);
        best[i] = (struct best){.error = INFINITY};
    }
    for (int zero = 0; zero <= TOP; zero++) {
        int chosen = 0;
        for (int i = 0; i < count; i++) {
            if (near[i] < zero - 1 || near[i] > zero + 1)
                continue;
            memcpy(some + chosen * N, x + i * N, N * sizeof *x);
            if (w)
                memcpy(weights + chosen * N, w + i * N, N * sizeof *w);
            from[chosen++] = i;
        }
        if (chosen)
            find_levels(zero, some, w ? weights : NULL, chosen, found);
        for (int i = 0; i < chosen; i++)
            consider(some + i * N, w ? weights + i * N : NULL, &found[i], zero, &best[from[i]]);
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q4_f32 *b = blocks;
    struct best best[RUN];
    float x[RUN * N], unit[RUN];
    for (int64_t at = 0; at < elems / N; at += RUN) {
        int count = (int)(elems / N - at < RUN ? elems / N - at : RUN);
        for (int i = 0; i < count; i++)
            unit[i] = normalise(in + (at + i) * N, x + i * N);
        find_best(x, importance ? importance + at * N : NULL, count, best);
        for (int i = 0; i < count; i++, b++) {
            float scale = best[i].scale * unit[i], zero = (float)best[i].zero;
            memcpy(b->scale, &scale, sizeof scale);
            memcpy(b->zero, &zero, sizeof zero);
            for (int k = 0; k < N / 2; k++)
                b->qs[k] = (uint8_t)((best[i].q[2 * k] + best[i].zero) | (best[i].q[2 * k + 1] + best[i].zero) << 4);
        }
    }
}

QN_QUANT_TYPE(Q4_F32, dequantise, quantise);

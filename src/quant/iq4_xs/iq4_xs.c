#include "quant/iq4_xs/iq4_xs.h"

#include <math.h>
#include <string.h>

#include "quant/iq4_search.h"
#include "quant/search.h"
#include "quant/type.h"

enum { GROUPS = 8, ROUNDS = 3 };

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    static const int8_t values[16] = {QN_IQ4_VALUES};
    const struct qn_iq4_xs *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d);
        for (int j = 0; j < GROUPS; j++) {
            float scale = d * (float)qn_iq4_xs_scale(b, j);
            for (int k = 0; k < 16; k++) {
                out[32 * j + k] = scale * (float)values[b->qs[16 * j + k] & 15];
                out[32 * j + k + 16] = scale * (float)values[b->qs[16 * j + k] >> 4];
            }
        }
    }
}

/* The code near `start` whose error (less a constant) is smallest, the sums under it, and that error. */
static int choose_code(const float *x, const float *w, float factor, int start, float *cross, float *square,
                       float *error)
{
    int chosen = start;
    *error = INFINITY;
    for (int code = start - 1; code <= start + 1; code++) {
        if (code < -32 || code > 31)
            continue;
        float scale = factor * (float)code, trial_cross, trial_square;
        qn_iq4_sums(x, w, scale, &trial_cross, &trial_square);
        float trial = scale * (scale * trial_square - 2 * trial_cross);
        if (trial < *error) {
            *error = trial;
            *cross = trial_cross;
            *square = trial_square;
            chosen = code;
        }
    }
    return chosen;
}

/* Codes of all groups and their common factor (a half in *d). Returns the factor as stored. */
static float search(const float *x, const float *w, float amax, uint16_t *d, int8_t sc[GROUPS])
{
    float scales[GROUPS], largest = 0, factor, kept = 0, best = INFINITY;
    for (int j = 0; j < GROUPS; j++) {
        scales[j] = qn_iq4_scale(x + 32 * j, w + 32 * j);
        largest = fabsf(scales[j]) > fabsf(largest) ? scales[j] : largest;
        sc[j] = 0;
    }
    *d = 0;
    uint16_t trial = qn_search_scale_half(largest / -32, amax, &factor);
    for (int r = 0; r < ROUNDS && factor != 0; r++) {
        int8_t codes[GROUPS];
        float error = 0, cross = 0, square = 0;
        for (int j = 0; j < GROUPS; j++) {
            float group_cross = 0, group_square = 0, group_error;
            float start = roundf(scales[j] / factor);
            start = start < -32 ? -32 : start > 31 ? 31 : start;
            codes[j] = (int8_t)choose_code(x + 32 * j, w + 32 * j, factor, (int)start, &group_cross, &group_square,
                                           &group_error);
            error += group_error;
            cross += (float)codes[j] * group_cross;
            square += (float)codes[j] * (float)codes[j] * group_square;
        }
        if (error >= best)
            break;
        best = error;
        kept = factor;
        *d = trial;
        memcpy(sc, codes, GROUPS);
        if (!(square > 0))
            break;
        trial = qn_search_scale_half(cross / square, amax, &factor);
    }
    return kept;
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_iq4_xs *b = blocks;
    float x[256], w[256];
    uint8_t q[32];
    int8_t sc[GROUPS];
    for (int64_t i = 0; i < elems / 256; i++, b++, in += 256) {
        float amax = qn_search_load(in, importance ? importance + i * 256 : 0, 256, 32, QN_WEIGH_RMS, x, w);
        float factor = search(x, w, amax, &b->d, sc);
        b->scales_h = 0;
        memset(b->scales_l, 0, sizeof b->scales_l);
        for (int j = 0; j < GROUPS; j++) {
            int code = sc[j] + 32;
            b->scales_l[j / 2] |= (uint8_t)((code & 15) << 4 * (j % 2));
            b->scales_h = (uint16_t)(b->scales_h | code >> 4 << 2 * j);
            qn_iq4_round(x + 32 * j, factor * (float)sc[j], q);
            for (int k = 0; k < 16; k++)
                b->qs[16 * j + k] = (uint8_t)(q[k] | q[k + 16] << 4);
        }
    }
}

QN_QUANT_TYPE(IQ4_XS, dequantise, quantise);

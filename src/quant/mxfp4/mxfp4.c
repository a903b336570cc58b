#include "quant/mxfp4/mxfp4.h"

#include <math.h>

#include "quant/search.h"
#include "quant/type.h"

static const int8_t values[16] = {QN_MXFP4_VALUES};

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_mxfp4 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_mxfp4_scale(b->e);
        for (int k = 0; k < 16; k++) {
            out[k] = d * (float)values[b->qs[k] & 15];
            out[k + 16] = d * (float)values[b->qs[k] >> 4];
        }
    }
}

/* Index of the level nearest to v. */
static int nearest_level(float v)
{
    float magnitude = fabsf(v);
    int index = 0;
    for (int k = 1; k < 8; k++)
        index += magnitude > 0.5f * (float)(values[k] + values[k - 1]);
    return v < 0 && index > 0 ? index + 8 : index;
}

/* Weighted squared error under 2^(e - 128), in units of amax^2; x is divided by amax. */
static float error_under(const float *x, const float *w, float amax, int e, uint8_t q[32])
{
    float d = qn_mxfp4_scale((uint8_t)e) / amax, inverse = amax / qn_mxfp4_scale((uint8_t)e), error = 0;
    for (int k = 0; k < 32; k++) {
        q[k] = (uint8_t)nearest_level(x[k] * inverse);
        float delta = x[k] - d * (float)values[q[k]];
        error += w[k] * delta * delta;
    }
    return error;
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_mxfp4 *b = blocks;
    float x[32], w[32];
    uint8_t q[32];
    for (int64_t i = 0; i < elems / 32; i++, b++, in += 32) {
        float amax = qn_search_load(in, importance ? importance + i * 32 : 0, 32, 32, QN_WEIGH_EQUAL, x, w);
        int exponent; /* amax is in [2^(exponent - 1), 2^exponent): under e = exponent + 124 it is 8 to 16 units */
        frexpf(amax, &exponent);
        float best = INFINITY;
        for (int e = exponent + 123; e <= exponent + 125; e++) {
            float error = error_under(x, w, amax, e, q);
            if (error >= best)
                continue;
            best = error;
            b->e = (uint8_t)e;
            for (int k = 0; k < 16; k++)
                b->qs[k] = (uint8_t)(q[k] | q[k + 16] << 4);
        }
    }
}

QN_QUANT_TYPE(MXFP4, dequantise, quantise);

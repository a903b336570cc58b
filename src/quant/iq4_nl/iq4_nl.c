#include "quant/iq4_nl/iq4_nl.h"

#include "quant/iq4_search.h"
#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    static const int8_t values[16] = {QN_IQ4_VALUES};
    const struct qn_iq4_nl *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 16; k++) {
            out[k] = d * (float)values[b->qs[k] & 15];
            out[k + 16] = d * (float)values[b->qs[k] >> 4];
        }
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_iq4_nl *b = blocks;
    float x[32], w[32], d;
    uint8_t q[32];
    for (int64_t i = 0; i < elems / 32; i++, b++, in += 32) {
        float amax = qn_search_load(in, importance ? importance + i * 32 : 0, 32, 32, QN_WEIGH_RMS, x, w);
        b->d = qn_search_scale_half(qn_iq4_scale(x, w), amax, &d);
        qn_iq4_round(x, d, q);
        for (int k = 0; k < 16; k++)
            b->qs[k] = (uint8_t)(q[k] | q[k + 16] << 4);
    }
}

QN_QUANT_TYPE(IQ4_NL, dequantise, quantise);

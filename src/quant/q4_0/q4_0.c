#include "quant/q4_0/q4_0.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q4_0 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 16; k++) {
            out[k] = d * (float)((b->qs[k] & 15) - 8);
            out[k + 16] = d * (float)((b->qs[k] >> 4) - 8);
        }
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q4_0 *b = blocks;
    float x[32], w[32], d;
    int8_t q[32];
    for (int64_t i = 0; i < elems / 32; i++, b++, in += 32) {
        float amax = qn_search_load(in, importance ? importance + i * 32 : 0, 32, 32, QN_WEIGH_EQUAL, x, w);
        b->d = qn_search_scale_half(qn_search_scale(x, w, 32, -8, 7), amax, &d);
        qn_search_round(x, 32, d, 0, -8, 7, q);
        for (int k = 0; k < 16; k++)
            b->qs[k] = (uint8_t)((q[k] + 8) | (q[k + 16] + 8) << 4);
    }
}

QN_QUANT_TYPE(Q4_0, dequantise, quantise);

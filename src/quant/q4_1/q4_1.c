#include "quant/q4_1/q4_1.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q4_1 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d), m = qn_half_load(b->m);
        for (int k = 0; k < 16; k++) {
            out[k] = d * (float)(b->qs[k] & 15) + m;
            out[k + 16] = d * (float)(b->qs[k] >> 4) + m;
        }
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q4_1 *b = blocks;
    float x[32], w[32], d, m;
    int8_t q[32];
    for (int64_t i = 0; i < elems / 32; i++, b++, in += 32) {
        float amax = qn_search_load(in, importance ? importance + i * 32 : 0, 32, 32, QN_WEIGH_EQUAL, x, w);
        qn_search_affine(x, w, 32, 15, false, &d, &m);
        b->d = qn_search_scale_half(d, amax, &d);
        b->m = qn_search_half(m, amax, &m);
        qn_search_round(x, 32, d, m, 0, 15, q);
        for (int k = 0; k < 16; k++)
            b->qs[k] = (uint8_t)(q[k] | q[k + 16] << 4);
    }
}

QN_QUANT_TYPE(Q4_1, dequantise, quantise);

#include "quant/q5_1/q5_1.h"

#include <string.h>

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q5_1 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d), m = qn_half_load(b->m);
        for (int k = 0; k < 16; k++) {
            int low_q = (b->qs[k] & 15) | (b->qh[k / 8] >> k % 8 & 1) << 4;
            int high_q = b->qs[k] >> 4 | (b->qh[2 + k / 8] >> k % 8 & 1) << 4;
            out[k] = d * (float)low_q + m;
            out[k + 16] = d * (float)high_q + m;
        }
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q5_1 *b = blocks;
    float x[32], w[32], d, m;
    int8_t q[32];
    for (int64_t i = 0; i < elems / 32; i++, b++, in += 32) {
        float amax = qn_search_load(in, importance ? importance + i * 32 : 0, 32, 32, QN_WEIGH_EQUAL, x, w);
        qn_search_affine(x, w, 32, 31, false, &d, &m);
        b->d = qn_search_scale_half(d, amax, &d);
        b->m = qn_search_half(m, amax, &m);
        qn_search_round(x, 32, d, m, 0, 31, q);
        memset(b->qh, 0, sizeof b->qh);
        for (int k = 0; k < 32; k++)
            b->qh[k / 8] |= (uint8_t)(q[k] >> 4 << k % 8);
        for (int k = 0; k < 16; k++)
            b->qs[k] = (uint8_t)((q[k] & 15) | (q[k + 16] & 15) << 4);
    }
}

QN_QUANT_TYPE(Q5_1, dequantise, quantise);

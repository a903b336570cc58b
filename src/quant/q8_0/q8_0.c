#include "quant/q8_0/q8_0.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q8_0 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 32; k++)
            out[k] = (float)b->qs[k] * d;
    }
}

/* Eight bits are fine enough that no search pays: the largest magnitude becomes 127. */
static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    (void)importance;
    struct qn_q8_0 *b = blocks;
    float x[32], d;
    for (int64_t i = 0; i < elems / 32; i++, b++, in += 32) {
        float amax = qn_search_normalise(in, 32, x);
        b->d = qn_search_scale_half(1.0f / 127, amax, &d);
        qn_search_round(x, 32, d, 0, -127, 127, b->qs);
    }
}

QN_QUANT_TYPE(Q8_0, dequantise, quantise);

#include "quant/q2_0/q2_0.h"

#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q2_0 *b = blocks;
    for (int64_t i = 0; i < elems / 64; i++, b++, out += 64) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 64; k++)
            out[k] = (float)((b->qs[k / 4] >> 2 * (k % 4) & 3) - 1) * d;
    }
}

QN_QUANT_TYPE(Q2_0, dequantise, 0);

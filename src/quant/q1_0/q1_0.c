#include "quant/q1_0/q1_0.h"

#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q1_0 *b = blocks;
    for (int64_t i = 0; i < elems / 128; i++, b++, out += 128) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 128; k++)
            out[k] = b->qs[k / 8] >> k % 8 & 1 ? d : -d;
    }
}

QN_QUANT_TYPE(Q1_0, dequantise, 0);

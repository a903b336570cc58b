#include "quant/tq2_0/tq2_0.h"

#include <string.h>

#include "quant/ternary.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_tq2_0 *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 256; k++)
            out[k] = d * (float)((b->qs[32 * (k / 128) + k % 32] >> 2 * (k / 32 % 4) & 3) - 1);
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_tq2_0 *b = blocks;
    int8_t q[256];
    for (int64_t i = 0; i < elems / 256; i++, b++, in += 256) {
        b->d = qn_ternary_search(in, importance ? importance + i * 256 : 0, q);
        memset(b->qs, 0, sizeof b->qs);
        for (int k = 0; k < 256; k++)
            b->qs[32 * (k / 128) + k % 32] |= (uint8_t)((q[k] + 1) << 2 * (k / 32 % 4));
    }
}

QN_QUANT_TYPE(TQ2_0, dequantise, quantise);

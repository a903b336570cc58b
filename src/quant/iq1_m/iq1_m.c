#include "quant/iq1_m/iq1_m.h"

#include "quant/codebook.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_iq1_m *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++) {
        unsigned words[4], half = 0;
        for (int w = 0; w < 4; w++) {
            words[w] = b->scales[2 * w] | (unsigned)b->scales[2 * w + 1] << 8;
            half |= words[w] >> 12 << 4 * w;
        }
        float d = qn_half_load((uint16_t)half);
        for (int k = 0; k < 32; k++, out += 8) {
            unsigned high = b->qh[k / 2] >> 4 * (k % 2), index = b->qs[k] | (high & 7) << 8;
            unsigned scale = words[k / 8] >> 3 * (k / 2 % 4) & 7;
            qn_codebook_ternary(qn_codebook_1[index], high & 8 ? -0.125f : 0.125f, d * (float)(2 * scale + 1), out);
        }
    }
}

QN_QUANT_TYPE(IQ1_M, dequantise, 0);

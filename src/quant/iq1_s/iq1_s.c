#include "quant/iq1_s/iq1_s.h"

#include "quant/codebook.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_iq1_s *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 32; k++, out += 8) {
            unsigned qh = b->qh[k / 4], index = b->qs[k] | (qh >> 3 * (k % 4) & 7) << 8;
            qn_codebook_ternary(qn_codebook_1[index], qh & 0x8000 ? -0.125f : 0.125f,
                                d * (float)(2 * (qh >> 12 & 7) + 1), out);
        }
    }
}

QN_QUANT_TYPE(IQ1_S, dequantise, 0);

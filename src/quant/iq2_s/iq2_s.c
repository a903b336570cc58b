#include "quant/iq2_s/iq2_s.h"

#include "quant/codebook.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_iq2_s *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 32; k++, out += 8) {
            unsigned index = b->qs[k] | (b->qh[k / 4] >> 2 * (k % 4) & 3u) << 8;
            float scale = d * (0.5f + (float)(b->scales[k / 4] >> 4 * (k / 2 % 2) & 15)) * 0.25f;
            qn_codebook_eight(qn_codebook_2s[index], b->signs[k], scale, out);
        }
    }
}

QN_QUANT_TYPE(IQ2_S, dequantise, 0);

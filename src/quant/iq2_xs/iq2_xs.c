#include "quant/iq2_xs/iq2_xs.h"

#include "quant/codebook.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_iq2_xs *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 32; k++, out += 8) {
            float scale = d * (0.5f + (float)(b->scales[k / 4] >> 4 * (k / 2 % 2) & 15)) * 0.25f;
            qn_codebook_eight(qn_codebook_2xs[b->qs[k] & 511], qn_codebook_signs(b->qs[k] >> 9), scale, out);
        }
    }
}

QN_QUANT_TYPE(IQ2_XS, dequantise, 0);

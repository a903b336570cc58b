#include "quant/iq2_xxs/iq2_xxs.h"

#include "quant/codebook.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_iq2_xxs *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++) {
        float d = qn_half_load(b->d);
        for (int g = 0; g < 8; g++) {
            uint32_t signs = b->groups[g].signs[0] | (uint32_t)b->groups[g].signs[1] << 16;
            float scale = d * (0.5f + (float)(signs >> 28)) * 0.25f;
            for (int k = 0; k < 4; k++, out += 8)
                qn_codebook_eight(qn_codebook_2xxs[b->groups[g].index[k]], qn_codebook_signs(signs >> 7 * k & 127),
                                  scale, out);
        }
    }
}

QN_QUANT_TYPE(IQ2_XXS, dequantise, 0);

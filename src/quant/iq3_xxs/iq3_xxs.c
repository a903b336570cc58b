#include "quant/iq3_xxs/iq3_xxs.h"

#include "quant/codebook.h"
#include "quant/type.h"

static const float levels[8] = {4, 12, 20, 28, 36, 44, 52, 62};

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_iq3_xxs *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 64; k++, out += 4) {
            uint32_t word = b->signs[k / 8][0] | (uint32_t)b->signs[k / 8][1] << 16;
            float scale = d * (0.5f + (float)(word >> 28)) * 0.5f;
            unsigned signs = qn_codebook_signs(word >> 7 * (k / 2 % 4) & 127);
            qn_codebook_four(qn_codebook_3xxs[b->qs[k]], levels, signs >> 4 * (k % 2), scale, out);
        }
    }
}

QN_QUANT_TYPE(IQ3_XXS, dequantise, 0);

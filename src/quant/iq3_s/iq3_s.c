#include "quant/iq3_s/iq3_s.h"

#include "quant/codebook.h"
#include "quant/type.h"

static const float levels[8] = {1, 3, 5, 7, 9, 11, 13, 15};

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_iq3_s *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 64; k++, out += 4) {
            unsigned index = b->qs[k] | (b->qh[k / 8] >> k % 8 & 1u) << 8;
            float scale = d * (float)(1 + 2 * (b->scales[k / 16] >> 4 * (k / 8 % 2) & 15));
            qn_codebook_four(qn_codebook_3s[index], levels, b->signs[k / 2] >> 4 * (k % 2), scale, out);
        }
    }
}

QN_QUANT_TYPE(IQ3_S, dequantise, 0);

#include "quant/nvfp4/nvfp4.h"

#include "quant/mxfp4/mxfp4.h"
#include "quant/type.h"

static const int8_t values[16] = {QN_MXFP4_VALUES};

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_nvfp4 *b = blocks;
    for (int64_t i = 0; i < elems / 64; i++, b++) {
        for (int g = 0; g < 4; g++, out += 16) {
            float d = qn_nvfp4_scale(b->d[g]);
            for (int k = 0; k < 8; k++) {
                out[k] = d * (float)values[b->qs[g][k] & 15];
                out[k + 8] = d * (float)values[b->qs[g][k] >> 4];
            }
        }
    }
}

QN_QUANT_TYPE(NVFP4, dequantise, 0);

#include "quant/q2_k/q2_k.h"

#include <string.h>

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q2_k *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d), dmin = qn_half_load(b->dmin);
        for (int j = 0; j < 16; j++) {
            float scale = d * (float)(b->scales[j] & 15), min = dmin * (float)(b->scales[j] >> 4);
            const uint8_t *qs = b->qs + 32 * (j / 8) + 16 * (j % 2);
            int shift = 2 * (j / 2 % 4);
            for (int l = 0; l < 16; l++)
                out[16 * j + l] = scale * (float)(qs[l] >> shift & 3) - min;
        }
    }
}

static const struct qn_search_shape shape = {.groups = 16, .size = 16, .lo = 0, .hi = 3, .code_lo = 0, .code_hi = 15};

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q2_k *b = blocks;
    float x[256], w[256];
    int8_t q[256];
    uint8_t sc[16], mn[16];
    for (int64_t i = 0; i < elems / 256; i++, b++, in += 256) {
        float amax = qn_search_load(in, importance ? importance + i * 256 : 0, 256, 16, QN_WEIGH_RMS, x, w);
        qn_search_groups_affine(&shape, x, w, amax, &b->d, &b->dmin, sc, mn, q);
        memset(b->qs, 0, sizeof b->qs);
        for (int j = 0; j < 16; j++) {
            b->scales[j] = (uint8_t)(sc[j] | mn[j] << 4);
            uint8_t *qs = b->qs + 32 * (j / 8) + 16 * (j % 2);
            for (int l = 0; l < 16; l++)
                qs[l] |= (uint8_t)(q[16 * j + l] << 2 * (j / 2 % 4));
        }
    }
}

QN_QUANT_TYPE(Q2_K, dequantise, quantise);

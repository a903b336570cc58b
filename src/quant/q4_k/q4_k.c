#include "quant/q4_k/q4_k.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q4_k *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d), dmin = qn_half_load(b->dmin);
        for (int j = 0; j < 8; j++) {
            uint8_t sc, mn;
            qn_k_scale_min(b->scales, j, &sc, &mn);
            float scale = d * (float)sc, min = dmin * (float)mn;
            const uint8_t *qs = b->qs + 32 * (j / 2);
            int shift = 4 * (j % 2);
            for (int l = 0; l < 32; l++)
                out[32 * j + l] = scale * (float)(qs[l] >> shift & 15) - min;
        }
    }
}

static const struct qn_search_shape shape = {.groups = 8, .size = 32, .lo = 0, .hi = 15, .code_lo = 0, .code_hi = 63};

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q4_k *b = blocks;
    float x[256], w[256];
    int8_t q[256];
    uint8_t sc[8], mn[8];
    for (int64_t i = 0; i < elems / 256; i++, b++, in += 256) {
        float amax = qn_search_load(in, importance ? importance + i * 256 : 0, 256, 32, QN_WEIGH_RMS, x, w);
        qn_search_groups_affine(&shape, x, w, amax, &b->d, &b->dmin, sc, mn, q);
        qn_k_scale_min_pack(sc, mn, b->scales);
        for (int k = 0; k < 128; k++)
            b->qs[k] = (uint8_t)(q[64 * (k / 32) + k % 32] | q[64 * (k / 32) + 32 + k % 32] << 4);
    }
}

QN_QUANT_TYPE(Q4_K, dequantise, quantise);

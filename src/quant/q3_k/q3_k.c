#include "quant/q3_k/q3_k.h"

#include <string.h>

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q3_k *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d);
        for (int j = 0; j < 16; j++) {
            float scale = d * (float)qn_q3_k_scale(b->scales, j);
            const uint8_t *qs = b->qs + 32 * (j / 8) + 16 * (j % 2), *hmask = b->hmask + 16 * (j % 2);
            int shift = 2 * (j / 2 % 4), bit = j / 2;
            for (int l = 0; l < 16; l++)
                out[16 * j + l] = scale * (float)((qs[l] >> shift & 3) - (hmask[l] >> bit & 1 ? 0 : 4));
        }
    }
}

static const struct qn_search_shape shape = {
    .groups = 16, .size = 16, .lo = -4, .hi = 3, .code_lo = -32, .code_hi = 31};

static void pack(struct qn_q3_k *b, const int8_t sc[16], const int8_t q[256])
{
    memset(b->hmask, 0, sizeof b->hmask);
    memset(b->qs, 0, sizeof b->qs);
    memset(b->scales, 0, sizeof b->scales);
    for (int j = 0; j < 16; j++) {
        int code = sc[j] + 32;
        b->scales[j % 8] |= (uint8_t)((code & 15) << 4 * (j / 8));
        b->scales[8 + j % 4] |= (uint8_t)(code >> 4 << 2 * (j / 4));
        uint8_t *qs = b->qs + 32 * (j / 8) + 16 * (j % 2), *hmask = b->hmask + 16 * (j % 2);
        for (int l = 0; l < 16; l++) {
            int level = q[16 * j + l] + 4;
            qs[l] |= (uint8_t)((level & 3) << 2 * (j / 2 % 4));
            hmask[l] |= (uint8_t)(level >> 2 << j / 2);
        }
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q3_k *b = blocks;
    float x[256], w[256];
    int8_t q[256], sc[16];
    for (int64_t i = 0; i < elems / 256; i++, b++, in += 256) {
        float amax = qn_search_load(in, importance ? importance + i * 256 : 0, 256, 16, QN_WEIGH_ABS, x, w);
        qn_search_groups_scale(&shape, x, w, amax, &b->d, sc, q);
        pack(b, sc, q);
    }
}

QN_QUANT_TYPE(Q3_K, dequantise, quantise);

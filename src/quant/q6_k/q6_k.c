#include "quant/q6_k/q6_k.h"

#include <string.h>

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q6_k *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d);
        for (int j = 0; j < 16; j++) {
            float scale = d * (float)b->scales[j];
            int h = j / 8, p = j / 2 % 4, part = 16 * (j % 2);
            const uint8_t *ql = b->ql + 64 * h + 32 * (p % 2) + part, *qh = b->qh + 32 * h + part;
            for (int l = 0; l < 16; l++)
                out[16 * j + l] = scale * (float)(((ql[l] >> 4 * (p / 2) & 15) | (qh[l] >> 2 * p & 3) << 4) - 32);
        }
    }
}

static const struct qn_search_shape shape = {
    .groups = 16, .size = 16, .lo = -32, .hi = 31, .code_lo = -128, .code_hi = 127};

static void pack(struct qn_q6_k *b, const int8_t q[256])
{
    memset(b->ql, 0, sizeof b->ql);
    memset(b->qh, 0, sizeof b->qh);
    for (int i = 0; i < 256; i++) {
        int h = i / 128, p = i / 32 % 4, l = i % 32, level = q[i] + 32;
        b->ql[64 * h + 32 * (p % 2) + l] |= (uint8_t)((level & 15) << 4 * (p / 2));
        b->qh[32 * h + l] |= (uint8_t)(level >> 4 << 2 * p);
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q6_k *b = blocks;
    float x[256], w[256];
    int8_t q[256];
    for (int64_t i = 0; i < elems / 256; i++, b++, in += 256) {
        float amax = qn_search_load(in, importance ? importance + i * 256 : 0, 256, 16, QN_WEIGH_RMS, x, w);
        qn_search_groups_scale(&shape, x, w, amax, &b->d, b->scales, q);
        pack(b, q);
    }
}

QN_QUANT_TYPE(Q6_K, dequantise, quantise);

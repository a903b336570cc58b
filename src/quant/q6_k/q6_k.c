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

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q6_k *b = block;
    uint8_t q[256];
    for (int k = 0; k < 256; k++)
        q[k] = (uint8_t)(found->q[k] + 32);
    b->d = found->d;
    memcpy(b->scales, found->sc, sizeof b->scales);
    for (int h = 0; h < 2; h++) {
        const uint8_t *p = q + 128 * h;
        for (int l = 0; l < 64; l++)
            b->ql[64 * h + l] = (uint8_t)((p[l] & 15) | (p[64 + l] & 15) << 4);
        for (int l = 0; l < 32; l++)
            b->qh[32 * h + l] = (uint8_t)(p[l] >> 4 | p[32 + l] >> 4 << 2 | p[64 + l] >> 4 << 4 | p[96 + l] >> 4 << 6);
    }
}

static const float trials[] = {-30.8f, -31.1f,  -31.3f, -31.5f, -31.65f, -31.8f, -31.9f, -32,   -32.1f,
                               -32.2f, -32.35f, -32.5f, -32.7f, -32.9f,  -33.2f, -33.6f, -34,   29.8f,
                               30.1f,  30.3f,   30.5f,  30.65f, 30.8f,   30.9f,  31,     31.1f, 31.2f,
                               31.35f, 31.5f,   31.7f,  31.9f,  32.2f,   32.6f,  33};
static const struct qn_search search = {.groups = 16,
                                        .size = 16,
                                        .lo = -32,
                                        .hi = 31,
                                        .code_lo = -128,
                                        .code_hi = 127,
                                        .weighing = QN_WEIGH_RMS,
                                        .effort = QN_SEARCH_EFFORT(trials, 4),
                                        .block_bytes = sizeof(struct qn_q6_k),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q6_K, dequantise, search);

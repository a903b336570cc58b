#include "quant/q5_k/q5_k.h"

#include <string.h>

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q5_k *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d), dmin = qn_half_load(b->dmin);
        for (int j = 0; j < 8; j++) {
            uint8_t sc, mn;
            qn_k_scale_min(b->scales, j, &sc, &mn);
            float scale = d * (float)sc, min = dmin * (float)mn;
            const uint8_t *qs = b->qs + 32 * (j / 2);
            int shift = 4 * (j % 2);
            for (int l = 0; l < 32; l++)
                out[32 * j + l] = scale * (float)((qs[l] >> shift & 15) | (b->qh[l] >> j & 1) << 4) - min;
        }
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q5_k *b = block;
    b->d = found->d;
    b->dmin = found->m;
    qn_k_scale_min_pack((const uint8_t *)found->sc, found->mn, b->scales);
    for (int p = 0; p < 4; p++) {
        const uint8_t *q = (const uint8_t *)found->q + 64 * p;
        for (int l = 0; l < 32; l++)
            b->qs[32 * p + l] = (uint8_t)((q[l] & 15) | (q[32 + l] & 15) << 4);
    }
    memset(b->qh, 0, sizeof b->qh);
    for (int j = 0; j < 8; j++)
        for (int l = 0; l < 32; l++)
            b->qh[l] |= (uint8_t)(found->q[32 * j + l] >> 4 << j);
}

static const float trials[] = {30, 30.2f, 30.4f, 30.6f, 30.8f, 31, 31.2f, 31.4f, 31.6f, 31.8f, 32, 32.3f, 32.6f, 33};
static const struct qn_search search = {.groups = 8,
                                        .size = 32,
                                        .hi = 31,
                                        .minimum = true,
                                        .below_zero = true,
                                        .code_hi = 63,
                                        .weighing = QN_WEIGH_RMS,
                                        .effort = QN_SEARCH_EFFORT(trials, 4),
                                        .block_bytes = sizeof(struct qn_q5_k),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q5_K, dequantise, search);

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

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q4_k *b = block;
    b->d = found->d;
    b->dmin = found->m;
    qn_k_scale_min_pack((const uint8_t *)found->sc, found->mn, b->scales);
    for (int p = 0; p < 4; p++) {
        const uint8_t *q = (const uint8_t *)found->q + 64 * p;
        for (int l = 0; l < 32; l++)
            b->qs[32 * p + l] = (uint8_t)(q[l] | q[32 + l] << 4);
    }
}

static const float trials[] = {14, 14.2f, 14.4f, 14.6f, 14.8f, 15, 15.2f, 15.4f, 15.6f, 15.8f, 16, 16.3f, 16.6f, 17};
static const struct qn_search search = {.groups = 8,
                                        .size = 32,
                                        .hi = 15,
                                        .minimum = true,
                                        .below_zero = true,
                                        .code_hi = 63,
                                        .weighing = QN_WEIGH_RMS,
                                        .effort = QN_SEARCH_EFFORT(trials, 4),
                                        .block_bytes = sizeof(struct qn_q4_k),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q4_K, dequantise, search);

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

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q3_k *b = block;
    uint8_t q[256];
    for (int k = 0; k < 256; k++)
        q[k] = (uint8_t)(found->q[k] + 4);
    b->d = found->d;
    memset(b->scales, 0, sizeof b->scales);
    for (int j = 0; j < 16; j++) {
        int code = found->sc[j] + 32;
        b->scales[j % 8] |= (uint8_t)((code & 15) << 4 * (j / 8));
        b->scales[8 + j % 4] |= (uint8_t)(code >> 4 << 2 * (j / 4));
    }
    for (int h = 0; h < 2; h++) {
        const uint8_t *p = q + 128 * h;
        for (int l = 0; l < 32; l++)
            b->qs[32 * h + l] =
                (uint8_t)((p[l] & 3) | (p[32 + l] & 3) << 2 | (p[64 + l] & 3) << 4 | (p[96 + l] & 3) << 6);
    }
    memset(b->hmask, 0, sizeof b->hmask);
    for (int n = 0; n < 8; n++)
        for (int l = 0; l < 32; l++)
            b->hmask[l] |= (uint8_t)(q[32 * n + l] >> 2 << n);
}

static const float trials[] = {-2.8f, -3.1f, -3.3f, -3.5f, -3.65f, -3.8f, -3.9f, -4,   -4.1f, -4.2f, -4.35f, -4.5f,
                               -4.7f, -4.9f, -5.2f, -5.6f, -6,     1.8f,  2.1f,  2.3f, 2.5f,  2.65f, 2.8f,   2.9f,
                               3,     3.1f,  3.2f,  3.35f, 3.5f,   3.7f,  3.9f,  4.2f, 4.6f,  5};
static const struct qn_search search = {.groups = 16,
                                        .size = 16,
                                        .lo = -4,
                                        .hi = 3,
                                        .code_lo = -32,
                                        .code_hi = 31,
                                        .weighing = QN_WEIGH_ABS,
                                        .effort = QN_SEARCH_EFFORT(trials, 4),
                                        .block_bytes = sizeof(struct qn_q3_k),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q3_K, dequantise, search);

#include "quant/q2_k/q2_k.h"

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

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q2_k *b = block;
    b->d = found->d;
    b->dmin = found->m;
    for (int j = 0; j < 16; j++)
        b->scales[j] = (uint8_t)(found->sc[j] | found->mn[j] << 4);
    for (int h = 0; h < 2; h++) {
        const uint8_t *q = (const uint8_t *)found->q + 128 * h;
        for (int l = 0; l < 32; l++)
            b->qs[32 * h + l] = (uint8_t)(q[l] | q[32 + l] << 2 | q[64 + l] << 4 | q[96 + l] << 6);
    }
}

static const float trials[] = {2, 2.2f, 2.4f, 2.6f, 2.8f, 3, 3.2f, 3.4f, 3.6f, 3.8f, 4, 4.3f, 4.6f, 5};
static const struct qn_search search = {.groups = 16,
                                        .size = 16,
                                        .hi = 3,
                                        .minimum = true,
                                        .below_zero = true,
                                        .code_hi = 15,
                                        .weighing = QN_WEIGH_RMS,
                                        .effort = QN_SEARCH_EFFORT(trials, 4),
                                        .block_bytes = sizeof(struct qn_q2_k),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q2_K, dequantise, search);

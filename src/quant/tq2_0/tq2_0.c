#include "quant/tq2_0/tq2_0.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_tq2_0 *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 256; k++)
            out[k] = d * (float)((b->qs[32 * (k / 128) + k % 32] >> 2 * (k / 32 % 4) & 3) - 1);
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_tq2_0 *b = block;
    b->d = found->d;
    for (int h = 0; h < 2; h++) {
        const int8_t *q = found->q + 128 * h;
        for (int l = 0; l < 32; l++)
            b->qs[32 * h + l] =
                (uint8_t)((q[l] + 1) | (q[32 + l] + 1) << 2 | (q[64 + l] + 1) << 4 | (q[96 + l] + 1) << 6);
    }
}

static const float trials[] = {0.75f, 0.975f, 1.27f, 1.65f, 2.14f, 2.78f, 3.62f, 4.71f, 6.12f, 7.95f, 10.3f, 13.4f};
static const struct qn_search search = {.groups = 1,
                                        .size = 256,
                                        .lo = -1,
                                        .hi = 1,
                                        .effort = QN_SEARCH_EFFORT(trials, 8),
                                        .block_bytes = sizeof(struct qn_tq2_0),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(TQ2_0, dequantise, search);

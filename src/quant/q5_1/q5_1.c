#include "quant/q5_1/q5_1.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q5_1 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d), m = qn_half_load(b->m);
        for (int k = 0; k < 16; k++) {
            int low_q = (b->qs[k] & 15) | (b->qh[k / 8] >> k % 8 & 1) << 4;
            int high_q = b->qs[k] >> 4 | (b->qh[2 + k / 8] >> k % 8 & 1) << 4;
            out[k] = d * (float)low_q + m;
            out[k + 16] = d * (float)high_q + m;
        }
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q5_1 *b = block;
    b->d = found->d;
    b->m = found->m;
    qn_search_pack_four((const uint8_t *)found->q, b->qs);
    qn_search_pack_fifth((const uint8_t *)found->q, b->qh);
}

static const float trials[] = {30.2f, 30.7f, 31.2f, 31.7f};
static const float weighed_trials[] = {30,    30.2f, 30.4f, 30.6f, 30.8f, 31,    31.2f,
                                       31.4f, 31.6f, 31.8f, 32,    32.3f, 32.6f, 33};
static const struct qn_search search = {.groups = 1,
                                        .size = 32,
                                        .hi = 31,
                                        .minimum = true,
                                        .effort = QN_SEARCH_EFFORT(trials, 1),
                                        .weighed = QN_SEARCH_EFFORT(weighed_trials, 4),
                                        .block_bytes = sizeof(struct qn_q5_1),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q5_1, dequantise, search);
